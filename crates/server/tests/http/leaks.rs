//! What may not be seen is as what is not there: over all routes, whatever is asked and shown.
//!
//! The routes are those that the router has, so that a new one is in it by itself.

use crate::made::{CT, EXPLICIT, Made};
use crate::site::{Answer, Site};
use access::{Door, Filter, Grant, Grants, Mode, NewKey, Options, Part, Right, Rights};
use axum::http::StatusCode;
use dicom_core::VR;
use serde_json::Value;
use std::collections::BTreeSet;

const STUDIES: [(&str, &str, &str, &str); 4] = [
    ("1.2.3.1", "P-1", "CT", "north"),
    ("1.2.3.2", "P-2", "MR", "north"),
    ("1.2.3.3", "P-1", "MR", "south"),
    ("1.2.3.4", "P-4", "DX", "south"),
];
/// Of no study.
const NOWHERE: &str = "1.2.3.9";
/// Requests for what may not be seen, each held against the same for what is not there; so many an identity at most.
const COMPARED: usize = 10_000;
const OF_ONE: usize = 100;

/// SplitMix64: the same requests in every run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        (self.next() % most as u64) as usize
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

fn files() -> Vec<Vec<u8>> {
    let made = |(study, patient, modality, _): (&str, &str, &str, &str)| {
        let series = format!("{study}.5");
        let made = Made::new(&format!("{study}.5.1"), CT, EXPLICIT).elsewhere("A^B", study, &series);
        let made = made.with(0x0010_0020, VR::LO, patient).with(0x0008_0060, VR::CS, modality);
        // Private bulk data too.
        made.grey16(16, 16, &[vec![7; 256], vec![9; 256]]).file()
    };
    STUDIES.into_iter().map(made).collect()
}

fn site() -> (Site, Door) {
    let site = Site::with(&files(), |config| config.door.mode = Mode::SignIn);
    let door = Door::new(site.archive.clone(), Options::default());
    for (study, _, _, label) in STUDIES {
        assert!(door.label(study, label, true).unwrap());
    }
    (site, door)
}

/// Random rights; whether a study may be read by them.
fn grants(chance: &mut Chance) -> Grants {
    let parts = [
        "patient=P-1",
        "patient=P-2",
        "modality=MR",
        "modality=US",
        "label=south",
        "study=1.2.3.4",
        "study=1.2.3.1\\1.2.3.2",
    ];
    let grant = |chance: &mut Chance| {
        let mut rights: Vec<Right> = Right::ALL.into_iter().filter(|_| chance.below(2) == 0).collect();
        rights.push(Right::Read);
        let parts = (0..chance.below(3)).map(|_| chance.of(&parts).parse::<Part>().unwrap()).collect();
        Grant { may: rights.into_iter().collect(), on: Filter::Any(parts) }
    };
    Grants((0..=chance.below(2)).map(|_| grant(chance)).collect())
}

fn sees(grants: &Grants, (study, patient, modality, label): (&str, &str, &str, &str)) -> bool {
    let facts = access::StudyFacts {
        study: study.into(),
        patient: patient.into(),
        issuer: String::new(),
        modalities: vec![modality.into()],
        labels: vec![label.into()],
    };
    grants.0.iter().any(|grant| grant.may.has(Right::Read) && grant.on.takes(&facts))
}

/// A path of the route for a study.
fn fill(route: &str, study: &str, real: &str, chance: &mut Chance) -> String {
    let pieces = route.split('/').map(|piece| match piece {
        "{study}" => study.to_owned(),
        "{series}" => format!("{real}.5"),
        "{instance}" => format!("{real}.5.1"),
        "{frames}" => chance.of(&["1", "2", "1,2", "9"]).to_owned(),
        "{*path}" => chance.of(&["7FE00010", "00091010", "x/y"]).to_owned(),
        other => other.to_owned(),
    });
    pieces.collect::<Vec<_>>().join("/")
}

/// What is told, but for what differs from one request to the next.
fn told(answer: &Answer, study: &str) -> (StatusCode, Vec<(String, String)>, String) {
    let mut headers: Vec<(String, String)> = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "x-request-id")
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).replace(study, "STUDY")))
        .collect();
    headers.sort();
    let body = String::from_utf8_lossy(&answer.body).replace(study, "STUDY");
    let lines = body.lines().filter(|line| !line.starts_with("request "));
    (answer.status, headers, lines.collect::<Vec<_>>().join("\n"))
}

#[tokio::test]
async fn what_may_not_be_seen_is_as_what_is_not_there() {
    let (site, door) = site();
    let routes = server::paths(server::Config::new(site.archive.clone()));
    let of_study: Vec<&String> = routes.iter().filter(|route| route.contains("{study}")).collect();
    assert!(of_study.len() >= 20, "{routes:?}");
    let all =
        door.add_key(NewKey { name: "all".into(), grants: Grants::everything(), lasts: None }).unwrap().1.key_text();
    let all = format!("Bearer {all}");
    let mut chance = Chance(1);
    let (mut compared, mut hit) = (0, BTreeSet::new());
    let mut identities = 0;
    while compared < COMPARED {
        identities += 1;
        let grants = grants(&mut chance);
        let key =
            door.add_key(NewKey { name: "some".into(), grants: grants.clone(), lasts: None }).unwrap().1.key_text();
        let key = format!("Bearer {key}");
        for _ in 0..OF_ONE {
            let study = chance.of(&STUDIES);
            if sees(&grants, study) {
                continue;
            }
            let query = chance.of(&[
                "",
                "?accept=image/png",
                "?includefield=all&limit=1",
                "?level=1",
                "?viewport=8,8",
                "?series=1",
            ]);
            let wado = chance.below(8) == 0;
            let route = chance.of(&of_study);
            let place = chance.next();
            // The same choices for both.
            let target = |named: &str| match wado {
                true => format!(
                    "/dicom-web/wado?requestType=WADO&studyUID={named}&seriesUID={0}.5&objectUID={0}.5.1",
                    study.0
                ),
                false => format!("{}{query}", fill(route, named, study.0, &mut Chance(place))),
            };
            let method = chance.of(&["GET", "GET", "GET", "HEAD", "OPTIONS", "DELETE", "PUT"]);
            let shape = chance.below(5);
            // The entity tag that who may see it has.
            let etag = match shape {
                0 => site.send("GET", &target(study.0), &[("authorization", &all)]).await.header("etag").to_owned(),
                _ => String::new(),
            };
            let mut headers = vec![("authorization", key.as_str())];
            match shape {
                0 if !etag.is_empty() => headers.push(("if-none-match", &etag)),
                1 => headers.push(("range", "bytes=0-9")),
                2 => headers.push(("if-none-match", "*")),
                3 => {
                    headers.push(("accept", "multipart/related; type=\"application/octet-stream\"; transfer-syntax=*"))
                }
                _ => {}
            }
            let hidden = site.send(method, &target(study.0), &headers).await;
            let absent = site.send(method, &target(NOWHERE), &headers).await;
            let (hidden, absent) = (told(&hidden, study.0), told(&absent, NOWHERE));
            assert_eq!(hidden, absent, "{method} {} {headers:?} by {grants:?}", target(study.0));
            compared += 1;
            hit.insert(if wado { "wado" } else { route.as_str() });
        }
    }
    println!(
        "{compared} requests of {identities} identities for what they may not see, over {} routes: 0 leaks",
        hit.len()
    );
    assert!(hit.len() >= of_study.len() && identities > 100, "{identities} {hit:?}");
}

fn studies(answer: &Answer) -> BTreeSet<String> {
    let rows: Value = answer.json();
    rows.as_array().unwrap().iter().map(|row| row["0020000D"]["Value"][0].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn searches_count_what_may_be_seen() {
    let (site, door) = site();
    let mut chance = Chance(2);
    for _ in 0..40 {
        let grants = grants(&mut chance);
        let key =
            door.add_key(NewKey { name: "some".into(), grants: grants.clone(), lasts: None }).unwrap().1.key_text();
        let key = format!("Bearer {key}");
        let seen: BTreeSet<String> =
            STUDIES.into_iter().filter(|study| sees(&grants, *study)).map(|study| study.0.to_owned()).collect();
        let changes = site.send("GET", "/changes", &[("authorization", &key)]).await.json();
        let told =
            changes["changes"].as_array().unwrap().iter().map(|change| change["study"].as_str().unwrap().to_owned());
        assert_eq!(told.collect::<BTreeSet<_>>(), seen, "{grants:?}");
        for level in ["studies", "series", "instances"] {
            let query = |query: &str| format!("/dicom-web/{level}?includefield=0020000D{query}");
            let ask = async |query: String| site.send("GET", &query, &[("authorization", &key)]).await;
            let whole = ask(query("")).await;
            assert_eq!(studies(&whole), seen, "{level} {grants:?}");
            assert_eq!(whole.header("x-total-count"), seen.len().to_string());
            let mut pages = BTreeSet::new();
            for offset in 0..=seen.len() {
                let page = ask(query(&format!("&limit=1&offset={offset}"))).await;
                pages.extend(studies(&page));
                let more = page.header("warning").contains("additional results");
                assert_eq!(more, offset + 1 < seen.len(), "{level} {offset} {grants:?}");
                let total = page.header("x-total-count");
                assert!(
                    total.is_empty() || total == seen.len().to_string() || offset >= seen.len(),
                    "{total} {grants:?}"
                );
            }
            assert_eq!(pages, seen);
            for (study, patient, ..) in STUDIES {
                let by = ask(query(&format!("&PatientID={patient}"))).await;
                assert!(studies(&by).is_subset(&seen), "{level} {patient} {grants:?}");
                let named = ask(query(&format!("&StudyInstanceUID={study}"))).await;
                assert_eq!(studies(&named).contains(study), seen.contains(study));
            }
        }
    }
}

#[tokio::test]
async fn every_route_was_thought_of() {
    let (site, _) = site();
    // Of these, nobody has to be known.
    let open = [
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/start.css",
        "/start.js",
        "/start.svg",
        "/status.css",
        "/status.js",
        "/sign-in",
        "/sign-in.css",
        "/sign-in/provider",
        "/sign-in/provider/back",
        "/sign-out",
        "/welcome/{token}",
    ];
    let mut chance = Chance(3);
    for route in server::paths(server::Config::new(site.archive.clone())) {
        let target = fill(&route, "1.2.3.1", "1.2.3.1", &mut chance).replace("{id}", "x").replace("{token}", "x");
        for method in ["GET", "POST", "DELETE"] {
            let answer = site.send(method, &target, &[]).await;
            let asks = answer.status == StatusCode::UNAUTHORIZED && !answer.header("www-authenticate").is_empty();
            let is_open = open.contains(&route.as_str()) || (route == "/viewer/{*path}" && target.contains('.'));
            assert_eq!(asks, !is_open, "{method} {target} {}", answer.status);
        }
    }
}

/// Rights are for nothing that was not said.
#[test]
fn rights_without_a_filter_are_none() {
    assert!(!sees(&Grants(vec![Grant { may: Rights::all(), on: Filter::Any(Vec::new()) }]), STUDIES[0]));
}
