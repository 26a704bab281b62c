//! Pictures as JPEG or PNG.

use super::{Error, Picture};

/// The coding of a rendered image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Coding {
    /// JPEG, the default (PS3.18 8.7.4).
    #[default]
    Jpeg,
    /// PNG.
    Png,
}

impl Coding {
    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Coding::Jpeg => "image/jpeg",
            Coding::Png => "image/png",
        }
    }
}

/// Codes a picture; `quality` is JPEG's.
pub fn encode(picture: &Picture, coding: Coding, quality: u8) -> Result<Vec<u8>, Error> {
    match coding {
        Coding::Jpeg => jpeg(picture, quality),
        Coding::Png => png(picture),
    }
}

fn jpeg(picture: &Picture, quality: u8) -> Result<Vec<u8>, Error> {
    let side = |n: u32| u16::try_from(n).map_err(|_| Error::Mismatch("too large for JPEG"));
    let colour = if picture.channels == 1 { jpeg_encoder::ColorType::Luma } else { jpeg_encoder::ColorType::Rgb };
    let mut out = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut out, quality.clamp(1, 100));
    encoder
        .encode(&picture.data, side(picture.width)?, side(picture.height)?, colour)
        .map_err(|_| Error::Mismatch("not codable as JPEG"))?;
    Ok(out)
}

fn png(picture: &Picture) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, picture.width, picture.height);
    encoder.set_color(if picture.channels == 1 { png::ColorType::Grayscale } else { png::ColorType::Rgb });
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().map_err(std::io::Error::other)?;
    writer.write_image_data(&picture.data).map_err(std::io::Error::other)?;
    writer.finish().map_err(std::io::Error::other)?;
    Ok(out)
}
