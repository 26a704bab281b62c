//! Files put in their place: whole, synced, or not at all.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// Is every component an ordinary name? What is joined to a destination always is.
pub fn is_plain(relative: &Path) -> bool {
    relative.components().all(|part| matches!(part, Component::Normal(_)))
}

/// Moves a synced file to its place and syncs the folder.
pub(crate) fn put_in_place(file: &Path, place: &Path) -> io::Result<()> {
    fs::rename(file, place)?;
    sync_folder(place)
}

/// Folders of a destination that are known to be on the storage.
#[derive(Debug, Default)]
pub(crate) struct Folders(HashSet<PathBuf>);

impl Folders {
    /// How many are remembered.
    const MOST: usize = 4096;

    /// Makes the folder of `place` and those above it, and waits until each is on the storage: also those that are there,
    /// for whoever made them may not have got that far.
    pub(crate) fn make(&mut self, destination: &Path, place: &Path) -> io::Result<()> {
        let Some(folder) = place.parent().filter(|folder| !self.0.contains(*folder)) else { return Ok(()) };
        if folder.starts_with(destination) && folder != destination {
            self.make(destination, folder)?;
        }
        match fs::create_dir(folder) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists || !folder.is_dir() => return Err(e),
            _ => sync_folder(folder)?,
        }
        if self.0.len() >= Self::MOST {
            self.0.clear();
        }
        self.0.insert(folder.to_owned());
        Ok(())
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
