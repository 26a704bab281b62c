//! Rows as JPEG or PNG.

use super::{Error, Rows};
use jpeg_encoder::{Encoder, ImageBuffer, JpegColorType, rgb_to_ycbcr};
use std::cell::RefCell;
use std::io::Write;

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

/// Codes rows as they come; `quality` is JPEG's.
pub fn encode(rows: &mut dyn Rows, coding: Coding, quality: u8) -> Result<Vec<u8>, Error> {
    match coding {
        Coding::Jpeg => jpeg(rows, quality),
        Coding::Png => png(rows),
    }
}

fn jpeg(rows: &mut dyn Rows, quality: u8) -> Result<Vec<u8>, Error> {
    let side = |n: u32| u16::try_from(n).map_err(|_| Error::Mismatch("too large for JPEG"));
    let (width, height, line) = (side(rows.width())?, side(rows.height())?, vec![0; rows.row_len()]);
    let mut out = Vec::new();
    Encoder::new(&mut out, quality.clamp(1, 100))
        .encode_image(Lines { width, height, channels: rows.channels(), held: RefCell::new((rows, line)) })
        .map_err(|_| Error::Mismatch("not codable as JPEG"))?;
    Ok(out)
}

/// Rows as the JPEG encoder asks for them.
struct Lines<'a> {
    width: u16,
    height: u16,
    channels: usize,
    held: RefCell<(&'a mut dyn Rows, Vec<u8>)>,
}

impl ImageBuffer for Lines<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        if self.channels == 1 { JpegColorType::Luma } else { JpegColorType::Ycbcr }
    }

    fn width(&self) -> u16 {
        self.width
    }

    fn height(&self) -> u16 {
        self.height
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let (rows, line) = &mut *self.held.borrow_mut();
        rows.row(y.into(), line);
        if self.channels == 1 {
            return buffers[0].extend_from_slice(line);
        }
        for [r, g, b] in line.as_chunks::<3>().0 {
            let (y, cb, cr) = rgb_to_ycbcr(*r, *g, *b);
            buffers[0].push(y);
            buffers[1].push(cb);
            buffers[2].push(cr);
        }
    }
}

fn png(rows: &mut dyn Rows) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, rows.width(), rows.height());
    encoder.set_color(if rows.channels() == 1 { png::ColorType::Grayscale } else { png::ColorType::Rgb });
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().map_err(std::io::Error::other)?;
    let mut stream = writer.stream_writer().map_err(std::io::Error::other)?;
    let mut line = vec![0; rows.row_len()];
    for y in 0..rows.height() {
        rows.row(y, &mut line);
        stream.write_all(&line)?;
    }
    stream.finish().map_err(std::io::Error::other)?;
    writer.finish().map_err(std::io::Error::other)?;
    Ok(out)
}
