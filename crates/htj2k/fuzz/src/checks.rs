//! What must hold for any bytes: no panic, no hang, no memory beyond the limit, and answers that agree with one another.
//!
//! Used by the fuzz targets, and by `tests/found.rs` on every input that once broke something.

use std::cell::RefCell;

use cpu_time::ThreadTime;
use htj2k::{
    Decoded, Decoder, Detail, EncodeOptions, Encoder, Error, ErrorKind, Header, Image, Index, Limits, Plane, Precincts,
    Progression, Progressive, Region, RegionRanges, Samples, SamplesMut, TileParts, Transform,
};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Longest that one call may take, on inputs of up to 64 KB.
const SECONDS: f64 = 1.0;

/// Longest input that is timed.
const TIMED: usize = 64 << 10;

/// What one call may spend.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_pixels = 1 << 16;
    limits.max_components = 64;
    limits.max_memory = 8 << 20;
    limits.max_work = 1 << 16;
    limits
}

/// Calls, and checks the time and the memory that the call has taken; the latter may be so many times the limit.
fn bounded<T>(what: &str, times: u64, size: usize, call: impl FnOnce() -> T) -> T {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let start = ThreadTime::now();
    let answer = call();
    let spent = start.elapsed().as_secs_f64();
    let memory = MEMORY.peak_usage().saturating_sub(before);
    assert!(size > TIMED || spent < SECONDS, "{what} took {spent:.1} s for {size} bytes");
    let most = times * limits().max_memory;
    assert!(memory as u64 <= most, "{what} took {memory} bytes of memory, not more than {most} is allowed");
    answer
}

/// The main header and the index of levels.
pub fn header(data: &[u8]) {
    let header = bounded("Header::parse", 1, data.len(), || Header::parse(data, &limits()));
    let index = bounded("Index::read", 1, data.len(), || Index::read(data, &limits()));
    let Ok(index) = index else { return };
    assert_eq!(header.as_ref(), Ok(&index.header), "two readings of one header");
    let header = index.header;
    assert!(index.levels.len() <= header.decompositions as usize + 1);
    for pair in index.levels.windows(2) {
        assert_eq!(pair[0].level, pair[1].level + 1, "levels come coarsest first");
        assert!(pair[0].end <= pair[1].end, "a level ends before one that it needs");
    }
    for level in &index.levels {
        assert_eq!(header.size_at(level.level), (level.width, level.height));
    }
}

type Planes = Result<(Vec<Plane>, Decoded), Error>;

fn planes(decoder: &mut Decoder, data: &[u8], level: u8) -> Planes {
    bounded("Decoder::decode_planes", 1, data.len(), || decoder.decode_planes(data, level))
}

thread_local! {
    /// A decoder that has seen every input before: none may leave a trace.
    static USED: RefCell<Decoder> = RefCell::new(Decoder::with_limits(limits()));
}

/// Decoding at the full size, the coarsest, and one between.
pub fn decode(data: &[u8]) {
    let header = match Header::parse(data, &limits()) {
        Ok(header) => header,
        Err(_) => {
            let answer = planes(&mut Decoder::with_limits(limits()), data, 0);
            assert!(answer.is_err(), "decoded without a header");
            return;
        }
    };
    let coarsest = header.decompositions;
    for level in [0, coarsest / 2, coarsest] {
        let answer = planes(&mut Decoder::with_limits(limits()), data, level);
        let again = USED.with_borrow_mut(|used| planes(used, data, level));
        assert!(answer == again, "a decoder remembers what it decoded before");
        let Ok((planes_of_level, decoded)) = answer else { continue };
        assert_eq!((decoded.width, decoded.height), header.size_at(level));
        check_ranges(&planes_of_level);
        check_interleaved(data, level, &planes_of_level, decoded);
        check_region(data, level, header.reversible, &planes_of_level, decoded);
        check_need(data, level, &planes_of_level, decoded);
    }
}

/// Samples lie in the range of their precision.
fn check_ranges(planes: &[Plane]) {
    for plane in planes {
        assert_eq!(plane.samples.len(), plane.width as usize * plane.height as usize);
        let span = 1i64 << plane.precision;
        let lowest = if plane.signed { -span / 2 } else { 0 };
        let range = lowest..lowest + span;
        assert!(plane.samples.iter().all(|s| range.contains(&(*s as i64))), "a sample out of range");
    }
}

/// Decoding into the caller's rows gives what decoding into planes gives.
fn check_interleaved(data: &[u8], level: u8, planes: &[Plane], decoded: Decoded) {
    const MARK: i32 = i32::MIN + 7;
    if planes.iter().any(|p| (p.dx, p.dy) != (1, 1)) {
        return;
    }
    let row = decoded.width as usize * planes.len();
    let stride = row + 3;
    let mut out = vec![MARK; stride * decoded.height as usize];
    let answer = bounded("Decoder::decode", 1, data.len(), || {
        Decoder::with_limits(limits()).decode(data, level, SamplesMut::I32(&mut out), stride)
    });
    assert_eq!(answer, Ok(decoded));
    for (y, samples) in out.chunks(stride).enumerate() {
        for (n, sample) in samples[..row].iter().enumerate() {
            let (x, c) = (n / planes.len(), n % planes.len());
            assert_eq!(*sample, planes[c].samples[y * decoded.width as usize + x], "two ways to decode differ");
        }
        assert!(samples[row..].iter().all(|s| *s == MARK), "wrote between the rows");
    }
}

/// A region is what the same rectangle of the whole level is. Reals may differ by one, where sums are taken in another order.
fn check_region(data: &[u8], level: u8, reversible: bool, planes: &[Plane], decoded: Decoded) {
    if planes.iter().any(|p| (p.dx, p.dy) != (1, 1)) || decoded.width == 0 || decoded.height == 0 {
        return;
    }
    let seed = data.iter().fold(data.len() as u32, |sum, b| (sum ^ *b as u32).rotate_left(7));
    let part = |bit: u32, whole: u32| ((seed >> bit & 255) * whole) >> 8;
    let (x, y) = (part(0, decoded.width), part(8, decoded.height));
    let (width, height) = (1 + part(16, decoded.width - x - 1), 1 + part(24, decoded.height - y - 1));
    let region = Region { x, y, width, height };
    let row = width as usize * planes.len();
    let mut out = vec![0; row * height as usize];
    let answer = bounded("Decoder::decode_region", 1, data.len(), || {
        Decoder::with_limits(limits()).decode_region(data, level, region, SamplesMut::I32(&mut out), row)
    });
    let answer = answer.expect("a region of an image that decodes");
    assert_eq!((answer.width, answer.height, answer.need), (width, height, decoded.need));
    let slack = !reversible as u32;
    for (n, sample) in out.iter().enumerate() {
        let (x, y) = (x as usize + n % row / planes.len(), y as usize + n / row);
        let whole = planes[n % planes.len()].samples[y * decoded.width as usize + x];
        assert!(sample.abs_diff(whole) <= slack, "{region:?} differs at column {x}, row {y}: {sample}, not {whole}");
    }
}

/// An EPH marker that is announced but missing is noticed by the bytes that stand in its place.
const EPH: u64 = 2;

/// The bytes that a level needs are enough for it.
fn check_need(data: &[u8], level: u8, whole: &[Plane], decoded: Decoded) {
    let Some(need) = decoded.need.filter(|_| decoded.complete) else { return };
    let need = usize::try_from(need + EPH).unwrap_or(usize::MAX);
    if need >= data.len() {
        return;
    }
    let (cut, answer) =
        planes(&mut Decoder::with_limits(limits()), &data[..need], level).expect("the needed prefix decodes");
    assert!(answer.complete, "the needed prefix is not enough");
    assert!(cut == whole, "the needed prefix gives another image");
}

thread_local! {
    static USED_PROGRESSIVE: RefCell<Progressive> = RefCell::new(Progressive::with_limits(limits()));
}

/// Bytes that come bit by bit: each level is what decoding it from the bytes so far gives, however it was reached. A complete
/// level does not change with more bytes, though they may turn out to be malformed.
pub fn progressive(data: &[u8]) {
    USED_PROGRESSIVE.with_borrow_mut(|progressive| {
        progressive.restart();
        // Pieces of unequal size, given by the bytes themselves.
        let seed = data.iter().fold(data.len(), |sum, b| (sum ^ *b as usize).rotate_left(5));
        let mut rest = data;
        let mut finest = None;
        for n in 0..8 {
            let size = if n == 7 { rest.len() } else { (seed >> (4 * n) & 15) * data.len() / 64 };
            let (piece, after) = rest.split_at(size.min(rest.len()));
            rest = after;
            progressive.push(piece);
            let level = bounded("Progressive::level", 3, data.len(), || progressive.level());
            let Ok(Some(level)) = level else { continue };
            assert!(finest.is_none_or(|before| level <= before), "a level is not complete any more");
            if finest != Some(level) {
                finest = Some(level);
                check_level(progressive, level, true);
                check_level(progressive, level.saturating_sub(1), false);
            }
        }
    });
}

/// A level of the progressive decoder is the plain decoder's.
fn check_level(progressive: &mut Progressive, level: u8, whole: bool) {
    let Ok(Some(header)) = progressive.header() else { panic!("a level without a header") };
    let ((width, height), components) = (header.size_at(level), header.components.len());
    let row = width as usize * components;
    let (mut ours, mut plain) = (vec![0; row * height as usize], vec![0; row * height as usize]);
    let size = progressive.bytes().len();
    let answer = bounded("Progressive::decode", 3, size, || progressive.decode(level, SamplesMut::I32(&mut ours), row));
    let expected = Decoder::with_limits(limits()).decode(progressive.bytes(), level, SamplesMut::I32(&mut plain), row);
    if let (Ok(answer), Ok(expected)) = (answer, expected) {
        assert_eq!(answer, expected, "level {level}");
        assert!(answer.complete || !whole, "level {level} is said to be there");
        assert!(ours == plain, "level {level} differs from the plain decoder's");
    }
}

/// A region from the beginning of the bytes and the ranges that are told for it is that of all bytes. Gives whether ranges were told.
pub fn ranges(data: &[u8]) -> bool {
    let Ok(header) = Header::parse(data, &limits()) else { return false };
    let seed = data.iter().fold(data.len() as u32, |sum, b| (sum ^ *b as u32).rotate_left(7));
    let part = |bit: u32, whole: u32| (((seed >> bit & 255) as u64 * whole as u64) >> 8) as u32;
    let level = part(4, header.decompositions as u32 + 1) as u8;
    let (width, height) = header.size_at(level);
    if width == 0 || height == 0 {
        return false;
    }
    let (x, y) = (part(0, width), part(8, height));
    let region = Region { x, y, width: 1 + part(16, width - x - 1), height: 1 + part(24, height - y - 1) };
    let mut image = Progressive::with_limits(limits());
    let mut have = part(12, data.len() as u32) as usize;
    image.push(&data[..have]);
    let length = data.len() as u64;
    let ask = |image: &Progressive| {
        bounded("Progressive::region_ranges", 1, data.len(), || {
            image.region_ranges(length, level, region, Detail::All, 9)
        })
    };
    for _ in 0..50 {
        let wanted = match ask(&image) {
            Ok(RegionRanges::First(range)) => vec![range],
            Ok(RegionRanges::Ranges(ranges)) => ranges,
            Ok(RegionRanges::Unknown) | Err(_) => return false,
        };
        if wanted.is_empty() {
            check_sparse(&mut image, data, level, region, header.components.len());
            return true;
        }
        for range in wanted {
            assert!(range.start < range.end && range.end <= length, "{range:?} of {length} bytes");
            let bytes = &data[range.start as usize..range.end as usize];
            have += bytes.len();
            image.put(range.start, bytes).expect("bytes within the limit");
        }
        assert!(have <= 10 * data.len() + 10, "the same bytes again and again");
    }
    false
}

/// A region of pieces that are enough for it.
fn check_sparse(image: &mut Progressive, data: &[u8], level: u8, region: Region, components: usize) {
    let row = region.width as usize * components;
    let (mut ours, mut plain) = (vec![0; row * region.height as usize], vec![0; row * region.height as usize]);
    let answer = bounded("Progressive::decode_region", 3, data.len(), || {
        image.decode_region(level, region, Detail::All, SamplesMut::I32(&mut ours), row)
    });
    let expected = Decoder::with_limits(limits()).decode_region(data, level, region, SamplesMut::I32(&mut plain), row);
    // Headers that the pieces do not have may say otherwise.
    let told = RegionRanges::read(data, data.len() as u64, level, region, Detail::All, 0, &limits());
    if let (Ok(answer), Ok(_), Ok(RegionRanges::Ranges(_))) = (answer, expected, told) {
        assert!(answer.complete, "{region:?} of level {level} is said to be there");
        assert!(ours == plain, "{region:?} of level {level} differs from the plain decoder's");
    }
}

/// An image and options made of the bytes: what is encoded is decoded.
pub fn round_trip(data: &[u8]) {
    let mut bytes = Bytes { data, at: 0 };
    let options = options(&mut bytes);
    let (width, height) = (1 + bytes.below(80), 1 + bytes.below(80));
    let components = if bytes.one_in(3) { 3 } else { 1 + bytes.below(4) };
    let precision = 1 + bytes.below(31) as u8;
    let signed = bytes.one_in(2);
    let stride = (width * components + bytes.below(3)) as usize;
    let samples = samples(&mut bytes, stride * height as usize, precision, signed);
    let image = Image {
        width,
        height,
        components: components as u16,
        precision,
        signed,
        stride,
        samples: Samples::I32(&samples),
    };
    let mut stream = Vec::new();
    let levels = match Encoder::new().encode(&image, &options, &mut stream) {
        Ok(levels) => levels,
        Err(Error { kind: ErrorKind::Request(_), .. }) => return,
        Err(error) => panic!("{error}: {options:?}"),
    };
    check_again(&image, &options, &stream);
    let mut out = vec![0; samples.len()];
    let mut decoder = Decoder::new();
    let decoded = decoder.decode(&stream, 0, SamplesMut::I32(&mut out), stride).expect("our own codestream decodes");
    assert!(decoded.complete);
    assert_eq!(decoded.need, Some(stream.len() as u64));
    if options.transform == Transform::Reversible {
        let row = (width * components) as usize;
        let same = out.chunks(stride).zip(samples.chunks(stride)).all(|(a, b)| a[..row] == b[..row]);
        assert!(same, "not the same image: {options:?}");
    }
    for level in &levels {
        let room = (level.width * level.height * components) as usize;
        let (mut cut, mut whole) = (vec![0; room], vec![0; room]);
        let row = (level.width * components) as usize;
        let prefix = &stream[..level.end as usize];
        let answer =
            decoder.decode(prefix, level.level, SamplesMut::I32(&mut cut), row).expect("a level's prefix decodes");
        assert!(answer.complete, "level {} of {options:?}", level.level);
        decoder.decode(&stream, level.level, SamplesMut::I32(&mut whole), row).expect("every level decodes");
        assert!(cut == whole, "level {} of {options:?}", level.level);
    }
}

thread_local! {
    static USED_ENCODER: RefCell<Encoder> = RefCell::new(Encoder::new());
}

/// An encoder that was used before gives the same bytes.
fn check_again(image: &Image<'_>, options: &EncodeOptions, stream: &[u8]) {
    let mut again = Vec::new();
    USED_ENCODER.with_borrow_mut(|used| used.encode(image, options, &mut again)).expect("what was encoded once");
    assert!(again == stream, "an encoder remembers what it encoded before: {options:?}");
}

fn options(bytes: &mut Bytes<'_>) -> EncodeOptions {
    let progressions = [Progression::Rpcl, Progression::Lrcp, Progression::Rlcp, Progression::Pcrl, Progression::Cprl];
    let width = 2 + bytes.below(9) as u8;
    EncodeOptions {
        progression: progressions[bytes.below(5) as usize],
        decompositions: if bytes.one_in(3) { None } else { Some(bytes.below(9) as u8) },
        block: (width, 2 + bytes.below(9) as u8),
        transform: if bytes.one_in(4) {
            Transform::Irreversible { quality: 20.0 + bytes.below(100) as f32 }
        } else {
            Transform::Reversible
        },
        colour: bytes.one_in(2),
        tile_parts: if bytes.one_in(2) { TileParts::ByResolution } else { TileParts::One },
        tlm: bytes.one_in(2),
        plt: bytes.one_in(2),
        precincts: if bytes.one_in(2) {
            Precincts::Maximal
        } else {
            Precincts::Sizes(
                (0..1 + bytes.below(3)).map(|_| (1 + bytes.below(15) as u8, 1 + bytes.below(15) as u8)).collect(),
            )
        },
        tile: if bytes.one_in(2) { None } else { Some((1 + bytes.below(90), 1 + bytes.below(90))) },
        level_crc: bytes.one_in(4),
    }
}

/// Samples of the range: the bytes, spread over it, and runs of what stood left and above.
fn samples(bytes: &mut Bytes<'_>, count: usize, precision: u8, signed: bool) -> Vec<i32> {
    let kind = bytes.below(4);
    let span = 1u64 << precision;
    let lowest = if signed { -(span as i64) / 2 } else { 0 };
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut last = 0;
    let sample = |_| {
        let byte = bytes.below(256) as u64;
        state = (state ^ byte).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(29);
        last = match kind {
            0 => byte * span / 256,
            1 if byte < 200 => last,
            2 => (last + byte % 5) % span,
            _ => state >> 32,
        } % span;
        (last as i64 + lowest) as i32
    };
    (0..count).map(sample).collect()
}

/// Small numbers out of bytes; zeros beyond the end.
struct Bytes<'a> {
    data: &'a [u8],
    at: usize,
}

impl Bytes<'_> {
    fn below(&mut self, most: u32) -> u32 {
        let byte = self.data.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        byte as u32 % most
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }
}
