//! JPEG with the discrete cosine transform (T.81): 8 bits by `jpeg-decoder`, 12 bits here. Always lossy: decoded for display, never to be re-encoded.

use super::{agree, guarded, jpeg_extended, place};
use crate::error::{Error, Result};
use crate::facts::Facts;
use crate::syntax::Coding;
use jpeg_decoder::{ColorTransform, Decoder};

pub(super) fn frame(facts: &Facts, stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let info = agree(facts, stored, Coding::Jpeg)?;
    if info.precision == 12 {
        return jpeg_extended::frame(facts, info.precision, stored, out);
    }
    if info.components != 1 && info.components != 3 {
        return Err(Error::unsupported(format!("JPEG of {} components", info.components)));
    }
    let decoded = guarded("JPEG", || {
        let mut decoder = Decoder::new(stored);
        decoder.set_color_transform(ColorTransform::RGB); // as they are, side by side
        decoder.set_max_decoding_buffer_size(facts.frame_bytes() as usize + 64);
        decoder.decode().map_err(|error| Error::malformed(0, format!("JPEG: {error}")))
    })?;
    place(facts, 8, decoded.into_iter().map(i32::from), out)
}
