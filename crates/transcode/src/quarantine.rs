//! What failed a check, kept to be looked into: the wrong file byte for byte, and beside it what is known of it.
//!
//! An entry is a folder: `wrong.dcm` and `entry.json`. It gets its name when both are on the storage, and the name comes from
//! the bytes, so that a conversion that fails again in the same way is one entry.

use crate::convert::Disproved;
use crate::error::Check;
use dicom::error::Result;
use dicom::input::{Input, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

const ENTRY: &str = "entry.json";
const WRONG: &str = "wrong.dcm";

/// A folder of entries.
#[derive(Debug)]
pub struct Quarantine {
    folder: PathBuf,
    limit: u64,
    /// Bytes in it, once they were counted.
    bytes: Mutex<Option<u64>>,
}

/// Where the instance that failed came from.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// A path or the like.
    pub source: String,
    /// All bytes of a path that is no UTF-8, as records encode them.
    pub source_bytes: Option<String>,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// SOP Instance UID.
    pub sop_instance_uid: String,
}

/// What is known of a conversion that failed a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Name of the entry.
    pub name: String,
    /// When, in seconds since 1970.
    pub made: i64,
    /// The check that failed.
    pub check: Check,
    /// In which way.
    pub reason: String,
    /// The rule that asked for the conversion.
    pub rule: String,
    /// Name and version of the codec.
    pub codec: String,
    /// Where the source is; nothing was changed there.
    pub source: String,
    /// All bytes of a path that is no UTF-8, as records encode them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_bytes: Option<String>,
    /// SHA-256 of the source.
    pub source_sha256: String,
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// Transfer syntax of the source.
    pub source_transfer_syntax: String,
    /// Transfer syntax of the wrong file.
    pub transfer_syntax: String,
    /// Bytes of the wrong file.
    pub bytes: u64,
    /// SHA-256 of the wrong file.
    pub sha256: String,
    /// The wrong file is here; it is not when the quarantine was full.
    pub kept: bool,
}

impl Quarantine {
    /// What a quarantine holds where nothing else is said.
    pub const LIMIT: u64 = 10 << 30;

    /// A quarantine in `folder`, made when it is needed, that holds at most `limit` bytes of wrong files.
    pub fn new(folder: impl Into<PathBuf>, limit: u64) -> Quarantine {
        Quarantine { folder: folder.into(), limit, bytes: Mutex::new(None) }
    }

    /// Takes a wrong file. Durable when this returns. The folder must be on the file system of the file.
    pub fn take(&self, disproved: Disproved, of: &Origin, made: i64) -> Result<Quarantined> {
        let wrong = Input::open(disproved.path())?;
        let (bytes, sha256) = (wrong.len(), hex(&wrong.sha256()?));
        let name = hex(&Sha256::digest(format!("{} {sha256}", of.sha256)))[..32].to_owned();
        let place = self.folder.join(&name);
        let mut entry = Quarantined {
            name,
            made,
            check: disproved.check,
            reason: disproved.reason.clone(),
            rule: disproved.rule.clone(),
            codec: disproved.codec.clone(),
            source: of.source.clone(),
            source_bytes: of.source_bytes.clone(),
            source_sha256: of.sha256.clone(),
            sop_instance_uid: of.sop_instance_uid.clone(),
            source_transfer_syntax: disproved.source_syntax.uid().to_owned(),
            transfer_syntax: disproved.target_syntax.uid().to_owned(),
            bytes,
            sha256,
            kept: true,
        };
        let mut held = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(there) = read(&place) {
            return Ok(there);
        }
        make_private(&self.folder)?;
        let total = match *held {
            Some(bytes) => bytes,
            None => self.list()?.iter().filter(|entry| entry.kept).map(|entry| entry.bytes).sum(),
        };
        entry.kept = total.saturating_add(bytes) <= self.limit;
        self.put(disproved, &entry, &place)?;
        *held = Some(total + if entry.kept { bytes } else { 0 });
        Ok(entry)
    }

    fn put(&self, disproved: Disproved, entry: &Quarantined, place: &Path) -> Result<()> {
        let making = self.folder.join(format!(".{}", entry.name));
        let _ = fs::remove_dir_all(&making);
        make_private(&making)?;
        let mut file = File::create(making.join(ENTRY))?;
        file.write_all(&serde_json::to_vec_pretty(entry).map_err(io::Error::from)?)?;
        file.sync_all()?;
        if entry.kept {
            disproved.persist(&making.join(WRONG))?;
        }
        sync(&making)?;
        fs::rename(&making, place)?;
        sync(&self.folder)?;
        Ok(())
    }

    /// All entries, oldest first; none when there is no such folder.
    pub fn list(&self) -> Result<Vec<Quarantined>> {
        let folders = match fs::read_dir(&self.folder) {
            Ok(folders) => folders,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut entries = Vec::new();
        for folder in folders {
            let path = folder?.path();
            let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if !hidden && let Ok(entry) = read(&path) {
                entries.push(entry);
            }
        }
        entries.sort_by(|a, b| (a.made, &a.name).cmp(&(b.made, &b.name)));
        Ok(entries)
    }

    /// Removes the entries of sources with these SHA-256 (hexadecimal), with their files; says how many. Durable when this returns.
    pub fn forget(&self, sources: &[String]) -> Result<u64> {
        let mut held = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = self.list()?.into_iter().filter(|entry| sources.contains(&entry.source_sha256));
        let mut count = 0;
        for entry in gone {
            fs::remove_dir_all(self.folder.join(&entry.name))?;
            count += 1;
        }
        if count > 0 {
            // Counted anew when it is asked for.
            *held = None;
            sync(&self.folder)?;
        }
        Ok(count)
    }

    /// The wrong file of an entry.
    pub fn file(&self, entry: &Quarantined) -> PathBuf {
        self.folder.join(&entry.name).join(WRONG)
    }

    /// Where entries are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

fn read(place: &Path) -> io::Result<Quarantined> {
    let entry: Quarantined = serde_json::from_slice(&fs::read(place.join(ENTRY))?)?;
    // The name is a path below the quarantine: only one of ours is believed.
    let named = place.file_name().is_some_and(|name| name.as_encoded_bytes() == entry.name.as_bytes());
    if named { Ok(entry) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// A folder for its owner alone: what is in it speaks of patients.
fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

fn sync(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}
