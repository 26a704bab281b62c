//! Objects as files on a local disk, in 256 folders.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cache::Cache;

use super::{Key, Objects, Put, ReadAt, Staged};

/// Objects in a folder of the local file system, which must also hold the spool.
pub struct Disk {
    root: PathBuf,
    /// Folders that are known to be on the storage.
    ready: [AtomicBool; 256],
    open: Cache<Key, Arc<OpenFile>>,
}

impl Disk {
    /// Opens the folder, and makes it when there is none. About `open_files` are kept open for reading.
    pub fn open(root: &Path, open_files: usize) -> io::Result<Disk> {
        if !root.exists() {
            fs::create_dir_all(root)?;
            root.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), sync_folder)?;
        }
        Ok(Disk { root: root.to_owned(), ready: [const { AtomicBool::new(false) }; 256], open: Cache::new(open_files) })
    }

    /// Makes the folder of a key durable, once in the life of this program: whoever made it may not have synced it.
    fn make_folder(&self, key: &Key, folder: &Path) -> io::Result<()> {
        let ready = &self.ready[usize::from(key.as_bytes()[0])];
        if ready.load(Ordering::Acquire) {
            return Ok(());
        }
        match fs::create_dir(folder) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => sync_folder(&self.root)?,
        }
        ready.store(true, Ordering::Release);
        Ok(())
    }

    fn place(&self, staged: Staged, over: bool) -> io::Result<Put> {
        let (key, size) = (staged.key(), staged.size());
        let path = self.path(&key);
        let folder = path.parent().expect("below the root");
        self.make_folder(&key, folder)?;
        // A file of another length is not these bytes: it is damaged, and the whole one takes its place.
        let put = match self.size(&key)? {
            Some(have) if have == size && !over => Put::Existed,
            _ => {
                staged.sync()?;
                staged.rename(&path)?;
                self.open.remove(&key);
                Put::New
            }
        };
        // Also when it existed: the run that put it there may have died before its folder was synced.
        sync_folder(folder)?;
        Ok(put)
    }

    fn path(&self, key: &Key) -> PathBuf {
        let hex = key.to_string();
        self.root.join(&hex[..2]).join(&hex[2..])
    }
}

impl Objects for Disk {
    fn put(&self, staged: Staged) -> io::Result<Put> {
        self.place(staged, false)
    }

    fn replace(&self, staged: Staged) -> io::Result<Put> {
        self.place(staged, true)
    }

    fn open(&self, key: &Key) -> io::Result<Arc<dyn ReadAt>> {
        if let Some(file) = self.open.get(key) {
            return Ok(file);
        }
        let file = Arc::new(OpenFile::open(&self.path(key))?);
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

    fn remove(&self, key: &Key) -> io::Result<bool> {
        self.open.remove(key);
        let path = self.path(key);
        match fs::remove_file(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other?,
        }
        sync_folder(path.parent().expect("below the root"))?;
        Ok(true)
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

impl OpenFile {
    fn open(path: &Path) -> io::Result<OpenFile> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Ok(OpenFile { file, size })
    }
}

/// Random access to a file that is no object.
pub(crate) fn open_file(path: &Path) -> io::Result<Arc<dyn ReadAt>> {
    Ok(Arc::new(OpenFile::open(path)?))
}

impl ReadAt for OpenFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        match offset.checked_add(buf.len() as u64) {
            Some(end) if end <= self.size => self.file.read_exact_at(buf, offset),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
