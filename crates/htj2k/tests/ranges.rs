//! A region decoded from a prefix and the ranges that are told for it is the same rectangle of the whole level, whatever the other bytes are.

use htj2k::{
    Decoder, Detail, EncodeOptions, Encoder, Error, ErrorKind, Header, Image, Index, Limits, Precincts, Progression,
    Progressive, Region, RegionRanges, Samples, SamplesMut, TileParts, Transform,
};

/// Small numbers that look like chance.
struct Random(u64);

impl Random {
    fn below(&mut self, most: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) % most as u64) as u32
    }

    fn from<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u32) as usize].clone()
    }
}

fn encoded(random: &mut Random, (width, height): (u32, u32), components: u16, options: &EncodeOptions) -> Vec<u8> {
    let precision = random.from(&[1, 2, 8, 8, 10, 12, 16, 16, 20, 29]);
    let signed = random.below(2) == 1;
    let grain = 1 + (1u32 << precision) / random.from(&[1, 4, 64]);
    let lowest = if signed { -(1i64 << (precision - 1)) } else { 0 };
    let count = width * height * components as u32;
    let samples: Vec<i32> = (0..count)
        .map(|n| {
            (lowest + ((n / 5 % width * 3 + n / width * 2 + random.below(grain)) as i64) % (1 << precision)) as i32
        })
        .collect();
    let stride = (width * components as u32) as usize;
    let image = Image { width, height, components, precision, signed, stride, samples: Samples::I32(&samples) };
    let mut stream = Vec::new();
    Encoder::new().encode(&image, options, &mut stream).unwrap();
    stream
}

fn whole(stream: &[u8], level: u8) -> (Vec<i32>, u32, usize) {
    let header = Header::parse(stream, &Limits::default()).unwrap();
    let ((width, height), components) = (header.size_at(level), header.components.len());
    let stride = width as usize * components;
    let mut samples = vec![0; stride * height as usize];
    Decoder::new().decode(stream, level, SamplesMut::I32(&mut samples), stride).unwrap();
    (samples, width, components)
}

/// A codestream, and which of its bytes were fetched.
struct Remote<'a> {
    stream: &'a [u8],
    fetched: Vec<bool>,
}

impl<'a> Remote<'a> {
    fn new(stream: &'a [u8], prefix: usize) -> Self {
        Remote { stream, fetched: (0..stream.len()).map(|at| at < prefix).collect() }
    }

    fn fetch(&mut self, range: std::ops::Range<u64>) -> &'a [u8] {
        let range = range.start as usize..range.end as usize;
        self.fetched[range.clone()].fill(true);
        &self.stream[range]
    }

    fn count(&self) -> usize {
        self.fetched.iter().filter(|fetched| **fetched).count()
    }
}

/// Fetches what a region takes until it is there. Gives how often a header had to come first, and the bytes of ranges; none if they
/// are not told.
fn fetch(
    image: &mut Progressive,
    remote: &mut Remote<'_>,
    level: u8,
    region: Region,
    gap: u64,
) -> Result<Option<(usize, u64)>, Error> {
    let length = remote.stream.len() as u64;
    for headers in 0..1000 {
        match image.region_ranges(length, level, region, Detail::All, gap)? {
            RegionRanges::Unknown => return Ok(None),
            RegionRanges::First(range) => {
                assert!(range.start < range.end && range.end <= length, "{range:?} of {length}");
                assert!(!remote.fetched[range.start as usize], "{range:?} is there");
                image.put(range.start, remote.fetch(range))?;
            }
            RegionRanges::Ranges(ranges) => {
                let count = ranges.iter().map(|range| range.end - range.start).sum();
                for pair in ranges.windows(2) {
                    assert!(pair[0].end + gap < pair[1].start, "{pair:?} with a gap of {gap}");
                }
                for range in ranges {
                    image.put(range.start, remote.fetch(range))?;
                }
                assert_eq!(
                    image.region_ranges(length, level, region, Detail::All, gap)?,
                    RegionRanges::Ranges(Vec::new())
                );
                return Ok(Some((headers, count)));
            }
        }
    }
    panic!("headers without end");
}

fn decode(image: &mut Progressive, level: u8, region: Region, components: usize) -> Result<(Vec<i32>, bool), Error> {
    let row = region.width as usize * components;
    let mut samples = vec![0; row * region.height as usize];
    let decoded = image.decode_region(level, region, Detail::All, SamplesMut::I32(&mut samples), row)?;
    Ok((samples, decoded.complete))
}

fn part(whole: &(Vec<i32>, u32, usize), region: Region) -> Vec<i32> {
    let (samples, width, components) = whole;
    let columns = region.x as usize * components..(region.x + region.width) as usize * components;
    let rows = (region.y..region.y + region.height).map(|y| &samples[(y * width) as usize * components..]);
    rows.flat_map(|row| row[columns.clone()].to_vec()).collect()
}

fn some_region(random: &mut Random, (w, h): (u32, u32)) -> Region {
    let (x, y) = (random.below(w), random.below(h));
    match random.below(4) {
        0 => Region { x: 0, y, width: w, height: 1 + random.below((h - y).min(3)) },
        1 => Region { x, y: 0, width: 1 + random.below((w - x).min(3)), height: h },
        2 => Region { x, y, width: 1, height: 1 },
        _ => Region { x, y, width: 1 + random.below(w - x), height: 1 + random.below(h - y) },
    }
}

/// Random images, layouts, prefixes and regions.
#[test]
fn regions_from_ranges_are_parts_of_the_level() {
    let mut random = Random(20);
    let (mut told, mut saved) = (0, 0);
    for n in 0..160 {
        let options = EncodeOptions {
            progression: random.from(&[Progression::Rpcl, Progression::Rpcl, Progression::Rlcp, Progression::Lrcp]),
            decompositions: random.from(&[None, None, Some(0), Some(1), Some(3)]),
            block: random.from(&[(6, 6), (6, 6), (5, 5), (4, 3), (3, 7)]),
            transform: random.from(&[
                Transform::Reversible,
                Transform::Reversible,
                Transform::Irreversible { quality: 70.0 },
            ]),
            colour: random.below(2) == 0,
            tile_parts: TileParts::One,
            tlm: random.below(2) == 0,
            plt: random.below(2) == 0,
            ..EncodeOptions::default()
        };
        let by_resolution = options.progression != Progression::Lrcp && random.below(3) > 0;
        let tile_parts = if by_resolution { TileParts::ByResolution } else { TileParts::One };
        let options = EncodeOptions { tile_parts, ..options };
        let size = (1 + random.below(260), 1 + random.below(260));
        let components = random.from(&[1, 1, 2, 3]);
        let stream = encoded(&mut random, size, components, &options);
        let header = Header::parse(&stream, &Limits::default()).unwrap();
        let ends: Vec<usize> =
            Index::read(&stream, &Limits::default()).unwrap().levels.iter().map(|l| l.end as usize).collect();
        let mut image = Progressive::new();
        for _ in 0..4 {
            // A prefix that ends anywhere, or where a level does.
            let prefix = if ends.is_empty() || random.below(2) == 0 {
                random.below(stream.len() as u32 + 1) as usize
            } else {
                random.from(&ends)
            };
            let level = random.below(header.decompositions as u32 + 1) as u8;
            let region = some_region(&mut random, header.size_at(level));
            let gap = random.from(&[0, 1, 30, 1000]);
            let what = format!(
                "{n}: {size:?} x {components}, prefix {prefix}, level {level}, {region:?}, gap {gap}, {options:?}"
            );
            image.restart();
            image.push(&stream[..prefix]);
            let mut remote = Remote::new(&stream, prefix);
            let (headers, bytes) = fetch(&mut image, &mut remote, level, region, gap).unwrap().expect(&what);
            // One for the main header, and one for each packet or tile-part.
            assert!(headers <= 3 + 2 * (header.decompositions as usize + 1) * components as usize, "{what}: {headers}");
            let whole = whole(&stream, level);
            let (samples, complete) = decode(&mut image, level, region, components as usize).expect(&what);
            assert!(complete, "{what}");
            let expected = part(&whole, region);
            // Reals may differ by one, where sums are taken in another order: what matters is that the region of all bytes is the same.
            let slack = (options.transform != Transform::Reversible) as u32;
            assert!(samples.iter().zip(&expected).all(|(a, b)| a.abs_diff(*b) <= slack), "{what}");
            let mut all = vec![0; samples.len()];
            let row = region.width as usize * components as usize;
            Decoder::new().decode_region(&stream, level, region, SamplesMut::I32(&mut all), row).unwrap();
            assert!(samples == all, "{what}");
            told += 1;
            saved += (bytes > 0 && remote.count() < stream.len()) as usize;
        }
    }
    assert!(told == 640 && saved > 150, "{saved} of {told} regions took less than the codestream");
}

/// Streams of other encoders: with markers around packets, Part 1 code-blocks, and other layouts, of which nothing is told.
#[test]
fn regions_of_real_streams() {
    let mut random = Random(14);
    let (mut streams, mut told) = (0, 0);
    for folder in ["codec/htj2k-wg04", "codec/htj2k-part15"] {
        let Some(folder) = testkit::corpus(folder) else { continue };
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        for file in files.filter(|f| f.extension().is_some_and(|e| e == "j2c" || e == "j2k")) {
            let stream = std::fs::read(&file).unwrap();
            let Ok(header) = Header::parse(&stream, &Limits::default()) else { continue };
            if stream.len() > 400_000 || header.components.iter().any(|c| c.dx != 1 || c.dy != 1) {
                continue;
            }
            streams += 1;
            for _ in 0..3 {
                let level = random.below(header.decompositions as u32 + 1) as u8;
                let region = some_region(&mut random, header.size_at(level));
                let prefix = random.below(stream.len() as u32) as usize;
                let (what, components) = (format!("{} {level} {region:?}", file.display()), header.components.len());
                let mut image = Progressive::new();
                image.push(&stream[..prefix]);
                let mut remote = Remote::new(&stream, prefix);
                if fetch(&mut image, &mut remote, level, region, 0).expect(&what).is_none() {
                    continue;
                }
                let (samples, complete) = decode(&mut image, level, region, components).expect(&what);
                let row = region.width as usize * components;
                let mut all = vec![0; samples.len()];
                Decoder::new().decode_region(&stream, level, region, SamplesMut::I32(&mut all), row).unwrap();
                assert!(complete && samples == all, "{what}");
                told += 1;
            }
        }
    }
    println!("ranges were told {told} times of {streams} streams");
    assert!(streams == 0 || told > 10, "{told} of {streams} streams");
}

/// Rows of a large image take few of a level's bytes.
#[test]
fn some_rows_take_a_part_of_the_level() {
    let stream = encoded(&mut Random(3), (1000, 1000), 1, &EncodeOptions::default());
    let levels = Index::read(&stream, &Limits::default()).unwrap().levels;
    let prefix = levels[levels.len() - 2].end as usize;
    let region = Region { x: 0, y: 400, width: 1000, height: 2 };
    let mut image = Progressive::new();
    image.push(&stream[..prefix]);
    let mut remote = Remote::new(&stream, prefix);
    let (headers, _) = fetch(&mut image, &mut remote, 0, region, 0).unwrap().unwrap();
    // One row of code-blocks of the eight that each band has, and the packet's header in one go.
    assert_eq!(headers, 1);
    let (took, level) = (remote.count() - prefix, stream.len() - prefix);
    assert!(took * 6 < level, "{took} of {level} bytes");
    // The next bytes in order go where they belong, and what has come in between counts.
    let before = image.bytes().len();
    let end = (prefix + 1..stream.len()).find(|at| !remote.fetched[*at]).unwrap();
    assert_eq!(before, end);
    image.push(&stream[prefix..]);
    assert_eq!(image.level().unwrap(), Some(0));
    assert!(image.bytes() == stream);
}

/// Where packets lie otherwise, nothing is told.
#[test]
fn other_layouts_are_unknown() {
    let plain = EncodeOptions { tile_parts: TileParts::One, ..EncodeOptions::default() };
    for options in [
        EncodeOptions { tile: Some((50, 60)), ..plain.clone() },
        EncodeOptions { precincts: Precincts::Sizes(vec![(6, 6)]), ..plain.clone() },
        EncodeOptions { progression: Progression::Pcrl, ..plain.clone() },
        EncodeOptions { progression: Progression::Cprl, ..plain.clone() },
    ] {
        let stream = encoded(&mut Random(7), (150, 130), 2, &options);
        let region = Region { x: 3, y: 5, width: 100, height: 2 };
        let mut image = Progressive::new();
        image.push(&stream[..400]);
        let mut remote = Remote::new(&stream, 400);
        assert_eq!(fetch(&mut image, &mut remote, 0, region, 0).unwrap(), None, "{options:?}");
        // The pieces are of no use then, but the whole is.
        image.put(stream.len() as u64 - 9, &stream[stream.len() - 9..]).unwrap();
        assert!(!decode(&mut image, 0, region, 2).unwrap().1);
        image.put(400, &stream[400..]).unwrap();
        let (samples, complete) = decode(&mut image, 0, region, 2).unwrap();
        assert!(complete && samples == part(&whole(&stream, 0), region), "{options:?}");
    }
}

#[test]
fn what_is_not_there_is_not_decoded() {
    let stream = encoded(&mut Random(11), (300, 300), 1, &EncodeOptions::default());
    let levels = Index::read(&stream, &Limits::default()).unwrap().levels;
    let prefix = levels[levels.len() - 2].end as usize;
    let (region, length) = (Region { x: 0, y: 100, width: 300, height: 1 }, stream.len() as u64);
    let mut image = Progressive::new();
    image.push(&stream[..prefix]);
    let mut remote = Remote::new(&stream, prefix);
    let RegionRanges::First(header) = image.region_ranges(length, 0, region, Detail::All, 0).unwrap() else {
        panic!("no header")
    };
    image.put(header.start, remote.fetch(header)).unwrap();
    let RegionRanges::Ranges(ranges) = image.region_ranges(length, 0, region, Detail::All, 0).unwrap() else {
        panic!("no ranges")
    };
    let last = ranges.len() - 1;
    assert!(last > 0);
    let coarse = decode(&mut image, 0, region, 1).unwrap();
    for (n, range) in ranges.into_iter().enumerate() {
        // All but the last byte of the last range.
        let end = range.end - (n == last) as u64;
        image.put(range.start, remote.fetch(range.start..end)).unwrap();
        assert_eq!(decode(&mut image, 0, region, 1).unwrap(), coarse, "as the prefix has it");
        if n == last {
            image.put(end, remote.fetch(end..range.end)).unwrap();
        }
    }
    assert_eq!(decode(&mut image, 0, region, 1).unwrap(), (part(&whole(&stream, 0), region), true));
}

/// Values that differ from row to row, or from column to column, and not across: one sub-band has all that is new.
fn stripes(columns: bool, side: u32) -> (Vec<u8>, Vec<u8>) {
    let value = |n: u32| (n.wrapping_mul(2654435761) >> 23) as u8;
    let pixels: Vec<u8> = (0..side * side).map(|n| value(if columns { n % side } else { n / side })).collect();
    let samples = Samples::U8(&pixels);
    let image =
        Image { width: side, height: side, components: 1, precision: 8, signed: false, stride: side as usize, samples };
    let mut stream = Vec::new();
    Encoder::new().encode(&image, &EncodeOptions::default(), &mut stream).unwrap();
    (pixels, stream)
}

#[test]
fn a_sketch_of_a_line_takes_one_band_and_has_what_is_new_in_it() {
    const SIDE: u32 = 512;
    for columns in [false, true] {
        let (pixels, stream) = stripes(columns, SIDE);
        let length = stream.len() as u64;
        let levels = Index::read(&stream, &Limits::default()).unwrap().levels;
        let prefix = levels[levels.len() - 2].end as usize;
        let detail = if columns { Detail::Columns } else { Detail::Rows };
        // In the middle of a row of code-blocks, and beside its end, where the next row would be needed.
        for (line, near) in [(301, 0), (255, 64)] {
            let region = if columns {
                Region { x: line, y: 0, width: 1, height: SIDE }
            } else {
                Region { x: 0, y: line, width: SIDE, height: 1 }
            };
            let mut image = Progressive::new();
            image.push(&stream[..prefix]);
            let mut bytes = 0;
            loop {
                match image.region_ranges(length, 0, region, detail, 0).unwrap() {
                    RegionRanges::Ranges(ranges) if ranges.is_empty() => break,
                    RegionRanges::Ranges(ranges) => {
                        for range in ranges {
                            bytes += range.end - range.start;
                            image.put(range.start, &stream[range.start as usize..range.end as usize]).unwrap();
                        }
                    }
                    RegionRanges::First(range) => {
                        image.put(range.start, &stream[range.start as usize..range.end as usize]).unwrap()
                    }
                    RegionRanges::Unknown => panic!("not told"),
                }
            }
            // One of four rows of code-blocks, of the one band that is not nearly empty.
            assert!(bytes * 7 < 2 * (length - prefix as u64), "{bytes} of {}", length - prefix as u64);
            let mut samples = vec![0u8; SIDE as usize];
            let decoded =
                image.decode_region(0, region, detail, SamplesMut::U8(&mut samples), region.width as usize).unwrap();
            assert!(!decoded.complete);
            let expected = if columns { pixels[line as usize] } else { pixels[(line * SIDE) as usize] };
            assert!(samples.iter().all(|v| v.abs_diff(expected) <= near), "{samples:?} for {expected}");
            // Beside the end of the row of code-blocks it takes more to be exact.
            assert_eq!(decode(&mut image, 0, region, 1).unwrap().1, near == 0);
        }
    }
}

/// The marker at the end is of no use.
const EOC: usize = 2;

#[test]
fn requests_without_sense_are_errors() {
    let stream = encoded(&mut Random(5), (100, 80), 1, &EncodeOptions::default());
    let (length, limits) = (stream.len() as u64, Limits::default());
    let ranges = |level, x, y, width, height| {
        RegionRanges::read(&stream[..200], length, level, Region { x, y, width, height }, Detail::All, 0, &limits)
    };
    for (level, x, y, width, height) in
        [(0, 0, 0, 101, 1), (0, 0, 80, 1, 1), (0, 0, 0, 0, 1), (0, u32::MAX, 0, 2, 1), (9, 0, 0, 1, 1)]
    {
        let e = ranges(level, x, y, width, height).unwrap_err();
        assert!(matches!(e.kind, ErrorKind::Request(_)), "{e}");
    }
    let mut small = Limits::default();
    small.max_memory = 5000;
    let mut image = Progressive::with_limits(small);
    for (offset, count) in [(4999, 2), (u64::MAX, 1), (u64::MAX - 1, 2), (1 << 40, 1)] {
        let e = image.put(offset, &stream[..count]).unwrap_err();
        assert!(matches!(e.kind, ErrorKind::Limit(_)), "{e}");
    }
    image.put(4999, &stream[..1]).unwrap();
    assert!(image.bytes().is_empty());
    // A codestream shorter than what its headers say.
    let region = Region { x: 0, y: 0, width: 100, height: 80 };
    for cut in 0..stream.len() - EOC {
        match RegionRanges::read(&stream[..cut], cut as u64, 0, region, Detail::All, 0, &limits) {
            Ok(answer) => assert_eq!(answer, RegionRanges::Unknown, "{cut} of {length}"),
            Err(e) => assert!(matches!(e.kind, ErrorKind::Truncated { .. }), "{cut} of {length}: {e}"),
        }
    }
}
