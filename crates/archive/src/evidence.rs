//! Evidence: what proves, frame by frame, that a converted object is what was received.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use rusqlite::{Row, params};
use store::Key;
use transcode::FrameEvidence;

use crate::{Archive, Error, InstanceKey};

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
        let key = InstanceKey { study: row.get(1)?, series: row.get(2)?, sop: row.get(3)? };
        let proof = transcode::Evidence {
            sop_instance_uid: key.sop.clone(),
            modality: row.get(4)?,
            source_sha256: Key::new(row.get(5)?).to_string(),
            file_sha256: Key::new(row.get(6)?).to_string(),
            source_transfer_syntax: row.get(7)?,
            transfer_syntax: row.get(8)?,
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
        };
        Ok(Evidence { id: row.get(0)?, key, proof })
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
