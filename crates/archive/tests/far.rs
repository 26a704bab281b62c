//! Objects far away: what fails on the way is no damage, and what goes while it is read is made again.

mod common;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use archive::{Archive, FaultKind, Options, Scrub};
use common::*;
use dicom::ReadAt;
use store::objects::{Key, Memory, Objects, Put};
use store::{Staged, objects};
use transcode::Policy;

/// What reads of which object come to, and after how many.
type Fault = Arc<Mutex<Option<(String, io::ErrorKind)>>>;

#[derive(Default)]
struct Far {
    memory: Memory,
    fault: Fault,
    /// Reads that succeed before.
    sound: Arc<AtomicU64>,
}

struct Reader {
    object: Arc<dyn ReadAt>,
    name: String,
    fault: Fault,
    sound: Arc<AtomicU64>,
}

impl ReadAt for Reader {
    fn size(&self) -> u64 {
        self.object.size()
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        match &*self.fault.lock().unwrap() {
            Some((name, kind)) if *name == self.name => {
                let sound = self.sound.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
                if sound.is_err() {
                    return Err((*kind).into());
                }
            }
            _ => {}
        }
        self.object.read_exact_at(offset, buf)
    }
}

impl Objects for Far {
    fn put(&self, staged: Vec<Staged>) -> Vec<io::Result<Put>> {
        self.memory.put(staged)
    }

    fn replace(&self, staged: Staged) -> io::Result<Put> {
        self.memory.replace(staged)
    }

    fn open(&self, key: &Key, size: u64) -> io::Result<Arc<dyn ReadAt>> {
        let (fault, sound) = (self.fault.clone(), self.sound.clone());
        Ok(Arc::new(Reader { object: self.memory.open(key, size)?, name: key.to_string(), fault, sound }))
    }

    fn size(&self, key: &Key) -> io::Result<Option<u64>> {
        self.memory.size(key)
    }

    fn remove(&self, key: &Key) -> io::Result<bool> {
        self.memory.remove(key)
    }

    fn list(&self, after: Option<Key>, most: usize) -> io::Result<Vec<(Key, u64)>> {
        self.memory.list(after, most)
    }
}

/// An archive of one converted image, its bytes, and what can be done to its reads.
fn filled() -> (Archive, tempfile::TempDir, Vec<u8>, Fault, Arc<AtomicU64>) {
    let (folder, far) = (tempfile::tempdir().unwrap(), Far::default());
    let (fault, sound) = (far.fault.clone(), far.sound.clone());
    let archive = Archive::with_objects(folder.path(), Box::new(far), Options::default()).unwrap();
    let bytes = made("1.1", "1.2", "1.3").image(500, 400, 1).file();
    archive.ingest_bytes(&bytes).unwrap();
    archive.convert_pending(&Policy::shipped("htj2k-all").unwrap(), 1, &AtomicBool::new(false), &|_| {}).unwrap();
    (archive, folder, bytes, fault, sound)
}

fn scrub(archive: &Archive) -> Result<Vec<FaultKind>, archive::Error> {
    let (_, faults) = archive.scrub(Scrub::default(), &AtomicBool::new(false), &mut |_, _| {})?;
    Ok(faults.into_iter().map(|fault| fault.kind).collect())
}

#[test]
fn what_fails_on_the_way_is_no_damage() {
    let (archive, _folder, _, fault, _) = filled();
    let id = archive.instance("1.1", "1.2", "1.3").unwrap().unwrap().object_id.clone();
    for kind in [io::ErrorKind::TimedOut, io::ErrorKind::PermissionDenied, io::ErrorKind::Other] {
        *fault.lock().unwrap() = Some((id.clone(), kind));
        let error = scrub(&archive).unwrap_err();
        assert!(error.may_pass() && error.to_string().contains(&id), "{error}");
        assert!(archive.faults().unwrap().is_empty());
        let pass = archive.scrub_pass().unwrap().unwrap();
        assert_eq!((pass.ended, pass.objects), (None, 1), "it goes on with this one");
    }
    *fault.lock().unwrap() = Some((id, io::ErrorKind::UnexpectedEof));
    assert_eq!(scrub(&archive).unwrap(), [FaultKind::Object]);
    *fault.lock().unwrap() = None;
    assert_eq!(scrub(&archive).unwrap(), []);
}

#[test]
fn what_goes_while_it_is_copied_is_made_again() {
    let (archive, _folder, bytes, fault, sound) = filled();
    let key = archive.named("1.3").unwrap().pop().unwrap();
    let name = objects_name(&bytes);
    // At the first read, among those of the first pass, and in the midst of what is written.
    for reads in 0..4 {
        *fault.lock().unwrap() = Some((name.clone(), io::ErrorKind::NotFound));
        sound.store(reads, Ordering::Relaxed);
        let mut out = Vec::new();
        let restored = archive.restore(&key, &mut out).unwrap();
        assert!(out == bytes && restored.made_again, "after {reads} reads");
        assert_eq!(restored.bytes, bytes.len() as u64);
    }
    *fault.lock().unwrap() = None;
    assert!(!archive.restore(&key, &mut Vec::new()).unwrap().made_again);
    let released = archive.release_received(Duration::ZERO, &AtomicBool::new(false), &|_| {}).unwrap();
    assert_eq!(released.objects, 1);
}

fn objects_name(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    objects::Key::new(Sha256::digest(bytes).into()).to_string()
}
