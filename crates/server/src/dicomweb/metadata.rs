//! Metadata (PS3.18 10.4.1.1.2): prepared by the archive, handed through compressed, or as XML, or only what of it is asked for.

use super::model::{self, Model};
use super::qido;
use super::target::Target;
use crate::error::{Answered, Problem};
use crate::media::DICOM_JSON;
use crate::reply::{self, Reply};
use crate::state::App;
use archive::Prepared;
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use bytes::Bytes;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// What names an instance is told whatever is asked for: SOP Class, SOP Instance, Study and Series Instance UID.
const NAMES: [&str; 4] = ["00080016", "00080018", "0020000D", "0020000E"];

/// Metadata of a study, a series or an instance.
pub async fn retrieve(State(app): State<Arc<App>>, target: Target) -> Answered<Response<Body>> {
    let model = Model::of(target.accept().as_deref())?;
    let fields = qido::asked_fields(&target.parameters);
    if model == Model::Json && fields.is_none() {
        return app.read(move |app| as_prepared(app, &target)).await;
    }
    app.compute(move |app| {
        let root = target.root(app);
        let (prepared, tag) = prepared(app, &target, &root)?;
        let modified = prepared.modified;
        let text = reply::gunzip(&gzip(app, &prepared, &root)?).map_err(Problem::internal)?;
        let mut sets: Vec<Map<String, Value>> = serde_json::from_slice(&text).map_err(Problem::internal)?;
        if let Some(fields) = &fields {
            sets.iter_mut().for_each(|set| set.retain(|tag, _| NAMES.contains(&tag.as_str()) || fields.contains(tag)));
        }
        let reply = match (model, fields) {
            (Model::Xml, None) => model::xml(sets.iter(), Some(tag)),
            (Model::Xml, Some(_)) => model::xml(sets.iter(), None),
            (Model::Json, _) => {
                let bytes = serde_json::to_vec(&sets).map_err(Problem::internal)?;
                let tag = model::hash([&bytes[..]].into_iter());
                Reply::new(DICOM_JSON, bytes).tagged(tag)
            }
        };
        Ok(reply.modified(modified).compressed(&target.headers).answer(&target.method, &target.headers))
    })
    .await
}

fn as_prepared(app: &App, target: &Target) -> Answered<Response<Body>> {
    let root = target.root(app);
    let (prepared, tag) = prepared(app, target, &root)?;
    let gzip = gzip(app, &prepared, &root)?;
    let reply = Reply::prepared(DICOM_JSON, gzip, &target.headers)?.tagged(tag).modified(prepared.modified);
    Ok(reply.answer(&target.method, &target.headers))
}

/// What the archive has prepared, and its name. The same metadata has other bytes under another name of the server.
fn prepared(app: &App, target: &Target, root: &str) -> Answered<(Prepared, String)> {
    let (study, kept) = (target.study()?, target.kept_root(app));
    let (what, prepared) = match (target.series(), &target.instance) {
        (Some(series), Some(instance)) => {
            ("instance", app.archive.instance_metadata(study, series, instance.as_str(), &kept)?)
        }
        (Some(series), None) => ("series", app.archive.series_metadata(study, series, &kept)?),
        _ => ("study", app.archive.study_metadata(study, &kept)?),
    };
    let prepared = prepared.ok_or_else(|| Problem::not_found(what))?.told_at(root);
    let tag = format!("{}-{:08x}", prepared.etag, crc32(root));
    Ok((prepared, tag))
}

/// The reply, compressed. What is kept for another root is made for this one once for each state of what is told.
fn gzip(app: &App, prepared: &Prepared, root: &str) -> Answered<Bytes> {
    if prepared.is_ready() {
        return Ok(prepared.gzip()?.into());
    }
    let key = format!("metadata {} {root}", prepared.etag);
    if let Some(gzip) = app.made.get(&key) {
        app.metrics.cache_hits.fetch_add(1, Relaxed);
        return Ok(gzip);
    }
    app.metrics.cache_misses.fetch_add(1, Relaxed);
    let gzip = Bytes::from(prepared.gzip()?);
    app.made.put(key, gzip.clone(), gzip.len());
    Ok(gzip)
}

/// A short name of a text.
fn crc32(text: &str) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(text.as_bytes());
    crc.sum()
}
