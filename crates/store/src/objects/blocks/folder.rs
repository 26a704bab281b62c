//! Blocks in files of a bounded folder. Each has a checksum at its end: what a crash or the disk made of it is found, and is fetched anew.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;

use super::Id;
use super::weighed::Weighed;
use crate::objects::Key;

/// Blocks that wait to be written; what comes while so many wait is not kept.
const WAITING: usize = 32;
/// Bytes of the checksum.
const SUM: usize = 4;

/// Blocks on a local disk.
pub(super) struct Folder {
    shared: Arc<Shared>,
    write: SyncSender<(Id, Bytes)>,
    _lock: File,
}

struct Shared {
    root: PathBuf,
    kept: Mutex<Weighed<Id, ()>>,
}

impl Folder {
    /// Takes over what is in the folder, within so many bytes; `None` where another program has it.
    pub(super) fn open(root: &Path, most: u64) -> io::Result<Option<Folder>> {
        DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        let lock = File::options().create(true).truncate(false).write(true).open(root.join("lock"))?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => {}
        }
        let shared = Arc::new(Shared { root: root.to_owned(), kept: Mutex::new(Weighed::new(most)) });
        shared.take_over()?;
        let (write, written) = sync_channel(WAITING);
        let writer = shared.clone();
        std::thread::Builder::new().name("block cache".into()).spawn(move || writer.write_all(&written))?;
        Ok(Some(Folder { shared, write, _lock: lock }))
    }

    /// A block, when it is there and whole.
    pub(super) fn get(&self, id: &Id) -> Option<Bytes> {
        let (found, gone) = self.shared.lock().get(id);
        self.shared.delete(gone);
        found?;
        let block = fs::read(self.shared.path(id)).ok().and_then(whole);
        if block.is_none() {
            self.remove(id);
        }
        block
    }

    /// Keeps a block, in a while, or not where the disk is slower than what comes.
    pub(super) fn insert(&self, id: Id, block: &Bytes) {
        let _ = self.write.try_send((id, block.clone()));
    }

    /// Forgets a block.
    pub(super) fn remove(&self, id: &Id) {
        if self.shared.lock().remove(id).is_some() {
            self.shared.delete(vec![(*id, ())]);
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Weighed<Id, ()>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, (key, block): &Id) -> PathBuf {
        let name = key.to_string();
        self.root.join(&name[..2]).join(format!("{name}-{block}"))
    }

    fn write_all(&self, blocks: &Receiver<(Id, Bytes)>) {
        let mut said = false;
        while let Ok((id, block)) = blocks.recv() {
            match self.write(&id, &block) {
                Ok(()) => {
                    let gone = self.lock().insert(id, (), (block.len() + SUM) as u64);
                    self.delete(gone);
                }
                // A cache that can't be written is none; it is said once.
                Err(error) if !said => {
                    said = true;
                    tracing::warn!(folder = %self.root.display(), %error, "blocks are not kept in the cache");
                }
                Err(_) => {}
            }
        }
    }

    /// The file has its name only once it is whole.
    fn write(&self, id: &Id, block: &Bytes) -> io::Result<()> {
        let path = self.path(id);
        let making = self.root.join("making");
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut file = File::create(&making)?;
        file.write_all(block)?;
        file.write_all(&crc32fast::hash(block).to_le_bytes())?;
        fs::rename(&making, path)
    }

    /// What an earlier run left, the latest as the youngest.
    fn take_over(&self) -> io::Result<()> {
        let mut found: Vec<(SystemTime, Id, u64)> = Vec::new();
        for folder in fs::read_dir(&self.root)? {
            let folder = folder?.path();
            if !folder.is_dir() {
                continue;
            }
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                let is = entry.metadata()?;
                let Some(id) = entry.file_name().to_str().and_then(id) else { continue };
                found.push((is.modified()?, id, is.len()));
            }
        }
        found.sort_unstable_by_key(|(modified, ..)| *modified);
        for (_, id, bytes) in found {
            let gone = self.lock().insert(id, (), bytes);
            self.delete(gone);
        }
        Ok(())
    }

    fn delete(&self, gone: Vec<(Id, ())>) {
        for (id, ()) in gone {
            // One that stays is taken over by the next run.
            let _ = fs::remove_file(self.path(&id));
        }
    }
}

fn id(name: &str) -> Option<Id> {
    let (key, block) = name.split_once('-')?;
    Some((Key::parse(key)?, block.parse().ok()?))
}

/// The block without its checksum, where that fits.
fn whole(mut file: Vec<u8>) -> Option<Bytes> {
    let sum = file.split_off(file.len().checked_sub(SUM)?);
    (crc32fast::hash(&file).to_le_bytes()[..] == sum[..]).then(|| Bytes::from(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_for(folder: &Folder, id: &Id) -> Option<Bytes> {
        for _ in 0..200 {
            if let Some(block) = folder.get(id) {
                return Some(block);
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        None
    }

    fn bytes_in(root: &Path) -> u64 {
        let files = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
        files.map(|path| if path.is_dir() { bytes_in(&path) } else { fs::metadata(path).unwrap().len() }).sum()
    }

    #[test]
    fn blocks_outlive_the_run_and_a_damaged_one_is_not_given() {
        let place = tempfile::tempdir().unwrap();
        let (one, two) = ((Key::new([1; 32]), 0), (Key::new([2; 32]), 7));
        let folder = Folder::open(place.path(), 1 << 20).unwrap().unwrap();
        folder.insert(one, &Bytes::from_static(b"one"));
        folder.insert(two, &Bytes::from_static(b"two"));
        assert_eq!(wait_for(&folder, &two).unwrap(), "two");
        assert!(Folder::open(place.path(), 1 << 20).unwrap().is_none(), "one program at a time");
        let path = folder.shared.path(&two);
        drop(folder);
        let folder = Folder::open(place.path(), 1 << 20).unwrap().unwrap();
        assert_eq!(folder.get(&one).unwrap(), "one");
        let mut file = fs::read(&path).unwrap();
        file[0] ^= 1;
        fs::write(&path, &file).unwrap();
        assert_eq!(folder.get(&two), None);
        assert!(!path.exists());
        folder.remove(&one);
        assert_eq!(folder.get(&one), None);
    }

    #[test]
    fn the_folder_stays_within_its_bytes() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path(), 20_000).unwrap().unwrap();
        for n in 0..60 {
            let id = (Key::new([n; 32]), 0);
            folder.insert(id, &Bytes::from(vec![n; 1000]));
            assert!(wait_for(&folder, &id).is_some());
        }
        assert!(bytes_in(place.path()) <= 20_000 + 1004);
        drop(folder);
        let folder = Folder::open(place.path(), 5000).unwrap().unwrap();
        assert!(bytes_in(place.path()) <= 5000 + 1004);
        drop(folder);
    }
}
