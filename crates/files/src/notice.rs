//! What a user should be told of one file: what became of it, why, and what can be done about it. The words are the command's.

use std::io;
use std::path::{Path, PathBuf};

/// ELOOP of Linux: the standard library has no stable name for it.
const LINK_LOOP: i32 = 40;

/// Something worth a line, of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What became of it.
    pub kind: NoticeKind,
    /// The file.
    pub path: PathBuf,
    /// Why: one line, lower case, without a full stop.
    pub reason: String,
    /// What can be done about it.
    pub advice: Option<Advice>,
}

/// What became of a file that a user should hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
    /// DICOM that can't be read.
    Unreadable,
    /// The environment was in the way.
    Failed,
    /// Kept as it came, though it was meant to be converted.
    Kept,
    /// Kept in an archive, which has nothing to serve of it.
    NotServed,
    /// It would not be true where it was to go.
    LeftOut,
    /// De-identified, and to be looked at by a person.
    LookAt,
    /// A source, or a part of one, can't be read.
    CannotRead,
    /// A source, or a part of one, is of a kind that is not taken.
    Refused,
    /// Nothing is wrong.
    Note,
}

/// What a user can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Give this user the right to read and write.
    GiveRights,
    /// Check the path.
    CheckPath,
    /// Make room on the disk of the destination.
    MakeRoom,
    /// Choose a destination that can be written.
    ChooseWritable,
    /// Mend a symbolic link that leads back to itself.
    MendLink,
    /// Choose another destination, or move away the file that is in its place.
    MoveAway,
    /// Run again when nothing writes to the source.
    RunWhenQuiet,
    /// Report a fault of the program.
    Report,
    /// The file contradicts the standard.
    Contradiction,
    /// The file is cut short.
    CopyAgain,
    /// The header announces more than the file can hold.
    Bounds,
    /// It may tell of a person; the documents say what is blocked.
    Deidentification,
    /// Unpack it and name the folder.
    Unpack,
    /// Get a packed file again from where it came.
    GetAgain,
    /// The same command asks for it again.
    AskedAgain,
}

impl Notice {
    /// A notice without advice.
    pub fn new(kind: NoticeKind, path: &Path, reason: impl Into<String>) -> Notice {
        Notice { kind, path: path.to_owned(), reason: reason.into(), advice: None }
    }

    /// With what can be done about it, where something can.
    pub fn advise(self, advice: impl Into<Option<Advice>>) -> Notice {
        Notice { advice: advice.into(), ..self }
    }
}

impl Advice {
    /// What can be done about an error of the file system.
    pub fn on(error: &io::Error) -> Option<Advice> {
        use io::ErrorKind::*;
        Some(match error.kind() {
            PermissionDenied => Advice::GiveRights,
            NotFound => Advice::CheckPath,
            StorageFull | QuotaExceeded | FileTooLarge => Advice::MakeRoom,
            ReadOnlyFilesystem => Advice::ChooseWritable,
            _ if error.raw_os_error() == Some(LINK_LOOP) => Advice::MendLink,
            _ => return None,
        })
    }
}

/// Is it for want of room?
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The operating system's words without its number, in lower case.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
