//! Objects: immutable runs of bytes under keys that are ours.
//!
//! A key is the SHA-256 of the bytes. It says nothing of their contents, no value of a DICOM file can reach
//! a path through it, and storing the same bytes twice is storing them once: an object that a crash left
//! without a row in the index is found again by the next attempt to store it.

mod blocks;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod disk;
mod key;
mod memory;
pub mod place;
pub mod s3;

pub use blocks::Near;
pub use dicom::ReadAt;
pub use disk::Disk;
pub use key::Key;
pub use memory::Memory;
pub use s3::S3;

use std::io;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::spool::Staged;

/// Where objects are kept.
///
/// Bytes are written to a local [`Spool`](crate::Spool) first, and moved or sent to their place by [`Objects::put`].
pub trait Objects: Send + Sync {
    /// Puts what was staged under the keys of its bytes; one answer for each, in order. What succeeded is durable when this returns:
    /// the bytes, and the name under which they are found. All of them are waited for together: one sync of a folder, or one batch of
    /// uploads. One that fails takes no other along. Bytes that are there already, as many as staged, are left alone.
    fn put(&self, staged: Vec<Staged>) -> Vec<io::Result<Put>>;

    /// Puts what was staged in the place of bytes under this key that are damaged.
    fn replace(&self, staged: Staged) -> io::Result<Put>;

    /// Opens an object as the store has it now; `NotFound` when there is none. `size` is what the index knows of it, so that a store
    /// that is far away need not be asked for it; [`ReadAt::size`] of what is opened is what the store says.
    fn open(&self, key: &Key, size: u64) -> io::Result<Arc<dyn ReadAt>>;

    /// Opens an object so that each byte comes from the store itself, none from what is kept near: for proofs.
    fn open_stored(&self, key: &Key, size: u64) -> io::Result<Arc<dyn ReadAt>> {
        self.open(key, size)
    }

    /// Bytes of an object, `None` when there is none.
    fn size(&self, key: &Key) -> io::Result<Option<u64>>;

    /// Removes an object; false when there is none. Who has it open reads on; in a store far away, what was read of it.
    fn remove(&self, key: &Key) -> io::Result<bool>;

    /// Drops what is kept near of an object that somebody else may have removed: open files, blocks.
    fn forget(&self, _key: &Key) {}

    /// Objects and their bytes in the order of their keys: at most `most`, after this key. Fewer than that are the last. What comes or
    /// goes meanwhile may be listed or not.
    fn list(&self, after: Option<Key>, most: usize) -> io::Result<Vec<(Key, u64)>>;
}

impl dyn Objects + '_ {
    /// Puts one object.
    pub fn put_one(&self, staged: Staged) -> io::Result<Put> {
        let none = || Err(io::Error::other("the store gave no answer"));
        self.put(vec![staged]).pop().unwrap_or_else(none)
    }
}

/// What a [`Objects::put`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The object is new.
    New,
    /// The very bytes were there.
    Existed,
}

/// What the key of an object would be by what is in the store now.
pub fn hash(objects: &dyn Objects, key: &Key, size: u64) -> io::Result<Key> {
    let mut hash = Sha256::new();
    each_chunk(&*objects.open_stored(key, size)?, |bytes| {
        hash.update(bytes);
        Ok(())
    })?;
    Ok(Key::new(hash.finalize().into()))
}

/// Calls `each` with all bytes of an object in order, a chunk at a time.
pub fn each_chunk(object: &dyn ReadAt, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let (mut at, mut chunk) = (0, vec![0; 256 << 10]);
    while at < object.size() {
        let n = (object.size() - at).min(chunk.len() as u64) as usize;
        object.read_exact_at(at, &mut chunk[..n])?;
        each(&chunk[..n])?;
        at += n as u64;
    }
    Ok(())
}
