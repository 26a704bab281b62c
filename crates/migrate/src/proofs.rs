//! What a destination keeps beside its files as proof: `evidence.jsonl`, one line per converted file with the hashes of every
//! frame; the counts of second opinions; and the quarantine of what failed a check.
//!
//! Each line of evidence ends with a checksum of itself, so that damage to it is seen.

use crate::log::close_last_line;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use transcode::{Class, Facts, FrameEvidence, Opinions, Quarantine, Sampling, Tally, Verified};

const EVIDENCE: &str = "evidence.jsonl";
const OPINIONS: &str = "opinions.json";
const QUARANTINE: &str = "quarantine";
/// How often the counts of second opinions are saved.
const SAVE: Duration = Duration::from_secs(10);

/// Proof that one file is what its source was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// Below the destination.
    pub file: PathBuf,
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// Modality.
    pub modality: String,
    /// SHA-256 of the source.
    pub source_sha256: String,
    /// SHA-256 of the file.
    pub file_sha256: String,
    /// Transfer syntax UID of the source.
    pub source_transfer_syntax: String,
    /// Transfer syntax UID of the file.
    pub transfer_syntax: String,
    /// Bytes of the source.
    pub bytes_in: u64,
    /// Bytes of the file.
    pub bytes_out: u64,
    /// Hash of the policy.
    pub policy: String,
    /// The rule that asked for it.
    pub rule: String,
    /// Name and version of the codec.
    pub codec: String,
    /// SHA-256 over the samples of all frames.
    pub samples_sha256: String,
    /// Seconds since 1970.
    pub made: i64,
    /// The machine that did it.
    pub host: String,
    /// How long it took.
    pub milliseconds: u64,
    /// Proof of each frame.
    pub frames: Vec<FrameEvidence>,
}

/// The proofs of a destination, shared by the workers of a run.
#[derive(Debug)]
pub struct Proofs {
    folder: PathBuf,
    evidence: Mutex<File>,
    saved: Mutex<Instant>,
    /// Asked by all workers.
    pub opinions: Opinions,
    /// Takes what failed a check.
    pub quarantine: Quarantine,
    host: String,
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
    /// Opens the proofs in `folder` (`DST/.firstlight`), which is there; what earlier runs counted goes on.
    pub fn open(folder: &Path, proving: Proving) -> io::Result<Proofs> {
        let mut evidence = OpenOptions::new().read(true).append(true).create(true).open(folder.join(EVIDENCE))?;
        close_last_line(&mut evidence)?;
        let known: Vec<(Class, Tally)> = match fs::read(folder.join(OPINIONS)) {
            // Counts that can't be read are begun anew: more is looked at, not less.
            Ok(json) => serde_json::from_slice(&json).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok(Proofs {
            folder: folder.to_owned(),
            evidence: Mutex::new(evidence),
            saved: Mutex::new(Instant::now()),
            opinions: Opinions::new(proving.sampling, known),
            quarantine: Quarantine::new(folder.join(QUARANTINE), proving.quarantine),
            host: host(),
        })
    }

    /// The proof of a verified file that is about to get its place.
    pub(crate) fn proof(
        &self,
        file: &Path,
        facts: &Facts,
        verified: &Verified,
        source_sha256: &str,
        policy: &str,
        took: Duration,
    ) -> Proof {
        Proof {
            file: file.to_owned(),
            sop_instance_uid: facts.sop_instance_uid.clone(),
            modality: facts.modality.clone(),
            source_sha256: source_sha256.to_owned(),
            file_sha256: verified.file_sha256.clone(),
            source_transfer_syntax: verified.source_syntax.uid().to_owned(),
            transfer_syntax: verified.target_syntax.uid().to_owned(),
            bytes_in: verified.bytes_in,
            bytes_out: verified.bytes_out,
            policy: policy.to_owned(),
            rule: verified.rule.clone(),
            codec: verified.codec.clone(),
            samples_sha256: verified.samples_sha256.clone(),
            made: now(),
            host: self.host.clone(),
            milliseconds: took.as_millis() as u64,
            frames: verified.frames().to_vec(),
        }
    }

    /// Adds a line of evidence, and saves the counts now and then.
    pub(crate) fn add(&self, proof: &Proof) -> io::Result<()> {
        let line = sealed(proof)?;
        let mut file = self.evidence.lock().unwrap_or_else(PoisonError::into_inner);
        let length = file.metadata()?.len();
        if let Err(error) = file.write_all(line.as_bytes()) {
            // Half a line is worse than none.
            let _ = file.set_len(length);
            return Err(error);
        }
        drop(file);
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        if saved.elapsed() >= SAVE {
            *saved = Instant::now();
            self.save()?;
        }
        Ok(())
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
        let _ = self.evidence.get_mut().unwrap_or_else(PoisonError::into_inner).sync_all();
    }
}

/// A line of the evidence of a destination.
#[derive(Debug)]
pub enum Line {
    /// Whole.
    Proof(Box<Proof>),
    /// Not what was written: its number, from 1.
    Damaged(u64),
}

/// Reads the evidence of the destination whose state is in `folder` line by line; of a file that was written again, the last line
/// counts.
pub fn evidence(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<Line>>> {
    let lines = BufReader::new(File::open(folder.join(EVIDENCE))?).split(b'\n').enumerate();
    Ok(lines.filter(|(_, line)| !line.as_ref().is_ok_and(Vec::is_empty)).map(|(n, line)| {
        let line = line?;
        Ok(unseal(&line).map_or(Line::Damaged(n as u64 + 1), |proof| Line::Proof(Box::new(proof))))
    }))
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

/// The line, its SHA-256 as the last member.
fn sealed(proof: &Proof) -> io::Result<String> {
    let mut json = serde_json::to_string(proof)?;
    json.pop();
    let sum = digest(json.as_bytes());
    Ok(format!("{json},\"sum\":\"{sum}\"}}\n"))
}

fn unseal(line: &[u8]) -> Option<Proof> {
    let line = std::str::from_utf8(line).ok()?;
    let (json, sum) = line.strip_suffix("\"}")?.rsplit_once(",\"sum\":\"")?;
    if digest(json.as_bytes()) != sum {
        return None;
    }
    serde_json::from_str(&format!("{json}}}")).ok()
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64)
}

fn host() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof() -> Proof {
        let sum = "0".repeat(64);
        Proof {
            file: "a/b \"c\".dcm".into(),
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
            samples_sha256: sum,
            made: 5,
            host: "h".into(),
            milliseconds: 7,
            frames: Vec::new(),
        }
    }

    #[test]
    fn any_flipped_bit_of_a_line_is_seen() {
        let line = sealed(&proof()).unwrap();
        let line = line.trim_end().as_bytes();
        assert_eq!(unseal(line), Some(proof()));
        for bit in 0..line.len() * 8 {
            let mut damaged = line.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unseal(&damaged), None, "bit {bit}");
        }
    }
}
