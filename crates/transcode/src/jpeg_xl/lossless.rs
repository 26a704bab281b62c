//! Lossless frames: samples to a JPEG XL codestream of exactly Bits Stored (PS3.5 8.2.15), by `jixel`.

use super::boxes;
use crate::decode::guarded;
use dicom::error::{Error, Result};
use dicom::jpeg_xl::Header;
use jixel::{ColorSpace, FlMeta};

/// Above this precision a decoder needs more than 16 bits inside: level 10, which a container has to tell.
const LEVEL_5: u8 = 14;
/// The encoder takes 8 bits, or 9 to 16: what is shallower goes in as this and is labelled anew.
const SHALLOW: u32 = 9;

/// Encodes one frame of samples (little endian, interleaved, 8 or 16 bits allocated). Of each sample the lowest `precision`
/// bits count: signed samples become the two's complement of Bits Stored.
///
/// A bare codestream up to 14 bits, a container of level 10 above.
pub(crate) fn encode_lossless(
    samples: &[u8],
    width: u32,
    height: u32,
    components: u16,
    bits_allocated: u16,
    precision: u8,
) -> Result<Vec<u8>> {
    let colour = match components {
        1 => ColorSpace::Gray,
        3 => ColorSpace::Rgb,
        other => return Err(Error::unsupported(format!("JPEG XL of {other} components"))),
    };
    let (width, height) = (width as usize, height as usize);
    let deep = |bits: u32| {
        let words = words(samples, bits_allocated, precision);
        jixel::encode_fast_lossless_u16(&words, width, height, colour, false, bits, &FlMeta::default())
    };
    let codestream = guarded("JPEG XL encoder", || {
        match (bits_allocated, precision) {
            (8, 8) => jixel::encode_fast_lossless(samples, width, height, colour, false, &FlMeta::default()),
            (_, 8) => {
                let narrow: Vec<u8> = samples.iter().step_by(2).copied().collect();
                jixel::encode_fast_lossless(&narrow, width, height, colour, false, &FlMeta::default())
            }
            (_, 9..=16) => deep(precision.into()),
            (_, 1..8) => deep(SHALLOW),
            _ => return Err(Error::unsupported(format!("JPEG XL of {precision} bits"))),
        }
        .map_err(|error| Error::unsupported(format!("JPEG XL: {error}")))
    });
    let mut codestream = codestream?;
    if precision < 8 {
        Header::set_precision(&mut codestream, precision)?;
    }
    if precision > LEVEL_5 { boxes::at_level_10(&codestream) } else { Ok(codestream) }
}

/// Samples as 16-bit words, bits above the precision cleared.
fn words(samples: &[u8], bits_allocated: u16, precision: u8) -> Vec<u16> {
    let mask = u16::MAX >> (16 - precision);
    match bits_allocated {
        8 => samples.iter().map(|v| u16::from(*v) & mask).collect(),
        _ => samples.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b) & mask).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every depth, grey and colour: decoded by `jxl` and by `jxl-oxide` to the same samples.
    #[test]
    fn a_header_cut_anywhere_is_an_error() {
        let stream = encode_lossless(&[0; 600], 30, 20, 1, 8, 8).unwrap();
        let header = Header::read(&stream).unwrap();
        assert_eq!((header.width, header.height, header.components, header.precision), (30, 20, 1, 8));
        assert!(!header.xyb);
        for len in 0..7 {
            assert!(Header::read(&stream[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn every_depth_comes_back() {
        for precision in 1..=16u8 {
            for components in [1u16, 3] {
                let (width, height) = (67u32, 41u32);
                let top = u32::from(u16::MAX >> (16 - precision));
                let samples: Vec<u16> = (0..width * height * u32::from(components))
                    .map(|n| (n.wrapping_mul(2_654_435_761).wrapping_add(n * n) >> 7 & top) as u16)
                    .collect();
                let bytes: Vec<u8> = samples.iter().flat_map(|v| v.to_le_bytes()).collect();
                let stream = encode_lossless(&bytes, width, height, components, 16, precision).unwrap();
                let header = Header::read(&dicom::jpeg_xl::codestream_of(&stream)).unwrap();
                assert_eq!((header.precision, header.components), (precision, components));
                assert_eq!((header.width, header.height, header.xyb), (width, height, false));
                let decoded = super::super::decode(&stream, &header).unwrap();
                let narrow = precision <= 8;
                let expected: Vec<u8> = if narrow { samples.iter().map(|v| *v as u8).collect() } else { bytes.clone() };
                assert_eq!(decoded, expected, "{precision} bits x {components}");
                assert_eq!(by_oxide(&stream, top), samples, "{precision} bits x {components}, jxl-oxide");
            }
        }
    }

    #[test]
    fn large_frames_of_many_groups() {
        let (width, height) = (700u32, 530u32);
        let samples: Vec<u8> = (0..width * height).map(|n| (n / 700 + n % 700) as u8 ^ (n % 13) as u8).collect();
        let stream = encode_lossless(&samples, width, height, 1, 8, 8).unwrap();
        assert!(stream.starts_with(&[0xFF, 0x0A]), "a bare codestream");
        let decoded = super::super::decode(&stream, &Header::read(&stream).unwrap()).unwrap();
        assert_eq!(decoded, samples);
    }

    fn by_oxide(stream: &[u8], top: u32) -> Vec<u16> {
        let image = jxl_oxide::JxlImage::builder().read(stream).unwrap();
        let render = image.render_frame(0).unwrap();
        render.image_all_channels().buf().iter().map(|v| (v * top as f32).round() as u16).collect()
    }
}
