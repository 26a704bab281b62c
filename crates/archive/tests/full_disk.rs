//! A disk that runs full, a real one of a few megabytes: objects, index and all.

mod common;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use archive::{Archive, Error, Ingested, Options};
use common::*;
use transcode::Policy;

/// A file system in memory, unmounted when dropped.
struct Small<'a>(&'a Path);

impl Small<'_> {
    fn mount(at: &Path, megabytes: u32) -> Option<Small<'_>> {
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Small(at)),
            _ => {
                eprintln!("SKIPPED: a small file system cannot be mounted here (needs the right to mount)");
                None
            }
        }
    }

    fn grow(&self, megabytes: u32) {
        let size = format!("remount,size={megabytes}m");
        assert!(Command::new("mount").args(["-o", &size]).arg(self.0).status().unwrap().success());
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_is_said_and_what_was_acknowledged_stays() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Small::mount(folder.path(), 6) else { return };
    let archive = Archive::open(folder.path(), Options::default()).unwrap();
    let file = |n: u32| made("1.1", "1.2", &format!("1.3.{n}")).image(200, 200, n).file();
    // Until nothing fits any more, the small rest of the room included.
    let (mut stored_ones, mut full) = (Vec::new(), 0);
    for n in 0..200 {
        match archive.ingest_bytes(&file(n)) {
            Ok(Ingested::Stored(_)) => stored_ones.push(n),
            Err(Error::Full) => full += 1,
            other => panic!("{other:?}"),
        }
    }
    let small = |n: u32| made("1.1", "1.2", &format!("1.4.{n}")).image(8, 8, n).file();
    let mut small_ones = Vec::new();
    for n in 0..2000 {
        match archive.ingest_bytes(&small(n)) {
            Ok(_) => small_ones.push(n),
            Err(Error::Full) => full += 1,
            other => panic!("{other:?}"),
        }
    }
    eprintln!("{} and {} stored, {full} times full", stored_ones.len(), small_ones.len());
    assert!(!stored_ones.is_empty() && full > 100);
    let whole = |archive: &Archive| {
        stored_ones.iter().for_each(|n| assert!(stored(archive, "1.1", "1.2", &format!("1.3.{n}")) == file(*n)));
        small_ones.iter().for_each(|n| assert!(stored(archive, "1.1", "1.2", &format!("1.4.{n}")) == small(*n)));
    };
    whole(&archive);
    assert_eq!(archive.stats().unwrap().instances, (stored_ones.len() + small_ones.len()) as u64);
    // Conversions have no room either: said, not lost, and done once there is room.
    let policy = Policy::shipped("htj2k-all").unwrap();
    match archive.convert_pending(&policy, 2, &AtomicBool::new(false), &|_| {}) {
        Ok(_) | Err(Error::Full) => {}
        Err(other) => panic!("{other:?}"),
    }
    whole(&archive);
    let left: Vec<_> = files(&folder.path().join("spool"))
        .into_iter()
        .filter(|f| !f.ends_with("lock") && !f.ends_with("place"))
        .collect();
    assert!(left.is_empty(), "half-written files are left: {left:?}");
    drop(archive);

    disk.grow(60);
    let archive = Archive::open(folder.path(), Options::default()).unwrap();
    whole(&archive);
    for n in 0..200 {
        assert!(!matches!(archive.ingest_bytes(&file(n)).unwrap(), Ingested::Conflict(_)));
    }
    archive.convert_pending(&policy, 2, &AtomicBool::new(false), &|_| {}).unwrap();
    let stats = archive.stats().unwrap();
    assert_eq!((stats.pending, stats.failed, stats.converted), (0, 0, stats.instances), "{stats:?}");
}
