//! Ingest: received bytes made durable as they came, then indexed, then acknowledged.
//!
//! A crash before the index is committed leaves an object without a row. Nobody was told that it is stored; it
//! does no harm, and becomes the object of the next attempt to store the same bytes.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::{panic, thread};

use dicom::Source;
use rusqlite::{Connection, OptionalExtension, params};
use store::{Key, Staged, objects};

use crate::archive::Inner;
use crate::attributes::Record;
use crate::index::{Index, Ticket, encode_frames, now};
use crate::instance::{facts_json, frame_table};
use crate::{Archive, Error, InstanceKey, unserved, way_back};

/// How an ingest ended; in every case the bytes are durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ingested {
    /// A new instance.
    Stored(InstanceKey),
    /// The very bytes were already there.
    Duplicate(InstanceKey),
    /// Other bytes are already stored under the same UIDs: both are kept, the first stays listed.
    Conflict(InstanceKey),
}

impl Ingested {
    /// The instance the bytes belong to.
    pub fn key(&self) -> &InstanceKey {
        match self {
            Ingested::Stored(key) | Ingested::Duplicate(key) | Ingested::Conflict(key) => key,
        }
    }
}

/// An object kept beside the one that is listed under the same UIDs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// The UIDs of both.
    pub key: InstanceKey,
    /// SHA-256 of this object, hexadecimal.
    pub object_id: String,
    /// Its bytes.
    pub size: u64,
    /// When it came, in seconds since 1970.
    pub stored: i64,
}

/// Objects a thread of [`Archive::ingest_all`] may have stored while their rows wait for a commit.
const AHEAD: usize = 64;

/// What is being done when an object is put in its place.
const STORING: &str = "storing the object";

pub(crate) const RECEIVED: i64 = 0;
pub(crate) const CONVERTED: i64 = 1;
pub(crate) const BESIDE: i64 = 2;

impl Archive {
    /// Stores one file as it is; durable when this returns.
    pub fn ingest(&self, path: &Path) -> Result<Ingested, Error> {
        self.begin_file(path)?.wait()
    }

    /// Stores bytes held in memory; durable when this returns.
    pub fn ingest_bytes(&self, bytes: &[u8]) -> Result<Ingested, Error> {
        self.ingest_reader(&mut &bytes[..])
    }

    /// Stores what a stream delivers, in bounded memory; durable when this returns.
    pub fn ingest_reader(&self, bytes: &mut dyn Read) -> Result<Ingested, Error> {
        self.begin(bytes)?.wait()
    }

    /// Stores many files with `jobs` threads, committing many at once. `told` is called for each, in the calling
    /// thread, when it is durable or refused; after `stop` is set no more files are begun.
    pub fn ingest_all(
        &self,
        paths: impl Iterator<Item = PathBuf> + Send,
        jobs: usize,
        stop: &AtomicBool,
        told: &mut dyn FnMut(&Path, Result<Ingested, Error>),
    ) {
        let paths = Mutex::new(paths);
        let next = || match stop.load(Ordering::Relaxed) {
            true => None,
            false => paths.lock().ok()?.next(),
        };
        let (tell, answers) = channel();
        thread::scope(|scope| {
            for _ in 0..jobs.max(1) {
                let (tell, next) = (tell.clone(), &next);
                scope.spawn(move || {
                    let mut ahead: VecDeque<(PathBuf, Ticket<Ingested>)> = VecDeque::new();
                    while let Some(path) = next() {
                        match self.begin_file(&path) {
                            Ok(ticket) => ahead.push_back((path, ticket)),
                            Err(e) => drop(tell.send((path, Err(e)))),
                        }
                        if ahead.len() == AHEAD {
                            for (path, ticket) in ahead.drain(..AHEAD / 2) {
                                let _ = tell.send((path, ticket.wait()));
                            }
                        }
                    }
                    for (path, ticket) in ahead {
                        let _ = tell.send((path, ticket.wait()));
                    }
                });
            }
            drop(tell);
            for (path, result) in answers {
                told(&path, result);
            }
        });
    }

    /// Objects that came under the UIDs of others and were kept beside them, in the order they came.
    pub fn conflicts(&self) -> Result<Vec<Beside>, Error> {
        let sql = "SELECT s.uid, e.uid, i.uid, o.key, o.bytes, o.stored FROM objects o \
             JOIN instances i ON i.id = o.instance JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study \
             WHERE o.role = 2 ORDER BY o.id";
        self.inner.index.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(sql)?;
            let beside = statement.query_map([], |row| {
                Ok(Beside {
                    key: InstanceKey { study: row.get(0)?, series: row.get(1)?, sop: row.get(2)? },
                    object_id: Key::new(row.get(3)?).to_string(),
                    size: row.get(4)?,
                    stored: row.get(5)?,
                })
            })?;
            Ok(beside.collect::<Result<_, _>>()?)
        })
    }

    fn begin_file(&self, path: &Path) -> Result<Ticket<Ingested>, Error> {
        let mut file = File::open(path).map_err(Error::io(format!("opening {}", path.display())))?;
        self.begin(&mut file)
    }

    fn begin(&self, bytes: &mut dyn Read) -> Result<Ticket<Ingested>, Error> {
        self.submit(self.receive(bytes)?)
    }

    /// Takes what a stream delivers into the spool, in bounded memory, and reads what the index will know of it. Nothing is stored yet.
    pub fn receive(&self, bytes: &mut dyn Read) -> Result<Candidate, Error> {
        let staged = self.spool(bytes)?;
        let source = open(staged.path())?;
        let row = Received {
            record: Record::of(&source).map_err(no_instance)?,
            key: staged.key(),
            bytes: staged.size(),
            syntax: source.facts().transfer_syntax.uid().to_owned(),
            facts: facts_json(source.facts()),
            frames: encode_frames(&frame_table(&source)),
        };
        drop(source);
        Ok(Candidate { staged, row })
    }

    /// Takes what a stream delivers into the spool, whatever it is. Dropped, it is removed.
    pub fn spool(&self, bytes: &mut dyn Read) -> Result<Staged, Error> {
        self.inner.spool.stage(bytes).map_err(Error::io("storing what was received"))
    }

    /// Makes the object durable and hands its row to the index; the ticket is the acknowledgement.
    pub fn submit(&self, candidate: Candidate) -> Result<Ticket<Ingested>, Error> {
        self.submit_all(vec![candidate]).pop().unwrap_or(Err(Error::Closed))
    }

    /// As [`Archive::submit`], for many: their rows are handed over together once all objects are durable, so that one commit serves
    /// all. The answers are in the order of what was handed in.
    pub fn submit_all(&self, candidates: Vec<Candidate>) -> Vec<Result<Ticket<Ingested>, Error>> {
        let (staged, rows): (Vec<_>, Vec<_>) = candidates.into_iter().map(|one| (one.staged, one.row)).unzip();
        let durable = self.inner.put_all(staged);
        rows.into_iter().zip(durable).map(|(row, durable)| durable.map(|()| row.submit(&self.inner.index))).collect()
    }

    /// Bytes that the storage has room for, where objects are received.
    pub fn room(&self) -> Result<u64, Error> {
        let folder = self.inner.spool.folder();
        let told =
            rustix::fs::statvfs(folder).map_err(|e| Error::io("asking for the room on the storage")(e.into()))?;
        Ok(told.f_bavail.saturating_mul(told.f_frsize))
    }
}

impl Inner {
    /// Puts an object in its place. One that is there stays, unless the scrubber found that its bytes are not what was stored.
    pub(crate) fn put_whole(&self, staged: Staged) -> Result<(), Error> {
        self.put_all(vec![staged]).pop().unwrap_or(Err(Error::Closed))
    }

    /// The same for many, with one wait for all; one answer for each, in order.
    fn put_all(&self, staged: Vec<Staged>) -> Vec<Result<(), Error>> {
        let (mut put, mut sound, mut places) = (Vec::with_capacity(staged.len()), Vec::new(), Vec::new());
        for staged in staged {
            match self.is_damaged(&staged) {
                Ok(false) => {
                    places.push(put.len());
                    sound.push(staged);
                    put.push(Ok(()));
                }
                Ok(true) => put.push(self.objects.replace(staged).map(drop).map_err(Error::io(STORING))),
                Err(error) => put.push(Err(error)),
            }
        }
        for (place, done) in places.into_iter().zip(self.objects.put(sound)) {
            put[place] = done.map(drop).map_err(Error::io(STORING));
        }
        put
    }

    /// Is the object there, and are its bytes not what was stored?
    fn is_damaged(&self, staged: &Staged) -> Result<bool, Error> {
        let (key, size) = (staged.key(), staged.size());
        let there = self.objects.size(&key).map_err(Error::io(STORING))? == Some(size);
        Ok(there
            && self.index.read(|snapshot| is_faulty(snapshot, &key))?
            && !objects::hash(&*self.objects, &key, size).is_ok_and(|found| found == key))
    }
}

/// Has the scrubber a fault of this object on its list?
fn is_faulty(index: &Connection, key: &Key) -> Result<bool, Error> {
    let mut find =
        index.prepare_cached("SELECT 1 FROM faults WHERE kind IN ('object', 'missing', 'samples') AND name = ?")?;
    Ok(find.exists([key.to_string()])?)
}

/// An object was put in its place, whole: what the scrubber found wrong with its bytes is mended.
pub(crate) fn healed(index: &Connection, key: &Key) -> Result<(), Error> {
    let mut heal = index.prepare_cached("DELETE FROM faults WHERE kind IN ('object', 'missing') AND name = ?")?;
    heal.execute([key.to_string()])?;
    Ok(())
}

/// What was converted from it is damaged or missing: it is made once more.
fn convert_anew(index: &Connection, instance: i64) -> Result<(), Error> {
    let sql = "UPDATE jobs SET state = 0, run = NULL, changed = ? WHERE instance = ? AND state = 2 AND EXISTS \
         (SELECT 1 FROM instances i JOIN objects o ON o.id = i.object JOIN faults f ON f.name = lower(hex(o.key)) \
         WHERE i.id = jobs.instance AND f.kind IN ('object', 'missing'))";
    index.prepare_cached(sql)?.execute(params![now(), instance])?;
    Ok(())
}

/// It can be opened, and has not what an instance needs.
fn no_instance(error: Error) -> Error {
    match error {
        Error::Refused(why) => Error::NoInstance(why),
        other => other,
    }
}

/// Opens what was received; whatever is wrong with it is a reason to refuse it.
fn open(path: &Path) -> Result<Source, Error> {
    // The bytes come from anywhere: should a parser fail on them, it is this object alone that is refused.
    let opened = panic::catch_unwind(|| Source::open(path))
        .unwrap_or_else(|_| Err(dicom::Error::Unsupported("the parser failed on it".into())));
    opened.map_err(|e| match e {
        dicom::Error::NotDicom => e.into(),
        dicom::Error::Io(e) => Error::io("reading what was received")(e),
        e => Error::Refused(e.to_string()),
    })
}

/// What was received: whole in the spool, read as an instance, and not stored yet. When it is dropped nothing of it stays.
pub struct Candidate {
    staged: Staged,
    row: Received,
}

impl Candidate {
    /// The UIDs it has.
    pub fn key(&self) -> &InstanceKey {
        &self.row.record.key
    }

    /// SOP Class UID.
    pub fn sop_class(&self) -> &str {
        &self.row.record.class
    }

    /// Its bytes.
    pub fn size(&self) -> u64 {
        self.row.bytes
    }
}

/// A received object and what the index will know of it.
struct Received {
    record: Record,
    key: Key,
    bytes: u64,
    syntax: String,
    facts: String,
    frames: Vec<u8>,
}

impl Received {
    fn submit(self, index: &Index) -> Ticket<Ingested> {
        index.submit(move |connection| self.insert(connection))
    }

    fn insert(self, index: &Connection) -> Result<Ingested, Error> {
        let study = match self.study(index)? {
            Some(study) => study,
            None => self.insert_study(index)?,
        };
        let series = match self.series(index, study)? {
            Some(series) => series,
            None => self.insert_series(index, study)?,
        };
        let key = self.record.key.clone();
        match instance(index, series, &key.sop)? {
            Some(instance) => self.insert_beside(index, instance),
            None => {
                self.insert_instance(index, series)?;
                unserved::now_served(index, &self.key)?;
                touch(index, study, series, 1)?;
                Ok(Ingested::Stored(key))
            }
        }
    }

    /// The UIDs are taken: by these bytes, or by others.
    fn insert_beside(self, index: &Connection, instance: i64) -> Result<Ingested, Error> {
        let mut known = index.prepare_cached("SELECT role FROM objects WHERE key = ? AND instance = ?")?;
        let known: Option<i64> = known.query_row(params![self.key.as_bytes(), instance], |r| r.get(0)).optional()?;
        match known {
            Some(BESIDE) => {
                healed(index, &self.key)?;
                Ok(Ingested::Conflict(self.record.key))
            }
            Some(_) => {
                healed(index, &self.key)?;
                convert_anew(index, instance)?;
                way_back::came_again(index, &self.key)?;
                Ok(Ingested::Duplicate(self.record.key))
            }
            None => {
                self.insert_object(index, instance, BESIDE)?;
                Ok(Ingested::Conflict(self.record.key))
            }
        }
    }

    fn study(&self, index: &Connection) -> Result<Option<i64>, Error> {
        let mut find = index.prepare_cached("SELECT id FROM studies WHERE uid = ?")?;
        Ok(find.query_row([&self.record.key.study], |row| row.get(0)).optional()?)
    }

    fn insert_study(&self, index: &Connection) -> Result<i64, Error> {
        let r = &self.record;
        let [date, time, accession, patient_id, birth_date, sex, study_id, description] = &r.study;
        index
            .prepare_cached(
                "INSERT INTO studies (uid, date, time, accession, patient_id, birth_date, sex, study_id, description, \
                 common, more) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                r.key.study,
                date,
                time,
                accession,
                patient_id,
                birth_date,
                sex,
                study_id,
                description,
                r.study_json.common,
                r.study_json.more
            ])?;
        let study = index.last_insert_rowid();
        let mut insert =
            index.prepare_cached("INSERT OR IGNORE INTO names (tag, text, place, study) VALUES (?, ?, ?, ?)")?;
        for (tag, place, text) in &r.names {
            insert.execute(params![tag_number(*tag), text, place, study])?;
        }
        Ok(study)
    }

    fn series(&self, index: &Connection, study: i64) -> Result<Option<i64>, Error> {
        let mut find = index.prepare_cached("SELECT id FROM series WHERE study = ? AND uid = ?")?;
        Ok(find.query_row(params![study, self.record.key.series], |row| row.get(0)).optional()?)
    }

    fn insert_series(&self, index: &Connection, study: i64) -> Result<i64, Error> {
        let r = &self.record;
        let [description, body_part, pps_date, pps_time, step_id, procedure_id] = &r.series;
        index
            .prepare_cached(
                "INSERT INTO series (study, uid, modality, number, description, body_part, pps_date, pps_time, \
                 step_id, procedure_id, common, more) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                study,
                r.key.series,
                r.modality,
                r.series_number,
                description,
                body_part,
                pps_date,
                pps_time,
                step_id,
                procedure_id,
                r.series_json.common,
                r.series_json.more
            ])?;
        let series = index.last_insert_rowid();
        index
            .prepare_cached("INSERT OR IGNORE INTO study_modalities (modality, study) VALUES (?, ?)")?
            .execute(params![r.modality, study])?;
        index
            .prepare_cached(
                "UPDATE studies SET series = series + 1, modalities = (SELECT coalesce(group_concat(modality, '\\'), '') \
                 FROM (SELECT DISTINCT modality FROM series WHERE study = ?1 AND modality <> '' ORDER BY modality)) \
                 WHERE id = ?1",
            )?
            .execute([study])?;
        Ok(series)
    }

    fn insert_instance(&self, index: &Connection, series: i64) -> Result<(), Error> {
        let r = &self.record;
        index
            .prepare_cached(
                "INSERT INTO instances (series, uid, class, number, object, received, common, more) \
                 VALUES (?, ?, ?, ?, 0, 0, ?, ?)",
            )?
            .execute(params![
                series,
                r.key.sop,
                r.class,
                r.instance_number,
                r.instance_json.common,
                r.instance_json.more
            ])?;
        let instance = index.last_insert_rowid();
        let object = self.insert_object(index, instance, RECEIVED)?;
        index
            .prepare_cached("UPDATE instances SET object = ?1, received = ?1 WHERE id = ?2")?
            .execute([object, instance])?;
        index.prepare_cached("INSERT INTO jobs (instance, changed) VALUES (?, ?)")?.execute([instance, now()])?;
        Ok(())
    }

    fn insert_object(&self, index: &Connection, instance: i64, role: i64) -> Result<i64, Error> {
        let object = NewObject {
            key: self.key,
            instance,
            role,
            bytes: self.bytes,
            syntax: &self.syntax,
            facts: &self.facts,
            frames: &self.frames,
        };
        object.insert(index)
    }
}

/// A row of the table of objects.
pub(crate) struct NewObject<'a> {
    pub key: Key,
    pub instance: i64,
    pub role: i64,
    pub bytes: u64,
    pub syntax: &'a str,
    pub facts: &'a str,
    pub frames: &'a [u8],
}

impl NewObject<'_> {
    pub(crate) fn insert(&self, index: &Connection) -> Result<i64, Error> {
        index
            .prepare_cached(
                "INSERT INTO objects (key, instance, role, bytes, syntax, stored, facts, frames) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                self.key.as_bytes(),
                self.instance,
                self.role,
                self.bytes,
                self.syntax,
                now(),
                self.facts,
                self.frames
            ])?;
        Ok(index.last_insert_rowid())
    }
}

/// Counts `new` instances, and makes what was prepared of the series and the study stale.
pub(crate) fn touch(index: &Connection, study: i64, series: i64, new: i64) -> Result<(), Error> {
    index
        .prepare_cached("UPDATE studies SET instances = instances + ?, version = version + 1 WHERE id = ?")?
        .execute([new, study])?;
    index
        .prepare_cached("UPDATE series SET instances = instances + ?, version = version + 1 WHERE id = ?")?
        .execute([new, series])?;
    Ok(())
}

fn instance(index: &Connection, series: i64, uid: &str) -> Result<Option<i64>, Error> {
    let mut find = index.prepare_cached("SELECT id FROM instances WHERE series = ? AND uid = ?")?;
    Ok(find.query_row(params![series, uid], |row| row.get(0)).optional()?)
}

/// A tag as the index keeps it.
pub(crate) fn tag_number(tag: dicom::Tag) -> i64 {
    i64::from(tag.0) << 16 | i64::from(tag.1)
}
