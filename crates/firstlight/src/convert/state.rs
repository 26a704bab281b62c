//! What the destination already holds: `DST/.firstlight/converted.jsonl`, one report line per file that was written.
//!
//! What `migrate` put there is known too. Lines are a [chain](files::chain). A line is added after its file is durable, so a run that is cut at any moment repeats at most the files under way,
//! with the same result. Temporary files live in `DST/.firstlight/tmp`, on the same file system as what they become.

use crate::failure::Failure;
use files::{
    History, Outcome, Record,
    chain::Chain,
    lock_soon,
    records::{self, LogLine},
};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What earlier runs told of.
#[derive(Debug, Default)]
pub struct Known {
    /// Files done, by destination.
    done: HashMap<PathBuf, Record>,
    /// There are lines of de-identified sources, and of others: of those that were refused too.
    deidentified: bool,
    identified: bool,
}

impl History for Known {
    fn done(&self, place: &Path) -> Option<Record> {
        self.done.get(place).cloned()
    }

    fn is_empty(&self) -> bool {
        self.done.is_empty()
    }
}

impl Known {
    /// Is something told of here that was (or, for `false`, was not) de-identified?
    pub fn tells_of(&self, deidentified: bool) -> bool {
        if deidentified { self.deidentified } else { self.identified }
    }

    fn add(&mut self, record: Record) {
        let which = if record.deidentified.is_some() { &mut self.deidentified } else { &mut self.identified };
        *which = true;
        if let Some(destination) = record.destination.clone() {
            self.done.insert(destination, record);
        }
    }
}

/// The memory of a destination, locked by this run.
pub struct State {
    scratch: PathBuf,
    known: Arc<Known>,
    file: Option<(File, Chain)>,
    path: PathBuf,
}

impl State {
    /// Opens the memory, makes it when it is not there, and clears what a killed run left behind.
    pub fn open(destination: &Path) -> Result<State, Failure> {
        let folder = destination.join(files::STATE_DIR);
        let scratch = folder.join("tmp");
        let path = folder.join("converted.jsonl");
        fs::create_dir_all(&folder).map_err(|e| Failure::io("write to", destination, &e))?;
        let open = || OpenOptions::new().read(true).append(true).create(true).open(&path);
        let mut file = open().map_err(|e| Failure::io("open", &path, &e))?;
        lock(&file, destination)?;
        clear(&scratch).map_err(|e| Failure::io("prepare", &scratch, &e))?;
        let chain = Chain::go_on(&mut file).map_err(|e| Failure::io("read", &path, &e))?;
        let known = read(&folder).map_err(|e| Failure::io("read", &path, &e))?;
        Ok(State { scratch, known: Arc::new(known), file: Some((file, chain)), path })
    }

    /// Remembers nothing and writes nothing.
    pub fn none(destination: &Path) -> State {
        let folder = destination.join(files::STATE_DIR);
        let path = folder.join("converted.jsonl");
        let known = read(&folder).unwrap_or_default();
        State { scratch: folder.join("tmp"), known: Arc::new(known), file: None, path }
    }

    /// Folder of what leads back from converted files to their sources.
    pub fn residues(&self) -> Option<PathBuf> {
        self.path.parent().map(|folder| folder.join("residue"))
    }

    /// Folder of temporary files.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Folder of what is remembered.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// What earlier runs did.
    pub fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known)
    }

    /// Adds a file that was written, or that could not be: the report of a destination tells of both.
    pub fn remember(&mut self, record: &Record) -> Result<(), Failure> {
        let told = record.outcome != Outcome::Skipped && !record.unchanged;
        let Some((file, chain)) = self.file.as_mut().filter(|_| told) else { return Ok(()) };
        let cannot = |e: io::Error| Failure::io("write", &self.path, &e);
        let json = record.json().map_err(|e| cannot(e.into()))?;
        let (before, mut next) = (file.metadata().map_err(cannot)?.len(), chain.clone());
        // A full disk costs the memory of this file, not the batch: the next run finds it and looks again.
        match file.write_all(next.line(json).as_bytes()) {
            Ok(()) => {
                *chain = next;
                Ok(())
            }
            Err(error) => {
                let _ = file.set_len(before);
                match error.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::FileTooLarge => Ok(()),
                    _ => Err(cannot(error)),
                }
            }
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if let Some((file, _)) = &self.file {
            let _ = file.sync_all();
            let _ = fs::remove_dir_all(&self.scratch);
        }
    }
}

fn lock(file: &File, destination: &Path) -> Result<(), Failure> {
    match lock_soon(file) {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let line = format!("another run is writing to {}", destination.display());
            Err(Failure::new(line).hint("wait for it, or choose another destination"))
        }
        // Not every file system has locks.
        Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(e)) => Err(Failure::io("lock", destination, &e)),
    }
}

fn clear(scratch: &Path) -> io::Result<()> {
    match fs::remove_dir_all(scratch) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    fs::create_dir_all(scratch)
}

/// The last line of a destination wins.
fn read(folder: &Path) -> io::Result<Known> {
    let mut known = Known::default();
    for told in records::read(folder) {
        if let LogLine::Record { record, .. } = told? {
            known.add(*record);
        }
    }
    Ok(known)
}
