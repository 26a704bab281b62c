//! Extension: instances at a lower resolution, `?level=k` of an instance, a series or a study: each a DICOM file of its own, for who
//! cannot ask for ranges.

use super::target::Target;
use super::zipped;
use crate::accept;
use crate::error::{Answered, Problem};
use crate::holes::Holes;
use crate::media::{self, CODER, DICOM, ZIP};
use crate::representation::{Representation, Segment};
use crate::state::App;
use crate::stream::Parts;
use archive::Instance;
use axum::body::Body;
use axum::http::Response;
use bytes::Bytes;
use dicom::TransferSyntax;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// The coarsest level that may be asked for.
const COARSEST: u8 = 16;
/// Bytes of samples of an instance that is reduced.
const LARGEST: u64 = 1 << 30;

/// The level that a request asks for; `None`: the full image.
pub fn level(target: &Target) -> Answered<Option<u8>> {
    let Some(text) = target.parameters.get("level") else { return Ok(None) };
    let level = text.parse::<u8>().ok().filter(|level| *level <= COARSEST);
    let level = level.ok_or_else(|| Problem::bad_request(format!("level is a number from 0 to {COARSEST}")))?;
    Ok(Some(level).filter(|level| *level > 0))
}

/// How the files are given.
#[derive(Debug, PartialEq, Eq)]
enum Shape {
    Single,
    Parts,
    Zip,
}

/// The instances that the path names, at this level.
pub async fn retrieve(app: Arc<App>, target: Target, level: u8) -> Answered<Response<Body>> {
    let shape = shape(target.accept().as_deref(), target.instance.is_some())?;
    let (target, instances) = app.read(move |app| target.find_instances(app).map(|found| (target, found))).await?;
    match shape {
        Shape::Single => app.compute(move |app| single(app, &target, &instances[0], level)).await,
        Shape::Parts => {
            let name = format!("level {level} {} {}", instances[0].object_id, instances.len());
            let kind = format!("{DICOM};transfer-syntax={}", TransferSyntax::EXPLICIT_LITTLE);
            let make = move |app: &App, instance: &Arc<Instance>| Ok((kind.clone(), file(app, instance, level)?));
            let of = instances.len();
            Parts::new(app, instances, make).lacking(Holes::default(), of).multipart(&name, &target.method).await
        }
        Shape::Zip => {
            let content =
                move |app: &App, instance: &Arc<Instance>| Ok(vec![Segment::Memory(file(app, instance, level)?)]);
            zipped::answer(app, instances, Holes::default(), |_| false, content, &target.method).await
        }
    }
}

fn shape(accept: Option<&str>, one: bool) -> Answered<Shape> {
    let offer = |range: &accept::MediaRange| match range.essence.as_str() {
        "multipart/related" | "multipart/*" => range
            .parameter("type")
            .is_none_or(|part| accept::covers(&part.to_ascii_lowercase(), DICOM))
            .then_some(Shape::Parts),
        ZIP => Some(Shape::Zip),
        "*/*" => Some(Shape::Parts),
        _ => range.covers(DICOM).then_some(if one { Shape::Single } else { Shape::Parts }),
    };
    let found = accept::parse(accept.unwrap_or_default()).iter().find_map(offer);
    found
        .or_else(|| media::takes_stored(accept).then_some(Shape::Parts))
        .ok_or_else(|| Problem::not_acceptable(format!("given as {DICOM} or {ZIP}")))
}

fn single(app: &App, target: &Target, instance: &Arc<Instance>, level: u8) -> Answered<Response<Body>> {
    let bytes = file(app, instance, level)?;
    let short = instance.object_id.get(..32).unwrap_or(&instance.object_id);
    let representation = Representation {
        content_type: format!("{DICOM};transfer-syntax={}", TransferSyntax::EXPLICIT_LITTLE),
        etag: format!("\"{short}-l{level}-{CODER}\""),
        modified: Some(instance.stored),
        segments: vec![Segment::Memory(bytes)],
    };
    representation.answer(&target.method, &target.headers).map_err(Problem::internal)
}

/// The file of an instance at a level; kept for the ranges that follow.
fn file(app: &App, instance: &Arc<Instance>, level: u8) -> Answered<Bytes> {
    let key = format!("level {level} {}", instance.object_id);
    if let Some(bytes) = app.made.get(&key) {
        app.metrics.cache_hits.fetch_add(1, Relaxed);
        return Ok(bytes);
    }
    app.metrics.cache_misses.fetch_add(1, Relaxed);
    if instance.facts.frame_bytes().saturating_mul(instance.facts.frames.into()) > LARGEST {
        return Err(Problem::not_acceptable("it is too large to be reduced at once"));
    }
    let source = app.archive.source(instance)?;
    let bytes = Bytes::from(transcode::reduce(&source, level).map_err(|error| match error {
        dicom::Error::Unsupported(reason) => Problem::not_acceptable(format!("it has no reduced form: {reason}")),
        other => other.into(),
    })?);
    app.made.put(key, bytes.clone(), bytes.len());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        let of = |accept, one| shape(accept, one).ok();
        assert_eq!(of(None, true), Some(Shape::Parts));
        assert_eq!(of(Some("application/dicom"), true), Some(Shape::Single));
        assert_eq!(of(Some("application/dicom"), false), Some(Shape::Parts));
        assert_eq!(of(Some("application/zip"), false), Some(Shape::Zip));
        assert_eq!(of(Some("multipart/related; type=\"application/dicom\""), true), Some(Shape::Parts));
        assert_eq!(of(Some("image/png"), true), None);
    }
}
