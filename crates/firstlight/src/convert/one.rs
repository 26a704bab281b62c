//! One file: opened, decided on, converted or kept, and put in its place whole or not at all.

use super::plan::{Item, Plan, Target, is_plain};
use super::record::{Outcome, Record};
use super::state::Known;
use crate::failure::{file_line, hint_for, reason, without_panic};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;
use transcode::{Action, Context, Decision, Policy, Source};

/// Converts files one after the other, on one thread.
pub struct Converter<'a> {
    policy: &'a Policy,
    policy_hash: String,
    plan: &'a Plan,
    known: &'a Known,
    scratch: &'a Path,
    dry_run: bool,
    context: Context,
    name: usize,
    made: usize,
    /// Transfer syntax that the policy names for the file at hand.
    meant: Option<String>,
}

/// A file in the making; gone when dropped before it has its place.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// What became of a file, and the line a user should read about it.
#[derive(Debug)]
pub struct Done {
    pub record: Record,
    pub line: Option<String>,
}

/// Why a file has no place in the destination.
enum Stopped {
    Skipped,
    Refused(String, &'static str),
    Failed(String, Option<&'static str>),
}

/// What is known of a file once it is open; fills the record as it grows.
struct Job {
    record: Record,
    place: PathBuf,
}

impl<'a> Converter<'a> {
    pub fn new(
        policy: &'a Policy,
        plan: &'a Plan,
        known: &'a Known,
        scratch: &'a Path,
        dry_run: bool,
        name: usize,
    ) -> Self {
        Converter {
            policy,
            policy_hash: policy.hash(),
            plan,
            known,
            scratch,
            dry_run,
            context: Context::default(),
            name,
            made: 0,
            meant: None,
        }
    }

    /// Does one file. A panic of a codec costs this file alone.
    pub fn convert(&mut self, item: &Item) -> Done {
        let started = Instant::now();
        let mut record = self.blank(item);
        self.meant = None;
        let result = without_panic(|| self.try_convert(item, &mut record)).unwrap_or_else(|panic| {
            self.context = Context::default();
            Err(Stopped::Refused(panic, "please report it with this file, if it may be shared"))
        });
        record.seconds = started.elapsed().as_secs_f64();
        let line = match result {
            Ok(()) => self.kept_line(&record),
            Err(stopped) => stopped.into_record(&mut record),
        };
        Done { record, line }
    }

    /// The policy named a target, and yet the file is kept as it came: that is worth a line.
    fn kept_line(&self, record: &Record) -> Option<String> {
        let meant = self.meant.as_ref().filter(|_| record.outcome == Outcome::Kept && !record.unchanged)?;
        let already = record.source_transfer_syntax.as_deref() == Some(meant);
        (!already).then(|| file_line("kept", &record.source, &record.reason.as_deref().unwrap_or_default(), None))
    }

    fn blank(&self, item: &Item) -> Record {
        Record {
            source: item.source.clone(),
            destination: None,
            outcome: Outcome::Refused,
            reason: None,
            rule: None,
            source_transfer_syntax: None,
            transfer_syntax: None,
            bytes_in: item.bytes,
            bytes_out: None,
            frames: None,
            samples_sha256: None,
            seconds: 0.0,
            source_sha256: None,
            policy: self.policy_hash.clone(),
            unchanged: false,
            dry_run: self.dry_run,
        }
    }

    fn try_convert(&mut self, item: &Item, record: &mut Record) -> Result<(), Stopped> {
        let source = Source::open(&item.source)?;
        let facts = source.facts();
        record.source_transfer_syntax = Some(facts.transfer_syntax.uid().to_owned());
        record.frames = Some(facts.frames);
        self.meant = match self.policy.decide(facts).then {
            Action::Convert(target) => Some(target.transfer_syntax().uid().to_owned()),
            Action::Keep { .. } => None,
        };
        if self.dry_run && matches!(item.target, Target::Mirror(_)) && self.known.is_empty() {
            plan_only(record, self.policy.decide(facts));
            return Ok(());
        }
        let sha256 = source.sha256()?.to_string();
        record.source_sha256 = Some(sha256.clone());
        let place = self.place(item, &source, &sha256);
        if let Some(done) = self.done_before(&place, &sha256) {
            *record = Record {
                source: item.source.clone(),
                unchanged: true,
                seconds: 0.0,
                dry_run: self.dry_run,
                ..done.clone()
            };
            return Ok(());
        }
        if self.dry_run {
            plan_only(record, self.policy.decide(facts));
            return Ok(());
        }
        let mut job = Job { record: record.clone(), place };
        self.write(&source, &mut job)?;
        *record = job.record;
        Ok(())
    }

    /// Where the file goes. Names of the study layout are hashes: nothing of a DICOM value reaches the disk.
    fn place(&self, item: &Item, source: &Source, sha256: &str) -> PathBuf {
        match &item.target {
            Target::Mirror(relative) => {
                debug_assert!(is_plain(relative));
                self.plan.destination.join(relative)
            }
            Target::Study => {
                let facts = source.facts();
                let folder = self.plan.destination.join(name_of(&facts.study_uid)).join(name_of(&facts.series_uid));
                folder.join(format!("{}.dcm", &sha256[..16]))
            }
        }
    }

    fn done_before(&self, place: &Path, sha256: &str) -> Option<&Record> {
        let done = self.known.get(place)?;
        let same = done.source_sha256.as_deref() == Some(sha256) && done.policy == self.policy_hash;
        let there = fs::metadata(place).is_ok_and(|meta| meta.is_file() && Some(meta.len()) == done.bytes_out);
        (same && there).then_some(done)
    }

    /// A path in the folder of temporary files that nothing else uses.
    fn temporary(&mut self) -> Temporary {
        self.made += 1;
        Temporary(self.scratch.join(format!("{}-{}.dcm", self.name, self.made)))
    }

    fn write(&mut self, source: &Source, job: &mut Job) -> Result<(), Stopped> {
        let ours = self.known.contains_key(&job.place);
        let temporary = self.temporary();
        let record = &mut job.record;
        match transcode::convert(source, self.policy, &mut self.context, &temporary.0)? {
            transcode::Outcome::Converted(verified) => {
                record.outcome = Outcome::Converted;
                record.rule = Some(verified.rule.clone());
                record.transfer_syntax = Some(verified.target_syntax.uid().to_owned());
                record.bytes_out = Some(verified.bytes_out);
                record.samples_sha256 = Some(verified.samples_sha256.clone());
                let there = self.may_take(&job.place, verified.path(), ours)?;
                if !there {
                    make_folder(&job.place).map_err(cannot_write)?;
                    verified.persist(&job.place)?;
                }
            }
            transcode::Outcome::Kept { reason, rule } => {
                record.outcome = Outcome::Kept;
                record.reason = Some(reason);
                record.rule = Some(rule);
                record.transfer_syntax.clone_from(&record.source_transfer_syntax);
                record.bytes_out = Some(copy_proven(&record.source, record.source_sha256.as_deref(), &temporary.0)?);
                let there = self.may_take(&job.place, &temporary.0, ours)?;
                if !there {
                    make_folder(&job.place).map_err(cannot_write)?;
                    put_in_place(&temporary.0, &job.place).map_err(cannot_write)?;
                }
            }
        }
        record.destination = Some(job.place.clone());
        Ok(())
    }

    /// A file that is there already and is not known to be ours is never replaced: the same bytes are as good as
    /// written, others are refused. True when it is there.
    fn may_take(&self, place: &Path, new: &Path, ours: bool) -> Result<bool, Stopped> {
        if ours || fs::symlink_metadata(place).is_err() {
            return Ok(false);
        }
        if same_bytes(place, new).unwrap_or(false) {
            return Ok(true);
        }
        let line = format!("{} is there already and was not written by an earlier run", place.display());
        Err(Stopped::Failed(line, Some("choose another destination, or move that file away")))
    }
}

impl Stopped {
    fn into_record(self, record: &mut Record) -> Option<String> {
        let (outcome, why, line) = match self {
            Stopped::Skipped => (Outcome::Skipped, "not a DICOM file".to_owned(), None),
            Stopped::Refused(why, hint) => {
                let line = file_line("refused", &record.source, &why, Some(hint));
                (Outcome::Refused, why, Some(line))
            }
            Stopped::Failed(why, hint) => {
                let line = file_line("failed", &record.source, &why, hint);
                (Outcome::Failed, why, Some(line))
            }
        };
        record.outcome = outcome;
        record.reason = Some(why);
        record.destination = None;
        record.bytes_out = None;
        line
    }
}

impl From<transcode::Error> for Stopped {
    fn from(error: transcode::Error) -> Self {
        use transcode::Error::*;
        match &error {
            NotDicom => Stopped::Skipped,
            Io(e) => Stopped::Failed(reason(e), hint_for(e)),
            Truncated { .. } => {
                Stopped::Refused(error.to_string(), "the file is cut short: copy or export it again from where it came")
            }
            Limit(_) => Stopped::Refused(
                error.to_string(),
                "its header announces more than the file can hold, or nests too deeply",
            ),
            _ => Stopped::Refused(
                error.to_string(),
                "the file contradicts the standard: `firstlight inspect` shows how far it can be read",
            ),
        }
    }
}

fn cannot_write(error: io::Error) -> Stopped {
    Stopped::Failed(format!("cannot write the destination: {}", reason(&error)), hint_for(&error))
}

fn plan_only(record: &mut Record, decision: Decision) {
    record.rule = Some(decision.rule);
    match decision.then {
        Action::Keep { reason } => {
            record.outcome = Outcome::Kept;
            record.reason = Some(reason);
            record.transfer_syntax.clone_from(&record.source_transfer_syntax);
        }
        Action::Convert(target) => {
            record.outcome = Outcome::Converted;
            record.transfer_syntax = Some(target.transfer_syntax().uid().to_owned());
        }
    }
}

/// Copies the source, synced, and proves on what was read that it is the file that was hashed before.
fn copy_proven(source: &Path, sha256: Option<&str>, copy: &Path) -> Result<u64, Stopped> {
    let cannot_read = |e| Stopped::from(transcode::Error::from(e));
    let mut from = File::open(source).map_err(cannot_read)?;
    let mut to = File::create(copy).map_err(cannot_write)?;
    let (mut hash, mut total, mut buffer) = (Sha256::new(), 0u64, vec![0; 256 << 10]);
    loop {
        let n = from.read(&mut buffer).map_err(cannot_read)?;
        if n == 0 {
            break;
        }
        hash.update(&buffer[..n]);
        to.write_all(&buffer[..n]).map_err(cannot_write)?;
        total += n as u64;
    }
    if sha256.is_some_and(|want| want != hex(&hash.finalize())) {
        return Err(Stopped::Failed(
            "the file changed while it was read".into(),
            Some("run the same command again when nothing writes to it"),
        ));
    }
    to.sync_all().map_err(cannot_write)?;
    Ok(total)
}

/// Moves a synced file to its place and syncs the folder.
fn put_in_place(file: &Path, place: &Path) -> io::Result<()> {
    fs::rename(file, place)?;
    sync_folder(place)
}

/// Makes the folder of `place` and those above it, each synced into the one that holds it.
fn make_folder(place: &Path) -> io::Result<()> {
    let Some(folder) = place.parent().filter(|folder| !folder.is_dir()) else { return Ok(()) };
    make_folder(folder)?;
    match fs::create_dir(folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => sync_folder(folder),
    }
}

fn sync_folder(of: &Path) -> io::Result<()> {
    File::open(of.parent().unwrap_or(Path::new("/")))?.sync_all()
}

fn same_bytes(a: &Path, b: &Path) -> io::Result<bool> {
    let (meta_a, meta_b) = (fs::metadata(a)?, fs::metadata(b)?);
    if !meta_a.is_file() || meta_a.len() != meta_b.len() {
        return Ok(false);
    }
    let (mut a, mut b) = (File::open(a)?, File::open(b)?);
    let (mut x, mut y) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let n = a.read(&mut x)?;
        if n == 0 {
            return Ok(true);
        }
        b.read_exact(&mut y[..n])?;
        if x[..n] != y[..n] {
            return Ok(false);
        }
    }
}

fn name_of(uid: &str) -> String {
    hex(&Sha256::digest(uid.as_bytes()))[..16].to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
