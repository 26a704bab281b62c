//! Deletion: back within its grace time, gone with all bytes after it, and never anything that somebody still needs.

mod common;

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fs, thread};

use archive::{Archive, Error, Ingested, InstanceKey, Options, Purged, Query, QueryLevel, Removed, Scope, Scrub};
use common::*;
use dicom::ReadAt;
use store::objects::{Key, Objects, Put};
use store::{Disk, Staged};
use transcode::Policy;

const DAY: Duration = Duration::from_secs(24 * 3600);
const NOW: Duration = Duration::ZERO;

fn image(n: u32) -> Vec<u8> {
    let sop = format!("1.3.{n}");
    let mut made = made(&format!("1.1.{}", n % 2), "1.2", &sop);
    made.set(0x0010_0010, "PN", "Unforgettable")
        .set(0x0020_4000, "LT", &format!("said of {n}x"))
        .image(60, 50, n)
        .file()
}

fn key(n: u32) -> InstanceKey {
    InstanceKey { study: format!("1.1.{}", n % 2), series: "1.2".into(), sop: format!("1.3.{n}") }
}

fn convert(archive: &Archive) {
    archive.convert_pending(&Policy::shipped("htj2k-all").unwrap(), 2, &AtomicBool::new(false), &|_| {}).unwrap();
}

fn restored(archive: &Archive, n: u32) -> Vec<u8> {
    let mut out = Vec::new();
    archive.restore(&key(n), &mut out).unwrap();
    out
}

fn delete(archive: &Archive, scope: Scope<'_>, grace: Duration) -> i64 {
    match archive.delete(scope, grace).unwrap() {
        Removed::Done(removal) => removal.id,
        other => panic!("{other:?}"),
    }
}

fn purge(archive: &Archive) -> Purged {
    archive.purge(&AtomicBool::new(false), &mut |_| {}).unwrap()
}

/// What the whole archive says of itself.
fn healthy(archive: &Archive) {
    let (_, faults) =
        archive.scrub(Scrub { restart: true, days: None }, &AtomicBool::new(false), &mut |_, _| {}).unwrap();
    assert!(faults.is_empty(), "{faults:?}");
}

/// Files below a folder that hold one of these runs of bytes.
fn holding(folder: &Path, traces: &[&[u8]]) -> Vec<String> {
    let holds = |bytes: &[u8]| traces.iter().any(|trace| bytes.windows(trace.len()).any(|part| part == *trace));
    let found = files(folder).into_iter().filter(|path| holds(&fs::read(path).unwrap()));
    found.map(|path| path.display().to_string()).collect()
}

#[test]
fn what_is_deleted_comes_back_as_it_was() {
    let (archive, _folder) = archive();
    (0..6).for_each(|n| assert!(matches!(archive.ingest_bytes(&image(n)).unwrap(), Ingested::Stored(_))));
    convert(&archive);
    let metadata = || archive.study_metadata("1.1.1", "").unwrap().map(|prepared| prepared.gzip().unwrap());
    let (before, stats) = (metadata().unwrap(), archive.stats().unwrap());
    let study = delete(&archive, Scope::Study("1.1.1"), DAY);
    assert!(archive.instance("1.1.1", "1.2", "1.3.1").unwrap().is_none() && metadata().is_none());
    assert_eq!(purge(&archive), Purged::default(), "nothing is due");
    assert_eq!(restored(&archive, 0), image(0));
    healthy(&archive);
    assert_eq!(archive.undelete(study).unwrap().unwrap().instances, 3);
    assert_eq!((metadata().unwrap(), archive.stats().unwrap()), (before, stats));
    (0..6).for_each(|n| assert!(restored(&archive, n) == image(n), "{n}"));
    assert_eq!(archive.undelete(study).unwrap(), None);
    healthy(&archive);
}

#[test]
fn after_its_time_no_byte_of_it_is_left() {
    let (archive, folder) = archive();
    (0..6).for_each(|n| drop(archive.ingest_bytes(&image(n)).unwrap()));
    // A conflict of 1, metadata that was prepared, and something in quarantine.
    let other = made("1.1.1", "1.2", "1.3.1").set(0x0020_4000, "LT", "said of 1x").image(60, 50, 77).file();
    assert!(matches!(archive.ingest_bytes(&other).unwrap(), Ingested::Conflict(_)));
    convert(&archive);
    archive.prepare_metadata().unwrap();
    archive.study_metadata("1.1.1", "http://here").unwrap().unwrap();
    let quarantined = folder.path().join("quarantine/0123");
    fs::create_dir_all(&quarantined).unwrap();
    quarantine(&quarantined, &image(1));
    let pixels = |n: u32| image(n)[image(n).len() - 64..].to_vec();
    let traces: [&[u8]; 4] = [b"said of 1x", b"1.3.1\0", &pixels(1), &pixels(77)];
    assert!(holding(folder.path(), &traces).len() >= 4);

    delete(&archive, Scope::Instance(&key(1)), NOW);
    let done = purge(&archive);
    assert_eq!((done.removals, done.instances, done.objects, done.scoured), (1, 1, 3, true));
    assert_eq!(holding(folder.path(), &traces), Vec::<String>::new());
    assert!(!quarantined.exists() && archive.deletions().unwrap().is_empty());
    for n in [0, 2, 3, 4, 5] {
        assert!(restored(&archive, n) == image(n), "{n}");
        assert!(!holding(folder.path(), &[format!("said of {n}x").as_bytes()]).is_empty());
    }
    assert_eq!(files(&folder.path().join("objects")).len(), 10);
    healthy(&archive);
    // With the last of it the study goes, and all that is said of it.
    for study in ["1.1.0", "1.1.1"] {
        delete(&archive, Scope::Study(study), NOW);
    }
    assert_eq!(purge(&archive).removals, 2);
    assert_eq!(holding(folder.path(), &[b"Unforgettable", b"1.1.0", b"1.1.1"]), Vec::<String>::new());
    // It is as if it had never been there.
    assert_eq!(archive.ingest_bytes(&image(1)).unwrap(), Ingested::Stored(key(1)));
    convert(&archive);
    assert_eq!(restored(&archive, 1), image(1));
    healthy(&archive);
}

/// An entry as the quarantine writes it.
fn quarantine(folder: &Path, source: &[u8]) {
    use sha2::{Digest, Sha256};
    let sha256 = Key::new(Sha256::digest(source).into()).to_string();
    let entry = serde_json::json!({
        "name": "0123", "made": 1, "check": "verification", "reason": "wrong", "rule": "", "codec": "", "source": "",
        "source_sha256": sha256, "sop_instance_uid": "1.3.1", "source_transfer_syntax": "", "transfer_syntax": "",
        "bytes": 4, "sha256": "", "kept": true,
    });
    fs::write(folder.join("entry.json"), entry.to_string()).unwrap();
    fs::write(folder.join("wrong.dcm"), source).unwrap();
}

#[test]
fn a_study_is_told_of_by_what_is_left_of_it() {
    let (archive, folder) = archive();
    for (n, patient) in [(1, "Wrong^Patient"), (2, "Right^Patient"), (3, "Right^Patient")] {
        let mut made = made("1.1", if n == 3 { "1.3" } else { "1.2" }, &format!("1.3.{n}"));
        made.set(0x0010_0010, "PN", patient).set(0x0008_103E, "LO", &format!("series of {n}"));
        archive.ingest_bytes(&made.image(20, 20, n).file()).unwrap();
    }
    let found = |level, tag: u32, value: &str| {
        let query = Query { matches: vec![(common::tag(tag), value.to_owned())], ..Query::default() };
        archive.find(level, &query).unwrap().rows.len()
    };
    let names = || ["Wrong*", "Right*"].map(|name| found(QueryLevel::Study, 0x0010_0010, name));
    assert_eq!(names(), [1, 0]);
    let first = InstanceKey { study: "1.1".into(), series: "1.2".into(), sop: "1.3.1".into() };
    let removal = delete(&archive, Scope::Instance(&first), DAY);
    assert_eq!((names(), found(QueryLevel::Series, 0x0008_103E, "series of 2")), ([0, 1], 1));
    assert_eq!(archive.undelete(removal).unwrap().unwrap().instances, 1);
    assert_eq!((names(), found(QueryLevel::Series, 0x0008_103E, "series of 1")), ([1, 0], 1));
    healthy(&archive);
    delete(&archive, Scope::Series("1.1", "1.2"), NOW);
    assert_eq!((names(), found(QueryLevel::Series, 0x0008_103E, "series of 3")), ([0, 1], 1));
    purge(&archive);
    assert_eq!(holding(folder.path(), &[b"Wrong", b"series of 1", b"series of 2"]), Vec::<String>::new());
    healthy(&archive);
}

#[test]
fn a_held_study_is_kept_for_good() {
    let (archive, _folder) = archive();
    (0..4).for_each(|n| drop(archive.ingest_bytes(&image(n)).unwrap()));
    let before = delete(&archive, Scope::Instance(&key(1)), NOW);
    archive.hold("1.1.1", "a trial").unwrap();
    assert!(
        matches!(archive.delete(Scope::Study("1.1.1"), NOW).unwrap(), Removed::Held(hold) if hold.reason == "a trial")
    );
    delete(&archive, Scope::Study("1.1.0"), NOW);
    assert_eq!(purge(&archive).instances, 2, "what is held stays, also what was deleted before");
    assert_eq!(archive.undelete(before).unwrap().unwrap().instances, 1);
    assert_eq!((restored(&archive, 1), restored(&archive, 3)), (image(1), image(3)));
    assert!(archive.release_hold("1.1.1").unwrap());
    delete(&archive, Scope::Study("1.1.1"), NOW);
    assert_eq!(purge(&archive).instances, 2);
    assert_eq!(archive.stats().unwrap().instances, 0);
}

#[test]
fn what_comes_again_meanwhile_is_new_and_stays() {
    let (archive, _folder) = archive();
    archive.ingest_bytes(&image(1)).unwrap();
    convert(&archive);
    let removal = delete(&archive, Scope::Study("1.1.1"), NOW);
    assert_eq!(archive.ingest_bytes(&image(1)).unwrap(), Ingested::Stored(key(1)));
    let undone = archive.undelete(removal).unwrap().unwrap();
    assert_eq!((undone.instances, undone.taken), (0, 1));
    let done = purge(&archive);
    assert_eq!((done.instances, done.objects), (1, 1), "what was received is needed");
    assert_eq!(restored(&archive, 1), image(1));
    convert(&archive);
    assert_eq!(restored(&archive, 1), image(1));
    healthy(&archive);
}

type Hook = Box<dyn FnOnce() + Send>;

/// A disk where something may happen before an object is put, or after one is removed.
struct Hooked {
    disk: Disk,
    before_put: Arc<Mutex<Option<Hook>>>,
    after_remove: Arc<Mutex<Option<Hook>>>,
}

impl Objects for Hooked {
    fn put(&self, staged: Vec<Staged>) -> Vec<io::Result<Put>> {
        happens(&self.before_put);
        self.disk.put(staged)
    }
    fn replace(&self, staged: Staged) -> io::Result<Put> {
        self.disk.replace(staged)
    }
    fn open(&self, key: &Key, size: u64) -> io::Result<Arc<dyn ReadAt>> {
        Objects::open(&self.disk, key, size)
    }
    fn size(&self, key: &Key) -> io::Result<Option<u64>> {
        self.disk.size(key)
    }
    fn remove(&self, key: &Key) -> io::Result<bool> {
        let removed = self.disk.remove(key);
        happens(&self.after_remove);
        removed
    }
    fn list(&self, after: Option<Key>, most: usize) -> io::Result<Vec<(Key, u64)>> {
        self.disk.list(after, most)
    }
}

fn happens(hook: &Mutex<Option<Hook>>) {
    let hook = hook.lock().unwrap().take();
    hook.into_iter().for_each(|hook| hook());
}

type Hooks = Arc<Mutex<Option<Hook>>>;

fn hooked() -> (Archive, tempfile::TempDir, Hooks, Hooks) {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::open(&folder.path().join("objects"), 16).unwrap();
    let hooked = Hooked { disk, before_put: Arc::default(), after_remove: Arc::default() };
    let (before_put, after_remove) = (hooked.before_put.clone(), hooked.after_remove.clone());
    (
        Archive::with_objects(folder.path(), Box::new(hooked), Options::default()).unwrap(),
        folder,
        before_put,
        after_remove,
    )
}

#[test]
fn what_comes_while_it_is_being_removed_is_not_acknowledged() {
    let (archive, folder, _, after_remove) = hooked();
    archive.ingest_bytes(&image(1)).unwrap();
    delete(&archive, Scope::Study("1.1.1"), NOW);
    let (inner, told) = (archive.clone(), Arc::new(Mutex::new(None)));
    *after_remove.lock().unwrap() = Some(Box::new({
        let told = told.clone();
        move || *told.lock().unwrap() = Some(inner.ingest_bytes(&image(1)))
    }));
    assert_eq!(purge(&archive).objects, 1);
    let refused = told.lock().unwrap().take().unwrap().unwrap_err();
    assert!(matches!(refused, Error::Leaving) && refused.may_pass(), "{refused}");
    assert_eq!(archive.ingest_bytes(&image(1)).unwrap(), Ingested::Stored(key(1)));
    assert_eq!(restored(&archive, 1), image(1));
    assert_eq!(files(&folder.path().join("objects")).len(), 1);
    healthy(&archive);
}

#[test]
fn what_was_put_before_it_was_removed_is_not_acknowledged() {
    let (archive, folder, before_put, _) = hooked();
    archive.ingest_bytes(&image(1)).unwrap();
    // Deleted and gone after it was asked whether anything was, and before the bytes are put: here they are put anew, yet nobody can tell.
    let inner = archive.clone();
    *before_put.lock().unwrap() = Some(Box::new(move || {
        delete(&inner, Scope::Study("1.1.1"), NOW);
        assert_eq!(purge(&inner).objects, 1);
    }));
    assert!(matches!(archive.ingest_bytes(&image(1)), Err(Error::Leaving)));
    assert_eq!((archive.stats().unwrap().instances, files(&folder.path().join("objects")).len()), (0, 0));
    assert_eq!(archive.ingest_bytes(&image(1)).unwrap(), Ingested::Stored(key(1)));
    assert_eq!(restored(&archive, 1), image(1));
}

#[test]
fn what_was_converted_for_nothing_is_removed() {
    let (archive, folder, before_put, _) = hooked();
    archive.ingest_bytes(&image(1)).unwrap();
    archive.ingest_bytes(&image(2)).unwrap();
    let inner = archive.clone();
    *before_put.lock().unwrap() = Some(Box::new(move || {
        delete(&inner, Scope::Study("1.1.1"), NOW);
        assert_eq!(purge(&inner).objects, 1);
    }));
    convert(&archive);
    assert_eq!(files(&folder.path().join("objects")).len(), 2, "of the other one, received and converted");
    assert_eq!(restored(&archive, 2), image(2));
    healthy(&archive);
}

#[test]
fn what_a_crash_left_of_it_goes_too() {
    let (archive, folder) = archive();
    (0..4).for_each(|n| drop(archive.ingest_bytes(&image(n)).unwrap()));
    // As a crash leaves it: the object, and no row. One is of what will be deleted, the other may be of what the index does not know yet.
    let stray = |bytes: &[u8]| {
        use sha2::{Digest, Sha256};
        let name = Key::new(Sha256::digest(bytes).into()).to_string();
        let path = folder.path().join("objects").join(&name[..2]).join(&name[2..]);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    };
    let (gone, stays) = (stray(&image(5)), stray(&image(6)));
    delete(&archive, Scope::Study("1.1.1"), NOW);
    assert_eq!(purge(&archive).instances, 2);
    assert!(!gone.exists() && stays.exists());
    assert_eq!(files(&folder.path().join("objects")).len(), 3);
    healthy(&archive);
}

#[test]
fn many_store_delete_and_purge_at_once() {
    let (archive, folder) = archive();
    let (stop, stored, refused) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        let (archive, stop, stored, refused) = (&archive, &stop, &stored, &refused);
        let workers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(move || {
                    for n in 0..120 {
                        match archive.ingest_bytes(&image(n % 4)) {
                            Ok(_) => drop(stored.fetch_add(1, Ordering::Relaxed)),
                            Err(Error::Leaving) => drop(refused.fetch_add(1, Ordering::Relaxed)),
                            Err(other) => panic!("{other}"),
                        }
                        if n % 5 == 0 {
                            archive.delete(Scope::Instance(&key(n % 4)), NOW).unwrap();
                        }
                    }
                })
            })
            .collect();
        scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                purge(archive);
            }
        });
        scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                convert(archive);
                thread::yield_now();
            }
        });
        let ended: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        stop.store(true, Ordering::Relaxed);
        ended.into_iter().for_each(|ended| ended.unwrap());
    });
    assert!(stored.load(Ordering::Relaxed) >= 100);
    convert(&archive);
    purge(&archive);
    // Whatever is listed is there byte for byte, and nothing else is.
    for n in 0..4 {
        if archive.instance(&key(n).study, "1.2", &key(n).sop).unwrap().is_some() {
            assert!(restored(&archive, n) == image(n), "{n}");
        }
    }
    healthy(&archive);
    let listed: HashSet<String> = listed(folder.path());
    let there: HashSet<String> = files(&folder.path().join("objects")).iter().map(|path| name(path)).collect();
    let refused = refused.load(Ordering::Relaxed);
    assert_eq!(listed, there, "{refused} were refused");
}

/// The objects that the index lists.
fn listed(folder: &Path) -> HashSet<String> {
    let index = unsealed(folder);
    let mut rows = index.prepare("SELECT lower(hex(key)) FROM objects").unwrap();
    rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn name(path: &Path) -> String {
    let last = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    last(path.parent().unwrap()) + &last(path)
}
