//! What modalities have to do, and say that they do: the worklist is filled, listed and emptied as DICOM JSON (PS3.18 F.2), the performed
//! steps are listed. Modalities themselves ask over DIMSE (PS3.4 Annexes F and K). Each item is for whoever may store its study.

use crate::access::For;
use crate::error::{Answered, Problem};
use crate::media::DICOM_JSON;
use crate::query::Parameters;
use crate::reply::Reply;
use crate::state::App;
use ::access::Right;
use archive::{NotScheduled, SCHEDULED_DAYS, Scheduled, Tag};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use axum::routing::get;
use dicom::Vr;
use dicom::dictionary;
use jiff::{ToSpan, Zoned};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Bytes of what is posted: some 500 items.
const LARGEST: usize = 1 << 20;
/// Rows of an answer where the client names no limit, and whatever it says.
const PAGE: usize = 200;
const LARGEST_PAGE: usize = 1000;
/// Performed steps that are listed.
const LISTED: u32 = 1000;

const STEPS: Tag = Tag(0x0040, 0x0100);
/// Attributes of the scheduled step; all others are of the item (PS3.4 K.6.1.2.2).
const OF_STEP: [Tag; 9] = [
    Tag(0x0008, 0x0060),
    Tag(0x0040, 0x0001),
    Tag(0x0040, 0x0002),
    Tag(0x0040, 0x0003),
    Tag(0x0040, 0x0006),
    Tag(0x0040, 0x0007),
    Tag(0x0040, 0x0009),
    Tag(0x0040, 0x0010),
    Tag(0x0040, 0x0020),
];
/// One of these says which items are removed: Study Instance UID, Accession Number, Scheduled Procedure Step ID.
const NAMES: [Tag; 3] = [Tag(0x0020, 0x000D), Tag(0x0008, 0x0050), Tag(0x0040, 0x0009)];

/// `/worklist` and what is below it.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/worklist", get(list).post(put).delete(remove).layer(DefaultBodyLimit::max(LARGEST)))
        .route("/worklist/performed", get(performed))
}

async fn list(
    State(app): State<Arc<App>>,
    asker: For,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Answered<Response<Body>> {
    let keys = Keys::read(query.as_deref())?;
    app.read(move |app| {
        let items = found(app, &asker, &keys.json())?;
        let rows: Vec<_> = items.iter().skip(keys.offset).take(keys.limit).map(Scheduled::json).collect();
        let mut response = answer(&json!(rows), &headers, &method);
        if items.len() > keys.offset.saturating_add(rows.len()) {
            let more = HeaderValue::from_static("299 - \"there are additional results: ask with limit and offset\"");
            response.headers_mut().insert(header::WARNING, more);
        }
        Ok(response)
    })
    .await
}

/// Keeps an item or a list of them, all or none.
async fn put(
    State(app): State<Arc<App>>,
    asker: For,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Answered<Response<Body>> {
    writable(&app)?;
    let told = headers.get(header::CONTENT_TYPE).and_then(|told| told.to_str().ok()).unwrap_or_default();
    let essence = told.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if ![DICOM_JSON, "application/json"].contains(&essence.as_str()) {
        return Err(Problem::unsupported_media_type("items of the worklist are application/dicom+json"));
    }
    let json: Value =
        serde_json::from_slice(&body).map_err(|error| Problem::bad_request(format!("the body is no JSON: {error}")))?;
    let items = match json {
        Value::Array(items) => items,
        item => vec![item],
    };
    let read = |(n, item): (usize, &Value)| {
        Scheduled::read(item).map_err(|why| Problem::bad_request(format!("item {}: {why}", n + 1)))
    };
    let items: Vec<Scheduled> = items.iter().enumerate().map(read).collect::<Answered<_>>()?;
    if !items.iter().all(|item| asker.0.may(Right::Write, &item.facts())) {
        return Err(Problem::forbidden("you may not store what is of such a study"));
    }
    app.read(move |app| {
        app.archive.schedule(&items, &oldest()).map_err(|error| match error {
            NotScheduled::Full => Problem::conflict(&error.to_string()),
            NotScheduled::Failed(error) => error.into(),
        })?;
        let kept: Vec<_> = items.iter().map(Scheduled::json).collect();
        let mut response = answer(&json!(kept), &headers, &method);
        *response.status_mut() = StatusCode::CREATED;
        Ok(response)
    })
    .await
}

/// Removes the items that fulfil all keys.
async fn remove(
    State(app): State<Arc<App>>,
    asker: For,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Answered<Response<Body>> {
    writable(&app)?;
    let keys = Keys::read(query.as_deref())?;
    if !keys.names_items() {
        return Err(Problem::bad_request(
            "name what is removed: StudyInstanceUID, AccessionNumber or ScheduledProcedureStepID",
        ));
    }
    app.read(move |app| {
        let mut removed = 0;
        for item in found(app, &asker, &keys.json())? {
            removed += u64::from(app.archive.unschedule(&item)?);
        }
        match removed {
            0 => Err(Problem::not_found("item")),
            removed => {
                let body = json!({"removed": removed}).to_string();
                Ok(Reply::new("application/json", body).answer(&method, &headers))
            }
        }
    })
    .await
}

async fn performed(
    State(app): State<Arc<App>>,
    asker: For,
    method: Method,
    headers: HeaderMap,
) -> Answered<Response<Body>> {
    app.read(move |app| {
        let steps = app.archive.performed(LISTED, &|facts| asker.0.may(Right::Write, facts))?;
        Ok(answer(&json!(steps), &headers, &method))
    })
    .await
}

fn answer(json: &Value, headers: &HeaderMap, method: &Method) -> Response<Body> {
    Reply::new(DICOM_JSON, json.to_string()).compressed(headers).answer(method, headers)
}

fn writable(app: &App) -> Answered<()> {
    if app.config.store { Ok(()) } else { Err(Problem::read_only()) }
}

fn found(app: &App, asker: &For, keys: &Map<String, Value>) -> Answered<Vec<Scheduled>> {
    let mut items = app.archive.scheduled(keys)?;
    items.retain(|item| asker.0.may(Right::Write, &item.facts()));
    Ok(items)
}

/// The first day whose items are kept.
fn oldest() -> String {
    let day = Zoned::now().date().checked_sub(SCHEDULED_DAYS.days()).unwrap_or(jiff::civil::Date::MIN);
    day.strftime("%Y%m%d").to_string()
}

/// What is asked for, as in searches (PS3.18 8.3.4).
struct Keys {
    matches: Vec<(Tag, String)>,
    limit: usize,
    offset: usize,
}

impl Keys {
    fn read(query: Option<&str>) -> Answered<Keys> {
        let mut keys = Keys { matches: Vec::new(), limit: PAGE, offset: 0 };
        for (name, value) in Parameters::parse(query).iter() {
            let number = || {
                value
                    .parse()
                    .map_err(|_| Problem::bad_request(format!("{name} is a number, not {}", value.escape_debug())))
            };
            match name {
                "limit" => keys.limit = number()?,
                "offset" => keys.offset = number()?,
                _ if value.is_empty() => {}
                name => {
                    let unknown = || Problem::bad_request(format!("there is no attribute {}", name.escape_debug()));
                    keys.matches.push((tag(name).ok_or_else(unknown)?, value.to_owned()));
                }
            }
        }
        keys.limit = keys.limit.min(LARGEST_PAGE);
        Ok(keys)
    }

    /// As a modality would ask.
    fn json(&self) -> Map<String, Value> {
        let (mut item, mut step) = (Map::new(), Map::new());
        for (tag, value) in &self.matches {
            let vr = dictionary::vr_of(*tag);
            let values: Vec<&str> = if vr == Vr::UI { value.split([',', '\\']).collect() } else { vec![value] };
            let of = if OF_STEP.contains(tag) { &mut step } else { &mut item };
            of.insert(format!("{:04X}{:04X}", tag.0, tag.1), json!({"vr": vr.to_string(), "Value": values}));
        }
        if !step.is_empty() {
            item.insert(format!("{:04X}{:04X}", STEPS.0, STEPS.1), json!({"vr": "SQ", "Value": [step]}));
        }
        item
    }

    fn names_items(&self) -> bool {
        self.matches.iter().any(|(tag, value)| NAMES.contains(tag) && !value.contains(['*', '?']))
    }
}

/// An attribute by its keyword or its 8 digits.
fn tag(name: &str) -> Option<Tag> {
    let digits = (name.len() == 8).then(|| u32::from_str_radix(name, 16).ok()).flatten();
    digits.map(|number| Tag((number >> 16) as u16, number as u16)).or_else(|| dictionary::tag_of(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_step_are_in_it() {
        let keys =
            Keys::read(Some("PatientID=P1&Modality=CT&00400002=20240101-20240105&limit=5&PatientName=")).ok().unwrap();
        let expected = json!({
            "00100020": {"vr": "LO", "Value": ["P1"]},
            "00400100": {"vr": "SQ", "Value": [{
                "00080060": {"vr": "CS", "Value": ["CT"]},
                "00400002": {"vr": "DA", "Value": ["20240101-20240105"]},
            }]},
        });
        assert_eq!((Value::Object(keys.json()), keys.limit), (expected, 5));
        assert!(Keys::read(Some("Nonsense=1")).is_err() && Keys::read(Some("limit=x")).is_err());
    }

    #[test]
    fn what_is_removed_is_named() {
        let names = |query| Keys::read(Some(query)).ok().unwrap().names_items();
        assert!(names("StudyInstanceUID=1.2") && names("ScheduledProcedureStepID=S1&PatientID=P"));
        assert!(!names("PatientID=P1") && !names("AccessionNumber=*") && !names(""));
    }
}
