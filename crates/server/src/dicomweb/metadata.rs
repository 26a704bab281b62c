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
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Metadata of a study, a series or an instance.
pub async fn retrieve(State(app): State<Arc<App>>, target: Target) -> Answered<Response<Body>> {
    if app.config.strict_accept && !takes_json(target.accept().as_deref()) {
        return Err(Problem::not_acceptable("metadata is given as application/dicom+json"));
    }
    app.read(move |app| {
        let prepared = prepared(app, &target)?;
        let root = target.root(app);
        // The same metadata has other bytes under another name of the server.
        let tag = format!("{}-{:08x}", prepared.etag, crc32(&root));
        let mut reply = Reply::new(DICOM_JSON, Bytes::new()).tagged(tag);
        if reply::accepts(&target.headers, "gzip") {
            reply.bytes = compressed(app, &prepared, &root)?;
            reply.encoding = Some("gzip");
        } else {
            let mut text = Vec::with_capacity(prepared.gzip.len() * 8);
            with_root(&prepared.gzip, &root, &mut text).map_err(Problem::internal)?;
            reply.bytes = text.into();
        }
        Ok(reply.answer(&target.method, &target.headers))
    })
    .await
}

fn prepared(app: &App, target: &Target) -> Answered<Prepared> {
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

/// What [`with_root`] writes, compressed; done once for each state of what is told.
fn compressed(app: &App, prepared: &Prepared, root: &str) -> Answered<Bytes> {
    let key = format!("metadata {} {root}", prepared.etag);
    if let Some(gzip) = app.made.get(&key) {
        app.metrics.cache_hits.fetch_add(1, Relaxed);
        return Ok(gzip);
    }
    app.metrics.cache_misses.fetch_add(1, Relaxed);
    let room = Vec::with_capacity(prepared.gzip.len() + prepared.gzip.len() / 8);
    let mut encoder = GzEncoder::new(room, Compression::new(4));
    let gzip = with_root(&prepared.gzip, root, &mut encoder).and_then(|()| encoder.finish());
    let gzip = Bytes::from(gzip.map_err(Problem::internal)?);
    app.made.put(key, gzip.clone(), gzip.len());
    Ok(gzip)
}

/// The archive writes bulk data URIs relative to the DICOMweb root, which only we know. They are made absolute while the text
/// streams by, a piece at a time.
pub fn with_root(gzip: &[u8], root: &str, out: &mut impl Write) -> io::Result<()> {
    // Within a JSON string a quotation mark is escaped, so this is found in no value.
    const RELATIVE: &[u8] = b"\"BulkDataURI\":\"studies/";
    let absolute = format!("\"BulkDataURI\":\"{root}/studies/");
    let mut text = MultiGzDecoder::new(gzip);
    let (mut piece, mut held) = (vec![0; 64 << 10], Vec::new());
    loop {
        let n = text.read(&mut piece)?;
        held.extend_from_slice(&piece[..n]);
        let mut done = 0;
        while let Some(at) = find(&held[done..], RELATIVE) {
            out.write_all(&held[done..done + at])?;
            out.write_all(absolute.as_bytes())?;
            done += at + RELATIVE.len();
        }
        // What may be the beginning of another one waits for the next piece.
        let safe = if n == 0 { held.len() } else { held.len().saturating_sub(RELATIVE.len() - 1).max(done) };
        out.write_all(&held[done..safe])?;
        held.drain(..safe);
        if n == 0 {
            return Ok(());
        }
    }
}

fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + text[from..].iter().position(|b| *b == needle[0])?;
        if text[at..].starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
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
    fn addresses_become_absolute_wherever_they_stand() {
        for padding in (0..40).chain(65_490..65_540) {
            let before = "x".repeat(padding);
            let text = |uri: &str| {
                format!(
                    "[{{\"a\":\"{before}\",\"BulkDataURI\":\"{uri}/studies/1\"}},{{\"BulkDataURI\":\"{uri}/studies/2\"}}]"
                )
            };
            let gzip = reply::gzip(text("").replace("\"/studies", "\"studies").as_bytes());
            let mut out = Vec::new();
            with_root(&gzip, "http://a/dicom-web", &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), text("http://a/dicom-web"), "{padding}");
        }
    }

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
