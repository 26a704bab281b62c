//! The viewer's files, the start page, health, metrics and the description of the interface.

use crate::made::{self, EXPLICIT};
use crate::site::Site;
use axum::http::StatusCode;
use std::fs;
use std::io::Read;

/// A site with a small viewer and our own files before it.
fn with_viewer() -> Site {
    Site::beside(&[], |config, folder| {
        let (viewer, web) = (folder.join("ohif"), folder.join("web"));
        fs::create_dir_all(viewer.join("assets")).unwrap();
        fs::create_dir_all(web.join("viewer")).unwrap();
        fs::write(folder.join("secret.txt"), "secret").unwrap();
        fs::write(
            viewer.join("index.html"),
            "<script>window.PUBLIC_URL=\"/\"</script><script src=\"/app-config.js\"></script>",
        )
        .unwrap();
        fs::write(viewer.join("app-config.js"), "theirs").unwrap();
        fs::write(web.join("viewer/app-config.js"), "ours").unwrap();
        fs::write(viewer.join("12.bundle.0123456789abcdef.js"), "x".repeat(5000)).unwrap();
        fs::write(viewer.join("codec.wasm"), "\0asm").unwrap();
        fs::write(viewer.join("big.js"), "y".repeat(5000)).unwrap();
        fs::write(viewer.join("big.js.br"), "brotli").unwrap();
        fs::write(viewer.join("big.js.gz"), "gzip").unwrap();
        config.viewer_dir = Some(viewer);
        config.web_dir = Some(web);
    })
}

#[tokio::test]
async fn a_single_page_application() {
    let site = with_viewer();
    for route in ["/viewer", "/viewer/", "/viewer/viewer?StudyInstanceUIDs=1.2.3", "/viewer/local/deep"] {
        let page = site.get(route).await;
        assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"), "{route}");
        assert_eq!(
            page.text(),
            "<script>window.PUBLIC_URL=\"/viewer/\"</script><script src=\"/viewer/app-config.js\"></script>"
        );
        assert!(page.header("content-security-policy").contains("frame-ancestors 'self'"));
    }
    let config = site.get("/viewer/app-config.js").await;
    assert_eq!((config.text().as_str(), config.header("cache-control")), ("ours", "no-cache"));
    assert_eq!(site.get("/viewer/codec.wasm").await.header("content-type"), "application/wasm");
    assert_eq!(site.get("/codec.wasm").await.status, StatusCode::OK, "the bundle asks for its pieces at the root");
    for missing in ["/viewer/missing.js", "/missing.js", "/viewer/assets", "/missing"] {
        let expected = if missing == "/viewer/assets" { StatusCode::OK } else { StatusCode::NOT_FOUND };
        assert_eq!(site.get(missing).await.status, expected, "{missing}");
    }
}

#[tokio::test]
async fn files_are_cached_and_compressed() {
    let site = with_viewer();
    let target = "/viewer/12.bundle.0123456789abcdef.js";
    let hashed = site.send("GET", target, &[("accept-encoding", "gzip")]).await;
    assert!(hashed.header("cache-control").contains("immutable"));
    assert_eq!(hashed.header("content-encoding"), "gzip");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&hashed.body[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text, "x".repeat(5000));
    let held = site.send("GET", target, &[("accept-encoding", "gzip"), ("if-none-match", hashed.header("etag"))]).await;
    assert_eq!(held.status, StatusCode::NOT_MODIFIED);
    assert_eq!(site.get(target).await.text(), "x".repeat(5000));
    let sidecar = site.send("GET", "/viewer/big.js", &[("accept-encoding", "gzip, br")]).await;
    assert_eq!((sidecar.header("content-encoding"), sidecar.text().as_str()), ("br", "brotli"));
    assert_eq!(sidecar.header("content-type"), "text/javascript; charset=utf-8");
}

#[tokio::test]
async fn the_coding_that_the_client_likes_best() {
    let site = with_viewer();
    let mut tags = std::collections::HashSet::new();
    for (accepted, coding, body) in [
        ("gzip, deflate, br, zstd", "br", "brotli"),
        ("gzip, deflate", "gzip", "gzip"),
        ("br;q=0.5, gzip", "gzip", "gzip"),
        ("br;q=0, gzip;q=0.1", "gzip", "gzip"),
        ("br;q=0.1", "br", "brotli"),
        ("*", "br", "brotli"),
        ("identity", "", "y"),
        ("br;q=0, gzip;q=0", "", "y"),
    ] {
        let answer = site.send("GET", "/viewer/big.js", &[("accept-encoding", accepted)]).await;
        assert_eq!((answer.header("content-encoding"), answer.text().starts_with(body)), (coding, true), "{accepted}");
        assert_eq!(answer.header("vary"), "Accept-Encoding", "{accepted}");
        let tag = answer.header("etag").to_owned();
        assert!(tag.starts_with('"') && (coding.is_empty() || tag.ends_with(&format!("-{coding}\""))), "{tag}");
        let held = [("accept-encoding", accepted), ("if-none-match", &tag)];
        assert_eq!(site.send("GET", "/viewer/big.js", &held).await.status, StatusCode::NOT_MODIFIED, "{accepted}");
        tags.insert(tag);
    }
    assert_eq!(tags.len(), 3, "each coding has a validator of its own");
    // What is written anew is never told by what was compressed before.
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    fs::File::options().write(true).open(site.folder().join("ohif/big.js")).unwrap().set_modified(later).unwrap();
    let plain = site.send("GET", "/viewer/big.js", &[("accept-encoding", "br")]).await;
    assert_eq!((plain.header("content-encoding"), plain.body.len()), ("", 5000));
}

#[tokio::test]
async fn a_link_to_a_study_begins_with_first_light() {
    let site = Site::beside(&[], |config, folder| {
        let (viewer, web) = (folder.join("ohif"), folder.join("web"));
        fs::create_dir_all(&viewer).unwrap();
        fs::create_dir_all(web.join("viewer")).unwrap();
        fs::write(viewer.join("index.html"), "<html><head><script defer src=\"/app.js\"></script></head>").unwrap();
        fs::write(
            web.join("viewer/first-light.html"),
            "<link data-first-light href=\"/dicom-web/studies/{study}/first\"><link href=\"a\">",
        )
        .unwrap();
        config.viewer_dir = Some(viewer);
        config.web_dir = Some(web);
    });
    let plain = "<html><head><script defer src=\"/viewer/app.js\"></script></head>";
    for (target, study) in [
        ("/viewer/viewer?StudyInstanceUIDs=1.2.3", Some("1.2.3")),
        ("/viewer/viewer/?hangingprotocolId=mpr&StudyInstanceUIDs=1.2.3", Some("1.2.3")),
        ("/viewer/viewer?StudyInstanceUIDs=1.2.3&token=abc", Some("1.2.3")),
        ("/viewer/viewer?StudyInstanceUIDs=1.2.3,1.2.4", None),
        ("/viewer/viewer?StudyInstanceUIDs=%22%3E%3Cscript%3E", None),
        ("/viewer/viewer", None),
        ("/viewer/", None),
        ("/viewer/?StudyInstanceUIDs=1.2.3", None),
    ] {
        let expected = study.map(|uid| {
            // A preload carries no token.
            let preload = if target.contains("token") {
                String::new()
            } else {
                format!("<link data-first-light href=\"/dicom-web/studies/{uid}/first\">")
            };
            let head = format!("<head>{preload}<link href=\"a\">");
            // The application's scripts wait for the picture.
            plain.replace("<head>", &head).replace("defer", "type=\"later\"")
        });
        assert_eq!(site.get(target).await.text(), expected.unwrap_or(plain.to_owned()), "{target}");
    }
}

#[tokio::test]
async fn the_page_is_asked_for_again_and_costs_nothing() {
    let site = with_viewer();
    let page = site.get("/viewer/viewer?StudyInstanceUIDs=1.2.3").await;
    assert!(page.header("cache-control").contains("no-cache"), "{}", page.header("cache-control"));
    let again = site.send("GET", "/viewer/", &[("if-none-match", page.header("etag"))]).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
    assert!(again.header("content-security-policy").contains("frame-ancestors"), "a browser takes it from the 304 too");
}

#[tokio::test]
async fn nothing_outside_the_folders() {
    let site = with_viewer();
    for target in [
        "/viewer/../secret.txt",
        "/viewer/%2e%2e/secret.txt",
        "/viewer/..%2fsecret.txt",
        "/..%2f..%2fsecret.txt",
        "/viewer/assets/%2e%2e/%2e%2e/secret.txt",
        "/viewer/..%5csecret.txt",
        "/viewer//etc/passwd.txt",
    ] {
        let answer = site.get(target).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{target}");
        assert!(!answer.text().contains("secret"), "{target}");
    }
}

#[tokio::test]
async fn without_a_viewer_the_page_says_how_to_get_it() {
    let site = Site::of(&[]);
    for route in ["/viewer", "/viewer/viewer?StudyInstanceUIDs=1.2"] {
        let page = site.get(route).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND);
        assert!(page.text().contains("npm pack @ohif/app@3.13.2"), "{route}");
    }
    assert_eq!(site.get("/viewer/app.js").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_start_page_and_its_files() {
    let site = Site::of(&[]);
    let page = site.get("/").await;
    assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
    let page = page.text();
    for (name, kind) in [
        ("/start.css", "text/css; charset=utf-8"),
        ("/start.js", "text/javascript; charset=utf-8"),
        ("/start.svg", "image/svg+xml"),
    ] {
        assert!(page.contains(name), "{name}");
        let file = site.get(name).await;
        assert_eq!((file.status, file.header("content-type")), (StatusCode::OK, kind));
        assert!(file.body.len() > 100);
    }
    assert!(!page.contains("style=") && !page.contains("onclick="), "nothing inline: the policy forbids it");
}

#[tokio::test]
async fn for_those_who_run_it() {
    let site = Site::of(&[made::three_frames("1.6.1", EXPLICIT).0]);
    assert_eq!(site.get("/healthz").await.text(), "ok\n");
    assert_eq!(site.get("/readyz").await.text(), "ready\n");
    let status = site.get("/status.json").await.json();
    assert_eq!((&status["instances"], &status["pending"], &status["viewer"]), (&1.into(), &1.into(), &false.into()));
    site.get(&format!("{}/frames/1", made::path("1.6.1"))).await;
    site.get(&format!("{}/frames/9", made::path("1.6.1"))).await;
    let metrics = site.get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
    let metrics = metrics.text();
    for line in [
        "firstlight_http_requests_total{route=\"frames\",status=\"200\"} 1",
        "firstlight_http_requests_total{route=\"frames\",status=\"404\"} 1",
        "firstlight_instances 1",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line}\n{metrics}");
    }
}

#[tokio::test]
async fn the_light_page_runs_our_decoder_can_be_installed_and_no_more() {
    let site = Site::beside(&[], |config, folder| {
        fs::create_dir_all(folder.join("web/light")).unwrap();
        fs::write(folder.join("web/light/index.html"), "<title>light</title>").unwrap();
        config.web_dir = Some(folder.join("web"));
    });
    let page = site.get("/light/").await;
    assert_eq!((page.status, page.text().as_str()), (StatusCode::OK, "<title>light</title>"));
    let policy = page.header("content-security-policy");
    for rule in
        ["default-src 'none'", "script-src 'self' 'wasm-unsafe-eval'", "manifest-src 'self'", "connect-src 'self'"]
    {
        assert!(policy.contains(rule), "{rule} in {policy}");
    }
    assert!(!policy.contains("unsafe-inline") && !policy.contains("'unsafe-eval'"), "{policy}");
    assert_eq!(site.get("/light").await.header("location"), "/light/");
}

#[tokio::test]
async fn who_answers_for_diagnosis_takes_the_notice_off() {
    let told = async |set: fn(&mut server::Config)| Site::with(&[], set).get("/status.json").await.json();
    assert_eq!(told(|_| ()).await["notForDiagnosis"], true);
    assert_eq!(told(|config| config.for_diagnosis = true).await["notForDiagnosis"], false);
}

#[tokio::test]
async fn the_description_names_every_resource() {
    let site = Site::of(&[]);
    let openapi = site.get("/openapi.json").await.json();
    assert!(openapi["openapi"].as_str().unwrap().starts_with("3."));
    let paths = openapi["paths"].as_object().unwrap();
    let instance = "/dicom-web/studies/{study}/series/{series}/instances/{instance}";
    for path in [
        "/dicom-web/studies",
        "/dicom-web/studies/{study}/first",
        "/dicom-web/studies/{study}/series/{series}/levels",
        "/session",
        "/session/{id}/events",
        "/changes",
        "/events",
        "/healthz",
        "/readyz",
        "/metrics",
        "/status.json",
        instance,
        &format!("{instance}/frames/{{frames}}"),
        &format!("{instance}/frames/{{frames}}/rendered"),
        &format!("{instance}/bulkdata/{{path}}"),
        &format!("{instance}/thumbnail"),
        &format!("{instance}/metadata"),
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    // What the description names is there: no path of it falls through to the fallback. Events go on while one listens.
    for path in paths.keys().filter(|path| *path != "/events") {
        let target = path
            .replace("{study}", "1.2")
            .replace("{series}", "1.3")
            .replace("{instance}", "1.4")
            .replace("{frames}", "1")
            .replace("{path}", "00420011");
        let answer = site.get(&target).await;
        assert!(
            answer.status == StatusCode::OK || !answer.text().contains("no such resource"),
            "{path}: {}",
            answer.text()
        );
    }
}
