//! Bulk data (PS3.18 10.4.1.1.5): single values that metadata gives by reference.

use super::target::Target;
use crate::accept::{self, MediaRange};
use crate::error::{Answered, Problem};
use crate::media::{OCTET_STREAM, Shape};
use crate::multipart::Multipart;
use crate::representation::{Object, Representation, Segment};
use crate::state::App;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, header};
use bytes::Bytes;
use std::sync::Arc;

/// Media types that a browser may show as what they are; the others are handed out as attachments, since what a data set calls its
/// content must not run as a page of ours.
const SHOWN: [&str; 11] = [
    "application/pdf",
    "image/jpeg",
    "image/png",
    "image/jls",
    "image/jp2",
    "video/mp4",
    "video/mpeg",
    "model/stl",
    "model/obj",
    "model/mtl",
    "text/plain",
];

/// One value.
pub async fn retrieve(State(app): State<Arc<App>>, target: Target) -> Answered<Response<Body>> {
    let accept = target.accept();
    let strict = app.config.strict_accept;
    app.read(move |app| {
        let instance = target.find_instance(app)?;
        let missing = || Problem::not_found("bulk data");
        let path = target.rest.as_deref().filter(|path| is_path(path)).ok_or_else(missing)?;
        let source = app.archive.source(&instance)?;
        let (content, media) = match source.bulk_place(path)? {
            Some((runs, media)) => {
                let object = Object::Later(app.archive.clone(), instance.clone());
                let segment = |(offset, len)| Segment::Stored { object: object.clone(), offset, len };
                (runs.into_iter().map(segment).collect(), media)
            }
            None => {
                let bulk = source.bulk(path)?.ok_or_else(missing)?;
                (vec![Segment::Memory(Bytes::from(bulk.bytes))], bulk.media_type)
            }
        };
        let media = if runs_in_pages(&media) { OCTET_STREAM.to_owned() } else { media };
        let (shape, media) = negotiate(accept.as_deref(), &media, strict)?;
        let short = instance.object_id.get(..32).unwrap_or(&instance.object_id);
        let suffix = if shape == Shape::Multipart { "m" } else { "s" };
        let octets = if media == OCTET_STREAM { "" } else { "t" };
        let etag = format!("\"{short}-{}-{suffix}{octets}\"", path.replace('/', "."));
        let (content_type, segments) = match shape {
            Shape::Single => (media.clone(), content),
            Shape::Multipart => {
                let mut body = Multipart::new(&etag);
                body.part(&media, content);
                body.finish(&media)
            }
        };
        let representation = Representation { content_type, etag, segments };
        let mut response = representation.answer(&target.method, &target.headers).map_err(Problem::internal)?;
        if shape == Shape::Single && !SHOWN.contains(&media.as_str()) {
            response.headers_mut().insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
        }
        Ok(response)
    })
    .await
}

/// Would a page of ours that names it as its own script or style take it?
fn runs_in_pages(media: &str) -> bool {
    ["javascript", "ecmascript", "wasm", "text/css", "jscript", "livescript", "importmap"]
        .iter()
        .any(|kind| media.contains(kind))
}

/// Shape and media type of the answer. The standard's default is multipart; who names a type of its own gets the bare value. Octets
/// are what any value is.
fn negotiate(accept: Option<&str>, media: &str, strict: bool) -> Answered<(Shape, String)> {
    let offer = |range: &MediaRange| {
        let multipart = range.essence.starts_with("multipart/") || range.essence == "*/*";
        let named = if multipart { range.parameter("type") } else { Some(range.essence.as_str()) };
        let shape = match (multipart, &*range.essence) {
            // After types of its own, as browsers send it, it means those.
            (true, "*/*") if !strict => shape(accept),
            (true, _) => Shape::Multipart,
            _ => Shape::Single,
        };
        match named.map(str::to_ascii_lowercase) {
            None => Some((shape, media.to_owned())),
            Some(named) if accept::covers(&named, media) => Some((shape, media.to_owned())),
            Some(named) if named == OCTET_STREAM => Some((shape, named)),
            Some(_) => None,
        }
    };
    let text = accept.unwrap_or_default();
    match accept::parse(text).iter().find_map(offer) {
        Some(found) => Ok(found),
        None if strict && !text.trim().is_empty() => Err(Problem::not_acceptable(format!("this value is {media}"))),
        None => Ok((shape(accept), media.to_owned())),
    }
}

/// The standard's default is multipart; who names a type of its own gets the bare value.
fn shape(accept: Option<&str>) -> Shape {
    match accept::parse(accept.unwrap_or_default()).first() {
        Some(range) if !range.essence.starts_with("multipart/") && range.essence != "*/*" => Shape::Single,
        _ => Shape::Multipart,
    }
}

/// Tags of eight hexadecimal digits and item numbers, joined by `/`.
fn is_path(path: &str) -> bool {
    path.len() <= 512
        && path
            .split('/')
            .all(|piece| !piece.is_empty() && piece.len() <= 10 && piece.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        assert_eq!(shape(Some("application/pdf")), Shape::Single);
        assert_eq!(shape(Some("application/octet-stream, multipart/related")), Shape::Single);
        assert_eq!(shape(Some("multipart/related; type=\"application/octet-stream\"")), Shape::Multipart);
        assert_eq!(shape(None), Shape::Multipart);
        assert_eq!(shape(Some("*/*")), Shape::Multipart);
    }

    #[test]
    fn the_type_of_a_document_is_its_own() {
        let of = |accept, strict| negotiate(accept, "application/pdf", strict).ok();
        let pdf = |shape| Some((shape, "application/pdf".to_owned()));
        assert_eq!(of(Some("application/pdf"), true), pdf(Shape::Single));
        assert_eq!(of(None, true), pdf(Shape::Multipart));
        assert_eq!(of(Some("multipart/related; type=\"application/pdf\""), true), pdf(Shape::Multipart));
        assert_eq!(of(Some("application/octet-stream"), false), Some((Shape::Single, OCTET_STREAM.to_owned())));
        assert_eq!(of(Some("image/png"), true), None);
        assert_eq!(of(Some("image/png"), false), pdf(Shape::Single), "read leniently");
        assert_eq!(of(Some("text/html,application/xhtml+xml,*/*;q=0.8"), false), pdf(Shape::Single), "a browser");
        assert_eq!(of(Some("*/*"), false), pdf(Shape::Multipart));
        assert!(runs_in_pages("text/javascript") && runs_in_pages("application/wasm") && !runs_in_pages("text/xml"));
    }

    #[test]
    fn paths() {
        assert!(is_path("00420011") && is_path("00081140/0/00091010"));
        for path in ["", "/", "../x", "0008114/", "00420011/..", "0042001x", "00000000000"] {
            assert!(!is_path(path), "{path}");
        }
    }
}
