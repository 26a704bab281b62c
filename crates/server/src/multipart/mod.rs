//! `multipart/related` bodies (RFC 2387): written so that byte ranges address them, read as they come.

mod read;
mod write;

pub use read::{Head, Parts, Trouble};
pub use write::{Multipart, body_offset, boundary};
