//! Metadata (PS3.18 10.4.1.1.2): prepared by the archive, handed through compressed.

use super::target::Target;
use crate::error::{Answered, Problem};
use crate::media::DICOM_JSON;
use crate::reply::{self, Reply};
use crate::{accept, state::App};
use archive::Prepared;
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Metadata of a study, a series or an instance.
pub async fn retrieve(State(app): State<Arc<App>>, target: Target) -> Answered<Response<Body>> {
    if app.config.strict_accept && !takes_json(target.accept().as_deref()) {
        return Err(Problem::not_acceptable("metadata is given as application/dicom+json"));
    }
    app.read(move |app| {
        let root = target.root(app);
        let prepared = prepared(app, &target, &root)?;
        // The same metadata has other bytes under another name of the server.
        let tag = format!("{}-{:08x}", prepared.etag, crc32(&root));
        let mut reply = Reply::new(DICOM_JSON, gzip(app, &prepared, &root)?).tagged(tag);
        if reply::accepts(&target.headers, "gzip") {
            reply.encoding = Some("gzip");
        } else {
            let mut text = Vec::with_capacity(reply.bytes.len() * 8);
            MultiGzDecoder::new(&*reply.bytes).read_to_end(&mut text).map_err(Problem::internal)?;
            reply.bytes = text.into();
        }
        Ok(reply.answer(&target.method, &target.headers))
    })
    .await
}

fn prepared(app: &App, target: &Target, root: &str) -> Answered<Prepared> {
    let study = target.study()?;
    let (what, prepared) = match (target.series(), &target.instance) {
        (Some(series), Some(instance)) => {
            ("instance", app.archive.instance_metadata(study, series, instance.as_str(), root)?)
        }
        (Some(series), None) => ("series", app.archive.series_metadata(study, series, root)?),
        _ => ("study", app.archive.study_metadata(study, root)?),
    };
    prepared.ok_or_else(|| Problem::not_found(what))
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

fn takes_json(accept: Option<&str>) -> bool {
    let Some(text) = accept.filter(|text| !text.trim().is_empty()) else { return true };
    accept::parse(text).iter().any(|range| range.covers(DICOM_JSON) || range.covers("application/json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_what_there_is() {
        for accept in [
            None,
            Some("*/*"),
            Some("application/json"),
            Some("text/html, application/dicom+json;q=0.1"),
            Some("application/*"),
        ] {
            assert!(takes_json(accept), "{accept:?}");
        }
        assert!(!takes_json(Some("multipart/related; type=\"application/dicom+xml\"")));
    }
}
