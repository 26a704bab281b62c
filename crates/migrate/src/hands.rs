//! What one thread does with an item: brings it to a folder tree, or into an archive.

use crate::journal::{Kind, Row};
use crate::placer::Made;
use crate::proofs::{Proofs, now};
use crate::record::{Outcome, Record};
use crate::source::{Fetch, Server, Spooled, Trouble};
use crate::trouble::{file_line, hint_for, without_panic};
use crate::worker::{Done, Item, Memory, Settings, Target, Worker};
use archive::{Archive, Event, Ingested, InstanceKey, State, Taken, Unservable};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Instant;
use transcode::deidentify::Deidentifier;
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
pub(crate) struct Hands<'a> {
    shared: Shared<'a>,
    context: Context,
}

/// What an earlier run wrote for the item at hand.
#[derive(Debug, Default)]
pub(crate) struct Before(Mutex<Option<PathBuf>>);

impl Before {
    fn set(&self, became: Option<PathBuf>) {
        *self.0.lock().unwrap_or_else(|e| e.into_inner()) = became;
    }
}

impl Memory for Before {
    fn done(&self, place: &Path) -> Option<Record> {
        let became = self.0.lock().unwrap_or_else(|e| e.into_inner());
        became.as_deref().filter(|became| *became == place).map(|_| Record::blank(PathBuf::new(), 0))
    }

    fn is_empty(&self) -> bool {
        false
    }
}

/// How a thread begins: its memory outlives its worker.
pub(crate) fn work<'a>(
    shared: Shared<'a>,
    name: usize,
    mut next: impl FnMut() -> Option<Vec<Row>>,
    mut told: impl FnMut(&Row, Made),
) {
    let before = Before::default();
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
    let mut hands = Hands { shared, context: fresh(&shared) };
    while let Some(rows) = next() {
        with_each(&rows, &mut fetch, |row, fetched| {
            before.set(row.became.clone());
            let made = hands.take(row, fetched, &mut worker);
            told(row, made);
        });
    }
}

/// Fetches items that are done in one go, and hands each over with its bytes.
pub fn with_each(rows: &[Row], fetch: &mut Fetch, mut each: impl FnMut(&Row, Result<Option<Spooled>, Trouble>)) {
    if rows.first().is_some_and(|row| row.kind == Kind::Stream) {
        return fetch.stream(rows, |row, fetched| each(row, fetched.map(Some)));
    }
    for row in rows {
        let fetched = fetch.fetch(row);
        each(row, fetched);
    }
}

/// Makes the file of a folder tree for an item.
pub fn make_row(worker: &mut Worker, row: &Row, fetched: Result<Option<Spooled>, Trouble>) -> Made {
    let copy = match fetched {
        Ok(copy) => copy,
        Err(trouble) => return Made::settled(not_had(row, trouble)),
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

impl Hands<'_> {
    fn take(&mut self, row: &Row, fetched: Result<Option<Spooled>, Trouble>, worker: &mut Worker) -> Made {
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
                    Err(trouble) => return Made::settled(not_had(row, trouble)),
                };
                let bytes = copy.as_ref().map_or(row.bytes, |copy| copy.bytes);
                let started = Instant::now();
                let file = copy.as_ref().map_or(&*row.path, |copy| copy.path());
                let mut record =
                    Record { policy: worker.policy_hash().to_owned(), ..Record::blank(row.shown(), bytes) };
                let done = without_panic(|| self.store(archive, row, file, &mut record));
                let (line, full) = match done {
                    Ok(Ok(line)) => (line, false),
                    Ok(Err(e)) => failed(&mut record, e),
                    Err(panic) => {
                        self.context = fresh(&self.shared);
                        let hint = Some("please report it with this file, if it may be shared");
                        let why = Unservable::Unreadable;
                        match archive.keep_unserved(file, &record.source, why, &panic) {
                            Ok(new) => (Some(self.unserved(why, panic, new, hint, &mut record)), false),
                            Err(e) => failed(&mut record, e),
                        }
                    }
                };
                record.seconds = started.elapsed().as_secs_f64();
                record.finished = Some(now());
                Made::settled(Done { record, line, full })
            }
        }
    }

    /// Fills the record of what is kept and not served; the line that says so.
    fn unserved(&self, why: Unservable, reason: String, new: bool, hint: Option<&str>, record: &mut Record) -> String {
        let (outcome, word) = match why {
            Unservable::Unreadable => (Outcome::Unreadable, "unreadable"),
            Unservable::NoInstance => (Outcome::Kept, "kept, not served"),
        };
        (record.outcome, record.unchanged, record.bytes_out) = (outcome, !new, Some(record.bytes_in));
        record.destination = Some(self.shared.root.to_owned());
        let line = file_line(word, &record.source, &reason, hint);
        record.reason = Some(reason);
        line
    }

    /// Stores an item in the archive and converts it there; a line where there is something to say.
    fn store(
        &mut self,
        archive: &Archive,
        row: &Row,
        file: &Path,
        record: &mut Record,
    ) -> Result<Option<String>, archive::Error> {
        let mut line = None;
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
                    line = Some(file_line("note", &record.source, &"another object has its UIDs: both are kept", None));
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
            Some(Event::Failed { error, .. }) => line = Some(file_line("kept", &record.source, &error, None)),
            None if self.shared.converter.is_some() => record.unchanged = true,
            _ => {}
        }
        self.describe(archive, &key, record)?;
        if record.outcome == Outcome::Failed {
            (record.destination, record.bytes_out) = (None, None);
            let why = record.reason.as_deref().unwrap_or_default();
            line = Some(file_line("failed", &record.source, &why, None));
        }
        Ok(line)
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

fn not_had(row: &Row, trouble: Trouble) -> Done {
    let mut record = Record::blank(row.shown(), row.bytes);
    let (kind, outcome, why, hint, full) = match trouble {
        Trouble::Refused(why) => ("unreadable", Outcome::Unreadable, why, None, false),
        Trouble::Failed(why, hint) => ("failed", Outcome::Failed, why, hint, false),
        Trouble::Full => ("failed", Outcome::Failed, "no space left on the disk of the destination".into(), None, true),
    };
    record.outcome = outcome;
    let line = Some(file_line(kind, &record.source, &why, hint));
    record.reason = Some(why);
    Done { record, line, full }
}

fn failed(record: &mut Record, error: archive::Error) -> (Option<String>, bool) {
    let (outcome, hint) = match &error {
        archive::Error::Dicom(dicom::Error::NotDicom) => (Outcome::Skipped, None),
        archive::Error::Io { source, .. } | archive::Error::Dicom(dicom::Error::Io(source)) => {
            (Outcome::Failed, hint_for(source))
        }
        // Of the archive itself: what it holds is not what it was.
        archive::Error::Dicom(_) | archive::Error::Damaged(_) => (Outcome::Unreadable, None),
        _ => (Outcome::Failed, None),
    };
    let full = matches!(error, archive::Error::Full);
    record.outcome = outcome;
    record.destination = None;
    record.bytes_out = None;
    let (word, why) = match outcome {
        Outcome::Skipped => ("skipped", "not a DICOM file".to_owned()),
        Outcome::Unreadable => ("unreadable", error.to_string()),
        _ => ("failed", error.to_string()),
    };
    let line = (outcome != Outcome::Skipped).then(|| file_line(word, &record.source, &why, hint));
    record.reason = Some(why);
    (line, full)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::placer::Placer;
    use archive::Options;
    use std::fs;

    /// An image of 16 x 16 zeros in Explicit VR Little Endian.
    pub(crate) fn image() -> Vec<u8> {
        let mut file = [&[0; 128][..], b"DICM"].concat();
        let mut element = |group: u16, number: u16, vr: &str, value: &[u8]| {
            file.extend([group.to_le_bytes(), number.to_le_bytes()].concat());
            file.extend(vr.as_bytes());
            match vr {
                "OW" => file.extend([&[0, 0][..], &(value.len() as u32).to_le_bytes()].concat()),
                _ => file.extend((value.len() as u16).to_le_bytes()),
            }
            file.extend(value);
        };
        element(2, 0, "UL", &28u32.to_le_bytes());
        element(2, 0x10, "UI", b"1.2.840.10008.1.2.1\0");
        element(8, 0x16, "UI", b"1.2.840.10008.5.1.4.1.1.7\0");
        element(8, 0x18, "UI", b"1.3\0");
        element(8, 0x60, "CS", b"OT");
        element(0x20, 0x0D, "UI", b"1.1\0");
        element(0x20, 0x0E, "UI", b"1.2\0");
        element(0x28, 2, "US", &1u16.to_le_bytes());
        element(0x28, 4, "CS", b"MONOCHROME2 ");
        for (number, value) in [(0x10, 16), (0x11, 16), (0x100, 16), (0x101, 12), (0x102, 11), (0x103, 0u16)] {
            element(0x28, number, "US", &value.to_le_bytes());
        }
        element(0x7FE0, 0x10, "OW", &[0; 512]);
        file
    }

    #[test]
    fn what_another_run_failed_for_want_of_the_storage_is_not_said_to_be_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (root, file) = (folder.path().join("archive"), folder.path().join("file.dcm"));
        fs::write(&file, image()).unwrap();
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
            work(shared, 0, || rows.take(), |_, told| made.push(told));
            Placer::new(&root, None, None).settle(made).remove(0)
        };
        // Another run meets the trouble after this one began.
        fs::rename(root.join("objects"), root.join("away")).unwrap();
        let failed = archive.convert_pending(&policy, 1, &stop, &|_| {}).unwrap().failed;
        assert_eq!(failed, 1);
        let done = ask();
        assert_eq!((done.record.outcome, done.record.destination), (Outcome::Failed, None), "{:?}", done.record.reason);
        assert!(done.line.unwrap().starts_with("failed: 1.1/1.2/1.3: "));
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
