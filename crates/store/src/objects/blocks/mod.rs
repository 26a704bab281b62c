//! Blocks of objects that lie far away, kept near: in memory, and on a local disk.
//!
//! Objects never change under their key, so a block needs no asking whether it is still true. Both are bounded in bytes. A block that
//! many wait for is fetched once.

mod flights;
mod folder;
mod weighed;

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::Key;
use folder::Folder;
use weighed::Weighed;

pub(super) use flights::{Claim, Flights, Mine};

/// Bytes of a block; the last of an object may be shorter.
pub(super) const BLOCK: u64 = 1 << 20;

/// A block of an object.
pub(super) type Id = (Key, u64);

/// How much is kept near.
#[derive(Debug, Clone)]
pub struct Near {
    /// Bytes in memory.
    pub memory: u64,
    /// The folder of the blocks on disk; none without.
    pub folder: Option<PathBuf>,
    /// Bytes on disk.
    pub disk: u64,
}

impl Default for Near {
    fn default() -> Self {
        Near { memory: 64 << 20, folder: None, disk: 10 << 30 }
    }
}

/// Blocks kept near.
pub(super) struct Blocks {
    memory: Mutex<Weighed<Id, Bytes>>,
    folder: Option<Folder>,
    pub(super) flights: Flights,
}

impl Blocks {
    pub(super) fn open(near: &Near) -> io::Result<Blocks> {
        let folder = match near.folder.as_deref().filter(|_| near.disk > 0) {
            Some(root) => Folder::open(root, near.disk)?,
            None => None,
        };
        if let (Some(root), None) = (&near.folder, &folder) {
            tracing::info!(folder = %root.display(), "another program has the cache: blocks are kept in memory only");
        }
        Ok(Blocks { memory: Mutex::new(Weighed::new(near.memory)), folder, flights: Flights::default() })
    }

    pub(super) fn get(&self, id: &Id) -> Option<Bytes> {
        if let Some(block) = self.memory().get(id).0 {
            return Some(block);
        }
        let block = self.folder.as_ref()?.get(id)?;
        self.memory().insert(*id, block.clone(), block.len() as u64);
        Some(block)
    }

    pub(super) fn insert(&self, id: Id, block: &Bytes) {
        self.memory().insert(id, block.clone(), block.len() as u64);
        if let Some(folder) = &self.folder {
            folder.insert(id, block);
        }
    }

    /// Keeps all blocks of an object whose bytes are at hand.
    pub(super) fn insert_all(&self, key: Key, bytes: &Bytes) {
        for (n, part) in bytes.chunks(BLOCK as usize).enumerate() {
            self.insert((key, n as u64), &Bytes::copy_from_slice(part));
        }
    }

    /// Forgets an object of so many bytes.
    pub(super) fn remove(&self, key: Key, size: u64) {
        for n in 0..size.div_ceil(BLOCK) {
            self.memory().remove(&(key, n));
            if let Some(folder) = &self.folder {
                folder.remove(&(key, n));
            }
        }
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Weighed<Id, Bytes>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
