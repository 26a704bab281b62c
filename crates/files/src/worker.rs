//! One file: opened, decided on, converted or kept; a [`Publisher`](crate::Publisher) puts what was made in its place.

use crate::dicomdir;
use crate::folders::{is_plain, same_bytes};
use crate::names;
use crate::notice::{Advice, Notice, NoticeKind};
use crate::output::{Done, NewFile, RestoreFile, StagedFile, StagedOutput, Stopped, Temporary, cannot_write};
use crate::panics::without_panic;
use crate::proofs::{Copied, Entry, Proof, Proofs, ResidueProof, hex, now};
use crate::record::{Outcome, Record};
use deidentify::Deidentifier;
use dicom::{LIKELY_HEAD, Source, is_likely_dicom};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use transcode::{Action, Context, Decision, NoWayBack, Origin, Policy, Verified};

/// One file to be done.
#[derive(Debug, Clone)]
pub struct Item {
    /// What the source is called: an absolute path, or what stands for one.
    pub source: PathBuf,
    /// Where its bytes are when they are not at `source`: a copy fetched or unpacked for this.
    pub copy: Option<PathBuf>,
    /// Where it goes.
    pub target: Target,
    /// Size of the source.
    pub bytes: u64,
    /// A DICOMDIR names it: it is DICOM, whatever it holds.
    pub listed: bool,
}

/// Where a file goes.
#[derive(Debug, Clone)]
pub enum Target {
    /// To this path below the destination.
    Mirror(PathBuf),
    /// To a place that its study and series say.
    Study,
}

/// What earlier runs did, by place in the destination.
pub trait History: Sync {
    /// The record of the file that was put there.
    fn done(&self, place: &Path) -> Option<Record>;
    /// Nothing was done before.
    fn is_empty(&self) -> bool;
}

/// What the workers of one run share.
#[derive(Clone, Copy)]
pub struct Settings<'a> {
    /// Says what becomes of a file.
    pub policy: &'a Policy,
    /// The folder that receives the files, absolute.
    pub destination: &'a Path,
    /// What earlier runs did.
    pub known: &'a dyn History,
    /// Folder of temporary files, on the file system of the destination.
    pub scratch: &'a Path,
    /// Folder of what leads back from converted files to their sources; without it, nothing is kept of that.
    pub residues: Option<&'a Path>,
    /// Keeps evidence, second opinions, and what failed a check; without it nothing of that is kept.
    pub proofs: Option<&'a Proofs>,
    /// Say what would be done and write nothing.
    pub dry_run: bool,
    /// Takes the identity out of every instance before it is decided on. Nothing that is kept of it (file, record, place) then
    /// holds a value, a UID or a path of the source; the line for the screen names the file.
    pub deidentify: Option<&'a Deidentifier>,
}

impl Settings<'_> {
    fn context(&self) -> Context {
        let mut context = self.proofs.map_or_else(Context::default, |proofs| Context::new(proofs.opinions.clone()));
        context.way_back = self.residues.is_some() && self.deidentify.is_none();
        context
    }
}

/// Does files one after the other, on one thread.
pub struct Worker<'a> {
    set: Settings<'a>,
    policy_hash: String,
    context: Context,
    name: usize,
    made: usize,
    /// Memory that files are read into.
    room: Vec<u8>,
    /// Transfer syntax that the policy names for the file at hand.
    meant: Option<String>,
    /// What a user can do about it, where it could not be converted.
    advice: Option<Advice>,
}

/// What is known of a file once it is open; fills the record as it grows.
struct Job {
    record: Record,
    place: PathBuf,
}

impl<'a> Worker<'a> {
    /// A worker; no two of a run have the same `name`.
    pub fn new(set: Settings<'a>, name: usize) -> Self {
        let profile = set.deidentify.map(Deidentifier::fingerprint).unwrap_or_default();
        Worker {
            policy_hash: set.policy.hash() + &profile,
            context: set.context(),
            set,
            name,
            made: 0,
            room: Vec::new(),
            meant: None,
            advice: None,
        }
    }

    /// The hash of the policy.
    pub fn policy_hash(&self) -> &str {
        &self.policy_hash
    }

    /// Does one file, but for putting it in its place. A panic of a codec costs this file alone.
    pub fn make(&mut self, item: &Item) -> StagedOutput {
        let started = Instant::now();
        let mut record = Record {
            policy: self.policy_hash.clone(),
            dry_run: self.set.dry_run,
            deidentified: self.set.deidentify.map(|by| by.profile.to_string()),
            ..Record::blank(self.name_of_source(item), item.bytes)
        };
        (self.meant, self.advice) = (None, None);
        let result = without_panic(|| self.try_convert(item, &mut record)).unwrap_or_else(|panic| {
            self.context = self.set.context();
            Err(Stopped::Unreadable(panic, Advice::Report))
        });
        let (result, notice) = match result {
            Err(Stopped::Unreadable(why, advice)) => self.keep_unreadable(item, &mut record, why, advice),
            Ok(placing) => (Ok(placing), flagged(item, &record).or_else(|| self.kept_notice(item, &record))),
            Err(stopped) => (Err(stopped), None),
        };
        record.seconds = started.elapsed().as_secs_f64();
        record.finished = Some(now());
        match result {
            Ok(staged) => StagedOutput { done: Done { record, notice, full: false }, staged }.begin(),
            Err(stopped) => {
                let mut done = Done { record, notice: None, full: false };
                done.stopped(&item.source, stopped);
                StagedOutput::settled(done)
            }
        }
    }

    /// DICOM that can't be read is kept byte for byte in its place; with the identity to be taken out, it is named alone.
    fn keep_unreadable(
        &mut self,
        item: &Item,
        record: &mut Record,
        why: String,
        advice: Advice,
    ) -> (Result<Option<StagedFile>, Stopped>, Option<Notice>) {
        let notice = Some(Notice::new(NoticeKind::Unreadable, &item.source, &*why).advise(advice));
        (record.outcome, record.reason) = (Outcome::Unreadable, Some(why));
        if self.set.dry_run || self.set.deidentify.is_some() {
            return (Ok(None), notice);
        }
        match self.copy_unreadable(item, record) {
            Ok(placing) => (Ok(placing), notice),
            Err(stopped) => (Err(stopped), None),
        }
    }

    fn copy_unreadable(&mut self, item: &Item, record: &mut Record) -> Result<Option<StagedFile>, Stopped> {
        let file = Temporary(self.temporary());
        let (bytes, sha256) = copy_proven(item.bytes_at(), record.source_sha256.as_deref(), &file.0)?;
        let place = match &item.target {
            Target::Mirror(relative) => self.set.destination.join(relative),
            Target::Study => self.set.destination.join("unreadable").join(format!("{}.dcm", &sha256[..16])),
        };
        record.source_sha256 = Some(sha256.clone());
        (record.bytes_in, record.bytes_out, record.destination) = (bytes, Some(bytes), Some(place.clone()));
        let before = self.set.known.done(&place);
        let same = before.as_ref().is_some_and(|done| done.outcome == Outcome::Unreadable);
        if same && same_bytes(&place, &file.0).unwrap_or(false) {
            record.unchanged = true;
            return Ok(None);
        }
        let entry = self.copy_entry(item, record, &place, sha256, None);
        let residue = before.as_ref().map_or(RestoreFile::None, |_| self.removed(&place));
        let (source, ours) = (item.source.clone(), before.is_some());
        Ok(Some(StagedFile { source, file: NewFile::Kept(file), place, ours, residue, entry, there: false }))
    }

    /// What the evidence says of a file that is not proven to be what its source was, but by its hash.
    fn copy_entry(
        &self,
        item: &Item,
        record: &Record,
        place: &Path,
        file_sha256: String,
        sop_instance_uid: Option<String>,
    ) -> Option<Entry> {
        self.set.proofs?;
        let deidentified = self.set.deidentify.is_some();
        Some(Entry::Copy(Box::new(Copied {
            file: self.below(place).to_owned(),
            source: (!deidentified).then(|| item.source.clone()),
            outcome: record.outcome,
            reason: record.reason.clone().filter(|_| !deidentified),
            file_sha256,
            bytes: record.bytes_out.unwrap_or_default(),
            source_sha256: None,
            residue: None,
            sop_instance_uid: sop_instance_uid.filter(|uid| !deidentified && !uid.is_empty()),
            deidentified,
            made: now(),
        })))
    }

    fn below<'p>(&self, place: &'p Path) -> &'p Path {
        place.strip_prefix(self.set.destination).unwrap_or(place)
    }

    /// The policy named a target, and yet the file is kept as it came: that is worth a notice.
    fn kept_notice(&self, item: &Item, record: &Record) -> Option<Notice> {
        let meant = self.meant.as_ref().filter(|_| record.outcome == Outcome::Kept && !record.unchanged)?;
        let already = self.advice.is_none() && record.source_transfer_syntax.as_deref() == Some(meant);
        let reason = record.reason.as_deref().unwrap_or_default();
        (!already).then(|| Notice::new(NoticeKind::Kept, &item.source, reason).advise(self.advice))
    }

    /// The path, or what stands for it.
    fn name_of_source(&self, item: &Item) -> PathBuf {
        self.name_of(&item.source)
    }

    fn name_of(&self, source: &Path) -> PathBuf {
        match self.set.deidentify {
            Some(by) => by.key().token("path", source.as_os_str().as_encoded_bytes()).into(),
            None => source.to_owned(),
        }
    }

    /// Takes out of the record of an item that could not be had what names it; the line for the screen may.
    pub fn nameless(&self, source: &Path, record: &mut Record) {
        record.source = self.name_of(source);
        record.policy.clone_from(&self.policy_hash);
        record.deidentified = self.set.deidentify.map(|by| by.profile.to_string());
        record.reason = Some("its source could not give it".into());
    }

    /// The instance that is worked on, and what tells this very file from others.
    fn open(&mut self, item: &Item, record: &mut Record) -> Result<(Source, Option<String>), Stopped> {
        let Some(by) = self.set.deidentify else {
            let source = match self.set.dry_run {
                true => Source::open(item.bytes_at()),
                false => Source::load_into(item.bytes_at(), std::mem::take(&mut self.room)),
            };
            let source = source.map_err(|error| cannot_open(item, error))?;
            record.source_transfer_syntax = Some(source.facts().transfer_syntax.uid().to_owned());
            return Ok((source, None));
        };
        let source = Source::open(item.bytes_at()).map_err(|error| cannot_open(item, error.without_values()))?;
        let syntax = &source.facts().transfer_syntax;
        record.source_transfer_syntax = (syntax.name() != syntax.uid()).then(|| syntax.uid().to_owned());
        let made = by.apply(&source).map_err(deidentify::Error::without_values)?;
        record.flags = made.flags;
        Ok((made.source, Some(by.key().token("file", source.sha256()?.as_bytes()))))
    }

    fn try_convert(&mut self, item: &Item, record: &mut Record) -> Result<Option<StagedFile>, Stopped> {
        let (source, token) = self.open(item, record)?;
        let done = self.take(&source, token, item, record);
        self.room = source.into_room();
        done
    }

    fn take(
        &mut self,
        source: &Source,
        token: Option<String>,
        item: &Item,
        record: &mut Record,
    ) -> Result<Option<StagedFile>, Stopped> {
        let facts = source.facts();
        record.frames = Some(facts.frames);
        record.modality = Some(facts.modality.clone());
        self.meant = match self.set.policy.decide(facts).then {
            Action::Convert(target) => Some(target.transfer_syntax().uid().to_owned()),
            Action::Keep { .. } => None,
        };
        if self.set.dry_run && matches!(item.target, Target::Mirror(_)) && self.set.known.is_empty() {
            plan_only(record, self.set.policy.decide(facts));
            return Ok(None);
        }
        let sha256 = token.map_or_else(|| source.sha256(), Ok)?;
        record.source_sha256 = Some(sha256.clone());
        let place = self.place(item, source, &sha256);
        if self.set.deidentify.is_none() && dicomdir::is_one(source) {
            return self.index(item, source, record, place);
        }
        if let Some(done) = self.done_before(&place, &sha256, facts) {
            *record = Record {
                source: self.name_of_source(item),
                unchanged: true,
                seconds: 0.0,
                dry_run: self.set.dry_run,
                ..done
            };
            return Ok(None);
        }
        if self.set.dry_run {
            plan_only(record, self.set.policy.decide(facts));
            return Ok(None);
        }
        let mut job = Job { record: record.clone(), place };
        let (file, residue, entry) = self.write(item, source, &mut job)?;
        let Job { record: made, place } = job;
        *record = Record { destination: Some(place.clone()), ..made };
        let ours = self.set.known.done(&place).is_some();
        Ok(Some(StagedFile { source: item.source.clone(), file, place, ours, residue, entry, there: false }))
    }

    /// A DICOMDIR says what became of the files that it names; it comes when they have their places. Where they have other names
    /// than it says, or where it can't be written anew, it is left out: it would lie.
    fn index(
        &mut self,
        item: &Item,
        source: &Source,
        record: &mut Record,
        place: PathBuf,
    ) -> Result<Option<StagedFile>, Stopped> {
        if matches!(item.target, Target::Study) {
            return Err(Stopped::LeftOut(
                "it names files by where they lay: with this layout they lie elsewhere".into(),
            ));
        }
        if self.set.dry_run {
            plan_only(record, self.set.policy.decide(source.facts()));
            return Ok(None);
        }
        let folder = place.parent().unwrap_or(self.set.destination);
        let made = match dicomdir::renewed(source, folder) {
            Err(dicom::Error::Io(e)) => return Err(dicom::Error::Io(e).into()),
            Err(e) => return Err(Stopped::LeftOut(format!("it would not say what became of its files: {e}"))),
            Ok(made) => made,
        };
        let mut job = Job { record: record.clone(), place };
        let file = Temporary(self.temporary());
        job.record.rule = Some("dicomdir".into());
        let (new, residue, entry) = match made {
            None => {
                job.record.reason = Some("it says what its files are".into());
                self.keep(item, source, &mut job, file)?
            }
            Some(made) => {
                fs::write(&file.0, &made.bytes).map_err(cannot_write)?;
                job.record.outcome = Outcome::Converted;
                job.record.reason = Some(format!("{} of its records name what their files have become", made.records));
                job.record.transfer_syntax = job.record.source_transfer_syntax.clone();
                job.record.bytes_out = Some(made.bytes.len() as u64);
                let (way, residue) = self.way(&made.way_back, &job.place, &mut job.record)?;
                let mut entry = self.copy_entry(item, &job.record, &job.place, hex(&Sha256::digest(&made.bytes)), None);
                if let Some(Entry::Copy(copy)) = &mut entry {
                    (copy.source_sha256, copy.residue) = (job.record.source_sha256.clone(), residue);
                }
                (NewFile::Kept(file), way, entry)
            }
        };
        let Job { record: made, place } = job;
        *record = Record { destination: Some(place.clone()), ..made };
        let ours = self.set.known.done(&place).is_some();
        if ours && same_bytes(&place, new.path()).unwrap_or(false) && self.leads_back(&place, record) {
            record.unchanged = true;
            return Ok(None);
        }
        Ok(Some(StagedFile { source: item.source.clone(), file: new, place, ours, residue, entry, there: false }))
    }

    /// Where the file goes. Names of the study layout are hashes: nothing of a DICOM value reaches the disk.
    fn place(&self, item: &Item, source: &Source, sha256: &str) -> PathBuf {
        match &item.target {
            Target::Mirror(relative) => {
                debug_assert!(is_plain(relative));
                self.set.destination.join(relative)
            }
            Target::Study => {
                let facts = source.facts();
                let name = |uid: &str| match self.set.deidentify {
                    Some(by) => by.key().token("place", uid.as_bytes())[..16].to_owned(),
                    None => name_of(uid),
                };
                let folder = self.set.destination.join(name(&facts.study_uid)).join(name(&facts.series_uid));
                folder.join(format!("{}.dcm", &sha256[..16]))
            }
        }
    }

    fn done_before(&self, place: &Path, sha256: &str, facts: &dicom::Facts) -> Option<Record> {
        let done = self.set.known.done(place)?;
        let same = done.source_sha256.as_deref() == Some(sha256) && done.policy == self.policy_hash;
        let there = fs::metadata(place).is_ok_and(|meta| meta.is_file() && Some(meta.len()) == done.bytes_out);
        // What failed a check may pass it by now, and what could not be read may be read: it is tried again.
        let again = done.disproved.is_some() || done.outcome == Outcome::Unreadable;
        let stands = same && there && !again && self.leads_back(place, &done);
        (stands && !is_outdated(place, &done, facts)).then_some(done)
    }

    /// Is what was kept of the way back still there, as far as it is asked for?
    fn leads_back(&self, place: &Path, done: &Record) -> bool {
        if self.set.dry_run || !self.context.way_back || done.outcome != Outcome::Converted {
            return true;
        }
        let found = self.residue_of(place).and_then(|path| fs::metadata(path).ok()).map(|meta| meta.len());
        match (&done.no_way_back, done.residue_bytes) {
            (None, Some(bytes)) => found == Some(bytes),
            (Some(_), None) => true,
            _ => false,
        }
    }

    /// Where the residue of a file is kept.
    fn residue_of(&self, place: &Path) -> Option<PathBuf> {
        let below = place.strip_prefix(self.set.destination).ok()?;
        self.set.residues.map(|folder| residue_path(folder, below))
    }

    /// What leads back to the source, beside the place it is to have.
    fn residue(
        &mut self,
        verified: &Verified,
        place: &Path,
        record: &mut Record,
    ) -> Result<(RestoreFile, Option<ResidueProof>), Stopped> {
        self.way(&verified.way_back, place, record)
    }

    fn way(
        &mut self,
        way_back: &Result<transcode::Residue, NoWayBack>,
        place: &Path,
        record: &mut Record,
    ) -> Result<(RestoreFile, Option<ResidueProof>), Stopped> {
        if !self.context.way_back {
            return Ok((self.removed(place), None));
        }
        let residue = match way_back {
            Ok(residue) => residue.as_bytes(),
            Err(reason) => {
                record.no_way_back = (*reason != NoWayBack::NotAsked).then(|| reason.to_string());
                return Ok((self.removed(place), None));
            }
        };
        let Some(to) = self.residue_of(place) else { return Ok((RestoreFile::None, None)) };
        let temporary = Temporary(self.temporary());
        fs::write(&temporary.0, residue).map_err(cannot_write)?;
        record.residue_bytes = Some(residue.len() as u64);
        let proof = ResidueProof { bytes: residue.len() as u64, sha256: hex(&Sha256::digest(residue)) };
        Ok((RestoreFile::Residue(temporary, to), Some(proof)))
    }

    /// What was at a place before may have had a residue.
    fn removed(&self, place: &Path) -> RestoreFile {
        self.residue_of(place).map_or(RestoreFile::None, RestoreFile::Removed)
    }

    /// A path in the folder of temporary files that nothing else uses.
    fn temporary(&mut self) -> PathBuf {
        self.made += 1;
        self.set.scratch.join(format!("{}-{}.dcm", self.name, self.made))
    }

    fn write(
        &mut self,
        item: &Item,
        source: &Source,
        job: &mut Job,
    ) -> Result<(NewFile, RestoreFile, Option<Entry>), Stopped> {
        let path = self.temporary();
        let began = Instant::now();
        let made = match without_panic(|| transcode::convert(source, self.set.policy, &mut self.context, &path)) {
            Ok(made) => made.map_err(Stopped::from),
            Err(panic) => {
                self.context = self.set.context();
                Err(Stopped::Unreadable(panic, Advice::Report))
            }
        };
        let made = match made {
            Ok(made) => made,
            // What can be opened is kept as it came, with what is wrong in it; but not what may tell of a person.
            Err(Stopped::Unreadable(why, advice)) if self.set.deidentify.is_none() => {
                self.advice = Some(advice);
                let rule = self.set.policy.decide(source.facts()).rule;
                (job.record.reason, job.record.rule) = (Some(why), Some(rule));
                return self.keep(item, source, job, Temporary(path));
            }
            Err(stopped) => return Err(stopped),
        };
        let record = &mut job.record;
        match made {
            transcode::Outcome::Converted(verified) => {
                record.outcome = Outcome::Converted;
                record.rule = Some(verified.rule.clone());
                record.transfer_syntax = Some(verified.target_syntax.uid().to_owned());
                record.bytes_out = Some(verified.bytes_out);
                record.samples_sha256 = Some(verified.samples_sha256.clone());
                (record.loss, record.derived_uid) = (verified.loss(), verified.derived_uid.clone());
                let (way, residue) = self.residue(&verified, &job.place, record)?;
                let entry = self.proof(item, source, job, &verified, residue, began.elapsed());
                Ok((NewFile::Converted(verified), way, entry))
            }
            transcode::Outcome::Kept { reason, rule } => {
                (record.reason, record.rule) = (Some(reason), Some(rule));
                self.keep(item, source, job, Temporary(path))
            }
            transcode::Outcome::Disproved(disproved) => {
                (record.reason, record.rule) = (Some(disproved.reason.clone()), Some(disproved.rule.clone()));
                record.disproved = Some(disproved.check);
                if let Some(proofs) = self.set.proofs {
                    let path = self.name_of_source(item);
                    let origin = Origin {
                        source: path.display().to_string(),
                        source_bytes: names::bytes_of(&path),
                        sha256: record.source_sha256.clone().unwrap_or_default(),
                        sop_instance_uid: source.facts().sop_instance_uid.clone(),
                    };
                    record.quarantined = Some(proofs.quarantine.take(*disproved, &origin, now())?.name);
                }
                self.keep(item, source, job, Temporary(path))
            }
        }
    }

    /// What the evidence says of a converted file. Of one that is de-identified, only what it is: hashes of the source's samples
    /// would name it.
    fn proof(
        &self,
        item: &Item,
        source: &Source,
        job: &Job,
        verified: &Verified,
        residue: Option<ResidueProof>,
        took: Duration,
    ) -> Option<Entry> {
        let (proofs, record) = (self.set.proofs?, &job.record);
        if self.set.deidentify.is_some() {
            return self.copy_entry(item, record, &job.place, verified.file_sha256.clone(), None);
        }
        let sha256 = record.source_sha256.as_deref().unwrap_or_default();
        Some(Entry::Proof(Box::new(Proof {
            file: self.below(&job.place).to_owned(),
            source: Some(item.source.clone()),
            residue,
            no_way_back: record.no_way_back.clone(),
            evidence: verified.evidence(source.facts(), sha256, &self.policy_hash, &proofs.host, took),
        })))
    }

    /// The source as it came; de-identified, what was made of it.
    fn keep(
        &mut self,
        item: &Item,
        source: &Source,
        job: &mut Job,
        file: Temporary,
    ) -> Result<(NewFile, RestoreFile, Option<Entry>), Stopped> {
        let record = &mut job.record;
        record.outcome = Outcome::Kept;
        record.transfer_syntax = Some(source.facts().transfer_syntax.uid().to_owned());
        let (bytes, sha256) = match self.set.deidentify {
            Some(_) => write_proven(source, &file.0)?,
            None => copy_proven(item.bytes_at(), record.source_sha256.as_deref(), &file.0)?,
        };
        record.bytes_out = Some(bytes);
        // What was converted here before had one.
        let way = if self.set.known.done(&job.place).is_some() { self.removed(&job.place) } else { RestoreFile::None };
        let uid = Some(source.facts().sop_instance_uid.clone());
        let entry = self.copy_entry(item, &job.record, &job.place, sha256, uid);
        Ok((NewFile::Kept(file), way, entry))
    }
}

impl Item {
    /// Where its bytes are.
    fn bytes_at(&self) -> &Path {
        self.copy.as_deref().unwrap_or(&self.source)
    }
}

/// Why a file could not be opened; what is not meant to be DICOM is passed over.
fn cannot_open(item: &Item, error: dicom::Error) -> Stopped {
    if let dicom::Error::Io(_) = error {
        return error.into();
    }
    let mut head = Vec::new();
    let read = File::open(item.bytes_at()).and_then(|file| file.take(LIKELY_HEAD as u64).read_to_end(&mut head));
    match (read, error) {
        (Err(e), _) => dicom::Error::from(e).into(),
        (Ok(_), error) if !item.listed && !is_likely_dicom(&head, &item.source) => {
            drop(error);
            Stopped::Skipped
        }
        (Ok(_), dicom::Error::NotDicom) => {
            Stopped::Unreadable("no data set can be found in it".into(), Advice::Contradiction)
        }
        (Ok(_), error) => error.into(),
    }
}

/// Did a version before write it in a way that is mended since? Only tiny images are looked into.
fn is_outdated(place: &Path, done: &Record, facts: &dicom::Facts) -> bool {
    let htj2k = done.transfer_syntax.as_deref().is_some_and(|uid| dicom::TransferSyntax::new(uid).is_htj2k());
    htj2k
        && facts.longest_side() <= 16
        && Source::open(place).and_then(|written| transcode::has_empty_levels(&written)).unwrap_or(false)
}

/// Where the residue of the file `below` a destination is, in the folder of residues: beside a name that leaves no room for the
/// ending, or a path that is very long, under a name made from its hash.
pub fn residue_path(folder: &Path, below: &Path) -> PathBuf {
    const ENDING: &str = ".residue";
    let hashed =
        |path: &Path| format!("long-{}{ENDING}", &hex(&Sha256::digest(path.as_os_str().as_encoded_bytes()))[..32]);
    if below.as_os_str().len() > LONGEST_PATH {
        return folder.join(hashed(below));
    }
    let name = below.file_name().unwrap_or_default();
    if name.len() + ENDING.len() > LONGEST_NAME {
        return folder.join(below.with_file_name(hashed(Path::new(name))));
    }
    let mut path = folder.join(below).into_os_string();
    path.push(ENDING);
    path.into()
}

/// Bytes of a name that every file system takes.
const LONGEST_NAME: usize = 255;
/// Bytes of a path below a destination that leave room for what is before it.
const LONGEST_PATH: usize = 2048;

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

/// Copies the source, and proves on what was read that it is the file that was hashed before.
fn copy_proven(source: &Path, sha256: Option<&str>, copy: &Path) -> Result<(u64, String), Stopped> {
    let cannot_read = |e| Stopped::from(dicom::Error::from(e));
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
    let found = hex(&hash.finalize());
    if sha256.is_some_and(|want| want != found) {
        return Err(Stopped::Failed {
            why: "the file changed while it was read".into(),
            advice: Some(Advice::RunWhenQuiet),
            full: false,
        });
    }
    Ok((total, found))
}

/// Writes a de-identified instance as it is, and proves on what is read back that it is that.
fn write_proven(source: &Source, copy: &Path) -> Result<(u64, String), Stopped> {
    let mut to = io::BufWriter::new(File::create(copy).map_err(cannot_write)?);
    source.copy_to(&mut to)?;
    to.into_inner().map_err(|e| cannot_write(e.into_error()))?;
    let written = Source::open(copy)?;
    let sha256 = written.sha256()?;
    if sha256 != source.sha256()? {
        return Err(Stopped::Failed {
            why: "what was written is not what was read back".into(),
            advice: None,
            full: false,
        });
    }
    Ok((written.len(), sha256))
}

/// A de-identified instance that a person should look at.
fn flagged(item: &Item, record: &Record) -> Option<Notice> {
    let flags = record.flags.join("; ");
    (!flags.is_empty() && !record.unchanged).then(|| Notice::new(NoticeKind::LookAt, &item.source, flags))
}

fn name_of(uid: &str) -> String {
    hex(&Sha256::digest(uid.as_bytes()))[..16].to_owned()
}
