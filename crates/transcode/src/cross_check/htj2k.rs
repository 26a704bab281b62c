//! HTJ2K looked at by a decoder of our own after T.814, and of a part of the frames by OpenJPEG's port to Rust as well, which is not ours.
//! Neither shares anything with the codec that wrote the stream.

use super::{Answer, Shown, openjp2, same_samples, t814};
use crate::plan::Plan;

/// It is a part of this crate, and of its version.
const DECODER: &str = concat!("t814 ", env!("CARGO_PKG_VERSION"));

/// How far the irreversible transform may leave the samples of two decoders apart: each rounds its own result.
const ROUNDING: u32 = 1;

/// The samples of .201 and .202, which must be the same, or of .203, which may be apart by a rounding. The `outsider` sees what it is
/// asked to see, and what is not of the form that the first one has. The answer names whoever saw the frame.
pub(super) fn look(plan: &Plan, shown: &Shown<'_>, outsider: bool) -> Answer {
    match samples(plan, shown) {
        Ok(()) if outsider => match openjp2::look(plan, shown) {
            Answer::Same(other) => Answer::Same(format!("{DECODER}, {other}")),
            answer => answer,
        },
        Ok(()) => Answer::Same(DECODER.into()),
        Err(Differs::Form(what)) => match openjp2::look(plan, shown) {
            Answer::Other(other) => {
                Answer::Other(format!("{other} ({DECODER} has no part in it: it does not know {what})"))
            }
            answer => answer,
        },
        Err(Differs::Picture(what)) => Answer::Other(format!("{DECODER} {what}")),
    }
}

/// Why there is no agreement.
enum Differs {
    /// The stream is of a form that is not known: what is.
    Form(String),
    Picture(String),
}

impl From<t814::Refused> for Differs {
    fn from(refused: t814::Refused) -> Differs {
        match refused {
            t814::Refused::Form(what) => Differs::Form(what),
            t814::Refused::Damaged(what) => Differs::Picture(format!("can't decode it: {what}")),
        }
    }
}

/// Holds the stream's own size, precision and sign against the plan's, and its samples against those that are shown, row by row.
fn samples(plan: &Plan, shown: &Shown<'_>) -> Result<(), Differs> {
    let differs = |what: String| Err(Differs::Picture(what));
    let (width, height, components) = (plan.columns as usize, plan.rows as usize, usize::from(plan.samples));
    let mut picture = t814::decode(shown.codestream, width * height * components)?;
    if picture.components() != components {
        return differs(format!("finds {} components", picture.components()));
    }
    if (picture.width(), picture.height()) != (width, height) {
        return differs(format!("finds {} x {} pixels", picture.width(), picture.height()));
    }
    if (picture.precision(), picture.signed()) != (plan.precision, plan.signed) {
        let sign = if picture.signed() { "signed" } else { "unsigned" };
        return differs(format!("finds {sign} samples of {} bits", picture.precision()));
    }
    let bytes = width * components * usize::from(plan.bits_allocated.div_ceil(8));
    if shown.samples.len() != bytes * height {
        return differs("decodes other samples".into());
    }
    let mut most = 0;
    for row in shown.samples.chunks_exact(bytes) {
        let planes = picture.row()?;
        if !plan.target.is_lossy() {
            if !same_samples(plan.bits_allocated, row, planes, |v: i32| v as u32) {
                return differs("decodes other samples".into());
            }
        } else {
            most = most.max(apart(plan, row, planes));
        }
    }
    if most > ROUNDING { differs(format!("decodes samples that are off by up to {most}")) } else { Ok(()) }
}

/// How far the samples of a row are apart at most.
fn apart(plan: &Plan, row: &[u8], planes: &[Vec<i32>]) -> u32 {
    let most = |words: &mut dyn Iterator<Item = i32>| {
        let places = (0..plan.columns as usize).flat_map(|x| planes.iter().map(move |plane| plane[x]));
        places.zip(words).map(|(a, b)| a.abs_diff(b)).max().unwrap_or(0)
    };
    let words = row.as_chunks().0;
    match (plan.bits_allocated, plan.signed) {
        (..=8, false) => most(&mut row.iter().map(|v| i32::from(*v))),
        (..=8, true) => most(&mut row.iter().map(|v| i32::from(*v as i8))),
        (_, false) => most(&mut words.iter().map(|b| u16::from_le_bytes(*b).into())),
        (_, true) => most(&mut words.iter().map(|b| i16::from_le_bytes(*b).into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cross_check::tests::{Wrong, made};
    use crate::cross_check::{Class, Opinion};
    use crate::decode::Codecs;
    use crate::encode::Encoder;
    use crate::policy::Target;
    use crate::{Bound, Opinions, Sampling};
    use dicom::Source;

    /// Neither needs the other to find a codec that agrees with itself and is wrong.
    #[test]
    fn each_decoder_finds_a_wrong_codec_by_itself() {
        let bound = Bound { max_error: Some(3), min_psnr: None };
        for target in [Target::Htj2kLosslessRpcl, Target::Htj2k(bound)] {
            for wrong in [Wrong::Sign, Wrong::Shift, Wrong::Marker] {
                for (bits, signed) in [(12, false), (16, false), (16, true), (12, true)] {
                    let case = format!("{wrong:?} {target:?} {bits} bits, signed {signed}");
                    let source = Source::from_bytes(made(bits, signed)).unwrap();
                    let mut codecs = Codecs::default();
                    let plan = Plan::new(&source, target, &mut codecs).unwrap();
                    let (mut samples, mut stream, mut encoder) = (Vec::new(), Vec::new(), Encoder::default());
                    source.read_frame(0, &mut samples).unwrap();
                    (encoder.wrong, codecs.wrong) = (Some(wrong), Some(wrong));
                    let loss = encoder.encode(&plan, &samples, &mut codecs, &mut stream).unwrap();
                    assert!(loss.is_none_or(|loss| loss.max_error <= 3), "{case}: the pair must agree");
                    let decoded = if loss.is_some() { &encoder.decoded } else { &samples };
                    let shown = Shown { written: &source, codestream: &stream, samples: decoded, samples_sha256: "" };
                    assert!(matches!(openjp2::look(&plan, &shown), Answer::Other(_)), "{case}");
                    // Steps that are derived are of no form that it has.
                    let form = wrong == Wrong::Marker && !target.is_lossy();
                    match super::samples(&plan, &shown) {
                        Err(Differs::Picture(_)) => assert!(!form, "{case}"),
                        Err(Differs::Form(what)) => assert!(form, "{case}: {what}"),
                        Ok(()) => panic!("{case}: not found"),
                    }
                }
            }
        }
    }

    /// The evidence of a frame names whoever saw it: both decoders of the first frame; and OpenJPEG's port alone where the first has not the form.
    #[test]
    fn the_answer_names_who_saw_the_frame() {
        let source = Source::from_bytes(made(12, true)).unwrap();
        let mut codecs = Codecs::default();
        let plan = Plan::new(&source, Target::Htj2kLosslessRpcl, &mut codecs).unwrap();
        let (mut samples, mut stream) = (Vec::new(), Vec::new());
        source.read_frame(0, &mut samples).unwrap();
        Encoder::default().encode(&plan, &samples, &mut codecs, &mut stream).unwrap();
        let opinions = Opinions::new(Sampling { first: 0, share: 1.0 }, []);
        let class = Class::of(source.facts(), plan.codec());
        let ask = |stream: &[u8], samples_sha256: &str| {
            let shown = Shown { written: &source, codestream: stream, samples: &samples, samples_sha256 };
            opinions.ask(&class, &plan, &shown)
        };
        let (ours, port) = (concat!("t814 ", env!("CARGO_PKG_VERSION")), "openjp2 0.6.1");
        let by = |who: String| Ok(Opinion::Agreed(who));
        assert_eq!(ask(&stream, "0000000000000001"), by(format!("{ours}, {port}")), "the first");
        assert_eq!(ask(&stream, "0000000000000001"), by(ours.into()));
        assert_eq!(ask(&stream, "0000000000000020"), by(format!("{ours}, {port}")), "chosen by its hash");
        let words: Vec<i16> = samples.as_chunks().0.iter().map(|b| i16::from_le_bytes(*b)).collect();
        let image = htj2k::Image {
            width: plan.columns,
            height: plan.rows,
            components: 1,
            precision: plan.precision,
            signed: true,
            stride: plan.columns as usize,
            samples: htj2k::Samples::I16(&words),
        };
        let options = htj2k::EncodeOptions { block: (5, 5), ..htj2k::EncodeOptions::default() };
        let mut other = Vec::new();
        htj2k::Encoder::default().encode(&image, &options, &mut other).unwrap();
        assert_eq!(ask(&other, "0000000000000001"), by(port.into()));
        other.truncate(other.len() / 2);
        let why = ask(&other, "0000000000000001").unwrap_err();
        assert!(why.starts_with(port) && why.contains("code-blocks that are not 64 x 64"), "{why}");
        stream.truncate(stream.len() / 2);
        let why = ask(&stream, "0000000000000001").unwrap_err();
        assert!(why.starts_with(ours), "{why}");
    }
}
