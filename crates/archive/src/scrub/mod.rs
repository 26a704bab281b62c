//! The scrubber: reads and decodes the whole archive again, and compares it with what is known of it.
//!
//! A pass begins with the index ([`rows`]): the sum of every row, and what rows say of each other. Then object by object in the
//! order they came ([`objects`]): there, of its size, of its hash, and, of a converted one, every frame as the evidence says. The place
//! that was reached is in the index, so that a pass goes on where it was stopped. What is wrong is kept as a fault, by name, until it is
//! found healthy again.

mod objects;
mod rows;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, params};

use crate::index::now;
use crate::{Archive, Error, InstanceKey};

/// What a fault is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// An object that the index lists is not in the store.
    Missing,
    /// The bytes of an object are not what was stored.
    Object,
    /// A row of evidence is damaged, or there is none.
    Evidence,
    /// A row of the index is damaged, or rows contradict each other.
    Index,
    /// The bytes are right, and yet the frames are not what the evidence says.
    Samples,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [FaultKind; 5] =
        [FaultKind::Missing, FaultKind::Object, FaultKind::Evidence, FaultKind::Index, FaultKind::Samples];

    /// One word.
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::Missing => "missing",
            FaultKind::Object => "object",
            FaultKind::Evidence => "evidence",
            FaultKind::Index => "index",
            FaultKind::Samples => "samples",
        }
    }

    fn of(name: &str) -> FaultKind {
        FaultKind::ALL.into_iter().find(|kind| kind.name() == name).unwrap_or(FaultKind::Index)
    }
}

/// Something in the archive is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What it is in.
    pub kind: FaultKind,
    /// The object (SHA-256), or the table and the row.
    pub name: String,
    /// The instance it belongs to, where that is known.
    pub instance: Option<InstanceKey>,
    /// In which way.
    pub what: String,
    /// When it was found, in seconds since 1970.
    pub found: i64,
}

/// How a pass is done.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scrub {
    /// Spread a pass over so many days; without it, as fast as it goes.
    pub days: Option<f64>,
    /// Begin anew, where a pass that was stopped would go on.
    pub restart: bool,
}

/// How far a pass is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pass {
    /// When it began, in seconds since 1970.
    pub began: i64,
    /// When it ended.
    pub ended: Option<i64>,
    /// When it last went on.
    pub changed: i64,
    /// Objects looked at.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects of the archive.
    pub of_objects: u64,
    /// Their bytes.
    pub of_bytes: u64,
}

/// Objects between two looks at what is stored of the cursor.
const SAVE: Duration = Duration::from_secs(5);

impl Archive {
    /// Looks at everything, or goes on with a pass that was stopped; returns its state and what it found, when it is done or
    /// `stop` is set. `told` is called for each fault and now and then.
    pub fn scrub(
        &self,
        how: Scrub,
        stop: &AtomicBool,
        told: &mut dyn FnMut(Pass, Option<&Fault>),
    ) -> Result<(Pass, Vec<Fault>), Error> {
        let mut run = Run::begin(self, how)?;
        run.rows(stop, told)?;
        run.objects(how, stop, told)?;
        run.unserved(stop, told)?;
        if !stop.load(Ordering::Relaxed) {
            run.end()?;
        }
        Ok((run.pass, run.faults))
    }

    /// Looks at every row and at the bytes of every object, from beginning to end, and writes nothing of it into the index; samples are
    /// not decoded. `told` is called for each fault and, with how far it is, after each object.
    pub fn audit(&self, stop: &AtomicBool, told: &mut dyn FnMut(Pass, Option<&Fault>)) -> Result<Vec<Fault>, Error> {
        let (of_objects, of_bytes) = self.inner.index.read(|snapshot| totals(snapshot))?;
        let pass = Pass { began: now(), of_objects, of_bytes, ..Pass::default() };
        let (faults, damaged) = (Vec::new(), BTreeSet::new());
        let mut run = Run { archive: self, id: None, cursor: 0, pass, faults, damaged, saved: Instant::now() };
        run.rows(stop, told)?;
        run.objects(Scrub::default(), stop, told)?;
        run.unserved(stop, told)?;
        told(run.pass, None);
        Ok(run.faults)
    }

    /// The pass that is under way, or the last one; `None` before the first.
    pub fn scrub_pass(&self) -> Result<Option<Pass>, Error> {
        self.inner.index.read(|snapshot| {
            let totals = totals(snapshot)?;
            let sql = "SELECT began, ended, changed, objects, bytes FROM scrubs ORDER BY id DESC LIMIT 1";
            let mut last = snapshot.prepare_cached(sql)?;
            let pass = last.query_row([], |row| {
                Ok(Pass {
                    began: row.get(0)?,
                    ended: row.get(1)?,
                    changed: row.get(2)?,
                    objects: row.get(3)?,
                    bytes: row.get(4)?,
                    of_objects: totals.0,
                    of_bytes: totals.1,
                })
            });
            Ok(pass.optional()?)
        })
    }

    /// What was found wrong and not found healthy since.
    pub fn faults(&self) -> Result<Vec<Fault>, Error> {
        self.inner.index.read(|snapshot| {
            let sql = "SELECT kind, name, study, series, sop, what, found FROM faults ORDER BY kind, name";
            let mut faults = snapshot.prepare_cached(sql)?;
            let faults = faults.query_map([], |row| {
                let (study, series, sop) = (row.get(2)?, row.get(3)?, row.get(4)?);
                let key = |study, series, sop| InstanceKey { study, series, sop };
                Ok(Fault {
                    kind: FaultKind::of(&row.get::<_, String>(0)?),
                    name: row.get(1)?,
                    instance: Option::zip(study, series).zip(sop).map(|((study, series), sop)| key(study, series, sop)),
                    what: row.get(5)?,
                    found: row.get(6)?,
                })
            })?;
            Ok(faults.collect::<Result<_, _>>()?)
        })
    }
}

/// Objects and their bytes, as they are counted.
fn totals(index: &Connection) -> Result<(u64, u64), Error> {
    let sum = |like: &str| {
        let sql = "SELECT coalesce(sum(value), 0) FROM totals WHERE name GLOB ?";
        index.prepare_cached(sql)?.query_row([like], |row| row.get::<_, u64>(0))
    };
    Ok((sum("objects[012]")? + sum("unserved")?, sum("bytes[012]")? + sum("unserved_bytes")?))
}

/// One pass, or what is left of one.
struct Run<'a> {
    archive: &'a Archive,
    /// Its row in the index; an audit has none.
    id: Option<i64>,
    cursor: i64,
    pass: Pass,
    faults: Vec<Fault>,
    /// Tables and rows that are damaged: what hangs on them is not told again.
    damaged: BTreeSet<(String, String)>,
    saved: Instant,
}

impl<'a> Run<'a> {
    fn begin(archive: &'a Archive, how: Scrub) -> Result<Run<'a>, Error> {
        let begin = move |index: &Connection| {
            let open =
                "SELECT id, cursor, began, objects, bytes FROM scrubs WHERE ended IS NULL ORDER BY id DESC LIMIT 1";
            let open = index.query_row(open, [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get::<_, u64>(4)?))
            });
            match open.optional()?.filter(|_| !how.restart) {
                Some(open) => Ok::<(i64, i64, i64, u64, u64), Error>(open),
                None => {
                    index.execute("DELETE FROM scrubs WHERE ended IS NULL", [])?;
                    // The number of a pass that was given up may come again: what it found is of none.
                    index.execute("UPDATE faults SET scrub = 0", [])?;
                    let sql = "INSERT INTO scrubs (began, changed, cursor, objects, bytes) VALUES (?1, ?1, 0, 0, 0)";
                    index.execute(sql, [now()])?;
                    Ok((index.last_insert_rowid(), 0, now(), 0, 0))
                }
            }
        };
        let (id, cursor, began, objects, bytes) = archive.inner.index.write(begin)?;
        let (of_objects, of_bytes) = archive.inner.index.read(|snapshot| totals(snapshot))?;
        let pass = Pass { began, ended: None, changed: now(), objects, bytes, of_objects, of_bytes };
        let (faults, damaged) = (Vec::new(), BTreeSet::new());
        let id = Some(id);
        Ok(Run { archive, id, cursor, pass, faults, damaged, saved: Instant::now() })
    }

    fn found(&mut self, fault: Fault, told: &mut dyn FnMut(Pass, Option<&Fault>)) -> Result<(), Error> {
        let Some(id) = self.id else {
            told(self.pass, Some(&fault));
            self.faults.push(fault);
            return Ok(());
        };
        let row = fault.clone();
        self.archive.inner.index.write(move |index| {
            let sql = "INSERT OR REPLACE INTO faults (kind, name, study, series, sop, what, found, scrub) \
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
            let key = row.instance.as_ref();
            let of = |part: fn(&InstanceKey) -> &String| key.map(|key| part(key).clone());
            index.prepare_cached(sql)?.execute(params![
                row.kind.name(),
                row.name,
                of(|k| &k.study),
                of(|k| &k.series),
                of(|k| &k.sop),
                row.what,
                row.found,
                id
            ])?;
            Ok(())
        })?;
        told(self.pass, Some(&fault));
        self.faults.push(fault);
        Ok(())
    }

    fn save(&mut self) -> Result<(), Error> {
        self.saved = Instant::now();
        let (cursor, objects, bytes) = (self.cursor, self.pass.objects, self.pass.bytes);
        let Some(id) = self.id else { return Ok(()) };
        self.archive.inner.index.write(move |index| {
            let sql = "UPDATE scrubs SET cursor = ?, objects = ?, bytes = ?, changed = ? WHERE id = ?";
            index.prepare_cached(sql)?.execute(params![cursor, objects, bytes, now(), id])?;
            Ok(())
        })
    }

    /// The pass is done: faults of earlier passes that it did not find again are healed.
    fn end(&mut self) -> Result<(), Error> {
        self.save()?;
        self.pass.ended = Some(now());
        let (id, ended) = (self.id, self.pass.ended);
        self.archive.inner.index.write(move |index| {
            index.execute("UPDATE scrubs SET ended = ? WHERE id = ?", params![ended, id])?;
            index.execute("DELETE FROM faults WHERE scrub < ?", [id])?;
            Ok(())
        })
    }
}
