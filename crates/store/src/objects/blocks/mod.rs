//! Blocks of objects that lie far away, kept near: in memory, and on a local disk.
//!
//! A block is kept under the version of the object that it is of ([`Version`]), so it needs no asking whether it is still true: what was
//! damaged and is healed has another one. Both are bounded in bytes. A block that many wait for is fetched once.

mod epoch;
mod flights;
mod folder;
mod id;
mod weighed;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::Key;
use epoch::Epochs;
use folder::Folder;
use weighed::Weighed;

pub(super) use epoch::Epoch;
pub(super) use flights::{Claim, Flights, Mine};
pub(super) use id::{Id, Version};

/// Bytes of a block; the last of an object may be shorter.
pub(super) const BLOCK: u64 = 1 << 20;

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
    epochs: Arc<Epochs>,
    flights: Flights,
}

impl Blocks {
    pub(super) fn open(near: &Near) -> io::Result<Blocks> {
        let epochs = Arc::<Epochs>::default();
        let folder = match near.folder.as_deref().filter(|_| near.disk > 0) {
            Some(root) => Folder::open(root, near.disk, &epochs)?,
            None => None,
        };
        if let (Some(root), None) = (&near.folder, &folder) {
            tracing::info!(folder = %root.display(), "another program has the cache: blocks are kept in memory only");
        }
        Ok(Blocks { memory: Mutex::new(Weighed::new(near.memory)), folder, epochs, flights: Flights::default() })
    }

    pub(super) fn get(&self, id: &Id) -> Option<Bytes> {
        if let Some(block) = self.memory().get(id).0 {
            return Some(block);
        }
        let since = self.now();
        let block = self.folder.as_ref()?.get(id)?;
        self.remember(*id, &block, since);
        Some(block)
    }

    /// The time now: whoever fetches a block looks before.
    pub(super) fn now(&self) -> Epoch {
        self.epochs.now()
    }

    /// The duty to fetch a block, or whom to wait for.
    pub(super) fn claim(&self, id: Id) -> Claim<'_> {
        self.flights.claim(id, self.now())
    }

    /// Keeps a block that was fetched since then, unless objects were replaced meanwhile: it may be of one of them.
    pub(super) fn insert(&self, id: Id, block: &Bytes, since: Epoch) {
        self.remember(id, block, since);
        if let Some(folder) = &self.folder {
            folder.insert(id, block, since);
        }
    }

    fn remember(&self, id: Id, block: &Bytes, since: Epoch) {
        let mut memory = self.memory();
        if self.epochs.is(since) {
            memory.insert(id, block.clone(), block.len() as u64);
        }
    }

    /// Keeps all blocks of an object whose bytes are at hand.
    pub(super) fn insert_all(&self, key: Key, version: Version, bytes: &Bytes) {
        let since = self.now();
        for (block, part) in (0..).zip(bytes.chunks(BLOCK as usize)) {
            self.insert(Id { key, version, block }, &Bytes::copy_from_slice(part), since);
        }
    }

    /// An object was replaced or removed: what is being fetched is not kept.
    pub(super) fn replaced(&self) {
        self.epochs.next();
    }

    /// Forgets a version of an object, of so many bytes.
    pub(super) fn remove(&self, key: Key, version: Version, size: u64) {
        for block in 0..size.div_ceil(BLOCK) {
            let id = Id { key, version, block };
            self.memory().remove(&id);
            if let Some(folder) = &self.folder {
                folder.remove(&id);
            }
        }
    }

    /// Forgets all versions of an object.
    pub(super) fn forget(&self, key: &Key) {
        self.memory().remove_where(|id| id.key == *key);
        if let Some(folder) = &self.folder {
            folder.forget(key);
        }
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Weighed<Id, Bytes>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_kept_apart_and_what_was_fetched_before_a_replacement_is_not_kept() {
        let blocks = Blocks::open(&Near { memory: 1 << 20, folder: None, disk: 0 }).unwrap();
        let (key, damaged, healed) = (Key::new([1; 32]), Version::of("damaged", 1), Version::of("healed", 2));
        let id = |version| Id { key, version, block: 0 };
        blocks.insert(id(damaged), &Bytes::from_static(b"wrong"), blocks.now());
        assert_eq!(blocks.get(&id(healed)), None);
        let before = blocks.now();
        blocks.replaced();
        blocks.remove(key, damaged, 5);
        blocks.insert(id(damaged), &Bytes::from_static(b"wrong"), before);
        assert_eq!(blocks.get(&id(damaged)), None);
        blocks.insert_all(key, healed, &Bytes::from_static(b"whole"));
        assert_eq!(blocks.get(&id(healed)).unwrap(), "whole");
        blocks.forget(&Key::new([2; 32]));
        assert_eq!(blocks.get(&id(healed)).unwrap(), "whole");
        blocks.forget(&key);
        assert_eq!(blocks.get(&id(healed)), None);
    }
}
