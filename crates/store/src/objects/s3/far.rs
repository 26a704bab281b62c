//! What is asked of the store: one object's bytes, its size, all their names.

use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt, Result};
use tokio::sync::Semaphore;

use super::access::{Access, Patience};
use super::address::Address;
use super::fault::persist;
use super::hedge::Hedge;
use super::unusable::Unusable;
use crate::cache::Cache;
use crate::objects::Key;
use crate::objects::blocks::{Blocks, Version};

/// How long an object that was there is taken to be there still. Another program may remove one; whose index says so reads it no more.
const KNOWN: Duration = Duration::from_secs(60);
/// Objects whose size and version are remembered.
const SIZES: usize = 16 << 10;
/// MiB of objects that are on their way up at once.
pub(super) const RISING: u32 = 64;

/// What the store said of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Seen {
    /// Bytes.
    pub(super) size: u64,
    pub(super) version: Version,
}

impl Seen {
    pub(super) fn of(meta: &ObjectMeta) -> Seen {
        let tag = meta.e_tag.as_deref().unwrap_or_default();
        Seen { size: meta.size, version: Version::of(tag, meta.last_modified.timestamp()) }
    }

    /// What was put here, under the ETag that the store gave it.
    pub(super) fn written(size: u64, tag: &str) -> Seen {
        Seen { size, version: Version::of(tag, 0).written() }
    }

    /// Can it be the same bytes, as far as is known?
    pub(super) fn fits(self, other: Seen) -> bool {
        self.size == other.size && self.version.fits(other.version)
    }
}

/// A store far away, and what is kept of it near.
pub(super) struct Far {
    pub(super) reads: AmazonS3,
    pub(super) writes: AmazonS3,
    pub(super) blocks: Blocks,
    pub(super) rising: Semaphore,
    root: Path,
    hedge: Hedge,
    seen: Cache<Key, (Seen, Instant)>,
}

impl Far {
    pub(super) fn new(address: &Address, access: &Access, blocks: Blocks) -> std::result::Result<Far, Unusable> {
        Ok(Far {
            reads: access.client(address, Patience::READ)?,
            writes: access.client(address, Patience::WRITE)?,
            blocks,
            rising: Semaphore::new(RISING as usize),
            root: below(address, "objects"),
            hedge: Hedge::default(),
            seen: Cache::new(SIZES),
        })
    }

    /// Where an object is.
    pub(super) fn path(&self, key: &Key) -> Path {
        let name = key.to_string();
        Path::from(format!("{}/{}/{name}", self.root, &name[..2]))
    }

    /// Bytes of an object from a range, as many of them as there are, and what the store says of the whole.
    pub(super) async fn get(&self, key: &Key, range: Range<u64>) -> Result<(Bytes, Seen)> {
        let path = self.path(key);
        let got = persist(|| async {
            let ask = || self.reads.get_opts(&path, GetOptions::new().with_range(Some(range.clone())));
            let answer = self.hedge.ask(ask).await?;
            let (seen, wanted) = (Seen::of(&answer.meta), answer.range.clone());
            let bytes = answer.bytes().await?;
            let expected = range.start..range.end.min(seen.size);
            match wanted == expected && bytes.len() as u64 == expected.end.saturating_sub(expected.start) {
                true => Ok((bytes, seen)),
                false => {
                    Err(Error::Generic { store: "S3", source: "it gave another range than it was asked for".into() })
                }
            }
        })
        .await;
        match &got {
            Ok((_, seen)) => self.knows(key, *seen),
            Err(_) => self.forget(key),
        }
        got
    }

    /// What the store says of an object; `None` when there is none.
    pub(super) async fn head(&self, key: &Key) -> Result<Option<ObjectMeta>> {
        let path = self.path(key);
        match persist(|| self.hedge.ask(|| self.reads.head(&path))).await {
            Ok(meta) => {
                self.knows(key, Seen::of(&meta));
                Ok(Some(meta))
            }
            Err(Error::NotFound { .. }) => {
                self.forget(key);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Objects after a key, in order.
    pub(super) async fn list(&self, after: Option<Key>, most: usize) -> Result<Vec<(Key, u64)>> {
        let mut listed = Vec::new();
        let mut entries = match after {
            Some(after) => self.reads.list_with_offset(Some(&self.root), &self.path(&after)),
            None => self.reads.list(Some(&self.root)),
        };
        while listed.len() < most {
            let Some(meta) = entries.try_next().await? else { break };
            // What is no object is not listed.
            let key = meta.location.filename().and_then(Key::parse).filter(|key| self.path(key) == meta.location);
            listed.extend(key.map(|key| (key, meta.size)));
        }
        Ok(listed)
    }

    /// What an object was that was seen not long ago.
    pub(super) fn seen(&self, key: &Key) -> Option<Seen> {
        self.seen.get(key).filter(|(_, when)| when.elapsed() < KNOWN).map(|(seen, _)| seen)
    }

    /// An object was seen. What was written here keeps the version that its blocks have, as long as the store says nothing else of it.
    pub(super) fn knows(&self, key: &Key, seen: Seen) {
        let is_written = |before: &Seen| before.version == before.version.written();
        let before = self.seen.get(key).map(|(before, _)| before);
        let seen = before.filter(|before| is_written(before) && before.fits(seen)).unwrap_or(seen);
        self.seen.insert(*key, (seen, Instant::now()));
    }

    /// An object may not be there.
    pub(super) fn forget(&self, key: &Key) {
        self.seen.remove(key);
    }

    /// An object is gone, whoever removed it: nothing of it stays near, whatever version of it was read.
    pub(super) fn gone(&self, key: &Key) {
        self.blocks.replaced();
        self.blocks.forget(key);
        self.forget(key);
    }

    /// An object was written over, or removed: what is near of what it was is dropped, and what is on its way is not kept.
    pub(super) fn replaced(&self, key: &Key, was: Option<Seen>) {
        self.blocks.replaced();
        let before = self.seen.get(key).map(|(seen, _)| seen);
        for Seen { size, version } in [before, was].into_iter().flatten() {
            self.blocks.remove(*key, version, size);
            self.blocks.remove(*key, version.written(), size);
        }
        self.forget(key);
    }
}

/// A path below the prefix.
pub(super) fn below(address: &Address, name: &str) -> Path {
    match address.prefix.is_empty() {
        true => Path::from(name),
        false => Path::from(format!("{}/{name}", address.prefix)),
    }
}
