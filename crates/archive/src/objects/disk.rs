//! Objects as files on a local disk, in 256 folders.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dicom::LocalFile;

use crate::cache::Cache;

use super::{Key, Objects, Put, ReadAt, Staged};

/// Objects in a folder of the local file system, which must also hold the spool.
pub struct Disk {
    root: PathBuf,
    /// Folders that are known to be on the storage.
    ready: [AtomicBool; 256],
    open: Cache<Key, Open>,
}

/// A file that is kept open, and which one of the file system it is.
#[derive(Clone)]
struct Open {
    file: Arc<LocalFile>,
    device: u64,
    inode: u64,
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
        let path = self.path(key);
        if let Some(open) = self.open.get(key) {
            // Somebody else may have removed it, or put a whole one in its place.
            let now = fs::metadata(&path).inspect_err(|_| self.open.remove(key))?;
            if (now.dev(), now.ino(), now.len()) == (open.device, open.inode, open.file.size()) {
                return Ok(open.file);
            }
        }
        let file = File::open(&path)?;
        let is = file.metadata()?;
        let file = Arc::new(LocalFile::new(file)?);
        self.open.insert(*key, Open { file: file.clone(), device: is.dev(), inode: is.ino() });
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
}

/// Waits until the names in a folder are on the storage.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Random access to a file that is no object.
pub(crate) fn open_file(path: &Path) -> io::Result<Arc<dyn ReadAt>> {
    Ok(Arc::new(LocalFile::new(File::open(path)?)?))
}
