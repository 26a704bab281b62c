//! What one thread does with an item: brings it to a folder tree, or into an archive.

use crate::journal::{Kind, Row};
use crate::source::{Fetch, FetchError, Server, Spooled};
use ::deidentify::Deidentifier;
use archive::{Archive, Event, Ingested, InstanceKey, State, Taken, Unservable};
use files::{
    Advice, Done, History, Item, Notice, NoticeKind, Outcome, Proofs, Record, Settings, StagedOutput, Target, Worker,
    proofs::now, without_panic,
};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Instant;
use transcode::{Context, Policy};

/// Where items go.
pub enum Destination {
    /// Files of a folder tree, as `convert` writes them.
    Tree,
    /// An archive, where each is stored and then, unless it is only to be stored, converted.
    Archive {
        /// The archive.
        archive: Archive,
        /// Convert what was stored.
        convert: bool,
    },
}

/// What the threads of a migration share.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'a> {
    pub policy: &'a Policy,
    pub root: &'a Path,
    pub destination: &'a Destination,
    pub converter: Option<&'a archive::Converter<'a>>,
    pub scratch: &'a Path,
    /// Where copies of sources lie while they are worked on.
    pub spool: &'a Path,
    /// Takes the identity out; only into a folder tree.
    pub deidentify: Option<&'a Deidentifier>,
    /// Where the way back to each source is kept.
    pub residues: Option<&'a Path>,
    /// Evidence, second opinions, quarantine: of a tree; an archive keeps its own.
    pub proofs: Option<&'a Proofs>,
    pub servers: &'a [Server],
    pub stop: &'a AtomicBool,
}

/// One thread's tools.
pub(crate) struct ItemWorker<'a> {
    shared: Shared<'a>,
    context: Context,
}

/// What an earlier run wrote for the item at hand.
#[derive(Debug, Default)]
pub(crate) struct PreviousRun(Mutex<Option<PathBuf>>);

impl PreviousRun {
    fn set(&self, became: Option<PathBuf>) {
        *self.0.lock().unwrap_or_else(|e| e.into_inner()) = became;
    }
}

impl History for PreviousRun {
    fn done(&self, place: &Path) -> Option<Record> {
        let became = self.0.lock().unwrap_or_else(|e| e.into_inner());
        became.as_deref().filter(|became| *became == place).map(|_| Record::blank(PathBuf::new(), 0))
    }

    fn is_empty(&self) -> bool {
        false
    }
}

/// How a thread begins: its memory outlives its worker.
pub(crate) fn worker_loop<'a>(
    shared: Shared<'a>,
    name: usize,
    mut next: impl FnMut() -> Option<Vec<Row>>,
    mut told: impl FnMut(&Row, StagedOutput),
) {
    let before = PreviousRun::default();
    let set = Settings {
        policy: shared.policy,
        destination: shared.root,
        known: &before,
        scratch: shared.scratch,
        residues: shared.residues,
        proofs: shared.proofs,
        dry_run: false,
        deidentify: shared.deidentify,
    };
    let mut worker = Worker::new(set, name);
    let mut fetch = Fetch::new(shared.spool, shared.servers, shared.stop, name);
    let mut item_worker = ItemWorker { shared, context: fresh(&shared) };
    while let Some(rows) = next() {
        with_each(&rows, &mut fetch, |row, fetched| {
            before.set(row.became.clone());
            let made = item_worker.take(row, fetched, &mut worker);
            told(row, made);
        });
    }
}

/// Fetches items that are done in one go, and hands each over with its bytes.
pub fn with_each(rows: &[Row], fetch: &mut Fetch, mut each: impl FnMut(&Row, Result<Option<Spooled>, FetchError>)) {
    if rows.first().is_some_and(|row| row.kind == Kind::Stream) {
        return fetch.stream(rows, |row, fetched| each(row, fetched.map(Some)));
    }
    for row in rows {
        let fetched = fetch.fetch(row);
        each(row, fetched);
    }
}

/// Makes the file of a folder tree for an item.
pub fn make_row(worker: &mut Worker, row: &Row, fetched: Result<Option<Spooled>, FetchError>) -> StagedOutput {
    let copy = match fetched {
        Ok(copy) => copy,
        Err(trouble) => return StagedOutput::settled(not_had(row, trouble)),
    };
    worker.make(&Item {
        source: row.shown(),
        copy: copy.as_ref().map(|copy| copy.path().to_owned()),
        target: row.place.clone().map_or(Target::Study, Target::Mirror),
        bytes: copy.as_ref().map_or(row.bytes, |copy| copy.bytes),
        listed: row.kind == Kind::Listed,
    })
}

/// Conversions within an archive count their second opinions together.
fn fresh(shared: &Shared<'_>) -> Context {
    shared.converter.map_or_else(Context::default, archive::Converter::context)
}

impl ItemWorker<'_> {
    fn take(&mut self, row: &Row, fetched: Result<Option<Spooled>, FetchError>, worker: &mut Worker) -> StagedOutput {
        match self.shared.destination {
            Destination::Tree => {
                let had = fetched.is_ok();
                let mut made = make_row(worker, row, fetched);
                if !had && self.shared.deidentify.is_some() {
                    worker.nameless(&row.shown(), &mut made.done.record);
                }
                made
            }
            Destination::Archive { archive, .. } => {
                let copy = match fetched {
                    Ok(copy) => copy,
                    Err(trouble) => return StagedOutput::settled(not_had(row, trouble)),
                };
                let bytes = copy.as_ref().map_or(row.bytes, |copy| copy.bytes);
                let started = Instant::now();
                let file = copy.as_ref().map_or(&*row.path, |copy| copy.path());
                let mut record =
                    Record { policy: worker.policy_hash().to_owned(), ..Record::blank(row.shown(), bytes) };
                let done = without_panic(|| self.store(archive, row, file, &mut record));
                let (notice, full) = match done {
                    Ok(Ok(notice)) => (notice, false),
                    Ok(Err(e)) => failed(&mut record, e),
                    Err(panic) => {
                        self.context = fresh(&self.shared);
                        let (why, advice) = (Unservable::Unreadable, Some(Advice::Report));
                        match archive.keep_unserved(file, &record.source, why, &panic) {
                            Ok(new) => (Some(self.unserved(why, panic, new, advice, &mut record)), false),
                            Err(e) => failed(&mut record, e),
                        }
                    }
                };
                record.seconds = started.elapsed().as_secs_f64();
                record.finished = Some(now());
                StagedOutput::settled(Done { record, notice, full })
            }
        }
    }

    /// Fills the record of what is kept and not served; the notice that says so.
    fn unserved(
        &self,
        why: Unservable,
        reason: String,
        new: bool,
        advice: Option<Advice>,
        record: &mut Record,
    ) -> Notice {
        let (outcome, kind) = match why {
            Unservable::Unreadable => (Outcome::Unreadable, NoticeKind::Unreadable),
            Unservable::NoInstance => (Outcome::Kept, NoticeKind::NotServed),
        };
        (record.outcome, record.unchanged, record.bytes_out) = (outcome, !new, Some(record.bytes_in));
        record.destination = Some(self.shared.root.to_owned());
        let notice = Notice::new(kind, &record.source, &*reason).advise(advice);
        record.reason = Some(reason);
        notice
    }

    /// Stores an item in the archive and converts it there; a notice where there is something to say.
    fn store(
        &mut self,
        archive: &Archive,
        row: &Row,
        file: &Path,
        record: &mut Record,
    ) -> Result<Option<Notice>, archive::Error> {
        let mut notice = None;
        let key = if row.kind == Kind::Backlog {
            key_of(&row.path)
        } else {
            let ingested = match archive.ingest_or_keep(file, &record.source, row.kind == Kind::Listed)? {
                Taken::Ingested(ingested) => ingested,
                Taken::Unserved { why, reason, new } => {
                    return Ok(Some(self.unserved(why, reason, new, None, record)));
                }
            };
            match &ingested {
                Ingested::Stored(_) => {}
                Ingested::Duplicate(_) => record.unchanged = true,
                Ingested::Conflict(_) => {
                    record.reason = Some("another object has its UIDs: both are kept".into());
                    let why = "another object has its UIDs: both are kept";
                    notice = Some(Notice::new(NoticeKind::Note, &record.source, why));
                }
            }
            ingested.key().clone()
        };
        let converted = match self.shared.converter {
            Some(converter) => converter.convert(&key, &mut self.context)?,
            None => None,
        };
        match converted {
            Some(Event::Failed { error, .. }) if error.may_pass() => return Err(error),
            // It is in the archive, byte for byte; why it is not more is recorded there and here.
            Some(Event::Failed { error, .. }) => {
                notice = Some(Notice::new(NoticeKind::Kept, &record.source, error.to_string()));
            }
            None if self.shared.converter.is_some() => record.unchanged = true,
            _ => {}
        }
        self.describe(archive, &key, record)?;
        if record.outcome == Outcome::Failed {
            (record.destination, record.bytes_out) = (None, None);
            let why = record.reason.as_deref().unwrap_or_default();
            notice = Some(Notice::new(NoticeKind::Failed, &record.source, why));
        }
        Ok(notice)
    }

    /// Fills the record with what the archive says of the instance: the same whether this run did it or one before.
    fn describe(&self, archive: &Archive, key: &InstanceKey, record: &mut Record) -> Result<(), archive::Error> {
        record.outcome = Outcome::Kept;
        record.destination = Some(self.shared.root.to_owned());
        let Some(became) = archive.became(key)? else { return Ok(()) };
        record.bytes_in = became.received.0;
        record.source_transfer_syntax = Some(became.received.1);
        record.bytes_out = Some(became.current.0);
        record.transfer_syntax = Some(became.current.1);
        record.frames = Some(became.frames);
        record.rule = Some(became.rule).filter(|rule| !rule.is_empty());
        let reason = match became.state {
            _ if self.shared.converter.is_none() => "stored as it came".to_owned(),
            State::Waits | State::Leased => "another run has it to convert".to_owned(),
            _ => became.reason,
        };
        record.outcome = match became.state {
            State::Converted => Outcome::Converted,
            // The next run of this migration looks again.
            State::Waits | State::Leased if self.shared.converter.is_some() => Outcome::Failed,
            State::Failed if became.may_pass && self.shared.converter.is_some() => Outcome::Failed,
            _ => Outcome::Kept,
        };
        if !reason.is_empty() {
            record.reason.get_or_insert(reason);
        }
        Ok(())
    }
}

fn key_of(path: &Path) -> InstanceKey {
    let mut parts = path.iter().map(|part| part.to_string_lossy().into_owned());
    let mut next = || parts.next().unwrap_or_default();
    InstanceKey { study: next(), series: next(), sop: next() }
}

fn not_had(row: &Row, trouble: FetchError) -> Done {
    let mut record = Record::blank(row.shown(), row.bytes);
    let full = matches!(trouble, FetchError::Full);
    let why = trouble.to_string();
    let (kind, outcome, advice) = match trouble {
        FetchError::Refused(_) => (NoticeKind::Unreadable, Outcome::Unreadable, None),
        FetchError::Failed(_, advice) => (NoticeKind::Failed, Outcome::Failed, advice),
        FetchError::Full => (NoticeKind::Failed, Outcome::Failed, None),
    };
    record.outcome = outcome;
    let notice = Some(Notice::new(kind, &record.source, &*why).advise(advice));
    record.reason = Some(why);
    Done { record, notice, full }
}

fn failed(record: &mut Record, error: archive::Error) -> (Option<Notice>, bool) {
    let (outcome, advice) = match &error {
        archive::Error::Dicom(dicom::Error::NotDicom) => (Outcome::Skipped, None),
        archive::Error::Io { source, .. } | archive::Error::Dicom(dicom::Error::Io(source)) => {
            (Outcome::Failed, Advice::on(source))
        }
        // Of the archive itself: what it holds is not what it was.
        archive::Error::Dicom(_) | archive::Error::Damaged(_) => (Outcome::Unreadable, None),
        _ => (Outcome::Failed, None),
    };
    let full = matches!(error, archive::Error::Full);
    record.outcome = outcome;
    record.destination = None;
    record.bytes_out = None;
    let (kind, why) = match outcome {
        Outcome::Skipped => (None, "not a DICOM file".to_owned()),
        Outcome::Unreadable => (Some(NoticeKind::Unreadable), error.to_string()),
        _ => (Some(NoticeKind::Failed), error.to_string()),
    };
    let notice = kind.map(|kind| Notice::new(kind, &record.source, &*why).advise(advice));
    record.reason = Some(why);
    (notice, full)
}

#[cfg(test)]
mod tests {
    use super::*;
    use archive::Options;
    use files::Publisher;
    use std::fs;

    #[test]
    fn what_another_run_failed_for_want_of_the_storage_is_not_said_to_be_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (root, file) = (folder.path().join("archive"), folder.path().join("file.dcm"));
        fs::write(&file, testkit::image()).unwrap();
        let archive = Archive::open(&root, Options::default()).unwrap();
        let key = archive.ingest(&file).unwrap().key().clone();
        let policy = Policy::shipped("htj2k-all").unwrap();
        let destination = Destination::Archive { archive: archive.clone(), convert: true };
        let converter = archive.converter(&policy).unwrap();
        let stop = AtomicBool::new(false);
        let shared = Shared {
            policy: &policy,
            root: &root,
            destination: &destination,
            converter: Some(&converter),
            scratch: folder.path(),
            spool: folder.path(),
            deidentify: None,
            residues: None,
            proofs: None,
            servers: &[],
            stop: &stop,
        };
        let row = Row {
            id: 1,
            rank: 0,
            kind: Kind::Backlog,
            path: [&key.study, &key.series, &key.sop].iter().collect(),
            part: 0,
            name: Vec::new(),
            place: None,
            bytes: 0,
            became: None,
        };
        let ask = || {
            let (mut rows, mut made) = (Some(vec![row.clone()]), Vec::new());
            worker_loop(shared, 0, || rows.take(), |_, told| made.push(told));
            Publisher::new(&root, None, None).publish(made).remove(0)
        };
        // Another run meets the trouble after this one began.
        fs::rename(root.join("objects"), root.join("away")).unwrap();
        let failed = archive.convert_pending(&policy, 1, &stop, &|_| {}).unwrap().failed;
        assert_eq!(failed, 1);
        let done = ask();
        assert_eq!((done.record.outcome, done.record.destination), (Outcome::Failed, None), "{:?}", done.record.reason);
        let notice = done.notice.unwrap();
        assert_eq!((notice.kind, &*notice.path), (NoticeKind::Failed, &*row.path));
        // And one that is at it for longer says so.
        fs::rename(root.join("away"), root.join("objects")).unwrap();
        let lock = root.join("spool/another/lock");
        fs::create_dir(lock.parent().unwrap()).unwrap();
        let lock = fs::File::create(lock).unwrap();
        lock.lock().unwrap();
        let another = rusqlite::Connection::open(root.join("index.sqlite")).unwrap();
        another.create_scalar_function("row_sum", -1, Default::default(), |_| Ok(Option::<Vec<u8>>::None)).unwrap();
        another.execute("UPDATE jobs SET state = 1, run = 'another/0', until = 1e12", []).unwrap();
        let done = ask();
        let reason = done.record.reason.unwrap();
        assert_eq!((done.record.outcome, &*reason), (Outcome::Failed, "another run has it to convert"));
        // What a dead one had is done, without its folder being looked for first.
        drop(lock);
        assert_eq!(ask().record.outcome, Outcome::Converted);
    }
}
