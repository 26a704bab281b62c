//! Rendered images (PS3.18 8.3.5; the pixel pipeline of PS3.3 C.11 and PS3.4 N.2): stored samples in, JPEG or PNG out.
//!
//! The order of the work: [`tone`] reads what the attributes ask for, [`intensities`] says whether samples may be reduced before
//! they are looked up, [`source`] gets samples at the coarsest level that will do, [`pixels`] maps them to display values,
//! [`scale`] fits them to the viewport, [`encode`] codes them. From the samples on it goes row by row, and [`room`] bounds the
//! memory of all renderings together.

pub mod encode;
pub mod intensities;
pub mod lut;
pub mod pixels;
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
    let mut tone = tone::Attributes::of(&source).tone(frame);
    let window = wish.window.filter(|_| tone.colour == tone::Colour::Grey);
    tone.voi = window.map_or(tone.voi, tone::Voi::Window);
    let reduced = wish.viewport.filter(|_| intensities::may_be_reduced(&tone));
    let plan = source::Plan::new(instance, frame, reduced)?;

    let full = (instance.facts.columns, instance.facts.rows);
    let size = wish.viewport.map_or(full, |viewport| scale::fitted(full, viewport, wish.enlarge));
    let coded = u64::from(size.0) * u64::from(size.1) * u64::from(instance.facts.samples);
    let _held = room.take(plan.bytes() + coded);
    let samples = plan.samples(archive, instance, &source)?;
    let mut shown = pixels::Display::new(&samples, &tone)?;
    let mut fitted = scale::Fitted::new(&mut shown, size);
    encode::encode(&mut fitted, wish.coding, wish.quality.unwrap_or(85))
}
