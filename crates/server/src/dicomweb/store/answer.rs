//! The Store Instances Response (PS3.18 10.5.3 and Annex I): what is stored and where, and what is not and why.

use super::forms::Model;
use super::intake::Taken;
use super::outcome::{NOT_UNDERSTOOD, Named, OUT_OF_RESOURCES, Outcome};
use crate::media::{DICOM_JSON, DICOM_XML};
use crate::native_xml;
use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};

const RETRIEVE_URL: &str = "00081190";
const FAILED_SOP_SEQUENCE: &str = "00081198";
const REFERENCED_SOP_SEQUENCE: &str = "00081199";
const OTHER_FAILURES_SEQUENCE: &str = "0008119A";
const FAILURE_REASON: &str = "00081197";
const REFERENCED_CLASS: &str = "00081150";
const REFERENCED_INSTANCE: &str = "00081155";
/// Error Comment: in words what the reason has as a number.
const ERROR_COMMENT: &str = "00000902";
/// Longest comment, as its VR (LO) allows.
const LONGEST_COMMENT: usize = 64;

/// The answer for what became of a body.
pub fn response(taken: &Taken, root: &str, study: Option<&str>, model: Model) -> Response<Body> {
    let set = data_set(taken, root, study);
    let (content_type, body) = match model {
        Model::Json => (DICOM_JSON, Value::Object(set).to_string()),
        Model::Xml => (DICOM_XML, native_xml::document(&set)),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status(taken);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// 200: all is stored. 202: a part. 409: nothing. 507: nothing, for want of room.
fn status(taken: &Taken) -> StatusCode {
    let stored = taken.outcomes.iter().filter(|outcome| outcome.is_stored()).count();
    let whole = stored == taken.outcomes.len() && taken.trouble.is_none();
    let full = |outcome: &Outcome| outcome.reason() == Some(OUT_OF_RESOURCES);
    match stored {
        _ if whole => StatusCode::OK,
        0 if taken.outcomes.iter().all(full) => StatusCode::INSUFFICIENT_STORAGE,
        0 => StatusCode::CONFLICT,
        _ => StatusCode::ACCEPTED,
    }
}

fn data_set(taken: &Taken, root: &str, study: Option<&str>) -> Map<String, Value> {
    let (mut stored, mut failed, mut other) = (Vec::new(), Vec::new(), Vec::new());
    for outcome in &taken.outcomes {
        match outcome {
            Outcome::Stored { named, .. } => stored.push(referenced(named, root)),
            Outcome::Failed { named, reason, why } => failed.push(refused(Some(named), *reason, why)),
            Outcome::Other { reason, why } => other.push(refused(None, *reason, why)),
        }
    }
    if let Some(trouble) = &taken.trouble {
        other.push(refused(None, NOT_UNDERSTOOD, &trouble.to_string()));
    }
    let mut set = Map::new();
    if let Some(study) = study.or_else(|| one_study(taken)).filter(|_| !stored.is_empty()) {
        set.insert(RETRIEVE_URL.into(), text("UR", &format!("{root}/studies/{study}")));
    }
    for (tag, items) in
        [(FAILED_SOP_SEQUENCE, failed), (REFERENCED_SOP_SEQUENCE, stored), (OTHER_FAILURES_SEQUENCE, other)]
    {
        if !items.is_empty() {
            set.insert(tag.into(), json!({"vr": "SQ", "Value": items}));
        }
    }
    set
}

/// The study of all that is stored, where it is one.
fn one_study(taken: &Taken) -> Option<&str> {
    let mut studies = taken.outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Stored { named, .. } => Some(named.key.study.as_str()),
        _ => None,
    });
    let first = studies.next()?;
    studies.all(|other| other == first).then_some(first)
}

fn text(vr: &str, value: &str) -> Value {
    json!({"vr": vr, "Value": [value]})
}

fn item(named: &Named) -> Map<String, Value> {
    Map::from_iter([
        (REFERENCED_CLASS.to_owned(), text("UI", &named.class)),
        (REFERENCED_INSTANCE.to_owned(), text("UI", &named.key.sop)),
    ])
}

fn referenced(named: &Named, root: &str) -> Map<String, Value> {
    let mut item = item(named);
    let key = &named.key;
    let url = format!("{root}/studies/{}/series/{}/instances/{}", key.study, key.series, key.sop);
    item.insert(RETRIEVE_URL.into(), text("UR", &url));
    item
}

fn refused(named: Option<&Named>, reason: u16, why: &str) -> Map<String, Value> {
    let mut item = named.map(item).unwrap_or_default();
    let comment: String = why.chars().filter(|c| !c.is_control() && *c != '\\').take(LONGEST_COMMENT).collect();
    item.insert(FAILURE_REASON.into(), json!({"vr": "US", "Value": [reason]}));
    item.insert(ERROR_COMMENT.into(), text("LO", &comment));
    item
}
