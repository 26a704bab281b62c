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
use transcode::{Class, Evidence, Opinions, Quarantine, Sampling, Tally};

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
    /// What was proven of it.
    #[serde(flatten)]
    pub evidence: Evidence,
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
    /// The name of this machine.
    pub host: String,
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
            host: transcode::host(),
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn proof() -> Proof {
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
            samples_sha256: sum,
            made: 5,
            host: "h".into(),
            milliseconds: 7,
            frames: Vec::new(),
        };
        Proof { file: "a/b \"c\".dcm".into(), evidence }
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
