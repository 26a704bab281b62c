//! The feed of changes: what was stored, converted, deleted, restored and corrected, in the order in which it was committed.
//!
//! A change is written in the transaction that makes it. Its number is above that of every change before it, and never below the microseconds
//! since 1970 at which it was made: so numbers go on above what was told before also where the index was made anew, or came from a
//! backup.

use crate::Error;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// An instance was stored.
    Stored,
    /// A converted object took the place of what is handed out.
    Converted,
    /// A study, a series or an instance was deleted.
    Deleted,
    /// What was deleted came back.
    Restored,
    /// What is told, or handed out, was decided anew by somebody.
    Corrected,
}

impl ChangeKind {
    const ALL: [ChangeKind; 5] =
        [ChangeKind::Stored, ChangeKind::Converted, ChangeKind::Deleted, ChangeKind::Restored, ChangeKind::Corrected];

    /// As the index has it.
    pub fn number(self) -> i64 {
        self as i64
    }

    /// From what the index has.
    pub fn of(number: i64) -> Option<ChangeKind> {
        usize::try_from(number).ok().and_then(|n| ChangeKind::ALL.get(n).copied())
    }

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            ChangeKind::Stored => "stored",
            ChangeKind::Converted => "converted",
            ChangeKind::Deleted => "deleted",
            ChangeKind::Restored => "restored",
            ChangeKind::Corrected => "corrected",
        }
    }
}

/// What a change is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Study Instance UID.
    pub study: String,
    /// Series Instance UID; `None` of a whole study.
    pub series: Option<String>,
    /// SOP Instance UID; `None` of a whole series.
    pub sop: Option<String>,
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its number.
    pub number: i64,
    /// When it was made, in seconds since 1970.
    pub at: i64,
    /// What happened.
    pub kind: ChangeKind,
    /// To what; `None` where it is not there any more: a later change says that it went, until that is final and forgotten.
    pub of: Option<Changed>,
}

/// The feed of changes.
pub trait Changes {
    /// The changes above a number, in their order, at most so many. None comes later with a number below one that was told.
    fn changes(&self, after: i64, most: usize) -> Result<Vec<Change>, Error>;

    /// The number of the last change; 0 before there is one.
    fn last_change(&self) -> Result<i64, Error>;
}
