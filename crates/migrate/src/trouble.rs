//! What a user reads of one file that could not be done: one line that says what and which file, one `hint:`.

use std::cell::RefCell;
use std::fmt::Display;
use std::io;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// ELOOP of Linux: the standard library has no stable name for it.
const LINK_LOOP: i32 = 40;

/// The operating system's words without its number, in lower case.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// What a user can do about an error of the file system.
pub fn hint_for(error: &io::Error) -> Option<&'static str> {
    use io::ErrorKind::*;
    Some(match error.kind() {
        PermissionDenied => {
            "give this user the right to read it (and to write the destination), then run the same command again"
        }
        NotFound => "check the path",
        StorageFull | QuotaExceeded | FileTooLarge => {
            "make room on the destination's disk, then run the same command again: only what is missing is done"
        }
        ReadOnlyFilesystem => "choose a destination that can be written",
        _ if error.raw_os_error() == Some(LINK_LOOP) => "a symbolic link leads back to itself: remove or mend it",
        _ => return None,
    })
}

/// The line of an instance that can't be read, or failed.
pub fn file_line(kind: &str, path: &Path, reason: &dyn Display, hint: Option<&str>) -> String {
    let line = format!("{kind}: {}: {reason}", path.display());
    match hint {
        Some(hint) => format!("{line}\n  hint: {hint}"),
        None => line,
    }
}

thread_local! {
    static CAUGHT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `work`; a panic becomes a line with its place, and nothing is printed. One bad file must not end a batch.
pub fn without_panic<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let around = CAUGHT.replace(Some(String::new()));
    let result = catch_unwind(AssertUnwindSafe(work));
    let place = CAUGHT.replace(around).unwrap_or_default();
    result.map_err(|_| format!("internal error at {place}"))
}

/// Keeps the place of panics that are caught for their line; others are printed as ever.
pub fn quiet_caught_panics() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let place = info.location().map(|at| format!("{}:{}", short(at.file()), at.line())).unwrap_or_default();
        let caught = CAUGHT.with_borrow_mut(|caught| caught.as_mut().map(|line| *line = place).is_some());
        if !caught {
            usual(info);
        }
    }));
}

/// The last parts of a source path: what is before them is the machine it was built on.
fn short(file: &str) -> &str {
    file.char_indices().rev().filter(|(_, letter)| *letter == '/').nth(2).map_or(file, |(at, _)| &file[at + 1..])
}
