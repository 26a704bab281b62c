//! What a failure of the database means (appendix A of its manual, "Error Codes").

use std::error::Error as _;
use std::fmt;
use std::io;

use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

use crate::Error;

/// Kinds of failures that are met differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// The database is away, or goes.
    Lost,
    /// Others were in the way: it can be done again.
    Again,
    /// Its disk is full.
    Full,
    /// It was interrupted, or took too long.
    GivenUp,
    /// What is stored can't be read.
    Damaged,
    /// This user may not.
    Denied,
    /// It is as it is.
    Other,
}

/// What kind of failure it is.
pub(super) fn class(error: &tokio_postgres::Error) -> Class {
    let Some(code) = error.code() else {
        let of_socket = error.source().is_some_and(|source| source.is::<io::Error>());
        return if error.is_closed() || of_socket { Class::Lost } else { Class::Other };
    };
    match *code {
        SqlState::ADMIN_SHUTDOWN
        | SqlState::CRASH_SHUTDOWN
        | SqlState::CANNOT_CONNECT_NOW
        | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
        | SqlState::TOO_MANY_CONNECTIONS => Class::Lost,
        SqlState::T_R_DEADLOCK_DETECTED
        | SqlState::T_R_SERIALIZATION_FAILURE
        | SqlState::UNIQUE_VIOLATION
        | SqlState::LOCK_NOT_AVAILABLE => Class::Again,
        SqlState::DISK_FULL => Class::Full,
        SqlState::QUERY_CANCELED => Class::GivenUp,
        SqlState::INSUFFICIENT_PRIVILEGE => Class::Denied,
        SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED => Class::Damaged,
        // Connection exceptions.
        _ if code.code().starts_with("08") => Class::Lost,
        _ => Class::Other,
    }
}

/// What the database said, in one line.
pub(super) fn said(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(error), _) => error.message().to_owned(),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

/// A failure as it is told.
#[derive(Debug)]
struct Failed(tokio_postgres::Error);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&said(&self.0))
    }
}

impl std::error::Error for Failed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Error {
        match class(&error) {
            Class::Lost => Error::Unreachable(said(&error)),
            Class::Full => Error::Full,
            Class::GivenUp => Error::TooLong,
            Class::Damaged => Error::Damaged(said(&error)),
            Class::Again | Class::Denied | Class::Other => Error::Engine(Box::new(Failed(error))),
        }
    }
}

impl From<PoolError> for Error {
    fn from(error: PoolError) -> Error {
        match error {
            PoolError::Backend(error) => error.into(),
            PoolError::Closed => Error::Closed,
            other => Error::Unreachable(other.to_string()),
        }
    }
}

/// What the database said to who asked for a connection, in one line.
pub(super) fn pool_said(error: &PoolError) -> String {
    match error {
        PoolError::Backend(error) => said(error),
        PoolError::Timeout(_) => "it does not answer in time".into(),
        other => other.to_string(),
    }
}

/// The code of what it said.
pub(super) fn pool_code(error: &PoolError) -> Option<SqlState> {
    match error {
        PoolError::Backend(error) => error.code().cloned(),
        _ => None,
    }
}
