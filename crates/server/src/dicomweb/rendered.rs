//! Rendered images and thumbnails (PS3.18 10.4.1.1.3-4).

use super::target::Target;
use crate::accept;
use crate::error::{Answered, Problem};
use crate::media;
use crate::query::Parameters;
use crate::render::encode::Coding;
use crate::render::tone::{Function, Window};
use crate::render::{self, Wish};
use crate::representation::{Object, Representation, Segment};
use crate::state::App;
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
/// The viewport of a thumbnail, if the client names none.
const THUMBNAIL: u32 = 256;
/// Modalities whose instances stand for a series only where there is nothing else.
const LAST: [&str; 6] = ["SEG", "SR", "PR", "KO", "RTSTRUCT", "DOC"];

/// An instance or a frame, rendered at full size or to a viewport.
pub async fn rendered(State(app): State<Arc<App>>, target: Target) -> Answered<Response<Body>> {
    let mut wish = wish(&target, app.config.strict_accept)?;
    wish.enlarge = true;
    let frame = match target.frames.as_deref() {
        None => None,
        Some([one]) => Some(*one - 1),
        Some(_) => return Err(Problem::bad_request("one frame at a time is rendered")),
    };
    let (target, instance) = app.read(move |app| target.find_instance(app).map(|found| (target, found))).await?;
    if TransferSyntax::new(&instance.transfer_syntax).is_video() {
        return app.read(move |app| video(app, &target, &instance)).await;
    }
    let frame = frame.unwrap_or_else(|| instance.frame_to_show(0));
    respond(app, target, instance, frame, wish).await
}

/// A small image of a frame, or of what stands for an instance, series or study: its middle.
pub async fn thumbnail(State(app): State<Arc<App>>, target: Target) -> Answered<Response<Body>> {
    let mut wish = wish(&target, false)?;
    wish.viewport = wish.viewport.or(Some((THUMBNAIL, THUMBNAIL)));
    let (target, instance) = app
        .read(move |app| {
            let instances = target.find_instances(app)?;
            representative(&instances).map(|found| (target, found))
        })
        .await?;
    let frame = match target.frames.as_deref() {
        Some(list) => list[0] - 1,
        None => instance.frame_to_show(instance.facts.frames / 2),
    };
    respond(app, target, instance, frame, wish).await
}

/// A video as it is stored, its fragments joined; ranges let a player seek.
fn video(app: &App, target: &Target, instance: &Instance) -> Answered<Response<Body>> {
    let source = app.archive.source(instance)?;
    let fragments = match source.data_set().get(Tag(0x7FE0, 0x0010)).map(|element| &element.value) {
        Some(Value::Fragments(fragments)) => fragments.clone(),
        _ => return Err(Problem::not_found("video")),
    };
    let object = Object::Open(app.archive.object(instance)?);
    let stored = |(offset, len)| Segment::Stored { object: object.clone(), offset, len };
    let short = instance.object_id.get(..32).unwrap_or(&instance.object_id);
    let representation = Representation {
        content_type: media::of_frames(&TransferSyntax::new(&instance.transfer_syntax)).to_owned(),
        etag: format!("\"{short}-v\""),
        // The first fragment is the offset table.
        segments: fragments.into_iter().skip(1).map(stored).collect(),
    };
    representation.answer(&target.method, &target.headers).map_err(Problem::internal)
}

async fn respond(
    app: Arc<App>,
    target: Target,
    instance: Arc<Instance>,
    frame: u32,
    wish: Wish,
) -> Answered<Response<Body>> {
    if frame >= instance.facts.frames.max(1) {
        return Err(Problem::not_found("frame"));
    }
    let etag = etag(&instance, frame, &wish);
    let ready = app.made.get(&etag);
    let bytes = match ready {
        Some(bytes) => {
            app.metrics.cache_hits.fetch_add(1, Relaxed);
            bytes
        }
        None => {
            app.metrics.cache_misses.fetch_add(1, Relaxed);
            let (etag, wish) = (etag.clone(), wish.clone());
            app.compute(move |app| {
                let bytes = Bytes::from(render::render(&app.archive, &instance, frame, &wish, &app.room)?);
                app.made.put(etag, bytes.clone(), bytes.len());
                Ok(bytes)
            })
            .await?
        }
    };
    let content_type = wish.coding.media_type().to_owned();
    let representation = Representation { content_type, etag, segments: vec![Segment::Memory(bytes)] };
    representation.answer(&target.method, &target.headers).map_err(Problem::internal)
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
    let coding = if wish.coding == Coding::Png { "p" } else { "j" };
    let quality = wish.quality.map_or(String::new(), |q| q.to_string());
    let enlarge = if wish.enlarge { "r" } else { "t" };
    format!("\"{object}-{enlarge}{}{viewport}{window}-{coding}{quality}\"", frame + 1)
}

fn wish(target: &Target, strict: bool) -> Answered<Wish> {
    let parameters = &target.parameters;
    Ok(Wish {
        viewport: viewport(parameters)?,
        window: window(parameters)?,
        quality: quality(parameters)?,
        enlarge: false,
        coding: coding(target.accept().as_deref(), strict)?,
    })
}

fn coding(accept: Option<&str>, strict: bool) -> Answered<Coding> {
    let ranges = accept::parse(accept.unwrap_or_default());
    let offers = [Coding::Jpeg, Coding::Png];
    let chosen = ranges.iter().find_map(|range| offers.into_iter().find(|coding| range.covers(coding.media_type())));
    match chosen {
        Some(coding) => Ok(coding),
        None if strict && accept.is_some() => Err(Problem::not_acceptable("rendered as image/jpeg or image/png")),
        None => Ok(Coding::Jpeg),
    }
}

/// `viewport=W,H`; a region of the image (four more numbers) is not offered.
fn viewport(parameters: &Parameters) -> Answered<Option<(u32, u32)>> {
    let Some(text) = parameters.get("viewport") else { return Ok(None) };
    let sides: Vec<Option<u32>> =
        text.split(',').map(|n| n.trim().parse().ok().filter(|n| (1..=LARGEST).contains(n))).collect();
    match sides[..] {
        [Some(width), Some(height)] => Ok(Some((width, height))),
        _ => Err(Problem::bad_request(format!("viewport is two numbers from 1 to {LARGEST}, joined by a comma"))),
    }
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

fn quality(parameters: &Parameters) -> Answered<Option<u8>> {
    let Some(text) = parameters.get("quality") else { return Ok(None) };
    let quality = text.parse().ok().filter(|q| (1..=100).contains(q));
    quality.map(Some).ok_or_else(|| Problem::bad_request("quality is a number from 1 to 100"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(query: &str) -> Parameters {
        Parameters::parse(Some(query))
    }

    #[test]
    fn viewports() {
        assert_eq!(viewport(&parameters("viewport=256%2C128")).unwrap(), Some((256, 128)));
        assert_eq!(viewport(&parameters("")).unwrap(), None);
        for query in
            ["viewport=0,1", "viewport=1", "viewport=99999,1", "viewport=a,b", "viewport=1,2,3,4,5,6", "viewport=-1,1"]
        {
            assert!(viewport(&parameters(query)).is_err(), "{query}");
        }
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
        assert_eq!(coding(Some("image/png"), false).unwrap(), Coding::Png);
        assert_eq!(coding(Some("image/*"), true).unwrap(), Coding::Jpeg);
        assert_eq!(coding(Some("video/mp4"), false).unwrap(), Coding::Jpeg);
        assert!(coding(Some("video/mp4"), true).is_err());
    }
}
