//! Real images: samples through the server against the reference hashes, levels as ranges of the default body.

use crate::site::Site;
use axum::http::StatusCode;
use htj2k::{Decoder, SamplesMut};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use transcode::Policy;

/// Small images of each kind of transfer syntax.
const SMALL: [&str; 12] = [
    "wg04/CT1/dicom-test-files__CT1_UNC",
    "wg04/CT1/dicom-test-files__CT1_RLE",
    "wg04/CT1/dicom-test-files__CT1_JLSL",
    "wg04/CT1/dicom-test-files__CT1_J2KR",
    "wg04/CT1/dicom-test-files__CT1_JPLL",
    "wg04/CT1/DICOMHTJ2K__CT1_JPH",
    "wg04/VL1/DICOMHTJ2K__VL1_JPH",
    "pydicom/dicom-test-files__MR_small_implicit.dcm",
    "pydicom/dicom-test-files__MR_small_bigendian.dcm",
    "pydicom/dicom-test-files__emri_small.dcm",
    "pydicom/dicom-test-files__emri_small_RLE.dcm",
    "pydicom/dicom-test-files__emri_small_big_endian.dcm",
];
/// A radiograph of 1760 x 2140, uncompressed.
const RADIOGRAPH: &str = "xr/dicom-test-files__RG2_UNC";
const SAMPLES: &str = "application/octet-stream;transfer-syntax=1.2.840.10008.1.2.1";
const OHIF: &str = "multipart/related; type=application/octet-stream; transfer-syntax=*";

/// The hash of the samples of a file, as independent decoders agree on it.
fn reference(open: &Path, name: &str) -> String {
    let text = std::fs::read_to_string(open.join("REFERENCE.tsv")).unwrap();
    let row: Vec<&str> =
        text.lines().map(|line| line.split('\t').collect::<Vec<_>>()).find(|row| row[0] == name).expect(name);
    assert_eq!(row[1], "AGREE", "{name}");
    row[3].to_owned()
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The path of the only instance of a site, and its number of frames.
pub async fn only(site: &Site) -> (String, u64) {
    let row = site.get("/dicom-web/instances?includefield=NumberOfFrames").await.json()[0].clone();
    let path = row["00081190"]["Value"][0].as_str().unwrap().split_once(":8042").unwrap().1.to_owned();
    let frames = &row["00280008"]["Value"][0];
    (path, frames.as_u64().or_else(|| frames.as_str()?.parse().ok()).unwrap_or(1))
}

/// The samples of all frames, decoded by the server.
async fn samples(site: &Site) -> Vec<u8> {
    let (path, frames) = only(site).await;
    let mut all = Vec::new();
    for n in 1..=frames {
        let answer = site.accept(&format!("{path}/frames/{n}"), SAMPLES).await;
        assert_eq!(answer.status, StatusCode::OK, "frame {n}");
        all.extend_from_slice(&answer.body);
    }
    all
}

fn convert(site: &Site) {
    site.archive.convert_pending(&Policy::default(), 1, &AtomicBool::new(false), &|_| ()).unwrap();
}

#[tokio::test]
async fn samples_are_those_of_the_reference() {
    let Some(open) = testkit::corpus("") else { return };
    for name in SMALL {
        let expected = reference(&open, name);
        let site = Site::of(&[std::fs::read(open.join(name)).unwrap()]);
        assert_eq!(hash(&samples(&site).await), expected, "{name}, as received");
        let (path, _) = only(&site).await;
        let before = site.accept(&format!("{path}/frames/1"), OHIF).await;
        convert(&site);
        assert_eq!(hash(&samples(&site).await), expected, "{name}, converted");
        let picture = site.accept(&format!("{path}/rendered"), "image/jpeg").await;
        assert_eq!(picture.status, StatusCode::OK, "{name}");

        let after = site.accept(&format!("{path}/frames/1"), OHIF).await;
        if after.body != before.body {
            assert_ne!(after.header("etag"), before.header("etag"), "{name}");
            let stale = [("accept", OHIF), ("range", "bytes=10-"), ("if-range", before.header("etag"))];
            let whole = site.send("GET", &format!("{path}/frames/1"), &stale).await;
            assert_eq!(
                (whole.status, whole.body),
                (StatusCode::OK, after.body),
                "{name}: never a mixture of two objects"
            );
        }
    }
}

#[tokio::test]
async fn levels_are_ranges_of_the_default_body() {
    let Some(open) = testkit::corpus("") else { return };
    let site = Site::of(&[std::fs::read(open.join(RADIOGRAPH)).unwrap()]);
    convert(&site);
    let (path, _) = only(&site).await;
    let all = site.get(&format!("{path}/levels")).await.json();
    let of = all["instances"].as_object().unwrap().values().next().unwrap().clone();
    assert_eq!(of["transferSyntax"], "1.2.840.10008.1.2.4.202", "the policy makes it progressive");
    let frame = &of["frames"][0];
    let ends: Vec<u64> = frame["ends"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap()).collect();
    assert!(ends.len() >= 6 && ends.is_sorted_by(|a, b| a < b), "{ends:?}");
    assert_eq!(*ends.last().unwrap(), frame["length"].as_u64().unwrap());

    let whole = site.accept(&format!("{path}/frames/1"), OHIF).await;
    let (head, codestream) = whole.part();
    assert_eq!(head, "Content-Type: image/jphc;transfer-syntax=1.2.840.10008.1.2.4.202");
    let offset = of["bodyOffset"].as_u64().unwrap();
    let (columns, rows) = (1760usize, 2140usize);
    for (at, end) in ends.iter().enumerate() {
        let range = format!("bytes=0-{}", offset + end - 1);
        let part = site.send("GET", &format!("{path}/frames/1"), &[("accept", OHIF), ("range", &range)]).await;
        assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
        let prefix = &part.body[offset as usize..];
        assert!(*prefix == codestream[..*end as usize]);
        let level = (ends.len() - 1 - at) as u8;
        let (width, height) = (columns.div_ceil(1 << level), rows.div_ceil(1 << level));
        let decode = |bytes: &[u8]| {
            let mut out = vec![0u16; width * height];
            let decoded = Decoder::new().decode(bytes, level, SamplesMut::U16(&mut out), width).unwrap();
            assert!(decoded.complete, "level {level}");
            out
        };
        assert!(decode(prefix) == decode(&codestream), "level {level} from its prefix");
    }
    assert_eq!(hash(&samples(&site).await), reference(&open, RADIOGRAPH));
    small_pictures(&site, &path).await;
}

/// Pictures from a coarse level look like those from the full image.
async fn small_pictures(site: &Site, path: &str) {
    let metadata: Value = site.get(&format!("{path}/metadata")).await.json();
    assert_eq!(metadata[0]["00280010"]["Value"][0], 2140);
    for (query, width, height) in [("?viewport=128,128", 105, 128), ("?viewport=512,512", 421, 512), ("", 1760, 2140)] {
        let answer = site.accept(&format!("{path}/rendered{query}"), "image/png").await;
        assert_eq!(answer.status, StatusCode::OK, "{query}");
        let reader = png::Decoder::new(std::io::Cursor::new(&answer.body)).read_info().unwrap();
        assert_eq!((reader.info().width, reader.info().height), (width, height), "{query}");
    }
}
