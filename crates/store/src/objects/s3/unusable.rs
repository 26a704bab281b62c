//! Why a store in S3 can't be used, in one line each.

use std::io;
use std::path::PathBuf;

/// Why a store can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Not of the form `s3://bucket/prefix`.
    #[error("{0:?} is no address of objects: it is written s3://bucket/prefix")]
    Address(String),
    /// Settings that don't fit.
    #[error("the settings of S3 don't fit: {0}")]
    Settings(String),
    /// The file of credentials can't be read.
    #[error("the credentials in {path} cannot be read: {1}", path = .0.display())]
    Credentials(PathBuf, #[source] io::Error),
    /// No answer.
    #[error("{0} cannot be reached: {1}")]
    Unreachable(String, String),
    /// There is no such bucket.
    #[error("{0}: there is no such bucket, or the endpoint is not that of S3")]
    NoBucket(String),
    /// The credentials are wrong, or have too few rights.
    #[error("{0} lets these credentials not {1}: {2}")]
    Refused(String, &'static str, String),
    /// It writes over what it was told to leave.
    #[error(
        "{0} ignores conditional writes (If-None-Match): two programs could each believe they wrote first; use a store that honours them"
    )]
    Unconditional(String),
    /// It gives other bytes than were put.
    #[error("{0} does not give back what was put: {1}")]
    Untrue(String, String),
    /// The cache on the local disk.
    #[error("the cache {path} cannot be used: {1}", path = .0.display())]
    Cache(PathBuf, #[source] io::Error),
    /// No threads.
    #[error("cannot start threads: {0}")]
    Threads(#[source] io::Error),
    /// An archive keeps its objects in one place.
    #[error("its objects are at {0}, not at {1}")]
    Elsewhere(String, String),
    /// Its folder can't be read or written.
    #[error("{path}: {1}", path = .0.display())]
    Folder(PathBuf, #[source] io::Error),
}
