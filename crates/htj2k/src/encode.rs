//! The encoder.

use crate::{EncodeOptions, Error, Image, Level};
use alloc::vec::Vec;

/// An encoder, to be reused from frame to frame: it keeps its memory.
#[derive(Debug, Default)]
pub struct Encoder {}

impl Encoder {
    /// A new encoder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the image's codestream to `out` and tells where each level ends in it, coarsest first.
    pub fn encode(
        &mut self,
        image: &Image<'_>,
        options: &EncodeOptions,
        out: &mut Vec<u8>,
    ) -> Result<Vec<Level>, Error> {
        image.check()?;
        let _ = (options, out);
        Err(Error::unsupported(0, "not yet"))
    }
}
