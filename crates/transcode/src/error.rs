//! What can go wrong beyond reading an instance.

use serde::{Deserialize, Serialize};
use std::{fmt, io};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an instance can't be read, or what was written can't count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It can't be read.
    #[error(transparent)]
    Dicom(#[from] dicom::Error),
    /// What was written is not what was read: a check within verification says so.
    #[error("{check}: {what}")]
    Disproved {
        /// The check that failed.
        check: Check,
        /// In which way.
        what: String,
    },
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
            Error::Dicom(error) => Error::Dicom(error.without_values()),
            Error::Disproved { check, .. } => Error::disproved(check, "what was written is wrong"),
        }
    }

    pub(crate) fn disproved(check: Check, what: impl Into<String>) -> Self {
        Error::Disproved { check, what: what.into() }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::Dicom(error.into())
    }
}
