//! Metadata: prepared once, fresh after every change, the same for everyone who asks.

mod common;

use std::io::Read;
use std::thread;

use archive::{Archive, Prepared};
use common::*;
use serde_json::{Map, Value, json};

fn read(prepared: &Prepared) -> Vec<Map<String, Value>> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(&prepared.gzip().unwrap()[..]).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn series(archive: &Archive, uid: &str) -> Prepared {
    archive.series_metadata("1.1", uid, "").unwrap().unwrap()
}

fn sops(prepared: &Prepared) -> Vec<String> {
    read(prepared).iter().map(|i| value(i, "00080018").as_str().unwrap().to_owned()).collect()
}

fn ingest(archive: &Archive, series: &str, number: u32) {
    let mut file = made("1.1", series, &format!("{series}.{number}"));
    file.set(0x0020_0013, "IS", &number.to_string()).set(0x0020_0011, "IS", &series[4..]);
    file.set(0x0010_0010, "PN", "A^B").image(8, 8, number);
    archive.ingest_bytes(&file.file()).unwrap();
}

#[test]
fn a_series_is_an_array_by_instance_number() {
    let (archive, _folder) = archive();
    for number in [3, 1, 2] {
        ingest(&archive, "1.1.2", number);
    }
    let prepared = series(&archive, "1.1.2");
    assert_eq!(sops(&prepared), ["1.1.2.1", "1.1.2.2", "1.1.2.3"]);
    let first = &read(&prepared)[0];
    assert_eq!(value(first, "00100010"), json!({"Alphabetic": "A^B"}));
    assert_eq!(value(first, "00280010"), 8);
    assert_eq!(value(first, "00083002"), "1.2.840.10008.1.2.1");
    assert_eq!(first["7FE00010"]["BulkDataURI"], "studies/1.1/series/1.1.2/instances/1.1.2.1/frames");
    assert!(first["7FE00010"].get("InlineBinary").is_none());
    assert!(!first.keys().any(|tag| tag.starts_with("0002")), "file meta is not of the data set");
}

#[test]
fn other_bulk_data_has_an_address_of_its_own() {
    let (archive, _folder) = archive();
    let mut file = made("1.1", "1.1.2", "1.3");
    file.bytes(0x0009_0010, "LO", b"PRIVATE").bytes(0x0009_1001, "OB", &vec![7; 5000]);
    archive.ingest_bytes(&file.file()).unwrap();
    let instance = &read(&series(&archive, "1.1.2"))[0];
    let uri = instance["00091001"]["BulkDataURI"].as_str().unwrap();
    let path = uri.strip_prefix("studies/1.1/series/1.1.2/instances/1.3/bulkdata/").unwrap();
    let stored = archive.instance("1.1", "1.1.2", "1.3").unwrap().unwrap();
    let bulk = archive.source(&stored).unwrap().bulk(path).unwrap().unwrap();
    assert_eq!(bulk.bytes, vec![7; 5000]);
}

#[test]
fn it_is_the_same_until_something_changes() {
    let (archive, folder) = archive();
    ingest(&archive, "1.1.2", 1);
    let before = series(&archive, "1.1.2");
    let version = archive.version("1.1", Some("1.1.2")).unwrap();
    assert_eq!(series(&archive, "1.1.2").etag, before.etag);
    // A duplicate and a change in another series change nothing.
    ingest(&archive, "1.1.2", 1);
    ingest(&archive, "1.1.3", 1);
    assert_eq!(series(&archive, "1.1.2").gzip().unwrap(), before.gzip().unwrap());
    assert_eq!(archive.version("1.1", Some("1.1.2")).unwrap(), version);
    ingest(&archive, "1.1.2", 2);
    let after = series(&archive, "1.1.2");
    assert_ne!(after.etag, before.etag);
    assert_ne!(archive.version("1.1", Some("1.1.2")).unwrap(), version);
    assert_eq!(sops(&after), ["1.1.2.1", "1.1.2.2"]);
    // It is kept: another archive on the folder hands out the same bytes.
    let other = Archive::open(folder.path(), Default::default()).unwrap();
    assert_eq!(series(&other, "1.1.2").gzip().unwrap(), after.gzip().unwrap());
}

#[test]
fn a_study_is_joined_from_its_series() {
    let (archive, _folder) = archive();
    for (uid, number) in [("1.1.9", 1), ("1.1.2", 2), ("1.1.2", 1), ("1.1.5", 1)] {
        ingest(&archive, uid, number);
    }
    let study = archive.study_metadata("1.1", "").unwrap().unwrap();
    assert_eq!(sops(&study), ["1.1.2.1", "1.1.2.2", "1.1.5.1", "1.1.9.1"]);
    let parts: Vec<_> = ["1.1.2", "1.1.5", "1.1.9"].iter().flat_map(|uid| read(&series(&archive, uid))).collect();
    assert_eq!(read(&study), parts);
    let one = archive.instance_metadata("1.1", "1.1.5", "1.1.5.1", "").unwrap().unwrap();
    assert_eq!(read(&one), read(&series(&archive, "1.1.5")));
}

#[test]
fn it_is_compressed_once_for_the_root_that_is_asked_for() {
    let (archive, folder) = archive();
    ingest(&archive, "1.1.2", 1);
    archive.prepare_metadata().unwrap();
    let of = |archive: &Archive, root: &str| archive.series_metadata("1.1", "1.1.2", root).unwrap().unwrap();
    let address = |prepared: &Prepared| read(prepared)[0]["7FE00010"]["BulkDataURI"].clone();
    let path = "dicom-web/studies/1.1/series/1.1.2/instances/1.1.2.1/frames";
    // Prepared before anybody asked: made ready for who asks first, and kept so.
    assert!(of(&archive, "http://a/dicom-web").is_ready());
    let archive = Archive::open(folder.path(), Default::default()).unwrap();
    let first = of(&archive, "http://a/dicom-web");
    assert!(first.is_ready());
    assert_eq!(address(&first), format!("http://a/{path}"));
    // For another name of the server it is made anew, and nothing that is kept changes.
    let second = of(&archive, "https://b/dicom-web");
    assert!(!second.is_ready() && of(&archive, "http://a/dicom-web").is_ready());
    assert_eq!((address(&second), &second.etag), (format!("https://b/{path}").into(), &first.etag));
    let instance = archive.instance("1.1", "1.1.2", "1.1.2.1").unwrap().unwrap();
    let attributes = archive.attributes(&instance, "https://b/dicom-web").unwrap();
    assert_eq!(attributes["7FE00010"]["BulkDataURI"], format!("https://b/{path}"));
    // What comes later is prepared for who asked last.
    ingest(&archive, "1.1.2", 2);
    drop(of(&archive, "https://b/dicom-web"));
    ingest(&archive, "1.1.2", 3);
    archive.prepare_metadata().unwrap();
    assert!(of(&archive, "https://b/dicom-web").is_ready());
}

#[test]
fn what_is_not_there_is_none() {
    let (archive, _folder) = archive();
    ingest(&archive, "1.1.2", 1);
    assert!(archive.study_metadata("9", "").unwrap().is_none());
    assert!(archive.series_metadata("1.1", "9", "").unwrap().is_none());
    assert!(archive.series_metadata("9", "1.1.2", "").unwrap().is_none());
    assert!(archive.instance_metadata("1.1", "1.1.2", "9", "").unwrap().is_none());
    assert!(archive.instance("1.1", "9", "1.1.2.1").unwrap().is_none());
    assert_eq!(archive.version("9", None).unwrap(), None);
}

#[test]
fn a_damaged_object_does_not_hide_its_series() {
    let (archive, folder) = archive();
    ingest(&archive, "1.1.2", 1);
    ingest(&archive, "1.1.2", 2);
    let id = archive.instance("1.1", "1.1.2", "1.1.2.2").unwrap().unwrap().object_id.clone();
    std::fs::write(folder.path().join("objects").join(&id[..2]).join(&id[2..]), b"damaged").unwrap();
    let shown = read(&series(&archive, "1.1.2"));
    assert_eq!(shown.len(), 2);
    assert_eq!(value(&shown[1], "00080018"), "1.1.2.2");
    assert_eq!(value(&shown[1], "00280010"), 8);
}

#[test]
fn many_who_ask_at_once_get_the_same() {
    let (archive, _folder) = archive();
    for number in 1..40 {
        ingest(&archive, "1.1.2", number);
    }
    let etags: Vec<_> = thread::scope(|scope| {
        let asking: Vec<_> = (0..8).map(|_| scope.spawn(|| series(&archive, "1.1.2").etag)).collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(etags.iter().all(|etag| *etag == etags[0]));
}

#[test]
fn the_real_series_are_whole() {
    for folder in ["dicomdir", "ct", "mr"] {
        let Some(folder) = corpus(folder) else { continue };
        let (archive, _data) = archive();
        let mut expected = std::collections::BTreeMap::<(String, String), usize>::new();
        for path in files(&folder) {
            if let Ok(archive::Ingested::Stored(key)) = archive.ingest(&path) {
                *expected.entry((key.study, key.series)).or_default() += 1;
            }
        }
        archive.prepare_metadata().unwrap();
        for ((study, series), count) in &expected {
            let shown = read(&archive.series_metadata(study, series, "").unwrap().unwrap());
            assert_eq!(shown.len(), *count);
            for instance in &shown {
                assert_eq!(value(instance, "0020000E"), series.as_str());
                assert!(instance.len() > 5, "{instance:?}");
            }
        }
        eprintln!("{}: {} series", folder.display(), expected.len());
    }
}
