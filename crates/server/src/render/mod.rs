//! Rendered images (PS3.18 8.3.5; the pixel pipeline of PS3.3 C.11 and PS3.4 N.2): stored samples in, JPEG or PNG out.
//!
//! The order of the work: [`tone`] reads what the attributes ask for, [`source`] gets samples at the coarsest level that
//! will do, [`pixels`] maps them to display values, [`scale`] fits them to the viewport, [`encode`] codes them.

pub mod encode;
pub mod lut;
pub mod pixels;
pub mod scale;
pub mod source;
pub mod tone;

/// An image for display: 8 bits a sample, grey (`channels` 1) or RGB (3), interleaved, no padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// 1 or 3.
    pub channels: u8,
    /// The samples.
    pub data: Vec<u8>,
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
    Decode(#[from] transcode::Error),
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

/// Renders frame `frame` (from 0) of an instance.
pub fn render(
    archive: &archive::Archive,
    instance: &archive::Instance,
    frame: u32,
    wish: &Wish,
) -> Result<Vec<u8>, Error> {
    let attributes = tone::Attributes::of(archive, instance)?;
    let samples = source::samples(archive, instance, frame, wish.viewport)?;
    let mut tone = attributes.tone(frame, &samples);
    if let Some(window) = wish.window {
        tone.voi = tone::Voi::Window(window);
    }
    let picture = pixels::display(&samples, &tone)?;
    let picture = scale::fit(picture, (instance.facts.columns, instance.facts.rows), wish.viewport, wish.enlarge);
    encode::encode(&picture, wish.coding, wish.quality.unwrap_or(85))
}
