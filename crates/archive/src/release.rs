//! Received objects may go when the way back to them is proven anew, from what is in the store, and a grace time has passed.
//!
//! The order is: prove, say so in the index, remove the file, note that it is gone. A crash before the index says so changes
//! nothing. A crash after leaves a file that nobody needs: whoever asks for the object finds it there, or has it restored, and the
//! next run removes it. Were the file removed first, a crash would leave an object that the index calls present and that is not.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::{OptionalExtension, params};
use store::Key;

use crate::archive::Inner;
use crate::index::now;
use crate::way_back::prove;
use crate::{Archive, Error, InstanceKey};

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

/// A received object whose way back is to be proven.
struct Candidate {
    original: i64,
    received: Key,
    bytes: u64,
    converted: Key,
    converted_bytes: u64,
    key: InstanceKey,
}

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
        inner.remove_released(stop)?;
        let (mut done, mut last) = (Released::default(), 0);
        let before = now().saturating_sub_unsigned(after.as_secs());
        while !stop.load(Ordering::Relaxed) {
            let batch = inner.candidates(before, last)?;
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
        let Candidate { original, received, bytes, converted, converted_bytes, key } = candidate;
        let proven = self
            .stored_source(&converted, converted_bytes)
            .and_then(|object| prove(&received, &object, self.residue(original)?, &mut io::sink()))
            .and_then(
                |len| if len == bytes { Ok(()) } else { Err(Error::NoWayBack("it leads to another length".into())) },
            );
        if let Err(error) = proven {
            self.index.write(move |index| {
                index.prepare_cached("UPDATE ways_back SET made = ? WHERE original = ?")?.execute([now(), original])?;
                Ok(())
            })?;
            return Ok(Some(Release::Kept { key, error }));
        }
        let released = self.index.write(move |index| {
            // Looked at again: what was proven must still be what is handed out.
            let sql = "UPDATE ways_back SET released = ?1 WHERE original = ?2 AND released IS NULL AND object = \
                 (SELECT i.object FROM instances i JOIN objects c ON c.id = i.object WHERE i.received = ?2 AND c.key = ?3)";
            Ok(index.prepare_cached(sql)?.execute(params![now(), original, converted.as_bytes()])? == 1)
        })?;
        if !released {
            return Ok(None);
        }
        self.remove(original, &received)?;
        Ok(Some(Release::Gone { key, bytes }))
    }

    /// Removes what an earlier run released and did not come to remove, and what came once more since.
    fn remove_released(&self, stop: &AtomicBool) -> Result<(), Error> {
        let sql = "SELECT w.original, r.key FROM ways_back w JOIN objects r ON r.id = w.original \
             WHERE w.released IS NOT NULL AND w.removed IS NULL ORDER BY w.original LIMIT 1";
        let next = || {
            self.index.read(|snapshot| {
                let mut statement = snapshot.prepare_cached(sql)?;
                Ok(statement.query_row([], |row| Ok((row.get(0)?, Key::new(row.get(1)?)))).optional()?)
            })
        };
        while !stop.load(Ordering::Relaxed)
            && let Some((original, key)) = next()?
        {
            self.remove(original, &key)?;
        }
        Ok(())
    }

    fn remove(&self, original: i64, key: &Key) -> Result<(), Error> {
        self.objects.remove(key).map_err(Error::io(format!("removing object {key}")))?;
        self.index.write(move |index| {
            let sql = "UPDATE ways_back SET removed = ? WHERE original = ?";
            index.prepare_cached(sql)?.execute([now(), original])?;
            Ok(())
        })
    }

    fn residue(&self, original: i64) -> Result<Vec<u8>, Error> {
        self.index.read(|snapshot| {
            let mut statement = snapshot.prepare_cached("SELECT residue FROM ways_back WHERE original = ?")?;
            Ok(statement.query_row([original], |row| row.get(0))?)
        })
    }

    /// Received objects after `last` that were converted before a time, and are not what is handed out.
    fn candidates(&self, before: i64, last: i64) -> Result<Vec<Candidate>, Error> {
        let sql = "SELECT w.original, r.key, r.bytes, c.key, c.bytes, s.uid, e.uid, i.uid FROM ways_back w \
             JOIN objects r ON r.id = w.original JOIN objects c ON c.id = w.object \
             JOIN instances i ON i.id = r.instance AND i.received = r.id AND i.object = c.id \
             JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study \
             WHERE w.residue IS NOT NULL AND w.released IS NULL AND w.original > ?1 AND w.made <= ?2 AND r.id <> c.id \
             ORDER BY w.original LIMIT ?3";
        self.index.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(sql)?;
            let candidates = statement.query_map(params![last, before, BATCH], |row| {
                Ok(Candidate {
                    original: row.get(0)?,
                    received: Key::new(row.get(1)?),
                    bytes: row.get(2)?,
                    converted: Key::new(row.get(3)?),
                    converted_bytes: row.get(4)?,
                    key: InstanceKey { study: row.get(5)?, series: row.get(6)?, sop: row.get(7)? },
                })
            })?;
            Ok(candidates.collect::<Result<_, _>>()?)
        })
    }
}
