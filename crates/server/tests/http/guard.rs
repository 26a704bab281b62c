//! Host, Origin, CORS, limits, safe headers.

use crate::made::{self, EXPLICIT};
use crate::site::Site;
use axum::http::StatusCode;

const VIEWER: &str = "https://viewer.example.org";

fn open_site() -> Site {
    Site::with(&[made::three_frames("1.2.1", EXPLICIT).0], |config| {
        config.allowed_origins = vec![VIEWER.to_owned()];
        config.allowed_hosts = vec!["pacs.example.org".to_owned()];
    })
}

#[tokio::test]
async fn names_of_others_are_refused_everywhere() {
    let site = open_site();
    for target in ["/", "/healthz", "/viewer", "/metrics", "/dicom-web/studies", "/nothing", "/start.js"] {
        let refused = site.send("GET", target, &[("host", "rebound.evil.example")]).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{target}");
        let foreign = site.send("GET", target, &[("origin", "http://evil.example")]).await;
        assert_eq!(foreign.status, StatusCode::FORBIDDEN, "{target}");
        assert_eq!(foreign.header("access-control-allow-origin"), "");
    }
    for host in ["localhost", "127.0.0.1:8042", "[::1]:8042", "pacs.example.org"] {
        assert_eq!(site.send("GET", "/healthz", &[("host", host)]).await.status, StatusCode::OK, "{host}");
    }
}

#[tokio::test]
async fn pages_of_an_allowed_origin() {
    let site = open_site();
    let target = format!("{}/frames/1", made::path("1.2.1"));
    let answer = site.send("GET", &target, &[("origin", VIEWER), ("range", "bytes=0-9")]).await;
    assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(answer.header("access-control-allow-origin"), VIEWER);
    for name in ["Content-Range", "Content-Length", "Accept-Ranges", "ETag", "Retry-After", "X-Reason", "X-Total-Count"]
    {
        assert!(answer.header("access-control-expose-headers").contains(name), "{name}");
    }
    assert!(answer.headers.get_all("vary").iter().any(|v| v == "Origin"));

    let asked = [
        ("origin", VIEWER),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "authorization,range"),
    ];
    let preflight = site.send("OPTIONS", &target, &asked).await;
    assert_eq!(preflight.status, StatusCode::NO_CONTENT);
    assert_eq!(preflight.header("access-control-allow-origin"), VIEWER);
    assert!(preflight.header("access-control-max-age").parse::<u32>().unwrap() >= 7200);
    for name in ["Accept", "Authorization", "Content-Type", "Range"] {
        assert!(preflight.header("access-control-allow-headers").contains(name), "{name}");
    }
    let refused = site
        .send("OPTIONS", &target, &[("origin", "http://evil.example"), ("access-control-request-method", "GET")])
        .await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn nobody_elses_page_by_default() {
    let site = Site::of(&[]);
    assert_eq!(site.send("GET", "/dicom-web/studies", &[("origin", VIEWER)]).await.status, StatusCode::FORBIDDEN);
    let own = site.send("GET", "/dicom-web/studies", &[("origin", "http://localhost:8042")]).await;
    assert_eq!((own.status, own.header("access-control-allow-origin")), (StatusCode::OK, ""));
}

#[tokio::test]
async fn safe_headers_on_every_answer() {
    let site = open_site();
    for target in ["/", "/viewer", "/dicom-web/studies", "/nothing", "/healthz"] {
        let answer = site.get(target).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{target}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{target}");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin", "{target}");
    }
    assert!(site.get("/").await.header("content-security-policy").contains("default-src 'none'"));
}

#[tokio::test]
async fn reading_and_storing_only() {
    let site = open_site();
    for method in ["PUT", "DELETE", "PATCH"] {
        let answer = site.send(method, "/dicom-web/studies", &[]).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert!(answer.header("allow").contains("GET"), "{method}");
    }
    let large = site.send("POST", "/dicom-web/series", &[("content-length", "999999999999")]).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    let long = site.get(&format!("/dicom-web/studies?PatientName={}", "a".repeat(20_000))).await;
    assert_eq!(long.status, StatusCode::URI_TOO_LONG);
}
