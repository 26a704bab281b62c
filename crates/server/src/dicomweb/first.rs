//! What a viewer needs to show a study's first picture, in one answer: the study and its series as searches give them, metadata
//! and levels of that picture.

use super::levels::OfInstance;
use super::qido;
use super::target::Target;
use crate::error::{Answered, Problem};
use crate::reply::{self, Reply};
use crate::state::App;
use archive::{Instance, QueryLevel, Shown};
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use bytes::Bytes;
use dicom::Uid;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// The study's first picture, or that of the series that the query names.
pub async fn retrieve(State(app): State<Arc<App>>, target: Target) -> Answered<Response<Body>> {
    app.read(move |app| {
        let (study, root) = (target.study()?, target.root(app));
        let version = app.archive.version(study, None)?;
        let shown = app.archive.shown(study)?.ok_or_else(|| Problem::not_found("study"))?;
        let picture = picture(app, study, &shown, wish(&target)?)?;
        let name = picture.as_ref().map_or(String::new(), |(instance, n)| {
            // A frame table may gain levels while the object stays.
            let levels = instance.frame(*n).map_or(0, |frame| frame.levels.len());
            format!("{} {n} {levels}", instance.object_id)
        });
        let key = format!("first {study} {version:?} {name} {root}");
        let gzip = match app.made.get(&key) {
            Some(gzip) => {
                app.metrics.cache_hits.fetch_add(1, Relaxed);
                gzip
            }
            None => {
                app.metrics.cache_misses.fetch_add(1, Relaxed);
                let text = document(app, study, &root, &shown, picture)?.to_string();
                let gzip = Bytes::from(reply::gzip(text.as_bytes()));
                app.made.put(key, gzip.clone(), gzip.len());
                gzip
            }
        };
        let tag: String = Sha256::digest(&gzip)[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Reply::prepared("application/json", gzip, &target.headers)?
            .tagged(tag)
            .answer(&target.method, &target.headers))
    })
    .await
}

/// The series that the query asks for.
fn wish(target: &Target) -> Answered<Option<Uid>> {
    let wish = target.parameters.get("series").map(|text| Uid::parse(text).filter(|uid| uid.as_str() == text));
    match wish {
        Some(None) => Err(Problem::bad_request("the series in the query is no UID")),
        other => Ok(other.flatten()),
    }
}

/// The picture to show, and which frame of it (from 0).
fn picture(app: &App, study: &str, shown: &[Shown], wish: Option<Uid>) -> Answered<Option<(Arc<Instance>, u32)>> {
    let first = match wish {
        Some(uid) => {
            shown.iter().find(|shown| shown.series == uid.as_str()).ok_or_else(|| Problem::not_found("series"))?
        }
        None => shown.first().ok_or_else(|| Problem::not_found("study"))?,
    };
    let Some(sop) = &first.picture else { return Ok(None) };
    let instance = app.archive.instance(study, &first.series, sop)?;
    Ok(instance.map(|instance| {
        let frame = instance.frame_to_show(0);
        (instance, frame)
    }))
}

fn document(
    app: &App,
    study: &str,
    root: &str,
    shown: &[Shown],
    picture: Option<(Arc<Instance>, u32)>,
) -> Answered<Value> {
    let of_study = qido::rows(app, root, QueryLevel::Study, study)?.pop().ok_or_else(|| Problem::not_found("study"))?;
    let mut series = qido::rows(app, root, QueryLevel::Series, study)?;
    let uid = |row: &Map<String, Value>| Some(row.get("0020000E")?.get("Value")?.get(0)?.as_str()?.to_owned());
    let place = |row: &Map<String, Value>| shown.iter().position(|shown| Some(&shown.series) == uid(row).as_ref());
    series.sort_by_cached_key(|row| place(row).unwrap_or(usize::MAX));
    let first = picture.map(|(instance, frame)| first(app, root, &instance, frame)).transpose()?;
    Ok(json!({ "study": of_study, "series": series, "first": first }))
}

fn first(app: &App, root: &str, instance: &Instance, frame: u32) -> Answered<Value> {
    let metadata = app.archive.attributes(instance, root)?;
    Ok(json!({
        "series": instance.series,
        "instance": instance.sop,
        "frame": frame + 1,
        "metadata": metadata,
        "levels": OfInstance::of_frame(instance, frame),
    }))
}
