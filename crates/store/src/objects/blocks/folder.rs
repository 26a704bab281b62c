//! Blocks in files of a bounded folder. Each has a checksum of its name and its bytes at its end: what a crash or the disk made of it is
//! found, and is fetched anew.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

use bytes::Bytes;

use super::epoch::{Epoch, Epochs};
use super::id::Id;
use super::weighed::Weighed;
use crate::objects::Key;

/// Blocks that wait to be written; what comes while so many wait is not kept.
const WAITING: usize = 32;
/// Bytes of the checksum.
const SUM: usize = 4;

/// Blocks on a local disk.
pub(super) struct Folder {
    shared: Arc<Shared>,
    /// To the thread that writes; both go when this is dropped.
    write: Option<SyncSender<Waiting>>,
    writer: Option<JoinHandle<()>>,
}

/// A block that waits to be written, and when whoever fetched it began to.
type Waiting = (Id, Bytes, Epoch);

struct Shared {
    root: PathBuf,
    kept: Mutex<Weighed<Id, ()>>,
    epochs: Arc<Epochs>,
    /// What waits is not written any more.
    closing: AtomicBool,
    /// Held for as long as anybody here writes: there is one file that is being made.
    _lock: File,
}

impl Folder {
    /// Takes over what is in the folder, within so many bytes; `None` where another program has it.
    pub(super) fn open(root: &Path, most: u64, epochs: &Arc<Epochs>) -> io::Result<Option<Folder>> {
        DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        let lock = File::options().create(true).truncate(false).write(true).open(root.join("lock"))?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => {}
        }
        let (kept, closing) = (Mutex::new(Weighed::new(most)), AtomicBool::new(false));
        let shared = Arc::new(Shared { root: root.to_owned(), kept, epochs: epochs.clone(), closing, _lock: lock });
        shared.take_over()?;
        let (write, written) = sync_channel(WAITING);
        let writing = shared.clone();
        let writer = thread::Builder::new().name("block cache".into()).spawn(move || writing.write_all(&written))?;
        Ok(Some(Folder { shared, write: Some(write), writer: Some(writer) }))
    }

    /// A block, when it is there and whole.
    pub(super) fn get(&self, id: &Id) -> Option<Bytes> {
        let (found, gone) = self.shared.lock().get(id);
        self.shared.delete(gone);
        found?;
        let block = fs::read(self.shared.path(id)).ok().and_then(|file| whole(id, file));
        if block.is_none() {
            self.remove(id);
        }
        block
    }

    /// Keeps a block, in a while, or not where the disk is slower than what comes.
    pub(super) fn insert(&self, id: Id, block: &Bytes, since: Epoch) {
        if let Some(write) = &self.write {
            let _ = write.try_send((id, block.clone(), since));
        }
    }

    /// Forgets a block.
    pub(super) fn remove(&self, id: &Id) {
        if self.shared.lock().remove(id).is_some() {
            self.shared.delete(vec![(*id, ())]);
        }
    }
}

impl Folder {
    /// Forgets all blocks of an object.
    pub(super) fn forget(&self, key: &Key) {
        let gone = self.shared.lock().remove_where(|id| id.key == *key);
        self.shared.delete(gone);
    }
}

impl Drop for Folder {
    /// Waits for the block that is being written; those behind it are not kept.
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        drop(self.write.take());
        let _ = self.writer.take().map(JoinHandle::join);
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Weighed<Id, ()>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, id: &Id) -> PathBuf {
        let name = id.to_string();
        self.root.join(&name[..2]).join(name)
    }

    fn write_all(&self, blocks: &Receiver<Waiting>) {
        let mut said = false;
        while let Ok((id, block, since)) = blocks.recv() {
            if self.closing.load(Ordering::Relaxed) {
                return;
            }
            match self.write(&id, &block) {
                Ok(()) => self.keep(id, (block.len() + SUM) as u64, since),
                // A cache that can't be written is none; it is said once.
                Err(error) if !said => {
                    said = true;
                    tracing::warn!(folder = %self.root.display(), %error, "blocks are not kept in the cache");
                }
                Err(_) => {}
            }
        }
    }

    /// Takes a file that was written to those that are given, unless objects were replaced meanwhile: it may be of one of them.
    fn keep(&self, id: Id, bytes: u64, since: Epoch) {
        let mut kept = self.lock();
        let gone = match self.epochs.is(since) {
            true => kept.insert(id, (), bytes),
            false => {
                kept.remove(&id);
                vec![(id, ())]
            }
        };
        drop(kept);
        self.delete(gone);
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
        file.write_all(&id.sum(block))?;
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
                let Some(id) = entry.file_name().to_str().and_then(Id::parse) else { continue };
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

/// The block without its checksum, where that fits.
fn whole(id: &Id, mut file: Vec<u8>) -> Option<Bytes> {
    let sum = file.split_off(file.len().checked_sub(SUM)?);
    (id.sum(&file)[..] == sum[..]).then(|| Bytes::from(file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Key;
    use crate::objects::blocks::Version;

    fn id(n: u8, block: u64) -> Id {
        Id { key: Key::new([n; 32]), version: Version::of("tag", 1), block }
    }

    fn open(place: &Path, most: u64) -> (Option<Folder>, Arc<Epochs>) {
        let epochs = Arc::<Epochs>::default();
        (Folder::open(place, most, &epochs).unwrap(), epochs)
    }

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
        let (one, two) = (id(1, 0), id(2, 7));
        let (folder, epochs) = open(place.path(), 1 << 20);
        let folder = folder.unwrap();
        folder.insert(one, &Bytes::from_static(b"one"), epochs.now());
        folder.insert(two, &Bytes::from_static(b"two"), epochs.now());
        assert_eq!(wait_for(&folder, &two).unwrap(), "two");
        assert!(open(place.path(), 1 << 20).0.is_none(), "one program at a time");
        let path = folder.shared.path(&two);
        drop(folder);
        let folder = open(place.path(), 1 << 20).0.unwrap();
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
        let (folder, epochs) = open(place.path(), 20_000);
        let folder = folder.unwrap();
        for n in 0..60 {
            let id = id(n, 0);
            folder.insert(id, &Bytes::from(vec![n; 1000]), epochs.now());
            assert!(wait_for(&folder, &id).is_some());
        }
        assert!(bytes_in(place.path()) <= 20_000 + 1004);
        drop(folder);
        let folder = open(place.path(), 5000).0.unwrap();
        assert!(bytes_in(place.path()) <= 5000 + 1004);
        drop(folder);
    }

    #[test]
    fn bytes_under_another_name_are_not_given() {
        let place = tempfile::tempdir().unwrap();
        let (folder, epochs) = open(place.path(), 1 << 20);
        let folder = folder.unwrap();
        let (one, two) = (id(1, 0), id(2, 0));
        for id in [one, two] {
            folder.insert(id, &Bytes::copy_from_slice(&id.key.as_bytes()[..9]), epochs.now());
            wait_for(&folder, &id).unwrap();
        }
        fs::copy(folder.shared.path(&one), folder.shared.path(&two)).unwrap();
        assert!(folder.get(&one).is_some());
        assert_eq!(folder.get(&two), None);
    }

    #[test]
    fn what_was_fetched_before_a_replacement_is_not_kept() {
        let place = tempfile::tempdir().unwrap();
        let (folder, epochs) = open(place.path(), 1 << 20);
        let folder = folder.unwrap();
        let (before, one, two) = (epochs.now(), id(1, 0), id(2, 0));
        epochs.next();
        folder.insert(one, &Bytes::from_static(b"old"), before);
        folder.insert(two, &Bytes::from_static(b"new"), epochs.now());
        assert_eq!(wait_for(&folder, &two).unwrap(), "new");
        assert_eq!(folder.get(&one), None);
        assert!(!folder.shared.path(&one).exists());
    }

    #[test]
    fn the_folder_is_held_until_nothing_is_written_any_more() {
        let place = tempfile::tempdir().unwrap();
        for round in 0..20_u8 {
            let (folder, epochs) = open(place.path(), 64 << 20);
            let folder = folder.expect("whoever had it before is done");
            for n in 0..8 {
                folder.insert(id(round, n), &Bytes::from(vec![round; 100_000]), epochs.now());
            }
            drop(folder);
            assert!(!place.path().join("making").exists(), "no file is half made");
        }
    }
}
