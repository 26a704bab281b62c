//! What the user reads when something is wrong, and the exit code: one line that says what and which file, one `hint:`.

use crate::words;
use files::Advice;
use std::io;
use std::path::Path;
use std::process::ExitCode;

pub use crate::words::file_line;
pub use files::notice::reason;
pub use files::{quiet_caught_panics, without_panic};

/// How a command ended. The greater of two wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// All well.
    Well = 0,
    /// Some DICOM instances were refused or wrong.
    Refused = 1,
    /// Usage or environment.
    Environment = 2,
    /// Stopped by the user (128 + SIGINT).
    Stopped = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

impl From<migrate::Error> for Failure {
    fn from(error: migrate::Error) -> Failure {
        let failure = Failure::new(error.to_string());
        words::hint_for_migration(&error).into_iter().fold(failure, Failure::hint)
    }
}

/// What a user can do about an error of the file system.
pub fn hint_for(error: &io::Error) -> Option<&'static str> {
    Advice::on(error).map(words::hint)
}

/// An error that ends the command.
#[derive(Debug)]
pub struct Failure {
    what: String,
    hint: Option<String>,
}

impl Failure {
    /// `what` is one line, lower case, without a full stop.
    pub fn new(what: impl Into<String>) -> Self {
        Failure { what: what.into(), hint: None }
    }

    /// An error of the file system, with what was tried.
    pub fn io(doing: &str, path: &Path, error: &io::Error) -> Self {
        let failure = Failure::new(format!("cannot {doing} {}: {}", path.display(), reason(error)));
        match hint_for(error) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }

    /// Says what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// One line on standard error, and the hint on the next.
    pub fn print(&self) {
        eprintln!("error: {}", self.what);
        if let Some(hint) = &self.hint {
            eprintln!("hint: {hint}");
        }
    }
}
