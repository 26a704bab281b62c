//! `/status`: the page for those who run the archive, its figures and lists.

use crate::made::{self, CT, EXPLICIT, Made};
use crate::site::Site;
use archive::State;
use axum::http::StatusCode;
use dicom_core::VR;
use serde_json::Value;

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
    for empty in ["failed", "unserved", "quarantine", "faults"] {
        assert_eq!(rows(&site.get(&format!("/status/lists/{empty}")).await.json()).len(), 0, "{empty}");
    }
    assert_eq!(site.get("/status/lists/nothing").await.status, StatusCode::NOT_FOUND);
    assert_eq!(site.get("/status/lists/failed?offset=x").await.status, StatusCode::BAD_REQUEST);
}
