//! Reading an object of a store far away, as if it were a file.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::future::join_all;

use super::far::{Far, Seen};
use super::fault::told;
use crate::objects::blocks::{BLOCK, Claim, Id, Mine};
use crate::objects::{Key, ReadAt};
use crate::runner::Runner;

/// Blocks of one request; more are asked for by several at once.
const RUN: usize = 8;
/// Blocks that one read has in memory at once.
const WINDOW: u64 = 32;
/// Blocks fetched ahead of who reads on and on.
const AHEAD: u64 = 3;
/// Bytes of a request that goes past the caches.
const PAST: u64 = 4 << 20;

/// An object, read in blocks that are kept near.
pub(super) struct Near {
    pub(super) far: Arc<Far>,
    pub(super) runner: Arc<Runner>,
    pub(super) key: Key,
    /// What it was when it was opened.
    pub(super) seen: Seen,
    /// The first block: small objects are this, and it is read on when the object is gone.
    pub(super) first: Option<Bytes>,
    /// Where a read that goes on begins.
    pub(super) next: Mutex<u64>,
}

impl ReadAt for Near {
    fn size(&self) -> u64 {
        self.seen.size
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = end(offset, buf, self.seen.size)?;
        if buf.is_empty() {
            return Ok(());
        }
        let goes_on = std::mem::replace(&mut *self.next.lock().unwrap_or_else(PoisonError::into_inner), end) == offset;
        let mut at = offset;
        while at < end {
            let first = at / BLOCK;
            let until = end.min((first + WINDOW) * BLOCK);
            let blocks = self.blocks(first..until.div_ceil(BLOCK), goes_on && offset > 0)?;
            for (n, block) in (first..).zip(blocks) {
                let from = at.max(n * BLOCK);
                let to = until.min((n + 1) * BLOCK);
                let part = block.get((from - n * BLOCK) as usize..(to - n * BLOCK) as usize);
                let part = part.ok_or(io::ErrorKind::UnexpectedEof)?;
                buf[(from - offset) as usize..(to - offset) as usize].copy_from_slice(part);
            }
            at = until;
        }
        Ok(())
    }
}

impl Near {
    /// The blocks, from where they are nearest.
    fn blocks(&self, wanted: Range<u64>, goes_on: bool) -> io::Result<Vec<Bytes>> {
        let mut have: Vec<Option<Bytes>> = wanted.clone().map(|n| self.near(n)).collect();
        let missing: Vec<u64> = wanted.clone().zip(&have).filter(|(_, have)| have.is_none()).map(|(n, _)| n).collect();
        if !missing.is_empty() {
            let (mut mine, mut theirs) = (Vec::new(), Vec::new());
            for n in missing {
                match self.far.blocks.claim(self.id(n)) {
                    Claim::Mine(claim) => mine.push(claim),
                    Claim::Theirs(flight) => theirs.push((n, flight)),
                }
            }
            if goes_on && !mine.is_empty() {
                self.add_ahead(wanted.end, &mut mine);
            }
            for (n, block) in self.fetch(mine)? {
                if let Some(slot) = have.get_mut((n - wanted.start) as usize) {
                    *slot = Some(block);
                }
            }
            for (n, flight) in theirs {
                have[(n - wanted.start) as usize] = Some(flight.wait()?);
            }
        }
        have.into_iter().map(|block| block.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())).collect()
    }

    fn id(&self, block: u64) -> Id {
        Id { key: self.key, version: self.seen.version, block }
    }

    fn near(&self, n: u64) -> Option<Bytes> {
        let first = self.first.clone().filter(|_| n == 0);
        first.or_else(|| self.far.blocks.get(&self.id(n)))
    }

    /// Blocks behind those that are wanted go along.
    fn add_ahead<'a>(&'a self, from: u64, mine: &mut Vec<Mine<'a>>) {
        for n in (from..self.seen.size.div_ceil(BLOCK)).take(AHEAD as usize) {
            if self.near(n).is_some() {
                break;
            }
            match self.far.blocks.claim(self.id(n)) {
                Claim::Mine(claim) => mine.push(claim),
                Claim::Theirs(_) => break,
            }
        }
    }

    /// Fetches what was claimed: neighbours in one request, all requests at once.
    fn fetch(&self, mine: Vec<Mine<'_>>) -> io::Result<Vec<(u64, Bytes)>> {
        let mut runs: Vec<Range<u64>> = Vec::new();
        for n in mine.iter().map(|claim| claim.id.block) {
            match runs.last_mut().filter(|run| run.end == n && run.end - run.start < RUN as u64) {
                Some(run) => run.end += 1,
                None => runs.push(n..n + 1),
            }
        }
        let (far, key, size, asked) = (self.far.clone(), self.key, self.seen.size, runs.clone());
        let got = self.runner.run(async move {
            let get = |run: Range<u64>| far.get(&key, run.start * BLOCK..size.min(run.end * BLOCK));
            join_all(asked.into_iter().map(get).collect::<Vec<_>>()).await
        })?;
        let (mut fetched, mut failed, mut claims) = (Vec::new(), None, mine.into_iter());
        for (run, got) in runs.into_iter().zip(got) {
            let got = got.map_err(told).and_then(|(bytes, now)| same(self.seen, now).map(|()| bytes));
            for (n, claim) in run.clone().zip(claims.by_ref()) {
                let block = got.as_ref().map(|bytes| slice(bytes, (n - run.start) * BLOCK));
                if let Ok(block) = &block {
                    self.far.blocks.insert(claim.id, block, claim.since);
                    fetched.push((n, block.clone()));
                }
                claim.land(block.as_ref().map_err(|error| *error));
            }
            failed = failed.or(got.err());
        }
        failed.map_or(Ok(fetched), Err)
    }
}

/// Bytes of an object that was replaced since it was opened are not mixed with those that it had.
fn same(opened: Seen, now: Seen) -> io::Result<()> {
    match opened.fits(now) {
        true => Ok(()),
        false => Err(io::Error::other("the object was replaced while it was read")),
    }
}

/// A block of its own, so that keeping it does not keep all that came with it.
fn slice(bytes: &Bytes, from: u64) -> Bytes {
    let from = (from as usize).min(bytes.len());
    let to = (from + BLOCK as usize).min(bytes.len());
    match (from, to) == (0, bytes.len()) {
        true => bytes.clone(),
        false => Bytes::copy_from_slice(&bytes[from..to]),
    }
}

/// An object, read from the store itself: what is to be proven is not what is kept near.
pub(super) struct Direct {
    pub(super) far: Arc<Far>,
    pub(super) runner: Arc<Runner>,
    pub(super) key: Key,
    /// What it was when it was opened.
    pub(super) seen: Seen,
    /// The last answer, and where it begins.
    pub(super) held: Mutex<(u64, Bytes)>,
}

impl ReadAt for Direct {
    fn size(&self) -> u64 {
        self.seen.size
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        end(offset, buf, self.seen.size)?;
        let mut filled = 0;
        while filled < buf.len() {
            let at = offset + filled as u64;
            let (from, held) = self.held.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let inside = at.checked_sub(from).and_then(|skip| held.get(usize::try_from(skip).ok()?..));
            match inside.filter(|bytes| !bytes.is_empty()) {
                Some(bytes) => {
                    let n = bytes.len().min(buf.len() - filled);
                    buf[filled..filled + n].copy_from_slice(&bytes[..n]);
                    filled += n;
                }
                None => self.hold(at)?,
            }
        }
        Ok(())
    }
}

impl Direct {
    fn hold(&self, from: u64) -> io::Result<()> {
        let (far, key, until) = (self.far.clone(), self.key, self.seen.size.min(from + PAST));
        let (bytes, now) = self.runner.run(async move { far.get(&key, from..until).await })?.map_err(told)?;
        same(self.seen, now)?;
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = (from, bytes);
        Ok(())
    }
}

/// Where a read ends, if the object goes so far.
fn end(offset: u64, buf: &[u8], size: u64) -> io::Result<u64> {
    let end = offset.checked_add(buf.len() as u64).filter(|end| *end <= size);
    end.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
