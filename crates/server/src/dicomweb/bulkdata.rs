//! Bulk data (PS3.18 10.4.1.1.5): single values that metadata gives by reference.

use super::target::Target;
use crate::accept;
use crate::error::{Answered, Problem};
use crate::media::{OCTET_STREAM, Shape};
use crate::multipart::Multipart;
use crate::representation::{Representation, Segment};
use crate::state::App;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, header};
use bytes::Bytes;
use std::sync::Arc;

/// Media types that may be shown as what they are; all others are handed out as octets, since what a data set calls
/// its content must not run as a page of ours.
const SHOWN: [&str; 8] =
    ["application/pdf", "image/jpeg", "image/png", "image/jls", "image/jp2", "video/mp4", "video/mpeg", "model/stl"];

/// One value.
pub async fn retrieve(State(app): State<Arc<App>>, target: Target) -> Answered<Response<Body>> {
    let shape = shape(target.accept().as_deref());
    app.read(move |app| {
        let instance = target.find_instance(app)?;
        let path =
            target.rest.as_deref().filter(|path| is_path(path)).ok_or_else(|| Problem::not_found("bulk data"))?;
        let bulk = app.archive.source(&instance)?.bulk(path)?.ok_or_else(|| Problem::not_found("bulk data"))?;
        let media = SHOWN.iter().find(|m| **m == bulk.media_type).copied().unwrap_or(OCTET_STREAM);
        let short = instance.object_id.get(..32).unwrap_or(&instance.object_id);
        let suffix = if shape == Shape::Multipart { "m" } else { "s" };
        let etag = format!("\"{short}-{}-{suffix}\"", path.replace('/', "."));
        let content = Segment::Memory(Bytes::from(bulk.bytes));
        let (content_type, segments) = match shape {
            Shape::Single => (media.to_owned(), vec![content]),
            Shape::Multipart => {
                let mut body = Multipart::new(&etag);
                body.part(media, [content]);
                body.finish(media)
            }
        };
        let representation = Representation { content_type, etag, segments };
        let mut response = representation.answer(&target.method, &target.headers).map_err(Problem::internal)?;
        if shape == Shape::Single && media == OCTET_STREAM {
            response.headers_mut().insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
        }
        Ok(response)
    })
    .await
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
    fn paths() {
        assert!(is_path("00420011") && is_path("00081140/0/00091010"));
        for path in ["", "/", "../x", "0008114/", "00420011/..", "0042001x", "00000000000"] {
            assert!(!is_path(path), "{path}");
        }
    }
}
