//! Received objects may go when the way back to them is proven anew, from what is in the store, and a grace time has passed.
//!
//! The order is: prove, say so in the index, remove the file, note that it is gone. A crash before the index says so changes
//! nothing. A crash after leaves a file that nobody needs: whoever asks for the object finds it there, or has it restored, and the
//! next run removes it. Were the file removed first, a crash would leave an object that the index calls present and that is not.
//!
//! What was released may come again, perhaps because what was converted from it is damaged: its file goes only as any other does, with its
//! way back proven once more.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use store::Key;
use store::index::{Candidate, InstanceKey};

use crate::archive::{Archive, Inner, now};
use crate::error::Error;
use crate::way_back::prove;

/// What became of one received object, told while [`Archive::release_received`] runs.
#[derive(Debug)]
#[non_exhaustive]
pub enum Release {
    /// Its file is gone; it can be restored.
    Gone {
        /// The instance.
        key: InstanceKey,
        /// Bytes that became free.
        bytes: u64,
    },
    /// It is kept: the way back was tried and did not lead to it. It is tried again after another grace time.
    Kept {
        /// The instance.
        key: InstanceKey,
        /// Why.
        error: Error,
    },
}

/// Counts of one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Released {
    /// Objects whose files went.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that are kept because their way back failed.
    pub kept: u64,
}

/// Objects looked at with one look into the index.
const BATCH: u32 = 64;

impl Archive {
    /// Removes the files of received objects that were converted at least `after` ago, each once its way back is proven from what is
    /// in the store. Returns when none is left or `stop` is set; a run that is cut at any moment is taken up by the next.
    pub fn release_received(
        &self,
        after: Duration,
        stop: &AtomicBool,
        progress: &dyn Fn(Release),
    ) -> Result<Released, Error> {
        let inner = &*self.inner;
        let before = now().saturating_sub_unsigned(after.as_secs());
        let (mut done, mut last) = (Released::default(), 0);
        inner.remove_released(before, stop, &mut |told| {
            done.count(&told);
            progress(told);
        })?;
        while !stop.load(Ordering::Relaxed) {
            let batch = inner.index.release_candidates(before, last, BATCH)?;
            let Some(end) = batch.last() else { break };
            last = end.original;
            for candidate in batch {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                if let Some(told) = inner.release(candidate)? {
                    done.count(&told);
                    progress(told);
                }
            }
        }
        Ok(done)
    }
}

impl Released {
    fn count(&mut self, told: &Release) {
        match told {
            Release::Gone { bytes, .. } => {
                self.objects += 1;
                self.bytes += bytes;
            }
            Release::Kept { .. } => self.kept += 1,
        }
    }
}

impl Inner {
    /// `None` when it is not to be released any more: another run did it, or what is handed out has changed.
    fn release(&self, candidate: Candidate) -> Result<Option<Release>, Error> {
        if let Err(error) = self.proven(&candidate) {
            return self.postponed(candidate, error).map(Some);
        }
        let Candidate { original, received, bytes, converted, key, .. } = candidate;
        if !self.index.release(original, &converted)? {
            return Ok(None);
        }
        self.remove(original, &received)?;
        Ok(Some(Release::Gone { key, bytes }))
    }

    /// Removes what an earlier run released and did not come to remove, and what came once more since. What can't be restored stays.
    fn remove_released(&self, before: i64, stop: &AtomicBool, kept: &mut dyn FnMut(Release)) -> Result<(), Error> {
        let mut last = 0;
        while !stop.load(Ordering::Relaxed)
            && let Some(candidate) = self.index.leaving(before, last)?
        {
            last = candidate.original;
            match self.proven(&candidate) {
                Ok(()) => self.remove(candidate.original, &candidate.received)?,
                Err(error) => kept(self.postponed(candidate, error)?),
            }
        }
        Ok(())
    }

    /// Does its way back lead to it, from what is in the store?
    fn proven(&self, candidate: &Candidate) -> Result<(), Error> {
        let object = self.stored_source(&candidate.converted, candidate.converted_bytes)?;
        let residue = self.index.residue(candidate.original)?;
        match prove(&candidate.received, &object, residue, &mut io::sink())? == candidate.bytes {
            true => Ok(()),
            false => Err(Error::NoWayBack("it leads to another length".into())),
        }
    }

    fn postponed(&self, candidate: Candidate, error: Error) -> Result<Release, Error> {
        self.index.postpone_release(candidate.original)?;
        Ok(Release::Kept { key: candidate.key, error })
    }

    fn remove(&self, original: i64, key: &Key) -> Result<(), Error> {
        self.objects.remove(key).map_err(Error::io(format!("removing object {key}")))?;
        Ok(self.index.removed(original)?)
    }
}
