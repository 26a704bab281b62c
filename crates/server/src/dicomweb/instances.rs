//! Whole instances (PS3.18 10.4.1.1.1): DICOM files as they are stored, their preambles zeroed, or in the transfer syntax that the
//! client asks for, made while they are sent.

use super::target::Target;
use super::{coded, reduced, transcoded, zipped};
use crate::accept::{self, MediaRange};
use crate::error::{Answered, Problem};
use crate::holes::Holes;
use crate::media::{self, CODER, Coding, DICOM, Shape};
use crate::multipart::Multipart;
use crate::representation::{Made, Object, Representation, Segment};
use crate::state::App;
use crate::stream::Parts;
use archive::Instance;
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use bytes::Bytes;
use dicom::TransferSyntax;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use transcode::{Outgoing, OutgoingForm, sound_file_meta};

/// The preamble (PS3.10 7.1).
const PREAMBLE: usize = 128;
/// Bytes at the start of a file that are looked at: file meta information is shorter.
const HEAD: u64 = 4096;
/// An instance up to this size is made whole, and kept for the ranges that follow; larger ones are made while they are sent.
const SMALL: u64 = 16 << 20;
/// Bytes of such instances that one answer holds.
const HELD: u64 = 32 << 20;
/// Bytes of frames that are made beforehand, only to see that they can be.
const CHECKED: u64 = 256 << 20;

/// The instances of a study or series, or one.
pub async fn retrieve(State(app): State<Arc<App>>, target: Target) -> Answered<Response<Body>> {
    if let Some(level) = reduced::level(&target)? {
        return reduced::retrieve(app, target, level).await;
    }
    let wanted = Wanted::of(target.accept().as_deref(), target.instance.is_some(), app.config.strict_accept)?;
    let (target, instances) = app.read(move |app| target.find_instances(app).map(|found| (target, found))).await?;
    let mut forms: Vec<_> = instances.iter().map(|instance| wanted.form(instance)).collect();
    if let Some(wanted) = wanted.zipped(forms.iter().all(Result::is_err)) {
        forms = instances.iter().map(|instance| wanted.form(instance)).collect();
        return zip(app, wanted, possible(instances, forms), &target).await;
    }
    let makes = forms.iter().flatten().any(|way| way.form != Form::Out(OutgoingForm::Stored));
    let coded = forms.iter().flatten().any(|way| matches!(way.form, Form::Coded(_)));
    if coded && instances.len() > 1 {
        return one_after_another(app, wanted, possible(instances, forms), &target).await;
    }
    let work = move |app: &App| {
        let (representation, holes) = represent(app, &instances, forms)?;
        let mut response = representation.answer(&target.method, &target.headers).map_err(Problem::internal)?;
        holes.tell(Some(instances.len()), &mut response);
        Ok(response)
    };
    // Making keeps a core busy; handing out does not.
    if makes { app.compute(work).await } else { app.read(work).await }
}

/// The instances that can be given, and what is lacking.
fn possible(instances: Vec<Arc<Instance>>, forms: Vec<Answered<Way>>) -> (Vec<Arc<Instance>>, Holes) {
    let mut holes = Holes::default();
    let given = instances.into_iter().zip(forms).filter_map(|(instance, form)| match form {
        Ok(_) => Some(instance),
        Err(problem) => {
            holes.add(problem);
            None
        }
    });
    (given.collect(), holes)
}

/// A zip, each instance in the first form that it can be given in.
async fn zip(
    app: Arc<App>,
    wanted: Wanted,
    (instances, holes): (Vec<Arc<Instance>>, Holes),
    target: &Target,
) -> Answered<Response<Body>> {
    let wanted = Arc::new(wanted);
    let ways = wanted.clone();
    let stored =
        move |instance: &Instance| ways.form(instance).is_ok_and(|way| way.form == Form::Out(OutgoingForm::Stored));
    let content = move |app: &App, instance: &Arc<Instance>| {
        let mut way = wanted.form(instance)?;
        content(app, instance, &mut way, &mut Budget { held: HELD, checked: 0 }, true)
    };
    zipped::answer(app, instances, holes, stored, content, &target.method).await
}

/// Instances that are coded anew, each when the one before was taken.
async fn one_after_another(
    app: Arc<App>,
    wanted: Wanted,
    (instances, holes): (Vec<Arc<Instance>>, Holes),
    target: &Target,
) -> Answered<Response<Body>> {
    let of = instances.len() + holes.count;
    let first = instances.first().map_or("", |instance| &instance.object_id);
    let name = format!("instances {first} {} {:?}", instances.len(), target.accept());
    let make = move |app: &App, instance: &Arc<Instance>| {
        let mut way = wanted.form(instance)?;
        let mut out = Vec::new();
        for mut segment in content(app, instance, &mut way, &mut Budget { held: HELD, checked: 0 }, true)? {
            while segment.len() > 0 {
                out.extend_from_slice(&segment.read_front().map_err(Problem::internal)?);
            }
        }
        Ok((part_type(&way), Bytes::from(out)))
    };
    Parts::new(app, instances, make).lacking(holes, of).multipart(&name, &target.method).await
}

fn part_type(way: &Way) -> String {
    format!("{DICOM};transfer-syntax={}", way.syntax)
}

/// What the client takes, best first. All offers of a study or series are multipart.
struct Wanted {
    offers: Vec<Offer>,
    /// A zip of them will do.
    zip: Option<Zip>,
    /// It names JPEG XL.
    jpeg_xl: bool,
}

/// A zip as one of the things that a client takes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Zip {
    /// What it holds.
    offer: Offer,
    /// The client takes nothing before it.
    is_best: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Offer {
    shape: Shape,
    /// `None`: any.
    syntax: Option<String>,
    /// The syntax was not named: it is the standard's default.
    implied: bool,
}

/// The form in which an instance goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Way {
    shape: Shape,
    form: Form,
    /// The transfer syntax on the wire.
    syntax: String,
    /// What can't be made may go as it is stored.
    or_stored: bool,
}

/// How the bytes of an instance are had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Written element by element, frames decoded where it takes that.
    Out(OutgoingForm),
    /// Every frame coded anew.
    Coded(Coding),
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
                // Who asks for a study so means its instances.
                DICOM => Shape::Multipart,
                _ => return None,
            };
            let named = range.parameter("transfer-syntax");
            let implied = named.is_none() && strict;
            let syntax = named.or(strict.then_some(TransferSyntax::EXPLICIT_LITTLE));
            let syntax = syntax.filter(|s| *s != "*" && range.essence != "*/*").map(str::to_owned);
            Some(Offer { shape, syntax, implied })
        };
        let mut offers: Vec<Offer> = ranges.iter().filter_map(offer).collect();
        let zip = ranges.iter().position(|range| range.essence == media::ZIP).map(|at| {
            let syntax = ranges[at].parameter("transfer-syntax").filter(|syntax| *syntax != "*").map(str::to_owned);
            let is_best = ranges[..at].iter().all(|range| offer(range).is_none());
            Zip { offer: Offer { shape: Shape::Multipart, syntax, implied: false }, is_best }
        });
        if offers.is_empty() && zip.is_none() {
            if !media::takes_stored(accept) {
                return Err(Problem::not_acceptable("instances are given as application/dicom or application/zip"));
            }
            offers.push(Offer { shape: Shape::Multipart, syntax: None, implied: false });
        }
        Ok(Wanted { offers, zip, jpeg_xl })
    }

    /// What is wanted of a zip, where that is the best, or none of the other offers can be kept.
    fn zipped(&self, no_other: bool) -> Option<Wanted> {
        let zip = self.zip.as_ref().filter(|zip| zip.is_best || no_other)?;
        Some(Wanted { offers: vec![zip.offer.clone()], zip: None, jpeg_xl: self.jpeg_xl })
    }

    /// The first offer that this instance can be given by, or why there is none.
    fn form(&self, instance: &Instance) -> Answered<Way> {
        let mut reason = None;
        for offer in &self.offers {
            match self.offered(offer, instance) {
                Ok(way) => return Ok(way),
                Err(problem) => reason = reason.or(Some(problem)),
            }
        }
        Err(reason.unwrap_or_else(|| Problem::not_acceptable("")))
    }

    fn offered(&self, offer: &Offer, instance: &Instance) -> Answered<Way> {
        let stored = TransferSyntax::new(&instance.transfer_syntax);
        // What goes out if any syntax will do. Implicit VR and Big Endian never go on the wire (PS3.18 8.7.3); a recompressed JPEG
        // goes as the JPEG to who does not name JPEG XL.
        let (form, syntax) = match stored.uid() {
            TransferSyntax::IMPLICIT_LITTLE | TransferSyntax::EXPLICIT_BIG => {
                (OutgoingForm::Explicit, TransferSyntax::EXPLICIT_LITTLE)
            }
            TransferSyntax::JPEG_XL_RECOMPRESSION if !self.jpeg_xl => {
                (OutgoingForm::Jpeg, TransferSyntax::JPEG_BASELINE)
            }
            uid => (OutgoingForm::Stored, uid),
        };
        let made =
            |form, syntax: &str, or_stored| Way { shape: offer.shape, form, syntax: syntax.to_owned(), or_stored };
        let way = |form, syntax: &str, or_stored| Ok(made(Form::Out(form), syntax, or_stored));
        let refuse = |reason: String| Err(Problem::not_acceptable(format!("{reason}; ask for transfer-syntax=*")));
        let Some(wanted) = offer.syntax.as_deref() else { return way(form, syntax, true) };
        match wanted {
            _ if wanted == syntax => way(form, syntax, offer.implied),
            TransferSyntax::EXPLICIT_LITTLE if stored.is_video() && !offer.implied => {
                refuse("a video is not given uncompressed".into())
            }
            // Where there are only lossy pixels, the default may be what there is (PS3.18 8.7.3.4).
            TransferSyntax::EXPLICIT_LITTLE if offer.implied && (stored.is_video() || instance.facts.lossy) => {
                way(form, syntax, true)
            }
            TransferSyntax::EXPLICIT_LITTLE => way(OutgoingForm::Explicit, wanted, false),
            TransferSyntax::ENCAPSULATED_UNCOMPRESSED if !stored.is_video() => {
                way(OutgoingForm::Encapsulated, wanted, false)
            }
            _ => match Coding::of_syntax(wanted).filter(|coding| coding.target().is_some()) {
                Some(coding) if coded::can_be(&instance.facts, coding) => Ok(made(Form::Coded(coding), wanted, false)),
                _ => refuse(format!("stored in transfer syntax {stored}")),
            },
        }
    }
}

/// One bad instance hides no other: it leaves a hole, which is told.
fn represent(app: &App, instances: &[Arc<Instance>], ways: Vec<Answered<Way>>) -> Answered<(Representation, Holes)> {
    let (mut parts, mut holes, mut left) = (Vec::with_capacity(instances.len()), Holes::default(), Budget::default());
    let single = instances.len() == 1;
    for (instance, way) in instances.iter().zip(ways) {
        let content =
            way.and_then(|mut way| content(app, instance, &mut way, &mut left, single).map(|made| (way, made)));
        match content {
            Ok((way, segments)) => parts.push((instance, way, segments)),
            Err(problem) if single => return Err(problem),
            Err(problem) => {
                tracing::warn!(sop = %instance.sop, cause = problem.message(), "left out of the answer");
                holes.add(problem);
            }
        }
    }
    if parts.is_empty() {
        return Err(holes.first.unwrap_or_else(|| Problem::not_found("instance")));
    }
    let etag = etag(parts.iter().map(|(instance, way, _)| (*instance, way)));
    let modified = single.then(|| parts[0].0.stored);
    if single && parts[0].1.shape == Shape::Single {
        let (_, way, segments) = parts.remove(0);
        return Ok((Representation { content_type: part_type(&way), etag, modified, segments }, holes));
    }
    let mut body = Multipart::new(&etag);
    for (_, way, segments) in parts {
        body.part(&part_type(&way), segments);
    }
    let (content_type, segments) = body.finish(media::DICOM);
    Ok((Representation { content_type, etag, modified, segments }, holes))
}

/// Names objects and forms: what has the same tag has the same bytes.
fn etag<'a>(parts: impl Iterator<Item = (&'a Arc<Instance>, &'a Way)>) -> String {
    let (mut hash, mut shape, mut forms) = (Sha256::new(), "m", String::new());
    for (instance, way) in parts {
        hash.update(instance.object_id.as_bytes());
        hash.update(letter(way.form));
        if way.shape == Shape::Single {
            shape = "s";
        }
        if !forms.contains(letter(way.form)) {
            forms.push_str(letter(way.form));
        }
    }
    let hex: String = hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    // What is made depends on who makes it.
    let coder = if forms.is_empty() { String::new() } else { format!("-{CODER}") };
    format!("\"{hex}-i-{shape}{forms}{coder}\"")
}

fn letter(form: Form) -> &'static str {
    match form {
        Form::Out(OutgoingForm::Stored) => "",
        Form::Out(OutgoingForm::Explicit) => "x",
        Form::Out(OutgoingForm::Encapsulated) => "e",
        Form::Out(OutgoingForm::Jpeg) => "j",
        Form::Coded(coding) => coding.syntax(),
    }
}

/// What one answer may do before it begins.
struct Budget {
    held: u64,
    checked: u64,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { held: HELD, checked: CHECKED }
    }
}

/// The bytes of one instance.
fn content(
    app: &App,
    instance: &Arc<Instance>,
    way: &mut Way,
    left: &mut Budget,
    single: bool,
) -> Answered<Vec<Segment>> {
    let form = match way.form {
        Form::Out(OutgoingForm::Stored) => return stored(app, instance, left, single),
        Form::Out(form) => form,
        Form::Coded(coding) => return Ok(vec![Segment::Memory(transcoded::file(app, instance, coding)?)]),
    };
    match made(app, instance, form, left, single) {
        Err(problem) if way.or_stored && is_file(app, instance) => {
            let cause = problem.message();
            tracing::warn!(sop = %instance.sop, cause, "goes out as it is stored");
            (way.form, way.syntax) = (Form::Out(OutgoingForm::Stored), instance.transfer_syntax.clone());
            stored(app, instance, left, single)
        }
        made => made,
    }
}

fn head(app: &App, instance: &Arc<Instance>) -> Answered<Vec<u8>> {
    let object = app.archive.object(instance)?;
    let mut head = vec![0; object.size().min(HEAD) as usize];
    object.read_at(0, &mut head).map_err(Problem::internal)?;
    Ok(head)
}

/// Is what is stored a file of PS3.10, whatever is in it?
fn is_file(app: &App, instance: &Arc<Instance>) -> bool {
    head(app, instance).is_ok_and(|head| head.get(PREAMBLE..PREAMBLE + 4) == Some(b"DICM"))
}

/// The file as it is stored, its preamble zeroed: what stands there could make it something else as well (PS3.10 7.5). One without
/// sound file meta information gets it.
fn stored(app: &App, instance: &Arc<Instance>, left: &mut Budget, single: bool) -> Answered<Vec<Segment>> {
    let head = head(app, instance)?;
    if sound_file_meta(&head).is_none_or(|told| told.uid() != instance.transfer_syntax) {
        match made(app, instance, OutgoingForm::Stored, left, single) {
            // What can't be read any more is still the file that it was.
            Err(problem) if head.get(PREAMBLE..PREAMBLE + 4) == Some(b"DICM") => {
                tracing::warn!(sop = %instance.sop, cause = problem.message(), "goes out as it was received");
            }
            made => return made,
        }
    }
    let zeros = Segment::Memory(Bytes::from_static(&[0; PREAMBLE]));
    let object = Object::Later(app.archive.clone(), instance.clone());
    Ok(vec![zeros, Segment::Stored { object, offset: PREAMBLE as u64, len: instance.size - PREAMBLE as u64 }])
}

/// The instance in another form: whole where it is small, else made while it is sent. Its frames are looked at before, as far as the
/// budget goes, so that what can't be made is known before the answer begins.
fn made(
    app: &App,
    instance: &Arc<Instance>,
    form: OutgoingForm,
    left: &mut Budget,
    single: bool,
) -> Answered<Vec<Segment>> {
    let key = format!("instance {form:?} {}", instance.object_id);
    if let Some(bytes) = app.made.get(&key) {
        return Ok(vec![Segment::Memory(bytes)]);
    }
    let refuse = |error: dicom::Error| match error {
        dicom::Error::Io(error) => Problem::internal(error),
        error => {
            let text = error.to_string();
            let reason = text.trim_start_matches("unsupported: ");
            Problem::not_acceptable(format!("{reason}; it can be had as it is stored: ask for transfer-syntax=*"))
        }
    };
    let source = app.archive.source(instance).map_err(|error| match error {
        archive::Error::Dicom(error) => refuse(error),
        other => other.into(),
    })?;
    let mut outgoing = Outgoing::new(source, form).map_err(refuse)?;
    let len = outgoing.len();
    if len <= SMALL.min(left.held) {
        let mut bytes = vec![0; len as usize];
        outgoing.read_at(0, &mut bytes).map_err(refuse)?;
        let bytes = Bytes::from(bytes);
        app.made.put(key, bytes.clone(), bytes.len());
        left.held -= len;
        return Ok(vec![Segment::Memory(bytes)]);
    }
    left.checked = outgoing.check(left.checked).map_err(refuse)?;
    let made = Made::new(app, instance, form, single.then_some(outgoing));
    Ok(vec![Segment::Stored { object: Object::Made(Arc::new(made)), offset: 0, len }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(accept: Option<&str>, one: bool, strict: bool) -> Option<(Shape, Option<String>)> {
        Wanted::of(accept, one, strict).ok().map(|w| (w.offers[0].shape, w.offers[0].syntax.clone()))
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

    #[test]
    fn a_zip_has_its_rank() {
        let zips = |accept, no_other| Wanted::of(Some(accept), false, false).unwrap().zipped(no_other).is_some();
        assert!(zips("application/zip", false) && zips("text/html, application/zip", false));
        assert!(zips("application/dicom;q=0.5, application/zip", false));
        assert!(!zips("application/dicom, application/zip", false) && !zips("application/zip;q=0.1, */*;q=0.5", false));
        assert!(zips("application/dicom; transfer-syntax=1.2.840.10008.1.2.4.57, application/zip", true));
        assert!(!zips("application/dicom", true));
    }
}
