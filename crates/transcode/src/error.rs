//! What can go wrong, by whose fault.

use serde::{Deserialize, Serialize};
use std::{fmt, io};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an instance can't be read, converted or written.
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
    /// What is in it can't be de-identified here, so it is not written.
    #[error("can't be de-identified: {0}")]
    Identifying(String),
    /// What was written is not what was read: a check within verification says so.
    #[error("{check}: {what}")]
    Disproved {
        /// The check that failed.
        check: Check,
        /// In which way.
        what: String,
    },
    /// The disk or the file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What a written file has to pass before it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Read back, every element and every sample is compared with the source.
    Verification,
    /// A decoder that is neither ours nor the encoder's gives the same samples.
    SecondOpinion,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Check::Verification => "verification failed",
            Check::SecondOpinion => "the second opinion differs",
        })
    }
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
            Error::Disproved { check, .. } => Error::disproved(check, "what was written is wrong"),
            other @ (Error::NotDicom | Error::Identifying(_) | Error::Io(_)) => other,
        }
    }

    pub(crate) fn disproved(check: Check, what: impl Into<String>) -> Self {
        Error::Disproved { check, what: what.into() }
    }

    pub(crate) fn malformed(at: u64, what: impl Into<String>) -> Self {
        Error::Malformed { at, what: what.into() }
    }
    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        Error::Unsupported(what.into())
    }
}
