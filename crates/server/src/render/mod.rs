//! Rendered images (PS3.18 8.3.5; the pixel pipeline of PS3.3 C.11 and PS3.4 N.2): stored samples in, JPEG, PNG, GIF or JPEG XL out.
//!
//! The order of the work: [`tone`] reads what the attributes ask for, [`intensities`] says whether samples may be reduced before
//! they are looked up, [`source`] gets samples at the coarsest level that will do, [`pixels`] maps them to display values,
//! [`region`] cuts and mirrors, [`scale`] fits them to the viewport, [`icc`] brings colours into a colour space, [`annotate`] burns words
//! in, [`encode`] codes them. From the samples on it goes row by row, and [`room`] bounds the
//! memory of all renderings together. A [`presentation`] state has a say in all of it. Reports have no pixels: [`report`] writes their text.

pub mod annotate;
pub mod encode;
pub mod icc;
pub mod intensities;
pub mod lut;
pub mod pixels;
pub mod presentation;
pub mod region;
pub mod report;
pub mod room;
pub mod scale;
pub mod source;
pub mod tone;

/// An image for display that is made row by row: 8 bits a sample, grey (`channels` 1) or RGB (3), interleaved, no padding.
pub trait Rows {
    /// Columns.
    fn width(&self) -> u32;
    /// Rows.
    fn height(&self) -> u32;
    /// 1 or 3.
    fn channels(&self) -> usize;
    /// Row `y`, into `out`, which has its very length. Rows are asked for in order, one of them more than once perhaps.
    fn row(&mut self, y: u32, out: &mut [u8]);

    /// Bytes of a row.
    fn row_len(&self) -> usize {
        self.width() as usize * self.channels()
    }
}

/// What a client asks of a rendered image.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wish {
    /// Fit into so many columns and rows.
    pub viewport: Option<(u32, u32)>,
    /// Show this part of the image.
    pub region: Option<region::Region>,
    /// As a presentation state has it.
    pub state: Option<std::sync::Arc<presentation::State>>,
    /// Words to burn in.
    pub annotation: annotate::Annotation,
    /// A colour profile to go with it.
    pub profile: Option<icc::Profile>,
    /// Show through this window and not through that of the image.
    pub window: Option<tone::Window>,
    /// JPEG quality, 1 to 100.
    pub quality: Option<u8>,
    /// Make it larger too, if the viewport is.
    pub enlarge: bool,
    /// Which coding.
    pub coding: encode::Coding,
}

/// A rendered image could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no image to render.
    #[error("{0}")]
    NoImage(&'static str),
    /// What was asked for can't be.
    #[error("{0}")]
    Asked(&'static str),
    /// The archive failed.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// Decoding failed.
    #[error(transparent)]
    Decode(#[from] dicom::Error),
    /// Decoding a codestream failed.
    #[error("codestream: {0}")]
    Codestream(String),
    /// The stored object could not be read.
    #[error("stored object: {0}")]
    Read(#[from] std::io::Error),
    /// The image is not what its attributes say.
    #[error("image and attributes disagree: {0}")]
    Mismatch(&'static str),
}

/// Renders frame `frame` (from 0) of an instance, as soon as there is room for it.
pub fn render(
    archive: &archive::Archive,
    instance: &archive::Instance,
    frame: u32,
    wish: &Wish,
    room: &room::Room,
) -> Result<Vec<u8>, Error> {
    let source = archive.source(instance)?;
    show(archive, instance, &source, frame, wish, room, |rows, profile| {
        encode::encode(rows, wish.coding, wish.quality.unwrap_or(85), profile)
    })
}

/// Adds frame `frame` (from 0) of an instance to an animated GIF, or begins one with it that is as fast as its attributes say.
pub fn animate(
    archive: &archive::Archive,
    instance: &archive::Instance,
    frame: u32,
    wish: &Wish,
    room: &room::Room,
    animation: Option<encode::Animation>,
) -> Result<encode::Animation, Error> {
    let source = archive.source(instance)?;
    show(archive, instance, &source, frame, wish, room, |rows, _| {
        let begin = || encode::Animation::new(rows.width(), rows.height(), rows.channels(), Some(delay(&source)));
        let mut animation = animation.map_or_else(begin, Ok)?;
        animation.add(rows)?;
        Ok(animation)
    })
}

/// Hundredths of a second from frame to frame: Frame Time, else Recommended Display Frame Rate or Cine Rate, else a tenth of a second.
fn delay(source: &dicom::Source) -> u16 {
    let set = source.data_set();
    let number = |tag| set.string(tag)?.trim().parse::<f64>().ok().filter(|number| *number > 0.0);
    let time = number(dicom::Tag(0x0018, 0x1063)).map(|milliseconds| milliseconds / 10.0);
    let rate = || number(dicom::Tag(0x0008, 0x2144)).or_else(|| number(dicom::Tag(0x0018, 0x0040)));
    time.or_else(|| rate().map(|rate| 100.0 / rate)).unwrap_or(10.0).round().clamp(2.0, 1000.0) as u16
}

/// Makes the rows of a frame as they are wished, and hands them on with the colour profile that goes with them.
fn show<T>(
    archive: &archive::Archive,
    instance: &archive::Instance,
    source: &dicom::Source,
    frame: u32,
    wish: &Wish,
    room: &room::Room,
    code: impl FnOnce(&mut dyn Rows, Option<&[u8]>) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut tone = tone::Attributes::of(source).tone(frame);
    if let Some(state) = &wish.state {
        tone.modality = state.tone.modality.clone().unwrap_or(tone.modality);
        (tone.voi, tone.inverted) = (state.tone.voi.clone(), state.tone.inverted);
    }
    let window = wish.window.filter(|_| tone.colour == tone::Colour::Grey);
    tone.voi = window.map_or(tone.voi, tone::Voi::Window);
    let full = (instance.facts.columns, instance.facts.rows);
    // The places of a state are those of the full image.
    let may_be_reduced = wish.state.is_none() && intensities::may_be_reduced(&tone);
    let outside = || Error::Asked("the region of the viewport lies outside the image");
    let part = wish.region.map(|region| region.within(full, full).ok_or_else(outside)).transpose()?;
    let reduced = wish.viewport.filter(|_| may_be_reduced).map(|viewport| match part {
        // What the whole image would be as large as, that its part fills the viewport.
        Some((_, _, width, height)) => (enlarged(viewport.0, full.0, width), enlarged(viewport.1, full.1, height)),
        None => viewport,
    });
    let plan = source::Plan::new(instance, frame, reduced)?;
    let shown = match &wish.state {
        Some(state) => state.size(),
        None => part.map_or(full, |(_, _, width, height)| (width, height)),
    };
    let size = wish.viewport.map_or(shown, |viewport| scale::fitted(shown, viewport, wish.enlarge));
    // With a state the image is held as it is shown.
    let kept = if wish.state.is_some() { full } else { (0, 0) };
    let pixels = |size: (u32, u32)| u64::from(size.0) * u64::from(size.1) * u64::from(instance.facts.samples);
    let coded = pixels(size) * wish.coding.copies() + 2 * pixels(kept);
    let _held = room.take(plan.bytes() + coded);
    let samples = plan.samples(archive, instance, source)?;
    let mut display = pixels::Display::new(&samples, &tone)?;
    let space = wish.profile.map(|profile| icc::Space::of(source, profile, display.channels())).transpose()?;
    let (top, bottom) = annotate::lines(source, wish.annotation);
    let finish = |rows: &mut dyn Rows| {
        let mut fitted = scale::Fitted::new(rows, size);
        match &space {
            Some(space) => annotated(&mut icc::Converted::new(&mut fitted, space), &top, &bottom, |rows| {
                code(rows, Some(&space.bytes))
            }),
            None => annotated(&mut fitted, &top, &bottom, |rows| code(rows, None)),
        }
    };
    match (&wish.state, wish.region) {
        (Some(state), _) => finish(&mut state.show(&mut display)),
        (None, Some(region)) => {
            let pixels = region.within(full, (samples.width, samples.height)).ok_or_else(outside)?;
            finish(&mut region::Cropped::new(&mut display, pixels, &region))
        }
        (None, None) => finish(&mut display),
    }
}

fn annotated<T>(rows: &mut dyn Rows, top: &[String], bottom: &[String], code: impl FnOnce(&mut dyn Rows) -> T) -> T {
    if top.is_empty() && bottom.is_empty() {
        code(rows)
    } else {
        code(&mut annotate::Annotated::new(rows, top, bottom))
    }
}

/// The side of an image of which `part` of `full` becomes `side` long.
fn enlarged(side: u32, full: u32, part: u32) -> u32 {
    (u64::from(side) * u64::from(full)).div_ceil(u64::from(part.max(1))).min(u32::MAX.into()) as u32
}
