//! Deleting: what is deleted is behind no address, its neighbours are as they were, and it can come back.

use crate::made::{self, CT, EXPLICIT, Made, STUDY};
use crate::site::Site;
use axum::http::StatusCode;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

const OTHER: &str = "/dicom-web/studies/9.1/series/9.2/instances/9.3";

fn file(sop: &str, shade: u16) -> Vec<u8> {
    let mut file = Made::new(sop, CT, EXPLICIT).grey16(8, 8, &[vec![shade; 64]]).file();
    file[..128].fill(0);
    file
}

fn files() -> [Vec<u8>; 3] {
    let other = Made::new("9.3", CT, EXPLICIT).elsewhere("Dusk^Boreas", "9.1", "9.2").grey16(8, 8, &[vec![3; 64]]);
    [file("1.7.1", 1), file("1.7.2", 2), other.file()]
}

async fn delete(site: &Site, target: &str) -> StatusCode {
    site.send("DELETE", target, &[]).await.status
}

fn study() -> String {
    format!("/dicom-web/studies/{STUDY}")
}

#[tokio::test]
async fn a_deleted_instance_is_behind_no_address() {
    let site = Site::of(&files());
    let one = made::path("1.7.1");
    let addresses =
        ["", "/metadata", "/frames/1", "/frames/1/rendered", "/rendered", "/thumbnail", "/levels", "/bulkdata"];
    for below in addresses {
        assert_eq!(site.get(&format!("{one}{below}")).await.status, StatusCode::OK, "{below}");
    }
    let before = site.get(&format!("{}/metadata", study())).await;
    assert_eq!(delete(&site, &one).await, StatusCode::NO_CONTENT);
    for below in addresses {
        assert_eq!(site.get(&format!("{one}{below}")).await.status, StatusCode::NOT_FOUND, "{below}");
    }
    assert_eq!(delete(&site, &one).await, StatusCode::NOT_FOUND);
    let after = site.send("GET", &format!("{}/metadata", study()), &[("if-none-match", before.header("etag"))]).await;
    assert_eq!((after.status, after.json().as_array().unwrap().len()), (StatusCode::OK, 1));
    let listed = site.get(&format!("{}/instances", study())).await;
    assert_eq!(listed.json().as_array().unwrap().len(), 1);
    let kept = site.accept(&made::path("1.7.2"), "application/dicom; transfer-syntax=*").await;
    assert!(kept.body == file("1.7.2", 2));
    let wado = format!("/wado?requestType=WADO&studyUID={STUDY}&seriesUID={}&objectUID=1.7.1", made::SERIES);
    assert_eq!(site.get(&wado).await.status, StatusCode::NOT_FOUND);
    let metrics = String::from_utf8(site.get("/metrics").await.body.to_vec()).unwrap();
    assert!(metrics.contains("firstlight_deleted_instances_total 1\n") && metrics.contains("firstlight_instances 2\n"));
}

#[tokio::test]
async fn series_and_studies_go_and_come_back() {
    let site = Site::of(&files());
    let first = site.get(&format!("{}/first", study())).await;
    assert_eq!(delete(&site, &format!("{}/series/{}", study(), made::SERIES)).await, StatusCode::NO_CONTENT);
    for below in ["", "/metadata", "/first", "/rendered"] {
        assert_eq!(site.get(&format!("{}{below}", study())).await.status, StatusCode::NOT_FOUND, "{below}");
    }
    assert_eq!(site.get("/dicom-web/studies").await.json().as_array().unwrap().len(), 1);
    let deleted = site.archive.deletions().unwrap();
    assert_eq!(site.archive.undelete(deleted[0].id).unwrap().unwrap().instances, 2);
    for sop in ["1.7.1", "1.7.2"] {
        assert_eq!(site.get(&format!("{}/frames/1", made::path(sop))).await.status, StatusCode::OK);
    }
    let again = site.send("GET", &format!("{}/first", study()), &[("if-none-match", first.header("etag"))]).await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED, "it is what it was");
    assert_eq!(delete(&site, &study()).await, StatusCode::NO_CONTENT);
    assert_eq!(delete(&site, &study()).await, StatusCode::NOT_FOUND);
    assert_eq!(site.get(OTHER).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_is_held_stays() {
    let site = Site::of(&files());
    site.archive.hold("9.1", "a trial").unwrap();
    for target in ["/dicom-web/studies/9.1", "/dicom-web/studies/9.1/series/9.2", OTHER] {
        let refused = site.send("DELETE", target, &[]).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{target}");
        assert!(String::from_utf8_lossy(&refused.body).starts_with("the study is held"));
    }
    assert_eq!(site.get(OTHER).await.status, StatusCode::OK);
    site.archive.release_hold("9.1").unwrap();
    assert_eq!(delete(&site, OTHER).await, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn who_may_not_store_may_not_delete() {
    let site = Site::with(&files(), |config| config.store = false);
    let refused = site.send("DELETE", &study(), &[]).await;
    assert_eq!((refused.status, refused.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD, OPTIONS"));
    assert_eq!(site.get(&made::path("1.7.1")).await.status, StatusCode::OK);
    let open = Site::of(&files());
    for target in [
        "/dicom-web/studies/1.2.3.999",
        "/dicom-web/studies/9.1/series/1.2",
        "/dicom-web/studies/9.1/series/9.2/instances/1",
    ] {
        assert_eq!(delete(&open, target).await, StatusCode::NOT_FOUND, "{target}");
    }
    for target in ["/dicom-web/studies", "/dicom-web/series", "/dicom-web/studies/9.1/metadata", "/"] {
        assert_eq!(delete(&open, target).await, StatusCode::METHOD_NOT_ALLOWED, "{target}");
    }
    assert_eq!(delete(&open, "/dicom-web/studies/not-a-uid").await, StatusCode::BAD_REQUEST);
    let foreign = open.send("DELETE", &study(), &[("origin", "http://evil.example")]).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    assert_eq!(open.get(&study()).await.status, StatusCode::OK);
    let allowed = open.send("OPTIONS", &study(), &[]).await;
    assert_eq!(allowed.header("allow"), "DELETE, GET, HEAD, OPTIONS, POST");
    let described = open.get("/openapi.json").await.json();
    let responses = &described["paths"]["/dicom-web/studies/{study}"]["delete"]["responses"];
    assert!(["204", "404", "405", "409"].iter().all(|status| responses[status].is_object()), "{responses}");
}

#[tokio::test]
async fn what_is_purged_and_stored_again_is_new() {
    let site = Site::with(&files(), |config| config.delete_grace = Duration::ZERO);
    assert_eq!(delete(&site, &study()).await, StatusCode::NO_CONTENT);
    let purged = site.archive.purge(&AtomicBool::new(false), &mut |_| {}).unwrap();
    assert_eq!((purged.removals, purged.instances, purged.objects), (1, 2, 2));
    assert_eq!(site.get(&made::path("1.7.1")).await.status, StatusCode::NOT_FOUND);
    let stored = site
        .post("/dicom-web/studies", &[("content-type", "application/dicom")], axum::body::Body::from(file("1.7.1", 1)))
        .await;
    assert_eq!(stored.status, StatusCode::OK);
    let back = site.accept(&made::path("1.7.1"), "application/dicom; transfer-syntax=*").await;
    assert!(back.body == file("1.7.1", 1));
}
