//! `/status`: the page for those who run the archive, its figures and lists, and what is decided there.

use crate::made::{self, CT, EXPLICIT, Made, SERIES, STUDY};
use crate::site::Site;
use crate::sockets::{Client, start, start_with};
use access::{Door, Filter, Grants, Mode, NewKey, Right};
use archive::{Archive, ChangeKind, Options, State};
use axum::body::Body;
use axum::http::StatusCode;
use dicom_core::VR;
use serde_json::{Value, json};
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use transcode::Policy;

fn small(sop: &str) -> Made {
    Made::new(sop, CT, EXPLICIT).grey16(8, 8, &[vec![7; 64]])
}

fn rows(list: &Value) -> &Vec<Value> {
    list["rows"].as_array().unwrap()
}

#[tokio::test]
async fn the_page_is_ours_and_nothing_is_inline() {
    let site = Site::of(&[]);
    let page = site.get("/status").await;
    assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    let text = page.text();
    assert!(!text.contains("style=") && !text.contains("onclick="));
    for (name, kind) in [("/status.css", "text/css; charset=utf-8"), ("/status.js", "text/javascript; charset=utf-8")] {
        assert!(text.contains(name), "{name}");
        assert_eq!(site.get(name).await.header("content-type"), kind);
    }
    assert!(site.get("/").await.text().contains("href=\"/status\""));
}

#[tokio::test]
async fn figures_are_of_this_moment() {
    let site = Site::of(&[made::three_frames("1.6.1", EXPLICIT).0]);
    let before = site.get("/status/now").await;
    assert_eq!(before.header("cache-control"), "no-store");
    let before = before.json();
    assert_eq!((&before["instances"], &before["pending"], &before["failed"]), (&1.into(), &1.into(), &0.into()));
    site.get(&format!("{}/frames/1", made::path("1.6.1"))).await;
    let after = site.get("/status/now").await.json();
    let grew = |name: &str| after[name].as_u64().unwrap() - before[name].as_u64().unwrap();
    assert_eq!(grew("requests"), 2, "the frame, and the figures before");
    assert!(grew("sentBytes") > 0);
}

#[tokio::test]
async fn lists_tell_what_needs_eyes_and_go_on_where_they_stopped() {
    let files: Vec<_> = (0..101).map(|n| small(&format!("1.7.{n}")).file()).collect();
    let site = Site::of(&files);
    let first = site.get("/status/lists/waiting").await.json();
    assert_eq!((rows(&first).len(), &first["more"]), (100, &true.into()));
    let last = site.get("/status/lists/waiting?offset=100").await.json();
    assert_eq!((rows(&last).len(), &last["more"]), (1, &false.into()));
    assert_eq!(site.archive.decisions(State::Waits, 100, 2).unwrap()[0].key.sop, rows(&last)[0]["instance"]);

    let other = small("1.7.3").with(0x0008_103e, VR::LO, "other").file();
    site.archive.ingest_bytes(&other).unwrap();
    let conflicts = site.get("/status/lists/conflicts").await.json();
    assert_eq!(
        (&rows(&conflicts)[0]["instance"], &rows(&conflicts)[0]["bytes"]),
        (&Value::from("1.7.3"), &Value::from(other.len()))
    );
    for empty in ["settled", "failed", "unserved", "quarantine", "faults"] {
        assert_eq!(rows(&site.get(&format!("/status/lists/{empty}")).await.json()).len(), 0, "{empty}");
    }
    assert_eq!(site.get("/status/lists/nothing").await.status, StatusCode::NOT_FOUND);
    assert_eq!(site.get("/status/lists/failed?offset=x").await.status, StatusCode::BAD_REQUEST);
}

/// What is to be decided about: an instance whose conversion failed, and an object beside another of its UIDs.
fn with_eyes_needed(archive: &Archive, folder: &Path) -> String {
    for file in [small("1.7.1"), small("1.7.2"), small("1.7.2").with(0x0008_103e, VR::LO, "other")] {
        archive.ingest_bytes(&file.file()).unwrap();
    }
    let id = archive.instance(STUDY, SERIES, "1.7.1").unwrap().unwrap().object_id.clone();
    let path = folder.join("objects").join(&id[..2]).join(&id[2..]);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 90]).unwrap();
    archive.convert_pending(&Policy::default(), 1, &AtomicBool::new(false), &|_| {}).unwrap();
    assert_eq!(archive.stats().unwrap().failed, 1);
    archive.conflicts().unwrap()[0].object_id.clone()
}

const AGAIN: &str = "/status/lists/failed/again";
const KEEP: &str = "/status/lists/conflicts/keep";
const SERVE: &str = "/status/lists/conflicts/serve";

fn failed() -> String {
    json!({"study": STUDY, "series": SERIES, "instance": "1.7.1"}).to_string()
}

fn other(object: &str) -> String {
    json!({"study": STUDY, "object": object}).to_string()
}

/// Posts a decision over a socket; its status.
async fn decide(address: SocketAddr, target: &str, headers: &str, body: &str) -> u16 {
    let mut client = Client::connect(address).await;
    let length = body.len();
    client
        .send(&format!(
            "POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        ))
        .await;
    client.answer().await.0
}

#[tokio::test]
async fn somebody_at_the_machine_decides() {
    let running = start(&[]).await;
    let archive = Archive::open(running.folder(), Options::default()).unwrap();
    let object = with_eyes_needed(&archive, running.folder());
    let at = running.address;
    let decide = async |target: &str, body: &str| decide(at, target, "", body).await;

    assert_eq!([decide(AGAIN, &failed()).await, decide(AGAIN, &failed()).await], [204, 404], "it waits already");
    assert_eq!(archive.stats().unwrap().failed, 0);

    assert_eq!(decide(SERVE, &other(&object)).await, 204);
    let served = || archive.instance(STUDY, SERIES, "1.7.2").unwrap().unwrap().object_id.clone();
    assert_eq!(served(), object);
    let told = archive.series_metadata(STUDY, SERIES, "").unwrap().unwrap().gzip().unwrap();
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(&told[..]).read_to_string(&mut text).unwrap();
    assert!(text.contains("\"other\""), "what is told is of what is served: {text}");
    // Neither is lost: the one before is on the list of what was decided, and can be served again.
    let settled = archive.settled().unwrap();
    assert_eq!((archive.conflicts().unwrap().len(), settled.len()), (0, 1));
    assert_eq!(decide(SERVE, &other(&settled[0].object_id)).await, 204);
    assert_eq!(served(), settled[0].object_id);

    archive.ingest_bytes(&small("1.7.2").with(0x0008_103e, VR::LO, "third").file()).unwrap();
    let third = archive.conflicts().unwrap()[0].object_id.clone();
    assert_eq!([decide(KEEP, &other(&third)).await, decide(KEEP, &other(&third)).await], [204, 404]);
    let elsewhere = json!({"study": "1.2.3.4.5", "object": third}).to_string();
    for (target, body, status) in [
        (SERVE, elsewhere.as_str(), 404),
        (SERVE, &other(&"0".repeat(64)), 404),
        (SERVE, &other("../x"), 404),
        (KEEP, "{}", 400),
        (AGAIN, "[", 400),
    ] {
        assert_eq!(decide(target, body).await, status, "{target} {body}");
    }
    let changes = archive.changes(0, 100).unwrap();
    assert_eq!(changes.iter().filter(|change| change.kind == ChangeKind::Corrected).count(), 2);
}

#[tokio::test]
async fn a_decision_is_of_a_page_of_ours() {
    let site = Site::of(&[]);
    let json = ("content-type", "application/json");
    // These requests come from elsewhere.
    let refused = site.post(AGAIN, &[json], Body::from(failed())).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(site.get("/status").await.status, StatusCode::OK, "who asks nobody lets anyone look");

    let running = start_with(&[], |config| config.allowed_origins = vec!["https://viewer.example.org".into()]).await;
    for foreign in [
        "Origin: https://evil.example.org\r\n",
        "Origin: https://viewer.example.org\r\n",
        "Origin: http://localhost\r\nSec-Fetch-Site: same-site\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "X-Forwarded-For: 203.0.113.9\r\n",
    ] {
        assert_eq!(decide(running.address, AGAIN, foreign, &failed()).await, 403, "{foreign}");
    }
    let mut client = Client::connect(running.address).await;
    let plain = "Content-Length: 2\r\nContent-Type: text/plain\r\n\r\n{}";
    client.send(&format!("POST {AGAIN} HTTP/1.1\r\nHost: localhost\r\n{plain}")).await;
    assert_eq!(client.answer().await.0, 400, "a form can send that");
    let ours = "Origin: http://localhost\r\nSec-Fetch-Site: same-origin\r\n";
    assert_eq!(decide(running.address, AGAIN, ours, &failed()).await, 404);
}

#[tokio::test]
async fn where_one_signs_in_it_takes_an_administrator() {
    let running = start_with(&[], |config| config.door.mode = Mode::SignIn).await;
    let archive = Archive::open(running.folder(), Options::default()).unwrap();
    with_eyes_needed(&archive, running.folder());
    let door = Door::new(archive.clone(), access::Options { mode: Mode::SignIn, ..access::Options::default() });
    let key = |may: Right| {
        let grants = Grants::one([may].into_iter().collect(), Filter::All);
        let new = NewKey { name: "test".into(), grants, lasts: None };
        format!("Authorization: Bearer {}\r\n", door.add_key(new).unwrap().1.key_text())
    };
    let (reader, keeper) = (key(Right::Read), key(Right::Administer));
    for target in ["/status", "/status/now", "/status/lists/failed", "/status/lists/conflicts"] {
        let ask = async |headers: &str| Client::connect(running.address).await.get(target, headers).await.0;
        assert_eq!([ask("").await, ask(&reader).await, ask(&keeper).await], [401, 403, 200], "{target}");
    }
    let metrics = Client::connect(running.address).await.get("/metrics", "").await.0;
    assert_eq!(metrics, 200, "counts are told at the machine itself");
    for (target, body) in [(AGAIN, failed()), (KEEP, other("x")), (SERVE, other("x"))] {
        let ask = async |headers: &str| decide(running.address, target, headers, &body).await;
        assert_eq!([ask("").await, ask(&reader).await], [401, 403], "{target}");
    }
    assert_eq!(decide(running.address, AGAIN, &keeper, &failed()).await, 204);
}
