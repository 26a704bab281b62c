//! What is recorded.

use crate::identity::Who;
use std::net::IpAddr;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Something was searched for.
    Search,
    /// Something of a study was looked at or fetched.
    Read,
    /// Something was stored.
    Store,
    /// Something was taken away.
    Delete,
    /// Somebody decided what is handed out, or that a conversion is tried again.
    Change,
    /// Somebody signed in, or opened a link.
    SignIn,
    /// Somebody tried to sign in, and did not.
    SignInFailed,
    /// Somebody signed out.
    SignOut,
}

/// Somebody did something.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Event {
    /// Who.
    pub who: Who,
    /// From where.
    pub from: Option<IpAddr>,
    /// What.
    pub kind: Kind,
    /// With which study.
    pub study: Option<String>,
}
