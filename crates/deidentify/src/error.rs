//! Why an instance can't be de-identified.

use std::io;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an instance can't be de-identified.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It can't be read.
    #[error(transparent)]
    Dicom(#[from] dicom::Error),
    /// What is in it can't be de-identified here, so it is not written.
    #[error("can't be de-identified: {0}")]
    Identifying(String),
}

impl Error {
    /// The same error in words that hold nothing of the file: for what is kept of an instance that is de-identified.
    pub fn without_values(self) -> Self {
        match self {
            Error::Dicom(error) => Error::Dicom(error.without_values()),
            Error::Identifying(why) => Error::Identifying(why),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::Dicom(error.into())
    }
}
