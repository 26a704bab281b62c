//! Objects in S3, or in a store that speaks it.
//!
//! An object lies at `objects/<2 hex>/<sha256>`, below the prefix. Writing the same name twice is writing the same bytes, so that a request
//! whose answer was lost is done again without harm. Reads are ranges of whole blocks, kept near ([`Near`]). What fails on the
//! way is tried again, and what is slow is asked for a second time, so that neither reaches who reads.

mod access;
mod address;
mod far;
mod fault;
mod hedge;
mod probe;
mod reader;
mod rise;
#[cfg(test)]
mod tests;
mod unusable;

pub use access::Access;
pub use address::Address;
pub use unusable::Unusable;

use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::join_all;
use object_store::ObjectStoreExt;

use super::blocks::{BLOCK, Blocks, Id, Near};
use super::{Key, Objects, Put, ReadAt};
use crate::runner::Runner;
use crate::spool::Staged;
use access::Patience;
use far::{Far, Seen};
use fault::{is_of_the_way, persist, told};

/// Objects in a bucket.
pub struct S3 {
    far: Arc<Far>,
    runner: Arc<Runner>,
}

impl S3 {
    /// Opens the store, and tries what it must be able to do.
    pub fn open(address: &Address, access: &Access, near: &Near) -> Result<S3, Unusable> {
        // Which one rustls uses is said once for the program; somebody else may have said it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let at = || near.folder.clone().unwrap_or_default();
        let blocks = Blocks::open(near).map_err(|error| Unusable::Cache(at(), error))?;
        let far = Arc::new(Far::new(address, access, blocks)?);
        let runner = Arc::new(Runner::start("objects").map_err(Unusable::Threads)?);
        let (trial, of) = (access.client(address, Patience::PROBE)?, address.clone());
        runner.run(async move { probe::probe(&trial, &of).await }).map_err(Unusable::Threads)??;
        Ok(S3 { far, runner })
    }

    /// What the store says of an object; `None` when there is none.
    fn head(&self, key: &Key) -> io::Result<Option<Seen>> {
        let (far, key) = (self.far.clone(), *key);
        let there = self.runner.run(async move { far.head(&key).await })?.map_err(told)?;
        Ok(there.as_ref().map(Seen::of))
    }

    /// The first block of an object, and what it is: what opens it is what is read of it first.
    fn first(&self, key: &Key, size: u64) -> io::Result<(Bytes, Seen)> {
        let (far, key) = (self.far.clone(), *key);
        let got = self.runner.run(async move {
            if size > 0 {
                match far.get(&key, 0..BLOCK.min(size)).await {
                    // There is no range of nothing.
                    Err(error) if !matches!(error, object_store::Error::NotFound { .. }) && !is_of_the_way(&error) => {
                        let there = far.head(&key).await?;
                        return if there.is_some_and(|there| there.size == 0) { Ok(None) } else { Err(error) };
                    }
                    got => return got.map(Some),
                }
            }
            match far.head(&key).await? {
                None => Err(object_store::Error::NotFound { path: key.to_string(), source: "it is not there".into() }),
                Some(there) if there.size == 0 => Ok(None),
                Some(there) => far.get(&key, 0..BLOCK.min(there.size)).await.map(Some),
            }
        })?;
        Ok(got.map_err(told)?.unwrap_or_default())
    }
}

impl Objects for S3 {
    fn put(&self, staged: Vec<Staged>) -> Vec<io::Result<Put>> {
        let (far, count) = (self.far.clone(), staged.len());
        let rising =
            async move { join_all(staged.into_iter().map(|staged| rise::rise(far.clone(), staged, false))).await };
        self.runner
            .run(rising)
            .unwrap_or_else(|error| (0..count).map(|_| Err(io::Error::new(error.kind(), error.to_string()))).collect())
    }

    fn replace(&self, staged: Staged) -> io::Result<Put> {
        self.runner.run(rise::rise(self.far.clone(), staged, true))?
    }

    fn open(&self, key: &Key, size: u64) -> io::Result<Arc<dyn ReadAt>> {
        let block = |seen: Seen| Id { key: *key, version: seen.version, block: 0 };
        let (first, seen) = match self.far.seen(key) {
            Some(seen) => (self.far.blocks.get(&block(seen)), seen),
            None => {
                let since = self.far.blocks.now();
                let (first, seen) = self.first(key, size)?;
                // The rest of the first block, should the index have known of fewer bytes, is fetched when it is read.
                let whole = first.len() as u64 == BLOCK.min(seen.size);
                if whole && seen.size > 0 {
                    self.far.blocks.insert(block(seen), &first, since);
                }
                (whole.then_some(first), seen)
            }
        };
        let (far, runner) = (self.far.clone(), self.runner.clone());
        Ok(Arc::new(reader::Near { far, runner, key: *key, seen, first, next: Mutex::new(0) }))
    }

    fn open_stored(&self, key: &Key, _size: u64) -> io::Result<Arc<dyn ReadAt>> {
        let seen = self.head(key)?.ok_or(io::ErrorKind::NotFound)?;
        let (far, runner) = (self.far.clone(), self.runner.clone());
        Ok(Arc::new(reader::Direct { far, runner, key: *key, seen, held: Mutex::default() }))
    }

    fn size(&self, key: &Key) -> io::Result<Option<u64>> {
        Ok(self.head(key)?.map(|there| there.size))
    }

    fn remove(&self, key: &Key) -> io::Result<bool> {
        let Some(there) = self.head(key)? else { return Ok(false) };
        let (far, key) = (self.far.clone(), *key);
        self.runner.run(async move {
            let path = far.path(&key);
            far.forget(&key);
            persist(|| far.writes.delete(&path)).await.map_err(told)?;
            far.replaced(&key, Some(there));
            Ok(true)
        })?
    }

    fn forget(&self, key: &Key) {
        self.far.gone(key);
    }

    fn list(&self, after: Option<Key>, most: usize) -> io::Result<Vec<(Key, u64)>> {
        let far = self.far.clone();
        self.runner.run(async move { persist(|| far.list(after, most)).await })?.map_err(told)
    }
}
