//! The decoder held against the sources and OpenJPEG's port, on what our encoder writes of the corpus and of made images; damaged streams.

use super::{Refused, decode};
use crate::Decode;
use htj2k::{EncodeOptions, Image, Progression, Samples, TileParts, Transform};
use proptest::prelude::*;

/// What an image is, and its samples by component.
#[derive(Debug, Clone, PartialEq)]
struct Planes {
    width: usize,
    height: usize,
    precision: u8,
    signed: bool,
    planes: Vec<Vec<i32>>,
}

/// All of a stream.
fn decoded(stream: &[u8], most: usize) -> Result<Planes, Refused> {
    let mut picture = decode(stream, most)?;
    let mut planes = vec![Vec::new(); picture.components()];
    for _ in 0..picture.height() {
        planes.iter_mut().zip(picture.row()?).for_each(|(plane, row)| plane.extend(row));
    }
    let (width, height) = (picture.width(), picture.height());
    Ok(Planes { width, height, precision: picture.precision(), signed: picture.signed(), planes })
}

fn by_openjp2(stream: &[u8]) -> Planes {
    let image = jpeg2k::Image::from_bytes_with(stream, jpeg2k::DecodeParameters::new().strict(true)).unwrap();
    let first = &image.components()[0];
    Planes {
        width: first.width() as usize,
        height: first.height() as usize,
        precision: first.precision() as u8,
        signed: first.is_signed(),
        planes: image.components().iter().map(|component| component.data().to_vec()).collect(),
    }
}

impl Planes {
    fn encode(&self, options: &EncodeOptions) -> Vec<u8> {
        let each = (0..self.width * self.height).flat_map(|at| self.planes.iter().map(move |plane| plane[at]));
        let (unsigned, signed): (Vec<u16>, Vec<i16>) = each.map(|v| (v as u16, v as i16)).unzip();
        let image = Image {
            width: self.width as u32,
            height: self.height as u32,
            components: self.planes.len() as u16,
            precision: self.precision,
            signed: self.signed,
            stride: self.width * self.planes.len(),
            samples: if self.signed { Samples::I16(&signed) } else { Samples::U16(&unsigned) },
        };
        let mut stream = Vec::new();
        htj2k::Encoder::default().encode(&image, options, &mut stream).unwrap();
        stream
    }

    /// The samples as they lie in a file: a byte each, or two.
    fn by_pixel(&self) -> Vec<u8> {
        let size = usize::from(self.precision.div_ceil(8));
        let each = (0..self.width * self.height).flat_map(|at| self.planes.iter().map(move |plane| plane[at]));
        each.flat_map(|sample| sample.to_le_bytes().into_iter().take(size)).collect()
    }

    fn samples(&self) -> usize {
        self.width * self.height * self.planes.len()
    }

    /// The largest difference; `None` where even the sizes are others.
    fn apart(&self, other: &Planes) -> Option<u32> {
        let as_mine = Planes { planes: self.planes.clone(), ..other.clone() };
        let pairs = self.planes.iter().flatten().zip(other.planes.iter().flatten());
        (as_mine == *self && self.samples() == other.planes.iter().map(Vec::len).sum::<usize>())
            .then(|| pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0))
    }

    /// What OpenJPEG's port may be off by, for its constant: see `openjp2`.
    fn rounding(&self) -> u32 {
        1 + ((1 << self.precision) >> 14)
    }

    /// Encodes, with loss when a quality is told, and holds what is decoded against the source and the other decoder.
    fn check(&self, quality: Option<f32>) -> Result<Vec<u8>, String> {
        let transform = quality.map_or(Transform::Reversible, |quality| Transform::Irreversible { quality });
        let stream = self.encode(&EncodeOptions { transform, ..EncodeOptions::default() });
        let ours = decoded(&stream, self.samples()).map_err(|refused| format!("{refused:?}"))?;
        let theirs = by_openjp2(&stream);
        match quality {
            None if ours != *self => Err(format!("off by {:?}", ours.apart(self))),
            None if theirs != *self => Err("another one with the port of OpenJPEG".into()),
            Some(_) if ours.apart(&theirs).is_none_or(|apart| apart > self.rounding()) => {
                Err(format!("off by {:?}", ours.apart(&theirs)))
            }
            _ => Ok(stream),
        }
    }
}

/// A made image: flat parts, edges, ramps and noise.
#[derive(Debug, Clone)]
struct Made {
    width: usize,
    height: usize,
    bits: u8,
    signed: bool,
    components: usize,
    quality: Option<f32>,
    seed: u32,
    noise: u32,
}

prop_compose! {
    fn made()(
        width in prop_oneof![1usize..20, 1usize..200], height in prop_oneof![1usize..20, 1usize..200], bits in 1u8..=16, signed: bool,
        colour: bool, quality in prop_oneof![Just(None), (25u32..115).prop_map(|q| Some(q as f32))], seed: u32, noise in 0u32..=16,
    ) -> Made {
        Made { width, height, bits, signed, components: if colour { 3 } else { 1 }, quality, seed, noise }
    }
}

impl Made {
    fn planes(&self) -> Planes {
        let mask = (1u32 << self.bits) - 1;
        let mut random = self.seed;
        let mut next = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            random >> 8
        };
        let spare = 32 - u32::from(self.bits);
        let mut plane = |_| {
            let (kind, width) = (next() % 5, self.width as u32);
            (0..(self.width * self.height) as u32)
                .map(|n| (n % width, n / width))
                .map(|(x, y)| {
                    let base = match kind {
                        0 => 0,
                        1 => (x / 9 + y / 5) % 2 * mask,
                        2 => (x + 3 * y) * mask / 300,
                        3 => (x + y) % 2 * mask,
                        _ => mask / 2 + (x * y / 16) % 3,
                    };
                    let value = base.wrapping_add(next() & ((1 << self.noise) - 1)) & mask;
                    if self.signed { (value << spare) as i32 >> spare } else { value as i32 }
                })
                .collect()
        };
        let planes = (0..self.components).map(&mut plane).collect();
        Planes { width: self.width, height: self.height, precision: self.bits, signed: self.signed, planes }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn what_the_encoder_writes(made in made()) {
        let planes = made.planes();
        let stream = planes.check(made.quality).unwrap();
        prop_assert!(decoded(&stream, planes.samples() - 1).is_err());
        for cut in [stream.len() - 1, stream.len() - 2, stream.len() - 3, stream.len() / 2, 40, 3] {
            prop_assert!(decoded(&stream[..cut.min(stream.len() - 1)], planes.samples()).is_err(), "cut to {}", cut);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    /// A damaged stream gives an error, or a picture that is no larger than it may be.
    #[test]
    fn damaged_streams(
        made in made(), hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), early: bool, cut in 0usize..4,
    ) {
        let planes = made.planes();
        let transform = made.quality.map_or(Transform::Reversible, |quality| Transform::Irreversible { quality });
        let mut stream = planes.encode(&EncodeOptions { transform, ..EncodeOptions::default() });
        for (place, byte) in hits {
            let place = place.index(if early { stream.len().min(250) } else { stream.len() });
            stream[place] = byte;
        }
        stream.truncate(stream.len() - cut.saturating_sub(2));
        if let Ok(found) = decoded(&stream, planes.samples()) {
            prop_assert!(found.samples() <= planes.samples());
            let range = if found.signed { -(1 << (found.precision - 1))..1 << (found.precision - 1) } else { 0..1 << found.precision };
            prop_assert!(found.planes.iter().flatten().all(|sample| range.contains(sample)));
        }
    }
}

#[test]
fn every_depth_at_every_small_size() {
    let mut wrong = Vec::new();
    for (n, bits) in (1..=16u8).enumerate() {
        let sizes = (1..=9).flat_map(|width| (1..=9).map(move |height| (width, height)));
        for (width, height) in sizes.chain([(63, 64), (64, 65), (65, 129), (1, 700), (700, 1), (257, 131)]) {
            let seed = (n * width + height) as u32;
            let (signed, colour) = (seed.is_multiple_of(2), seed.is_multiple_of(3));
            let components = if colour { 3 } else { 1 };
            let made = Made { width, height, bits, signed, components, quality: None, seed, noise: bits.into() };
            for quality in [None, Some(40.0), Some(90.0)] {
                let answer = made.planes().check(quality);
                wrong.extend(answer.err().map(|what| format!("{made:?} {quality:?}: {what}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What our encoder writes of every image of the corpus, of no more than so many frames of each.
#[test]
fn the_corpus() {
    const FRAMES: u32 = 3;
    let Some(corpus) = testkit::corpus("") else { return };
    let table = std::fs::read_to_string(corpus.join("REFERENCE.tsv")).unwrap();
    let (mut files, mut frames, mut wrong) = (0, 0, Vec::new());
    for path in table.lines().skip(1).filter_map(|line| line.split('\t').next()) {
        let Ok(source) = dicom::Source::open(&corpus.join(path)) else { continue };
        let facts = source.facts().clone();
        if ![8, 16].contains(&facts.bits_allocated) || !(1..=16).contains(&facts.bits_stored) {
            continue;
        }
        let mut samples = Vec::new();
        let seen = frames;
        for frame in 0..(source.frames().len() as u32).min(FRAMES) {
            if source.decode_frame(frame, &mut samples).is_err() {
                continue;
            }
            frames += 1;
            let (spare, components) = (32 - u32::from(facts.bits_stored), usize::from(facts.samples));
            let settle =
                |v: u32| if facts.signed { (v << spare) as i32 >> spare } else { (v << spare >> spare) as i32 };
            let values: Vec<i32> = match facts.bits_allocated {
                8 => samples.iter().map(|v| settle((*v).into())).collect(),
                _ => samples.as_chunks().0.iter().map(|b| settle(u16::from_le_bytes(*b).into())).collect(),
            };
            let planes = Planes {
                width: facts.columns as usize,
                height: facts.rows as usize,
                precision: facts.bits_stored as u8,
                signed: facts.signed,
                planes: (0..components).map(|n| values.iter().skip(n).step_by(components).copied().collect()).collect(),
            };
            for quality in [None, Some(60.0)] {
                wrong.extend(
                    planes.check(quality).err().map(|what| format!("{path}, frame {}, {quality:?}: {what}", frame + 1)),
                );
            }
        }
        files += u32::from(frames > seen);
    }
    println!("{frames} frames of {files} files");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(files > 300, "{files} files");
}

/// Streams that our encoder did not write: those of OpenJPH are of this form, and are decoded to what went in; those of the conformance suite of
/// part 15 are not, and none of them is taken for a damaged one.
#[test]
fn streams_of_other_encoders() {
    let Some(corpus) = testkit::corpus("") else { return };
    let (mut right, mut others) = (0, 0);
    for folder in ["codec/htj2k-wg04", "codec/htj2k-part15"] {
        let names = std::fs::read_dir(corpus.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        for path in names.filter(|path| path.extension().is_some_and(|end| end == "j2c" || end == "j2k")) {
            let stream = std::fs::read(&path).unwrap();
            match decoded(&stream, 1 << 24) {
                Ok(planes) => {
                    assert_eq!(planes.apart(&by_openjp2(&stream)), Some(0), "{}", path.display());
                    if let Ok(raw) = std::fs::read(path.with_extension("RAW")) {
                        assert_eq!(planes.by_pixel(), raw, "{}", path.display());
                    }
                    right += 1;
                }
                Err(Refused::Form(_)) => others += 1,
                Err(refused) => panic!("{}: {refused:?}", path.display()),
            }
        }
    }
    assert!(right >= 7 && others >= 30, "{right} decoded, {others} of another form");
}

/// Of another form is what a decoder of any form can read; what contradicts itself is damaged.
#[test]
fn what_is_refused_says_why() {
    let made = Made { width: 70, height: 50, bits: 8, signed: false, components: 3, quality: None, seed: 1, noise: 3 };
    let planes = made.planes();
    let refused = |options: EncodeOptions| {
        let stream = planes.encode(&options);
        assert_eq!(by_openjp2(&stream), planes);
        decoded(&stream, planes.samples()).map(drop).unwrap_err()
    };
    let usual = EncodeOptions::default;
    let form = |what: &str| Refused::Form(what.into());
    let damaged = |what: &str| Refused::Damaged(what.into());
    assert_eq!(refused(EncodeOptions { tile: Some((32, 32)), ..usual() }), form("more than one tile"));
    assert_eq!(refused(EncodeOptions { block: (5, 5), ..usual() }), form("code-blocks that are not 64 x 64"));
    assert_eq!(refused(EncodeOptions { plt: true, ..usual() }), form("marker segments in a tile-part"));
    let lrcp = EncodeOptions { progression: Progression::Lrcp, tile_parts: TileParts::One, ..usual() };
    assert_eq!(refused(lrcp), form("another progression than RPCL"));

    let stream = planes.encode(&usual());
    let changed = |marker: u8, place: usize, value: u8| {
        let mut stream = stream.clone();
        let segment = stream.windows(2).position(|w| w == [0xFF, marker]).unwrap();
        stream[segment + place] = value;
        decoded(&stream, planes.samples()).map(drop).unwrap_err()
    };
    assert_eq!(changed(0x51, 4, 0), form("a coding that is not of high throughput"));
    assert_eq!(changed(0x51, 40, 16), form("samples of 17 bits"));
    assert_eq!(changed(0x51, 25, 69), form("more than one tile"));
    assert_eq!(changed(0x51, 17, 1), form("an image that is not at the origin"));
    assert_eq!(changed(0x51, 8, 1), damaged("48900 samples where 10500 should be"));
    assert_eq!(changed(0x51, 6, 255), damaged("641728522500 samples where 10500 should be"));
    assert_eq!(changed(0x51, 44, 2), form("sub-sampled components"));
    assert_eq!(changed(0x50, 8, 0x80), form("blocks of another coding"));
    assert_eq!(changed(0x52, 13, 2), form("another wavelet transform"));
    assert_eq!(changed(0x52, 13, 0), damaged("COD and QCD contradict each other"));
    assert_eq!(changed(0x55, 9, 1), damaged("TLM tells of other tile-parts"));
    assert_eq!(decoded(b"no", 81).map(drop).unwrap_err(), damaged("the stream does not begin with SOC"));
    assert_eq!(
        decoded(&stream[..stream.len() - 2], 10500).unwrap_err(),
        damaged("there is no EOC behind the last tile-part")
    );
    let behind = [&stream[..], &[0, 0]].concat();
    assert_eq!(decoded(&behind, 10500).map(drop).unwrap_err(), damaged("there are bytes behind EOC"));
}
