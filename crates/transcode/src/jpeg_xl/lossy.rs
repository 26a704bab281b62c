//! Lossy frames, by `jixel`: only where a rule asks for them, and the loss is measured by whoever asks.

use super::boxes;
use crate::decode::guarded;
use dicom::error::{Error, Result};
use dicom::jpeg_xl::{Header, codestream_of, is_container};
use jixel::EncodeConfig;

/// Distances that are tried, from the coarsest to the finest: each loses a tenth less than the one before.
pub(crate) fn distances() -> Vec<f32> {
    const COARSEST: f32 = 15.0;
    const FINEST: f32 = 0.05; // of the encoder
    std::iter::successors(Some(COARSEST), |distance| Some(distance * 0.9)).take_while(|d| *d > FINEST).collect()
}

/// Encodes one frame of unsigned samples (little endian, interleaved) at a distance of just noticeable differences. The stream
/// has exactly `precision` bits; what is not 8 is spread over 16 bits for the encoder and labelled anew.
pub(crate) fn encode_lossy(
    samples: &[u8],
    width: u32,
    height: u32,
    components: u16,
    bits_allocated: u16,
    precision: u8,
    distance: f32,
) -> Result<Vec<u8>> {
    let config = EncodeConfig::default().with_distance(distance).with_num_threads(1);
    let (width, height) = (width as usize, height as usize);
    let stream = guarded("JPEG XL encoder", || {
        match (precision, components) {
            (8, 1) => jixel::encode_image_gray(&bytes(samples, bits_allocated), width, height, &config),
            (8, 3) => jixel::encode_image(&bytes(samples, bits_allocated), width, height, &config),
            (_, 1) => {
                jixel::encode_image_gray_16bit(&spread(samples, bits_allocated, precision), width, height, &config)
            }
            (_, 3) => jixel::encode_image_16bit(&spread(samples, bits_allocated, precision), width, height, &config),
            _ => return Err(Error::unsupported(format!("JPEG XL of {components} components"))),
        }
        .map_err(|error| Error::unsupported(format!("JPEG XL: {error}")))
    })?;
    if precision == 8 || precision == 16 {
        return Ok(stream);
    }
    let contained = is_container(&stream);
    let mut codestream = codestream_of(&stream).into_owned();
    Header::set_precision(&mut codestream, precision)?;
    if contained { boxes::at_level_10(&codestream) } else { Ok(codestream) }
}

fn bytes(samples: &[u8], bits_allocated: u16) -> Vec<u8> {
    samples.iter().step_by(usize::from(bits_allocated / 8)).copied().collect()
}

/// Samples of `precision` bits over the whole range of 16.
fn spread(samples: &[u8], bits_allocated: u16, precision: u8) -> Vec<u16> {
    let top = u32::from(u16::MAX >> (16 - precision));
    let wide = |v: u16| ((u32::from(v).min(top) * u32::from(u16::MAX) + top / 2) / top) as u16;
    match bits_allocated {
        8 => samples.iter().map(|v| wide((*v).into())).collect(),
        _ => samples.as_chunks().0.iter().map(|b| wide(u16::from_le_bytes(*b))).collect(),
    }
}
