//! What ends a migration, by whose fault.

use crate::trouble::{hint_for, reason};
use std::io;
use std::path::{Path, PathBuf};

/// An error that ends a migration; what was done stays done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("cannot {doing} {}: {}", path.display(), reason(source))]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The journal could not be read or written.
    #[error("the journal of the migration: {0}")]
    Journal(rusqlite::Error),
    /// The destination has no room left.
    #[error("the disk of the destination is full")]
    Full,
    /// The archive could not be opened, read or written.
    #[error("the archive: {0}")]
    Archive(archive::Error),
    /// What was asked for can't be done.
    #[error("{what}")]
    Usage {
        /// One line.
        what: String,
        /// What to do instead.
        hint: &'static str,
    },
}

impl Error {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full,
            _ => Error::Io { doing, path: path.to_owned(), source },
        }
    }

    pub(crate) fn usage(what: impl Into<String>, hint: &'static str) -> Error {
        Error::Usage { what: what.into(), hint }
    }

    /// What a user can do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Error::Io { source, .. } => hint_for(source),
            Error::Journal(_) => Some("it needs a local disk that this user can write; what is done stays done"),
            Error::Full => Some("make room, then run the same command again: it goes on from here"),
            Error::Archive(archive::Error::Newer { .. }) => {
                Some("use the version of firstlight that wrote it, or a newer one")
            }
            Error::Archive(_) => Some("the folder of an archive is on a local disk that this user can write"),
            Error::Usage { hint, .. } => Some(hint),
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Error {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Error::Full,
            _ => Error::Journal(error),
        }
    }
}

impl From<archive::Error> for Error {
    fn from(error: archive::Error) -> Error {
        match error {
            archive::Error::Full => Error::Full,
            other => Error::Archive(other),
        }
    }
}
