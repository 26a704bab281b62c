//! Bulk data (PS3.18 10.4.1.1.5): single values that metadata gives by reference.

use super::target::Target;
use super::{frame_blocks, frames};
use crate::accept::{self, MediaRange};
use crate::error::{Answered, Problem};
use crate::holes::Holes;
use crate::media::{self, OCTET_STREAM, Shape};
use crate::multipart::Multipart;
use crate::representation::{Object, Representation, Segment};
use crate::state::App;
use crate::stream::Parts;
use archive::Instance;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, header};
use bytes::Bytes;
use serde_json::Value;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of a value that is given among others.
const LARGEST: u64 = 1 << 30;
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
    app.read(move |app| {
        let instance = target.find_instance(app)?;
        let missing = || Problem::not_found("bulk data");
        let path = target.rest.as_deref().filter(|path| is_path(path)).ok_or_else(missing)?;
        let (content, media) = value(app, &instance, path)?;
        let (shape, media) = negotiate(accept.as_deref(), &media)?;
        let media = harmless(media);
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
        let representation = Representation { content_type, etag, modified: Some(instance.stored), segments };
        let mut response = representation.answer(&target.method, &target.headers).map_err(Problem::internal)?;
        if shape == Shape::Single {
            as_attachment(&mut response);
        }
        Ok(response)
    })
    .await
}

/// Makes an attachment of what a browser may not show.
pub fn as_attachment(response: &mut Response<Body>) {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !SHOWN.contains(&kind) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    }
}

/// All values of an instance, a series or a study that metadata gives by reference, one part each.
pub async fn all(State(app): State<Arc<App>>, target: Target) -> Answered<Response<Body>> {
    let accept = target.accept();
    let work = move |app: &App| {
        let (instances, root) = (target.find_instances(app)?, target.root(app));
        Ok((target, instances, root))
    };
    let (target, instances, root) = app.read(work).await?;
    let name = format!("bulkdata {} {}", instances[0].object_id, instances.len());
    let mut holes = Holes::of_parts();
    for instance in instances.iter().filter(|instance| instance.facts.rows > 0) {
        let missing = Problem::not_found("frame: the object ends before it");
        holes.add_many(frame_blocks::absent(instance).0, missing);
    }
    // The values of one instance, and each block of its frames, are looked up when they are due, so that a study of any size begins at once.
    let due = |instance: Arc<Instance>| {
        let frames: Vec<_> = frame_blocks::blocks(&instance).map(Some).collect();
        std::iter::once(None).chain(frames).map(move |block| (instance.clone(), block))
    };
    let items: Vec<(Arc<Instance>, Option<Range<u32>>)> = instances.into_iter().flat_map(due).collect();
    let look_up = move |app: &App, (instance, block): &(Arc<Instance>, Option<Range<u32>>)| {
        let attributes = app.archive.attributes(instance, &root)?;
        let mut uris = Vec::new();
        references(&Value::Object(attributes), &mut uris);
        uris.retain(|uri| uri.ends_with("/frames") == block.is_some());
        let frames =
            |uri: String, block| frame_blocks::present(instance, block).map(move |n| format!("{uri}/{}", n + 1));
        let uris: Vec<String> = match block {
            None => uris,
            Some(block) => uris.into_iter().take(1).flat_map(|uri| frames(uri, block.clone())).collect(),
        };
        Ok(uris.into_iter().map(|uri| (instance.clone(), uri)).collect())
    };
    let make = move |app: &App, (instance, uri): &(Arc<Instance>, String)| {
        // Pixel data is given frame by frame, in the form that its own resource has.
        if let Some(n) = uri.rsplit_once("/frames/").and_then(|(_, n)| n.parse::<u32>().ok()) {
            let (kind, bytes) = frames::part(app, instance, n.saturating_sub(1), accept.as_deref())?;
            return Ok((format!("{kind}\r\nContent-Location: {uri}"), bytes));
        }
        let path = uri.split_once("/bulkdata/").map(|(_, path)| path).filter(|path| is_path(path));
        let (content, media) = value(app, instance, path.ok_or_else(|| Problem::not_found("bulk data"))?)?;
        let (_, media) = negotiate(accept.as_deref(), &media)?;
        Ok((format!("{}\r\nContent-Location: {uri}", harmless(media)), together(content)?))
    };
    Parts::nested(app, items, look_up, make).known(holes).multipart(&name, &target.method).await
}

/// The values in a data set that are given by reference, at any depth.
fn references(value: &Value, uris: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            uris.extend(map.get("BulkDataURI").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| references(value, uris));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, uris)),
        _ => {}
    }
}

/// A value in memory.
fn together(content: Vec<Segment>) -> Answered<Bytes> {
    if content.iter().map(Segment::len).sum::<u64>() > LARGEST {
        return Err(Problem::bad_request("that much is not given in one part: ask for the value by its own address"));
    }
    let mut out = Vec::new();
    for mut segment in content {
        while segment.len() > 0 {
            out.extend_from_slice(&segment.read_front().map_err(Problem::internal)?);
        }
    }
    Ok(out.into())
}

/// The media type that a value goes out with: what a page of ours could run is octets.
pub fn harmless(media: String) -> String {
    if runs_in_pages(&media) { OCTET_STREAM.to_owned() } else { media }
}

/// Where the bytes of a value are, and its media type.
pub fn value(app: &App, instance: &Arc<Instance>, path: &str) -> Answered<(Vec<Segment>, String)> {
    let source = app.archive.source(instance)?;
    let (content, media) = match source.bulk_place(path)? {
        Some((runs, media)) => {
            let object = Object::Later(app.archive.clone(), instance.clone());
            let segment = |(offset, len)| Segment::Stored { object: object.clone(), offset, len };
            (runs.into_iter().map(segment).collect(), media)
        }
        None => {
            let bulk = source.bulk(path)?.ok_or_else(|| Problem::not_found("bulk data"))?;
            (vec![Segment::Memory(Bytes::from(bulk.bytes))], bulk.media_type)
        }
    };
    Ok((content, media))
}

/// Would a page of ours that names it as its own script or style take it?
fn runs_in_pages(media: &str) -> bool {
    ["javascript", "ecmascript", "wasm", "text/css", "jscript", "livescript", "importmap"]
        .iter()
        .any(|kind| media.contains(kind))
}

/// Shape and media type of the answer. The standard's default is multipart; who names a type of its own gets the bare value. Octets
/// are what any value is.
fn negotiate(accept: Option<&str>, media: &str) -> Answered<(Shape, String)> {
    let offer = |range: &MediaRange| {
        let multipart = range.essence.starts_with("multipart/") || range.essence == "*/*";
        let named = if multipart { range.parameter("type") } else { Some(range.essence.as_str()) };
        let shape = match (multipart, &*range.essence) {
            // After types of its own, as browsers send it, it means those.
            (true, "*/*") => shape(accept),
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
        None if media::takes_stored(accept) => Ok((shape(accept), media.to_owned())),
        None => Err(Problem::not_acceptable(format!("this value is {media}"))),
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
        let of = |accept| negotiate(accept, "application/pdf").ok();
        let pdf = |shape| Some((shape, "application/pdf".to_owned()));
        assert_eq!(of(Some("application/pdf")), pdf(Shape::Single));
        assert_eq!(of(None), pdf(Shape::Multipart));
        assert_eq!(of(Some("multipart/related; type=\"application/pdf\"")), pdf(Shape::Multipart));
        assert_eq!(of(Some("application/octet-stream")), Some((Shape::Single, OCTET_STREAM.to_owned())));
        assert_eq!(of(Some("image/png")), None);
        assert_eq!(of(Some("undefined")), pdf(Shape::Multipart));
        assert_eq!(of(Some("text/html,application/xhtml+xml,*/*;q=0.8")), pdf(Shape::Single), "a browser");
        assert_eq!(of(Some("*/*")), pdf(Shape::Multipart));
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
