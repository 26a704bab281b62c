//! Ingest: received bytes made durable as they came, then indexed, then acknowledged.
//!
//! A crash before the index is committed leaves an object without a row. Nobody was told that it is stored; it
//! does no harm, and becomes the object of the next attempt to store the same bytes.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::{panic, thread};

use dicom::Source;
use serde_json::Value;
use store::index::frames::encode_frames;
use store::index::{Beside, Ingested, InstanceKey, NewInstance, NewObject, StudyFacts};
use store::{Key, Staged, objects};

use crate::archive::{Archive, Inner};
use crate::attributes::new_instance;
use crate::error::Error;
use crate::instance::{facts_json, frame_table};

/// Objects a thread of [`Archive::ingest_all`] may have stored while their rows wait for a commit.
const AHEAD: usize = 64;

/// What is being done when an object is put in its place.
const STORING: &str = "storing the object";

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
        Ok(self.inner.index.conflicts()?)
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
        let new = row(&source, staged.key(), staged.size())?;
        drop(source);
        Ok(Candidate { staged, new })
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
        let (staged, rows): (Vec<_>, Vec<_>) = candidates.into_iter().map(|one| (one.staged, one.new)).unzip();
        let since = self.inner.since();
        let durable = self.inner.put_all(staged);
        let register = |mut new: NewInstance| {
            new.object.since = since;
            let object = (new.object.key, new.object.bytes);
            Ticket { answer: self.inner.index.register(new), inner: self.inner.clone(), object }
        };
        rows.into_iter().zip(durable).map(|(new, durable)| durable.map(|()| register(new))).collect()
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
    /// Asked before bytes are put: what was deleted since then must be put again. Where it can't be told, everything that was.
    pub(crate) fn since(&self) -> i64 {
        self.index.purges().unwrap_or(i64::MIN)
    }

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

    /// Is the object there, and are its bytes not what was stored? The index is asked first: a store far away is slow to ask.
    fn is_damaged(&self, staged: &Staged) -> Result<bool, Error> {
        let (key, size) = (staged.key(), staged.size());
        Ok(self.index.is_faulty(&key)?
            && self.objects.size(&key).map_err(Error::io(STORING))? == Some(size)
            && !objects::hash(&*self.objects, &key, size).is_ok_and(|found| found == key))
    }
}

/// What was received: whole in the spool, read as an instance, and not stored yet. When it is dropped nothing of it stays.
pub struct Candidate {
    staged: Staged,
    new: NewInstance,
}

impl Candidate {
    /// The UIDs it has.
    pub fn key(&self) -> &InstanceKey {
        &self.new.key
    }

    /// SOP Class UID.
    pub fn sop_class(&self) -> &str {
        &self.new.class
    }

    /// Its bytes.
    pub fn size(&self) -> u64 {
        self.new.object.bytes
    }

    /// What decides who may store it, where its study is a new one.
    pub fn study_facts(&self) -> StudyFacts {
        let more: Option<Value> = serde_json::from_str(&self.new.study_shown.more).ok();
        let issuer = more.as_ref().and_then(|more| more.pointer("/00100021/Value/0")?.as_str());
        StudyFacts {
            study: self.new.key.study.clone(),
            patient: self.new.study.patient_id.clone(),
            issuer: issuer.unwrap_or_default().to_owned(),
            modalities: vec![self.new.modality.clone()],
            labels: Vec::new(),
        }
    }
}

/// The answer to what was handed in.
pub struct Ticket<T> {
    answer: store::index::Ticket<T>,
    inner: Arc<Inner>,
    object: (Key, u64),
}

impl<T> Ticket<T> {
    /// Waits for the commit.
    pub fn wait(self) -> Result<T, Error> {
        let answer = self.answer.wait().map_err(Error::from);
        if let Err(Error::Leaving) = &answer {
            self.inner.abandon(&self.object.0, self.object.1)?;
        }
        answer
    }
}

/// What the index will know of an object.
pub(crate) fn row(source: &Source, key: Key, bytes: u64) -> Result<NewInstance, Error> {
    let object = NewObject {
        key,
        bytes,
        syntax: source.facts().transfer_syntax.uid().to_owned(),
        facts: facts_json(source.facts()),
        frames: encode_frames(&frame_table(source)),
        since: 0,
    };
    new_instance(source, object).map_err(no_instance)
}

/// It can be opened, and has not what an instance needs.
fn no_instance(error: Error) -> Error {
    match error {
        Error::Refused(why) => Error::NoInstance(why),
        other => other,
    }
}

fn open(path: &Path) -> Result<Source, Error> {
    opened(|| Source::open(path))
}

/// Opens what was received; whatever is wrong with it is a reason to refuse it.
pub(crate) fn opened(open: impl FnOnce() -> Result<Source, dicom::Error>) -> Result<Source, Error> {
    // The bytes come from anywhere: should a parser fail on them, it is this object alone that is refused.
    let opened = panic::catch_unwind(AssertUnwindSafe(open))
        .unwrap_or_else(|_| Err(dicom::Error::Unsupported("the parser failed on it".into())));
    opened.map_err(|e| match e {
        dicom::Error::NotDicom => e.into(),
        dicom::Error::Io(e) => Error::io("reading what was received")(e),
        e => Error::Refused(e.to_string()),
    })
}
