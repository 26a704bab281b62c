//! Objects: immutable runs of bytes under keys that are ours.
//!
//! A key is the SHA-256 of the bytes. It says nothing of their contents, no value of a DICOM file can reach
//! a path through it, and storing the same bytes twice is storing them once: an object that a crash left
//! without a row in the index is found again by the next attempt to store it.
//!
//! An object is removed in one case only: it was received, and the way back to it is proven (see `release`).

mod disk;
mod memory;
mod spool;

pub use dicom::ReadAt;
pub use disk::Disk;
pub(crate) use disk::{open_file, sync_folder};
pub use memory::Memory;
pub use spool::{Spool, Staged};

use std::fmt;
use std::io;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// Where objects are kept.
///
/// Bytes are written to a local [`Spool`] first, and moved or sent to their place by [`Objects::put`].
pub trait Objects: Send + Sync {
    /// Puts what was staged under the key of its bytes. Durable when this returns: the bytes, and the name
    /// under which they are found. Bytes that are there already are left alone.
    fn put(&self, staged: Staged) -> io::Result<Put>;

    /// As [`Objects::put`], in the place of bytes under this key that are damaged.
    fn replace(&self, staged: Staged) -> io::Result<Put> {
        self.put(staged)
    }

    /// Opens an object as the store has it now; `NotFound` when there is none.
    fn open(&self, key: &Key) -> io::Result<Arc<dyn ReadAt>>;

    /// Bytes of an object, `None` when there is none.
    fn size(&self, key: &Key) -> io::Result<Option<u64>>;

    /// Removes an object; false when there is none. Who has it open reads on.
    fn remove(&self, key: &Key) -> io::Result<bool>;
}

/// What a [`Objects::put`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The object is new.
    New,
    /// The very bytes were there.
    Existed,
}

/// The name of an object: the SHA-256 of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key([u8; 32]);

impl Key {
    /// The key of this digest.
    pub fn new(sha256: [u8; 32]) -> Key {
        Key(sha256)
    }

    /// Reads 64 lower-case hexadecimal digits.
    pub fn parse(hex: &str) -> Option<Key> {
        let digits = hex.as_bytes();
        if digits.len() != 64 || digits.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        let mut key = [0; 32];
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |d: u8| char::from(d).to_digit(16);
            *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
        }
        Some(Key(key))
    }

    /// The digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// What the key of an object would be by what is in the store now.
pub(crate) fn hash(objects: &dyn Objects, key: &Key) -> io::Result<Key> {
    let mut hash = Sha256::new();
    each_chunk(&*objects.open(key)?, |bytes| {
        hash.update(bytes);
        Ok(())
    })?;
    Ok(Key::new(hash.finalize().into()))
}

/// Calls `each` with all bytes of an object in order, a chunk at a time.
pub(crate) fn each_chunk(object: &dyn ReadAt, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let (mut at, mut chunk) = (0, vec![0; 256 << 10]);
    while at < object.size() {
        let n = (object.size() - at).min(chunk.len() as u64) as usize;
        object.read_exact_at(at, &mut chunk[..n])?;
        each(&chunk[..n])?;
        at += n as u64;
    }
    Ok(())
}

#[cfg(test)]
mod contract;
