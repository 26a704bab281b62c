//! Objects as files on a local disk, in 256 folders.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cache::Cache;

use super::{Key, Objects, Put, ReadAt, Staged};

/// Objects in a folder of the local file system, which must also hold the spool.
pub struct Disk {
    root: PathBuf,
    open: Cache<Key, Arc<OpenFile>>,
}

impl Disk {
    /// Opens the folder, and makes it when there is none. About `open_files` are kept open for reading.
    pub fn open(root: &Path, open_files: usize) -> io::Result<Disk> {
        fs::create_dir_all(root)?;
        let mut made = false;
        for shard in 0..=u8::MAX {
            match fs::create_dir(root.join(format!("{shard:02x}"))) {
                Ok(()) => made = true,
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
        }
        if made {
            sync_folder(root)?;
        }
        if let Some(parent) = root.parent().filter(|p| made && !p.as_os_str().is_empty()) {
            sync_folder(parent)?;
        }
        Ok(Disk { root: root.to_owned(), open: Cache::new(open_files) })
    }

    fn path(&self, key: &Key) -> PathBuf {
        let hex = key.to_string();
        self.root.join(&hex[..2]).join(&hex[2..])
    }
}

impl Objects for Disk {
    fn put(&self, staged: Staged) -> io::Result<Put> {
        let (key, size) = (staged.key(), staged.size());
        let path = self.path(&key);
        let folder = path.parent().expect("below the root");
        // A file of another length is not these bytes: it is damaged, and the whole one takes its place.
        let put = match self.size(&key)? {
            Some(have) if have == size => Put::Existed,
            _ => {
                staged.sync()?;
                staged.rename(&path)?;
                Put::New
            }
        };
        // Also when it existed: the run that put it there may have died before its folder was synced.
        sync_folder(folder)?;
        Ok(put)
    }

    fn open(&self, key: &Key) -> io::Result<Arc<dyn ReadAt>> {
        if let Some(file) = self.open.get(key) {
            return Ok(file);
        }
        let file = File::open(self.path(key))?;
        let size = file.metadata()?.len();
        let file = Arc::new(OpenFile { file, size });
        self.open.insert(*key, file.clone());
        Ok(file)
    }

    fn size(&self, key: &Key) -> io::Result<Option<u64>> {
        match fs::metadata(self.path(key)) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn local_path(&self, key: &Key) -> Option<PathBuf> {
        Some(self.path(key))
    }
}

/// Waits until the names in a folder are on the storage.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[derive(Debug)]
struct OpenFile {
    file: File,
    size: u64,
}

impl ReadAt for OpenFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }
}
