//! Ingest: what is acknowledged is stored as it came, once, and nothing takes its place.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::{fs, io, thread};

use archive::{Archive, Error, Ingested, InstanceKey, Options, Query, QueryLevel, RefusalReason};
use common::*;
use dicom::ReadAt;
use store::{Disk, Key, Memory, Objects, Put, Staged};
use transcode::{Decode, Policy};

fn key(study: &str, series: &str, sop: &str) -> InstanceKey {
    InstanceKey { study: study.into(), series: series.into(), sop: sop.into() }
}

#[test]
fn what_is_stored_is_what_came() {
    let (archive, _folder) = archive();
    let file = made("1.1", "1.2", "1.3").image(20, 30, 1).file();
    assert_eq!(archive.ingest_bytes(&file).unwrap(), Ingested::Stored(key("1.1", "1.2", "1.3")));
    assert_eq!(stored(&archive, "1.1", "1.2", "1.3"), file);
    let instance = archive.instance("1.1", "1.2", "1.3").unwrap().unwrap();
    assert_eq!((instance.facts.rows, instance.facts.columns), (20, 30));
    assert_eq!(instance.frames.len(), 1);
    let frame = archive.object(&instance).unwrap().read_frame(&instance.frames[0]).unwrap();
    assert_eq!(frame, file[file.len() - 1200..]);
    assert_eq!(instance.transfer_syntax, "1.2.840.10008.1.2.1");
}

#[test]
fn the_same_again_is_a_duplicate() {
    let (archive, folder) = archive();
    let file = made("1.1", "1.2", "1.3").image(8, 8, 1).file();
    for expected in [Ingested::Stored as fn(_) -> _, Ingested::Duplicate, Ingested::Duplicate] {
        assert_eq!(archive.ingest_bytes(&file).unwrap(), expected(key("1.1", "1.2", "1.3")));
    }
    let stats = archive.stats().unwrap();
    assert_eq!((stats.studies, stats.series, stats.instances, stats.conflicts), (1, 1, 1, 0));
    assert_eq!(files(&folder.path().join("objects")).len(), 1);
}

#[test]
fn many_are_handed_over_and_acknowledged_in_their_order() {
    let (archive, folder) = archive();
    let file = |sop: &str, shade| made("1.1", "1.2", sop).image(8, 8, shade).file();
    let sent = [file("1.3", 1), file("1.4", 2), file("1.3", 1), file("1.3", 3)];
    let received: Vec<_> = sent.iter().map(|bytes| archive.receive(&mut &bytes[..]).unwrap()).collect();
    assert_eq!(received[1].key(), &key("1.1", "1.2", "1.4"));
    assert_eq!(received[1].size(), sent[1].len() as u64);
    assert!(files(&folder.path().join("objects")).is_empty() && archive.stats().unwrap().instances == 0);
    let ended: Vec<_> =
        archive.submit_all(received).into_iter().map(|ticket| ticket.unwrap().wait().unwrap()).collect();
    let (one, two) = (key("1.1", "1.2", "1.3"), key("1.1", "1.2", "1.4"));
    assert_eq!(
        ended,
        [
            Ingested::Stored(one.clone()),
            Ingested::Stored(two),
            Ingested::Duplicate(one.clone()),
            Ingested::Conflict(one)
        ]
    );
    assert_eq!(stored(&archive, "1.1", "1.2", "1.4"), sent[1]);
    drop(archive.receive(&mut &file("1.5", 5)[..]).unwrap());
    assert_eq!(files(&folder.path().join("objects")).len(), 3, "what is dropped was never stored");
    assert_eq!(
        files(&folder.path().join("spool")).len(),
        2,
        "and leaves nothing but the lock of this run and the name of the place"
    );
}

#[test]
fn a_refusal_has_its_reason() {
    let (archive, _folder) = archive();
    let whole = made("1.1", "1.2", "1.3").image(8, 8, 1).file();
    let reason = |bytes: &[u8]| archive.receive(&mut &bytes[..]).err().map(|error| error.refusal());
    assert_eq!(reason(&whole), None);
    assert_eq!(reason(b"no data set"), Some(RefusalReason::NotDicom));
    assert_eq!(reason(&made("1.1", "1.2", "").image(8, 8, 1).file()), Some(RefusalReason::NoInstance));
    assert!(archive.room().unwrap() > 0);
}

#[test]
fn other_bytes_under_the_same_uids_lose_neither() {
    let (archive, folder) = archive();
    let first = made("1.1", "1.2", "1.3").image(8, 8, 1).file();
    let other = made("1.1", "1.2", "1.3").image(8, 8, 2).file();
    archive.ingest_bytes(&first).unwrap();
    for _ in 0..2 {
        assert_eq!(archive.ingest_bytes(&other).unwrap(), Ingested::Conflict(key("1.1", "1.2", "1.3")));
    }
    assert_eq!(archive.ingest_bytes(&first).unwrap(), Ingested::Duplicate(key("1.1", "1.2", "1.3")));
    assert_eq!(stored(&archive, "1.1", "1.2", "1.3"), first);
    assert_eq!(archive.stats().unwrap().conflicts, 1);
    assert_eq!(archive.stats().unwrap().instances, 1);
    let kept: Vec<_> = files(&folder.path().join("objects")).iter().map(|f| fs::read(f).unwrap()).collect();
    assert!(kept.contains(&first) && kept.contains(&other));
    let beside = archive.conflicts().unwrap();
    assert_eq!(beside.len(), 1);
    assert_eq!(beside[0].key, key("1.1", "1.2", "1.3"));
}

#[test]
fn one_sop_instance_uid_in_two_series_is_two_instances() {
    let (archive, _folder) = archive();
    let first = made("1.1", "1.2", "1.3").image(8, 8, 1).file();
    let second = made("1.1", "1.9", "1.3").image(8, 8, 2).file();
    let third = made("1.8", "1.2", "1.3").image(8, 8, 3).file();
    for file in [&first, &second, &third] {
        assert!(matches!(archive.ingest_bytes(file).unwrap(), Ingested::Stored(_)));
    }
    assert_eq!(stored(&archive, "1.1", "1.2", "1.3"), first);
    assert_eq!(stored(&archive, "1.1", "1.9", "1.3"), second);
    assert_eq!(stored(&archive, "1.8", "1.2", "1.3"), third);
    assert_eq!(archive.stats().unwrap().instances, 3);
}

#[test]
fn what_cannot_be_an_instance_is_refused_and_leaves_nothing() {
    let (archive, folder) = archive();
    let whole = made("1.1", "1.2", "1.3").image(64, 64, 1).file();
    let mut no_study = made("1.1", "1.2", "1.3");
    no_study.set(0x0020_000D, "UI", "");
    let mut traversal = made("1.1", "1.2", "1.3");
    traversal.set(0x0020_000D, "UI", "../../etc");
    assert!(matches!(archive.ingest_bytes(b"a text file\n"), Err(Error::Dicom(dicom::Error::NotDicom))));
    assert!(matches!(archive.ingest_bytes(b""), Err(Error::Dicom(dicom::Error::NotDicom))));
    for (what, file) in [
        ("no study", no_study.file()),
        ("path in a UID", traversal.file()),
        ("cut in the header", whole[..300].to_vec()),
    ] {
        let refused = archive.ingest_bytes(&file);
        let reason = match refused {
            Err(Error::Refused(reason)) if what == "cut in the pixels" => reason,
            // Cut where an element ends, it can be read as far as it goes.
            Err(Error::NoInstance(reason)) if what != "cut in the pixels" => reason,
            other => panic!("{what}: {other:?}"),
        };
        assert!(!reason.is_empty() && !reason.contains('\n'), "{what}: {reason}");
    }
    assert_eq!(archive.stats().unwrap(), Default::default());
    assert!(files(&folder.path().join("objects")).is_empty());
    let left: Vec<_> = files(&folder.path().join("spool"))
        .into_iter()
        .filter(|f| !f.ends_with("lock") && !f.ends_with("place"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(matches!(archive.ingest(&folder.path().join("missing")), Err(Error::Io { .. })));
}

#[test]
fn an_object_without_a_row_is_adopted_when_it_is_sent_again() {
    let (archive, folder) = archive();
    let file = made("1.1", "1.2", "1.3").image(8, 8, 1).file();
    archive.ingest_bytes(&file).unwrap();
    drop(archive);
    // As after a crash between the object and its row.
    for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
        let _ = fs::remove_file(folder.path().join(name));
    }
    let archive = Archive::open(folder.path(), Options::default()).unwrap();
    assert_eq!(archive.stats().unwrap().instances, 0);
    assert_eq!(files(&folder.path().join("objects")).len(), 1, "opening removes no object");
    assert_eq!(archive.ingest_bytes(&file).unwrap(), Ingested::Stored(key("1.1", "1.2", "1.3")));
    assert_eq!(stored(&archive, "1.1", "1.2", "1.3"), file);
    assert_eq!(files(&folder.path().join("objects")).len(), 1);
}

#[test]
fn an_archive_is_the_same_when_it_is_opened_again() {
    let (archive, folder) = archive();
    let file = made("1.1", "1.2", "1.3").image(8, 8, 1).file();
    archive.ingest_bytes(&file).unwrap();
    let before = archive.stats().unwrap();
    drop(archive);
    let archive = Archive::open(folder.path(), Options::default()).unwrap();
    assert_eq!(archive.stats().unwrap(), before);
    assert_eq!(stored(&archive, "1.1", "1.2", "1.3"), file);
}

#[test]
fn an_archive_with_objects_in_memory_does_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::with_objects(folder.path(), Box::<Memory>::default(), Options::default()).unwrap();
    let file = made("1.1", "1.2", "1.3").image(90, 70, 1).file();
    assert!(matches!(archive.ingest_bytes(&file).unwrap(), Ingested::Stored(_)));
    assert!(matches!(archive.ingest_bytes(&file).unwrap(), Ingested::Duplicate(_)));
    assert_eq!(stored(&archive, "1.1", "1.2", "1.3"), file);
    assert!(archive.series_metadata("1.1", "1.2", "").unwrap().is_some());
    let policy = Policy::shipped("htj2k-all").unwrap();
    let summary = archive.convert_pending(&policy, 1, &AtomicBool::new(false), &|_| {}).unwrap();
    assert_eq!((summary.converted, summary.failed), (1, 0));
    let instance = archive.instance("1.1", "1.2", "1.3").unwrap().unwrap();
    let mut samples = Vec::new();
    archive.source(&instance).unwrap().decode_frame(0, &mut samples).unwrap();
    assert_eq!(samples, file[file.len() - samples.len()..]);
    assert!(!folder.path().join("objects").exists());
}

#[test]
fn an_archive_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("a/b");
    Archive::open(&data, Options::default()).unwrap();
    assert_eq!(fs::metadata(data).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn many_threads_and_two_archives_on_one_folder() {
    let (first, folder) = archive();
    let second = Archive::open(folder.path(), Options::default()).unwrap();
    thread::scope(|scope| {
        for worker in 0..4 {
            let archive = if worker % 2 == 0 { &first } else { &second };
            scope.spawn(move || {
                for n in 0..25 {
                    // Each instance is sent by two threads, one of each archive.
                    let sop = format!("1.3.{}.{n}", worker / 2);
                    let file = made("1.1", &format!("1.2.{}", n % 3), &sop).image(8, 8, n).file();
                    assert!(!matches!(archive.ingest_bytes(&file).unwrap(), Ingested::Conflict(_)));
                }
            });
        }
    });
    for archive in [first, second] {
        let stats = archive.stats().unwrap();
        assert_eq!((stats.studies, stats.series, stats.instances, stats.conflicts), (1, 3, 50, 0));
        let studies = archive.find(QueryLevel::Study, &Query::default()).unwrap();
        assert_eq!(value(&studies.rows[0], "00201208"), 50);
        assert_eq!(value(&studies.rows[0], "00201206"), 3);
    }
}

#[test]
fn a_batch_goes_on_past_what_is_refused() {
    let (archive, _folder) = archive();
    let from = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for n in 0..300 {
        let path = from.path().join(format!("{n}"));
        let file = made("1.1", "1.2", &format!("1.3.{n}")).image(8, 8, n).file();
        fs::write(&path, if n % 10 == 3 { b"not DICOM".to_vec() } else { file }).unwrap();
        paths.push(path);
    }
    let (mut stored, mut refused) = (0, 0);
    archive.ingest_all(paths.into_iter(), 3, &AtomicBool::new(false), &mut |path, result| match result {
        Ok(Ingested::Stored(key)) => {
            assert_eq!(format!("1.3.{}", path.file_name().unwrap().to_str().unwrap()), key.sop);
            stored += 1;
        }
        Err(Error::Dicom(dicom::Error::NotDicom)) => refused += 1,
        other => panic!("{}: {other:?}", path.display()),
    });
    assert_eq!((stored, refused), (270, 30));
    assert_eq!(archive.stats().unwrap().instances, 270);
}

#[test]
fn the_real_files_come_back_byte_for_byte() {
    for folder in ["dicomdir", "ct", "mr"] {
        let Some(folder) = corpus(folder) else { continue };
        let (archive, _data) = archive();
        let (mut listed, mut refused, mut other) = (0, Vec::new(), 0);
        for path in files(&folder) {
            match archive.ingest(&path) {
                Ok(Ingested::Stored(key)) => {
                    assert!(stored(&archive, &key.study, &key.series, &key.sop) == fs::read(&path).unwrap());
                    listed += 1;
                }
                Ok(_) => other += 1,
                Err(e) => refused.push(format!("{}: {e}", path.display())),
            }
        }
        eprintln!("{}: {listed} stored, {other} again or beside, {} refused", folder.display(), refused.len());
        assert!(listed > 0);
        let expected = |line: &String| line.contains("an index of a file set") || line.ends_with("not a DICOM file");
        assert!(refused.iter().all(expected), "{refused:#?}");
        assert_eq!(archive.stats().unwrap().instances, listed);
    }
}

/// Files of the corpus that are DICOM and cannot be an instance of an archive, and why.
const REFUSED: &[(&str, &str)] = &[
    ("DICOMDIR", "an index of a file set"),
    ("charset/pydicom__chrSQEncoding.dcm", "no Study Instance UID"),
    ("charset/pydicom__chrSQEncoding1.dcm", "no Study Instance UID"),
    ("pydicom/dicom-test-files__MR_truncated.dcm", "truncated"),
    ("pydicom/dicom-test-files__badVR.dcm", "malformed"),
    ("pydicom/dicom-test-files__bad_sequence.dcm", "characters other than digits and dots"),
    ("pydicom/dicom-test-files__empty_charset_LEI.dcm", "no Study Instance UID"),
    ("pydicom/dicom-test-files__emri_small_jpeg_2k_lossless_too_short.dcm", "truncated"),
    ("pydicom/dicom-test-files__meta_missing_tsyntax.dcm", "no Study Instance UID"),
    ("pydicom/dicom-test-files__nested_priv_SQ.dcm", "no Study Instance UID"),
    ("pydicom/dicom-test-files__no_meta_group_length.dcm", "no Study Instance UID"),
    ("pydicom/dicom-test-files__priv_SQ.dcm", "no Study Instance UID"),
    ("pydicom/dicom-test-files__rtplan_truncated.dcm", "truncated"),
    ("pydicom/pydicom-data__HTJ2K_08_RGB.dcm", "no Study Instance UID"),
    ("pydicom/pydicom-data__HTJ2KLossless_08_RGB.dcm", "no Study Instance UID"),
    ("pydicom/pydicom-data__JLSL_08_07_0_1F.dcm", "no Study Instance UID"),
    ("pydicom/pydicom-data__JLSL_16_15_1_1F.dcm", "no Study Instance UID"),
    ("pydicom/pydicom-data__JLSL_RGB_ILV0.dcm", "no Study Instance UID"),
    ("pydicom/pydicom-data__JLSL_RGB_ILV1.dcm", "no Study Instance UID"),
    ("pydicom/pydicom-data__JLSL_RGB_ILV2.dcm", "no Study Instance UID"),
    ("pydicom/pydicom-data__JLSN_RGB_ILV0.dcm", "no Study Instance UID"),
    ("pydicom/pydicom__JPEGLSNearLossless_08.dcm", "no Study Instance UID"),
    ("pydicom/pydicom__JPEGLSNearLossless_16.dcm", "no Study Instance UID"),
    ("pydicom/pydicom__SC_rgb_jls_lossy_line.dcm", "no Study Instance UID"),
    ("pydicom/pydicom__SC_rgb_jls_lossy_sample.dcm", "no Study Instance UID"),
    ("pydicom/pydicom__UN_sequence.dcm", "no Study Instance UID"),
    ("pydicom/pydicom__priv_SQ.dcm", "no Study Instance UID"),
];

#[test]
fn every_file_of_the_corpus_is_stored_or_refused_with_a_reason() {
    let Some(folder) = corpus("") else { return };
    let (archive, _data) = archive();
    let (mut counts, mut refused) = ([0; 4], Vec::new());
    let paths = files(&folder);
    let total = paths.len();
    archive.ingest_all(paths.into_iter(), 2, &AtomicBool::new(false), &mut |path, result| match result {
        Ok(Ingested::Stored(_)) => counts[0] += 1,
        Ok(Ingested::Duplicate(_)) => counts[1] += 1,
        Ok(Ingested::Conflict(_)) => counts[2] += 1,
        Err(Error::Dicom(dicom::Error::NotDicom)) => counts[3] += 1,
        Err(e) => refused.push(format!("{}: {e}", path.display())),
    });
    let [stored, duplicate, beside, not_dicom] = counts;
    eprintln!(
        "{total} files: {stored} stored, {duplicate} duplicates, {beside} beside, {not_dicom} not DICOM, {} refused",
        refused.len()
    );
    refused.iter().for_each(|line| eprintln!("  {line}"));
    let unexpected: Vec<_> = refused
        .iter()
        .filter(|line| !REFUSED.iter().any(|(name, why)| line.contains(name) && line.contains(why)))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
    let stats = archive.stats().unwrap();
    assert_eq!((stats.instances, stats.conflicts), (stored, beside));
}

/// A storage with room for so many bytes.
struct Small {
    disk: Disk,
    room: Arc<AtomicI64>,
}

impl Objects for Small {
    fn put(&self, staged: Vec<Staged>) -> Vec<io::Result<Put>> {
        staged.into_iter().map(|staged| self.replace(staged)).collect()
    }
    fn replace(&self, staged: Staged) -> io::Result<Put> {
        if self.room.fetch_sub(staged.size() as i64, Ordering::SeqCst) < staged.size() as i64 {
            self.room.fetch_add(staged.size() as i64, Ordering::SeqCst);
            return Err(io::ErrorKind::StorageFull.into());
        }
        (&self.disk as &dyn Objects).put_one(staged)
    }
    fn open(&self, key: &Key, size: u64) -> io::Result<Arc<dyn ReadAt>> {
        Objects::open(&self.disk, key, size)
    }
    fn size(&self, key: &Key) -> io::Result<Option<u64>> {
        self.disk.size(key)
    }
    fn remove(&self, key: &Key) -> io::Result<bool> {
        self.disk.remove(key)
    }
    fn list(&self, after: Option<Key>, most: usize) -> io::Result<Vec<(Key, u64)>> {
        self.disk.list(after, most)
    }
}

#[test]
fn a_full_storage_is_said_and_harms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let room = Arc::new(AtomicI64::new(10_000));
    let disk = Disk::open(&folder.path().join("objects"), 16).unwrap();
    let small = Small { disk, room: room.clone() };
    let archive = Archive::with_objects(folder.path(), Box::new(small), Options::default()).unwrap();
    let file = |n: u32| made("1.1", "1.2", &format!("1.3.{n}")).image(32, 32, n).file();
    let results: Vec<_> = (0..10).map(|n| archive.ingest_bytes(&file(n))).collect();
    let stored_count = results.iter().filter(|r| r.is_ok()).count();
    assert!((1..10).contains(&stored_count));
    assert!(results[stored_count..].iter().all(|r| matches!(r, Err(Error::Full))), "{results:?}");
    assert_eq!(archive.stats().unwrap().instances, stored_count as u64);
    for n in 0..stored_count as u32 {
        assert_eq!(stored(&archive, "1.1", "1.2", &format!("1.3.{n}")), file(n));
    }
    room.store(1 << 30, Ordering::SeqCst);
    for n in 0..10 {
        archive.ingest_bytes(&file(n)).unwrap();
    }
    assert_eq!(archive.stats().unwrap().instances, 10);
    assert_eq!(archive.stats().unwrap().conflicts, 0);
}
