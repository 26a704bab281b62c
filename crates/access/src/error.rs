//! What can go wrong with users, keys and links.

/// Why something about access could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The archive could not read or write.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// No randomness could be had.
    #[error("no random bytes: {0}")]
    Random(getrandom::Error),
    /// A name that a user cannot have.
    #[error("a user's name has 1 to 64 letters, digits and . _ @ -")]
    Name,
    /// A password that is too easy to guess.
    #[error("a password has {least} to 1024 characters, and is not the name")]
    Password {
        /// Fewest characters.
        least: usize,
    },
    /// A password could not be hashed.
    #[error("hashing a password failed: {0}")]
    Hash(String),
    /// What is granted can't be read.
    #[error("damaged: the rights of {whose} cannot be read")]
    Grants {
        /// Whose they are.
        whose: String,
    },
    /// A link of nothing, or of more than one link may have.
    #[error("a link shares 1 to {most} studies")]
    Studies {
        /// Most studies.
        most: usize,
    },
    /// A study that a link should share is not there.
    #[error("no study {0}")]
    NoStudy(String),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Error {
        Error::Archive(error.into())
    }
}
