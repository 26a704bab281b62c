//! Who is let in, by what, and to what.

use crate::made::{self, CT, EXPLICIT, Made, SERIES, STUDY};
use crate::site::{Answer, Site};
use access::{Door, Filter, Grants, Mode, NewKey, NewShare, Options, Part, Right, Rights};
use axum::body::Body;
use axum::http::StatusCode;
use dicom_core::VR;
use serde_json::Value;
use std::time::Duration;

const PASSWORD: &str = "early morning light";
const OTHER: &str = "1.2.3.9";
const HTML: (&str, &str) = ("accept", "text/html,*/*;q=0.8");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// Two studies: [`STUDY`] of P-1, and [`OTHER`] of P-2.
fn files() -> [Vec<u8>; 2] {
    let other =
        Made::new("1.2.9.1", CT, EXPLICIT).elsewhere("Other", OTHER, "1.2.3.9.5").with(0x0010_0020, VR::LO, "P-2");
    [made::three_frames("1.2.1", EXPLICIT).0, other.grey16(8, 8, &[vec![1; 64]]).file()]
}

/// A server that lets in who signs in, and the door to it.
fn guarded() -> (Site, Door) {
    let site = Site::beside(&files(), |config, folder| {
        config.door.mode = Mode::SignIn;
        let light = folder.join("web/light");
        std::fs::create_dir_all(&light).unwrap();
        std::fs::write(light.join("index.html"), "<html><head><title>Light</title></head></html>").unwrap();
        config.web_dir = Some(folder.join("web"));
    });
    let door = Door::new(site.archive.clone(), Options { mode: Mode::SignIn, ..Options::default() });
    (site, door)
}

fn rights(rights: &[Right]) -> Rights {
    rights.iter().copied().collect()
}

fn only(part: &str) -> Filter {
    Filter::Any(vec![part.parse::<Part>().unwrap()])
}

/// The header of a new key.
fn key(door: &Door, may: &[Right], on: Filter) -> String {
    let new = NewKey { name: "test".into(), grants: Grants::one(rights(may), on), lasts: None };
    format!("Bearer {}", door.add_key(new).unwrap().1.key_text())
}

fn studies(answer: &Answer) -> Vec<String> {
    let rows = answer.json();
    let uid = |row: &Value| row["0020000D"]["Value"][0].as_str().unwrap_or_default().to_owned();
    let mut uids: Vec<String> = rows.as_array().unwrap().iter().map(uid).collect();
    uids.sort();
    uids
}

/// Name and value of the cookie that is set, and how.
fn cookie(answer: &Answer) -> (String, String) {
    let set = answer.header("set-cookie");
    let (pair, how) = set.split_once(';').unwrap();
    (pair.to_owned(), how.trim().to_owned())
}

async fn sign_in(site: &Site, form: &str, headers: &[(&str, &str)]) -> Answer {
    site.post("/sign-in", &[&[FORM], headers].concat(), Body::from(form.to_owned())).await
}

#[tokio::test]
async fn nobody_comes_in_unknown() {
    let (site, _) = guarded();
    for target in [
        "/dicom-web/studies",
        "/dicom-web/series",
        &made::path("1.2.1"),
        "/dicom-web/studies/7",
        "/status.json",
        "/wado",
    ] {
        let refused = site.send("GET", target, &[HTML]).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{target}");
        assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"Firstlight\"", "{target}");
        assert_eq!(refused.header("cache-control"), "no-store", "{target}");
    }
    for shown in ["Bearer fl_x", "Bearer ", "Basic YTpi", "nonsense"] {
        let refused = site.send("GET", "/dicom-web/studies", &[("authorization", shown)]).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{shown}");
    }
    let refused =
        site.post("/dicom-web/studies", &[("content-type", "application/dicom")], Body::from(files()[0].clone())).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(site.send("POST", "/session", &[]).await.status, StatusCode::UNAUTHORIZED);
    for target in ["/", "/light/?study=1", "/viewer/viewer?StudyInstanceUIDs=1", "/status", "/metrics"] {
        let led = site.send("GET", target, &[HTML]).await;
        assert_eq!(led.status, StatusCode::SEE_OTHER, "{target}");
        assert!(led.header("location").starts_with("/sign-in?to=/"), "{target}: {}", led.header("location"));
        assert_eq!(site.send("GET", target, &[]).await.status, StatusCode::UNAUTHORIZED, "a program is told");
    }
    for target in ["/healthz", "/sign-in", "/sign-in.css", "/start.css", "/openapi.json"] {
        assert_eq!(site.send("GET", target, &[]).await.status, StatusCode::OK, "{target}");
    }
}

#[tokio::test]
async fn a_preflight_needs_no_token() {
    let viewer = "https://viewer.example.org";
    let site = Site::with(&files(), |config| {
        config.door.mode = Mode::SignIn;
        config.allowed_origins = vec![viewer.to_owned()];
    });
    let asks = [
        ("origin", viewer),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "authorization"),
    ];
    let answer = site.send("OPTIONS", "/dicom-web/studies", &asks).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert!(answer.header("access-control-allow-headers").contains("Authorization"));
    let refused = site.send("GET", "/dicom-web/studies", &[("origin", viewer)]).await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (StatusCode::UNAUTHORIZED, viewer));
}

#[tokio::test]
async fn a_server_is_open_until_somebody_is_made() {
    let site = Site::with(&files(), |config| config.door.life = Duration::ZERO);
    assert_eq!(site.send("GET", "/dicom-web/studies", &[]).await.status, StatusCode::OK);
    assert_eq!(
        site.send("GET", "/dicom-web/studies", &[("authorization", "Bearer of another time")]).await.status,
        StatusCode::OK
    );
    let door = Door::new(site.archive.clone(), Options::default());
    let key = key(&door, &[Right::Read], Filter::All);
    assert_eq!(site.send("GET", "/dicom-web/studies", &[]).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(site.send("GET", "/dicom-web/studies", &[("authorization", &key)]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_key_sees_what_it_may() {
    let (site, door) = guarded();
    let all = key(&door, &[Right::Read], Filter::All);
    let part = key(&door, &[Right::Read], only("patient=P-1"));
    let writer = key(&door, &[Right::Write], Filter::All);
    let ask = async |key: &str, target: &str| site.send("GET", target, &[("authorization", key)]).await;
    assert_eq!(studies(&ask(&all, "/dicom-web/studies").await), [STUDY, OTHER]);
    let seen = ask(&part, "/dicom-web/studies").await;
    assert_eq!((studies(&seen), seen.header("x-total-count")), (vec![STUDY.to_owned()], "1"));
    let page = ask(&part, "/dicom-web/instances?limit=1").await;
    assert_eq!((page.header("x-total-count"), page.header("warning")), ("1", ""), "of the others nothing is told");
    assert_eq!(ask(&part, &format!("{}/frames/1", made::path("1.2.1"))).await.status, StatusCode::OK);
    let hidden = ask(&part, &format!("/dicom-web/studies/{OTHER}/metadata")).await;
    assert_eq!(hidden.status, StatusCode::NOT_FOUND);
    assert_eq!(studies(&ask(&writer, "/dicom-web/studies").await), [""; 0], "storing is not seeing");
    let status = ask(&part, "/status.json").await.json();
    assert!(status.get("studies").is_none() && status["light"] == true, "{status}");
    assert!(ask(&all, "/status.json").await.json()["studies"] == 2);
    for key in [&part, &all] {
        assert_eq!(ask(key, "/metrics").await.status, StatusCode::FORBIDDEN);
    }
    let operator = self::key(&door, &[Right::Administer], Filter::Any(Vec::new()));
    assert_eq!(ask(&operator, "/metrics").await.status, StatusCode::OK);
}

#[tokio::test]
async fn one_stores_what_one_may() {
    let (site, door) = guarded();
    let store = async |key: &str, file: Vec<u8>| {
        let headers = [("authorization", key), ("content-type", "application/dicom")];
        site.post("/dicom-web/studies", &headers, Body::from(file)).await
    };
    let reader = key(&door, &[Right::Read], Filter::All);
    assert_eq!(store(&reader, files()[0].clone()).await.status, StatusCode::FORBIDDEN);
    let writer = key(&door, &[Right::Write], only("patient=P-1"));
    let instance = |sop: &str, study: &str, patient: &str| {
        let made =
            Made::new(sop, CT, EXPLICIT).elsewhere("Dawn^Aurora", study, SERIES).with(0x0010_0020, VR::LO, patient);
        made.grey16(8, 8, &[vec![2; 64]]).file()
    };
    assert_eq!(store(&writer, instance("1.2.5", STUDY, "P-1")).await.status, StatusCode::OK);
    assert_eq!(store(&writer, instance("1.2.6", "1.2.3.77", "P-1")).await.status, StatusCode::OK, "a new study");
    for (study, patient) in [("1.2.3.78", "P-2"), (OTHER, "P-1"), (OTHER, "P-2")] {
        let refused = store(&writer, instance("1.2.7", study, patient)).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{study} {patient}");
        assert_eq!(refused.json()["00081198"]["Value"][0]["00081197"]["Value"][0], 0x0124, "{study} {patient}");
    }
}

#[tokio::test]
async fn one_signs_in_and_out() {
    let (site, door) = guarded();
    door.put_user("ana", PASSWORD, &Grants::one(rights(&[Right::Read]), Filter::All)).unwrap();
    let page = site.send("GET", "/sign-in?to=/light/%3Fstudy%3D1", &[HTML]).await;
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(
        text.contains("value=\"/light/?study=1\"")
            && page.header("content-security-policy").contains("default-src 'none'")
    );
    let wrong = sign_in(&site, "name=ana&password=x&to=/", &[]).await;
    assert_eq!((wrong.status, wrong.header("set-cookie")), (StatusCode::UNAUTHORIZED, ""));
    assert!(String::from_utf8_lossy(&wrong.body).contains("role=\"alert\""));

    let right = format!("name=ana&password={}&to=/light/", PASSWORD.replace(' ', "+"));
    let elsewhere = sign_in(&site, &right, &[("sec-fetch-site", "cross-site")]).await;
    assert_eq!(elsewhere.status, StatusCode::FORBIDDEN, "a page of another site signs nobody in");
    let signed = sign_in(&site, &right, &[("origin", "http://localhost:8042")]).await;
    assert_eq!((signed.status, signed.header("location")), (StatusCode::SEE_OTHER, "/light/"));
    let (cookie, how) = cookie(&signed);
    assert_eq!(how, "Path=/; HttpOnly; SameSite=Strict");
    let mine = ("cookie", cookie.as_str());
    assert_eq!(site.send("GET", "/light/", &[HTML, mine]).await.status, StatusCode::OK);
    assert_eq!(site.send("GET", "/status.json", &[mine]).await.json()["signedIn"], "ana");

    for (site_of, status) in [
        ("cross-site", StatusCode::FORBIDDEN),
        ("same-site", StatusCode::FORBIDDEN),
        ("same-origin", StatusCode::CREATED),
    ] {
        let answer = site.send("POST", "/session", &[mine, ("sec-fetch-site", site_of)]).await;
        assert_eq!(answer.status, status, "{site_of}");
    }
    assert_eq!(
        site.send("POST", "/sign-out", &[mine, ("sec-fetch-site", "cross-site")]).await.status,
        StatusCode::FORBIDDEN
    );
    let out = site.send("POST", "/sign-out", &[mine]).await;
    assert!(out.status == StatusCode::SEE_OTHER && out.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(site.send("GET", "/status.json", &[mine]).await.status, StatusCode::UNAUTHORIZED, "at once");
}

#[tokio::test]
async fn with_tls_the_cookie_is_of_this_host_alone() {
    let site = Site::with(&files(), |config| {
        config.door.mode = Mode::SignIn;
        config.public_url = Some("https://pacs.example.org".into());
    });
    let door = Door::new(site.archive.clone(), Options::default());
    door.put_user("ana", PASSWORD, &Grants::everything()).unwrap();
    let signed = sign_in(&site, &format!("name=ana&password={}", PASSWORD.replace(' ', "+")), &[]).await;
    let (cookie, how) = cookie(&signed);
    assert!(
        cookie.starts_with("__Host-firstlight=") && how == "Path=/; HttpOnly; SameSite=Strict; Secure",
        "{cookie} {how}"
    );
}

#[tokio::test]
async fn guesses_are_slowed_down() {
    let (site, door) = guarded();
    door.put_user("ana", PASSWORD, &Grants::everything()).unwrap();
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(sign_in(&site, "name=ana&password=wrong", &[]).await);
    }
    let last = statuses.pop().unwrap();
    assert!(statuses.iter().all(|answer| answer.status == StatusCode::UNAUTHORIZED));
    assert_eq!(last.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(last.header("retry-after").parse::<u64>().unwrap() >= 1);
    let right = sign_in(&site, &format!("name=ana&password={}", PASSWORD.replace(' ', "+")), &[]).await;
    assert_eq!(right.status, StatusCode::TOO_MANY_REQUESTS, "also for the right one");
}

#[tokio::test]
async fn the_first_administrator_comes_by_a_link() {
    let (site, door) = guarded();
    let link = format!("/welcome/{}", door.invite(&Grants::everything()).unwrap().text());
    assert_eq!(site.send("GET", &link, &[HTML]).await.status, StatusCode::OK);
    assert_eq!(site.send("GET", "/welcome/nonsense", &[HTML]).await.status, StatusCode::NOT_FOUND);
    let send = async |form: &'static str| site.post(&link, &[FORM], Body::from(form)).await;
    assert_eq!(send("name=ana&password=short").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let made = send("name=ana&password=early+morning+light").await;
    assert_eq!(made.status, StatusCode::SEE_OTHER);
    let metrics = site.send("GET", "/metrics", &[("cookie", &cookie(&made).0)]).await;
    assert_eq!(metrics.status, StatusCode::OK);
    assert_eq!(send("name=bo&password=early+morning+light").await.status, StatusCode::NOT_FOUND, "once");
}

fn share(door: &Door, study: &str, uses: Option<u32>) -> (i64, String) {
    let new =
        NewShare { name: "Dr. Roe".into(), studies: [study.to_owned()].into(), lasts: Duration::from_secs(60), uses };
    let (id, secret) = door.add_share(new).unwrap();
    (id, format!("/s/{}", secret.text()))
}

#[tokio::test]
async fn a_link_opens_its_study_and_nothing_else() {
    let (site, door) = guarded();
    let (id, link) = share(&door, STUDY, None);
    let ask = async |path: &str| site.send("GET", &format!("{link}{path}"), &[HTML]).await;
    for path in ["", "/", "/?study=1"] {
        let page = ask(path).await;
        let text = String::from_utf8(page.body.to_vec()).unwrap();
        assert!(
            text.contains(&format!("<meta name=\"firstlight-link\" content=\"Dr. Roe\" data-study=\"{STUDY}\">")),
            "{text}"
        );
        assert_eq!((page.header("cache-control"), page.header("referrer-policy")), ("no-store", "no-referrer"));
        assert!(page.header("content-security-policy").contains("default-src 'none'"));
    }
    let found = ask("/dicom-web/studies").await;
    assert_eq!((studies(&found), found.header("x-total-count")), (vec![STUDY.to_owned()], "1"));
    let url = found.json()[0]["00081190"]["Value"][0].as_str().unwrap().to_owned();
    assert_eq!(url, format!("http://localhost:8042{link}/dicom-web/studies/{STUDY}"));
    let frames = site.send("GET", &format!("{link}{}/frames/1", made::path("1.2.1")), &[("range", "bytes=0-9")]).await;
    assert_eq!(frames.status, StatusCode::PARTIAL_CONTENT, "ranges carry nothing but the address");
    let metadata = ask(&format!("/dicom-web/studies/{STUDY}/metadata")).await;
    let uri = metadata.json()[0]["7FE00010"]["BulkDataURI"].as_str().unwrap().to_owned();
    assert!(uri.starts_with(&format!("http://localhost:8042{link}/dicom-web/")), "{uri}");
    for path in [
        &format!("/dicom-web/studies/{OTHER}/metadata"),
        "/metrics",
        "/viewer/viewer",
        "/welcome/x",
        "/s/x/status.json",
    ] {
        let status = ask(path).await.status;
        assert!([StatusCode::NOT_FOUND, StatusCode::FORBIDDEN].contains(&status), "{path} {status}");
    }
    let stored = site
        .post(
            &format!("{link}/dicom-web/studies"),
            &[("content-type", "application/dicom")],
            Body::from(files()[0].clone()),
        )
        .await;
    assert_eq!(stored.status, StatusCode::FORBIDDEN);
    assert_eq!(site.send("POST", &format!("{link}/session"), &[]).await.status, StatusCode::CREATED);
    assert_eq!(site.send("GET", "/dicom-web/studies", &[]).await.status, StatusCode::UNAUTHORIZED, "without the link");
    assert!(door.revoke_share(id).unwrap());
    for path in ["/", "/dicom-web/studies/7"] {
        assert_eq!(site.send("GET", &format!("/s/nonsense{path}"), &[HTML]).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn the_secret_of_a_link_is_kept_nowhere() {
    let (site, door) = guarded();
    let (_, link) = share(&door, STUDY, None);
    let metadata = site.send("GET", &format!("{link}/dicom-web/studies/{STUDY}/metadata"), &[]).await;
    assert_eq!(metadata.status, StatusCode::OK);
    let token = link.trim_start_matches("/s/").as_bytes();
    let admin = key(&door, &[Right::Read], Filter::All);
    let plain = site.send("GET", &format!("/dicom-web/studies/{STUDY}/metadata"), &[("authorization", &admin)]).await;
    assert!(!plain.body.windows(token.len()).any(|window| window == token) && plain.status == StatusCode::OK);
    for name in ["index.sqlite", "index.sqlite-wal"] {
        let Ok(bytes) = std::fs::read(site.folder().join("archive").join(name)) else { continue };
        assert!(!bytes.windows(token.len()).any(|window| window == token), "{name}");
    }
}

#[tokio::test]
async fn a_counted_link_is_opened_by_hand() {
    let (site, door) = guarded();
    let (_, link) = share(&door, STUDY, Some(1));
    let page = format!("{link}/");
    let asks = site.send("GET", &page, &[HTML]).await;
    let text = String::from_utf8(asks.body.to_vec()).unwrap();
    assert!(
        text.contains("opened once more") && !text.contains("Dr. Roe") && !text.contains(STUDY),
        "a mail's preview opens nothing"
    );
    let data = format!("{link}/dicom-web/studies");
    assert_eq!(site.send("GET", &data, &[]).await.status, StatusCode::NOT_FOUND, "not opened yet");
    let elsewhere = site.post(&page, &[("sec-fetch-site", "cross-site")], Body::empty()).await;
    assert_eq!(elsewhere.status, StatusCode::FORBIDDEN);
    let opened = site.post(&page, &[FORM], Body::empty()).await;
    assert_eq!((opened.status, opened.header("location")), (StatusCode::SEE_OTHER, page.as_str()));
    let (mark, how) = cookie(&opened);
    assert_eq!(how, "Path=/; HttpOnly; SameSite=Lax");
    let mine = ("cookie", mark.as_str());
    assert_eq!(studies(&site.send("GET", &data, &[mine]).await), [STUDY]);
    let shown = site.send("GET", &page, &[HTML, mine]).await;
    assert!(String::from_utf8_lossy(&shown.body).contains("Dr. Roe"));
    for again in [site.send("GET", &page, &[HTML]).await, site.post(&page, &[FORM], Body::empty()).await] {
        assert_eq!(again.status, StatusCode::NOT_FOUND, "another browser");
    }
}

#[tokio::test]
async fn a_proxy_is_believed_where_it_is_named() {
    // Requests of these tests come from this address.
    let from = |named: &str| {
        let named = named.to_owned();
        Site::with(&files(), move |config| config.behind_proxy = vec![named.parse().unwrap()])
    };
    let told = [("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "https")];
    let believed = from("192.0.2.0/24").send("GET", "/dicom-web/studies", &told).await;
    assert!(believed.json()[0]["00081190"]["Value"][0].as_str().unwrap().starts_with("https://localhost:8042/"));
    let plain = Site::of(&files()).send("GET", "/dicom-web/studies", &told).await;
    assert!(plain.json()[0]["00081190"]["Value"][0].as_str().unwrap().starts_with("http://localhost:8042/"));
    let other = from("10.0.0.1");
    assert_eq!(other.send("GET", "/dicom-web/studies", &told).await.status, StatusCode::FORBIDDEN, "past the proxy");
    assert_eq!(other.send("GET", "/healthz", &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn who_is_known_asks_no_oftener_than_is_set() {
    let few = std::num::NonZeroU32::new(5);
    let site = Site::with(&files(), |config| {
        config.door.mode = Mode::SignIn;
        config.door.requests_per_second = few;
    });
    let door = Door::new(site.archive.clone(), Options::default());
    let (one, other) = (key(&door, &[Right::Read], Filter::All), key(&door, &[Right::Read], only("patient=P-1")));
    let ask = async |key: &str, study: &str| {
        site.send("GET", &format!("/dicom-web/studies/{study}/metadata"), &[("authorization", key)]).await
    };
    let mut refused = None;
    for _ in 0..200 {
        let answer = ask(&one, STUDY).await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(answer);
            break;
        }
        assert_eq!(answer.status, StatusCode::OK);
    }
    assert_eq!(refused.unwrap().header("retry-after"), "1");
    // Another is not held up by it, and what it may not see counts as what is not there.
    for study in [OTHER, "1.2.3.77"] {
        assert_eq!(ask(&other, study).await.status, StatusCode::NOT_FOUND);
    }
    // A health check asks for nobody.
    for _ in 0..20 {
        assert_eq!(site.get("/healthz").await.status, StatusCode::OK);
    }
}
