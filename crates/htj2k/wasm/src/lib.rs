//! The decoder for the browser. `loader.js` beside this wraps the exports below.
//!
//! A frame is a number. The bytes of its codestream are handed over as they come; then it is decoded to a level, and the
//! samples are read from memory that the frame owns. While bytes come, each level goes on from the one before.
#![warn(missing_docs)]

use std::cell::{Cell, RefCell};

use htj2k::{Decoded, Decoder, Detail, Error, Header, Limits, Progressive, Region, RegionRanges, SamplesMut};

/// A codestream that arrives, and the image it gave last.
struct Frame {
    codestream: Progressive,
    /// Bytes on their way into it.
    incoming: Vec<u8>,
    /// Bytes of the whole codestream.
    length: usize,
    samples: Samples,
    precision: u8,
    signed: bool,
    decoded: Option<Decoded>,
    /// Columns, rows and components of what is told: the image that was decoded last, or what the header says.
    told: Option<(u32, u32, u32)>,
    /// Beginnings and ends of the ranges that were asked for.
    ranges: Vec<f64>,
    error: String,
}

impl Default for Frame {
    fn default() -> Self {
        Frame {
            codestream: Progressive::with_limits(limits()),
            incoming: Vec::new(),
            length: 0,
            samples: Samples::default(),
            precision: 0,
            signed: false,
            decoded: None,
            told: None,
            ranges: Vec::new(),
            error: String::new(),
        }
    }
}

/// Samples in the smallest type that holds them.
enum Samples {
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    I32(Vec<i32>),
}

impl Default for Samples {
    fn default() -> Self {
        Samples::U8(Vec::new())
    }
}

thread_local! {
    static MEMORY: Cell<u64> = const { Cell::new(1 << 30) };
    static FRAMES: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
    static DECODER: RefCell<Decoder> = RefCell::new(Decoder::with_limits(limits()));
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_memory = MEMORY.get();
    limits
}

/// Bounds the working memory of one decoding, in bytes: of frames that are opened from now on.
#[unsafe(no_mangle)]
pub extern "C" fn limit_memory(bytes: f64) {
    MEMORY.set(bytes as u64);
    DECODER.with_borrow_mut(|decoder| *decoder = Decoder::with_limits(limits()));
}

fn with<T>(frame: u32, act: impl FnOnce(&mut Frame) -> T) -> T {
    FRAMES.with_borrow_mut(|frames| act(&mut frames[frame as usize]))
}

/// A place for frame number `frame`; numbers are the caller's, counted from 0. What it held is let go.
#[unsafe(no_mangle)]
pub extern "C" fn frame_open(frame: u32) {
    FRAMES.with_borrow_mut(|frames| {
        if frames.len() <= frame as usize {
            frames.resize_with(frame as usize + 1, Frame::default);
        }
        frames[frame as usize] = Frame::default();
    });
}

/// Begins another codestream, of `length` bytes in all. The memory is kept from one to the next.
#[unsafe(no_mangle)]
pub extern "C" fn frame_begin(frame: u32, length: usize) {
    with(frame, |frame| {
        frame.codestream.restart();
        (frame.length, frame.decoded, frame.told) = (length, None, None);
    });
}

/// Where to write the next `count` bytes.
#[unsafe(no_mangle)]
pub extern "C" fn frame_incoming(frame: u32, count: usize) -> *mut u8 {
    with(frame, |frame| {
        frame.incoming.resize(count, 0);
        frame.incoming.as_mut_ptr()
    })
}

/// Takes the bytes that were written there; gives how many there are in all.
#[unsafe(no_mangle)]
pub extern "C" fn frame_push(frame: u32) -> usize {
    with(frame, |frame| {
        frame.codestream.push(&frame.incoming);
        frame.codestream.bytes().len()
    })
}

/// Takes the bytes that were written there, from a place of the codestream on. 0: taken; 1: an error.
#[unsafe(no_mangle)]
pub extern "C" fn frame_put(frame: u32, offset: f64) -> u32 {
    with(frame, |frame| {
        let result = frame.codestream.put(offset as u64, &frame.incoming);
        answered(&mut frame.error, result, |()| 0)
    })
}

/// Bytes that are there from the first one on without a gap.
#[unsafe(no_mangle)]
pub extern "C" fn frame_have(frame: u32) -> usize {
    with(frame, |frame| frame.codestream.bytes().len())
}

/// Asks what bytes a rectangle of a level takes beside those that are there. 0: the ranges at `frame_ranges_at`; 1: an error;
/// 2: the one range there comes first; 3: that cannot be told. `detail` is 0 for all, 1 for a sketch of rows, 2 for one of columns.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub extern "C" fn frame_ranges(
    frame: u32,
    level: u8,
    x: u32,
    y: u32,
    width: u32,
    height: u32,
    detail: u32,
    gap: f64,
) -> u32 {
    with(frame, |frame| {
        let region = Region { x, y, width, height };
        let result = frame.codestream.region_ranges(frame.length as u64, level, region, detail_of(detail), gap as u64);
        let list = &mut frame.ranges;
        list.clear();
        answered(&mut frame.error, result, |ranges| match ranges {
            RegionRanges::Ranges(ranges) => {
                for range in ranges {
                    list.extend([range.start as f64, range.end as f64]);
                }
                0
            }
            RegionRanges::First(range) => {
                list.extend([range.start as f64, range.end as f64]);
                2
            }
            RegionRanges::Unknown => 3,
        })
    })
}

/// Where they are: of each range the beginning and the end.
#[unsafe(no_mangle)]
pub extern "C" fn frame_ranges_at(frame: u32) -> *const f64 {
    with(frame, |frame| frame.ranges.as_ptr())
}

/// How many numbers that is.
#[unsafe(no_mangle)]
pub extern "C" fn frame_ranges_count(frame: u32) -> usize {
    with(frame, |frame| frame.ranges.len())
}

/// What is answered; 1, and the text, if it is an error.
fn answered<T>(text: &mut String, result: Result<T, Error>, answer: impl FnOnce(T) -> u32) -> u32 {
    match result {
        Ok(value) => answer(value),
        Err(error) => {
            *text = error.to_string();
            1
        }
    }
}

/// The finest level whose bytes are all there, or -1.
#[unsafe(no_mangle)]
pub extern "C" fn frame_level(frame: u32) -> i32 {
    with(frame, |frame| frame.codestream.level().ok().flatten().map_or(-1, i32::from))
}

/// Decodes what has come to a level. 0: an image; 1: an error, which `frame_error` tells.
#[unsafe(no_mangle)]
pub extern "C" fn frame_decode(frame: u32, level: u8) -> u32 {
    with(frame, |frame| match decode(frame, level) {
        Ok(decoded) => {
            frame.told = Some((decoded.width, decoded.height, u32::from(decoded.components)));
            frame.decoded = Some(decoded);
            0
        }
        Err(error) => {
            frame.error = error.to_string();
            1
        }
    })
}

/// Reads the main header: size, components and range are then told as those of an image. 0: read; 1: an error.
#[unsafe(no_mangle)]
pub extern "C" fn frame_header(frame: u32) -> u32 {
    with(frame, |frame| match Header::parse(frame.codestream.bytes(), &limits()) {
        Ok(header) => {
            let (width, height) = header.size_at(0);
            frame.precision = header.components.iter().map(|c| c.precision).max().unwrap_or(0);
            frame.signed = header.components.iter().any(|c| c.signed);
            frame.told = Some((width, height, header.components.len() as u32));
            0
        }
        Err(error) => {
            frame.error = error.to_string();
            1
        }
    })
}

/// Decodes a rectangle of a level, in pixels of that level, from what has come. 0: an image; 1: an error.
#[unsafe(no_mangle)]
pub extern "C" fn frame_decode_region(
    frame: u32,
    level: u8,
    x: u32,
    y: u32,
    width: u32,
    height: u32,
    detail: u32,
) -> u32 {
    with(frame, |frame| match decode_region(frame, level, Region { x, y, width, height }, detail_of(detail)) {
        Ok(decoded) => {
            frame.told = Some((decoded.width, decoded.height, u32::from(decoded.components)));
            frame.decoded = Some(decoded);
            0
        }
        Err(error) => {
            frame.error = error.to_string();
            1
        }
    })
}

fn detail_of(number: u32) -> Detail {
    [Detail::All, Detail::Rows, Detail::Columns].get(number as usize).copied().unwrap_or_default()
}

fn decode_region(frame: &mut Frame, level: u8, region: Region, detail: Detail) -> Result<Decoded, Error> {
    let bytes = frame.codestream.bytes();
    let header = Header::parse(bytes, &limits())?;
    let row = region.width as usize * header.components.len();
    frame.precision = header.components.iter().map(|c| c.precision).max().unwrap_or(0);
    frame.signed = header.components.iter().any(|c| c.signed);
    let (columns, rows) = header.size_at(level);
    let inside = region.x.checked_add(region.width).is_some_and(|end| end <= columns)
        && region.y.checked_add(region.height).is_some_and(|end| end <= rows);
    // What reaches beyond the level is refused by the decoder, before any memory is taken for it.
    let room = if inside { row * region.height as usize } else { 0 };
    let out = frame.samples.room(room, frame.precision, frame.signed);
    frame.codestream.decode_region(level, region, detail, out, row)
}

fn decode(frame: &mut Frame, level: u8) -> Result<Decoded, Error> {
    let bytes = frame.codestream.bytes();
    let header = Header::parse(bytes, &limits())?;
    let (width, height) = header.size_at(level);
    let row = width as usize * header.components.len();
    frame.precision = header.components.iter().map(|c| c.precision).max().unwrap_or(0);
    frame.signed = header.components.iter().any(|c| c.signed);
    let out = frame.samples.room(row * height as usize, frame.precision, frame.signed);
    // A codestream that came at once needs nothing kept from level to level.
    if frame.decoded.is_none() && bytes.len() >= frame.length {
        DECODER.with_borrow_mut(|decoder| decoder.decode(bytes, level, out, row))
    } else {
        frame.codestream.decode(level, out, row)
    }
}

impl Samples {
    /// Room for samples of a range; the memory is kept where the type stays the same.
    fn room(&mut self, count: usize, precision: u8, signed: bool) -> SamplesMut<'_> {
        let fits = match self {
            Samples::U8(_) => precision <= 8 && !signed,
            Samples::I8(_) => precision <= 8 && signed,
            Samples::U16(_) => (9..=16).contains(&precision) && !signed,
            Samples::I16(_) => (9..=16).contains(&precision) && signed,
            Samples::I32(_) => precision > 16,
        };
        if !fits {
            *self = match (precision, signed) {
                (..=8, false) => Samples::U8(Vec::new()),
                (..=8, true) => Samples::I8(Vec::new()),
                (..=16, false) => Samples::U16(Vec::new()),
                (..=16, true) => Samples::I16(Vec::new()),
                _ => Samples::I32(Vec::new()),
            };
        }
        match self {
            Samples::U8(samples) => SamplesMut::U8(sized(samples, count)),
            Samples::I8(samples) => SamplesMut::I8(sized(samples, count)),
            Samples::U16(samples) => SamplesMut::U16(sized(samples, count)),
            Samples::I16(samples) => SamplesMut::I16(sized(samples, count)),
            Samples::I32(samples) => SamplesMut::I32(sized(samples, count)),
        }
    }

    fn address(&self) -> usize {
        match self {
            Samples::U8(samples) => samples.as_ptr() as usize,
            Samples::I8(samples) => samples.as_ptr() as usize,
            Samples::U16(samples) => samples.as_ptr() as usize,
            Samples::I16(samples) => samples.as_ptr() as usize,
            Samples::I32(samples) => samples.as_ptr() as usize,
        }
    }
}

fn sized<T: Default + Clone>(samples: &mut Vec<T>, count: usize) -> &mut [T] {
    samples.resize(count, T::default());
    samples
}

/// Where the samples are, interleaved by pixel: bytes up to 8 bits, two up to 16, else four.
#[unsafe(no_mangle)]
pub extern "C" fn frame_samples(frame: u32) -> usize {
    with(frame, |frame| frame.samples.address())
}

/// Columns of the image that was decoded last.
#[unsafe(no_mangle)]
pub extern "C" fn frame_width(frame: u32) -> u32 {
    with(frame, |frame| frame.told.map_or(0, |told| told.0))
}

/// Its rows.
#[unsafe(no_mangle)]
pub extern "C" fn frame_height(frame: u32) -> u32 {
    with(frame, |frame| frame.told.map_or(0, |told| told.1))
}

/// Its samples per pixel.
#[unsafe(no_mangle)]
pub extern "C" fn frame_components(frame: u32) -> u32 {
    with(frame, |frame| frame.told.map_or(0, |told| told.2))
}

/// Its bits per sample.
#[unsafe(no_mangle)]
pub extern "C" fn frame_precision(frame: u32) -> u32 {
    with(frame, |frame| frame.precision as u32)
}

/// 1 if its samples are two's complement.
#[unsafe(no_mangle)]
pub extern "C" fn frame_signed(frame: u32) -> u32 {
    with(frame, |frame| frame.signed as u32)
}

/// 1 if every byte that its level needs was there.
#[unsafe(no_mangle)]
pub extern "C" fn frame_complete(frame: u32) -> u32 {
    with(frame, |frame| frame.decoded.is_some_and(|d| d.complete) as u32)
}

/// Bytes of the codestream that the level needs, or 0 where that is not known.
#[unsafe(no_mangle)]
pub extern "C" fn frame_need(frame: u32) -> f64 {
    with(frame, |frame| frame.decoded.and_then(|d| d.need).unwrap_or(0) as f64)
}

/// Where the text of the last error is, in UTF-8.
#[unsafe(no_mangle)]
pub extern "C" fn frame_error(frame: u32) -> *const u8 {
    with(frame, |frame| frame.error.as_ptr())
}

/// Bytes of that text.
#[unsafe(no_mangle)]
pub extern "C" fn frame_error_length(frame: u32) -> usize {
    with(frame, |frame| frame.error.len())
}
