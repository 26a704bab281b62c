//! What became of one file: a line of the report, and of the log of a destination.

use crate::names;
use serde::{Deserialize, Serialize, Serializer};
use std::path::{Path, PathBuf};
use transcode::Check;

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Re-encoded and proven equal.
    Converted,
    /// Stored byte for byte as it came.
    Kept,
    /// DICOM that can't be read: stored byte for byte as it came, and not served. Earlier versions left it out.
    #[serde(alias = "refused")]
    Unreadable,
    /// Not DICOM.
    Skipped,
    /// The environment was in the way: the file can't be read, or the destination can't be written.
    Failed,
}

/// One line of the report: written by [`Record::json`], read by [`Record::parse`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// Absolute path. One that is not UTF-8 stands in the line as text, and all of its bytes beside it, as `source_bytes`. Of a file that is de-identified: 32 digits that stand for the path
    /// under the key.
    #[serde(serialize_with = "lossy")]
    pub source: PathBuf,
    /// Absolute path, as that of the source; null when nothing was written.
    #[serde(serialize_with = "lossy_option")]
    pub destination: Option<PathBuf>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it was kept, can't be read, was skipped, or failed.
    pub reason: Option<String>,
    /// Name of the rule that fired.
    pub rule: Option<String>,
    /// Transfer syntax UID of the source.
    pub source_transfer_syntax: Option<String>,
    /// Transfer syntax UID of what was written.
    pub transfer_syntax: Option<String>,
    /// Size of the source.
    pub bytes_in: u64,
    /// Size of what was written.
    pub bytes_out: Option<u64>,
    /// Frames of the instance.
    pub frames: Option<u32>,
    /// SHA-256 of the samples of all frames; null when not decoded.
    pub samples_sha256: Option<String>,
    /// How long it took.
    pub seconds: f64,
    /// SHA-256 of the source file. Of a file that is de-identified: what stands for it under the key.
    pub source_sha256: Option<String>,
    /// Hash of the policy.
    pub policy: String,
    /// Done by an earlier run; nothing was written now.
    #[serde(default)]
    pub unchanged: bool,
    /// Only planned: nothing was written.
    #[serde(default)]
    pub dry_run: bool,
    /// Bytes kept beside it, by which `restore` gives the source back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residue_bytes: Option<u64>,
    /// The worst of what any frame lost, where a rule allowed loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<transcode::Loss>,
    /// The new SOP Instance UID of what was written with loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub derived_uid: Option<String>,
    /// Why there is no way back from a converted file to its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_way_back: Option<String>,
    /// The profile it was de-identified under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deidentified: Option<String>,
    /// What a person should look at before it is given away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// Modality of the instance.
    #[serde(default)]
    pub modality: Option<String>,
    /// When it was done, in seconds since 1970.
    #[serde(default)]
    pub finished: Option<i64>,
    /// The check that what was written did not pass; the file was kept as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disproved: Option<Check>,
    /// Entry of the quarantine that holds what was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantined: Option<String>,
}

impl Record {
    /// Of a source that nothing is known of yet.
    pub fn blank(source: PathBuf, bytes: u64) -> Record {
        Record {
            source,
            destination: None,
            outcome: Outcome::Unreadable,
            reason: None,
            rule: None,
            source_transfer_syntax: None,
            transfer_syntax: None,
            bytes_in: bytes,
            bytes_out: None,
            frames: None,
            samples_sha256: None,
            loss: None,
            derived_uid: None,
            seconds: 0.0,
            source_sha256: None,
            policy: String::new(),
            unchanged: false,
            dry_run: false,
            residue_bytes: None,
            no_way_back: None,
            deidentified: None,
            flags: Vec::new(),
            modality: None,
            finished: None,
            disproved: None,
            quarantined: None,
        }
    }

    /// The line, without an end.
    pub fn json(&self) -> serde_json::Result<String> {
        let mut json = serde_json::to_string(self)?;
        let paths = [("source_bytes", Some(&self.source)), ("destination_bytes", self.destination.as_ref())];
        for (name, path) in paths {
            if let Some(bytes) = path.and_then(|path| names::bytes_of(path)) {
                json.pop();
                json.push_str(&format!(",\"{name}\":\"{bytes}\"}}"));
            }
        }
        Ok(json)
    }

    /// Reads a line.
    pub fn parse(line: &[u8]) -> serde_json::Result<Record> {
        #[derive(Deserialize)]
        struct Bytes {
            source_bytes: Option<String>,
            destination_bytes: Option<String>,
        }
        let mut record: Record = serde_json::from_slice(line)?;
        if line.windows(BYTES.len()).any(|part| part == BYTES) {
            let bytes: Bytes = serde_json::from_slice(line)?;
            record.source = names::either(record.source, bytes.source_bytes.as_deref());
            record.destination = record.destination.map(|text| names::either(text, bytes.destination_bytes.as_deref()));
        }
        Ok(record)
    }
}

/// What the names of both members end with.
const BYTES: &[u8] = b"_bytes\":\"";

fn lossy<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&names::shown(path))
}

fn lossy_option<S: Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
    path.as_deref().map(Path::to_string_lossy).serialize(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn paths_come_back_as_they_were() {
        let odd = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
        for (source, destination) in [
            (odd(b"/in/M\xfcller.dcm"), Some(odd(b"/out/M\xfcller.dcm"))),
            (odd(b"/in/\xff_bytes\":\"x.dcm"), None),
            ("/in/plain_bytes\":\".dcm".into(), Some(odd(b"/o\xfft/plain"))),
            ("/in/M\u{fc}ller.dcm".into(), Some("/out/x".into())),
        ] {
            let record = Record { destination, ..Record::blank(source, 1) };
            let line = record.json().unwrap();
            let read = Record::parse(line.as_bytes()).unwrap();
            assert_eq!((read.source, read.destination), (record.source, record.destination), "{line}");
        }
    }

    #[test]
    fn what_earlier_versions_refused_is_read() {
        let line = Record::blank("/in/x".into(), 1).json().unwrap().replace("unreadable", "refused");
        assert_eq!(Record::parse(line.as_bytes()).unwrap().outcome, Outcome::Unreadable);
    }
}
