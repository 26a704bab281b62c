//! The spool: where bytes are written before they are objects.
//!
//! Each run of the program has a folder of its own, held by a locked file. A folder whose lock is free, or lost in a power cut,
//! was left by a run that died: what is in it was never acknowledged, and is removed when the archive is opened.
//!
//! A spool is a place with a name of its own, by chance; the name of a run begins with it. So it is known whose runs these locks can tell
//! about: those of another machine are judged by their leases alone.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use crate::objects::Key;
use crate::sync::sync_folder;

const LOCK: &str = "lock";
const PLACE: &str = "place";

/// A folder of unfinished files that belongs to this run alone.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    place: String,
    run: String,
    next: AtomicU64,
    _lock: File,
}

impl Spool {
    /// Makes a folder for this run below `root`, and removes those of runs that died; their names are returned.
    pub fn open(root: &Path) -> io::Result<(Spool, Vec<String>)> {
        fs::create_dir_all(root)?;
        let dead = remove_dead(root)?;
        let place = place(root)?;
        let run = run_name(&place);
        // The folder gets its name only once its lock is held, so that nobody takes it for a dead one.
        let making = root.join(format!(".{run}"));
        fs::create_dir(&making)?;
        let lock = File::create_new(making.join(LOCK))?;
        lock.lock()?;
        let folder = root.join(&run);
        fs::rename(&making, &folder)?;
        Ok((Spool { folder, place, run, next: AtomicU64::new(0), _lock: lock }, dead))
    }

    /// The name of this run; no two runs have the same.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Is this a run of this place that holds its folder no more? It died or ended. Of runs of other places nothing is known here.
    pub fn is_dead(&self, run: &str) -> bool {
        let ours = place_of(run).is_none_or(|place| place == self.place);
        // What can't be told may be alive.
        ours && self.folder.parent().is_some_and(|root| !is_held(&root.join(run)).unwrap_or(true))
    }

    /// Has another run a folder here, so that it lives?
    pub fn has_others(&self) -> io::Result<bool> {
        let Some(root) = self.folder.parent() else { return Ok(false) };
        for entry in fs::read_dir(root)? {
            let path = entry?.path();
            if path != self.folder && path.is_dir() && is_held(&path)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The folder of this run.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A path in the spool that nothing uses.
    pub fn path(&self) -> PathBuf {
        self.folder.join(self.next.fetch_add(1, Ordering::Relaxed).to_string())
    }

    /// Writes a stream to a new file, in bounded memory, and names it by its hash. Not synced yet.
    pub fn stage(&self, bytes: &mut dyn Read) -> io::Result<Staged> {
        let path = self.path();
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        let mut staged = Staged { path, file: Some(file), key: Key::new([0; 32]), size: 0, moved: false };
        let (key, size) = copy_hashing(bytes, staged.file())?;
        staged.key = key;
        staged.size = size;
        Ok(staged)
    }

    /// Takes over a file that was written at a [`Spool::path`], with the hash and the length that its writer took. Not synced yet;
    /// removed where it has another length now.
    pub fn take(&self, path: PathBuf, key: Key, size: u64) -> io::Result<Staged> {
        let file = File::options().read(true).write(true).open(&path)?;
        let staged = Staged { path, file: Some(file), key, size, moved: false };
        if staged.file().metadata()?.len() != size {
            return Err(io::Error::other("the file has another length now"));
        }
        Ok(staged)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(folder = %self.folder.display(), %error, "what was unfinished is removed by the next run");
        }
    }
}

/// A whole file in the spool, not an object yet; removed when dropped.
#[derive(Debug)]
pub struct Staged {
    path: PathBuf,
    file: Option<File>,
    key: Key,
    size: u64,
    moved: bool,
}

impl Staged {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The key its bytes will have.
    pub fn key(&self) -> Key {
        self.key
    }

    /// Its bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Waits until the bytes are on the storage.
    pub fn sync(&self) -> io::Result<()> {
        self.file().sync_all()
    }

    /// All bytes, read into memory.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.size).unwrap_or(0));
        let mut file = self.file();
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Gives the file another place in the same file system.
    pub fn rename(mut self, to: &Path) -> io::Result<()> {
        self.file = None;
        fs::rename(&self.path, to)?;
        self.moved = true;
        Ok(())
    }

    /// Closes the file: of many that wait, none need be open.
    pub fn park(mut self) -> Parked {
        self.file = None;
        self.moved = true;
        Parked { path: std::mem::take(&mut self.path), size: self.size }
    }

    fn file(&self) -> &File {
        self.file.as_ref().expect("open until it is moved")
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.moved {
            remove(&self.path);
        }
    }
}

/// A whole file in the spool that is not open; removed when dropped.
#[derive(Debug)]
pub struct Parked {
    path: PathBuf,
    size: u64,
}

impl Parked {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(file = %path.display(), %error, "what was unfinished is removed by the next run");
    }
}

fn copy_hashing(from: &mut dyn Read, mut to: impl Write) -> io::Result<(Key, u64)> {
    let (mut hash, mut size, mut buffer) = (Sha256::new(), 0, vec![0; 256 << 10]);
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        hash.update(&buffer[..n]);
        to.write_all(&buffer[..n])?;
        size += n as u64;
    }
    Ok((Key::new(hash.finalize().into()), size))
}

/// Removes the folders that nobody holds. One still being made (its name begins with a dot) is left for an hour, for its lock may
/// not be held yet.
fn remove_dead(root: &Path) -> io::Result<Vec<String>> {
    let mut dead = Vec::new();
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()) else { continue };
        if !is_held(&path)? && (!name.starts_with('.') || old(&path)) {
            match fs::remove_dir_all(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            dead.push(name.trim_start_matches('.').to_owned());
        }
    }
    Ok(dead)
}

/// Is there a lock in this folder, and somebody who holds it?
fn is_held(folder: &Path) -> io::Result<bool> {
    let lock = match File::open(folder.join(LOCK)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        // No folder of a run: it is left alone.
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => return Ok(true),
        lock => lock?,
    };
    match lock.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

fn old(path: &Path) -> bool {
    let modified = fs::metadata(path).and_then(|m| m.modified());
    modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age.as_secs() > 3600))
}

fn run_name(place: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    format!("{place}-{now:x}-{:x}-{:x}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// The place of a run; `None` of one that an earlier version named, which knew one place only.
fn place_of(run: &str) -> Option<&str> {
    run.split_once('-').map(|(place, _)| place).filter(|place| is_place(place))
}

fn is_place(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The name of the place; made when there is none, or none that was written to its end.
fn place(root: &Path) -> io::Result<String> {
    let path = root.join(PLACE);
    match fs::read_to_string(&path) {
        Ok(name) if is_place(&name) => return Ok(name),
        Err(e) if !matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => return Err(e),
        _ => {}
    }
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let making = root.join(format!(".{name}"));
    let mut file = File::create_new(&making)?;
    file.write_all(name.as_bytes())?;
    file.sync_all()?;
    // Of two that make one at once, the first has it; one that was not written to its end gives way.
    match fs::hard_link(&making, &path) {
        Err(_) if read_place(&path).is_err() => fs::rename(&making, &path)?,
        _ => fs::remove_file(&making)?,
    }
    sync_folder(root)?;
    read_place(&path)
}

fn read_place(path: &Path) -> io::Result<String> {
    let name = fs::read_to_string(path)?;
    if is_place(&name) { Ok(name) } else { Err(io::Error::other("the spool has no name")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spool_of_a_dead_run_is_removed_and_that_of_a_living_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (living, dead) = Spool::open(folder.path()).unwrap();
        assert!(dead.is_empty());
        let staged = living.stage(&mut &b"in work"[..]).unwrap();
        // A run that was killed leaves its folder, and its lock free.
        let killed = folder.path().join("killed");
        fs::create_dir(&killed).unwrap();
        fs::write(killed.join("lock"), b"").unwrap();
        fs::write(killed.join("0"), b"half").unwrap();
        // After a power cut the folder may be there without its lock, for neither name was synced.
        let (cut, making) = (folder.path().join("cut"), folder.path().join(".making"));
        fs::create_dir(&cut).unwrap();
        fs::create_dir(&making).unwrap();
        fs::write(folder.path().join("stray"), b"a file").unwrap();
        assert!(living.is_dead("cut") && living.is_dead("killed") && living.is_dead("never"));
        assert!(!living.has_others().unwrap());
        let (second, mut dead) = Spool::open(folder.path()).unwrap();
        assert!(living.has_others().unwrap() && second.has_others().unwrap());
        dead.sort();
        assert_eq!(dead, ["cut", "killed"]);
        assert!(!killed.exists() && !cut.exists());
        assert!(making.exists() && staged.path().exists());
        assert!(!second.is_dead(living.run()) && !second.is_dead(second.run()));
    }

    #[test]
    fn what_is_taken_over_is_as_long_as_its_writer_says() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, _) = Spool::open(folder.path()).unwrap();
        let (key, whole, cut) = (Key::new([7; 32]), spool.path(), spool.path());
        fs::write(&whole, b"five.").unwrap();
        fs::write(&cut, b"four").unwrap();
        let staged = spool.take(whole.clone(), key, 5).unwrap();
        assert_eq!((staged.key(), staged.size(), staged.path()), (key, 5, &*whole));
        spool.take(cut.clone(), key, 5).unwrap_err();
        assert!(!cut.exists());
    }

    #[test]
    fn what_is_parked_is_there_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, _) = Spool::open(folder.path()).unwrap();
        let parked = spool.stage(&mut &b"five."[..]).unwrap().park();
        let path = parked.path().to_owned();
        assert_eq!((parked.size(), fs::read(&path).unwrap()), (5, b"five.".to_vec()));
        drop(parked);
        assert!(!path.exists());
    }

    #[test]
    fn runs_of_another_place_are_not_judged() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let ours = Spool::open(here.path()).unwrap().0;
        let theirs = Spool::open(there.path()).unwrap().0.run().to_owned();
        let gone = Spool::open(here.path()).unwrap().0.run().to_owned();
        assert!(!ours.is_dead(&theirs) && ours.is_dead(&gone) && !ours.is_dead(ours.run()));
        let elsewhere = Spool::open(there.path()).unwrap().0;
        assert!(elsewhere.is_dead(&theirs) && !elsewhere.is_dead(ours.run()));
    }

    #[test]
    fn a_place_has_one_name_for_good() {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<String> = std::thread::scope(|scope| {
            let open = || Spool::open(folder.path()).unwrap().0.place.clone();
            let opened: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            opened.into_iter().map(|opened| opened.join().unwrap()).collect()
        });
        assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
        fs::write(folder.path().join(PLACE), b"").unwrap();
        let renamed = Spool::open(folder.path()).unwrap().0.place.clone();
        assert!(is_place(&renamed));
        assert_eq!(Spool::open(folder.path()).unwrap().0.place, renamed);
    }
}
