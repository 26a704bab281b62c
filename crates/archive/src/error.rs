//! What can go wrong, by whose fault.

use std::io;

use store::index::Unservable;

/// Why something is not stored, as protocols tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// No data set can be found in the bytes.
    NotDicom,
    /// The bytes are DICOM that can't be read.
    Unreadable,
    /// It is no instance of a study: a UID is missing or wrong, or it is an index of a file set.
    NoInstance,
    /// The storage has no room left.
    Full,
    /// Storing failed, through no fault of the bytes.
    Failed,
}

/// An error of the archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are DICOM that can't be read; nothing of them was kept.
    #[error("refused: {0}")]
    Refused(String),
    /// The bytes can be read, but are no instance of a study that could be served; nothing of them was kept.
    #[error("refused: {0}")]
    NoInstance(String),
    /// The storage has no room left; nothing of the object was kept.
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
    /// The index could not be read or written.
    #[error("index: {0}")]
    Index(#[source] Box<dyn std::error::Error + Send + Sync>),
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
    /// Reading or converting the DICOM instance failed; of an ingest only [`dicom::Error::NotDicom`].
    #[error(transparent)]
    Dicom(dicom::Error),
    /// What was received can't be restored.
    #[error("no way back: {0}")]
    NoWayBack(String),
    /// What was written is wrong; it was not stored, and is in the quarantine.
    #[error("{0}")]
    Disproved(String),
    /// The place of its objects can't be used.
    #[error(transparent)]
    Objects(#[from] store::objects::s3::Unusable),
    /// The very bytes had been stored and deleted, and were being removed while they came again.
    #[error("the same bytes were just being deleted; store them again")]
    Leaving,
    /// The place of its index can't be used.
    #[error(transparent)]
    IndexAt(store::index::postgres::Unusable),
    /// The database of the index does not answer, or was lost on the way: it can be tried again.
    #[error("the database of the index does not answer: {0}")]
    Unreachable(String),
    /// What is to be moved or copied can't go there.
    #[error("{0}")]
    Destination(String),
    /// The archive is being closed.
    #[error("the archive is closed")]
    Closed,
}

impl Error {
    /// An I/O error with what was being done; a full disk becomes [`Error::Full`].
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let what = what.into();
        move |source| if is_full(&source) { Error::Full } else { Error::Io { what, source } }
    }

    /// Why what was to be stored is DICOM and can't be served, in words; `None` where it is no DICOM, or the storage is in the way.
    pub fn unservable(&self) -> Option<(Unservable, String)> {
        match self {
            Error::Refused(why) => Some((Unservable::Unreadable, why.clone())),
            Error::NoInstance(why) => Some((Unservable::NoInstance, why.clone())),
            Error::Dicom(dicom::Error::NotDicom) => {
                Some((Unservable::Unreadable, "no data set can be found in it".into()))
            }
            _ => None,
        }
    }

    /// Why what was to be stored is not.
    pub fn refusal(&self) -> RefusalReason {
        match self {
            Error::Refused(_) => RefusalReason::Unreadable,
            Error::NoInstance(_) => RefusalReason::NoInstance,
            Error::Dicom(dicom::Error::NotDicom) => RefusalReason::NotDicom,
            Error::Full => RefusalReason::Full,
            _ => RefusalReason::Failed,
        }
    }

    /// Is it the storage's fault, or the end of the program's, so that another try may succeed?
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Error::Full
                | Error::Io { .. }
                | Error::Leaving
                | Error::Closed
                | Error::Unreachable(_)
                | Error::Dicom(dicom::Error::Io(_))
        )
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Error {
        match error {
            store::Error::Full => Error::Full,
            store::Error::Io { what, source } => Error::Io { what, source },
            store::Error::Engine(error) => Error::Index(error),
            store::Error::Unreachable(why) => Error::Unreachable(why),
            store::Error::Newer { found, known } => Error::Newer { found, known },
            store::Error::Damaged(what) => Error::Damaged(what),
            store::Error::Query(why) => Error::Query(why),
            store::Error::TooLong => Error::TooLong,
            store::Error::Leaving => Error::Leaving,
            store::Error::Closed => Error::Closed,
            other => Error::Index(Box::new(other)),
        }
    }
}

impl From<store::index::postgres::Unusable> for Error {
    fn from(error: store::index::postgres::Unusable) -> Error {
        match error {
            store::index::postgres::Unusable::Index(error) => error.into(),
            other => Error::IndexAt(other),
        }
    }
}

impl From<dicom::Error> for Error {
    fn from(error: dicom::Error) -> Error {
        match error {
            dicom::Error::Io(source) if is_full(&source) => Error::Full,
            other => Error::Dicom(other),
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
