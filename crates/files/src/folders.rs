//! Files put in their place: whole, synced, or not at all.

use crate::step::step;
use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// Is every component an ordinary name? What is joined to a destination always is.
pub fn is_plain(relative: &Path) -> bool {
    relative.components().all(|part| matches!(part, Component::Normal(_)))
}

/// Folders of a destination: those that are known to be on the storage, and those with names that may not be.
#[derive(Debug, Default)]
pub(crate) struct Folders {
    known: HashSet<PathBuf>,
    unsettled: BTreeSet<PathBuf>,
}

impl Folders {
    /// How many are remembered.
    const MOST: usize = 4096;

    /// Makes the folder of `place` and those above it, and waits until each is on the storage: also those that are there,
    /// for whoever made them may not have got that far.
    pub(crate) fn make(&mut self, destination: &Path, place: &Path) -> io::Result<()> {
        let Some(folder) = place.parent().filter(|folder| !self.known.contains(*folder)) else { return Ok(()) };
        if folder.starts_with(destination) && folder != destination {
            self.make(destination, folder)?;
        }
        step()?;
        match fs::create_dir(folder) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists || !folder.is_dir() => return Err(e),
            _ => sync_folder(folder)?,
        }
        if self.known.len() >= Self::MOST {
            self.known.clear();
        }
        self.known.insert(folder.to_owned());
        Ok(())
    }

    /// Moves a synced file to its place, where its name is durable once this is [settled](Folders::settle).
    pub(crate) fn put(&mut self, file: &Path, place: &Path) -> io::Result<()> {
        step()?;
        fs::rename(file, place)?;
        self.changed(place);
        Ok(())
    }

    /// The name of `place` may not be on the storage yet.
    pub(crate) fn changed(&mut self, place: &Path) {
        let folder = place.parent().unwrap_or(Path::new("/"));
        if !self.unsettled.contains(folder) {
            self.unsettled.insert(folder.to_owned());
        }
    }

    /// Waits until all names are on the storage.
    pub(crate) fn settle(&mut self) -> io::Result<()> {
        step()?;
        std::mem::take(&mut self.unsettled).iter().try_for_each(|folder| File::open(folder)?.sync_all())
    }
}

/// Waits until a file and its name are on the storage.
pub(crate) fn sync_with_folder(file: &Path) -> io::Result<()> {
    File::open(file)?.sync_all()?;
    sync_folder(file)
}

/// Waits until the names in the folder that holds `of` are on the storage.
pub(crate) fn sync_folder(of: &Path) -> io::Result<()> {
    File::open(of.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// Do both hold the same bytes?
pub(crate) fn same_bytes(a: &Path, b: &Path) -> io::Result<bool> {
    let (meta_a, meta_b) = (fs::metadata(a)?, fs::metadata(b)?);
    if !meta_a.is_file() || meta_a.len() != meta_b.len() {
        return Ok(false);
    }
    let (mut a, mut b) = (File::open(a)?, File::open(b)?);
    let (mut x, mut y) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let n = a.read(&mut x)?;
        if n == 0 {
            return Ok(true);
        }
        b.read_exact(&mut y[..n])?;
        if x[..n] != y[..n] {
            return Ok(false);
        }
    }
}
