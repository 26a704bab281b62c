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
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Metadata of a study, a series or an instance.
pub async fn retrieve(State(app): State<Arc<App>>, target: Target) -> Answered<Response<Body>> {
    if app.config.strict_accept && !takes_json(target.accept().as_deref()) {
        return Err(Problem::not_acceptable("metadata is given as application/dicom+json"));
    }
    app.read(move |app| {
        let prepared = find(app, &target)?;
        let gzip = with_root(app, &prepared)?;
        let mut reply = Reply::new(DICOM_JSON, gzip).tagged(prepared.etag);
        reply.encoding = Some("gzip");
        if !reply::accepts(&target.headers, "gzip") {
            reply.bytes = reply::gunzip(&reply.bytes).map_err(Problem::internal)?.into();
            reply.encoding = None;
        }
        Ok(reply.answer(&target.method, &target.headers))
    })
    .await
}

fn find(app: &App, target: &Target) -> Answered<Prepared> {
    let study = target.study()?;
    let (what, prepared) = match (target.series(), &target.instance) {
        (Some(series), Some(instance)) => {
            ("instance", app.archive.instance_metadata(study, series, instance.as_str())?)
        }
        (Some(series), None) => ("series", app.archive.series_metadata(study, series)?),
        _ => ("study", app.archive.study_metadata(study)?),
    };
    prepared.ok_or_else(|| Problem::not_found(what))
}

/// The archive writes bulk data URIs relative to the DICOMweb root, which only we know. Viewers disagree about what a
/// relative one is relative to, so they get absolute ones. Done once for each state of the series.
fn with_root(app: &App, prepared: &Prepared) -> Answered<Bytes> {
    let key = format!("metadata {}", prepared.etag);
    if let Some(gzip) = app.made.get(&key) {
        app.metrics.cache_hits.fetch_add(1, Relaxed);
        return Ok(gzip);
    }
    app.metrics.cache_misses.fetch_add(1, Relaxed);
    let text =
        String::from_utf8(reply::gunzip(&prepared.gzip).map_err(Problem::internal)?).map_err(Problem::internal)?;
    let root = app.config.public_url.as_deref().unwrap_or_default().trim_end_matches('/');
    // Within a JSON string a quotation mark is escaped, so this is found in no value.
    let text = text.replace("\"BulkDataURI\":\"studies/", &format!("\"BulkDataURI\":\"{root}/dicom-web/studies/"));
    let gzip = Bytes::from(reply::gzip(text.as_bytes()));
    app.made.put(key, gzip.clone(), gzip.len());
    Ok(gzip)
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
