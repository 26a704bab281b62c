//! Where an archive keeps things: objects and what is known of them, each behind a trait.
//!
//! [`objects`] keeps immutable bytes under the hash of themselves; [`Spool`] is where bytes are written before they are objects.
//! [`index`] knows what the objects are: instances, jobs, proof. What an object means is its caller's business: nothing here decodes,
//! converts or decides.

mod cache;
mod error;
pub mod index;
pub mod objects;
mod runner;
mod spool;
mod sync;
mod written;

pub use cache::Cache;
pub use error::Error;
pub use index::Index;
pub use objects::{Disk, Key, Memory, Objects, Put};
pub use spool::{Parked, Spool, Staged};
pub use sync::sync_folder;
