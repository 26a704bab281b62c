//! Codestreams to samples, by `jxl`, the decoder of the codec's authors in Rust.

use super::boxes;
use crate::decode::guarded;
use dicom::error::{Error, Result};
use dicom::jpeg_xl::{Header, is_container};
use jxl::api::{
    Endianness, Event, JxlBitstreamInput, JxlColorType, JxlDataFormat, JxlDecoder, JxlDecoderOptions, JxlOutputBuffer,
    JxlPixelFormat, ProfileLevel,
};
use std::io::{self, IoSliceMut};

/// Decodes a whole stream whose header was held against the attributes. Samples come interleaved, at the header's precision,
/// one byte each up to 8 bits, else two, little endian; in the colours of the stream (never those of the lossy space inside).
pub(crate) fn decode(stored: &[u8], header: &Header) -> Result<Vec<u8>> {
    let before = if is_container(stored) { Vec::new() } else { boxes::before_level_10() };
    guarded("JPEG XL", || run(&mut Chain { parts: [&before, stored] }, header))
}

fn run(input: &mut Chain<'_>, header: &Header) -> Result<Vec<u8>> {
    let bad = |error: jxl::error::Error| Error::malformed(0, format!("JPEG XL: {error}"));
    let (width, height) = (header.width as usize, header.height as usize);
    let mut decoder = JxlDecoder::new(options(width, height));
    if decoder.process(input, None, None).map_err(bad)? != Event::BasicInfo {
        return Err(cut_short());
    }
    let told = decoder.basic_info().map(|info| (info.size, info.extra_channels.len(), info.animation.is_some()));
    if told != Some(((width, height), 0, false)) {
        return Err(Error::unsupported("JPEG XL with more than the image itself"));
    }
    let (format, row) = format(header);
    decoder.set_pixel_format(format).map_err(bad)?;
    // The decoder wants words where words may lie.
    let mut bytes = vec![0; row * height + 1];
    let start = bytes.as_ptr().align_offset(align_of::<u16>()).min(1);
    loop {
        let mut buffers = [JxlOutputBuffer::new(&mut bytes[start..start + row * height], height, row)];
        match decoder.process(input, Some(&mut buffers), None).map_err(bad)? {
            Event::FrameComplete { has_more_frames: false } => break,
            Event::FrameComplete { .. } => return Err(Error::unsupported("JPEG XL of several frames")),
            Event::NeedMoreInput { .. } | Event::Complete => return Err(cut_short()),
            Event::BasicInfo | Event::FrameHeader => {}
        }
    }
    bytes.drain(..start);
    bytes.truncate(row * height);
    Ok(bytes)
}

fn options(width: usize, height: usize) -> JxlDecoderOptions {
    let mut options = JxlDecoderOptions::default();
    // The decoder counts at least three channels and sixteen columns, and wants less than the limit.
    options.sample_limit = Some(width.max(16).saturating_mul(height).saturating_mul(3).saturating_add(1));
    options.max_profile_level = ProfileLevel::Main10;
    options
}

/// How samples are wanted, and bytes of a row.
fn format(header: &Header) -> (JxlPixelFormat, usize) {
    let bit_depth = header.precision;
    let data = match bit_depth {
        ..=8 => JxlDataFormat::U8 { bit_depth },
        _ => JxlDataFormat::U16 { endianness: Endianness::LittleEndian, bit_depth },
    };
    let color_type = if header.components == 1 { JxlColorType::Grayscale } else { JxlColorType::Rgb };
    let row = header.width as usize * usize::from(header.components) * data.bytes_per_sample();
    (JxlPixelFormat { color_type, color_data_format: Some(data), extra_channel_format: Vec::new() }, row)
}

fn cut_short() -> Error {
    Error::malformed(0, "JPEG XL: the codestream is cut short")
}

/// One input after the other.
struct Chain<'a> {
    parts: [&'a [u8]; 2],
}

impl JxlBitstreamInput for Chain<'_> {
    fn available_bytes(&mut self) -> io::Result<usize> {
        Ok(self.parts.iter().map(|part| part.len()).sum())
    }

    fn read(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let mut count = 0;
        for buffer in buffers {
            let mut rest = &mut buffer[..];
            for part in &mut self.parts {
                let take = part.len().min(rest.len());
                let (now, later) = part.split_at(take);
                rest[..take].copy_from_slice(now);
                (*part, rest) = (later, &mut rest[take..]);
                count += take;
            }
        }
        Ok(count)
    }
}
