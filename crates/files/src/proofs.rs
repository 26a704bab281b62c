//! What a destination keeps beside its files as proof: `evidence.jsonl`, one line for each file that has a place, with the hashes of
//! every frame where it was converted; the counts of second opinions; and the quarantine of what failed a check.
//!
//! Lines are a [chain]. They are on the storage before their files get their places: what a run that died had not placed
//! is taken back by the next one.

use crate::chain::{self, Chain, Trouble};
use crate::lock::lock_soon;
use crate::names;
use crate::record::Outcome;
use crate::step::step;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use transcode::{Class, Evidence, Opinions, Quarantine, Sampling, Tally};

/// The file of evidence in the state of a destination.
pub const EVIDENCE: &str = "evidence.jsonl";
/// How far every line of the evidence has its file in place, in bytes.
pub const SETTLED: &str = "evidence.settled";
const OPINIONS: &str = "opinions.json";
const QUARANTINE: &str = "quarantine";
/// What is remembered of a file that was written again and again, for the last may be withdrawn.
const MOST: usize = 4;
/// How often the counts of second opinions are saved.
const SAVE: Duration = Duration::from_secs(10);

/// Proof that one file is what its source was.
#[derive(Debug, Clone, PartialEq)]
pub struct Proof {
    /// Below the destination.
    pub file: PathBuf,
    /// What it was made from; versions before did not say.
    pub source: Option<PathBuf>,
    /// What leads back to the source.
    pub residue: Option<ResidueProof>,
    /// Why nothing does.
    pub no_way_back: Option<String>,
    /// What was proven of it.
    pub evidence: Evidence,
}

/// What the file of a residue is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResidueProof {
    /// Its bytes.
    pub bytes: u64,
    /// SHA-256 of them, hexadecimal.
    pub sha256: String,
}

/// What a file is that was not converted, or that has nothing to be proven by because it was de-identified.
#[derive(Debug, Clone, PartialEq)]
pub struct Copied {
    /// Below the destination.
    pub file: PathBuf,
    /// What it came from; of one that is de-identified nothing that was read is here.
    pub source: Option<PathBuf>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why.
    pub reason: Option<String>,
    /// SHA-256 of the file: that of the source too, unless it is de-identified.
    pub file_sha256: String,
    /// Bytes of the file.
    pub bytes: u64,
    /// SHA-256 of the source, where the file is not its copy: a DICOMDIR that was written anew.
    pub source_sha256: Option<String>,
    /// What leads back from such a file to its source.
    pub residue: Option<ResidueProof>,
    /// SOP Instance UID, where it could be read.
    pub sop_instance_uid: Option<String>,
    /// The identity was taken out of it.
    pub deidentified: bool,
    /// Seconds since 1970.
    pub made: i64,
}

/// What a line of evidence says.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A file was converted.
    Proof(Box<Proof>),
    /// A file was copied, or de-identified.
    Copy(Box<Copied>),
    /// What was said of a file never got its place.
    Withdrawn {
        /// Below the destination.
        file: PathBuf,
        /// SHA-256 of it.
        file_sha256: String,
    },
}

/// A line as it is written.
#[derive(Serialize)]
struct Written<'a> {
    file: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_bytes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_bytes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    #[serde(flatten)]
    what: What<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum What<'a> {
    Proof {
        #[serde(skip_serializing_if = "Option::is_none")]
        residue: &'a Option<ResidueProof>,
        #[serde(skip_serializing_if = "Option::is_none")]
        no_way_back: &'a Option<String>,
        #[serde(flatten)]
        evidence: &'a Evidence,
    },
    Copy {
        #[serde(skip_serializing_if = "Option::is_none")]
        sop_instance_uid: &'a Option<String>,
        file_sha256: &'a str,
        bytes: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: &'a Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        source_sha256: &'a Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        residue: &'a Option<ResidueProof>,
        #[serde(skip_serializing_if = "is_false")]
        deidentified: bool,
        made: i64,
    },
    Withdrawn {
        file_sha256: &'a str,
        withdrawn: bool,
    },
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A line as it is read, but for what [`Evidence`] has.
#[derive(Deserialize)]
struct Found {
    file: PathBuf,
    file_bytes: Option<String>,
    source: Option<PathBuf>,
    source_bytes: Option<String>,
    outcome: Option<Outcome>,
    residue: Option<ResidueProof>,
    no_way_back: Option<String>,
    file_sha256: String,
    #[serde(default)]
    bytes: u64,
    reason: Option<String>,
    source_sha256: Option<String>,
    sop_instance_uid: Option<String>,
    #[serde(default)]
    made: i64,
    #[serde(default)]
    deidentified: bool,
    #[serde(default)]
    withdrawn: bool,
    frames: Option<IgnoredAny>,
}

impl Entry {
    /// The file it speaks of, below the destination.
    pub fn file(&self) -> &Path {
        match self {
            Entry::Proof(proof) => &proof.file,
            Entry::Copy(copy) => &copy.file,
            Entry::Withdrawn { file, .. } => file,
        }
    }

    /// SHA-256 of the file.
    pub fn sha256(&self) -> &str {
        match self {
            Entry::Proof(proof) => &proof.evidence.file_sha256,
            Entry::Copy(copy) => &copy.file_sha256,
            Entry::Withdrawn { file_sha256, .. } => file_sha256,
        }
    }

    /// SOP Instance UID, where it is known.
    pub fn sop_instance_uid(&self) -> Option<&str> {
        match self {
            Entry::Proof(proof) => Some(&proof.evidence.sop_instance_uid),
            Entry::Copy(copy) => copy.sop_instance_uid.as_deref(),
            Entry::Withdrawn { .. } => None,
        }
    }

    /// The line, without sum, chain and end.
    pub fn json(&self) -> serde_json::Result<String> {
        let (source, outcome, what) = match self {
            Entry::Proof(proof) => {
                let (residue, no_way_back, evidence) = (&proof.residue, &proof.no_way_back, &proof.evidence);
                (proof.source.as_deref(), Some(Outcome::Converted), What::Proof { residue, no_way_back, evidence })
            }
            Entry::Copy(copy) => {
                let Copied {
                    source,
                    outcome,
                    reason,
                    file_sha256,
                    bytes,
                    source_sha256,
                    residue,
                    sop_instance_uid,
                    deidentified,
                    made,
                    ..
                } = &**copy;
                let (bytes, deidentified, made) = (*bytes, *deidentified, *made);
                let what = What::Copy {
                    sop_instance_uid,
                    file_sha256,
                    bytes,
                    reason,
                    source_sha256,
                    residue,
                    deidentified,
                    made,
                };
                (source.as_deref(), Some(*outcome), what)
            }
            Entry::Withdrawn { file_sha256, .. } => (None, None, What::Withdrawn { file_sha256, withdrawn: true }),
        };
        serde_json::to_string(&Written {
            file: names::shown(self.file()),
            file_bytes: names::bytes_of(self.file()),
            source: source.map(names::shown),
            source_bytes: source.and_then(names::bytes_of),
            outcome,
            what,
        })
    }

    /// Reads what [`Entry::json`] wrote.
    pub fn parse(json: &[u8]) -> serde_json::Result<Entry> {
        let found: Found = serde_json::from_slice(json)?;
        let file = names::either(found.file, found.file_bytes.as_deref());
        let source = found.source.map(|source| names::either(source, found.source_bytes.as_deref()));
        Ok(if found.withdrawn {
            Entry::Withdrawn { file, file_sha256: found.file_sha256 }
        } else if found.frames.is_some() {
            let Found { residue, no_way_back, .. } = found;
            let evidence = serde_json::from_slice(json)?;
            Entry::Proof(Box::new(Proof { file, source, residue, no_way_back, evidence }))
        } else {
            Entry::Copy(Box::new(Copied {
                file,
                source,
                outcome: found.outcome.unwrap_or(Outcome::Kept),
                reason: found.reason,
                file_sha256: found.file_sha256,
                bytes: found.bytes,
                source_sha256: found.source_sha256,
                residue: found.residue,
                sop_instance_uid: found.sop_instance_uid,
                deidentified: found.deidentified,
                made: found.made,
            }))
        })
    }

    fn withdrawn(&self) -> Entry {
        Entry::Withdrawn { file: self.file().to_owned(), file_sha256: self.sha256().to_owned() }
    }

    fn bytes(&self) -> u64 {
        match self {
            Entry::Proof(proof) => proof.evidence.bytes_out,
            Entry::Copy(copy) => copy.bytes,
            Entry::Withdrawn { .. } => 0,
        }
    }
}

/// The proofs of a destination, shared by the workers of a run.
#[derive(Debug)]
pub struct Proofs {
    folder: PathBuf,
    lines: Mutex<Lines>,
    saved: Mutex<Instant>,
    /// Asked by all workers.
    pub opinions: Opinions,
    /// Takes what failed a check.
    pub quarantine: Quarantine,
    /// The name of this machine.
    pub host: String,
}

/// The file of evidence, held by this run.
#[derive(Debug)]
struct Lines {
    file: File,
    chain: Chain,
    settled: File,
    /// Something behind the mark has no place, and could not be taken back.
    open: bool,
}

/// Settings of [`Proofs::open`].
#[derive(Debug, Clone, Copy)]
pub struct Proving {
    /// Which frames a second decoder looks at.
    pub sampling: Sampling,
    /// Bytes that the quarantine may hold.
    pub quarantine: u64,
}

impl Default for Proving {
    fn default() -> Self {
        Proving { sampling: Sampling::default(), quarantine: Quarantine::LIMIT }
    }
}

impl Proofs {
    /// Opens the proofs in `folder` (`DST/.firstlight`), which is there; what earlier runs counted goes on, and what they did not
    /// place is taken back.
    pub fn open(folder: &Path, proving: Proving) -> io::Result<Proofs> {
        let known: Vec<(Class, Tally)> = match fs::read(folder.join(OPINIONS)) {
            // Counts that can't be read are begun anew: more is looked at, not less.
            Ok(json) => serde_json::from_slice(&json).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok(Proofs {
            folder: folder.to_owned(),
            lines: Mutex::new(Lines::open(folder)?),
            saved: Mutex::new(Instant::now()),
            opinions: Opinions::new(proving.sampling, known),
            quarantine: Quarantine::new(folder.join(QUARANTINE), proving.quarantine),
            host: transcode::host(),
        })
    }

    /// Adds lines of evidence, all or none; they are on the storage when this returns. Saves the counts now and then.
    pub(crate) fn add(&self, entries: &[&Entry]) -> io::Result<()> {
        self.lines().add(entries)?;
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        if saved.elapsed() >= SAVE {
            *saved = Instant::now();
            self.save()?;
        }
        Ok(())
    }

    /// What was [added](Proofs::add) is in its place, but for these.
    pub(crate) fn settle(&self, without: &[&Entry]) {
        let withdrawn: Vec<Entry> = without.iter().map(|entry| entry.withdrawn()).collect();
        let mut lines = self.lines();
        // What can't be taken back now, or marked, the next run looks at.
        let taken_back = lines.add(&withdrawn.iter().collect::<Vec<_>>());
        lines.open |= taken_back.is_err();
        let _ = lines.mark();
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Saves the counts of second opinions.
    fn save(&self) -> io::Result<()> {
        let tallies: Vec<(Class, Tally)> = self.opinions.tallies().into_iter().collect();
        let making = self.folder.join(format!("{OPINIONS}.new"));
        fs::write(&making, serde_json::to_vec(&tallies)?)?;
        fs::rename(&making, self.folder.join(OPINIONS))
    }
}

impl Drop for Proofs {
    fn drop(&mut self) {
        // What is not saved is counted again by the next run.
        let _ = self.save();
    }
}

impl Lines {
    fn open(folder: &Path) -> io::Result<Lines> {
        let from = settled(folder);
        let settled_file = OpenOptions::new().write(true).create(true).truncate(false).open(folder.join(SETTLED))?;
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(folder.join(EVIDENCE))?;
        match lock_soon(&file) {
            Err(TryLockError::WouldBlock) => return Err(io::Error::other("another run is writing there")),
            // Not every file system has locks.
            Err(TryLockError::Error(e)) if e.kind() != io::ErrorKind::Unsupported => return Err(e),
            _ => {}
        }
        let chain = Chain::go_on(&mut file)?;
        let mut lines = Lines { file, chain, settled: settled_file, open: false };
        File::open(folder)?.sync_all()?;
        lines.take_back(folder, from)?;
        lines.mark()?;
        lines.settled.sync_all()?;
        Ok(lines)
    }

    fn add(&mut self, entries: &[&Entry]) -> io::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let (before, mut chain, mut text) = (self.file.metadata()?.len(), self.chain.clone(), String::new());
        for entry in entries {
            text.push_str(&chain.line(entry.json()?));
        }
        let written = step().and_then(|()| self.file.write_all(text.as_bytes()));
        if let Err(error) = written.and_then(|()| step()).and_then(|()| self.file.sync_data()) {
            // Half a line is worse than none.
            let _ = step().and_then(|()| self.file.set_len(before));
            return Err(error);
        }
        self.chain = chain;
        Ok(())
    }

    /// Takes back what is said from an offset on of files that have no place.
    fn take_back(&mut self, folder: &Path, from: u64) -> io::Result<()> {
        let root = folder.parent().unwrap_or(folder);
        self.file.seek(SeekFrom::Start(from.min(self.file.metadata()?.len())))?;
        // Of a file that was written again, the last line that holds stands.
        let mut gone = Vec::new();
        for line in chain::Reader::new(BufReader::new(&self.file)) {
            let chain::Line::Whole { body, .. } = line? else { continue };
            match Entry::parse(&body) {
                Ok(Entry::Withdrawn { .. }) | Err(_) => {}
                Ok(entry) => {
                    if !is_in_place(&root.join(entry.file()), entry.bytes(), entry.sha256())? {
                        gone.push(entry.withdrawn());
                    }
                }
            }
        }
        self.add(&gone.iter().collect::<Vec<_>>())
    }

    /// All that stands here is in its place.
    fn mark(&mut self) -> io::Result<()> {
        if self.open {
            return Ok(());
        }
        step()?;
        let mark = format!("{:020}\n", self.file.metadata()?.len());
        self.settled.write_all_at(mark.as_bytes(), 0)
    }
}

fn is_in_place(path: &Path, bytes: u64, sha256: &str) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_file() && meta.len() == bytes => {}
        Ok(_) => return Ok(false),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(e),
    }
    let mut hash = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hash)?;
    Ok(hex(&hash.finalize()) == sha256)
}

/// The mark: how far all evidence is settled. Where there is none, all is.
fn settled(folder: &Path) -> u64 {
    let mut text = String::new();
    let read = File::open(folder.join(SETTLED)).and_then(|file| file.take(32).read_to_string(&mut text));
    read.ok().and_then(|_| text.trim().parse().ok()).unwrap_or(u64::MAX)
}

/// A line of the evidence of a destination.
#[derive(Debug)]
pub enum Line {
    /// Whole.
    Entry {
        /// Its number, from 1.
        number: u64,
        /// A run ended before it was known that the file got its place.
        pending: bool,
        /// What it says.
        entry: Entry,
    },
    /// Something is wrong here.
    Trouble(Trouble),
}

/// Reads the evidence of the destination whose state is in `folder` line by line; of a file that was written again, the last line
/// counts that was not withdrawn.
pub fn evidence(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<Line>>> {
    let settled = settled(folder);
    Ok(chain::open(&folder.join(EVIDENCE))?.map(move |line| {
        Ok(match line? {
            chain::Line::Trouble(trouble) => Line::Trouble(trouble),
            chain::Line::Whole { number, at, body } => match Entry::parse(&body) {
                Ok(entry) => Line::Entry { number, pending: at >= settled, entry },
                Err(_) => Line::Trouble(Trouble { line: number, what: chain::What::Damaged }),
            },
        })
    }))
}

/// What the evidence says of a file.
#[derive(Debug, Clone)]
pub struct Held {
    /// What became of it.
    pub outcome: Outcome,
    /// SHA-256 of it.
    pub sha256: [u8; 32],
    /// Its bytes.
    pub bytes: u64,
    /// Bytes and SHA-256 of what leads back to its source.
    pub residue: Option<(u64, [u8; 32])>,
    /// Why nothing does.
    pub no_way_back: Option<String>,
    /// Why it was not converted.
    pub reason: Option<String>,
    /// What it came from.
    pub source: Option<PathBuf>,
    /// SHA-256 of that.
    pub source_sha256: Option<[u8; 32]>,
    /// The identity was taken out of it.
    pub deidentified: bool,
    /// The line that says so, from 1.
    pub line: u64,
    /// A run ended before it was known that the file got its place.
    pub pending: bool,
}

/// What the evidence of a destination says, all in all.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Its files.
    pub files: BTreeMap<PathBuf, Held>,
    /// Lines that are wrong.
    pub troubles: Vec<Trouble>,
    /// There are lines of an earlier version, which said nothing of files that it kept.
    pub old: bool,
}

/// Reads all evidence of the destination whose state is in `folder`; there may be none.
pub fn ledger(folder: &Path) -> io::Result<Ledger> {
    ledger_of(folder, |_| true)
}

/// Hands over what stands of the evidence that is `asked` for, in the order it was written, with its ledger.
pub fn standing(
    folder: &Path,
    asked: impl Fn(&Entry) -> bool,
    mut each: impl FnMut(Entry, &Held),
) -> io::Result<Ledger> {
    let ledger = ledger_of(folder, asked)?;
    let lines: BTreeMap<u64, &Held> = ledger.files.values().map(|held| (held.line, held)).collect();
    if !lines.is_empty() {
        for line in evidence(folder)? {
            if let Line::Entry { number, entry, .. } = line?
                && let Some(held) = lines.get(&number)
            {
                each(entry, held);
            }
        }
    }
    drop(lines);
    Ok(ledger)
}

fn ledger_of(folder: &Path, asked: impl Fn(&Entry) -> bool) -> io::Result<Ledger> {
    let (mut ledger, mut all) = (Ledger::default(), BTreeMap::<PathBuf, Vec<Held>>::new());
    let lines = match evidence(folder) {
        Ok(lines) => lines,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(ledger),
        Err(e) => return Err(e),
    };
    for line in lines {
        match line? {
            Line::Trouble(trouble) => ledger.troubles.push(trouble),
            Line::Entry { entry: Entry::Withdrawn { file, file_sha256 }, .. } => {
                let sha256 = digest(&file_sha256);
                if let Some(held) = all.get_mut(&file)
                    && let Some(at) = held.iter().rposition(|held| Some(held.sha256) == sha256)
                {
                    held.remove(at);
                }
            }
            Line::Entry { entry, .. } if !asked(&entry) => {}
            Line::Entry { number, pending, entry } => {
                ledger.old |= matches!(&entry, Entry::Proof(proof) if proof.source.is_none());
                let held = all.entry(entry.file().to_owned()).or_default();
                if held.len() == MOST {
                    held.remove(0);
                }
                held.extend(Held::of(entry, number, pending));
            }
        }
    }
    ledger.files = all.into_iter().filter_map(|(file, mut held)| Some((file, held.pop()?))).collect();
    Ok(ledger)
}

impl Held {
    fn of(entry: Entry, line: u64, pending: bool) -> Option<Held> {
        let sha256 = digest(entry.sha256())?;
        let bytes = entry.bytes();
        Some(match entry {
            Entry::Proof(proof) => Held {
                outcome: Outcome::Converted,
                sha256,
                bytes,
                residue: proof.residue.and_then(|residue| Some((residue.bytes, digest(&residue.sha256)?))),
                no_way_back: proof.no_way_back,
                reason: None,
                source: proof.source,
                source_sha256: digest(&proof.evidence.source_sha256),
                deidentified: false,
                line,
                pending,
            },
            Entry::Copy(copy) => Held {
                outcome: copy.outcome,
                sha256,
                bytes,
                residue: copy.residue.as_ref().and_then(|residue| Some((residue.bytes, digest(&residue.sha256)?))),
                no_way_back: None,
                reason: copy.reason,
                source: copy.source,
                source_sha256: match &copy.source_sha256 {
                    Some(source) => digest(source),
                    None => (!copy.deidentified).then_some(sha256),
                },
                deidentified: copy.deidentified,
                line,
                pending,
            },
            Entry::Withdrawn { .. } => return None,
        })
    }
}

/// The bytes of a SHA-256 in hexadecimal.
pub fn digest(hex: &str) -> Option<[u8; 32]> {
    let (mut digest, pairs) = ([0; 32], hex.as_bytes().chunks_exact(2));
    if hex.len() != 64 {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(pairs) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
    }
    Some(digest)
}

/// The counts of second opinions of a destination.
pub fn opinions(folder: &Path) -> BTreeMap<Class, Tally> {
    let tallies = fs::read(folder.join(OPINIONS)).ok().and_then(|json| serde_json::from_slice(&json).ok());
    tallies.map(|tallies: Vec<(Class, Tally)>| tallies.into_iter().collect()).unwrap_or_default()
}

/// The quarantine of a destination, to be looked at.
pub fn quarantine(folder: &Path) -> Quarantine {
    Quarantine::new(folder.join(QUARANTINE), Quarantine::LIMIT)
}

/// Hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Seconds since 1970.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    fn odd(bytes: &[u8]) -> PathBuf {
        OsString::from_vec(bytes.to_vec()).into()
    }

    fn proof() -> Entry {
        let sum = "0".repeat(64);
        let evidence = Evidence {
            sop_instance_uid: "1.2".into(),
            modality: "CT".into(),
            source_sha256: sum.clone(),
            file_sha256: sum.clone(),
            source_transfer_syntax: "1.2.3".into(),
            transfer_syntax: "1.2.4".into(),
            bytes_in: 2,
            bytes_out: 1,
            policy: sum.clone(),
            rule: "r".into(),
            codec: "c 1".into(),
            samples_sha256: sum.clone(),
            made: 5,
            host: "h".into(),
            milliseconds: 7,
            frames: Vec::new(),
        };
        Entry::Proof(Box::new(Proof {
            file: odd(b"a/b \"c\" \xfc.dcm"),
            source: Some("/in/c.dcm".into()),
            residue: Some(ResidueProof { bytes: 3, sha256: sum }),
            no_way_back: None,
            evidence,
        }))
    }

    fn copy(file: impl Into<PathBuf>, of: &[u8]) -> Entry {
        Entry::Copy(Box::new(Copied {
            file: file.into(),
            source: Some(odd(b"/in/\xff")),
            outcome: Outcome::Unreadable,
            reason: Some("truncated".into()),
            file_sha256: hex(&Sha256::digest(of)),
            bytes: of.len() as u64,
            source_sha256: None,
            residue: None,
            sop_instance_uid: None,
            deidentified: false,
            made: 5,
        }))
    }

    #[test]
    fn entries_come_back_as_they_were() {
        let withdrawn = proof().withdrawn();
        for entry in [proof(), copy("x", b"bytes"), withdrawn] {
            assert_eq!(Entry::parse(entry.json().unwrap().as_bytes()).unwrap(), entry);
        }
    }

    #[test]
    fn lines_of_the_version_before_are_read() {
        let Entry::Proof(proof) = proof() else { unreachable!() };
        let old = serde_json::json!({"file": "a.dcm"}).as_object().cloned().unwrap();
        let mut old = old;
        old.extend(serde_json::to_value(&proof.evidence).unwrap().as_object().cloned().unwrap());
        let body = serde_json::to_string(&old).unwrap();
        let sum = &hex(&Sha256::digest(&body[..body.len() - 1]))[..32];
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(EVIDENCE), format!("{},\"sum\":\"{sum}\"}}\n", &body[..body.len() - 1])).unwrap();
        let ledger = ledger(folder.path()).unwrap();
        assert!(ledger.old && ledger.troubles.is_empty() && ledger.files.contains_key(Path::new("a.dcm")));
    }

    #[test]
    fn what_a_dead_run_did_not_place_is_taken_back() {
        let root = tempfile::tempdir().unwrap();
        let state = root.path().join(crate::STATE_DIR);
        fs::create_dir(&state).unwrap();
        let place = |name: &str, bytes: &[u8]| fs::write(root.path().join(name), bytes).unwrap();
        let open = || Proofs::open(&state, Proving::default()).unwrap();
        let proofs = open();
        place("settled", b"settled");
        proofs.add(&[&copy("settled", b"settled")]).unwrap();
        proofs.settle(&[]);
        place("placed", b"placed");
        place("again", b"old");
        proofs.add(&[&copy("again", b"old")]).unwrap();
        proofs.settle(&[]);
        // Dies between the evidence and the places.
        proofs.add(&[&copy("placed", b"placed"), &copy("never", b"never"), &copy("again", b"new")]).unwrap();
        drop(proofs);
        let pending = ledger(&state).unwrap();
        assert_eq!(pending.files.values().filter(|held| held.pending).count(), 3);
        // What is settled and gone is a fault to be found, not to be taken back.
        fs::remove_file(root.path().join("settled")).unwrap();
        drop(open());
        let ledger = ledger(&state).unwrap();
        let hash = |name: &str| ledger.files.get(Path::new(name)).map(|held| hex(&held.sha256));
        assert_eq!(hash("placed"), Some(hex(&Sha256::digest(b"placed"))));
        assert_eq!(hash("again"), Some(hex(&Sha256::digest(b"old"))));
        assert_eq!((hash("never"), hash("settled").is_some()), (None, true));
        assert!(ledger.troubles.is_empty() && ledger.files.values().all(|held| !held.pending));
        let lines = chain::Head::of(&state.join(EVIDENCE)).unwrap().lines;
        drop(open());
        assert_eq!(chain::Head::of(&state.join(EVIDENCE)).unwrap().lines, lines, "once is enough");
    }
}
