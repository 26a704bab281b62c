//! The objects: each is there, of its size and its hash, and its frames are what the evidence says.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, Row, params};
use store::{Key, objects};
use transcode::{Context, FrameEvidence};

use super::{Fault, FaultKind, Pass, Run, SAVE, Scrub};
use crate::evidence::unpack;
use crate::index::{now, tables};
use crate::ingest::CONVERTED;
use crate::{Error, InstanceKey};

/// Objects taken from the index at once.
const BATCH: u32 = 64;
/// Work that an object costs beside its bytes.
const EACH: u64 = 16 << 10;
/// How long a sleep lasts before the stop is looked at.
const NAP: Duration = Duration::from_millis(200);

/// An object as the index lists it.
struct Listed {
    id: i64,
    key: Option<Key>,
    bytes: u64,
    role: i64,
    instance: Option<InstanceKey>,
    /// The row is what was written.
    whole: bool,
}

/// What the evidence says of a converted object.
struct Told {
    frames: Vec<u8>,
    samples_sha256: String,
    whole: bool,
}

impl Run<'_> {
    pub(super) fn objects(
        &mut self,
        how: Scrub,
        stop: &AtomicBool,
        told: &mut dyn FnMut(Pass, Option<&Fault>),
    ) -> Result<(), Error> {
        let mut context = Context::default();
        let mut pace = Pace::new(how.days, self.pass);
        loop {
            let batch = self.batch()?;
            if batch.is_empty() {
                return Ok(());
            }
            for object in batch {
                if stop.load(Ordering::Relaxed) {
                    return self.save();
                }
                if let Some((kind, what)) = self.look(&object, &mut context)? {
                    let name = object.key.map(|key| key.to_string()).unwrap_or_default();
                    let name = if kind == FaultKind::Evidence { format!("object {name}") } else { name };
                    let instance = object.instance.clone();
                    self.found(Fault { kind, name, instance, what, found: now() }, told)?;
                }
                self.cursor = object.id;
                self.pass.objects += 1;
                self.pass.bytes = self.pass.bytes.saturating_add(object.bytes);
                if self.id.is_none() {
                    told(self.pass, None);
                } else if self.saved.elapsed() >= SAVE {
                    self.save()?;
                    told(self.pass, None);
                }
                pace.rest(object.bytes, stop);
            }
        }
    }

    /// What is kept and not served: there, of its size and its hash.
    pub(super) fn unserved(
        &mut self,
        stop: &AtomicBool,
        told: &mut dyn FnMut(Pass, Option<&Fault>),
    ) -> Result<(), Error> {
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (mut seen, mut bytes) = (0, 0);
        for object in self.archive.unserved()? {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let Some(key) = Key::parse(&object.object_id) else { continue };
            if let Some((kind, what)) = self.whole(&key, object.bytes)? {
                self.found(Fault { kind, name: object.object_id, instance: None, what, found: now() }, told)?;
            }
            (seen, bytes) = (seen + 1, bytes + object.bytes);
        }
        self.pass.objects += seen;
        self.pass.bytes = self.pass.bytes.saturating_add(bytes);
        Ok(())
    }

    /// Is an object there, and what was stored?
    fn whole(&self, key: &Key, bytes: u64) -> Result<Option<(FaultKind, String)>, Error> {
        let objects = &*self.archive.inner.objects;
        match objects.size(key).map_err(Error::io("looking for an object"))? {
            None => return Ok(Some((FaultKind::Missing, format!("{bytes} bytes are not there")))),
            Some(size) if size != bytes => {
                return Ok(Some((FaultKind::Object, format!("it has {size} bytes instead of {bytes}"))));
            }
            Some(_) => {}
        }
        Ok(match objects::hash(objects, key, bytes) {
            Ok(found) if found == *key => None,
            Ok(_) => Some((FaultKind::Object, "its bytes are not what was stored".into())),
            Err(error) => Some((FaultKind::Object, format!("it cannot be read: {error}"))),
        })
    }

    fn batch(&self) -> Result<Vec<Listed>, Error> {
        let after = self.cursor;
        self.archive.inner.index.read(|snapshot| {
            let sealed = tables(snapshot)?;
            let sum = |name: &str, alias: &str| {
                let table = sealed.iter().find(|table| table.name == name);
                table.map_or_else(|| "NULL".into(), |table| table.expression(alias))
            };
            let sql = format!(
                "SELECT o.id, o.key, o.bytes, o.role, s.uid, e.uid, i.uid, o.sum IS {} FROM objects o \
                 LEFT JOIN instances i ON i.id = o.instance LEFT JOIN series e ON e.id = i.series \
                 LEFT JOIN studies s ON s.id = e.study WHERE o.id > ? ORDER BY o.id LIMIT ?",
                sum("objects", "o")
            );
            let mut rows = snapshot.prepare(&sql)?;
            Ok(rows.query_map(params![after, BATCH], Listed::of)?.collect::<Result<Vec<_>, _>>()?)
        })
    }

    /// What is wrong with an object; rows that are damaged were told before.
    fn look(&self, object: &Listed, context: &mut Context) -> Result<Option<(FaultKind, String)>, Error> {
        let Some(key) = object.key.filter(|_| object.whole) else { return Ok(None) };
        match self.whole(&key, object.bytes)? {
            None => {}
            Some((FaultKind::Missing, _)) if self.released(object.id)? => return Ok(None),
            fault => return Ok(fault),
        }
        let inner = &self.archive.inner;
        if object.role != CONVERTED || self.id.is_none() {
            return Ok(None);
        }
        let Some(evidence) = inner.index.read(|snapshot| Told::find(snapshot, object.id))? else { return Ok(None) };
        if !evidence.whole {
            return Ok(None);
        }
        let Ok(frames) = unpack(&evidence.frames) else {
            return Ok(Some((FaultKind::Evidence, "its evidence cannot be read".into())));
        };
        Ok(self.decode((&key, object.bytes), &frames, &evidence.samples_sha256, context))
    }

    fn decode(
        &self,
        (key, bytes): (&Key, u64),
        frames: &[FrameEvidence],
        samples_sha256: &str,
        context: &mut Context,
    ) -> Option<(FaultKind, String)> {
        let inner = &self.archive.inner;
        let decoded = catch_unwind(AssertUnwindSafe(|| {
            let source = inner.source(key, bytes).map_err(|error| error.to_string())?;
            transcode::recheck(&source, frames, samples_sha256, context).map_err(|error| error.to_string())
        }));
        match decoded {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some((FaultKind::Samples, error)),
            Err(_) => {
                *context = Context::default();
                Some((FaultKind::Samples, "the decoder gave up on it".into()))
            }
        }
    }

    /// Was the object given up on purpose, because there is a way back to it?
    fn released(&self, object: i64) -> Result<bool, Error> {
        self.archive.inner.index.read(|snapshot| {
            let has = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'ways_back'";
            if snapshot.query_row(has, [], |_| Ok(())).optional()?.is_none() {
                return Ok(false);
            }
            let sql = "SELECT 1 FROM ways_back WHERE original = ? AND released IS NOT NULL";
            Ok(snapshot.query_row(sql, [object], |_| Ok(())).optional()?.is_some())
        })
    }
}

impl Listed {
    fn of(row: &Row<'_>) -> rusqlite::Result<Listed> {
        let uid = |n| Ok::<_, rusqlite::Error>(row.get_ref(n)?.as_str().ok().map(str::to_owned));
        let (study, series, sop) = (uid(4)?, uid(5)?, uid(6)?);
        let key: Option<[u8; 32]> = row.get_ref(1)?.as_blob().ok().and_then(|bytes| bytes.try_into().ok());
        Ok(Listed {
            id: row.get(0)?,
            key: key.map(Key::new),
            bytes: row.get(2).unwrap_or(0),
            role: row.get(3).unwrap_or(0),
            instance: Option::zip(study, series).zip(sop).map(|((study, series), sop)| InstanceKey {
                study,
                series,
                sop,
            }),
            whole: row.get(7)?,
        })
    }
}

impl Told {
    /// The newest evidence of a converted object.
    fn find(index: &Connection, object: i64) -> Result<Option<Told>, Error> {
        let sealed = tables(index)?;
        let Some(table) = sealed.iter().find(|table| table.name == "evidence") else { return Ok(None) };
        let sql = format!(
            "SELECT frames, samples_sha256, sum IS {} FROM evidence v WHERE to_object = ? ORDER BY id DESC LIMIT 1",
            table.expression("v")
        );
        let mut find = index.prepare_cached(&sql)?;
        let found = find.query_row([object], |row| {
            let whole: bool = row.get(2)?;
            let (frames, samples_sha256) = if whole { (row.get(0)?, row.get(1)?) } else { Default::default() };
            Ok(Told { frames, samples_sha256, whole })
        });
        Ok(found.optional()?)
    }
}

/// Spreads a pass over its days: after each object, a rest in proportion to its share of the archive.
struct Pace {
    /// Seconds for each unit of work; none when in a hurry.
    each: Option<f64>,
    due: f64,
    began: Instant,
}

impl Pace {
    fn new(days: Option<f64>, pass: Pass) -> Pace {
        let work = (pass.of_bytes + pass.of_objects * EACH).max(1) as f64;
        Pace { each: days.map(|days| days * 86_400.0 / work), due: 0.0, began: Instant::now() }
    }

    fn rest(&mut self, bytes: u64, stop: &AtomicBool) {
        let Some(each) = self.each else { return };
        self.due += (bytes + EACH) as f64 * each;
        while !stop.load(Ordering::Relaxed) {
            let ahead = self.due - self.began.elapsed().as_secs_f64();
            if ahead <= 0.0 {
                return;
            }
            thread::sleep(NAP.min(Duration::from_secs_f64(ahead)));
        }
    }
}
