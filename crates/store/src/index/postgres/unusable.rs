//! Why the database of an index can't be used, in one line each.

use std::io;
use std::path::PathBuf;

/// Why the database can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Not of the form `postgres://user@host/database`.
    #[error("{0:?} is no address of an index: it is written postgres://user@host/database")]
    Address(String),
    /// An address holds a password.
    #[error("the address of the index holds a password, which everyone on this machine could read")]
    Password,
    /// The file of the password can't be read.
    #[error("the password in {path} cannot be read: {1}", path = .0.display())]
    PasswordFile(PathBuf, #[source] io::Error),
    /// The certificates can't be read.
    #[error("the certificates for the connection to the database cannot be used: {0}")]
    Certificates(String),
    /// No answer.
    #[error("{0} cannot be reached: {1}")]
    Unreachable(String, String),
    /// It lets nobody in by this name, or with this password.
    #[error("{0} does not let this user in: {1}")]
    Refused(String, String),
    /// There is no such database.
    #[error("{0}: there is no such database")]
    NoDatabase(String),
    /// Too old.
    #[error("{0} is PostgreSQL {1}: it takes 15 or newer")]
    Old(String, String),
    /// It keeps texts otherwise.
    #[error("{0} keeps its texts as {1}: the database has to be made with ENCODING 'UTF8'")]
    Encoding(String, String),
    /// The user may not make the tables.
    #[error("{0} does not let this user make the tables of the index: {1}")]
    Rights(String, String),
    /// No threads.
    #[error("cannot start threads: {0}")]
    Threads(#[source] io::Error),
    /// An archive keeps its index in one place.
    #[error("its index is at {0}, not at {1}")]
    Elsewhere(String, String),
    /// The file that says where the index is can't be read or written.
    #[error("{path}: {1}", path = .0.display())]
    Folder(PathBuf, #[source] io::Error),
    /// The index says that the objects are somewhere else than this node has them.
    #[error("the objects of this index are at {0}, not at {1}")]
    OtherObjects(String, String),
    /// An archive is being moved there, and has not arrived.
    #[error("an archive is being moved to {0}, and is not there yet: {1}")]
    Moving(String, String),
    /// The tables are there and can't be used.
    #[error(transparent)]
    Index(#[from] crate::Error),
}
