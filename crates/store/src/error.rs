//! What can go wrong with the index, by whose fault.

use std::io;

/// An error of the index, whatever engine it runs on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The storage has no room left; what was to be written was not.
    #[error("no space left on the storage")]
    Full,
    /// Reading or writing failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, with the path where there is one.
        what: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The engine could not read or write.
    #[error("index: {0}")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database of the index does not answer, or was lost on the way. Whether what was to be written was, is not known where the
    /// answer to its commit was lost; to do it again does no harm.
    #[error("the database of the index does not answer: {0}")]
    Unreachable(String),
    /// The index was made by a newer version of this program.
    #[error("the index has schema version {found}, this program knows up to {known}")]
    Newer {
        /// The version found in the index.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// Something stored is not what the index says it is.
    #[error("damaged: {0}")]
    Damaged(String),
    /// A query that cannot be understood.
    #[error("query: {0}")]
    Query(String),
    /// The query took longer than whoever asked waits.
    #[error("the query took too long")]
    TooLong,
    /// The very bytes were being deleted while they were put, for they had been stored before: they are to be put again.
    #[error("the same bytes were just being deleted; store them again")]
    Leaving,
    /// The index is being closed.
    #[error("the archive is closed")]
    Closed,
}

impl Error {
    /// An I/O error with what was being done; a full disk becomes [`Error::Full`].
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let what = what.into();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full,
            _ => Error::Io { what, source },
        }
    }
}
