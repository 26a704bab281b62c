//! Searches, metadata and levels: JSON as viewers ask for it.

use crate::made::{self, CT, EXPLICIT, Made, SERIES, STUDY};
use crate::site::{Answer, Site};
use axum::http::StatusCode;
use dicom_core::VR;
use serde_json::{Value, json};
use std::io::Read;

const OHIF_STUDIES: &str =
    "/dicom-web/studies?limit=101&offset=0&fuzzymatching=false&includefield=00081030%2C00080060%2C00080090";

fn three_patients() -> Site {
    let one = |sop: &str| Made::new(sop, CT, EXPLICIT).grey16(2, 2, &[vec![0, 1, 2, 3]]);
    Site::of(&[
        one("1.3.1").file(),
        one("1.3.2").file(),
        one("1.3.3").elsewhere("Dusk^Vesper", "1.8.1", "1.8.1.1").with(0x0008_0020, VR::DA, "20200101").file(),
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

/// Blanks, delimiters alone and empty groups are no values: nobody gets a null where a name should be.
#[tokio::test]
async fn blanks_are_no_values() {
    use dicom_core::VR::{CS, LO, PN, SH};
    for name in ["  ", "^^^^", "==", "= =", ""] {
        let made = Made::new("1.3.1", CT, EXPLICIT).grey16(2, 2, &[vec![0, 1, 2, 3]]);
        let blank = [(0x0008_0090, PN), (0x0010_0020, LO), (0x0010_0040, CS), (0x0020_0010, SH), (0x0008_1030, LO)];
        let made = blank.into_iter().fold(made, |made, (tag, vr)| made.with(tag, vr, " "));
        let site = Site::of(&[made.with(0x0010_0010, PN, name).file()]);
        for path in ["studies", "series", "instances"] {
            let found = site.get(&format!("/dicom-web/{path}?includefield=all")).await.json();
            for (tag, element) in found[0].as_object().unwrap() {
                let values = element["Value"].as_array().cloned().unwrap_or_default();
                assert!(
                    !values.iter().any(|value| value.is_null() || value == &json!({})),
                    "{name:?} {path} {tag} {element}"
                );
            }
        }
        let metadata = site.get(&format!("{}/metadata", made::path("1.3.1"))).await.json();
        assert!(
            metadata[0]["00100010"]["Value"].is_null() || metadata[0]["00100010"]["Value"][0]["Alphabetic"].is_string()
        );
    }
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
    assert_eq!(uri, format!("http://localhost:8042{}/frames", made::path("1.3.1")));
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
async fn addresses_are_absolute_and_those_of_the_request() {
    let files = [Made::new("1.3.1", CT, EXPLICIT).grey16(2, 2, &[vec![0; 4]]).file()];
    let of = async |site: &Site, target: &str, host: &str| {
        let headers = if host.is_empty() { vec![] } else { vec![("host", host)] };
        let metadata = site.send("GET", &format!("{target}{}/metadata", made::path("1.3.1")), &headers).await;
        let found = site.send("GET", &format!("{target}/dicom-web/instances"), &headers).await;
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let bulk = text(&metadata.json()[0]["7FE00010"]["BulkDataURI"]);
        let retrieve = text(&found.json()[0]["00081190"]["Value"][0]);
        assert_eq!(format!("{retrieve}/frames"), bulk);
        (bulk, metadata.header("etag").to_owned())
    };
    let path = format!("{}/frames", made::path("1.3.1"));
    let site = Site::of(&files);
    let (plain, tag) = of(&site, "", "localhost:8042").await;
    assert_eq!(plain, format!("http://localhost:8042{path}"));
    let (other, other_tag) = of(&site, "", "127.0.0.1:9").await;
    assert_eq!(other, format!("http://127.0.0.1:9{path}"));
    assert_ne!(tag, other_tag, "other bytes, another tag");
    // HTTP/2 has scheme and authority in the target.
    assert_eq!(of(&site, "https://localhost:1", "127.0.0.1:9").await.0, format!("https://localhost:1{path}"));
    let site = Site::with(&files, |config| config.public_url = Some("https://pacs.example.org/images/".into()));
    assert_eq!(of(&site, "", "localhost:8042").await.0, format!("https://pacs.example.org/images{path}"));
}

#[tokio::test]
async fn documents_have_their_own_type_and_length() {
    let document = |sop: &str, class: &str, mime: &str, bytes: &[u8]| {
        let mut padded = bytes.to_vec();
        padded.resize(bytes.len().next_multiple_of(2), 0);
        Made::new(sop, class, EXPLICIT)
            .bytes(0x0042_0011, dicom_core::VR::OB, padded)
            .with(0x0042_0012, dicom_core::VR::LO, mime)
            .bytes(0x0042_0015, dicom_core::VR::UL, (bytes.len() as u32).to_le_bytes().to_vec())
            .file()
    };
    let pdf = [b"%PDF-1.4\n".as_slice(), &[b'x'; 1900], b"%%EOF\n"].concat();
    let cda = b"<ClinicalDocument/>";
    let script = b"alert(1);";
    let site = Site::of(&[
        document("1.3.1", "1.2.840.10008.5.1.4.1.1.104.1", "application/pdf", &pdf),
        document("1.3.2", "1.2.840.10008.5.1.4.1.1.104.2", "text/XML", cda),
        document("1.3.3", "1.2.840.10008.5.1.4.1.1.104.1", "text/javascript", script),
    ]);
    let path = |sop| format!("{}/bulkdata/00420011", made::path(sop));
    for (sop, accept, media, bytes, inline) in [
        ("1.3.1", "application/pdf", "application/pdf", &pdf[..], true),
        ("1.3.1", "text/html,application/xhtml+xml,*/*;q=0.8", "application/pdf", &pdf, true),
        ("1.3.1", "application/octet-stream", "application/octet-stream", &pdf, false),
        ("1.3.2", "text/xml", "text/xml", cda, false),
        ("1.3.2", "text/*", "text/xml", cda, false),
        ("1.3.3", "text/javascript", "application/octet-stream", script, false),
    ] {
        let answer = site.accept(&path(sop), accept).await;
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, media), "{sop} {accept}");
        assert!(answer.body == bytes, "{sop} {accept}: {} bytes", answer.body.len());
        assert_eq!(answer.header("content-disposition"), if inline { "" } else { "attachment" }, "{sop} {accept}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    let (head, body) = site.accept(&path("1.3.1"), "*/*").await.part();
    assert_eq!((&*head, &body[..]), ("Content-Type: application/pdf", &pdf[..]));
}

#[tokio::test]
async fn what_is_listed_can_be_fetched() {
    for (sop, listed) in [("1.3.4.", "1.3.4."), ("1.03.004", "1.03.004"), (&*"1".repeat(100), &*"1".repeat(100))] {
        let site = Site::of(&[Made::new(sop, CT, EXPLICIT).grey16(2, 2, &[vec![0; 4]]).file()]);
        let found = site.get("/dicom-web/instances").await.json();
        assert_eq!(found[0]["00080018"]["Value"][0], listed);
        let address = found[0]["00081190"]["Value"][0].as_str().unwrap().to_owned();
        for end in ["", "/metadata", "/frames/1", "/bulkdata/7FE00010", "/rendered"] {
            assert_eq!(site.get(&format!("{address}{end}")).await.status, StatusCode::OK, "{sop}{end}");
        }
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

#[tokio::test]
async fn pages_are_bounded_and_say_so() {
    let site = Site::of(&[]);
    let folder = tempfile::TempDir::new().unwrap();
    let files: Vec<_> = (0..1003)
        .map(|n| {
            let path = folder.path().join(n.to_string());
            std::fs::write(&path, Made::new(&format!("1.4.{n}"), CT, EXPLICIT).file()).unwrap();
            path
        })
        .collect();
    let stop = std::sync::atomic::AtomicBool::new(false);
    site.archive.ingest_all(files.into_iter(), 2, &stop, &mut |_, result| drop(result.unwrap()));
    for target in ["/dicom-web/instances".to_owned(), format!("/dicom-web/studies/{STUDY}/series/{SERIES}/instances")] {
        for (query, rows, is_cut) in [
            ("", 200, true),
            ("?limit=5", 5, true),
            ("?limit=1000", 1000, true),
            ("?limit=100000", 1000, true),
            ("?limit=100000&includefield=all", 1000, true),
            ("?offset=1000", 3, false),
            ("?limit=1000&offset=3", 1000, false),
        ] {
            let answer = site.get(&format!("{target}{query}")).await;
            assert_eq!(answer.json().as_array().unwrap().len(), rows, "{target}{query}");
            assert_eq!(answer.header("warning").starts_with("299 "), is_cut, "{target}{query}");
        }
    }
}

#[tokio::test]
async fn a_search_that_takes_too_long_is_told() {
    let files: Vec<_> = (0..300).map(|n| Made::new(&format!("1.5.{n}"), CT, EXPLICIT).file()).collect();
    let site = Site::with(&files, |config| config.search_time = std::time::Duration::from_nanos(1));
    let answer = site.get("/dicom-web/instances?limit=1000&PatientName=*a*n*").await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    assert!(
        answer.text().starts_with("the search took too long") || answer.text().starts_with("busy"),
        "{}",
        answer.text()
    );
    // Frames are not searches.
    assert_eq!(site.get(&format!("{}/metadata", made::path("1.5.1"))).await.status, StatusCode::OK);
}

#[tokio::test]
async fn every_answer_has_the_id_of_its_request() {
    let site = three_patients();
    let mut ids = std::collections::HashSet::new();
    for (target, has_text) in [
        ("/dicom-web/studies", false),
        ("/healthz", false),
        ("/dicom-web/studies?limit=many", true),
        ("/dicom-web/studies/9.9/metadata", true),
        ("/dicom-web/studies/no-uid/metadata", true),
        ("/dicom-web/studies/1/series/2/instances/3/frames/1", false),
    ] {
        let answer = site.get(target).await;
        let id = answer.header("x-request-id").to_owned();
        assert!(id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{target} {id:?}");
        assert_eq!(answer.text().ends_with(&format!("\nrequest {id}\n")), has_text, "{target} {}", answer.text());
        assert!(ids.insert(id), "{target}");
    }
    let refused = site.send("GET", "/healthz", &[("host", "evil.example")]).await;
    assert!(refused.text().contains(refused.header("x-request-id")) && refused.status == StatusCode::FORBIDDEN);
    // A client's own would say what it likes.
    let answer = site.send("GET", "/healthz", &[("x-request-id", "Doe^Jane")]).await;
    assert_ne!(answer.header("x-request-id"), "Doe^Jane");
}

#[tokio::test]
async fn a_study_without_modality_hides_no_other() {
    let bare = Made::new("1.6.1", CT, EXPLICIT).with(0x0008_0060, dicom_core::VR::CS, "");
    let site =
        Site::of(&[bare.elsewhere("No^Modality", "1.8.3", "1.8.3.1").file(), Made::new("1.6.2", CT, EXPLICIT).file()]);
    let rows = site.get(OHIF_STUDIES).await.json();
    assert_eq!(rows.as_array().unwrap().len(), 2);
    for row in rows.as_array().unwrap() {
        // As OHIF reads it: the attribute, and then its values unasked.
        let modalities = row.get("00080061").map(|attribute| attribute["Value"].as_array().expect("values").len());
        assert_eq!(modalities, (row["0020000D"]["Value"][0] == STUDY).then_some(1));
        assert!(row.get("00100030").is_some() && row.get("00080050").is_some());
    }
}

#[tokio::test]
async fn what_images_say_is_searched() {
    let files = [("1.5.1", 8, "20200102", "GE MEDICAL"), ("1.5.2", 16, "20210304", "Siemens")].map(
        |(sop, rows, date, maker)| {
            let made = Made::new(sop, CT, EXPLICIT).elsewhere("Dawn^Aurora", made::STUDY, &format!("1.2.{sop}"));
            let made = made.with(0x0008_0023, VR::DA, date).with(0x0008_0070, VR::LO, maker);
            made.grey16(8, rows, &[vec![1; 8 * usize::from(rows)]]).file()
        },
    );
    let site = Site::of(&files);
    let count = async |query: &str| {
        let answer = site.get(&format!("/dicom-web/{query}")).await;
        assert!(!answer.header("warning").contains("ignored"), "{query}: {}", answer.header("warning"));
        answer.json().as_array().unwrap().len()
    };
    for (query, found) in [
        ("series?Manufacturer=*GE*", 1),
        ("series?00080070=Siemens", 1),
        ("instances?Manufacturer=S*", 1),
        ("instances?Rows=16", 1),
        ("instances?Columns=8", 2),
        ("instances?Rows=8&Columns=8", 1),
        ("instances?ContentDate=20210101-", 1),
        ("instances?ContentDate=20200102-20210304", 2),
        ("instances?AvailableTransferSyntaxUID=1.2.840.10008.1.2.1", 2),
        ("instances?AvailableTransferSyntaxUID=1.2.840.10008.1.2.4.80", 0),
    ] {
        assert_eq!(count(query).await, found, "{query}");
    }
    let row = &site.get("/dicom-web/instances?includefield=AvailableTransferSyntaxUID&limit=1").await.json()[0];
    assert_eq!(row["00083002"]["Value"][0], "1.2.840.10008.1.2.1");
}

#[tokio::test]
async fn metadata_of_an_instance_says_since_when() {
    let site = Site::of(&[Made::new("1.5.1", CT, EXPLICIT).file()]);
    let target = format!("{}/metadata", made::path("1.5.1"));
    let first = site.get(&target).await;
    let date = first.header("last-modified");
    assert!(date.ends_with(" GMT"), "{date:?}");
    let again = site.send("GET", &target, &[("if-modified-since", date)]).await;
    assert_eq!((again.status, again.header("etag")), (StatusCode::NOT_MODIFIED, first.header("etag")));
    let before = site.send("GET", &target, &[("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")]).await;
    assert_eq!(before.status, StatusCode::OK);
    // The tag decides where both are told.
    let other = site.send("GET", &target, &[("if-modified-since", date), ("if-none-match", "\"x\"")]).await;
    assert_eq!(other.status, StatusCode::OK);
}
