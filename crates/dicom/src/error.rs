//! Why an instance can't be read.

use std::io;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an instance can't be read, or its frames can't be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is not DICOM at all.
    #[error("not a DICOM file")]
    NotDicom,
    /// The bytes contradict the standard.
    #[error("malformed at byte {at}: {what}")]
    Malformed {
        /// Offset in the file (in the inflated data set of a deflated file).
        at: u64,
        /// What is wrong.
        what: String,
    },
    /// The file ends before it should.
    #[error("truncated: {what} needs {need} bytes, {have} are there")]
    Truncated {
        /// What was being read.
        what: String,
        /// Bytes that are there.
        have: u64,
        /// Bytes that are needed.
        need: u64,
    },
    /// Reading on would take more memory or depth than allowed.
    #[error("over the limit: {0}")]
    Limit(String),
    /// Valid, but nothing here can read or write it.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// The pixel data is damaged.
    #[error("{0}")]
    Damaged(String),
    /// A frame can't be decoded.
    #[error("frame {frame}: {what}")]
    Frame {
        /// Number of the frame, from 1.
        frame: u32,
        /// What the decoder said.
        what: String,
    },
    /// The disk or the file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Error {
    /// The same error in words that hold nothing of the file: for what is kept of an instance that is de-identified.
    pub fn without_values(self) -> Self {
        match self {
            Error::Malformed { at, .. } => Error::malformed(at, "not as the standard says"),
            Error::Truncated { have, need, .. } => Error::Truncated { what: "a value".into(), have, need },
            Error::Limit(_) => Error::Limit("its header".into()),
            Error::Unsupported(_) => Error::unsupported("its pixel data"),
            Error::Damaged(_) => Error::Damaged("the pixel data is damaged".into()),
            Error::Frame { frame, .. } => Error::Frame { frame, what: "it can't be decoded".into() },
            other @ (Error::NotDicom | Error::Io(_)) => other,
        }
    }

    /// [`Error::Malformed`].
    pub fn malformed(at: u64, what: impl Into<String>) -> Self {
        Error::Malformed { at, what: what.into() }
    }

    /// [`Error::Unsupported`].
    pub fn unsupported(what: impl Into<String>) -> Self {
        Error::Unsupported(what.into())
    }
}
