//! Rows as JPEG, PNG, GIF or JPEG XL.

use super::{Error, Rows};
use jpeg_encoder::{Encoder, ImageBuffer, JpegColorType, rgb_to_ycbcr};
use std::cell::RefCell;
use std::io::Write;

/// Pixels of an image whose coding takes all rows at once.
const MOST_PIXELS: u64 = 64 << 20;

/// The coding of a rendered image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Coding {
    /// JPEG, the default (PS3.18 8.7.4).
    #[default]
    Jpeg,
    /// PNG.
    Png,
    /// GIF; of several frames it is animated.
    Gif,
    /// JPEG XL, without loss.
    JpegXl,
}

impl Coding {
    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Coding::Jpeg => "image/jpeg",
            Coding::Png => "image/png",
            Coding::Gif => "image/gif",
            Coding::JpegXl => "image/jxl",
        }
    }

    /// Its letter in entity tags.
    pub fn letter(self) -> &'static str {
        match self {
            Coding::Jpeg => "j",
            Coding::Png => "p",
            Coding::Gif => "g",
            Coding::JpegXl => "x",
        }
    }

    /// As many times its pixels does coding take in memory, about.
    pub fn copies(self) -> u64 {
        match self {
            Coding::Jpeg | Coding::Png => 1,
            // All rows, them with an alpha channel, and what is written.
            Coding::Gif => 3,
            // All rows, and the encoder's numbers of 32 bits.
            Coding::JpegXl => 8,
        }
    }

    /// Does it take the colour profile of an image?
    pub fn takes_profile(self) -> bool {
        matches!(self, Coding::Jpeg | Coding::Png)
    }
}

/// Codes rows as they come; `quality` is JPEG's, `profile` goes into JPEG and PNG.
pub fn encode(rows: &mut dyn Rows, coding: Coding, quality: u8, profile: Option<&[u8]>) -> Result<Vec<u8>, Error> {
    match coding {
        Coding::Jpeg => jpeg(rows, quality, profile),
        Coding::Png => png(rows, profile),
        Coding::Gif => {
            let mut animation = Animation::new(rows.width(), rows.height(), rows.channels(), None)?;
            animation.add(rows)?;
            animation.finish()
        }
        Coding::JpegXl => {
            let (width, height, channels) = (rows.width(), rows.height(), rows.channels());
            let picture = whole(rows)?;
            transcode::jpeg_xl_picture(&picture, width, height, channels as u16)
                .map_err(|_| Error::Mismatch("not codable as JPEG XL"))
        }
    }
}

/// All rows.
fn whole(rows: &mut dyn Rows) -> Result<Vec<u8>, Error> {
    if u64::from(rows.width()) * u64::from(rows.height()) > MOST_PIXELS {
        return Err(Error::Asked("that is too large for GIF and JPEG XL: ask for a smaller viewport"));
    }
    let line = rows.row_len();
    let mut out = vec![0; line * rows.height() as usize];
    (0..).zip(out.chunks_exact_mut(line.max(1))).for_each(|(y, line)| rows.row(y, line));
    Ok(out)
}

/// A GIF in the making, frame by frame.
pub struct Animation {
    encoder: gif::Encoder<Vec<u8>>,
    size: (u16, u16),
    /// Hundredths of a second from frame to frame.
    delay: Option<u16>,
}

impl Animation {
    /// Frames of this size that all are grey (1 channel) or all RGB (3), `delay` hundredths of a second apart; without one it
    /// stands still.
    pub fn new(width: u32, height: u32, channels: usize, delay: Option<u16>) -> Result<Animation, Error> {
        let side = |n: u32| u16::try_from(n).map_err(|_| Error::Mismatch("too large for GIF"));
        let size = (side(width)?, side(height)?);
        let greys: Vec<u8> = if channels == 1 { (0..=255).flat_map(|grey| [grey; 3]).collect() } else { Vec::new() };
        let mut encoder = gif::Encoder::new(Vec::new(), size.0, size.1, &greys).map_err(of_gif)?;
        if delay.is_some() {
            encoder.set_repeat(gif::Repeat::Infinite).map_err(of_gif)?;
        }
        Ok(Animation { encoder, size, delay })
    }

    /// Adds a frame.
    pub fn add(&mut self, rows: &mut dyn Rows) -> Result<(), Error> {
        let (width, height) = self.size;
        if (rows.width(), rows.height()) != (width.into(), height.into()) {
            return Err(Error::Mismatch("frames of different sizes"));
        }
        let picture = whole(rows)?;
        let mut frame = match rows.channels() {
            1 => gif::Frame::from_indexed_pixels(width, height, picture, None),
            _ => gif::Frame::from_rgb_speed(width, height, &picture, 10),
        };
        frame.delay = self.delay.unwrap_or(0);
        self.encoder.write_frame(&frame).map_err(of_gif)
    }

    /// Its bytes.
    pub fn finish(self) -> Result<Vec<u8>, Error> {
        self.encoder.into_inner().map_err(|error| Error::Read(std::io::Error::other(error)))
    }
}

fn of_gif(error: gif::EncodingError) -> Error {
    Error::Codestream(format!("GIF: {error}"))
}

fn jpeg(rows: &mut dyn Rows, quality: u8, profile: Option<&[u8]>) -> Result<Vec<u8>, Error> {
    let side = |n: u32| u16::try_from(n).map_err(|_| Error::Mismatch("too large for JPEG"));
    let (width, height, line) = (side(rows.width())?, side(rows.height())?, vec![0; rows.row_len()]);
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, quality.clamp(1, 100));
    if let Some(profile) = profile {
        encoder.add_icc_profile(profile).map_err(|_| Error::Mismatch("its colour profile is too large for JPEG"))?;
    }
    encoder
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

fn png(rows: &mut dyn Rows, profile: Option<&[u8]>) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    let mut info = png::Info::with_size(rows.width(), rows.height());
    info.icc_profile = profile.map(|profile| profile.to_vec().into());
    let mut encoder = png::Encoder::with_info(&mut out, info).map_err(std::io::Error::other)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// An image that has no rows to give.
    struct Size(u32, u32);

    impl Rows for Size {
        fn width(&self) -> u32 {
            self.0
        }
        fn height(&self) -> u32 {
            self.1
        }
        fn channels(&self) -> usize {
            1
        }
        fn row(&mut self, _: u32, out: &mut [u8]) {
            out.fill(1);
        }
    }

    #[test]
    fn codings_of_the_whole_image_have_a_limit() {
        for coding in [Coding::Gif, Coding::JpegXl] {
            let told = encode(&mut Size(16384, 16384), coding, 90, None);
            assert!(matches!(told, Err(Error::Asked(_))), "{coding:?}");
            assert!(encode(&mut Size(9, 7), coding, 90, None).is_ok(), "{coding:?}");
        }
    }
}
