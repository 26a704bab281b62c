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
    let rewrite: u64 = instances.iter().filter(|i| wanted.rewrite(i).is_some()).map(|instance| instance.size).sum();
    if rewrite > REWRITE {
        return Err(Problem::not_acceptable("that much is not written anew at once: ask for fewer instances"));
    }
    let work = move |app: &App| {
        let representation = represent(app, &instances, &wanted)?;
        representation.answer(&target.method, &target.headers).map_err(Problem::internal)
    };
    // Writing anew keeps a core busy; handing out does not.
    if rewrite > 0 { app.compute(work).await } else { app.read(work).await }
}

/// What the client takes.
struct Wanted {
    shape: Shape,
    syntax: Option<String>,
    /// It names JPEG XL.
    jpeg_xl: bool,
}

/// How an instance is written anew before it goes out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rewrite {
    /// Implicit VR and Big Endian never go on the wire (PS3.18 8.7.3).
    Explicit,
    /// A recompressed JPEG goes as the JPEG to who does not name JPEG XL.
    Jpeg,
}

impl Wanted {
    fn of(accept: Option<&str>, one: bool, strict: bool) -> Answered<Wanted> {
        let ranges = accept::parse(accept.unwrap_or_default());
        let jpeg_xl = media::names_jpeg_xl(accept, strict);
        let offer = |range: &MediaRange| {
            let part = range.parameter("type").map_or(DICOM.to_owned(), str::to_ascii_lowercase);
            let shape = match range.essence.as_str() {
                "*/*" | "multipart/*" | "multipart/related" if accept::covers(&part, DICOM) => Shape::Multipart,
                _ if one && range.covers(DICOM) => Shape::Single,
                _ => return None,
            };
            let syntax = range.parameter("transfer-syntax").or(strict.then_some(TransferSyntax::EXPLICIT_LITTLE));
            let syntax = syntax.filter(|s| *s != "*" && range.essence != "*/*").map(str::to_owned);
            Some(Wanted { shape, syntax, jpeg_xl })
        };
        match ranges.iter().find_map(offer) {
            Some(wanted) => Ok(wanted),
            None if strict && accept.is_some() => {
                Err(Problem::not_acceptable("instances are given as application/dicom"))
            }
            None => Ok(Wanted { shape: Shape::Multipart, syntax: None, jpeg_xl }),
        }
    }

    fn fits(&self, instance: &Instance) -> bool {
        let on_wire = self.on_wire(instance);
        self.syntax.as_deref().is_none_or(|wanted| wanted == on_wire)
    }

    /// The transfer syntax an instance has on the wire.
    fn on_wire<'a>(&self, instance: &'a Instance) -> &'a str {
        match self.rewrite(instance) {
            Some(Rewrite::Explicit) => TransferSyntax::EXPLICIT_LITTLE,
            Some(Rewrite::Jpeg) => TransferSyntax::JPEG_BASELINE,
            None => &instance.transfer_syntax,
        }
    }

    fn rewrite(&self, instance: &Instance) -> Option<Rewrite> {
        match instance.transfer_syntax.as_str() {
            TransferSyntax::IMPLICIT_LITTLE | TransferSyntax::EXPLICIT_BIG => Some(Rewrite::Explicit),
            TransferSyntax::JPEG_XL_RECOMPRESSION if !self.jpeg_xl => Some(Rewrite::Jpeg),
            _ => None,
        }
    }

    fn part_type(&self, instance: &Instance) -> String {
        format!("{DICOM};transfer-syntax={}", self.on_wire(instance))
    }
}

fn represent(app: &App, instances: &[Arc<Instance>], wanted: &Wanted) -> Answered<Representation> {
    let etag = etag(instances, wanted);
    if let (Shape::Single, [instance]) = (wanted.shape, instances) {
        let segments = content(app, instance, wanted)?;
        return Ok(Representation { content_type: wanted.part_type(instance), etag, segments });
    }
    let mut body = Multipart::new(&etag);
    for instance in instances {
        body.part(&wanted.part_type(instance), content(app, instance, wanted)?);
    }
    let (content_type, segments) = body.finish(media::DICOM);
    Ok(Representation { content_type, etag, segments })
}

fn etag(instances: &[Arc<Instance>], wanted: &Wanted) -> String {
    let mut hash = Sha256::new();
    instances.iter().for_each(|instance| hash.update(instance.object_id.as_bytes()));
    let hex: String = hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    let shape = if wanted.shape == Shape::Multipart { "m" } else { "s" };
    let form = if instances.iter().any(|i| wanted.rewrite(i) == Some(Rewrite::Jpeg)) { "j" } else { "" };
    format!("\"{hex}-i-{shape}{form}\"")
}

/// The file, its preamble zeroed: what stands there could make it something else as well (PS3.10 7.5).
fn content(app: &App, instance: &Arc<Instance>, wanted: &Wanted) -> Answered<Vec<Segment>> {
    if let Some(rewrite) = wanted.rewrite(instance) {
        return Ok(vec![Segment::Memory(rewritten(app, instance, rewrite)?)]);
    }
    let object = app.archive.object(instance)?;
    let size = object.size();
    let mut head = [0; PREAMBLE + 4];
    let has_preamble = object.read_at(0, &mut head).is_ok() && &head[PREAMBLE..] == b"DICM";
    let skip = if has_preamble { PREAMBLE as u64 } else { 0 };
    let zeros = Segment::Memory(Bytes::from_static(&[0; PREAMBLE]).slice(..skip as usize));
    let object = Object::Later(app.archive.clone(), instance.clone());
    Ok(vec![zeros, Segment::Stored { object, offset: skip, len: size - skip }])
}

/// The same instance in Explicit VR Little Endian, or with the JPEG streams it was made of; kept for the ranges that follow.
fn rewritten(app: &App, instance: &Instance, rewrite: Rewrite) -> Answered<Bytes> {
    let key = match rewrite {
        Rewrite::Explicit => format!("explicit {}", instance.object_id),
        Rewrite::Jpeg => format!("jpeg {}", instance.object_id),
    };
    if let Some(bytes) = app.made.get(&key) {
        return Ok(bytes);
    }
    let mut written = Vec::new();
    match rewrite {
        Rewrite::Jpeg => app.archive.source(instance)?.write_jpeg(&mut written)?,
        Rewrite::Explicit => {
            let object = app.archive.object(instance)?;
            let mut bytes = vec![0; object.size() as usize];
            object.read_at(0, &mut bytes).map_err(Problem::internal)?;
            written = to_explicit(&bytes).map_err(Problem::internal)?;
        }
    }
    let bytes = Bytes::from(written);
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
