//! Evidence as it is kept, in an archive or beside files: what a conversion proved, and who did it when.

use crate::convert::{FrameEvidence, Verified};
use dicom::facts::Facts;
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Proof that one file is what its source was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// Modality.
    pub modality: String,
    /// SHA-256 of the source, hexadecimal.
    pub source_sha256: String,
    /// SHA-256 of the file, hexadecimal.
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

impl Verified {
    /// The evidence of this file, made now; `facts` are those of its source.
    pub fn evidence(&self, facts: &Facts, source_sha256: &str, policy: &str, host: &str, took: Duration) -> Evidence {
        Evidence {
            sop_instance_uid: facts.sop_instance_uid.clone(),
            modality: facts.modality.clone(),
            source_sha256: source_sha256.to_owned(),
            file_sha256: self.file_sha256.clone(),
            source_transfer_syntax: self.source_syntax.uid().to_owned(),
            transfer_syntax: self.target_syntax.uid().to_owned(),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            policy: policy.to_owned(),
            rule: self.rule.clone(),
            codec: self.codec.clone(),
            samples_sha256: self.samples_sha256.clone(),
            made: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64),
            host: host.to_owned(),
            milliseconds: took.as_millis() as u64,
            frames: self.frames().to_vec(),
        }
    }
}

/// The name of this machine, as evidence has it.
pub fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}
