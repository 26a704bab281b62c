//! The worklist of modalities over HTTP: filled, listed, emptied, and for whom.

use crate::site::{Answer, Site};
use access::{Door, Filter, Grants, Mode, NewKey, Options, Part};
use axum::body::Body;
use axum::http::StatusCode;
use jiff::{ToSpan, Zoned};
use serde_json::{Value, json};

const JSON: (&str, &str) = ("content-type", "application/dicom+json");

/// A day that is so far away.
fn day(days: i64) -> String {
    Zoned::now().date().checked_add(days.days()).unwrap().strftime("%Y%m%d").to_string()
}

fn item(patient: &str, study: &str, step: &str, modality: &str, day: &str) -> Value {
    let step = json!({
        "00080060": {"vr": "CS", "Value": [modality]},
        "00400001": {"vr": "AE", "Value": ["STATION1"]},
        "00400002": {"vr": "DA", "Value": [day]},
        "00400009": {"vr": "SH", "Value": [step]},
    });
    json!({
        "00080050": {"vr": "SH", "Value": [format!("A{patient}")]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Roe^Ana"}]},
        "00100020": {"vr": "LO", "Value": [patient]},
        "0020000D": {"vr": "UI", "Value": [study]},
        "00400100": {"vr": "SQ", "Value": [step]},
    })
}

async fn put(site: &Site, items: &Value, headers: &[(&str, &str)]) -> Answer {
    site.post("/worklist", &[&[JSON], headers].concat(), Body::from(items.to_string())).await
}

/// The patients of what is listed.
async fn listed(site: &Site, query: &str, headers: &[(&str, &str)]) -> Vec<String> {
    let answer = site.send("GET", &format!("/worklist{query}"), headers).await;
    assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.text());
    let rows = answer.json();
    rows.as_array().unwrap().iter().map(|row| row["00100020"]["Value"][0].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn items_are_put_listed_and_removed() {
    let site = Site::of(&[]);
    let items = json!([item("P1", "1.1", "S1", "CT", &day(0)), item("P2", "1.2", "S1", "MR", &day(1))]);
    let kept = put(&site, &items, &[]).await;
    assert_eq!((kept.status, kept.header("content-type")), (StatusCode::CREATED, "application/dicom+json"));
    assert_eq!(kept.json(), items);
    assert_eq!(listed(&site, "", &[]).await, ["P1", "P2"]);
    for (query, expected) in [
        ("?Modality=MR", vec!["P2"]),
        ("?ScheduledStationAETitle=station1&limit=1", vec!["P1"]),
        ("?offset=1", vec!["P2"]),
        (&format!("?ScheduledProcedureStepStartDate={}-{}", day(1), day(9)), vec!["P2"]),
        ("?PatientName=roe*&00100020=P1", vec!["P1"]),
        ("?StudyInstanceUID=1.1,1.2", vec!["P1", "P2"]),
        ("?StudyInstanceUID=1.9", vec![]),
    ] {
        assert_eq!(listed(&site, query, &[]).await, expected, "{query}");
    }
    // Again, on another day: it is the same.
    assert_eq!(put(&site, &item("P1", "1.1", "S1", "CT", &day(2)), &[]).await.status, StatusCode::CREATED);
    assert_eq!(listed(&site, "", &[]).await, ["P2", "P1"]);
    let gone = site.send("DELETE", "/worklist?AccessionNumber=AP1", &[]).await;
    assert_eq!((gone.status, gone.json()), (StatusCode::OK, json!({"removed": 1})));
    assert_eq!(site.send("DELETE", "/worklist?AccessionNumber=AP1", &[]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(listed(&site, "", &[]).await, ["P2"]);
    // What is long over is forgotten when something is put.
    put(&site, &item("P3", "1.3", "S1", "CT", &day(-40)), &[]).await;
    put(&site, &item("P4", "1.4", "S1", "CT", &day(-20)), &[]).await;
    assert_eq!(listed(&site, "", &[]).await, ["P4", "P2"]);
}

#[tokio::test]
async fn what_is_wrong_is_told_and_nothing_is_kept() {
    let site = Site::of(&[]);
    let good = item("P1", "1.1", "S1", "CT", &day(0));
    let mut wrong = good.clone();
    wrong["00400100"] = json!({"vr": "SQ", "Value": [{}]});
    let refused = put(&site, &json!([good, wrong]), &[]).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.text().starts_with("item 2: 00400002"), "{}", refused.text());
    let plain = site.post("/worklist", &[("content-type", "text/plain")], Body::from("x")).await;
    assert_eq!(plain.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(site.post("/worklist", &[JSON], Body::from("{")).await.status, StatusCode::BAD_REQUEST);
    let large = site.post("/worklist", &[JSON], Body::from(vec![b' '; 2 << 20])).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    for query in ["", "?PatientID=P1", "?AccessionNumber=*", "?Nonsense=1"] {
        let answer = site.send("DELETE", &format!("/worklist{query}"), &[]).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
    }
    assert!(listed(&site, "", &[]).await.is_empty());
    let reader = Site::with(&[], |config| config.store = false);
    assert_eq!(put(&reader, &good, &[]).await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn whoever_may_not_store_a_study_is_told_nothing_of_it() {
    let site = Site::with(&[], |config| config.door.mode = Mode::SignIn);
    let door = Door::new(site.archive.clone(), Options::default());
    let key = |may: &str, only: &[&str]| {
        let parts = only.iter().map(|part| part.parse::<Part>().unwrap()).collect();
        let on = if only.is_empty() { Filter::All } else { Filter::Any(parts) };
        let grants = Grants::one(may.parse().unwrap(), on);
        format!("Bearer {}", door.add_key(NewKey { name: "k".into(), grants, lasts: None }).unwrap().1.key_text())
    };
    let (all, mr, reader) = (key("read,write", &[]), key("write", &["modality=MR"]), key("read", &[]));
    let by = |key: &str| vec![("authorization".to_owned(), key.to_owned())];
    let (all, mr, reader) = (by(&all), by(&mr), by(&reader));
    fn of(headers: &[(String, String)]) -> Vec<(&str, &str)> {
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
    let items = json!([item("P1", "1.1", "S1", "CT", &day(0)), item("P2", "1.2", "S1", "MR", &day(0))]);
    assert_eq!(put(&site, &items, &of(&mr)).await.status, StatusCode::FORBIDDEN);
    assert_eq!(put(&site, &items, &of(&reader)).await.status, StatusCode::FORBIDDEN);
    assert_eq!(put(&site, &items, &[]).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(put(&site, &items, &of(&all)).await.status, StatusCode::CREATED);
    assert_eq!(listed(&site, "", &of(&mr)).await, ["P2"]);
    assert_eq!(listed(&site, "", &of(&all)).await, ["P1", "P2"]);
    for target in ["/worklist", "/worklist/performed"] {
        assert_eq!(site.send("GET", target, &of(&reader)).await.status, StatusCode::FORBIDDEN, "{target}");
    }
    // As what is not there.
    let hidden = site.send("DELETE", "/worklist?StudyInstanceUID=1.1", &of(&mr)).await;
    let absent = site.send("DELETE", "/worklist?StudyInstanceUID=1.9", &of(&mr)).await;
    // But for the line that names the request.
    let told = |answer: &Answer| (answer.status, answer.text().lines().next().map(str::to_owned));
    assert_eq!((told(&hidden), hidden.status), (told(&absent), StatusCode::NOT_FOUND));
    assert_eq!(listed(&site, "", &of(&all)).await, ["P1", "P2"]);
}
