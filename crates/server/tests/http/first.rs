//! The document of a study's first picture: its parts are what searches, metadata and levels say.

use crate::made::{self, CT, EXPLICIT, Made, SERIES, STUDY};
use crate::site::{Answer, Site};
use axum::http::StatusCode;
use dicom_core::VR::{CS, IS};
use serde_json::{Value, json};
use std::io::Read;
use std::sync::atomic::AtomicBool;
use transcode::Policy;

const FIRST: &str = "/dicom-web/studies/1.2.3.4/first";
const SEGMENTATION: &str = "1.2.840.10008.5.1.4.1.1.66.4";
const REPORT: &str = "1.2.840.10008.5.1.4.1.1.88.11";

fn image(sop: &str, class: &str) -> Made {
    let pixels = (0..64 * 48u16).map(|n| n.wrapping_mul(31)).collect::<Vec<_>>();
    Made::new(sop, class, EXPLICIT).grey16(64, 48, &[pixels.clone(), pixels])
}

/// A series of this study, by its number and modality.
fn of(made: Made, series: &str, number: &str, modality: &str) -> Vec<u8> {
    let made = made.elsewhere("Dawn^Aurora", STUDY, series);
    made.with(0x0020_0011, IS, number).with(0x0008_0060, CS, modality).file()
}

/// A report, a segmentation and two series of pictures, stored in no order.
fn study() -> Site {
    Site::of(&[
        of(image("1.3.9", CT), "1.2.3.4.7", "7", "CT"),
        of(image("1.3.12", CT).with(0x0020_0013, IS, "12"), SERIES, "5", "CT"),
        of(Made::new("1.3.1", REPORT, EXPLICIT), "1.2.3.4.1", "1", "SR"),
        of(image("1.3.2", SEGMENTATION), "1.2.3.4.2", "2", "SEG"),
        of(image("1.3.11", CT).with(0x0020_0013, IS, "3"), SERIES, "5", "CT"),
        of(Made::new("1.3.10", REPORT, EXPLICIT).with(0x0020_0013, IS, "1"), SERIES, "5", "CT"),
        Made::new("1.9.9", CT, EXPLICIT).elsewhere("Dusk^Vesper", "1.8.1", "1.8.1.1").file(),
    ])
}

fn uids<'a>(rows: &'a Value, tag: &str) -> Vec<&'a str> {
    rows.as_array().unwrap().iter().map(|row| row[tag]["Value"][0].as_str().unwrap()).collect()
}

async fn parts_are_those_of_the_other_answers(site: &Site, first: &Value) {
    let study = site.get(&format!("/dicom-web/studies?StudyInstanceUID={STUDY}")).await.json();
    assert_eq!(first["study"], study[0]);
    let mut series = site.get(&format!("/dicom-web/studies/{STUDY}/series")).await.json();
    let mut ours = first["series"].clone();
    for rows in [&mut series, &mut ours] {
        rows.as_array_mut().unwrap().sort_by_key(|row| row["0020000E"]["Value"][0].to_string());
    }
    assert_eq!(ours, series);
    let (of, sop) = (first["first"]["series"].as_str().unwrap(), first["first"]["instance"].as_str().unwrap());
    let base = format!("/dicom-web/studies/{STUDY}/series/{of}");
    assert_eq!(first["first"]["metadata"], site.get(&format!("{base}/instances/{sop}/metadata")).await.json()[0]);
    let mut levels = site.get(&format!("{base}/levels")).await.json()["instances"][sop].clone();
    let frame = first["first"]["frame"].as_u64().unwrap() as usize;
    levels["frames"] = json!([levels["frames"][frame - 1]]);
    assert_eq!(first["first"]["levels"], levels);
}

#[tokio::test]
async fn the_first_picture_of_the_first_series_of_pictures() {
    let site = study();
    let answer = site.get(FIRST).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/json"));
    let first = answer.json();
    assert_eq!(uids(&first["series"], "0020000E"), [SERIES, "1.2.3.4.7", "1.2.3.4.1", "1.2.3.4.2"]);
    assert_eq!((&first["first"]["series"], &first["first"]["instance"]), (&json!(SERIES), &json!("1.3.11")));
    assert_eq!(first["first"]["frame"], 1);
    parts_are_those_of_the_other_answers(&site, &first).await;

    let other = site.get(&format!("{FIRST}?series=1.2.3.4.7")).await.json();
    assert_eq!(other["first"]["instance"], "1.3.9");
    assert_eq!(other["series"], first["series"]);
    parts_are_those_of_the_other_answers(&site, &other).await;
}

#[tokio::test]
async fn levels_once_converted_and_another_tag() {
    let site = study();
    let before = site.get(FIRST).await;
    assert_eq!(before.json()["first"]["levels"]["frames"], json!([{"length": 64 * 48 * 2, "ends": []}]));
    let policy = Policy::shipped("htj2k-all").unwrap();
    site.archive.convert_pending(&policy, 1, &AtomicBool::new(false), &|_| ()).unwrap();
    let after = site.send("GET", FIRST, &[("if-none-match", before.header("etag"))]).await;
    assert_eq!(after.status, StatusCode::OK);
    let first = after.json();
    assert!(first["first"]["levels"]["frames"][0]["ends"].as_array().unwrap().len() > 1, "{first}");
    parts_are_those_of_the_other_answers(&site, &first).await;
}

#[tokio::test]
async fn it_is_held_compressed_and_asked_by_head() {
    let site = study();
    let plain = site.get(FIRST).await;
    let small = site.send("GET", FIRST, &[("accept-encoding", "br, gzip")]).await;
    assert_eq!(small.header("content-encoding"), "gzip");
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&small.body[..]).read_to_end(&mut text).unwrap();
    assert!(text == plain.body && small.header("etag") != plain.header("etag"));
    let held = async |tag: &str, coding: &str| {
        site.send("GET", FIRST, &[("if-none-match", tag), ("accept-encoding", coding)]).await
    };
    for (answer, coding) in [(&plain, ""), (&small, "gzip")] {
        let again: Answer = held(answer.header("etag"), coding).await;
        assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
        assert_eq!(answer.header("cache-control"), "private, no-cache");
    }
    assert_eq!(held("\"another\"", "").await.status, StatusCode::OK);
    let head = site.send("HEAD", FIRST, &[]).await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    assert_eq!(head.header("content-length"), plain.body.len().to_string());
    // Addresses in it are those of the name that was asked for.
    let elsewhere = site.send("GET", FIRST, &[("host", "127.0.0.1:9")]).await;
    assert!(elsewhere.text().contains("http://127.0.0.1:9/dicom-web/studies"));
    assert_ne!(elsewhere.header("etag"), plain.header("etag"));
}

#[tokio::test]
async fn a_new_instance_is_told() {
    let site = study();
    let before = site.get(FIRST).await;
    let earlier = image("1.3.8", CT).with(0x0020_0013, IS, "2");
    site.archive.ingest_bytes(&of(earlier, SERIES, "5", "CT")).unwrap();
    let after = site.send("GET", FIRST, &[("if-none-match", before.header("etag"))]).await;
    assert_eq!((after.status, after.json()["first"]["instance"].clone()), (StatusCode::OK, json!("1.3.8")));
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let site = study();
    for (target, status, sentence) in [
        ("/dicom-web/studies/9.9/first", StatusCode::NOT_FOUND, "no such study"),
        ("/dicom-web/studies/1.2.3.4/first?series=9.9", StatusCode::NOT_FOUND, "no such series"),
        // A series of another study is none of this one.
        ("/dicom-web/studies/1.2.3.4/first?series=1.8.1.1", StatusCode::NOT_FOUND, "no such series"),
        ("/dicom-web/studies/1.2.3.4/first?series=x", StatusCode::BAD_REQUEST, "the series in the query is no UID"),
        ("/dicom-web/studies/x/first", StatusCode::BAD_REQUEST, "the study in the path is no UID"),
    ] {
        let answer = site.get(target).await;
        assert_eq!(answer.status, status, "{target}");
        assert!(answer.text().starts_with(&format!("{sentence}\n")), "{target}: {}", answer.text());
    }
    assert_eq!(site.get(&format!("{FIRST}?series=1.2.3.4.1")).await.json()["first"], Value::Null);
    let nothing = site.get("/dicom-web/studies/1.8.1/first").await.json();
    assert_eq!((&nothing["first"], uids(&nothing["series"], "0020000E")), (&Value::Null, vec!["1.8.1.1"]));
}

#[tokio::test]
async fn a_frame_that_is_missing_is_not_the_first() {
    let fragments = [vec![vec![]], vec![[made::JPEG_START, &[1; 60]].concat()]];
    let file = Made::new("1.3.1", made::SECONDARY, made::JPEG_LS).fragments(8, 6, &fragments).file();
    let site = Site::of(&[file]);
    let first = site.get(FIRST).await.json();
    assert_eq!((&first["first"]["frame"], &first["first"]["levels"]["frames"][0]["length"]), (&json!(2), &json!(64)));
}
