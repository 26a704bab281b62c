//! The report: one JSON line per file.

use crate::failure::Failure;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Re-encoded and proven equal.
    Converted,
    /// Stored byte for byte as it came.
    Kept,
    /// DICOM that can't be read.
    Refused,
    /// Not DICOM.
    Skipped,
    /// The environment was in the way: the file can't be read, or the destination can't be written.
    Failed,
}

/// One line of the report.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// Absolute path.
    pub source: PathBuf,
    /// Absolute path; null when nothing was written.
    pub destination: Option<PathBuf>,
    pub outcome: Outcome,
    /// Why it was kept, refused or skipped, or failed.
    pub reason: Option<String>,
    pub rule: Option<String>,
    pub source_transfer_syntax: Option<String>,
    pub transfer_syntax: Option<String>,
    pub bytes_in: u64,
    pub bytes_out: Option<u64>,
    pub frames: Option<u32>,
    /// SHA-256 of the samples of all frames; null when not decoded.
    pub samples_sha256: Option<String>,
    pub seconds: f64,
    /// SHA-256 of the source file.
    pub source_sha256: Option<String>,
    /// Hash of the policy.
    pub policy: String,
    /// Done by an earlier run; nothing was written now.
    #[serde(default)]
    pub unchanged: bool,
    /// Only planned: nothing was written.
    #[serde(default)]
    pub dry_run: bool,
}

/// Where report lines go.
pub struct Report(Option<(PathBuf, Box<dyn Write>)>);

impl Report {
    /// A file, standard output for `-`, or nowhere.
    pub fn create(path: Option<&Path>) -> Result<Report, Failure> {
        let Some(path) = path else { return Ok(Report(None)) };
        if path.as_os_str() == "-" {
            return Ok(Report(Some((path.to_owned(), Box::new(io::stdout())))));
        }
        let file = File::create(path).map_err(|e| Failure::io("write the report", path, &e))?;
        Ok(Report(Some((path.to_owned(), Box::new(BufWriter::new(file))))))
    }

    /// Adds a line; it is there for a reader at once.
    pub fn write(&mut self, record: &Record) -> Result<(), Failure> {
        let Some((path, out)) = &mut self.0 else { return Ok(()) };
        let mut line = serde_json::to_vec(record).map_err(|e| Failure::new(format!("cannot write the report: {e}")))?;
        line.push(b'\n');
        out.write_all(&line).and_then(|()| out.flush()).map_err(|e| Failure::io("write the report", path, &e))
    }
}
