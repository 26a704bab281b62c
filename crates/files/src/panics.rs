//! Panics that cost one file, not the run.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};

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
