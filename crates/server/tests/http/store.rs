//! Storing: whatever way instances come in, each is told what became of it, and what is acknowledged is there, byte for byte.

use crate::made::{self, CT, EXPLICIT, Made, SERIES, STUDY};
use crate::site::{Answer, Site};
use crate::sockets::{Client, start};
use axum::body::Body;
use axum::http::StatusCode;
use dicom_core::Tag;
use dicom_object::{FileDicomObject, InMemDicomObject};
use futures_util::stream;
use serde_json::{Value, json};
use std::io;

const STUDIES: &str = "/dicom-web/studies";
const MULTIPART: &str = "multipart/related; type=\"application/dicom\"; boundary=bound";

fn instance(sop: &str, shade: u16) -> Vec<u8> {
    let mut file = Made::new(sop, CT, EXPLICIT).grey16(8, 8, &[vec![shade; 64]]).file();
    // What goes out has a preamble of zeros.
    file[..128].fill(0);
    file
}

/// Parts with these media types and contents.
fn body(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (media, content) in parts {
        body.extend(format!("--bound\r\nContent-Type: {media}\r\n\r\n").bytes());
        body.extend(*content);
        body.extend(b"\r\n");
    }
    body.extend(b"--bound--\r\n");
    body
}

fn instances(files: &[&Vec<u8>]) -> Vec<u8> {
    body(&files.iter().map(|file| ("application/dicom", file.as_slice())).collect::<Vec<_>>())
}

async fn store(site: &Site, target: &str, body: Vec<u8>) -> Answer {
    site.post(target, &[("content-type", MULTIPART)], Body::from(body)).await
}

/// The values of an attribute in the items of a sequence.
fn of(answer: &Value, sequence: &str, tag: &str) -> Vec<Value> {
    let items = answer[sequence]["Value"].as_array().cloned().unwrap_or_default();
    items.iter().map(|item| item[tag]["Value"][0].clone()).collect()
}

/// UIDs of what is stored; UIDs and reasons of what failed; reasons of what could not be named.
fn told(answer: &Answer) -> (Vec<Value>, Vec<(Value, Value)>, Vec<Value>) {
    let json = answer.json();
    let failed = of(&json, "00081198", "00081155").into_iter().zip(of(&json, "00081198", "00081197")).collect();
    (of(&json, "00081199", "00081155"), failed, of(&json, "0008119A", "00081197"))
}

async fn comes_back(site: &Site, sop: &str, file: &[u8]) {
    let answer = site.accept(&made::path(sop), "application/dicom; transfer-syntax=*").await;
    assert!(answer.status == StatusCode::OK && answer.body == file, "{sop}");
}

#[tokio::test]
async fn many_in_one_request_come_back_as_they_came() {
    let site = Site::of(&[]);
    let files: Vec<_> = (1..=150).map(|n| instance(&format!("1.7.{n}"), n)).collect();
    let answer = store(&site, STUDIES, instances(&files.iter().collect::<Vec<_>>())).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/dicom+json"));
    let json = answer.json();
    assert_eq!(json["00081190"]["Value"][0], format!("http://localhost:8042/dicom-web/studies/{STUDY}"));
    assert_eq!(of(&json, "00081199", "00081150"), vec![CT; 150]);
    let urls = of(&json, "00081199", "00081190");
    assert_eq!(urls[149], format!("http://localhost:8042{}", made::path("1.7.150")));
    assert!(json.get("00081198").is_none() && json.get("0008119A").is_none());
    for (n, file) in files.iter().enumerate() {
        comes_back(&site, &format!("1.7.{}", n + 1), file).await;
    }
    let found = site.get(&format!("{STUDIES}/{STUDY}/series/{SERIES}/instances?limit=1000")).await.json();
    assert_eq!(found.as_array().map(Vec::len), Some(150));
    let metrics = site.get("/metrics").await.text();
    for line in ["firstlight_store_instances_total{outcome=\"stored\"} 150", "{route=\"store\",status=\"200\"} 1"] {
        assert!(metrics.contains(line), "{line}");
    }
}

#[tokio::test]
async fn the_same_again_is_stored_and_other_bytes_lose_neither() {
    let (first, other, new) = (instance("1.7.1", 1), instance("1.7.1", 2), instance("1.7.2", 3));
    let site = Site::of(&[]);
    for _ in 0..2 {
        let answer = store(&site, STUDIES, instances(&[&first, &first])).await;
        assert_eq!((answer.status, told(&answer).0.len()), (StatusCode::OK, 2));
    }
    let answer = store(&site, STUDIES, instances(&[&other])).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert_eq!(told(&answer), (vec![], vec![("1.7.1".into(), 0x0111.into())], vec![]));
    assert_eq!(
        answer.json()["00081198"]["Value"][0]["00000902"]["Value"][0],
        "other bytes have these UIDs and are served; both are kept"
    );
    let answer = store(&site, STUDIES, instances(&[&other, &new])).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(told(&answer), (vec!["1.7.2".into()], vec![("1.7.1".into(), 0x0111.into())], vec![]));
    comes_back(&site, "1.7.1", &first).await;
    let beside = site.archive.conflicts().unwrap();
    assert_eq!((beside.len(), beside[0].size), (1, other.len() as u64));
}

#[tokio::test]
async fn each_that_is_refused_has_its_reason() {
    let site = Site::of(&[]);
    let (mine, foreign) =
        (instance("1.7.1", 1), Made::new("1.7.2", CT, EXPLICIT).elsewhere("X^Y", "1.9", "1.9.1").file());
    let no_uid = Made::new("1.7.3", CT, EXPLICIT).with(0x0020_000D, dicom_core::VR::UI, "").file();
    let sent = body(&[
        ("application/dicom; transfer-syntax=1.2.840.10008.1.2.1", &mine),
        ("application/dicom", &foreign),
        ("application/dicom", &no_uid),
        ("application/dicom", b"this is no data set at all"),
        ("image/jpeg", b"\xFF\xD8\xFF\xD9"),
        ("application/dicom", b""),
    ]);
    let answer = store(&site, &format!("{STUDIES}/{STUDY}"), sent).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let other = [0xA900, 0xC000, 0xC122, 0xC000].map(Value::from).to_vec();
    assert_eq!(told(&answer), (vec!["1.7.1".into()], vec![("1.7.2".into(), 0xA901.into())], other));
    assert_eq!(site.archive.stats().unwrap().instances, 1);
    let answer = store(&site, &format!("{STUDIES}/{STUDY}"), instances(&[&foreign])).await;
    assert_eq!((answer.status, site.archive.stats().unwrap().instances), (StatusCode::CONFLICT, 1));
    let answer = store(&site, STUDIES, instances(&[&foreign, &mine])).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.json().get("00081190").is_none(), "two studies have no URL together");
}

#[tokio::test]
async fn one_instance_is_a_body_too() {
    let site = Site::of(&[]);
    let file = instance("1.7.1", 1);
    let pieces: Vec<_> = file.chunks(100).map(|piece| Ok::<_, io::Error>(piece.to_vec())).collect();
    let answer =
        site.post(STUDIES, &[("content-type", "application/dicom")], Body::from_stream(stream::iter(pieces))).await;
    assert_eq!((answer.status, told(&answer).0), (StatusCode::OK, vec!["1.7.1".into()]));
    comes_back(&site, "1.7.1", &file).await;
}

#[tokio::test]
async fn what_the_request_itself_has_wrong() {
    let site = Site::of(&[]);
    let file = instance("1.7.1", 1);
    let whole = instances(&[&file]);
    let send = async |headers: &[(&str, &str)], body: &[u8]| {
        let answer = site.post(STUDIES, headers, Body::from(body.to_vec())).await;
        (answer.status.as_u16(), site.archive.stats().unwrap().instances)
    };
    let kind = |value| [("content-type", value)];
    assert_eq!(send(&[], &whole).await, (415, 0));
    for other in
        ["text/plain", "multipart/form-data; boundary=bound", "multipart/related; type=\"image/jpeg\"; boundary=bound"]
    {
        assert_eq!(send(&kind(other), &whole).await, (415, 0), "{other}");
    }
    assert_eq!(send(&[("content-type", MULTIPART), ("accept", "text/html")], &whole).await, (406, 0));
    for bad in [
        "multipart/related; type=\"application/dicom\"",
        "multipart/related; boundary=other",
        "multipart/related; boundary=\"\"",
    ] {
        assert_eq!(send(&kind(bad), &whole).await, (400, 0), "{bad}");
    }
    assert_eq!(send(&kind(MULTIPART), b"").await, (400, 0));
    assert_eq!(send(&kind(MULTIPART), b"--bound--\r\n").await, (400, 0));
    assert_eq!(send(&kind("application/dicom"), b"").await, (400, 0));
    assert_eq!(send(&kind(MULTIPART), &whole[..whole.len() - 20]).await, (400, 0), "a part that is cut");
    let length = u64::MAX.to_string();
    assert_eq!(send(&[("content-type", MULTIPART), ("content-length", &length)], &whole).await, (413, 0));
    assert_eq!(site.post(&format!("{STUDIES}/no-uid"), &kind(MULTIPART), Body::from(whole.clone())).await.status, 400);
    assert_eq!(send(&kind("multipart/related; boundary=\"bound\""), &whole).await, (200, 1), "a type is not missed");
    let two = instances(&[&file, &instance("1.7.2", 2)]);
    let answer = store(&site, STUDIES, two[..two.len() - 20].to_vec()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "what came whole is stored, and that the rest is cut is told");
    assert_eq!(told(&answer), (vec!["1.7.1".into()], vec![], vec![0xC000.into()]));
}

#[tokio::test]
async fn the_answer_in_xml() {
    let site = Site::of(&[]);
    let headers = [("content-type", MULTIPART), ("accept", "application/dicom+xml")];
    let sent = body(&[("application/dicom", &instance("1.7.1", 1)), ("application/dicom", b"nothing of ours")]);
    let answer = site.post(STUDIES, &headers, Body::from(sent)).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::ACCEPTED, "application/dicom+xml"));
    let text = answer.text();
    for part in [
        "<NativeDicomModel xmlns=\"http://dicom.nema.org/PS3.19/models/NativeDICOM\" xml:space=\"preserve\">",
        "<DicomAttribute tag=\"00081199\" vr=\"SQ\" keyword=\"ReferencedSOPSequence\"><Item number=\"1\">",
        "<DicomAttribute tag=\"00081155\" vr=\"UI\" keyword=\"ReferencedSOPInstanceUID\"><Value number=\"1\">1.7.1</Value>",
        "<DicomAttribute tag=\"00081197\" vr=\"US\" keyword=\"FailureReason\"><Value number=\"1\">49152</Value>",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[tokio::test]
async fn who_only_reads_says_so() {
    let site = Site::with(&[], |config| config.store = false);
    let answer = store(&site, STUDIES, instances(&[&instance("1.7.1", 1)])).await;
    assert_eq!((answer.status, answer.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD, OPTIONS"));
    assert_eq!(site.archive.stats().unwrap().instances, 0);
    assert_eq!(site.send("OPTIONS", STUDIES, &[]).await.header("allow"), "GET, HEAD, OPTIONS");
    let site = Site::of(&[]);
    let study = "/dicom-web/studies/1.2.3";
    for (target, allowed) in [(STUDIES, "GET, HEAD, OPTIONS, POST"), (study, "DELETE, GET, HEAD, OPTIONS, POST")] {
        let answer = site.send("OPTIONS", target, &[]).await;
        assert_eq!((answer.status, answer.header("allow")), (StatusCode::OK, allowed));
    }
    let headers = [("content-type", MULTIPART), ("origin", "https://evil.example")];
    let answer = site.post(STUDIES, &headers, Body::from(instances(&[&instance("1.7.1", 1)]))).await;
    assert_eq!((answer.status, site.archive.stats().unwrap().instances), (StatusCode::FORBIDDEN, 0));
}

#[tokio::test]
async fn many_writers_lose_nothing_and_double_nothing() {
    for writers in [4, 64] {
        let site = std::sync::Arc::new(Site::of(&[]));
        let common = instance("1.7.1000", 7);
        let tasks: Vec<_> = (0..writers)
            .map(|n| {
                let (site, common) = (site.clone(), common.clone());
                tokio::spawn(async move {
                    let own = instance(&format!("1.7.{n}"), n);
                    let answer = store(&site, STUDIES, instances(&[&common, &own, &common])).await;
                    assert_eq!((answer.status, told(&answer).0.len()), (StatusCode::OK, 3));
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let stats = site.archive.stats().unwrap();
        assert_eq!((stats.instances, stats.conflicts, stats.studies), (u64::from(writers) + 1, 0, 1));
        for n in 0..writers {
            comes_back(&site, &format!("1.7.{n}"), &instance(&format!("1.7.{n}"), n)).await;
        }
        comes_back(&site, "1.7.1000", &common).await;
    }
}

#[tokio::test]
async fn a_client_that_goes_leaves_nothing_half() {
    let running = start(&[]).await;
    let whole = instances(&[&instance("1.7.1", 1), &instance("1.7.2", 2)]);
    for cut in [0, 10, 200, whole.len() / 2 - 10, whole.len() / 2 + 200, whole.len() - 20] {
        let mut client = Client::connect(running.address).await;
        client
            .send(&format!(
                "POST {STUDIES} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {MULTIPART}\r\nContent-Length: {}\r\n\r\n",
                whole.len()
            ))
            .await;
        client.send_bytes(&whole[..cut]).await;
    }
    let mut client = Client::connect(running.address).await;
    client.send(&format!("POST {STUDIES} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {MULTIPART}\r\nTransfer-Encoding: chunked\r\n\r\n")).await;
    for piece in whole.chunks(97) {
        client.send(&format!("{:x}\r\n", piece.len())).await;
        client.send_bytes(piece).await;
        client.send("\r\n").await;
    }
    client.send("0\r\n\r\n").await;
    assert_eq!(client.answer().await.0, 200);
    for (sop, shade) in [("1.7.1", 1), ("1.7.2", 2)] {
        let target = format!("{}?accept=application/dicom;transfer-syntax=*", made::path(sop));
        let (status, _, body) = client.get(&target, "").await;
        assert!(status == 200 && body == instance(sop, shade), "{sop}");
    }
}

/// Metadata of an 8-bit image of 8 x 8 pixels, `frames` of them, whose pixels are bulk data.
fn metadata(sop: &str, frames: usize) -> Value {
    let one = |vr: &str, value: Value| json!({"vr": vr, "Value": [value]});
    json!({
        "00080016": one("UI", CT.into()), "00080018": one("UI", sop.into()),
        "0020000D": one("UI", STUDY.into()), "0020000E": one("UI", SERIES.into()),
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Müller^Ödön"}]},
        "00280002": one("US", 1.into()), "00280004": one("CS", "MONOCHROME2".into()),
        "00280008": one("IS", frames.into()), "00280010": one("US", 8.into()), "00280011": one("US", 8.into()),
        "00280100": one("US", 8.into()), "00280101": one("US", 8.into()), "00280102": one("US", 7.into()),
        "00280103": one("US", 0.into()), "7FE00010": {"vr": "OB", "BulkDataURI": format!("bulk/{sop}")},
    })
}

/// A body of metadata and bulk data.
fn described(kind: &str, metadata: &[u8], bulk: &[(&str, &str, &[u8])]) -> (String, Vec<u8>) {
    let mut body = format!("--bound\r\nContent-Type: {kind}\r\n\r\n").into_bytes();
    body.extend(metadata);
    for (media, location, content) in bulk {
        body.extend(format!("\r\n--bound\r\nContent-Type: {media}\r\nContent-Location: {location}\r\n\r\n").bytes());
        body.extend(*content);
    }
    body.extend(b"\r\n--bound--\r\n");
    (format!("multipart/related; type=\"{kind}\"; boundary=bound"), body)
}

async fn store_described(site: &Site, kind: &str, metadata: &[u8], bulk: &[(&str, &str, &[u8])]) -> Answer {
    let (content_type, body) = described(kind, metadata, bulk);
    site.post(STUDIES, &[("content-type", &content_type)], Body::from(body)).await
}

async fn read_back(site: &Site, sop: &str) -> FileDicomObject<InMemDicomObject> {
    let answer = site.accept(&made::path(sop), "application/dicom; transfer-syntax=*").await;
    assert_eq!(answer.status, StatusCode::OK, "{sop}");
    dicom_object::from_reader(&answer.body[128..]).unwrap()
}

#[tokio::test]
async fn metadata_and_bulk_data_become_instances() {
    let site = Site::of(&[]);
    let pixels: Vec<u8> = (0..64).collect();
    let stream = [made::JPEG_START, &[1; 87]].concat();
    let sets = json!([metadata("1.8.1", 1), metadata("1.8.2", 2)]).to_string();
    let bulk = [
        ("image/jls; transfer-syntax=1.2.840.10008.1.2.4.80", "bulk/1.8.2", stream.as_slice()),
        ("application/octet-stream", "bulk/1.8.1", &pixels),
        ("image/jls", "bulk/1.8.2", &stream),
    ];
    let answer = store_described(&site, "application/dicom+json", sets.as_bytes(), &bulk).await;
    assert_eq!((answer.status, told(&answer).0), (StatusCode::OK, vec!["1.8.1".into(), "1.8.2".into()]));
    let native = read_back(&site, "1.8.1").await;
    assert_eq!(native.meta().transfer_syntax.trim_end_matches('\0'), EXPLICIT);
    assert_eq!(native.element(Tag(0x0010, 0x0010)).unwrap().to_str().unwrap(), "Müller^Ödön");
    assert_eq!(native.element(Tag(0x7FE0, 0x0010)).unwrap().to_bytes().unwrap()[..], pixels);
    let coded = read_back(&site, "1.8.2").await;
    assert_eq!(coded.meta().transfer_syntax.trim_end_matches('\0'), made::JPEG_LS);
    let fragments = coded.element(Tag(0x7FE0, 0x0010)).unwrap().value().fragments().unwrap().to_vec();
    assert!(fragments == [[stream.as_slice(), b"\0"].concat(), [stream.as_slice(), b"\0"].concat()]);
    let again = store_described(&site, "application/dicom+json", sets.as_bytes(), &bulk).await;
    assert_eq!((again.status, site.archive.stats().unwrap().conflicts), (StatusCode::OK, 0));
}

#[tokio::test]
async fn metadata_in_xml_becomes_an_instance() {
    let site = Site::of(&[]);
    let value = |tag: &str, vr: &str, value: &str| {
        format!("<DicomAttribute tag=\"{tag}\" vr=\"{vr}\"><Value number=\"1\">{value}</Value></DicomAttribute>")
    };
    let document = |sop: &str| {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><NativeDicomModel>{}{}{}{}{}</NativeDicomModel>",
            value("00080016", "UI", CT),
            value("00080018", "UI", sop),
            value("0020000D", "UI", STUDY),
            value("0020000E", "UI", SERIES),
            value("00104000", "LT", "a &lt; b"),
        )
    };
    let kind = "application/dicom+xml";
    let more = document("1.8.4");
    let answer = store_described(&site, kind, document("1.8.3").as_bytes(), &[(kind, "", more.as_bytes())]).await;
    assert_eq!((answer.status, told(&answer).0), (StatusCode::OK, vec!["1.8.3".into(), "1.8.4".into()]));
    let stored = read_back(&site, "1.8.3").await;
    assert_eq!(stored.element(Tag(0x0010, 0x4000)).unwrap().to_str().unwrap(), "a < b");
}

#[tokio::test]
async fn metadata_that_is_none_has_its_reason() {
    let site = Site::of(&[]);
    let kind = "application/dicom+json";
    let mut no_uid = metadata("1.8.1", 1);
    no_uid["0020000D"] = json!({"vr": "UI"});
    let pixels = [0; 64];
    let bulk = [("application/octet-stream", "bulk/1.8.1", pixels.as_slice())];
    for (sets, reason) in [
        (json!([no_uid]).to_string(), 0xA900),
        ("[1]".to_owned(), 0xC000),
        ("[{".to_owned(), 0xC000),
        ("[".repeat(1000), 0xC000),
        (" ".repeat(17 << 20), 0xC000),
        (format!("[{}]", vec!["{}"; 10_001].join(",")), 0xC000),
    ] {
        let answer = store_described(&site, kind, sets.as_bytes(), &bulk).await;
        let shown: String = sets.chars().take(20).collect();
        assert_eq!(answer.status, StatusCode::CONFLICT, "{shown}");
        assert_eq!(told(&answer), (vec![], vec![], vec![reason.into()]), "{shown}");
    }
    let half = format!("[]{}", " ".repeat(9 << 20));
    let answer = store_described(&site, kind, half.as_bytes(), &[(kind, "more", half.as_bytes())]).await;
    assert_eq!(told(&answer), (vec![], vec![], vec![0xC000.into()]), "too long together");
    let sets = json!(vec![json!({}); 6000]).to_string();
    let answer = store_described(&site, kind, sets.as_bytes(), &[(kind, "more", sets.as_bytes())]).await;
    assert_eq!(told(&answer), (vec![], vec![], vec![0xC000.into()]), "too many together");
    let mut endless = metadata("1.8.8", 1);
    for n in 0..60 {
        endless[format!("0009{:04X}", 0x1000 + n)] = json!({"vr": "OB", "BulkDataURI": "many"});
    }
    let many = vec![("application/octet-stream", "many", &pixels[..2]); 2000];
    let answer = store_described(&site, kind, json!([endless]).to_string().as_bytes(), &many).await;
    assert_eq!(
        told(&answer),
        (vec![], vec![("1.8.8".into(), 0xC000.into())], vec![]),
        "the same bulk data again and again"
    );
    let answer = store_described(&site, kind, json!([metadata("1.8.9", 1)]).to_string().as_bytes(), &bulk).await;
    assert_eq!(told(&answer), (vec![], vec![("1.8.9".into(), 0xC000.into())], vec![]), "bulk data that did not come");
    assert_eq!(site.archive.stats().unwrap().instances, 0);
}
