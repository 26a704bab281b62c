//! Evidence: what proves, frame by frame, that a converted object is what was received.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use rusqlite::{Row, params};
use transcode::FrameEvidence;

use crate::objects::Key;
use crate::{Archive, Error, InstanceKey};

/// One conversion that was proven.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Its number; later ones are higher.
    pub id: i64,
    /// The instance.
    pub key: InstanceKey,
    /// Modality.
    pub modality: String,
    /// SHA-256 of the received object, hexadecimal.
    pub received: String,
    /// SHA-256 of the converted object, hexadecimal.
    pub converted: String,
    /// Transfer syntax UID of the received object.
    pub received_syntax: String,
    /// Transfer syntax UID of the converted object.
    pub converted_syntax: String,
    /// Bytes of the received object.
    pub bytes_in: u64,
    /// Bytes of the converted object.
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

const SELECT: &str = "SELECT v.id, s.uid, e.uid, i.uid, e.modality, f.key, t.key, f.syntax, t.syntax, f.bytes, t.bytes, \
    v.policy, v.rule, v.codec, v.samples_sha256, v.made, v.host, v.milliseconds, v.frames FROM evidence v \
    JOIN instances i ON i.id = v.instance JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study \
    JOIN objects f ON f.id = v.from_object JOIN objects t ON t.id = v.to_object";

impl Archive {
    /// The conversions of an instance that were proven, newest first.
    pub fn evidence(&self, key: &InstanceKey) -> Result<Vec<Evidence>, Error> {
        let sql = format!("{SELECT} WHERE s.uid = ? AND e.uid = ? AND i.uid = ? ORDER BY v.id DESC");
        self.select(&sql, params![key.study, key.series, key.sop])
    }

    /// As [`Archive::evidence`], of every instance with this SOP Instance UID.
    pub fn evidence_of(&self, sop_instance_uid: &str) -> Result<Vec<Evidence>, Error> {
        self.select(&format!("{SELECT} WHERE i.uid = ? ORDER BY v.id DESC"), [sop_instance_uid])
    }

    /// All evidence in the order it was made: at most `limit`, after the one numbered `after`.
    pub fn evidence_after(&self, after: i64, limit: usize) -> Result<Vec<Evidence>, Error> {
        self.select(&format!("{SELECT} WHERE v.id > ? ORDER BY v.id LIMIT ?"), params![after, limit])
    }

    fn select(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<Vec<Evidence>, Error> {
        self.inner.index.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(sql)?;
            let mut rows = statement.query(parameters)?;
            let mut evidence = Vec::new();
            while let Some(row) = rows.next()? {
                evidence.push(Evidence::of(row)?);
            }
            Ok(evidence)
        })
    }
}

impl Evidence {
    fn of(row: &Row<'_>) -> Result<Evidence, Error> {
        Ok(Evidence {
            id: row.get(0)?,
            key: InstanceKey { study: row.get(1)?, series: row.get(2)?, sop: row.get(3)? },
            modality: row.get(4)?,
            received: Key::new(row.get(5)?).to_string(),
            converted: Key::new(row.get(6)?).to_string(),
            received_syntax: row.get(7)?,
            converted_syntax: row.get(8)?,
            bytes_in: row.get(9)?,
            bytes_out: row.get(10)?,
            policy: row.get(11)?,
            rule: row.get(12)?,
            codec: row.get(13)?,
            samples_sha256: row.get(14)?,
            made: row.get(15)?,
            host: row.get(16)?,
            milliseconds: row.get(17)?,
            frames: unpack(row.get_ref(18)?.as_blob().map_err(rusqlite::Error::from)?)?,
        })
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
