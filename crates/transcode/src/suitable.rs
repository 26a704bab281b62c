//! What a codec can carry without loss, told from the attributes: row by row the cases that must be kept (PS3.5 8.2, PS3.3 C.7.6.3).

use crate::data_set::{DataSet, Tag, Value};
use crate::facts::{Facts, Pixels};
use crate::policy::Target;

const DIGITAL_SIGNATURES: Tag = Tag(0xFFFA, 0xFFFA);

/// Why an instance can't become the target; `None` when it can, as far as attributes tell. `lossy_too`: what is lossy already is
/// asked for by name.
pub(crate) fn obstacle(facts: &Facts, target: Target, lossy_too: bool) -> Option<String> {
    if !matches!(target, Target::JpegLsLossless | Target::Htj2kLossless | Target::Htj2kLosslessRpcl) {
        return Some(format!("{} can't be written by this version", target.transfer_syntax().name()));
    }
    pixel_kind(facts, lossy_too).or_else(|| samples(facts)).or_else(|| colour(facts)).or_else(|| {
        // Of .202 the streams are looked at: not all that carry its name are progressive.
        let there = facts.transfer_syntax == target.transfer_syntax() && target != Target::Htj2kLosslessRpcl;
        there.then(|| format!("it is {} already", facts.transfer_syntax.name()))
    })
}

/// Why an instance can't be re-encoded, told from elements other than those of the image itself.
pub(crate) fn obstacle_elsewhere(set: &DataSet) -> Option<String> {
    if set.get(DIGITAL_SIGNATURES).is_some() {
        return Some("it is digitally signed: coding it again would break the signature".into());
    }
    overlay_in_pixels(set).then(|| "an overlay lies in unused bits of the pixels".into())
}

fn pixel_kind(facts: &Facts, lossy_too: bool) -> Option<String> {
    match facts.pixels {
        Pixels::None => Some("there are no pixels".into()),
        Pixels::Float => Some("floating point pixels are not compressed".into()),
        Pixels::Video => Some("video stays as it is".into()),
        Pixels::Native | Pixels::Encapsulated if facts.lossy && !lossy_too => {
            Some("it is lossy already: coding it again would only make it larger".into())
        }
        Pixels::Native | Pixels::Encapsulated => None,
    }
}

fn samples(facts: &Facts) -> Option<String> {
    if !matches!(facts.bits_allocated, 8 | 16) {
        return Some(format!("{} bits allocated can't be compressed here", facts.bits_allocated));
    }
    if facts.bits_stored == 0
        || facts.bits_stored > facts.bits_allocated
        || facts.high_bit.checked_add(1) != Some(facts.bits_stored)
    {
        let (stored, high) = (facts.bits_stored, facts.high_bit);
        return Some(format!(
            "bits stored {stored} and high bit {high} do not lie at the low end of {} bits",
            facts.bits_allocated
        ));
    }
    None
}

fn colour(facts: &Facts) -> Option<String> {
    let photometric = facts.photometric.as_str();
    let known = match facts.samples {
        1 => matches!(photometric, "MONOCHROME1" | "MONOCHROME2" | "PALETTE COLOR"),
        3 => matches!(photometric, "RGB" | "YBR_FULL" | "YBR_RCT"),
        _ => false,
    };
    (!known).then(|| {
        format!("photometric interpretation {photometric} with {} samples a pixel is not coded again", facts.samples)
    })
}

/// Overlays of more than one bit allocated live in the pixel data (PS3.3 C.9.2, retired).
fn overlay_in_pixels(set: &DataSet) -> bool {
    set.elements().iter().any(|element| {
        let group = element.tag.group();
        let is_overlay = (0x6000..=0x60FF).contains(&group) && group % 2 == 0 && element.tag.element() == 0x0100;
        let separate =
            || set.get(Tag(group, 0x3000)).is_some_and(|data| !matches!(data.value, Value::Bytes { len: 0, .. }));
        is_overlay && set.first_u16(element).unwrap_or(1) > 1 && !separate()
    })
}
