//! Rendered images and thumbnails (PS3.18 10.4.1.1.3-4).

use super::target::Target;
use super::{documents, frame_blocks, model};
use crate::accept::{self, MediaRange};
use crate::error::{Answered, Problem};
use crate::media::{self, CODER};
use crate::query::Parameters;
use crate::render::annotate::Annotation;
use crate::render::encode::Coding;
use crate::render::icc::Profile;
use crate::render::presentation::{self, State as Presentation};
use crate::render::region::Region;
use crate::render::tone::{Function, Window};
use crate::render::{self, Wish};
use crate::representation::{Object, Representation, Segment};
use crate::state::App;
use crate::stream::Parts;
use archive::Instance;
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use bytes::Bytes;
use dicom::{Tag, TransferSyntax, Value};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Longest side of a viewport.
const LARGEST: u32 = 16384;
/// Grayscale Softcopy Presentation State Storage.
const STATE: &str = "1.2.840.10008.5.1.4.1.1.11.1";
/// Pixels of an animation, all frames together.
const ANIMATED: u64 = 256 << 20;
/// Samples of the image that an animation is made of, all frames together.
const SOURCE: u64 = 1 << 30;
/// Frames of an animation.
const MOST_FRAMES: u32 = 10_000;
/// The viewport of a thumbnail, if the client names none.
const THUMBNAIL: u32 = 256;
/// Modalities whose instances stand for a series only where there is nothing else.
const LAST: [&str; 6] = ["SEG", "SR", "PR", "KO", "RTSTRUCT", "DOC"];

/// An instance or a frame, rendered at full size or to a viewport; of several frames, a series or a study one part each.
pub async fn rendered(State(app): State<Arc<App>>, target: Target) -> Answered<Response<Body>> {
    if target.instance.is_none() {
        let mut wish = wish(&target)?;
        wish.enlarge = true;
        return all(app, target, wish).await;
    }
    let look_up = move |app: &App| {
        let as_of = app.archive.handed_out()?;
        target.find_instance(app).map(|found| (target, found, as_of))
    };
    let (target, instance, as_of) = app.read(look_up).await?;
    if let Some(kind) = documents::Kind::of(&instance).filter(|_| target.frames.is_none()) {
        return app.compute(move |app| documents::rendered(app, &target, &instance, kind)).await;
    }
    if TransferSyntax::new(&instance.transfer_syntax).is_video() {
        return app.read(move |app| video(app, &target, &instance)).await;
    }
    let mut wish = wish(&target)?;
    wish.enlarge = true;
    if instance.facts.sop_class_uid == STATE {
        return presented(app, target, instance, wish).await;
    }
    let count = instance.facts.frames.max(1);
    let frames: Vec<u32> = match target.frames.as_deref() {
        Some(list) => list.iter().map(|n| n - 1).collect(),
        None if wish.coding == Coding::Gif => moving(&instance)?,
        None => vec![instance.frame_to_show(0)],
    };
    if frames.iter().any(|frame| *frame >= count) {
        return Err(Problem::not_found("frame"));
    }
    match frames[..] {
        [frame] => respond(app, target, instance, frame, wish, as_of).await,
        _ if wish.coding == Coding::Gif => animated(app, target, instance, frames, wish).await,
        _ => {
            let items = frames.into_iter().map(|frame| (instance.clone(), frame)).collect();
            parts(app, target, items, wish).await
        }
    }
}

/// The frames (from 0) of an animation of all of them: those that are there.
fn moving(instance: &Instance) -> Answered<Vec<u32>> {
    let here = frame_blocks::blocks(instance).flat_map(|block| frame_blocks::present(instance, block));
    let frames: Vec<u32> = here.take(MOST_FRAMES as usize + 1).collect();
    match frames.len() {
        // It is told why there is none.
        0 => Ok(vec![0]),
        n if n > MOST_FRAMES as usize => Err(too_large()),
        _ => Ok(frames),
    }
}

fn too_large() -> Problem {
    Problem::bad_request("that is too large for one animation: ask for a smaller viewport or fewer frames")
}

/// The first image that a presentation state is about, as it shows it.
async fn presented(app: Arc<App>, target: Target, state: Arc<Instance>, mut wish: Wish) -> Answered<Response<Body>> {
    if wish.region.is_some() || target.frames.is_some() {
        return Err(Problem::bad_request("a presentation state has an image, a frame and a displayed area of its own"));
    }
    let work = move |app: &App| {
        let source = app.archive.source(&state)?;
        let missing = || Problem::not_found("image: no image that the presentation state is about is here");
        let (series, sop, frame) = presentation::first_image(&source).ok_or_else(missing)?;
        let image = app.archive.instance(&state.study, &series, &sop)?.ok_or_else(missing)?;
        wish.state = Some(Arc::new(Presentation::of(&source, &app.archive.source(&image)?)));
        Ok((target, image, frame, wish))
    };
    let (target, image, frame, wish) = app.read(work).await?;
    respond(app, target, image, frame, wish, None).await
}

/// The images of a study or series, each by its first frame.
async fn all(app: Arc<App>, target: Target, wish: Wish) -> Answered<Response<Body>> {
    let (target, instances) = app.read(move |app| target.find_instances(app).map(|found| (target, found))).await?;
    let has_image = |instance: &Arc<Instance>| instance.facts.rows > 0 && instance.facts.frames > 0;
    let items: Vec<_> = instances
        .into_iter()
        .filter(has_image)
        .map(|instance| {
            let frame = instance.frame_to_show(0);
            (instance, frame)
        })
        .collect();
    match &items[..] {
        [] => Err(Problem::not_found("image: there are none in it")),
        [(instance, frame)] => respond(app, target, instance.clone(), *frame, wish, None).await,
        _ => parts(app, target, items, wish).await,
    }
}

/// One part of each frame.
async fn parts(
    app: Arc<App>,
    target: Target,
    items: Vec<(Arc<Instance>, u32)>,
    wish: Wish,
) -> Answered<Response<Body>> {
    let name = items.first().map_or(String::new(), |(instance, frame)| etag(instance, *frame, &wish));
    let make = move |app: &App, (instance, frame): &(Arc<Instance>, u32)| {
        let path = format!("/studies/{}/series/{}/instances/{}", instance.study, instance.series, instance.sop);
        let bytes = picture(app, instance, *frame, &wish)?;
        let kind = wish.coding.media_type();
        Ok((format!("{kind}\r\nContent-Location: /dicom-web{path}/frames/{}/rendered", frame + 1), bytes))
    };
    Parts::new(app, items, make).multipart(&format!("rendered {name}"), &target.method).await
}

/// All frames as one GIF.
async fn animated(
    app: Arc<App>,
    target: Target,
    instance: Arc<Instance>,
    frames: Vec<u32>,
    wish: Wish,
) -> Answered<Response<Body>> {
    let full = (instance.facts.columns, instance.facts.rows);
    let (width, height) = wish.viewport.map_or(full, |viewport| render::scale::fitted(full, viewport, wish.enlarge));
    let count = frames.len() as u64;
    let samples = u64::from(full.0) * u64::from(full.1) * u64::from(instance.facts.samples);
    if u64::from(width) * u64::from(height) * count > ANIMATED || samples.saturating_mul(count) > SOURCE {
        return Err(too_large());
    }
    let listed: Vec<u8> = frames.iter().flat_map(|frame| frame.to_le_bytes()).collect();
    let etag =
        format!("{}-a{}\"", etag(&instance, 0, &wish).trim_end_matches('"'), model::hash([&listed[..]].into_iter()));
    if let Some(bytes) = app.made.get(&etag) {
        app.metrics.cache_hits.fetch_add(1, Relaxed);
        return whole(&target, &represent(&instance, false, wish.coding, etag, bytes));
    }
    let coding = wish.coding;
    let wish = Arc::new(wish);
    let mut animation = None;
    // Frame by frame: who goes away stops it, and others get their turn.
    for frame in frames {
        let (instance, wish) = (instance.clone(), wish.clone());
        let add = move |app: &App| Ok(render::animate(&app.archive, &instance, frame, &wish, &app.room, animation)?);
        animation = Some(app.compute(add).await?);
    }
    let animation = animation.ok_or_else(|| Problem::not_found("frame"))?;
    let bytes = kept(&app, &etag, || Ok(animation.finish()?))?;
    whole(&target, &represent(&instance, false, coding, etag, bytes))
}

/// What is kept under a name, or made now.
fn kept(app: &App, name: &str, make: impl FnOnce() -> Answered<Vec<u8>>) -> Answered<Bytes> {
    if let Some(bytes) = app.made.get(&name.to_owned()) {
        app.metrics.cache_hits.fetch_add(1, Relaxed);
        return Ok(bytes);
    }
    app.metrics.cache_misses.fetch_add(1, Relaxed);
    let bytes = Bytes::from(make()?);
    app.made.put(name.to_owned(), bytes.clone(), bytes.len());
    Ok(bytes)
}

/// A frame as it is wished.
fn picture(app: &App, instance: &Arc<Instance>, frame: u32, wish: &Wish) -> Answered<Bytes> {
    kept(app, &etag(instance, frame, wish), || Ok(render::render(&app.archive, instance, frame, wish, &app.room)?))
}

fn whole(target: &Target, representation: &Representation) -> Answered<Response<Body>> {
    representation.answer(&target.method, &target.headers).map_err(Problem::internal)
}

/// A picture of an instance; `state`: another instance decides what it looks like, too.
fn represent(instance: &Instance, state: bool, coding: Coding, etag: String, bytes: Bytes) -> Representation {
    let (content_type, modified) = (coding.media_type().to_owned(), (!state).then_some(instance.stored));
    Representation { content_type, etag, modified, segments: vec![Segment::Memory(bytes)] }
}

/// A small image of a frame, or of what stands for an instance, series or study: its middle.
pub async fn thumbnail(State(app): State<Arc<App>>, target: Target) -> Answered<Response<Body>> {
    let mut wish = wish(&target)?;
    wish.viewport = wish.viewport.or(Some((THUMBNAIL, THUMBNAIL)));
    let (target, instance, as_of) = app
        .read(move |app| {
            // What comes new may be what stands for its series.
            let as_of = if target.instance.is_some() { app.archive.handed_out()? } else { None };
            let instances = target.find_instances(app)?;
            representative(&instances).map(|found| (target, found, as_of))
        })
        .await?;
    let frame = match target.frames.as_deref() {
        Some(list) => list[0] - 1,
        None => instance.frame_to_show(instance.facts.frames / 2),
    };
    respond(app, target, instance, frame, wish, as_of).await
}

/// A video as it is stored, its fragments joined; ranges let a player seek.
fn video(app: &App, target: &Target, instance: &Instance) -> Answered<Response<Body>> {
    let (accept, media) = (target.accept(), media::of_frames(&TransferSyntax::new(&instance.transfer_syntax)));
    let takes = accept::parse(accept.as_deref().unwrap_or_default()).iter().any(|range| range.covers(media));
    if !takes && !media::takes_stored(accept.as_deref()) {
        return Err(Problem::not_acceptable(format!("a video: no image of it is rendered, it is given as {media}")));
    }
    let source = app.archive.source(instance)?;
    let fragments = match source.data_set().get(Tag(0x7FE0, 0x0010)).map(|element| &element.value) {
        Some(Value::Fragments(fragments)) => fragments.clone(),
        _ => return Err(Problem::not_found("video")),
    };
    let object = Object::Open(app.archive.object(instance)?);
    let stored = |(offset, len)| Segment::Stored { object: object.clone(), offset, len };
    let short = instance.object_id.get(..32).unwrap_or(&instance.object_id);
    let representation = Representation {
        content_type: media.to_owned(),
        etag: format!("\"{short}-v\""),
        modified: Some(instance.stored),
        // The first fragment is the offset table.
        segments: fragments.into_iter().skip(1).map(stored).collect(),
    };
    representation.answer(&target.method, &target.headers).map_err(Problem::internal)
}

/// A frame (from 0) as it is wished. `as_of`: what the archive counted before the instance was looked up, where the same request is answered
/// by the same instance until something is handed out otherwise.
pub async fn respond(
    app: Arc<App>,
    target: Target,
    instance: Arc<Instance>,
    frame: u32,
    wish: Wish,
    as_of: Option<u64>,
) -> Answered<Response<Body>> {
    if frame >= instance.facts.frames.max(1) {
        return Err(Problem::not_found("frame"));
    }
    let (etag, state, coding) = (etag(&instance, frame, &wish), wish.state.is_some(), wish.coding);
    let bytes = match app.made.get(&etag) {
        Some(bytes) => {
            app.metrics.cache_hits.fetch_add(1, Relaxed);
            bytes
        }
        None => {
            let instance = instance.clone();
            app.compute(move |app| picture(app, &instance, frame, &wish)).await?
        }
    };
    let representation = represent(&instance, state, coding, etag, bytes);
    if let (Some(as_of), Some(asked)) = (as_of, target.asked()) {
        app.known.keep(&asked, as_of, None, &representation);
    }
    whole(&target, &representation)
}

/// The middle instance of the first series that has images; series of images proper before those of annotations.
fn representative(instances: &[Arc<Instance>]) -> Answered<Arc<Instance>> {
    let has_image = |instance: &&Arc<Instance>| instance.facts.rows > 0 && instance.facts.frames > 0;
    let images: Vec<_> = instances.iter().filter(has_image).collect();
    let proper = |instance: &&&Arc<Instance>| !LAST.contains(&instance.facts.modality.as_str());
    let first = images
        .iter()
        .find(proper)
        .or(images.first())
        .ok_or_else(|| Problem::not_found("image: there are none in it"))?;
    let series: Vec<_> = images.iter().filter(|instance| instance.series == first.series).collect();
    Ok(Arc::clone(series[series.len() / 2]))
}

impl From<render::Error> for Problem {
    fn from(error: render::Error) -> Problem {
        match error {
            render::Error::Asked(why) => Problem::bad_request(why),
            render::Error::NoImage(why) => Problem::not_found(&format!("image: {why}")),
            render::Error::Archive(error) => error.into(),
            // What cannot be decoded is stored and handed out as it is; only it cannot be shown.
            render::Error::Decode(error) => {
                tracing::warn!(%error, "not rendered");
                Problem::not_found("image: what is stored cannot be decoded")
            }
            other => Problem::internal(other),
        }
    }
}

fn etag(instance: &Instance, frame: u32, wish: &Wish) -> String {
    let object = instance.object_id.get(..32).unwrap_or(&instance.object_id);
    let viewport = wish.viewport.map_or(String::new(), |(w, h)| format!("-{w}x{h}"));
    let window = wish.window.map_or(String::new(), |w| format!("-{}_{}_{}", w.center, w.width, w.function as u8));
    let quality = wish.quality.map_or(String::new(), |q| q.to_string());
    let enlarge = if wish.enlarge { "r" } else { "t" };
    let coding = wish.coding.letter();
    // What is asked for seldom is told in short.
    let more = match (wish.region, wish.annotation, wish.profile, &wish.state) {
        (None, annotation, None, None) if annotation == Annotation::default() => String::new(),
        more => format!("-{}", &model::hash([format!("{more:?}").as_bytes()].into_iter())[..12]),
    };
    format!("\"{object}-{enlarge}{}{viewport}{window}{more}-{coding}{quality}-{CODER}\"", frame + 1)
}

fn wish(target: &Target) -> Answered<Wish> {
    let parameters = &target.parameters;
    let (viewport, region) = viewport(parameters)?;
    let coding = coding(target.accept().as_deref())?;
    Ok(Wish {
        viewport,
        region,
        window: window(parameters)?,
        quality: quality(parameters, "quality")?,
        annotation: annotation(parameters)?,
        profile: profile(parameters)?.filter(|_| coding.takes_profile()),
        state: None,
        enlarge: false,
        coding,
    })
}

fn coding(accept: Option<&str>) -> Answered<Coding> {
    const OFFERS: [Coding; 4] = [Coding::Jpeg, Coding::Png, Coding::Gif, Coding::JpegXl];
    let of = |range: &MediaRange| {
        let multipart = matches!(range.essence.as_str(), "multipart/related" | "multipart/*");
        let kind = if multipart { range.parameter("type").unwrap_or("*/*") } else { &range.essence };
        let kind = kind.to_ascii_lowercase();
        OFFERS.into_iter().find(|coding| accept::covers(&kind, coding.media_type()))
    };
    match accept::parse(accept.unwrap_or_default()).iter().find_map(of) {
        Some(coding) => Ok(coding),
        None if media::takes_stored(accept) => Ok(Coding::Jpeg),
        None => Err(Problem::not_acceptable("rendered as image/jpeg, image/png, image/gif or image/jxl")),
    }
}

/// What to fit into, and what of the image.
type Viewport = (Option<(u32, u32)>, Option<Region>);

/// `viewport=W,H`, and a region of the image after it: first column and row, columns and rows, negative ones mirrored. What is left
/// empty is all there is (PS3.18 8.3.5.1.3).
fn viewport(parameters: &Parameters) -> Answered<Viewport> {
    let Some(text) = parameters.get("viewport") else { return Ok((None, None)) };
    let bad = || {
        let words = format!(
            "viewport is two numbers from 1 to {LARGEST}, and a region of the image in four more, joined by commas"
        );
        Problem::bad_request(words)
    };
    let pieces: Vec<&str> = text.split(',').map(str::trim).collect();
    let side = |text: &str| text.parse().ok().filter(|n| (1..=LARGEST).contains(n)).ok_or_else(bad);
    let number = |at: usize| match pieces.get(at).copied().unwrap_or_default() {
        "" => Ok(None),
        text => text.parse::<f64>().ok().filter(|n| n.is_finite()).map(Some).ok_or_else(bad),
    };
    if !(2..=6).contains(&pieces.len()) {
        return Err(bad());
    }
    let viewport = Some((side(pieces[0])?, side(pieces[1])?));
    let (x, y, width, height) = (number(2)?, number(3)?, number(4)?, number(5)?);
    if [x, y, width, height].iter().all(Option::is_none) {
        return Ok((viewport, None));
    }
    let region = Region {
        x: x.unwrap_or(0.0),
        y: y.unwrap_or(0.0),
        width: width.map(f64::abs),
        height: height.map(f64::abs),
        mirrored: width.is_some_and(|width| width < 0.0),
        flipped: height.is_some_and(|height| height < 0.0),
    };
    if width == Some(0.0) || height == Some(0.0) { Err(bad()) } else { Ok((viewport, Some(region))) }
}

/// `annotation=patient,technique`.
pub fn annotation(parameters: &Parameters) -> Answered<Annotation> {
    let mut annotation = Annotation::default();
    for word in
        parameters.get("annotation").unwrap_or_default().split(',').map(str::trim).filter(|word| !word.is_empty())
    {
        match word {
            "patient" => annotation.patient = true,
            "technique" => annotation.technique = true,
            _ => return Err(Problem::bad_request("annotation is patient, technique or both, joined by a comma")),
        }
    }
    Ok(annotation)
}

/// `iccprofile=yes`.
fn profile(parameters: &Parameters) -> Answered<Option<Profile>> {
    let Some(text) = parameters.get("iccprofile") else { return Ok(None) };
    Profile::parse(text)
        .ok_or_else(|| Problem::bad_request("iccprofile is no, yes, srgb, adobergb, rommrgb or displayp3"))
}

/// `window=center,width,function`.
fn window(parameters: &Parameters) -> Answered<Option<Window>> {
    let Some(text) = parameters.get("window") else { return Ok(None) };
    let bad = || Problem::bad_request("window is center, width and linear, linear-exact or sigmoid, joined by commas");
    let pieces: Vec<&str> = text.split(',').map(str::trim).collect();
    let number =
        |at: usize| pieces.get(at).and_then(|p| p.parse::<f64>().ok()).filter(|n| n.is_finite()).ok_or_else(bad);
    let function = match pieces.get(2).map(|f| f.to_ascii_lowercase()).as_deref() {
        None | Some("linear") => Function::Linear,
        Some("linear-exact" | "linear_exact") => Function::LinearExact,
        Some("sigmoid") => Function::Sigmoid,
        Some(_) => return Err(bad()),
    };
    let window = Window { center: number(0)?, width: number(1)?, function };
    if window.width > 0.0 && pieces.len() <= 3 { Ok(Some(window)) } else { Err(bad()) }
}

/// The quality of JPEG, by this name.
pub fn quality(parameters: &Parameters, name: &str) -> Answered<Option<u8>> {
    let Some(text) = parameters.get(name) else { return Ok(None) };
    let quality = text.parse().ok().filter(|q| (1..=100).contains(q));
    quality.map(Some).ok_or_else(|| Problem::bad_request(format!("{name} is a number from 1 to 100")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(query: &str) -> Parameters {
        Parameters::parse(Some(query))
    }

    #[test]
    fn viewports() {
        let of = |query| viewport(&parameters(query)).ok();
        assert_eq!(of("viewport=256%2C128"), Some((Some((256, 128)), None)));
        assert_eq!(of("viewport=256,128,,,,"), Some((Some((256, 128)), None)));
        assert_eq!(of(""), Some((None, None)));
        let region = Region { x: 3.5, y: 0.0, width: Some(5.0), height: None, mirrored: true, flipped: false };
        assert_eq!(of("viewport=1,2,3.5,,-5"), Some((Some((1, 2)), Some(region))));
        for query in [
            "viewport=0,1",
            "viewport=1",
            "viewport=99999,1",
            "viewport=a,b",
            "viewport=1,2,x",
            "viewport=-1,1",
            "viewport=1,2,0,0,0,5",
            "viewport=1,2,nan",
            "viewport=1,2,3,4,5,6,7",
        ] {
            assert_eq!(of(query), None, "{query}");
        }
    }

    #[test]
    fn words_to_burn_in() {
        let of = |query| annotation(&parameters(query)).ok();
        assert_eq!(of("annotation=patient%2Ctechnique"), Some(Annotation { patient: true, technique: true }));
        assert_eq!(of(""), Some(Annotation::default()));
        assert_eq!(of("annotation=everything"), None);
    }

    #[test]
    fn windows() {
        let expected = Window { center: 40.0, width: 400.5, function: Function::Sigmoid };
        assert_eq!(window(&parameters("window=40,400.5,sigmoid")).unwrap(), Some(expected));
        for query in [
            "window=40",
            "window=40,0",
            "window=40,-3",
            "window=nan,1",
            "window=1,inf",
            "window=1,2,x",
            "window=1,2,linear,4",
        ] {
            assert!(window(&parameters(query)).is_err(), "{query}");
        }
    }

    #[test]
    fn codings() {
        assert_eq!(coding(Some("image/png")).unwrap(), Coding::Png);
        assert_eq!(coding(Some("image/*")).unwrap(), Coding::Jpeg);
        assert_eq!(coding(Some("multipart/related; type=\"image/gif\"")).unwrap(), Coding::Gif);
        assert_eq!(coding(Some("image/webp, image/jxl;q=0.2")).unwrap(), Coding::JpegXl);
        assert_eq!(coding(None).unwrap(), Coding::Jpeg);
        assert_eq!(coding(Some("undefined")).unwrap(), Coding::Jpeg);
        assert!(coding(Some("video/mp4")).is_err() && coding(Some("text/html")).is_err());
    }
}
