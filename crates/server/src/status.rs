//! `/status`: a page for those who run the archive, and what it asks for: how much is stored and waits, the disk, the load, the scrubber's pass;
//! and lists of what needs somebody's eyes: failed conversions, conflicts, what can't be served, what failed a check.
//!
//! It tells UIDs, hashes and paths of sources, and no name of a patient.

use crate::error::{Answered, Problem};
use crate::pages;
use crate::query::Parameters;
use crate::reply::Reply;
use crate::state::App;
use archive::{Archive, Fault, State as JobState, Unservable};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, header};
use axum::routing::get;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Rows of a page of a list.
const PAGE: usize = 100;

/// The page, its files, and what it asks for.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/status", get(async |method: Method, headers: HeaderMap| pages::status(&method, &headers)))
        .route("/status/now", get(now))
        .route("/status/lists/{list}", get(list))
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
        "conflicts" => page(conflicts(archive)?),
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

fn conflicts(archive: &Archive) -> Answered<Vec<Value>> {
    let row = |row: archive::Beside| json!({"study": row.key.study, "series": row.key.series, "instance": row.key.sop, "object": row.object_id, "bytes": row.size, "at": row.stored, "reason": "other bytes under the same UIDs; what came first is served"});
    Ok(archive.conflicts()?.into_iter().map(row).collect())
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
