//! Real codestreams: the WG04 set against its raw samples, and what becomes of them when they are cut or damaged.

use htj2k::{Decoder, EncodeOptions, Encoder, ErrorKind, Header, Image, Index, Samples, SamplesMut};
use std::fs;
use std::path::Path;

/// Samples of a stream at a level, as 32-bit numbers.
fn decode(
    decoder: &mut Decoder,
    stream: &[u8],
    header: &Header,
    level: u8,
) -> Result<(Vec<i32>, htj2k::Decoded), htj2k::Error> {
    let (width, height) = header.size_at(level);
    let stride = width as usize * header.components.len();
    let mut samples = vec![0; stride * height as usize];
    let decoded = decoder.decode(stream, level, SamplesMut::I32(&mut samples), stride)?;
    Ok((samples, decoded))
}

#[test]
fn wg04_streams_are_their_raw_samples() {
    let Some(folder) = testkit::corpus("codec/htj2k-wg04") else { return };
    let mut decoder = Decoder::new();
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let raw = path.with_extension("RAW");
        if path.extension().is_none_or(|e| e != "j2c") || !raw.exists() {
            continue;
        }
        let stream = fs::read(&path).unwrap();
        let header = Header::parse(&stream, &Default::default()).unwrap();
        assert!(header.high_throughput);
        let (samples, decoded) = decode(&mut decoder, &stream, &header, 0).unwrap();
        assert!(decoded.complete);
        let expected = words(&fs::read(raw).unwrap(), &header);
        assert!(samples == expected, "{}", path.display());
        count += 1;
    }
    assert!(count >= 6, "only {count} streams with samples");
}

fn words(raw: &[u8], header: &Header) -> Vec<i32> {
    let component = header.components[0];
    match (component.precision, component.signed) {
        (..=8, false) => raw.iter().map(|b| *b as i32).collect(),
        (..=8, true) => raw.iter().map(|b| *b as i8 as i32).collect(),
        (_, false) => raw.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b) as i32).collect(),
        (_, true) => raw.as_chunks().0.iter().map(|b| i16::from_le_bytes(*b) as i32).collect(),
    }
}

/// Every prefix of every level, and at every other length an image or a clear error, byte by byte through three real streams.
#[test]
fn every_truncation_gives_an_image_or_a_clear_error() {
    for (name, coarsest) in [
        ("codec/htj2k-part15/ds1_ht_01_b11.j2k", false),
        ("codec/htj2k-part15/ds1_ht_06_b11.j2k", false),
        ("codec/htj2k-wg04/NM1.j2c", true),
    ] {
        let Some((stream, _)) = read(name) else { return };
        let header = Header::parse(&stream, &Default::default()).unwrap();
        let mut decoder = Decoder::new();
        let mut images = 0;
        for length in 0..stream.len() {
            let level = if coarsest { header.decompositions } else { length as u8 % (header.decompositions + 1) };
            match decoder.decode_planes(&stream[..length], level) {
                Ok((_, decoded)) => {
                    images += 1;
                    if let Some(need) = decoded.need {
                        assert_eq!(
                            decoded.complete,
                            length as u64 >= need.min(length as u64 + !decoded.complete as u64),
                            "{name} at {length}"
                        );
                    }
                }
                Err(e) => assert!(matches!(e.kind, ErrorKind::Truncated { .. }), "{name} at {length}: {e}"),
            }
        }
        assert!(images > stream.len() / 2, "{name}: {images} images of {}", stream.len());
    }
}

/// The image only gets better: once complete, a level stays as it is, however much more comes.
#[test]
fn a_complete_level_does_not_change() {
    let Some((stream, _)) = read("codec/htj2k-wg04/NM1.j2c") else { return };
    let header = Header::parse(&stream, &Default::default()).unwrap();
    let index = Index::read(&stream, &Default::default()).unwrap();
    assert!(index.complete);
    let mut decoder = Decoder::new();
    for level in &index.levels {
        let (whole, _) = decode(&mut decoder, &stream, &header, level.level).unwrap();
        for length in
            [level.end as usize, level.end as usize + 1, (level.end as usize + stream.len()) / 2, stream.len()]
        {
            let length = length.min(stream.len());
            let (part, decoded) = decode(&mut decoder, &stream[..length], &header, level.level).unwrap();
            assert!(decoded.complete && part == whole, "level {} from {length} bytes", level.level);
        }
        let (_, decoded) = decode(&mut decoder, &stream[..level.end as usize - 3], &header, level.level).unwrap();
        assert!(level.level == 0 || !decoded.complete, "level {}", level.level);
    }
}

/// A damaged stream gives an image or an error, in time, and never a panic.
#[test]
fn damaged_streams_do_no_harm() {
    for name in
        ["codec/htj2k-part15/ds0_ht_01_b11.j2k", "codec/htj2k-part15/ds0_hm_15_b8.j2k", "codec/htj2k-wg04/NM1.j2c"]
    {
        let Some((stream, _)) = read(name) else { return };
        let mut decoder = Decoder::new();
        let mut state = 1u32;
        let mut random = move || {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            (state >> 8) as usize
        };
        for _ in 0..300 {
            let mut damaged = stream.clone();
            for _ in 0..1 + random() % 4 {
                // Headers as often as bodies.
                let range = if random() % 2 == 0 { 300.min(damaged.len()) } else { damaged.len() };
                damaged[random() % range] = random() as u8;
            }
            let mut limits = htj2k::Limits::default();
            limits.max_pixels = 1 << 22;
            if let Ok(header) = Header::parse(&damaged, &limits) {
                let mut decoder_of_limits = Decoder::with_limits(limits);
                let _ = decoder_of_limits.decode_planes(&damaged, header.decompositions.min(1));
                let _ = Index::read(&damaged, &limits);
            }
        }
        let header = Header::parse(&stream, &Default::default()).unwrap();
        assert!(decoder.decode_planes(&stream, header.decompositions).is_ok());
    }
}

/// A stream of one block of 64x64, its samples, where its only packet begins and where that one's header ends.
fn one_packet() -> (Vec<u8>, Vec<u8>, usize, usize) {
    let pixels: Vec<u8> = (0..64 * 64).map(|n| (n * n / 77) as u8).collect();
    let samples = Samples::U8(&pixels);
    let image = Image { width: 64, height: 64, components: 1, precision: 8, signed: false, stride: 64, samples };
    let options = EncodeOptions { decompositions: Some(0), tlm: false, plt: false, ..EncodeOptions::default() };
    let mut stream = Vec::new();
    Encoder::new().encode(&image, &options, &mut stream).unwrap();
    // The tile-part reaches to the end, wherever that will be.
    let sot = stream.windows(2).position(|w| w == [0xff, 0x90]).unwrap();
    stream[sot + 6..sot + 10].fill(0);
    let start = stream.windows(2).position(|w| w == [0xff, 0x93]).unwrap() + 2;
    let (bits, bytes) = unstuffed(&stream[start..]);
    let end = length_of_block(&bits).1.end;
    let header = (0..stream.len()).find(|n| bytes[*n] >= end).unwrap();
    (stream, pixels, start, start + header)
}

/// In the bits of that header, where the bits of the length begin to be told, and where the length is.
fn length_of_block(bits: &[bool]) -> (usize, std::ops::Range<usize>) {
    // It is there, as is its only block; empty planes; one pass; a bit for each of the length's more than three; the length.
    let planes = 2 + bits[2..].iter().position(|bit| *bit).unwrap() + 1;
    let more = bits[planes + 1..].iter().position(|bit| !bit).unwrap();
    assert_eq!((bits[0], bits[1], bits[planes]), (true, true, false));
    (planes + 1, planes + 2 + more..planes + 5 + more + more)
}

fn decode_grey(stream: &[u8]) -> Result<(bool, Vec<u8>), htj2k::Error> {
    let mut out = vec![0; 64 * 64];
    Decoder::new().decode(stream, 0, SamplesMut::U8(&mut out), 64).map(|decoded| (decoded.complete, out))
}

/// The length of a code-block's bytes may be told with up to 32 bits (T.800 B.10.7.1), however few would do.
#[test]
fn a_length_has_up_to_32_bits() {
    let (stream, pixels, start, body) = one_packet();
    let (bits, _) = unstuffed(&stream[start..]);
    let (told, length) = length_of_block(&bits);
    for count in [length.len() + 1, 31, 32, 33] {
        let mut long = bits[..told].to_vec();
        long.resize(told + count - 3, true);
        long.push(false);
        long.resize(told + 1 + count - 3 + count - length.len(), false);
        long.extend(&bits[length.clone()]);
        let mut other = stream[..start].to_vec();
        stuff(&long, &mut other);
        other.extend(&stream[body..]);
        match decode_grey(&other) {
            Ok(decoded) => assert!(count <= 32 && decoded == (true, pixels.clone()), "{count} bits"),
            Err(e) => assert!(count > 32 && matches!(e.kind, ErrorKind::Malformed(_)), "{count} bits: {e}"),
        }
    }
}

/// The markers before a packet and after its header may be there when COD says so, and need not be (T.800 A.8).
#[test]
fn markers_around_packets_are_passed_over() {
    let (stream, pixels, start, body) = one_packet();
    let cod = stream.windows(2).position(|w| w == [0xff, 0x52]).unwrap();
    for (said, sop, eph) in [(0, false, false), (6, false, false), (6, true, true), (2, true, false), (4, false, true)]
    {
        let mut other = stream[..start].to_vec();
        other[cod + 4] |= said;
        let before = other.len();
        if sop {
            other.extend([0xff, 0x91, 0, 4, 0, 0]);
        }
        other.extend(&stream[start..body]);
        if eph {
            other.extend([0xff, 0x92]);
        }
        let after = other.len();
        other.extend(&stream[body..]);
        assert!(decode_grey(&other).unwrap() == (true, pixels.clone()), "{said}, {sop}, {eph}");
        // Cut in a marker or in the header there is nothing yet.
        for end in before..after {
            let decoded = decode_grey(&other[..end]);
            assert!(decoded.is_ok_and(|(complete, _)| !complete), "{said}, {sop}, {eph}, {end}");
        }
    }
}

/// Packets without a body, their headers apart from it (PPT, T.800 A.7.5): nothing follows SOD, or markers alone.
#[test]
fn packets_may_be_headers_alone() {
    let pixels = [128; 64 * 64];
    let samples = Samples::U8(&pixels);
    let image = Image { width: 64, height: 64, components: 1, precision: 8, signed: false, stride: 64, samples };
    let options = EncodeOptions { decompositions: Some(1), tlm: false, plt: false, ..EncodeOptions::default() };
    let mut stream = Vec::new();
    Encoder::new().encode(&image, &options, &mut stream).unwrap();
    let cod = stream.windows(2).position(|w| w == [0xff, 0x52]).unwrap();
    let sot = stream.windows(2).position(|w| w == [0xff, 0x90]).unwrap();
    for (said, bodies) in [(0, vec![]), (2, [0xff, 0x91, 0, 4, 0, 0, 0xff, 0x91, 0, 4, 0, 1].to_vec())] {
        let mut other = stream[..sot + 12].to_vec();
        other[cod + 4] |= said;
        // One tile-part; two packets without a block.
        other[sot + 6..sot + 12].copy_from_slice(&[0, 0, 0, 21 + bodies.len() as u8, 0, 1]);
        other.extend([0xff, 0x61, 0, 5, 0, 0, 0, 0xff, 0x93]);
        other.extend(&bodies);
        other.extend([0xff, 0xd9]);
        assert!(decode_grey(&other).unwrap() == (true, pixels.to_vec()), "{said}");
    }
}

/// A tile-part may be without packets, though the headers of packets stand apart and their bodies are still to come.
#[test]
fn a_tile_part_may_be_empty_before_one_with_headers_apart() {
    let (stream, pixels, start, body) = one_packet();
    let sot = stream.windows(2).position(|w| w == [0xff, 0x90]).unwrap();
    let mut other = stream[..sot + 6].to_vec();
    other.extend([0, 0, 0, 14, 0, 2, 0xff, 0x93]);
    other.extend(&stream[sot..sot + 6]);
    other.extend([0, 0, 0, 0, 1, 2, 0xff, 0x61, 0, (3 + body - start) as u8, 0]);
    other.extend(&stream[start..body]);
    other.extend([0xff, 0x93]);
    other.extend(&stream[body..]);
    assert!(decode_grey(&other).unwrap() == (true, pixels));
}

/// Every code-block is counted where it is laid out and where its packet is read.
#[test]
fn the_limit_of_work_is_about_the_number_of_code_blocks() {
    let pixels: Vec<u8> = (0..64 * 64).map(|n| (n * n / 77) as u8).collect();
    let samples = Samples::U8(&pixels);
    let image = Image { width: 64, height: 64, components: 1, precision: 8, signed: false, stride: 64, samples };
    let least = |block| {
        let options = EncodeOptions { decompositions: Some(1), block, ..EncodeOptions::default() };
        let mut stream = Vec::new();
        Encoder::new().encode(&image, &options, &mut stream).unwrap();
        let mut limits = htj2k::Limits::default();
        (1..2000).find(|work| {
            limits.max_work = *work;
            Decoder::with_limits(limits).decode_planes(&stream, 0).is_ok()
        })
    };
    // 256 blocks of 4x4, or one in each of four bands.
    assert_eq!(least((2, 2)).unwrap() - least((6, 6)).unwrap(), 2 * (256 - 4));
}

/// The bits of a packet header, and how many there are before each byte: after FF a byte has seven.
fn unstuffed(bytes: &[u8]) -> (Vec<bool>, Vec<usize>) {
    let (mut bits, mut before) = (Vec::new(), Vec::new());
    let mut last = 0;
    for byte in bytes {
        before.push(bits.len());
        let count = if last == 0xff { 7 } else { 8 };
        bits.extend((0..count).rev().map(|n| byte >> n & 1 == 1));
        last = *byte;
    }
    (bits, before)
}

fn stuff(bits: &[bool], out: &mut Vec<u8>) {
    let (mut at, mut last) = (0, 0);
    while at < bits.len() {
        let count = if last == 0xff { 7 } else { 8 };
        last = (0..count).fold(0, |byte, n| byte << 1 | *bits.get(at + n).unwrap_or(&false) as u8);
        out.push(last);
        at += count;
    }
    assert_ne!(last, 0xff);
}

fn read(name: &str) -> Option<(Vec<u8>, String)> {
    let path = Path::new(name);
    let folder = testkit::corpus(path.parent()?.to_str()?)?;
    Some((fs::read(folder.join(path.file_name()?)).unwrap(), name.to_owned()))
}
