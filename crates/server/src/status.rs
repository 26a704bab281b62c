//! `/status`: a page for those who run the archive, and what it asks for: how much is stored and waits, the disk, the load, the scrubber's pass;
//! and lists of what needs somebody's eyes: failed conversions, conflicts, what can't be served, what failed a check. What somebody decides of
//! a row is a POST of a page of ours: to try a conversion again, to keep what is served, to serve the other object.
//!
//! It tells UIDs, hashes and paths of sources, and no name of a patient.

use crate::access::{self, For};
use crate::error::{Answered, Problem};
use crate::pages;
use crate::query::Parameters;
use crate::reply::Reply;
use crate::state::App;
use archive::{Archive, Beside, Chosen, Fault, InstanceKey, State as JobState, Unservable};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use axum::routing::{get, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Rows of a page of a list.
const PAGE: usize = 100;
/// Bytes of a decision.
const LARGEST: usize = 4 << 10;

/// The page, its files, and what it asks for.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/status", get(async |method: Method, headers: HeaderMap| pages::status(&method, &headers)))
        .route("/status/now", get(now))
        .route("/status/lists/{list}", get(list))
        .route("/status/lists/failed/again", post(again))
        .route("/status/lists/conflicts/keep", post(keep))
        .route("/status/lists/conflicts/serve", post(serve))
        .layer(DefaultBodyLimit::max(LARGEST))
}

/// An instance, as a row names it.
#[derive(Deserialize)]
struct Named {
    study: String,
    series: String,
    instance: String,
}

/// An object that is kept beside another, as a row names it.
#[derive(Deserialize)]
struct Other {
    study: String,
    object: String,
}

/// Lets a conversion that failed be tried again.
async fn again(
    State(app): State<Arc<App>>,
    asker: For,
    extensions: Extensions,
    headers: HeaderMap,
    body: Bytes,
) -> Answered<StatusCode> {
    let Named { study, series, instance } = named(&headers, &body)?;
    app.read(move |app| {
        let key = InstanceKey { study, series, sop: instance };
        if !app.archive.try_again(&key)? {
            return Err(Problem::not_found("failed conversion of that instance"));
        }
        Ok(changed(app, &asker, &extensions, &key.study))
    })
    .await
}

/// Leaves what is served, and takes the other object off the list.
async fn keep(
    State(app): State<Arc<App>>,
    asker: For,
    extensions: Extensions,
    headers: HeaderMap,
    body: Bytes,
) -> Answered<StatusCode> {
    let Other { study, object } = named(&headers, &body)?;
    app.read(move |app| {
        let is_of_study = app.archive.conflicts()?.iter().any(|row| row.object_id == object && row.key.study == study);
        if !is_of_study || !app.archive.settle(&object)? {
            return Err(Problem::not_found("such conflict"));
        }
        Ok(changed(app, &asker, &extensions, &study))
    })
    .await
}

/// Serves the other object; the one before it is kept beside it.
async fn serve(
    State(app): State<Arc<App>>,
    asker: For,
    extensions: Extensions,
    headers: HeaderMap,
    body: Bytes,
) -> Answered<StatusCode> {
    let Other { study, object } = named(&headers, &body)?;
    app.read(move |app| {
        let known = app.archive.conflicts()?.into_iter().chain(app.archive.settled()?);
        let is_of_study = known.into_iter().any(|row| row.object_id == object && row.key.study == study);
        let chosen = if is_of_study { app.archive.hand_out(&object)? } else { Chosen::Unknown };
        match chosen {
            Chosen::Done => Ok(changed(app, &asker, &extensions, &study)),
            Chosen::Unknown => Err(Problem::not_found("such object beside another")),
            Chosen::Released => Err(Problem::conflict("its bytes were released: restore them first")),
        }
    })
    .await
}

/// What a body names. It is JSON, which no form of another page can send.
fn named<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Answered<T> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().unwrap_or_default().trim() != "application/json" {
        return Err(Problem::bad_request("a row is named in application/json"));
    }
    serde_json::from_slice(body).map_err(|error| Problem::bad_request(format!("no row is named: {error}")))
}

/// It is done, and recorded.
fn changed(app: &App, asker: &For, extensions: &Extensions, study: &str) -> StatusCode {
    let who = asker.0.who();
    tracing::info!(%who, %study, "somebody decided about an instance");
    access::record_changed(app, asker, access::client(extensions), study);
    StatusCode::NO_CONTENT
}

/// The figures of this moment; the page works out speeds from two of them.
async fn now(State(app): State<Arc<App>>, method: Method, headers: HeaderMap) -> Answered<Response<Body>> {
    app.read(move |app| Ok(fresh(&figures(app)?, &method, &headers))).await
}

fn figures(app: &App) -> Answered<Value> {
    let stats = app.archive.stats()?;
    let pass = app.archive.figures()?.scrub;
    let (open, reserved) = app.connections.open();
    Ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "studies": stats.studies,
        "series": stats.series,
        "instances": stats.instances,
        "converted": stats.converted,
        "kept": stats.kept,
        "pending": stats.pending,
        "failed": stats.failed,
        "conflicts": stats.conflicts,
        "receivedBytes": stats.received_bytes,
        "convertedBytes": stats.converted_bytes,
        "stored": app.metrics.stored.new.load(Relaxed),
        "refused": app.metrics.stored.refused.load(Relaxed),
        "requests": app.metrics.answered(),
        "sentBytes": app.metrics.sent_bytes(),
        "active": app.metrics.active.load(Relaxed),
        "connections": open + reserved,
        "disk": disk(app),
        "scrub": pass.map(|pass| json!({
            "began": pass.began, "ended": pass.ended, "bytes": pass.bytes, "ofBytes": pass.of_bytes, "objects": pass.objects, "ofObjects": pass.of_objects,
        })),
    }))
}

/// Bytes of the disk where the archive's folder is, free and in all.
fn disk(app: &App) -> Option<Value> {
    let disk = rustix::fs::statvfs(app.config.data_dir.as_ref()?).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    Some(json!({"free": bytes(disk.f_bavail), "total": bytes(disk.f_blocks)}))
}

/// One page of a list, after `offset` rows.
async fn list(
    State(app): State<Arc<App>>,
    Path(list): Path<String>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Answered<Response<Body>> {
    let parameters = Parameters::parse(query.as_deref());
    let offset = match parameters.get("offset") {
        None => 0,
        Some(text) => text.parse().map_err(|_| Problem::bad_request(format!("no offset: {text}")))?,
    };
    app.read(move |app| {
        let mut rows = rows(&app.archive, &list, offset)?;
        let more = rows.len() > PAGE;
        rows.truncate(PAGE);
        Ok(fresh(&json!({"rows": rows, "more": more}), &method, &headers))
    })
    .await
}

/// The rows of a list after `offset`, one more than a page where there are more.
fn rows(archive: &Archive, list: &str, offset: usize) -> Answered<Vec<Value>> {
    let page = |rows: Vec<Value>| rows.into_iter().skip(offset).take(PAGE + 1).collect();
    Ok(match list {
        "failed" => decisions(archive, JobState::Failed, offset)?,
        "waiting" => decisions(archive, JobState::Waits, offset)?,
        "conflicts" => page(beside(archive.conflicts()?, "other bytes under the same UIDs; what came first is served")),
        "settled" => {
            page(beside(archive.settled()?, "other bytes under the same UIDs; somebody decided what is served"))
        }
        "unserved" => page(unserved(archive)?),
        "quarantine" => page(quarantined(archive)?),
        "faults" => page(archive.faults()?.iter().map(fault).collect()),
        _ => return Err(Problem::not_found("list")),
    })
}

fn decisions(archive: &Archive, state: JobState, offset: usize) -> Answered<Vec<Value>> {
    let rows = archive.decisions(state, offset, PAGE + 1)?;
    let row = |row: archive::Decision| {
        let archive::Decision { key, rule, reason, attempts, changed, .. } = row;
        json!({"study": key.study, "series": key.series, "instance": key.sop, "rule": rule, "reason": reason, "attempts": attempts, "at": changed})
    };
    Ok(rows.into_iter().map(row).collect())
}

fn beside(rows: Vec<Beside>, reason: &str) -> Vec<Value> {
    let row = |row: Beside| json!({"study": row.key.study, "series": row.key.series, "instance": row.key.sop, "object": row.object_id, "bytes": row.size, "at": row.stored, "reason": reason});
    rows.into_iter().map(row).collect()
}

fn unserved(archive: &Archive) -> Answered<Vec<Value>> {
    let row = |row: archive::Unserved| {
        let kind = if row.why == Unservable::Unreadable { "unreadable" } else { "kept" };
        json!({"kind": kind, "object": row.object_id, "bytes": row.bytes, "at": row.stored, "reason": row.reason, "source": row.source.to_string_lossy()})
    };
    Ok(archive.unserved()?.into_iter().map(row).collect())
}

fn quarantined(archive: &Archive) -> Answered<Vec<Value>> {
    let entries = archive.quarantine().list().map_err(Problem::internal)?;
    let row = |entry: transcode::Quarantined| json!({"name": entry.name, "instance": entry.sop_instance_uid, "rule": entry.rule, "codec": entry.codec, "reason": entry.reason, "at": entry.made});
    Ok(entries.into_iter().map(row).collect())
}

fn fault(fault: &Fault) -> Value {
    let instance = fault.instance.as_ref();
    json!({
        "kind": fault.kind.name(), "object": fault.name, "reason": fault.what, "at": fault.found,
        "study": instance.map(|key| &key.study), "series": instance.map(|key| &key.series), "instance": instance.map(|key| &key.sop),
    })
}

/// What is true only now, and for who may see it.
fn fresh(value: &Value, method: &Method, headers: &HeaderMap) -> Response<Body> {
    let mut response = Reply::new("application/json", value.to_string()).compressed(headers).answer(method, headers);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
