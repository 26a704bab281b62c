//! Searches, metadata and levels: JSON as viewers ask for it.

use crate::made::{self, CT, EXPLICIT, Made, SERIES, STUDY};
use crate::site::{Answer, Site};
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::io::Read;

const OHIF_STUDIES: &str =
    "/dicom-web/studies?limit=101&offset=0&fuzzymatching=false&includefield=00081030%2C00080060%2C00080090";

fn three_patients() -> Site {
    let one = |sop: &str| Made::new(sop, CT, EXPLICIT).grey16(2, 2, &[vec![0, 1, 2, 3]]);
    Site::of(&[
        one("1.3.1").file(),
        one("1.3.2").file(),
        one("1.3.3")
            .elsewhere("Dusk^Vesper", "1.8.1", "1.8.1.1")
            .with(0x0008_0020, dicom_core::VR::DA, "20200101")
            .file(),
        one("1.3.4").elsewhere("Noon^Meridian", "1.8.2", "1.8.2.1").file(),
    ])
}

fn values<'a>(answer: &'a Value, tag: &'a str) -> Vec<&'a Value> {
    answer.as_array().unwrap().iter().map(|row| &row[tag]["Value"][0]).collect()
}

async fn studies(site: &Site, query: &str) -> Value {
    let answer = site.get(&format!("/dicom-web/studies?{query}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{query}");
    answer.json()
}

#[tokio::test]
async fn studies_as_the_viewer_asks() {
    let site = three_patients();
    let answer = site.get(OHIF_STUDIES).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/dicom+json"));
    assert_eq!(answer.header("warning"), "");
    let rows = answer.json();
    assert_eq!(rows.as_array().unwrap().len(), 3);
    let row = rows.as_array().unwrap().iter().find(|row| row["0020000D"]["Value"][0] == STUDY).unwrap();
    assert_eq!(row["00100010"], json!({"vr": "PN", "Value": [{"Alphabetic": "Dawn^Aurora"}]}));
    assert_eq!(row["00080020"], json!({"vr": "DA", "Value": ["20261122"]}));
    assert_eq!(
        row["00081190"],
        json!({"vr": "UR", "Value": [format!("http://localhost:8042/dicom-web/studies/{STUDY}")]})
    );
    assert_eq!(row["00081030"]["Value"][0], "Head");
    assert_eq!(row["00201208"]["Value"][0], 2, "instances of the study");
    assert_eq!(row["00080061"]["Value"], json!(["CT"]), "modalities of the study");
}

#[tokio::test]
async fn matching() {
    let site = three_patients();
    let count = async |query: &str| studies(&site, query).await.as_array().unwrap().len();
    assert_eq!(count("PatientName=Dawn*").await, 1);
    assert_eq!(count("00100010=D*").await, 2);
    assert_eq!(count("PatientName=Nobody").await, 0);
    assert_eq!(count("StudyDate=20200101-20201231").await, 1);
    assert_eq!(count("StudyDate=20200102-").await, 2);
    assert_eq!(count(&format!("StudyInstanceUID={STUDY},1.8.2")).await, 2);
    assert_eq!(count(&format!("StudyInstanceUID={STUDY}%5C1.8.1")).await, 2);
    assert_eq!(count("PatientName=%25").await, 0, "not a wildcard of ours");
    assert_eq!(count("PatientName=_awn*").await, 0);
    assert_eq!(count("fuzzymatching=true&PatientName=aur").await, 1);
}

#[tokio::test]
async fn no_match_is_an_empty_list() {
    let site = Site::of(&[]);
    for target in ["/dicom-web/studies", "/dicom-web/series", "/dicom-web/instances", "/dicom-web/studies/1.2/series"] {
        let answer = site.get(target).await;
        assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, "[]"), "{target}");
    }
}

#[tokio::test]
async fn a_cut_answer_says_so() {
    let site = three_patients();
    let first = site.get("/dicom-web/studies?limit=2").await;
    assert_eq!(first.json().as_array().unwrap().len(), 2);
    assert!(first.header("warning").starts_with("299 "), "{}", first.header("warning"));
    let last = site.get("/dicom-web/studies?limit=2&offset=2").await;
    assert_eq!((last.json().as_array().unwrap().len(), last.header("warning")), (1, ""));
    let mut uids: Vec<Value> = [first.json(), last.json()]
        .iter()
        .flat_map(|rows| values(rows, "0020000D").into_iter().cloned().collect::<Vec<_>>())
        .collect();
    uids.sort_by_key(|v| v.to_string());
    assert_eq!(uids, [json!("1.2.3.4"), json!("1.8.1"), json!("1.8.2")]);
    assert!(site.get("/dicom-web/studies?nonsense=1").await.header("warning").contains("nonsense"));
    assert_eq!(site.get("/dicom-web/studies?limit=many").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn series_and_instances() {
    let site = three_patients();
    let series = site.get(&format!("/dicom-web/studies/{STUDY}/series?includefield=00080021")).await.json();
    assert_eq!(values(&series, "0020000E"), [SERIES]);
    assert_eq!(
        series[0]["00081190"]["Value"][0],
        format!("http://localhost:8042/dicom-web/studies/{STUDY}/series/{SERIES}")
    );
    let instances = site.get(&format!("/dicom-web/studies/{STUDY}/series/{SERIES}/instances")).await.json();
    assert_eq!(values(&instances, "00080018"), ["1.3.1", "1.3.2"]);
    assert_eq!(instances[0]["00083002"]["Value"], json!([EXPLICIT]), "available transfer syntax");
    assert_eq!(instances[0]["00081190"]["Value"][0], format!("http://localhost:8042{}", made::path("1.3.1")));
    assert_eq!(site.get("/dicom-web/instances").await.json().as_array().unwrap().len(), 4);
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).unwrap();
    out
}

#[tokio::test]
async fn metadata_is_ready_and_compressed() {
    let site = three_patients();
    let target = format!("/dicom-web/studies/{STUDY}/series/{SERIES}/metadata");
    let plain = site.get(&target).await;
    assert_eq!(
        (plain.status, plain.header("content-type"), plain.header("content-encoding")),
        (StatusCode::OK, "application/dicom+json", "")
    );
    let rows = plain.json();
    assert_eq!(values(&rows, "00080018"), ["1.3.1", "1.3.2"]);
    assert_eq!(rows[0]["7FE00010"]["vr"], "OW");
    let uri = rows[0]["7FE00010"]["BulkDataURI"].as_str().unwrap();
    assert_eq!(uri, format!("{}/frames", made::path("1.3.1")));
    assert_eq!(site.get(uri).await.part().1, [0u8, 0, 1, 0, 2, 0, 3, 0][..], "the URI leads to the pixels");

    let small = site.send("GET", &target, &[("accept-encoding", "gzip, br")]).await;
    assert_eq!((small.header("content-encoding"), gunzip(&small.body)), ("gzip", plain.body.to_vec()));
    let held = async |tag: &str, more: &[(&str, &str)]| {
        let headers = [&[("if-none-match", tag)], more].concat();
        site.send("GET", &target, &headers).await.status
    };
    assert_eq!(held(plain.header("etag"), &[]).await, StatusCode::NOT_MODIFIED);
    assert_eq!(held(small.header("etag"), &[("accept-encoding", "gzip")]).await, StatusCode::NOT_MODIFIED);
    assert_eq!(held("\"old\"", &[]).await, StatusCode::OK);

    let study = site.get(&format!("/dicom-web/studies/{STUDY}/metadata")).await.json();
    let instance = site.get(&format!("{}/metadata", made::path("1.3.2"))).await.json();
    assert_eq!((study.as_array().unwrap().len(), instance.as_array().unwrap().len()), (2, 1));
    for missing in ["/dicom-web/studies/9.9/metadata".to_owned(), format!("{}/metadata", made::path("9.9"))] {
        assert_eq!(site.get(&missing).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn metadata_changes_when_an_instance_comes() {
    let site = three_patients();
    let target = format!("/dicom-web/studies/{STUDY}/series/{SERIES}/metadata");
    let before = site.get(&target).await;
    site.archive.ingest_bytes(&Made::new("1.3.9", CT, EXPLICIT).grey16(2, 2, &[vec![9; 4]]).file()).unwrap();
    let after = site.send("GET", &target, &[("if-none-match", before.header("etag"))]).await;
    assert_eq!(after.status, StatusCode::OK);
    assert_eq!(after.json().as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn bulk_data_by_reference() {
    let document: Vec<u8> = b"%PDF-1.4 ".iter().copied().chain((0..3000).map(|n| (n % 253) as u8)).chain([0]).collect();
    let file = Made::new("1.3.7", "1.2.840.10008.5.1.4.1.1.104.1", EXPLICIT)
        .bytes(0x0042_0011, dicom_core::VR::OB, document.clone())
        .with(0x0042_0012, dicom_core::VR::LO, "application/pdf")
        .file();
    let site = Site::of(&[file]);
    let uri = site.get(&format!("{}/metadata", made::path("1.3.7"))).await.json()[0]["00420011"]["BulkDataURI"]
        .as_str()
        .unwrap()
        .to_owned();
    let multipart = site.accept(&uri, "multipart/related; type=\"application/octet-stream\"").await;
    assert!(multipart.part().1 == document, "{uri}");
    let single = site.accept(&format!("{uri}?accept=application/octet-stream"), "*/*").await;
    assert!(single.body == document);
    assert_eq!(single.header("content-disposition"), "attachment");
    let piece = site.send("GET", &uri, &[("accept", "application/octet-stream"), ("range", "bytes=5-8")]).await;
    assert_eq!((piece.status, &piece.body[..]), (StatusCode::PARTIAL_CONTENT, &document[5..9]));
    for missing in ["00420099", "..%2F..", "zz", "00080018/5/00080018"] {
        let answer = site.get(&format!("{}/bulkdata/{missing}", made::path("1.3.7"))).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{missing}");
    }
}

#[tokio::test]
async fn levels_of_what_has_none() {
    let site = three_patients();
    let target = format!("/dicom-web/studies/{STUDY}/series/{SERIES}/levels");
    let answer: Answer = site.get(&target).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/json"));
    let all = answer.json();
    let one = &all["instances"]["1.3.1"];
    assert_eq!(one["frames"], json!([{"length": 8, "ends": []}]));
    assert_eq!(one["transferSyntax"], EXPLICIT);
    let frame = site.get(&format!("{}/frames/1", made::path("1.3.1"))).await;
    let offset = one["bodyOffset"].as_u64().unwrap() as usize;
    assert_eq!(frame.body[offset..offset + 8], [0, 0, 1, 0, 2, 0, 3, 0]);
    assert_eq!(
        site.send("GET", &target, &[("if-none-match", answer.header("etag"))]).await.status,
        StatusCode::NOT_MODIFIED
    );
    assert_eq!(
        site.get(&format!("{}/levels", made::path("1.3.2"))).await.json()["instances"].as_object().unwrap().len(),
        1
    );
}
