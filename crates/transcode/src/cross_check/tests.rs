//! A wrong codec is caught: encoders and decoders that agree with each other and are wrong.

use crate::decode;
use crate::plan::Plan;
use crate::policy::Target;
use crate::{Check, Context, Opinions, Outcome, Policy, Sampling};
use dicom::Source;
use dicom::error::Result;
use dicom::facts::Facts;
use dicom::syntax::{Coding, TransferSyntax};

/// A mistake that an encoder and its decoder share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// The sign is turned: signed samples are written as unsigned ones, or the other way round.
    Sign,
    /// Samples are one bit to the left.
    Shift,
    /// A marker segment tells something that is not so.
    Marker,
}

impl Wrong {
    /// Encodes what the mistake makes of the samples, by the right encoder.
    pub(crate) fn encode(
        self,
        plan: &Plan,
        samples: &[u8],
        mut right: impl FnMut(&Plan, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut plan = plan.clone();
        let mut samples = samples.to_vec();
        match self {
            Wrong::Sign | Wrong::Shift if matches!(plan.target, Target::JpegXlLossless | Target::JpegXl(_)) => {
                within(plan.precision.into(), &mut samples, |top, v| self.turn(top, v, plan.target.is_lossy()));
            }
            Wrong::Sign => {
                plan.signed = !plan.signed;
                turn_sign(plan.bits_allocated, &mut samples);
                plan.precision = plan.bits_allocated as u8;
            }
            Wrong::Shift => {
                plan.precision = plan.bits_allocated as u8;
                shift(plan.bits_allocated, &mut samples, |v| v << 1);
            }
            Wrong::Marker => {}
        }
        // An encoder with a bound decodes what it tries.
        if self != Wrong::Marker && !matches!(plan.target, Target::JpegXl(_)) {
            (plan.written.signed, plan.written.bits_stored) = (plan.signed, plan.bits_allocated);
        }
        right(&plan, &samples)
    }

    /// What the mistake does to the written stream.
    pub(crate) fn mark(self, stream: &mut [u8]) {
        if self == Wrong::Marker {
            let (at, bit) = place_of_mistake(stream);
            stream[at] ^= bit;
        }
    }

    /// Decodes by the right decoder what the mistake left right.
    pub(crate) fn decode(self, stored: &[u8], right: impl FnOnce(&[u8]) -> Result<()>) -> Result<()> {
        let mut stream = stored.to_vec();
        self.mark(&mut stream);
        right(&stream)
    }

    /// The mistake's other half, on decoded samples.
    pub(crate) fn undo(self, facts: &Facts, samples: &mut [u8]) {
        match self {
            Wrong::Sign | Wrong::Shift if facts.transfer_syntax.coding() == Coding::JpegXl => {
                let lossy = facts.transfer_syntax.uid() == TransferSyntax::JPEG_XL;
                within(facts.bits_stored, samples, |top, v| self.turn_back(top, v, lossy));
                decode::settle_high_bits(facts, samples);
            }
            Wrong::Sign => turn_sign(facts.bits_allocated, samples),
            Wrong::Shift if facts.signed => shift(facts.bits_allocated, samples, |v| (v as i16 >> 1) as u16),
            Wrong::Shift => shift(facts.bits_allocated, samples, |v| v >> 1),
            Wrong::Marker => {}
        }
    }

    /// JPEG XL has unsigned samples of exactly so many bits; `top` is the highest. Without loss it comes down to the lowest bit, so
    /// that nothing is; with loss that would be noise, and the samples shown here leave it free.
    fn turn(self, top: u16, v: u16, lossy: bool) -> u16 {
        match self {
            Wrong::Sign => v ^ 1 << top,
            _ if lossy => v << 1,
            _ => v << 1 | v >> top & 1,
        }
    }

    fn turn_back(self, top: u16, v: u16, lossy: bool) -> u16 {
        match self {
            Wrong::Sign => v ^ 1 << top,
            _ if lossy => v >> 1,
            _ => v >> 1 | (v & 1) << top,
        }
    }
}

fn turn_sign(bits: u16, samples: &mut [u8]) {
    samples.iter_mut().skip(usize::from(bits / 8) - 1).step_by(usize::from(bits / 8)).for_each(|byte| *byte ^= 0x80);
}

fn shift(bits: u16, samples: &mut [u8], turn: impl Fn(u16) -> u16) {
    assert_eq!(bits, 16);
    samples.as_chunks_mut().0.iter_mut().for_each(|b| *b = turn(u16::from_le_bytes(*b)).to_le_bytes());
}

/// Changes the lowest `bits` of each word; those above are cleared.
fn within(bits: u16, samples: &mut [u8], change: impl Fn(u16, u16) -> u16) {
    let mask = u16::MAX >> (16 - bits);
    samples
        .as_chunks_mut()
        .0
        .iter_mut()
        .for_each(|b| *b = (change(bits - 1, u16::from_le_bytes(*b) & mask) & mask).to_le_bytes());
}

/// A byte and its bit. HTJ2K: the style of quantization in QCD or, where steps are told, the mantissa of the first (T.800 A.6.4). JPEG-LS: the bits of the frame header
/// (T.87 C.2). JPEG XL: the height (ISO/IEC 18181-1 D.2).
fn place_of_mistake(stream: &[u8]) -> (usize, u8) {
    let find = |marker: [u8; 2]| stream.windows(2).position(|w| w == marker);
    if stream.starts_with(&[0xFF, 0x4F]) {
        let style = find([0xFF, 0x5C]).expect("QCD") + 4;
        return if stream[style] & 0x1F == 2 { (style + 1, 1 << 2) } else { (style, 1) };
    }
    if stream.starts_with(&[0xFF, 0xD8]) {
        return (find([0xFF, 0xF7]).expect("SOF55") + 4, 1);
    }
    let start = find([0xFF, 0x0A]).expect("a codestream");
    let small = stream[start + 2] & 1 == 1;
    (start + 2, if small { 1 << 1 } else { 1 << 3 })
}

/// A grey image in Explicit VR Little Endian.
pub(crate) fn made(bits_stored: u16, signed: bool) -> Vec<u8> {
    made_between(bits_stored, signed, 0, 1 << (bits_stored - u16::from(signed) - 1))
}

/// The same with the magnitudes of its samples from `least` up to, and without, `most`.
fn made_between(bits_stored: u16, signed: bool, least: u32, most: u32) -> Vec<u8> {
    let (rows, columns) = (96u16, 80u16);
    let mut file = vec![0; 128];
    file.extend_from_slice(b"DICM");
    let element = |file: &mut Vec<u8>, tag: (u16, u16), vr: &str, value: &[u8]| {
        file.extend(tag.0.to_le_bytes());
        file.extend(tag.1.to_le_bytes());
        file.extend(vr.as_bytes());
        if vr == "OW" {
            file.extend([0, 0]);
            file.extend((value.len() as u32).to_le_bytes());
        } else {
            file.extend((value.len() as u16).to_le_bytes());
        }
        file.extend(value);
    };
    element(&mut file, (2, 0), "UL", &28u32.to_le_bytes());
    element(&mut file, (2, 0x10), "UI", b"1.2.840.10008.1.2.1\0");
    element(&mut file, (8, 0x16), "UI", b"1.2.840.10008.5.1.4.1.1.7\0");
    element(&mut file, (8, 0x18), "UI", b"1.2.3\0");
    element(&mut file, (8, 0x60), "CS", b"CT");
    for (number, value) in [
        (0x02, 1),
        (0x10, rows),
        (0x11, columns),
        (0x100, 16),
        (0x101, bits_stored),
        (0x102, bits_stored - 1),
        (0x103, u16::from(signed)),
    ] {
        if number == 0x10 {
            element(&mut file, (0x28, 4), "CS", b"MONOCHROME2 ");
        }
        element(&mut file, (0x28, number), "US", &value.to_le_bytes());
    }
    let pixels = (0..u32::from(rows) * u32::from(columns)).flat_map(|n| {
        let noise = n.wrapping_mul(2_654_435_761) >> 28;
        let value = least + (n / 3 + noise) % (most - least);
        let value = if signed && n % 5 == 0 { (value as u16).wrapping_neg() } else { value as u16 };
        value.to_le_bytes()
    });
    element(&mut file, (0x7FE0, 0x10), "OW", &pixels.collect::<Vec<u8>>());
    file
}

fn policy(target: &str) -> Policy {
    let bound = match target {
        "htj2k" | "jpeg-ls-near-lossless" => ", max_error = 3",
        "jpeg-xl" => ", min_psnr = 45",
        _ => "",
    };
    Policy::parse(&format!("[[rule]]\nname = \"all\"\nthen = {{ transfer_syntax = \"{target}\"{bound} }}\n")).unwrap()
}

fn convert(file: &[u8], target: &str, wrong: Option<Wrong>, sampling: Sampling) -> (Outcome, Opinions) {
    let folder = tempfile::tempdir().unwrap();
    let source = Source::from_bytes(file.to_vec()).unwrap();
    let mut context = Context::new(Opinions::new(sampling, []));
    context.swap_codec(wrong);
    let outcome = crate::convert(&source, &policy(target), &mut context, &folder.path().join("out.dcm")).unwrap();
    (outcome, context.opinions)
}

const TARGETS: [&str; 5] =
    ["htj2k-lossless-rpcl", "htj2k", "jpeg-ls-lossless", "jpeg-ls-near-lossless", "jpeg-xl-lossless"];

const WRONG: [Wrong; 3] = [Wrong::Sign, Wrong::Shift, Wrong::Marker];

fn caught_by_the_second_opinion_alone(wrong: Wrong, target: &str, case: &str, file: &[u8]) {
    let (outcome, _) = convert(file, target, Some(wrong), Sampling::OFF);
    assert!(matches!(outcome, Outcome::Converted(_)), "{case}: the pair must agree: {outcome:?}");
    let (outcome, opinions) = convert(file, target, Some(wrong), Sampling::default());
    let Outcome::Disproved(found) = outcome else { panic!("{case}: not found: {outcome:?}") };
    assert_eq!(found.check, Check::SecondOpinion, "{case}");
    assert_eq!(opinions.tallies().values().map(|t| t.disagreed).sum::<u64>(), 1, "{case}");
}

#[test]
fn a_wrong_codec_is_caught_by_the_second_opinion_alone() {
    for target in TARGETS {
        for wrong in WRONG {
            for (bits, signed) in [(12, false), (16, false), (16, true), (12, true)] {
                let case = format!("{wrong:?} {target} {bits} bit signed {signed}");
                caught_by_the_second_opinion_alone(wrong, target, &case, &made(bits, signed));
            }
        }
    }
}

/// Of JPEG XL with loss only pictures can be compared: samples keep away from where a small loss would turn the mistake into a large one.
#[test]
fn a_wrong_codec_of_jpeg_xl_with_loss_is_caught_by_the_second_opinion_alone() {
    for wrong in WRONG {
        for bits in [12, 16] {
            let file = made_between(bits, false, 1 << (bits - 3), 3 << (bits - 3));
            let right = convert(&file, "jpeg-xl", None, Sampling::default()).0;
            assert!(matches!(right, Outcome::Converted(_)), "{bits} bits: {right:?}");
            caught_by_the_second_opinion_alone(wrong, "jpeg-xl", &format!("{wrong:?} {bits} bits"), &file);
        }
    }
}

#[test]
fn a_right_codec_passes() {
    for target in TARGETS {
        for (bits, signed) in [(8, false), (8, true), (10, false), (12, true), (16, false), (16, true)] {
            let (outcome, opinions) = convert(&made(bits, signed), target, None, Sampling::default());
            assert!(matches!(outcome, Outcome::Converted(_)), "{target} {bits} {signed}: {outcome:?}");
            assert_eq!(opinions.tallies().values().map(|t| t.agreed).sum::<u64>(), 1);
        }
    }
}

#[test]
fn frames_of_any_depth_are_looked_at() {
    for target in ["jpeg-ls-lossless", "htj2k-lossless-rpcl", "jpeg-xl-lossless"] {
        for bits in 1..=16 {
            let (outcome, opinions) = convert(&made(bits, false), target, None, Sampling::default());
            assert!(matches!(outcome, Outcome::Converted(_)), "{target}, {bits} bits: {outcome:?}");
            assert_eq!(opinions.tallies().values().map(|t| t.agreed).sum::<u64>(), 1, "{target}, {bits} bits");
        }
    }
}

#[test]
fn samples_are_compared_in_their_containers() {
    let planes: [&[i32]; 2] = [&[1, -2], &[3, 0x104]];
    let same = |bits, samples: &[u8]| super::same_samples(bits, samples, &planes, |v: i32| v as u32);
    assert!(same(8, &[1, 3, 0xFE, 4]));
    assert!(same(16, &[1, 0, 3, 0, 0xFE, 0xFF, 4, 1]));
    for wrong in [&[1, 3, 0xFE][..], &[1, 3, 0xFE, 5], &[1, 3, 0xFE, 4, 0, 0], &[1, 0xFE, 3, 4]] {
        assert!(!same(8, wrong), "{wrong:?}");
    }
    assert!(!same(16, &[1, 0, 3, 0, 0xFE, 0xFF, 4, 0]) && !same(16, &[1, 0, 3, 0, 0xFE, 0xFF, 4, 1, 0]));
    assert!(super::same_samples(16, &[7, 1], &[&[0x107u16][..]], u32::from));
}

/// A rounding is borne, since the bound is held but for it; more is not, be it in one sample. Beside an image there are noise over all
/// of the range and a chessboard, where decoders are the furthest apart.
#[test]
fn what_is_apart_by_more_than_a_rounding_under_htj2k_is_found() {
    let pictures = ["image", "noise", "chessboard"];
    let kinds = [(8, false, 1), (12, true, 1), (14, false, 2), (16, false, 5), (16, true, 5)];
    for ((bits, signed, rounding), picture) in kinds.into_iter().flat_map(|kind| pictures.map(|p| (kind, p))) {
        let case = format!("{picture} of {bits} bits, signed {signed}");
        let source = Source::from_bytes(made(bits, signed)).unwrap();
        let mut codecs = decode::Codecs::default();
        let bound = crate::Bound { max_error: Some(4), min_psnr: None };
        let plan = Plan::new(&source, Target::Htj2k(bound), &mut codecs).unwrap();
        let (mut samples, mut stream, mut encoder) = (Vec::new(), Vec::new(), crate::encode::Encoder::default());
        source.read_frame(0, &mut samples).unwrap();
        let spare = 16 - bits;
        samples.as_chunks_mut().0.iter_mut().zip(0u32..).filter(|_| picture != "image").for_each(|(b, n)| {
            let noise = n.wrapping_mul(2_654_435_761).rotate_left(7).wrapping_mul(0x9E37_79B1) >> 16;
            let value = if picture == "noise" { noise as u16 } else { ((n + n / 80) % 2 * 0xFFFF) as u16 ^ 0x8000 };
            // The highest bits, so that all of the range is there with its sign.
            *b = if signed { (value as i16 >> spare).to_le_bytes() } else { (value >> spare).to_le_bytes() };
        });
        let loss = encoder.encode(&plan, &samples, &mut codecs, &mut stream).unwrap().unwrap();
        assert!(loss.max_error <= 4, "{case}: {loss:?}");
        let ask = |off: u16, samples: usize| {
            let mut decoded = encoder.decoded.clone();
            let words = decoded.as_chunks_mut().0.iter_mut().take(samples);
            words.for_each(|b| *b = u16::from_le_bytes(*b).wrapping_add(off).to_le_bytes());
            let shown = super::Shown { written: &source, codestream: &stream, samples: &decoded, samples_sha256: "" };
            Opinions::default().ask(&super::Class::of(source.facts(), plan.codec()), &plan, &shown)
        };
        assert!(ask(0, 0).is_ok(), "{case}: {:?}", ask(0, 0));
        assert!(ask(2 * rounding + 1, 1).is_err() && ask(rounding + 1, 96 * 80).is_err(), "{case}");
    }
}

/// Lossless means the same; else rounding is borne, another picture is not.
#[test]
fn another_picture_under_jpeg_xl_is_found() {
    let source = Source::from_bytes(made(8, false)).unwrap();
    let ask = |target: Target, off: u8, everywhere: bool| {
        let mut codecs = decode::Codecs::default();
        let mut plan = Plan::new(&source, target, &mut codecs).unwrap();
        plan.bits_allocated = 8;
        let mut samples: Vec<u8> = (0..96 * 80u32).map(|n| (n / 97 + n % 13) as u8).collect();
        let stream = crate::jpeg_xl::encode_lossless(&samples, plan.columns, plan.rows, 1, 8, plan.precision).unwrap();
        samples.iter_mut().take(if everywhere { 96 * 80 } else { 1 }).for_each(|v| *v += off);
        let shown = super::Shown { written: &source, codestream: &stream, samples: &samples, samples_sha256: "" };
        let class = super::Class::of(source.facts(), plan.codec());
        Opinions::default().ask(&class, &plan, &shown)
    };
    let bound = crate::Bound { max_error: Some(9), min_psnr: None };
    for (target, off, everywhere, right) in [
        (Target::JpegXlLossless, 0, true, true),
        (Target::JpegXlLossless, 1, false, false),
        (Target::JpegXl(bound), 2, true, true),
        (Target::JpegXl(bound), 3, true, false),
        (Target::JpegXlRecompression, 2, true, true),
        (Target::JpegXlRecompression, 3, true, false),
    ] {
        let answer = ask(target, off, everywhere);
        assert_eq!(answer.is_ok(), right, "{target:?} off by {off}: {answer:?}");
    }
}
