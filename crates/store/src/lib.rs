//! Where an archive keeps things.
//!
//! [`objects`] keeps immutable bytes under the hash of themselves; [`Spool`] is where bytes are written before they are objects.
//! What an object means is its caller's business: nothing here decodes or decides.

mod cache;
pub mod objects;
mod spool;

pub use cache::Cache;
pub use objects::{Disk, Key, Memory, Objects, Put, sync_folder};
pub use spool::{Spool, Staged};
