//! The way back: what came in is given back byte for byte, also when its file was released; nothing goes that can't be restored.

mod common;

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use archive::{Archive, InstanceKey, Options, Release, Released, WayBack};
use common::*;
use sha2::{Digest, Sha256};
use transcode::Policy;

const NOW: Duration = Duration::ZERO;

/// An archive of three converted images and one that is kept, with their bytes.
fn filled() -> (Archive, tempfile::TempDir, Vec<(InstanceKey, Vec<u8>)>) {
    let (archive, folder) = archive();
    let mut files = Vec::new();
    for n in 0..3u32 {
        let mut made = made("1.1", "1.2", &format!("1.3.{n}"));
        files.push(made.bytes(0x0009_1010, "UN", b"private!").image(90, 120, n).file());
    }
    files.push(made("1.1", "1.5", "1.3.9").file());
    let files = files.into_iter().map(|bytes| (archive.ingest_bytes(&bytes).unwrap().key().clone(), bytes)).collect();
    archive.convert_pending(&Policy::shipped("htj2k-all").unwrap(), 2, &AtomicBool::new(false), &|_| {}).unwrap();
    assert_eq!(archive.stats().unwrap().converted, 3);
    (archive, folder, files)
}

fn release(archive: &Archive, after: Duration) -> (Released, Vec<Release>) {
    let told = RefCell::new(Vec::new());
    let done = archive.release_received(after, &AtomicBool::new(false), &|r| told.borrow_mut().push(r)).unwrap();
    (done, told.into_inner())
}

fn restored(archive: &Archive, key: &InstanceKey) -> Result<(Vec<u8>, bool), archive::Error> {
    let mut out = Vec::new();
    let done = archive.restore(key, &mut out)?;
    assert_eq!((done.bytes, done.sha256), (out.len() as u64, format!("{:x}", Sha256::digest(&out))));
    Ok((out, done.made_again))
}

fn object(folder: &Path, bytes: &[u8]) -> PathBuf {
    let key = format!("{:x}", Sha256::digest(bytes));
    folder.join("objects").join(&key[..2]).join(&key[2..])
}

#[test]
fn what_came_is_restored_and_its_cost_is_known() {
    let (archive, _folder, files) = filled();
    for (key, bytes) in &files {
        assert_eq!(restored(&archive, key).unwrap(), (bytes.clone(), false));
    }
    let way = archive.way_back(&files[0].0).unwrap().unwrap();
    assert!(matches!(way, WayBack { residue: Some(50..2048), released: None, .. }), "{way:?}");
    assert_eq!(archive.way_back(&files[3].0).unwrap(), None);
    let stats = archive.stats().unwrap();
    assert_eq!((stats.ways_back, stats.released, stats.released_bytes), (3, 0, 0));
    assert!(stats.residue_bytes >= 3 * 50);
    assert_eq!(archive.named("1.3.1").unwrap(), [files[1].0.clone()]);
    assert_eq!(archive.named("1.2").unwrap().len(), 3);
    assert_eq!(archive.named("1.1").unwrap().len(), 4);
    assert!(archive.named("1.7").unwrap().is_empty());
    let nobody = InstanceKey { study: "1".into(), series: "2".into(), sop: "3".into() };
    assert!(matches!(archive.restore(&nobody, &mut Vec::new()), Err(archive::Error::NoWayBack(_))));
}

#[test]
fn nothing_goes_before_its_time() {
    let (archive, folder, files) = filled();
    assert_eq!(release(&archive, Duration::from_secs(3600)).0, Released::default());
    assert!(files.iter().all(|(_, bytes)| object(folder.path(), bytes).exists()));
}

#[test]
fn released_objects_are_made_again_and_kept_ones_never_go() {
    let (archive, folder, files) = filled();
    let before = archive.instance("1.1", "1.2", "1.3.0").unwrap().unwrap();
    let (done, told) = release(&archive, NOW);
    assert_eq!((done.objects, done.kept), (3, 0), "{told:?}");
    assert_eq!(done.bytes, files[..3].iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>());
    for (n, (key, bytes)) in files.iter().enumerate() {
        assert_eq!(object(folder.path(), bytes).exists(), n == 3);
        assert_eq!(restored(&archive, key).unwrap(), (bytes.clone(), n < 3));
    }
    assert!(archive.way_back(&files[0].0).unwrap().unwrap().released.is_some());
    let stats = archive.stats().unwrap();
    assert_eq!((stats.released, stats.released_bytes), (3, done.bytes));
    // What is handed out is as it was; a second run has nothing to do.
    assert_eq!(archive.instance("1.1", "1.2", "1.3.0").unwrap().unwrap().object_id, before.object_id);
    assert_eq!(release(&archive, NOW).0, Released::default());
}

#[test]
fn who_looked_an_instance_up_before_its_conversion_still_reads_it() {
    let (archive, _folder) = archive();
    let bytes = made("1.1", "1.2", "1.3").image(400, 500, 1).file();
    archive.ingest_bytes(&bytes).unwrap();
    let old = archive.instance("1.1", "1.2", "1.3").unwrap().unwrap();
    let held = archive.object(&old).unwrap();
    archive.convert_pending(&Policy::shipped("htj2k-all").unwrap(), 1, &AtomicBool::new(false), &|_| {}).unwrap();
    assert_eq!(release(&archive, NOW).0.objects, 1);
    let read = |object: archive::ObjectReader| {
        let mut out = vec![0; object.size() as usize];
        object.read_at(0, &mut out).unwrap();
        out
    };
    assert!(read(held) == bytes, "a reader in progress");
    assert!(read(archive.object(&old).unwrap()) == bytes, "a reader that comes after");
    assert_eq!(archive.source(&old).unwrap().len(), bytes.len() as u64);
}

#[test]
fn what_is_damaged_holds_the_received_object() {
    let (archive, folder, files) = filled();
    let converted = archive.instance("1.1", "1.2", "1.3.0").unwrap().unwrap().object_id.clone();
    let path = folder.path().join("objects").join(&converted[..2]).join(&converted[2..]);
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 5;
    bytes[last] ^= 1;
    fs::write(&path, bytes).unwrap();
    let index = unsealed(folder.path());
    index
        .execute(
            "UPDATE ways_back SET residue = substr(residue, 1, 70) WHERE original = \
             (SELECT received FROM instances WHERE uid = '1.3.1')",
            [],
        )
        .unwrap();
    let (done, told) = release(&archive, NOW);
    assert_eq!((done.objects, done.kept), (1, 2), "{told:?}");
    assert!(object(folder.path(), &files[0].1).exists() && object(folder.path(), &files[1].1).exists());
    assert_eq!(restored(&archive, &files[0].0).unwrap().0, files[0].1);
}

#[test]
fn bytes_that_come_again_are_known_and_go_again() {
    let (archive, folder, files) = filled();
    release(&archive, NOW);
    archive.ingest_bytes(&files[0].1).unwrap();
    assert!(object(folder.path(), &files[0].1).exists());
    assert_eq!(release(&archive, NOW).0, Released::default());
    assert!(!object(folder.path(), &files[0].1).exists());
    assert_eq!(archive.stats().unwrap().released, 3);
    assert_eq!(restored(&archive, &files[0].0).unwrap(), (files[0].1.clone(), true));
}

#[test]
fn bytes_that_come_again_for_a_damaged_object_stay() {
    let (archive, folder, files) = filled();
    assert_eq!(release(&archive, NOW).0.objects, 3);
    let converted = archive.instance("1.1", "1.2", "1.3.0").unwrap().unwrap().object_id.clone();
    let path = folder.path().join("objects").join(&converted[..2]).join(&converted[2..]);
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 5;
    bytes[last] ^= 1;
    fs::write(&path, bytes).unwrap();
    for (_, bytes) in &files[..2] {
        archive.ingest_bytes(bytes).unwrap();
    }
    let (done, told) = release(&archive, NOW);
    assert_eq!(done, Released { kept: 1, ..Released::default() }, "{told:?}");
    let Release::Kept { key, .. } = &told[0] else { panic!("{told:?}") };
    assert_eq!(key, &files[0].0);
    assert!(!object(folder.path(), &files[1].1).exists(), "the one behind it goes");
    for (n, (key, bytes)) in files.iter().enumerate() {
        assert_eq!(restored(&archive, key).unwrap(), (bytes.clone(), n == 1 || n == 2));
    }
    // Its time counts anew since it came.
    archive.ingest_bytes(&files[2].1).unwrap();
    assert_eq!(release(&archive, Duration::from_secs(3600)).0, Released::default());
    assert!(object(folder.path(), &files[2].1).exists());
}

#[test]
fn a_conversion_without_a_way_back_does_not_replace_the_only_one_and_stops_nobody() {
    let (archive, folder) = archive();
    // RLE: two segments of one run of 128 zeros; what leads from HTJ2K to its very bytes is not known.
    let mut frame: Vec<u8> = [2_u32, 64, 66].into_iter().flat_map(u32::to_le_bytes).collect();
    frame.resize(64, 0);
    frame.extend([129, 0, 129, 0]);
    let rle = made("1.1", "1.2", "1.3.1").image(8, 16, 1).encapsulated("1.2.840.10008.1.2.5\0", &[&[], &frame]);
    let key = archive.ingest_bytes(&rle).unwrap().key().clone();
    let policy = Policy::shipped("htj2k-all").unwrap();
    let convert = || archive.convert_pending(&policy, 1, &AtomicBool::new(false), &|_| {}).unwrap();
    assert_eq!(convert().converted, 1);
    assert!(archive.way_back(&key).unwrap().unwrap().residue.is_none());
    // As an earlier version may have left it, that knew the way.
    let index = unsealed(folder.path());
    index.execute("UPDATE ways_back SET reason = NULL, residue = x'00', released = 1, removed = 1", []).unwrap();
    index.execute("UPDATE jobs SET state = 0", []).unwrap();
    let next = made("1.1", "1.2", "1.3.2").image(90, 120, 2).file();
    archive.ingest_bytes(&next).unwrap();
    let done = convert();
    assert_eq!((done.converted, done.failed), (1, 1));
    assert_eq!(archive.way_back(&key).unwrap().unwrap().residue, Some(1));
    assert_eq!(convert(), archive::Summary::default(), "it is over");
}

#[test]
fn a_damaged_received_object_is_made_again() {
    let (archive, folder, files) = filled();
    fs::write(object(folder.path(), &files[2].1), b"not what it was").unwrap();
    drop(archive);
    let archive = Archive::open(folder.path(), Options::default()).unwrap();
    assert_eq!(restored(&archive, &files[2].0).unwrap(), (files[2].1.clone(), true));
}
