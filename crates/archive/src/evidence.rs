//! Evidence: what proves, frame by frame, that a converted object is what was received.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use store::index::{EvidenceOf, EvidenceRow, InstanceKey};
use transcode::FrameEvidence;

use crate::archive::Archive;
use crate::error::Error;

/// One conversion that was proven.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Its number; later ones are higher.
    pub id: i64,
    /// The instance.
    pub key: InstanceKey,
    /// What was proven; the source is the received object, the file the converted one.
    pub proof: transcode::Evidence,
}

impl Archive {
    /// The conversions of an instance that were proven, newest first.
    pub fn evidence(&self, key: &InstanceKey) -> Result<Vec<Evidence>, Error> {
        self.select(EvidenceOf::Instance(key))
    }

    /// As [`Archive::evidence`], of every instance with this SOP Instance UID.
    pub fn evidence_of(&self, sop_instance_uid: &str) -> Result<Vec<Evidence>, Error> {
        self.select(EvidenceOf::Sop(sop_instance_uid))
    }

    /// All evidence in the order it was made: at most `limit`, after the one numbered `after`.
    pub fn evidence_after(&self, after: i64, limit: usize) -> Result<Vec<Evidence>, Error> {
        self.select(EvidenceOf::After(after, limit))
    }

    fn select(&self, of: EvidenceOf<'_>) -> Result<Vec<Evidence>, Error> {
        self.inner.index.evidence(of)?.into_iter().map(Evidence::of).collect()
    }
}

impl Evidence {
    fn of(row: EvidenceRow) -> Result<Evidence, Error> {
        let proof = transcode::Evidence {
            sop_instance_uid: row.key.sop.clone(),
            modality: row.modality,
            source_sha256: row.from.key.to_string(),
            file_sha256: row.to.key.to_string(),
            source_transfer_syntax: row.from.syntax,
            transfer_syntax: row.to.syntax,
            bytes_in: row.from.bytes,
            bytes_out: row.to.bytes,
            policy: row.policy,
            rule: row.rule,
            codec: row.codec,
            samples_sha256: row.samples_sha256,
            made: row.made,
            host: row.host,
            milliseconds: row.milliseconds,
            frames: unpack(&row.frames)?,
        };
        Ok(Evidence { id: row.id, key: row.key, proof })
    }
}

pub(crate) fn pack(frames: &[FrameEvidence]) -> Result<Vec<u8>, Error> {
    let json = serde_json::to_vec(frames).expect("evidence is plain values");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&json).and_then(|()| gzip.finish()).map_err(Error::io("compressing evidence"))
}

pub(crate) fn unpack(gzip: &[u8]) -> Result<Vec<FrameEvidence>, Error> {
    let mut json = Vec::new();
    let damaged = |e: &dyn std::fmt::Display| Error::Damaged(format!("evidence cannot be read: {e}"));
    GzDecoder::new(gzip).read_to_end(&mut json).map_err(|e| damaged(&e))?;
    serde_json::from_slice(&json).map_err(|e| damaged(&e))
}
