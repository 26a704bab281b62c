//! JPEG streams stored as JPEG XL and given back bit for bit (PS3.5 8.2.15, A.4.12: JPEG XL JPEG Recompression).
//!
//! `jixel` writes the coefficients anew and puts what else the stream needs into a box; `jxl-oxide` rebuilds the stream. Not
//! every JPEG comes back right: nothing counts before what comes back was compared with what went in.

use super::boxes;
use crate::decode::guarded;
use dicom::error::{Error, Result};
use dicom::jpeg_xl::{Header, codestream_of};
use jixel::JpegTranscodeConfig;
use jxl_oxide::{AllocTracker, JxlImage};
use std::io::{self, Write};

/// Samples of a frame that are allowed.
const MAX_SAMPLES: u64 = 1 << 30;
/// Memory and output for what is not samples.
const BESIDE: u64 = 64 << 20;

/// Stores a JPEG stream (8 bits, 1 or 3 components) as JPEG XL. Every byte of the frame is kept, those after the end
/// marker included. A JPEG that does not come back byte for byte is refused: some coders' streams are beyond the rebuilder.
pub(crate) fn recompress(jpeg: &[u8]) -> Result<Vec<u8>> {
    let config = JpegTranscodeConfig::default().with_num_threads(1);
    let stream = guarded("JPEG XL encoder", || {
        jixel::encode_jpeg_lossless_with_config(jpeg, &config)
            .map_err(|error| Error::unsupported(format!("this JPEG can't become JPEG XL: {error}")))
    })?;
    match rebuild_jpeg(&stream) {
        Ok(rebuilt) if rebuilt == jpeg => Ok(stream),
        _ => Err(Error::unsupported("this JPEG does not come back byte for byte from JPEG XL")),
    }
}

/// The JPEG stream that a frame of JPEG XL was made of.
pub(crate) fn rebuild_jpeg(stream: &[u8]) -> Result<Vec<u8>> {
    let header = Header::read(&codestream_of(stream))?;
    let samples = u64::from(header.width) * u64::from(header.height) * u64::from(header.components);
    if samples > MAX_SAMPLES {
        return Err(Error::Limit(format!("a frame of {samples} samples")));
    }
    let stream = boxes::whole(stream);
    guarded("JPEG XL", || {
        boxes::bounded(stream)?;
        run(stream, samples)
    })
}

fn run(stream: &[u8], samples: u64) -> Result<Vec<u8>> {
    let bad = |error| Error::malformed(0, format!("JPEG XL: {error}"));
    // Coefficients are words of 16 or 32 bits, and blocks at the edges are whole.
    let memory = AllocTracker::with_limit((samples * 16 + BESIDE) as usize);
    let image = JxlImage::builder().alloc_tracker(memory).read(stream).map_err(bad)?;
    let mut out = Limited { bytes: Vec::new(), left: samples * 4 + BESIDE };
    image.reconstruct_jpeg(&mut out).map_err(bad)?;
    Ok(out.bytes)
}

/// Takes bytes up to a limit.
struct Limited {
    bytes: Vec<u8>,
    left: u64,
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.left.checked_sub(bytes.len() as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other("the rebuilt JPEG is larger than its image can be")),
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_jpeg_is_refused() {
        for bytes in [&[][..], b"no image", &[0xFF, 0xD8, 0xFF, 0xD9]] {
            assert!(recompress(bytes).is_err());
            assert!(rebuild_jpeg(bytes).is_err());
        }
    }

    #[test]
    fn a_frame_without_a_jpeg_in_it_is_an_error() {
        let stream = super::super::encode_lossless(&[7; 64], 8, 8, 1, 8, 8).unwrap();
        assert!(rebuild_jpeg(&stream).is_err());
    }
}
