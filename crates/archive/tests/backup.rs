//! A backup is an archive as it was at one moment; an index that is lost is made again from the objects.

mod common;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use archive::{Archive, BACKUP_INDEX, InstanceKey, Options, Query, QueryLevel, Scope, Scrub, State};
use common::*;
use transcode::Policy;

const COUNT: u32 = 12;

fn image(n: u32) -> Vec<u8> {
    let mut made = made(&format!("1.1.{}", n % 3), "1.2", &format!("1.3.{n}"));
    made.set(0x0008_0020, "DA", &format!("2026010{}", n % 3 + 1)).set(0x0010_0010, "PN", &format!("Name{}^A", n % 3));
    made.set(0x0020_0013, "IS", &n.to_string()).image(60, 50, n).file()
}

fn key(n: u32) -> InstanceKey {
    InstanceKey { study: format!("1.1.{}", n % 3), series: "1.2".into(), sop: format!("1.3.{n}") }
}

fn convert(archive: &Archive) {
    archive.convert_pending(&Policy::shipped("htj2k-all").unwrap(), 2, &AtomicBool::new(false), &|_| {}).unwrap();
}

fn filled() -> (Archive, tempfile::TempDir) {
    let (archive, folder) = archive();
    (0..COUNT).for_each(|n| drop(archive.ingest_bytes(&image(n)).unwrap()));
    convert(&archive);
    (archive, folder)
}

fn restored(archive: &Archive, n: u32) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    archive.restore(&key(n), &mut out).ok().map(|_| out)
}

fn back_up(archive: &Archive, to: &Path) -> archive::BackedUp {
    archive.backup(to, &AtomicBool::new(false), &mut |_| {}).unwrap().unwrap()
}

/// A backup, taken into use as it is documented.
fn in_use(backup: &Path) -> Archive {
    fs::rename(backup.join(BACKUP_INDEX), backup.join("index.sqlite")).unwrap();
    let archive = Archive::open(backup, Options::default()).unwrap();
    let (_, faults) = archive.scrub(Scrub::default(), &AtomicBool::new(false), &mut |_, _| {}).unwrap();
    assert!(faults.is_empty(), "{faults:?}");
    archive
}

fn searches(archive: &Archive) -> Vec<String> {
    let found = [QueryLevel::Study, QueryLevel::Series, QueryLevel::Instance].map(|level| {
        let query = Query { include: archive::Fields::All, ..Query::default() };
        archive.find(level, &query).unwrap().rows.into_iter().map(|row| serde_json::to_string(&row).unwrap())
    });
    found.into_iter().flatten().collect()
}

#[test]
fn a_backup_is_the_archive_and_the_next_takes_what_is_new() {
    let (archive, _folder) = filled();
    let to = tempfile::tempdir().unwrap();
    archive.delete(Scope::Study("1.1.2"), Duration::from_secs(99)).unwrap();
    let first = back_up(&archive, to.path());
    assert_eq!((first.copied, first.there, first.removed, first.faults.len()), (2 * u64::from(COUNT), 0, 0, 0));
    let more = image(100);
    archive.ingest_bytes(&more).unwrap();
    archive.undelete(archive.deletions().unwrap()[0].id).unwrap();
    archive.delete(Scope::Instance(&key(0)), Duration::ZERO).unwrap();
    archive.purge(&AtomicBool::new(false), &mut |_| {}).unwrap();
    let second = back_up(&archive, to.path());
    assert_eq!((second.copied, second.bytes, second.there, second.removed), (1, more.len() as u64, 22, 2));
    let before = searches(&archive);
    let copy = in_use(to.path());
    assert_eq!(searches(&copy), before);
    assert_eq!(copy.stats().unwrap(), archive.stats().unwrap());
    (1..COUNT).for_each(|n| assert!(restored(&copy, n).unwrap() == image(n), "{n}"));
    assert_eq!((restored(&copy, 100), restored(&copy, 0)), (Some(more), None));
}

#[test]
fn what_is_damaged_is_told_and_the_rest_is_backed_up() {
    let (archive, folder) = filled();
    let objects = files(&folder.path().join("objects"));
    fs::write(&objects[0], b"damaged").unwrap();
    fs::remove_file(&objects[1]).unwrap();
    let to = tempfile::tempdir().unwrap();
    let done = back_up(&archive, to.path());
    assert_eq!((done.copied, done.faults.len()), (2 * u64::from(COUNT) - 2, 2));
}

#[test]
fn a_folder_of_others_is_refused() {
    let (archive, folder) = filled();
    let to = tempfile::tempdir().unwrap();
    fs::write(to.path().join("letter.txt"), b"").unwrap();
    for place in [to.path(), folder.path()] {
        let error = archive.backup(place, &AtomicBool::new(false), &mut |_| {}).unwrap_err();
        assert!(error.to_string().contains("is no backup, and not empty"), "{error}");
    }
}

#[test]
fn it_is_whole_while_others_store_convert_and_delete() {
    let (archive, _folder) = filled();
    let stop = AtomicBool::new(false);
    let backups: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in (COUNT..).take_while(|_| !stop.load(Ordering::Relaxed)) {
                archive.ingest_bytes(&image(n)).unwrap();
                archive.delete(Scope::Instance(&key(n - 7)), Duration::ZERO).unwrap();
            }
        });
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                convert(&archive);
                archive.purge(&stop, &mut |_| {}).unwrap();
            }
        });
        for to in &backups {
            let done = archive.backup(to.path(), &AtomicBool::new(false), &mut |_| {});
            stop.store(done.is_err(), Ordering::Relaxed);
            assert!(done.unwrap().unwrap().faults.is_empty());
        }
        stop.store(true, Ordering::Relaxed);
    });
    for to in &backups {
        let copy = in_use(to.path());
        assert!(copy.stats().unwrap().instances > 0);
    }
}

#[test]
fn a_lost_index_is_made_again_from_the_objects() {
    let (archive, folder) = filled();
    let refused = folder.path().join("cut.dcm");
    fs::write(&refused, [&[0; 128], &b"DICM"[..], b"\x02\0\x10\0UI\xFF\xFF"].concat()).unwrap();
    archive.ingest_or_keep(&refused, &refused, true).unwrap();
    fs::remove_file(&refused).unwrap();
    let (before, objects) = (searches(&archive), files(&folder.path().join("objects")));
    let stats = archive.stats().unwrap();
    drop(archive);
    let never = AtomicBool::new(false);
    let refused = Archive::rebuild(folder.path(), &Options::default(), &never, &mut |_| {}).unwrap_err();
    assert!(refused.to_string().contains("move it away first"), "{refused}");
    for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
        let _ = fs::remove_file(folder.path().join(name));
    }
    let found = Archive::rebuild(folder.path(), &Options::default(), &never, &mut |_| {}).unwrap().unwrap();
    assert_eq!((found.instances, found.conversions, found.unserved), (u64::from(COUNT), u64::from(COUNT), 1));
    assert_eq!((found.conflicts, found.only_converted, found.damaged), (0, 0, 0));
    let archive = Archive::open(folder.path(), Options::default()).unwrap();
    convert(&archive);
    assert_eq!(archive.stats().unwrap(), stats);
    assert_eq!(searches(&archive), before);
    assert_eq!(archive.unlisted(&never).unwrap(), 0);
    assert_eq!(files(&folder.path().join("objects")), objects, "what was converted is found, not made twice");
    (0..COUNT).for_each(|n| assert!(restored(&archive, n).unwrap() == image(n), "{n}"));
    let (_, faults) = archive.scrub(Scrub::default(), &never, &mut |_, _| {}).unwrap();
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn what_only_the_index_knew_is_told() {
    let (archive, folder) = filled();
    let other = made("1.1.0", "1.2", "1.3.0").image(60, 50, 77).file();
    archive.ingest_bytes(&other).unwrap();
    archive.release_received(Duration::ZERO, &AtomicBool::new(false), &|_| {}).unwrap();
    drop(archive);
    fs::remove_file(folder.path().join("index.sqlite")).unwrap();
    let objects = files(&folder.path().join("objects"));
    let mut damaged = fs::read(&objects[0]).unwrap();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    fs::write(&objects[0], damaged).unwrap();
    let found =
        Archive::rebuild(folder.path(), &Options::default(), &AtomicBool::new(false), &mut |_| {}).unwrap().unwrap();
    assert_eq!((found.objects, found.damaged), (u64::from(COUNT) + 1, 1));
    assert_eq!(found.instances + found.conflicts + found.conversions + found.damaged, found.objects);
    assert!(found.only_converted >= u64::from(COUNT) - 2, "{found:?}");
    let archive = Archive::open(folder.path(), Options::default()).unwrap();
    convert(&archive);
    assert_eq!(archive.decisions(State::Failed, 0, 99).unwrap().len(), 0);
    let (_, faults) = archive.scrub(Scrub::default(), &AtomicBool::new(false), &mut |_, _| {}).unwrap();
    assert!(faults.is_empty(), "{faults:?}");
}
