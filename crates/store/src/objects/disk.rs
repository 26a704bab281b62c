//! Objects as files on a local disk, in 256 folders.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dicom::LocalFile;

use crate::cache::Cache;

use super::key::Key;
use super::{Objects, Put, ReadAt};
use crate::spool::Staged;
use crate::sync::sync_folder;

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

    /// Puts the bytes in their place; the name is durable once its folder is synced.
    fn place(&self, staged: Staged, folder: &Path, over: bool) -> io::Result<Put> {
        let (key, size) = (staged.key(), staged.size());
        self.make_folder(&key, folder)?;
        // A file of another length is not these bytes: it is damaged, and the whole one takes its place.
        match self.size(&key)? {
            Some(have) if have == size && !over => Ok(Put::Existed),
            _ => {
                staged.sync()?;
                staged.rename(&self.path(&key))?;
                self.open.remove(&key);
                Ok(Put::New)
            }
        }
    }

    /// Places all, and syncs each folder once.
    fn place_all(&self, staged: Vec<Staged>) -> Vec<io::Result<Put>> {
        let mut folders = BTreeMap::<PathBuf, Vec<usize>>::new();
        let mut put = Vec::with_capacity(staged.len());
        for (n, staged) in staged.into_iter().enumerate() {
            let folder = self.folder(&staged.key());
            put.push(self.place(staged, &folder, false));
            folders.entry(folder).or_default().push(n);
        }
        for (folder, of) in folders {
            // Also for what existed: the run that put it there may have died before its folder was synced.
            let synced = if of.iter().any(|n| put[*n].is_ok()) { sync_folder(&folder) } else { Ok(()) };
            if let Err(error) = synced {
                of.iter().for_each(|n| put[*n] = Err(again(&error)));
            }
        }
        put
    }

    /// The objects of one folder whose names are after this one, with their bytes, in order.
    fn names(&self, first: u8, after: Option<Key>, most: usize) -> io::Result<Vec<(Key, u64)>> {
        let folder = self.root.join(format!("{first:02x}"));
        let entries = match fs::read_dir(&folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut keys = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let key = name.to_str().and_then(|rest| Key::parse(&format!("{first:02x}{rest}")));
            keys.extend(key.filter(|key| after.is_none_or(|after| *key > after)));
        }
        keys.sort_unstable();
        // One that went meanwhile is not listed.
        let sized = keys.into_iter().filter_map(|key| self.size(&key).map(|size| Some((key, size?))).transpose());
        sized.take(most).collect()
    }

    fn folder(&self, key: &Key) -> PathBuf {
        self.root.join(format!("{:02x}", key.as_bytes()[0]))
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.folder(key).join(&key.to_string()[2..])
    }
}

impl Objects for Disk {
    fn put(&self, staged: Vec<Staged>) -> Vec<io::Result<Put>> {
        self.place_all(staged)
    }

    fn replace(&self, staged: Staged) -> io::Result<Put> {
        let folder = self.folder(&staged.key());
        let put = self.place(staged, &folder, true)?;
        sync_folder(&folder).map(|()| put)
    }

    fn open(&self, key: &Key, _size: u64) -> io::Result<Arc<dyn ReadAt>> {
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
        match fs::remove_file(self.path(key)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other?,
        }
        sync_folder(&self.folder(key))?;
        Ok(true)
    }

    fn forget(&self, key: &Key) {
        self.open.remove(key);
    }

    fn list(&self, after: Option<Key>, most: usize) -> io::Result<Vec<(Key, u64)>> {
        let mut listed = Vec::new();
        for first in after.map_or(0, |after| after.as_bytes()[0])..=u8::MAX {
            if listed.len() == most {
                break;
            }
            listed.extend(self.names(first, after, most - listed.len())?);
        }
        Ok(listed)
    }
}

/// The same error for another one who waited for the same thing.
fn again(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;
    use crate::objects::contract::Bed;
    use crate::objects::hash;

    crate::objects_contract!(super::tests::disk);

    fn disk() -> Bed {
        Bed::new(|folder| Box::new(Disk::open(&folder.join("objects"), 2).unwrap()))
    }

    /// Where the disk has an object.
    fn file(bed: &Bed, key: &Key) -> PathBuf {
        let hex = key.to_string();
        bed.folder.path().join("objects").join(&hex[..2]).join(&hex[2..])
    }

    #[test]
    fn damaged_file_is_replaced_by_the_whole_one() {
        let bed = disk();
        let (key, _) = bed.put(b"whole");
        std::fs::write(file(&bed, &key), b"who").unwrap();
        assert_eq!(bed.put(b"whole"), (key, Put::New));
        assert_eq!(std::fs::read(file(&bed, &key)).unwrap(), b"whole");
    }

    #[test]
    fn what_is_opened_is_what_the_disk_has_now() {
        let bed = disk();
        let (key, _) = bed.put(b"whole");
        let (file, other) = (file(&bed, &key), bed.folder.path().join("other"));
        assert_eq!(bed.get(&key), b"whole");
        std::fs::write(&other, b"wrong").unwrap();
        std::fs::rename(&other, &file).unwrap();
        assert_eq!(bed.get(&key), b"wrong");
        assert_ne!(hash(&*bed.objects, &key, 5).unwrap(), key);
        std::fs::write(&file, b"longer than it was").unwrap();
        assert_eq!(bed.get(&key), b"longer than it was");
        std::fs::remove_file(&file).unwrap();
        assert_eq!(bed.objects.open(&key, 5).err().unwrap().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn one_that_fails_takes_no_other_along() {
        let bed = disk();
        let staged = vec![bed.stage(b"first"), bed.stage(b"gone"), bed.stage(b"last")];
        let keys: Vec<Key> = staged.iter().map(Staged::key).collect();
        std::fs::write(staged[1].path(), b"").unwrap();
        std::fs::remove_file(staged[1].path()).unwrap();
        let put: Vec<bool> = bed.objects.put(staged).into_iter().map(|put| put.is_ok()).collect();
        assert_eq!(put, [true, false, true]);
        assert_eq!(bed.get(&keys[0]), b"first");
        assert_eq!(bed.get(&keys[2]), b"last");
        assert_eq!(bed.objects.size(&keys[1]).unwrap(), None);
    }

    #[test]
    fn what_is_no_object_is_not_listed() {
        let bed = disk();
        let (key, _) = bed.put(b"listed");
        let file = file(&bed, &key);
        for stray in ["README", &"0".repeat(61), &"A".repeat(62)] {
            std::fs::write(file.with_file_name(stray), b"stray").unwrap();
        }
        assert_eq!(bed.objects.list(None, 10).unwrap(), [(key, 6)]);
    }
}
