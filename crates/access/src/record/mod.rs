//! What happened: who saw, stored or searched what, as audit messages (PS3.15 A.5) in frames of syslog (RFC 5424).
//!
//! ```text
//! event    what is recorded
//! message  the same as XML, in a frame
//! chain    lines that hold the hash of what came before: a line that is changed or missing is found
//! book     the files: a line is written before the first byte leaves, synced within a second, and never in the way of a read
//! syslog   the same lines to a receiver over TLS (RFC 5425); the files are the spool
//! ```
//!
//! The first access of somebody to a study in a minute is a record at once; if it was not the only one, a second one counts them when the
//! minute is over.

mod book;
mod chain;
mod event;
mod message;
mod syslog;

pub use book::Book;
pub use chain::{Broken, Checked, check};
pub use event::{Event, Kind};
pub use syslog::{Receiver, forward};
