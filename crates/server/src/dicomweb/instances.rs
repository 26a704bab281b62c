//! Whole instances (PS3.18 10.4.1.1.1): DICOM files as they are stored, their preambles zeroed.

use super::target::Target;
use crate::accept::{self, MediaRange};
use crate::error::{Answered, Problem};
use crate::media::{self, DICOM, Shape};
use crate::multipart::Multipart;
use crate::representation::{Object, Representation, Segment};
use crate::state::App;
use archive::Instance;
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use bytes::Bytes;
use dicom_object::{FileMetaTable, InMemDicomObject};
use sha2::{Digest, Sha256};
use std::io::Cursor;
use std::sync::Arc;
use transcode::TransferSyntax;

/// The preamble, and what follows it (PS3.10 7.1).
const PREAMBLE: usize = 128;
/// Bytes of files that are written anew for one request, when their transfer syntax may not go on the wire.
const REWRITE: u64 = 512 << 20;

/// The instances of a study or series, or one.
pub async fn retrieve(State(app): State<Arc<App>>, target: Target) -> Answered<Response<Body>> {
    let strict = app.config.strict_accept;
    let wanted = Wanted::of(target.accept().as_deref(), target.instance.is_some(), strict)?;
    let (target, instances) = app.read(move |app| target.find_instances(app).map(|found| (target, found))).await?;
    if let Some(refused) = instances.iter().find(|instance| !wanted.fits(instance)) {
        let syntax = &refused.transfer_syntax;
        return Err(Problem::not_acceptable(format!("stored in transfer syntax {syntax}; ask for transfer-syntax=*")));
    }
    let rewrite: u64 = instances.iter().filter(|instance| must_rewrite(instance)).map(|instance| instance.size).sum();
    if rewrite > REWRITE {
        return Err(Problem::not_acceptable("that much is not put into Explicit VR at once: ask for fewer instances"));
    }
    let work = move |app: &App| {
        let representation = represent(app, &instances, wanted.shape)?;
        representation.answer(&target.method, &target.headers).map_err(Problem::internal)
    };
    // Writing anew keeps a core busy; handing out does not.
    if rewrite > 0 { app.compute(work).await } else { app.read(work).await }
}

/// What the client takes.
struct Wanted {
    shape: Shape,
    syntax: Option<String>,
}

impl Wanted {
    fn of(accept: Option<&str>, one: bool, strict: bool) -> Answered<Wanted> {
        let ranges = accept::parse(accept.unwrap_or_default());
        let offer = |range: &MediaRange| {
            let part = range.parameter("type").map_or(DICOM.to_owned(), str::to_ascii_lowercase);
            let shape = match range.essence.as_str() {
                "*/*" | "multipart/*" | "multipart/related" if accept::covers(&part, DICOM) => Shape::Multipart,
                _ if one && range.covers(DICOM) => Shape::Single,
                _ => return None,
            };
            let syntax = range.parameter("transfer-syntax").or(strict.then_some(TransferSyntax::EXPLICIT_LITTLE));
            Some(Wanted { shape, syntax: syntax.filter(|s| *s != "*" && range.essence != "*/*").map(str::to_owned) })
        };
        match ranges.iter().find_map(offer) {
            Some(wanted) => Ok(wanted),
            None if strict && accept.is_some() => {
                Err(Problem::not_acceptable("instances are given as application/dicom"))
            }
            None => Ok(Wanted { shape: Shape::Multipart, syntax: None }),
        }
    }

    fn fits(&self, instance: &Instance) -> bool {
        let on_wire = on_wire(instance);
        self.syntax.as_deref().is_none_or(|wanted| wanted == on_wire)
    }
}

/// The transfer syntax an instance has on the wire.
fn on_wire(instance: &Instance) -> &str {
    if must_rewrite(instance) { TransferSyntax::EXPLICIT_LITTLE } else { &instance.transfer_syntax }
}

/// Implicit VR and Big Endian never go on the wire (PS3.18 8.7.3).
fn must_rewrite(instance: &Instance) -> bool {
    matches!(instance.transfer_syntax.as_str(), TransferSyntax::IMPLICIT_LITTLE | TransferSyntax::EXPLICIT_BIG)
}

fn represent(app: &App, instances: &[Arc<Instance>], shape: Shape) -> Answered<Representation> {
    let etag = etag(instances, shape);
    if let (Shape::Single, [instance]) = (shape, instances) {
        return Ok(Representation { content_type: part_type(instance), etag, segments: content(app, instance)? });
    }
    let mut body = Multipart::new(&etag);
    for instance in instances {
        body.part(&part_type(instance), content(app, instance)?);
    }
    let (content_type, segments) = body.finish(media::DICOM);
    Ok(Representation { content_type, etag, segments })
}

fn part_type(instance: &Instance) -> String {
    format!("{DICOM};transfer-syntax={}", on_wire(instance))
}

fn etag(instances: &[Arc<Instance>], shape: Shape) -> String {
    let mut hash = Sha256::new();
    instances.iter().for_each(|instance| hash.update(instance.object_id.as_bytes()));
    let hex: String = hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}-i-{}\"", if shape == Shape::Multipart { "m" } else { "s" })
}

/// The file, its preamble zeroed: what stands there could make it something else as well (PS3.10 7.5).
fn content(app: &App, instance: &Arc<Instance>) -> Answered<Vec<Segment>> {
    let object = app.archive.object(instance)?;
    let size = object.size();
    if must_rewrite(instance) {
        return Ok(vec![Segment::Memory(rewritten(app, instance)?)]);
    }
    let mut head = [0; PREAMBLE + 4];
    let has_preamble = object.read_at(0, &mut head).is_ok() && &head[PREAMBLE..] == b"DICM";
    let skip = if has_preamble { PREAMBLE as u64 } else { 0 };
    let zeros = Segment::Memory(Bytes::from_static(&[0; PREAMBLE]).slice(..skip as usize));
    let object = Object::Later(app.archive.clone(), instance.clone());
    Ok(vec![zeros, Segment::Stored { object, offset: skip, len: size - skip }])
}

/// The same instance in Explicit VR Little Endian.
fn rewritten(app: &App, instance: &Instance) -> Answered<Bytes> {
    let key = format!("explicit {}", instance.object_id);
    if let Some(bytes) = app.made.get(&key) {
        return Ok(bytes);
    }
    let object = app.archive.object(instance)?;
    let mut bytes = vec![0; object.size() as usize];
    object.read_at(0, &mut bytes).map_err(Problem::internal)?;
    let bytes = Bytes::from(to_explicit(&bytes).map_err(Problem::internal)?);
    app.made.put(key, bytes.clone(), bytes.len());
    Ok(bytes)
}

fn to_explicit(bytes: &[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let start = bytes.get(PREAMBLE..PREAMBLE + 4).filter(|magic| magic == b"DICM").map_or(0, |_| PREAMBLE);
    let file = dicom_object::from_reader(&bytes[start..])?;
    let mut meta: FileMetaTable = file.meta().clone();
    meta.transfer_syntax = TransferSyntax::EXPLICIT_LITTLE.to_owned();
    meta.update_information_group_length();
    let set: InMemDicomObject = file.into_inner();
    let mut out = Cursor::new(Vec::with_capacity(bytes.len() + 4096));
    set.with_exact_meta(meta).write_all(&mut out)?;
    Ok(out.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(accept: Option<&str>, one: bool, strict: bool) -> Option<(Shape, Option<String>)> {
        Wanted::of(accept, one, strict).ok().map(|w| (w.shape, w.syntax))
    }

    #[test]
    fn one_part_for_one_instance() {
        use Shape::*;
        assert_eq!(of(None, true, false), Some((Multipart, None)));
        assert_eq!(of(Some("*/*"), true, false), Some((Multipart, None)));
        assert_eq!(of(Some("application/dicom"), true, false), Some((Single, None)));
        assert_eq!(of(Some("application/dicom; transfer-syntax=*"), true, true), Some((Single, None)));
        assert_eq!(of(Some("application/dicom"), false, false), Some((Multipart, None)), "a series has many");
        assert_eq!(
            of(Some("multipart/related; type=\"application/dicom\"; transfer-syntax=1.2"), true, false),
            Some((Multipart, Some("1.2".into())))
        );
        assert_eq!(
            of(Some("multipart/related; type=\"application/dicom\""), true, true),
            Some((Multipart, Some("1.2.840.10008.1.2.1".into())))
        );
        assert_eq!(of(Some("image/png"), true, true), None);
    }
}
