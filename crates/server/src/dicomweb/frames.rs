//! Frames (PS3.18 10.4.1.1.6): ranges of the one stored object, as multipart or bare.

use super::coded;
use super::target::Target;
use crate::error::{Answered, Problem};
use crate::known;
use crate::media::{self, Answer, CODER, Coding, Form, Held, OCTET_STREAM, Shape};
use crate::multipart::{self, Multipart};
use crate::representation::{Object, Representation, Segment};
use crate::state::App;
use archive::{FrameEntry, Instance};
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use bytes::Bytes;
use dicom::TransferSyntax;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use transcode::Decode;

/// Bytes of samples decoded for one request.
const LARGEST: u64 = 1 << 30;

/// The frames that the path lists.
pub async fn listed(State(app): State<Arc<App>>, target: Target) -> Answered<Response<Body>> {
    frames(app, target).await
}

/// All frames of an instance.
pub async fn all(State(app): State<Arc<App>>, target: Target) -> Answered<Response<Body>> {
    frames(app, target).await
}

async fn frames(app: Arc<App>, target: Target) -> Answered<Response<Body>> {
    let known = target.asked().and_then(|asked| known::again(&app, &target.method, &target.headers, &asked));
    if let Some(response) = known {
        return Ok(response);
    }
    // Stored bytes are handed out by whoever looked them up; samples are decoded where cores are counted.
    let (target, plan) = app.read(move |app| answer_stored(app, target)).await?;
    match plan {
        Plan::Done(response) => Ok(*response),
        Plan::Make(make) => {
            app.compute(move |app| {
                let representation = make.representation(app)?;
                representation.answer(&target.method, &target.headers).map_err(Problem::internal)
            })
            .await
        }
    }
}

enum Plan {
    Done(Box<Response<Body>>),
    Make(Make),
}

fn answer_stored(app: &App, target: Target) -> Answered<(Target, Plan)> {
    // Before the look-up: what changes meanwhile makes stale what is known.
    let as_of = app.archive.handed_out()?;
    let instance = target.find_instance(app)?;
    let numbers = numbers(&instance, target.frames.as_deref())?;
    let Chosen { wire, shape, what } = choose(app, &instance, target.accept().as_deref())?;
    if shape == Shape::Single && numbers.len() > 1 {
        return Err(Problem::not_acceptable("several frames are given as multipart/related"));
    }
    if let Some(what) = what {
        return Ok((target, Plan::Make(Make { instance, numbers, shape, what })));
    }
    let reader = app.archive.object(&instance)?;
    let object = Object::Open(reader.clone());
    let content = |n: &u32| {
        let frame = instance.frame(*n).ok_or_else(|| missing(app, &instance, *n))?;
        Ok(runs(frame).map(|(offset, len)| Segment::Stored { object: object.clone(), offset, len }).collect())
    };
    let contents = numbers.iter().map(content).collect::<Answered<Vec<_>>>()?;
    let representation = represent(&instance, etag(&instance, &numbers, shape, ""), shape, &wire.part_type(), contents);
    let response = representation.answer(&target.method, &target.headers).map_err(Problem::internal)?;
    if let (Some(as_of), Some(asked)) = (as_of, target.asked()) {
        app.known.keep(&asked, as_of, Some((&instance.object_id, &reader)), &representation);
    }
    Ok((target, Plan::Done(Box::new(response))))
}

/// How an instance's frames are answered.
struct Chosen {
    wire: Wire,
    shape: Shape,
    /// What is to be made; `None`: they go out as they are stored.
    what: Option<What>,
}

fn choose(app: &App, instance: &Instance, accept: Option<&str>) -> Answered<Chosen> {
    let strict = app.config.strict_accept;
    let wire = if media::names_jpeg_xl(accept, strict) { Wire::stored(instance) } else { Wire::of(instance) };
    let makes = |coding| coded::can_be(&instance.facts, coding);
    let held = Held { syntax: &wire.syntax, native: wire.native, makes: &makes };
    let Answer { shape, form } = media::negotiate(accept, &held, strict)
        .ok_or_else(|| Problem::not_acceptable(format!("frames are stored in transfer syntax {}", wire.syntax)))?;
    let what = match form {
        Form::Coded(coding) => Some(What::Coded(coding)),
        Form::Samples if !wire.native => Some(What::Samples),
        _ if wire.must_decode => Some(What::Samples),
        _ => wire.must_rebuild.then_some(What::Jpeg),
    };
    Ok(Chosen { wire, shape, what })
}

/// Can the frames of an instance be given in a form that is accepted? What is wrong with one frame is not asked.
pub fn can_be(app: &App, instance: &Instance, accept: Option<&str>) -> Answered<()> {
    choose(app, instance, accept).map(drop)
}

/// Frame `n` (from 0) as a part of a larger answer: its type and its bytes.
pub fn part(app: &App, instance: &Arc<Instance>, n: u32, accept: Option<&str>) -> Answered<(String, Bytes)> {
    let Chosen { wire, shape, what } = choose(app, instance, accept)?;
    if let Some(what) = what {
        let make = Make { instance: instance.clone(), numbers: vec![n], shape, what };
        return Ok((make.part_type(), make.frame(app, n)?));
    }
    let frame = instance.frame(n).ok_or_else(|| missing(app, instance, n))?;
    if frame.len > LARGEST {
        return Err(Problem::bad_request("that much is not given in one part: ask for the frame"));
    }
    let bytes = app.archive.object(instance)?.read_frame(frame).map_err(Problem::internal)?;
    Ok((wire.part_type(), bytes.into()))
}

/// Frame indices (from 0) of the numbers asked for, or of all.
fn numbers(instance: &Instance, asked: Option<&[u32]>) -> Answered<Vec<u32>> {
    let count = instance.facts.frames;
    let numbers = match asked {
        Some(list) => list.iter().map(|n| n - 1).collect(),
        None => (0..count).collect::<Vec<_>>(),
    };
    if numbers.is_empty() || numbers.iter().any(|n| *n >= count) {
        Err(Problem::not_found("frame"))
    } else {
        Ok(numbers)
    }
}

/// Why a frame is not handed out: the file knows.
fn missing(app: &App, instance: &Instance, n: u32) -> Problem {
    match app.archive.source(instance) {
        Err(error) => error.into(),
        Ok(source) => source.read_frame(n, &mut Vec::new()).map_or_else(of_file, |()| Problem::not_found("frame")),
    }
}

/// What is wrong with a file is not the server's fault: its frame can't be given, and the client is told why.
fn of_file(error: dicom::Error) -> Problem {
    match error {
        dicom::Error::Io(_) => error.into(),
        other => {
            tracing::debug!(error = %other, "no frame");
            Problem::not_there(other)
        }
    }
}

/// The runs of bytes of a frame in its object.
fn runs(frame: &FrameEntry) -> impl Iterator<Item = (u64, u64)> {
    let whole = frame.fragments.is_empty().then_some((frame.offset, frame.len));
    frame.fragments.iter().copied().chain(whole)
}

/// How an instance's frames look on the wire.
pub struct Wire {
    /// Transfer syntax of a part.
    pub syntax: TransferSyntax,
    /// Its media type.
    media: &'static str,
    /// Uncompressed samples.
    native: bool,
    /// The stored bytes are not what goes on the wire: big endian, or inside a deflated data set.
    must_decode: bool,
    /// The stored bytes are a JPEG stream in the form of JPEG XL, and the JPEG goes on the wire.
    must_rebuild: bool,
}

impl Wire {
    /// For a client that does not name JPEG XL: it gets the JPEG that was recompressed, or the samples.
    pub fn of(instance: &Instance) -> Wire {
        let wire = Wire::stored(instance);
        match wire.syntax.uid() {
            TransferSyntax::JPEG_XL_RECOMPRESSION => Wire {
                syntax: TransferSyntax::new(TransferSyntax::JPEG_BASELINE),
                media: media::of_frames(&TransferSyntax::new(TransferSyntax::JPEG_BASELINE)),
                must_rebuild: true,
                ..wire
            },
            TransferSyntax::JPEG_XL_LOSSLESS | TransferSyntax::JPEG_XL => Wire::samples(true),
            _ => wire,
        }
    }

    /// Implicit VR and Big Endian never go on the wire (PS3.18 8.7.3): native frames are Explicit VR Little Endian.
    fn stored(instance: &Instance) -> Wire {
        let facts = &instance.facts;
        let bits = u64::from(facts.rows) * u64::from(facts.columns) * u64::from(facts.bits_allocated);
        // Frames of a deflated data set are in no table; frames of single bits may begin within a byte.
        let untold = instance.frames.is_empty() || (facts.frames > 1 && bits % 8 != 0);
        Wire::in_syntax(instance.syntax_of_frames(), untold)
    }

    fn in_syntax(stored: TransferSyntax, untold: bool) -> Wire {
        let native = !stored.is_encapsulated() || stored.uid() == "1.2.840.10008.1.2.1.98";
        let must_decode = (untold && native)
            || matches!(
                stored.uid(),
                TransferSyntax::EXPLICIT_BIG | TransferSyntax::DEFLATED | "1.2.840.10008.1.2.8.1"
            );
        if native || (must_decode && !stored.is_video()) {
            return Wire::samples(must_decode);
        }
        Wire { media: media::of_frames(&stored), syntax: stored, native, must_decode, must_rebuild: false }
    }

    fn samples(must_decode: bool) -> Wire {
        Wire {
            syntax: TransferSyntax::new(TransferSyntax::EXPLICIT_LITTLE),
            media: OCTET_STREAM,
            native: true,
            must_decode,
            must_rebuild: false,
        }
    }

    /// Do frames go out as they are stored?
    pub fn as_stored(&self) -> bool {
        !self.must_decode && !self.must_rebuild
    }

    /// Content-Type of a part; its letters are what viewers compare with.
    fn part_type(&self) -> String {
        format!("{};transfer-syntax={}", self.media, self.syntax.uid())
    }

    /// Bytes before the first frame in the default multipart body.
    pub fn body_offset(&self) -> u64 {
        multipart::body_offset(&self.part_type())
    }
}

fn represent(
    instance: &Instance,
    etag: String,
    shape: Shape,
    part_type: &str,
    contents: Vec<Vec<Segment>>,
) -> Representation {
    let (content_type, segments) = match shape {
        Shape::Single => (part_type.to_owned(), contents.into_iter().flatten().collect()),
        Shape::Multipart => {
            let mut body = Multipart::new(&etag);
            contents.into_iter().for_each(|content| body.part(part_type, content));
            body.finish(part_type.split(';').next().unwrap_or(OCTET_STREAM))
        }
    };
    Representation { content_type, etag, modified: Some(instance.stored), segments }
}

/// Names object, frames and form: what has the same tag has the same bytes.
fn etag(instance: &Instance, numbers: &[u32], shape: Shape, form: &str) -> String {
    let object = instance.object_id.get(..32).unwrap_or(&instance.object_id);
    let frames = match numbers {
        [n] => format!("f{}", n + 1),
        _ => {
            let digest = Sha256::digest(numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>());
            digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
        }
    };
    let shape = if shape == Shape::Multipart { "m" } else { "s" };
    format!("\"{object}-{frames}-{shape}{form}\"")
}

/// Frames to be made of what is stored.
struct Make {
    instance: Arc<Instance>,
    numbers: Vec<u32>,
    shape: Shape,
    what: What,
}

/// What frames are made to.
#[derive(Clone, Copy)]
enum What {
    Samples,
    /// The JPEG streams that were recompressed.
    Jpeg,
    /// Frames in another coding.
    Coded(Coding),
}

impl Make {
    fn representation(&self, app: &App) -> Answered<Representation> {
        if self.instance.facts.frame_bytes().saturating_mul(self.numbers.len() as u64) > LARGEST {
            return Err(Problem::bad_request("that much is not decoded at once: ask for fewer frames"));
        }
        let contents: Answered<Vec<_>> =
            self.numbers.iter().map(|n| Ok(vec![Segment::Memory(self.frame(app, *n)?)])).collect();
        let form = match self.what {
            What::Samples => "d",
            What::Jpeg => "j",
            What::Coded(coding) => coding.letter(),
        };
        let etag = etag(&self.instance, &self.numbers, self.shape, &format!("{form}-{CODER}"));
        Ok(represent(&self.instance, etag, self.shape, &self.part_type(), contents?))
    }

    /// Content-Type of a part.
    fn part_type(&self) -> String {
        let (media, syntax) = match self.what {
            What::Samples => (OCTET_STREAM, TransferSyntax::EXPLICIT_LITTLE),
            What::Jpeg => ("image/jpeg", TransferSyntax::JPEG_BASELINE),
            What::Coded(coding) => (coding.media_type(), coding.syntax()),
        };
        format!("{media};transfer-syntax={syntax}")
    }

    fn frame(&self, app: &App, n: u32) -> Answered<Bytes> {
        match self.what {
            What::Samples => self.samples(app, n),
            What::Jpeg => self.jpeg(app, n),
            What::Coded(coding) => coded::frame(app, &self.instance, n, coding),
        }
    }

    /// The JPEG stream of a frame, rebuilt; kept for the ranges that follow.
    fn jpeg(&self, app: &App, n: u32) -> Answered<Bytes> {
        let key = format!("jpeg {} {n}", self.instance.object_id);
        if let Some(bytes) = app.made.get(&key) {
            app.metrics.cache_hits.fetch_add(1, Relaxed);
            return Ok(bytes);
        }
        app.metrics.cache_misses.fetch_add(1, Relaxed);
        let bytes = Bytes::from(app.archive.source(&self.instance)?.jpeg_frame(n).map_err(of_file)?);
        app.made.put(key, bytes.clone(), bytes.len());
        Ok(bytes)
    }

    /// Samples of a frame, as Explicit VR Little Endian has them; kept for the ranges that follow.
    fn samples(&self, app: &App, n: u32) -> Answered<Bytes> {
        let key = format!("samples {} {n}", self.instance.object_id);
        if let Some(bytes) = app.made.get(&key) {
            app.metrics.cache_hits.fetch_add(1, Relaxed);
            return Ok(bytes);
        }
        app.metrics.cache_misses.fetch_add(1, Relaxed);
        let source = app.archive.source(&self.instance)?;
        let mut bytes = Vec::new();
        source.decode_frame(n, &mut bytes).map_err(of_file)?;
        let facts = source.facts();
        if facts.planar == 1 && facts.samples > 1 {
            bytes = by_plane(&bytes, facts.samples.into(), facts.bits_allocated.div_ceil(8).into());
        }
        if facts.bits_allocated == 1 {
            bytes = packed(&bytes);
        }
        let bytes = Bytes::from(bytes);
        app.made.put(key, bytes.clone(), bytes.len());
        Ok(bytes)
    }
}

/// Samples of one bit, one in a byte, put eight to a byte, the first lowest (PS3.5 8.1.1).
fn packed(samples: &[u8]) -> Vec<u8> {
    samples.chunks(8).map(|eight| eight.iter().enumerate().fold(0, |byte, (n, bit)| byte | (bit & 1) << n)).collect()
}

/// Samples interleaved by pixel, put plane after plane as Planar Configuration 1 says.
fn by_plane(bytes: &[u8], samples: usize, width: usize) -> Vec<u8> {
    let pixels = bytes.chunks_exact(samples * width);
    (0..samples)
        .flat_map(|s| pixels.clone().flat_map(move |pixel| &pixel[s * width..(s + 1) * width]))
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits() {
        assert_eq!(packed(&[1, 0, 0, 0, 0, 0, 0, 1, 1, 1]), [0x81, 0x03]);
    }

    #[test]
    fn planes() {
        assert_eq!(by_plane(&[1, 2, 3, 4, 5, 6], 3, 1), [1, 4, 2, 5, 3, 6]);
        assert_eq!(by_plane(&[1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6], 3, 2), [1, 1, 4, 4, 2, 2, 5, 5, 3, 3, 6, 6]);
    }

    #[test]
    fn what_goes_on_the_wire() {
        let wire = |syntax: &str| {
            let wire = Wire::in_syntax(TransferSyntax::new(syntax), false);
            assert_eq!(wire.as_stored(), !wire.must_decode);
            (wire.part_type(), wire.must_decode)
        };
        let little = "application/octet-stream;transfer-syntax=1.2.840.10008.1.2.1".to_owned();
        for native in ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"] {
            assert_eq!(wire(native), (little.clone(), false), "{native}");
        }
        for decoded in ["1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"] {
            assert_eq!(wire(decoded), (little.clone(), true), "{decoded}");
        }
        assert_eq!(
            wire("1.2.840.10008.1.2.4.202"),
            ("image/jphc;transfer-syntax=1.2.840.10008.1.2.4.202".to_owned(), false)
        );
        assert_eq!(
            wire("1.2.840.10008.1.2.4.80"),
            ("image/jls;transfer-syntax=1.2.840.10008.1.2.4.80".to_owned(), false)
        );
        assert_eq!(
            wire("1.2.840.10008.1.2.5"),
            ("image/dicom-rle;transfer-syntax=1.2.840.10008.1.2.5".to_owned(), false)
        );
    }
}
