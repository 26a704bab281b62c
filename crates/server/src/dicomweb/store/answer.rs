//! The Store Instances Response (PS3.18 10.5.3 and Annex I): what is stored and where, and what is not and why.

use super::intake::Taken;
use super::outcome::{NOT_UNDERSTOOD, Named, OUT_OF_RESOURCES, Outcome};
use crate::accept;
use crate::error::{Answered, Problem};
use crate::media::{DICOM_JSON, DICOM_XML};
use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};
use std::fmt::Write;

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

/// How the data set of the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// DICOM JSON.
    Json,
    /// The Native DICOM Model in XML.
    Xml,
}

impl Model {
    /// The one that the client likes best; JSON where it does not say.
    pub fn of(accept: Option<&str>) -> Answered<Model> {
        let ranges = accept::parse(accept.unwrap_or_default());
        if ranges.is_empty() {
            return Ok(Model::Json);
        }
        ranges
            .iter()
            .find_map(|range| match () {
                () if range.covers(DICOM_JSON) || range.covers("application/json") => Some(Model::Json),
                () if range.covers(DICOM_XML) || range.covers("text/xml") || range.covers("application/xml") => {
                    Some(Model::Xml)
                }
                () => None,
            })
            .ok_or_else(|| Problem::not_acceptable("the answer is application/dicom+json or application/dicom+xml"))
    }
}

/// The answer for what became of a body.
pub fn response(taken: &Taken, root: &str, study: Option<&str>, model: Model) -> Response<Body> {
    let set = data_set(taken, root, study);
    let (content_type, body) = match model {
        Model::Json => (DICOM_JSON, Value::Object(set).to_string()),
        Model::Xml => (DICOM_XML, xml(&set)),
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

/// The Native DICOM Model (PS3.19 A.1) of a data set of texts, numbers and sequences.
fn xml(set: &Map<String, Value>) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    out.push_str("<NativeDicomModel xmlns=\"http://dicom.nema.org/PS3.19/models/NativeDICOM\">");
    xml_attributes(&mut out, set);
    out.push_str("</NativeDicomModel>\n");
    out
}

fn xml_attributes(out: &mut String, set: &Map<String, Value>) {
    for (tag, attribute) in set {
        let vr = attribute["vr"].as_str().unwrap_or("UN");
        let _ = write!(out, "<DicomAttribute tag=\"{tag}\" vr=\"{vr}\" keyword=\"{}\">", keyword(tag));
        for (n, value) in attribute["Value"].as_array().into_iter().flatten().enumerate() {
            xml_value(out, n + 1, value);
        }
        out.push_str("</DicomAttribute>");
    }
}

fn xml_value(out: &mut String, number: usize, value: &Value) {
    match value {
        Value::Object(item) => {
            let _ = write!(out, "<Item number=\"{number}\">");
            xml_attributes(out, item);
            out.push_str("</Item>");
        }
        Value::String(text) => {
            let _ = write!(out, "<Value number=\"{number}\">{}</Value>", escaped(text));
        }
        other => {
            let _ = write!(out, "<Value number=\"{number}\">{other}</Value>");
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn keyword(tag: &str) -> &'static str {
    match tag {
        RETRIEVE_URL => "RetrieveURL",
        FAILED_SOP_SEQUENCE => "FailedSOPSequence",
        REFERENCED_SOP_SEQUENCE => "ReferencedSOPSequence",
        OTHER_FAILURES_SEQUENCE => "OtherFailuresSequence",
        FAILURE_REASON => "FailureReason",
        REFERENCED_CLASS => "ReferencedSOPClassUID",
        REFERENCED_INSTANCE => "ReferencedSOPInstanceUID",
        _ => "ErrorComment",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_reads() {
        for (accept, model) in [
            (None, Some(Model::Json)),
            (Some("*/*"), Some(Model::Json)),
            (Some("undefined"), Some(Model::Json)),
            (Some("application/json"), Some(Model::Json)),
            (Some("application/dicom+xml, application/dicom+json;q=0.5"), Some(Model::Xml)),
            (Some("application/dicom+xml;q=0.1, */*;q=0.05"), Some(Model::Xml)),
            (Some("text/html, image/*"), None),
        ] {
            assert_eq!(Model::of(accept).ok(), model, "{accept:?}");
        }
    }
}
