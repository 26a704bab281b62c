//! The decoder held against the conformance streams of T.87, the corpus, and CharLS; damaged streams.

use super::{Picture, decode};
use crate::Decode;
use charls::{CharLS, FrameInfo, InterleaveMode};
use dicom::input::hex;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

/// The samples of a binary PGM or PPM, and how many components it has.
fn netpbm(bytes: &[u8]) -> (usize, Vec<u16>) {
    let lines: Vec<&[u8]> = bytes.splitn(4, |byte| *byte == b'\n').collect();
    let number = |text: &[u8]| std::str::from_utf8(text).unwrap().trim().parse::<usize>().unwrap();
    let components = if lines[0] == b"P6" { 3 } else { 1 };
    if number(lines[2]) < 256 {
        return (components, lines[3].iter().map(|byte| (*byte).into()).collect());
    }
    (components, lines[3].as_chunks().0.iter().map(|word| u16::from_be_bytes(*word)).collect())
}

/// Annex E: what the streams decode to is the picture, or no further from it than NEAR.
#[test]
fn conformance_streams() {
    let Some(corpus) = testkit::corpus("") else { return };
    let read = |name: &str| std::fs::read(corpus.join("codec/jpegls-t87").join(name)).unwrap();
    let whole = ["test8.ppm"];
    let parts = ["test8r.pgm", "test8gr4.pgm", "test8bs2.pgm"];
    for (stream, pictures, near) in [
        ("t8c0e0.jls", &whole[..], 0),
        ("t8c0e3.jls", &whole, 3),
        ("t8c1e0.jls", &whole, 0),
        ("t8c1e3.jls", &whole, 3),
        ("t8c2e0.jls", &whole, 0),
        ("t8c2e3.jls", &whole, 3),
        ("t8nde0.jls", &["test8bs2.pgm"], 0),
        ("t8nde3.jls", &["test8bs2.pgm"], 3),
        ("t8sse0.jls", &parts, 0),
        ("t8sse3.jls", &parts, 3),
        ("t16e0.jls", &["test16.pgm"], 0),
        ("t16e3.jls", &["test16.pgm"], 3),
        // The picture of the stream, sample by sample.
        ("t16e3.jls", &["t16e3.pgm"], 0),
    ] {
        let decoded = decode(&read(stream), 256 * 256 * 3).unwrap_or_else(|error| panic!("{stream}: {error}"));
        let planes: Vec<Vec<u16>> = pictures
            .iter()
            .map(|name| netpbm(&read(name)))
            .flat_map(|(n, samples)| (0..n).map(move |i| samples.iter().skip(i).step_by(n).copied().collect()))
            .collect();
        assert_eq!(decoded.planes.len(), planes.len(), "{stream}");
        for (decoded, plane) in decoded.planes.iter().zip(&planes) {
            assert_eq!(decoded.samples.len(), plane.len(), "{stream}");
            let apart = decoded.samples.iter().zip(plane).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(apart <= Some(near), "{stream}: {apart:?}");
            assert!(near == 0 || apart > Some(0), "{stream} lost nothing");
        }
    }
}

/// Every JPEG-LS image of the corpus is what independent decoders say, and what CharLS says where they don't.
#[test]
fn the_corpus() {
    let Some(corpus) = testkit::corpus("") else { return };
    let table = std::fs::read_to_string(corpus.join("REFERENCE.tsv")).unwrap();
    let (mut files, mut wrong) = (0, Vec::new());
    for row in table.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>()) {
        let Ok(source) = dicom::Source::open(&corpus.join(row[0])) else { continue };
        let facts = source.facts().clone();
        if facts.transfer_syntax.coding() != dicom::syntax::Coding::JpegLs || row[1] != "AGREE" {
            continue;
        }
        files += 1;
        let size = usize::from(facts.bits_allocated / 8);
        let most = facts.rows as usize * facts.columns as usize * usize::from(facts.samples);
        let (mut all, mut frame, mut ours) = (Sha256::new(), Vec::new(), Vec::new());
        for n in 0..source.frames().len() as u32 {
            source.read_frame(n, &mut frame).unwrap();
            let picture = match decode(&frame, most) {
                Ok(picture) => picture,
                Err(error) => {
                    wrong.push(format!("{}: frame {}: {error}", row[0], n + 1));
                    continue;
                }
            };
            source.decode_frame(n, &mut ours).unwrap();
            let bytes = by_pixel(&picture, size, facts.signed.then_some(facts.bits_stored));
            if bytes != ours {
                wrong.push(format!("{}: frame {}: CharLS decodes other samples", row[0], n + 1));
            }
            all.update(&bytes);
        }
        if hex(&all.finalize()) != row[3] {
            wrong.push(format!("{}: not the reference's samples", row[0]));
        }
    }
    println!("{files} files of JPEG-LS");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(files > 100, "{files} files");
}

/// Samples as they lie in a frame; a sign that is shorter than its container is drawn out.
fn by_pixel(picture: &Picture, size: usize, signed: Option<u16>) -> Vec<u8> {
    let spare = signed.map_or(0, |bits| 16 - u32::from(bits.min(picture.precision.into())));
    let mut bytes = Vec::new();
    for n in 0..picture.planes[0].samples.len() {
        for plane in &picture.planes {
            let sample = ((plane.samples[n] << spare) as i16) >> spare;
            let sample = if spare == 0 { plane.samples[n] } else { sample as u16 };
            bytes.extend_from_slice(&sample.to_le_bytes()[..size]);
        }
    }
    bytes
}

/// A made image: flat parts, edges, ramps and noise.
#[derive(Debug, Clone)]
struct Made {
    width: u32,
    height: u32,
    bits: u8,
    components: u16,
    interleave: u8,
    near: i32,
    seed: u32,
    noise: u32,
}

prop_compose! {
    fn made()(width in 1u32..70, height in 1u32..70, bits in 2u8..=16, kind in 0u8..4, near in 0i32..=3, seed: u32, noise in 0u32..=16) -> Made {
        let (components, interleave) = [(1, 0), (3, 0), (3, 1), (3, 2)][usize::from(kind)];
        let near = near.min(((1 << bits) - 1) / 2);
        let mut made = Made { width, height, bits, components, interleave, near, seed, noise };
        // CharLS has no room for what becomes much longer than it was.
        while made.noise > 0 && made.try_encode(&made.planes()).is_err() {
            made.noise -= 1;
        }
        made
    }
}

impl Made {
    /// Planes, as [`Picture`] has them.
    fn planes(&self) -> Vec<Vec<u16>> {
        let mask = (1u32 << self.bits) - 1;
        let mut random = self.seed;
        let mut next = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            random >> 8
        };
        let kinds: Vec<u32> = (0..self.components).map(|_| next() % 4).collect();
        let plane = |kind: u32| -> Vec<u16> {
            let pixels = (0..self.height).flat_map(|y| (0..self.width).map(move |x| (x, y)));
            pixels
                .map(|(x, y)| {
                    let base = match kind {
                        0 => 0,
                        1 => (x / 9 + y / 5) % 2 * mask,
                        2 => (x + 3 * y) * mask / 300,
                        _ => mask / 2 + (x * y / 16) % 3,
                    };
                    (base.wrapping_add(next() & ((1 << self.noise) - 1)) & mask) as u16
                })
                .collect()
        };
        kinds.into_iter().map(plane).collect()
    }

    fn encode(&self, planes: &[Vec<u16>]) -> Vec<u8> {
        self.try_encode(planes).unwrap()
    }

    fn try_encode(&self, planes: &[Vec<u16>]) -> charls::CharlsResult<Vec<u8>> {
        let pixels = planes[0].len();
        let places: Vec<(usize, usize)> = match self.interleave {
            0 => (0..planes.len()).flat_map(|c| (0..pixels).map(move |n| (c, n))).collect(),
            // CharLS takes pixels in both other cases.
            _ => (0..pixels).flat_map(|n| (0..planes.len()).map(move |c| (c, n))).collect(),
        };
        let size = if self.bits > 8 { 2 } else { 1 };
        let bytes: Vec<u8> =
            places.into_iter().flat_map(|(c, n)| planes[c][n].to_le_bytes().into_iter().take(size)).collect();
        let info = FrameInfo {
            width: self.width,
            height: self.height,
            bits_per_sample: self.bits.into(),
            component_count: self.components.into(),
        };
        let mode = [InterleaveMode::None, InterleaveMode::Line, InterleaveMode::Sample][usize::from(self.interleave)];
        let mut codec = CharLS::default();
        codec.set_interleave_mode(mode).unwrap();
        codec.encode(info, self.near, &bytes)
    }

    fn most(&self) -> usize {
        (self.width * self.height) as usize * usize::from(self.components)
    }
}

/// Ours, in the order in which CharLS decodes.
fn as_charls_has_it(made: &Made, picture: &Picture) -> Vec<u8> {
    let size = if made.bits > 8 { 2 } else { 1 };
    match made.interleave {
        0 => {
            let samples = picture.planes.iter().flat_map(|plane| &plane.samples);
            samples.flat_map(|sample| sample.to_le_bytes().into_iter().take(size)).collect()
        }
        _ => by_pixel(picture, size, None),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    /// What CharLS writes is read: without loss as it was, else as CharLS reads it, within NEAR.
    #[test]
    fn what_charls_writes(made in made()) {
        let planes = made.planes();
        let stream = made.encode(&planes);
        let picture = decode(&stream, made.most()).unwrap();
        prop_assert_eq!(picture.precision, made.bits);
        for (decoded, plane) in picture.planes.iter().zip(&planes) {
            let apart = decoded.samples.iter().zip(plane).map(|(a, b)| a.abs_diff(*b)).max();
            prop_assert!(apart <= Some(made.near as u16), "{:?}", apart);
        }
        let theirs = CharLS::default().decode(&stream).unwrap();
        prop_assert!(as_charls_has_it(&made, &picture) == theirs);
        prop_assert!(decode(&stream, made.most() - 1).is_err());
        for cut in [stream.len() - 1, stream.len() - 2, stream.len() / 2, 3] {
            prop_assert!(decode(&stream[..cut], made.most()).is_err(), "cut to {}", cut);
        }
    }

    /// A damaged stream gives an error or a picture that is no larger than it may be.
    #[test]
    fn damaged_streams(made in made(), hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut stream = made.encode(&made.planes());
        for (place, byte) in hits {
            let place = place.index(stream.len());
            stream[place] = byte;
        }
        if let Ok(picture) = decode(&stream, made.most()) {
            prop_assert!(picture.planes.iter().map(|plane| plane.samples.len()).sum::<usize>() <= made.most());
        }
    }

    /// Where some thresholds are told and others are not, CharLS takes the default of the others as if none were told; C.2.4.1.1.1 says that none is less
    /// than the one before.
    #[test]
    fn preset_parameters_of_any_kind(made in made(), words in prop::array::uniform5(prop_oneof![Just(0u16), 1u16..70, any::<u16>()])) {
        let mut stream = made.encode(&made.planes());
        let segment: Vec<u8> =
            [0xFF, 0xF8, 0, 13, 1].into_iter().chain(words.into_iter().flat_map(u16::to_be_bytes)).collect();
        stream.splice(2..2, segment);
        let theirs = CharLS::default().decode(&stream);
        let picture = decode(&stream, made.most());
        let told = words[1..4].iter().filter(|word| **word != 0).count();
        if let (Ok(picture), Ok(theirs), 0 | 3) = (picture, theirs, told) {
            prop_assert!(as_charls_has_it(&made, &picture) == theirs);
        }
    }
}

/// A flat image, whose lines are short codes, with restart intervals of one line: each begins anew.
#[test]
fn restart_intervals() {
    let made = Made { width: 33, height: 1, bits: 12, components: 1, interleave: 0, near: 0, seed: 5, noise: 9 };
    // Every line is coded as a frame of its own would be.
    let rows: Vec<Made> = (0..20).map(|seed| Made { seed, ..made.clone() }).collect();
    let scans: Vec<Vec<u8>> = rows.iter().map(|row| row.encode(&row.planes())).collect();
    let start = scans[0].windows(2).position(|w| w == [0xFF, 0xDA]).unwrap();
    let mut stream = scans[0][..start].to_vec();
    let sof = stream.windows(2).position(|w| w == [0xFF, 0xF7]).unwrap();
    stream[sof + 6] = 20;
    stream.extend([0xFF, 0xDD, 0, 4, 0, 1]);
    stream.extend(&scans[0][start..start + 10]);
    for (n, scan) in scans.iter().enumerate() {
        stream.extend(&scan[start + 10..scan.len() - 2]);
        stream.extend(if n == 19 { [0xFF, 0xD9] } else { [0xFF, 0xD0 + (n % 8) as u8] });
    }
    let picture = decode(&stream, 20 * 33).unwrap();
    let samples: Vec<u16> = rows.iter().flat_map(|row| row.planes().remove(0)).collect();
    assert_eq!(picture.planes[0].samples, samples);
    assert_eq!(CharLS::default().decode(&stream).unwrap(), by_pixel(&picture, 2, None));
    // A marker out of turn.
    let second = stream.windows(2).position(|w| w == [0xFF, 0xD1]).unwrap();
    stream[second + 1] = 0xD2;
    assert!(decode(&stream, 20 * 33).is_err());
}

#[test]
fn what_is_refused_says_why() {
    let made = Made { width: 9, height: 9, bits: 8, components: 1, interleave: 0, near: 0, seed: 1, noise: 3 };
    let stream = made.encode(&made.planes());
    let refused = |at: [u8; 2], place: usize, value: u8| {
        let mut stream = stream.clone();
        let segment = stream.windows(2).position(|w| w == at).unwrap();
        stream[segment + place] = value;
        decode(&stream, 81).unwrap_err()
    };
    assert_eq!(refused([0xFF, 0xF7], 4, 17), "samples of 17 bits");
    assert_eq!(refused([0xFF, 0xF7], 1, 0xC3), "this is no JPEG-LS");
    assert_eq!(refused([0xFF, 0xF7], 5, 0xFF), "587601 samples where 81 should be");
    assert_eq!(refused([0xFF, 0xDA], 6, 1), "mapping tables are not decoded");
    assert_eq!(refused([0xFF, 0xDA], 9, 1), "there is a point transform");
    assert_eq!(decode(b"no", 81).unwrap_err(), "the stream does not begin with SOI");
    let mut mapped = stream.clone();
    mapped.splice(2..2, [0xFF, 0xF8, 0, 6, 2, 1, 1, 7]);
    assert_eq!(decode(&mapped, 81).unwrap_err(), "mapping tables are not decoded");
}
