//! Backup: the index as it is at one moment, and every object that it names, into a folder, while the archive goes on.
//!
//! The order is: a copy of the index, the objects that it names, then the copy gets its name ([`INDEX`]); what the copy does not name goes
//! last. A crash at any moment leaves the backup of before, or this one. What is there is not copied again, so that the next one takes what is new.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use store::index::sqlite::Sqlite;
use store::index::{BackingUp, Instances, NamedObject};
use store::{Disk, Key, Objects, Spool, Staged, sync_folder};

use crate::archive::Archive;
use crate::error::Error;
use crate::stream::Stream;

/// What the index of a backup is called: a folder with it is no archive, and nobody serves it by mistake.
pub const INDEX: &str = "index.backup";
/// Objects that wait for the storage together.
const TOGETHER: usize = 64;
/// Objects that are looked at with one look into the index.
const PAGE: usize = 512;
/// How often a copy is begun anew because something was deleted for good meanwhile.
const ROUNDS: u32 = 5;

/// What a backup did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackedUp {
    /// Objects that were copied, each compared with its hash.
    pub copied: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that were there before.
    pub there: u64,
    /// Objects that were there and are of nothing any more: they were removed.
    pub removed: u64,
    /// What could not be copied, and why.
    pub faults: Vec<(String, String)>,
}

impl Archive {
    /// Backs up into a folder, which is new, empty, or a backup. `told` is called now and then. `None` when `stop` was set, and the folder has
    /// the backup that it had.
    pub fn backup(
        &self,
        to: &Path,
        stop: &AtomicBool,
        told: &mut dyn FnMut(&BackedUp),
    ) -> Result<Option<BackedUp>, Error> {
        let target = Target::open(to)?;
        let mut done = BackedUp::default();
        for round in 1.. {
            let copy = to.join("index.new");
            remove_index(&copy)?;
            if !self.inner.index.copy_to(&copy)? {
                return Err(Error::Query("the index is in a database that has its own backups".into()));
            }
            let index = Sqlite::open(&copy, 1)?;
            let Some(missing) = self.copy_objects(&index, &target, &mut done, stop, told)? else { return Ok(None) };
            drop(index);
            // What was deleted for good since the index was copied is not in the next copy.
            if missing.is_empty() || round == ROUNDS {
                done.faults
                    .extend(missing.into_iter().map(|key| (key.to_string(), "it is not in the store".to_owned())));
                break;
            }
        }
        target.name_index()?;
        done.removed = target.remove_others()?;
        Ok(Some(done))
    }

    /// Copies what is not there; the objects that are missing here, or `None` when it was stopped.
    fn copy_objects(
        &self,
        index: &Sqlite,
        target: &Target,
        done: &mut BackedUp,
        stop: &AtomicBool,
        told: &mut dyn FnMut(&BackedUp),
    ) -> Result<Option<Vec<Key>>, Error> {
        let (mut missing, mut waiting, mut after) = (Vec::new(), Vec::new(), None);
        (done.there, done.faults) = (0, Vec::new());
        loop {
            let page = index.named_objects(after, PAGE)?;
            let Some(last) = page.last() else { break };
            after = Some(last.key);
            for object in page {
                if stop.load(Ordering::Relaxed) {
                    return Ok(None);
                }
                if target.has(&object)? {
                    done.there += 1;
                    continue;
                }
                match self.staged(&object, target)? {
                    Found::Whole(staged) => waiting.push(staged),
                    Found::Damaged(why) => done.faults.push((object.key.to_string(), why)),
                    Found::Missing if object.released => {}
                    Found::Missing => missing.push(object.key),
                }
                if waiting.len() == TOGETHER {
                    target.put(std::mem::take(&mut waiting), done)?;
                    told(done);
                }
            }
        }
        target.put(waiting, done)?;
        Ok(Some(missing))
    }

    /// An object in the spool of the backup, compared with its hash.
    fn staged(&self, object: &NamedObject, target: &Target) -> Result<Found, Error> {
        let opened = match self.inner.objects.open_stored(&object.key, object.bytes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Missing),
            opened => opened,
        };
        let staged = opened.and_then(|opened| target.spool.stage(&mut Stream::of(opened)));
        Ok(match staged {
            Ok(staged) if staged.key() == object.key => Found::Whole(staged),
            Ok(_) => Found::Damaged("its bytes are not what was stored".into()),
            Err(error) if error.kind() == io::ErrorKind::StorageFull => return Err(Error::Full),
            Err(error) => Found::Damaged(error.to_string()),
        })
    }
}

enum Found {
    Whole(Staged),
    Damaged(String),
    Missing,
}

/// The folder of a backup, held by this run.
struct Target<'a> {
    folder: &'a Path,
    objects: Disk,
    spool: Spool,
    _lock: File,
}

impl Target<'_> {
    fn open(folder: &Path) -> Result<Target<'_>, Error> {
        let making = || Error::io(folder.display().to_string());
        crate::archive::make_folder(folder)?;
        let known = |name: &std::ffi::OsStr| [INDEX, "objects", "spool", "lock"].iter().any(|known| name == *known);
        let is_backup = folder.join(INDEX).exists();
        for entry in fs::read_dir(folder).map_err(making())? {
            let name = entry.map_err(making())?.file_name();
            let ours = known(&name) || name.to_string_lossy().starts_with("index.new");
            if name == "index.sqlite" || !(ours || is_backup) {
                return Err(Error::Query(format!("{} is no backup, and not empty", folder.display())));
            }
        }
        let lock = File::create(folder.join("lock")).map_err(making())?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(Error::Query("another backup is being written there".into())),
            Err(TryLockError::Error(error)) => return Err(making()(error)),
            Ok(()) => {}
        }
        let objects = Disk::open(&folder.join("objects"), 1).map_err(making())?;
        let (spool, _) = Spool::open(&folder.join("spool")).map_err(making())?;
        Ok(Target { folder, objects, spool, _lock: lock })
    }

    fn has(&self, object: &NamedObject) -> Result<bool, Error> {
        let size = self.objects.size(&object.key).map_err(Error::io("looking into the backup"))?;
        Ok(size == Some(object.bytes))
    }

    fn put(&self, staged: Vec<Staged>, done: &mut BackedUp) -> Result<(), Error> {
        let bytes: u64 = staged.iter().map(Staged::size).sum();
        (done.copied, done.bytes) = (done.copied + staged.len() as u64, done.bytes + bytes);
        let put = self.objects.put(staged);
        put.into_iter().try_for_each(|put| put.map(drop)).map_err(Error::io("writing an object into the backup"))
    }

    /// Gives the copy of the index its name.
    fn name_index(&self) -> Result<(), Error> {
        let (copy, place) = (self.folder.join("index.new"), self.folder.join(INDEX));
        let writing = || Error::io(format!("writing {}", place.display()));
        File::open(&copy).and_then(|file| file.sync_all()).map_err(writing())?;
        fs::rename(&copy, &place).and_then(|()| sync_folder(self.folder)).map_err(writing())
    }

    /// Removes the objects that the index of the backup does not name: they were deleted for good in the archive.
    fn remove_others(&self) -> Result<u64, Error> {
        let index = Sqlite::open(&self.folder.join(INDEX), 1)?;
        let (mut removed, mut after) = (0, None);
        let reading = || Error::io("looking into the backup");
        loop {
            let page = self.objects.list(after, PAGE).map_err(reading())?;
            let Some((last, _)) = page.last() else { return Ok(removed) };
            after = Some(*last);
            for (key, _) in page {
                if !index.lists(&key)? {
                    removed += u64::from(self.objects.remove(&key).map_err(reading())?);
                }
            }
        }
    }
}

/// Removes what an earlier run left of a copy.
pub(crate) fn remove_index(path: &Path) -> Result<(), Error> {
    for end in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        match fs::remove_file(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io(path.display().to_string())(error));
            }
            _ => {}
        }
    }
    Ok(())
}
