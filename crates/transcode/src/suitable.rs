//! What a codec can carry, told from the attributes: row by row the cases that must be kept (PS3.5 8.2, PS3.3 C.7.6.3).

use crate::decode::Decode;
use crate::derived;
use crate::overlay;
use crate::policy::Target;
use dicom::data_set::{DataSet, Element, Tag, Value};
use dicom::facts::{Facts, Pixels};
use dicom::source::Source;
use dicom::syntax::TransferSyntax;

/// An image whose longer side is no more than this was written with levels that halve no side by versions before.
pub(crate) const TINY: u32 = 16;
const DIGITAL_SIGNATURES: Tag = Tag(0xFFFA, 0xFFFA);

/// Why an instance can't become the target; `None` when it can, as far as attributes tell. `lossy_too`: what is lossy already is
/// asked for by name.
pub(crate) fn obstacle(facts: &Facts, target: Target, lossy_too: bool) -> Option<String> {
    if target == Target::JpegXlRecompression {
        return recompression(facts);
    }
    if matches!(target, Target::JpegXl(_)) && facts.signed {
        return Some("signed samples under JPEG XL: the standard names no way to code them with loss".into());
    }
    let there = || {
        // Of .202 the streams are looked at, and of tiny images: not all that carry the name can be shown from it.
        let looked_at =
            target == Target::Htj2kLosslessRpcl || target == Target::Htj2kLossless && facts.longest_side() <= TINY;
        let there = facts.transfer_syntax == target.transfer_syntax() && !looked_at;
        there.then(|| format!("it is {} already", facts.transfer_syntax.name()))
    };
    if carried(facts, target) {
        return there();
    }
    let bits = if target == Target::ExplicitLittleEndian { &[1, 8, 16, 32][..] } else { &[8, 16] };
    pixel_kind(facts, lossy_too || target.is_lossy())
        .or_else(|| samples(facts, bits))
        .or_else(|| colour(facts, target))
        .or_else(there)
}

/// Does the instance only change the way its elements are written, pixels and all?
pub(crate) fn carried(facts: &Facts, target: Target) -> bool {
    target == Target::ExplicitLittleEndian && !facts.transfer_syntax.is_encapsulated()
}

/// Why an instance can't be re-encoded, told from elements other than those of the image itself.
pub(crate) fn obstacle_elsewhere(source: &Source, target: Target) -> Option<String> {
    let set: &DataSet = source.data_set();
    if set.get(DIGITAL_SIGNATURES).is_some() {
        return Some("it is digitally signed: coding it again would break the signature".into());
    }
    if target == Target::ExplicitLittleEndian && set.elements.iter().any(nested_fragments) {
        return Some("it holds a compressed icon, which can't be in an uncompressed file".into());
    }
    let lossy = || if target.is_lossy() { derived::obstacle(source) } else { None };
    overlay::obstacle(set, source.facts()).or_else(lossy)
}

/// Fragments in the items of a sequence, at any depth: what is nested stays as it is, and a native syntax can't say that (PS3.5 A.4).
fn nested_fragments(element: &Element) -> bool {
    let Value::Items(items) = &element.value else { return false };
    items
        .iter()
        .flat_map(|item| &item.elements)
        .any(|nested| matches!(nested.value, Value::Fragments(_)) || nested_fragments(nested))
}

/// Visible light images, colour captures and multi-frame ultrasound know chrominance only as YBR_FULL_422, or demand planes of it
/// (PS3.3 C.8.12.1.1.1, C.8.6.3.1.2, C.8.5.6.1.16): what their JPEG decodes to has no name there that is true.
pub(crate) fn no_name_for_colour(source: &Source, target: Target) -> Option<String> {
    const STRICT: [&str; 3] =
        ["1.2.840.10008.5.1.4.1.1.77.1.", "1.2.840.10008.5.1.4.1.1.7.4", "1.2.840.10008.5.1.4.1.1.3.1"];
    let facts = source.facts();
    let strict = STRICT.iter().any(|class| facts.sop_class_uid.starts_with(class));
    let renamed = facts.samples == 3 && source.is_ybr() && facts.photometric != "YBR_FULL";
    (strict && renamed && target != Target::JpegXlRecompression)
        .then(|| "its SOP class does not know YBR_FULL, and that is what its frames decode to".into())
}

/// A JPEG of three components whose own marks do not say what DICOM says of its colours: whoever reads JPEG XL goes by the
/// marks (JFIF first, then Adobe's, then letters) and would show others.
pub(crate) fn colours_by_marks(source: &Source, target: Target) -> Option<String> {
    let stream = source.stream().filter(|_| target == Target::JpegXlRecompression && source.facts().samples == 3)?;
    let ybr = stream.jfif || stream.adobe_transform.map_or(!stream.rgb_letters, |transform| transform != 0);
    (ybr != source.is_ybr())
        .then(|| "the marks in the JPEG do not tell its colours: JPEG XL would show others than DICOM does".into())
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

fn samples(facts: &Facts, allocated: &[u16]) -> Option<String> {
    if !allocated.contains(&facts.bits_allocated) {
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

/// What a JPEG must be to be stored as JPEG XL bit for bit (PS3.5 8.2.15): baseline, unsigned, 8 bits. Its labels stay; one
/// that the standard knows for JPEG and not for JPEG XL would become wrong.
fn recompression(facts: &Facts) -> Option<String> {
    if facts.transfer_syntax.uid() == TransferSyntax::JPEG_XL_RECOMPRESSION {
        return Some("it is JPEG XL JPEG Recompression already".into());
    }
    if facts.transfer_syntax.uid() != TransferSyntax::JPEG_BASELINE || facts.pixels != Pixels::Encapsulated {
        return Some("only JPEG Baseline becomes JPEG XL JPEG Recompression".into());
    }
    if (facts.bits_allocated, facts.bits_stored, facts.high_bit, facts.signed) != (8, 8, 7, false) {
        return Some("a JPEG of 8 bits whose attributes say otherwise stays as it is".into());
    }
    let photometric = facts.photometric.as_str();
    let known = match facts.samples {
        1 => photometric == "MONOCHROME2",
        3 => matches!(photometric, "RGB" | "YBR_FULL_422" | "YBR_FULL"),
        _ => false,
    };
    (!known).then(|| {
        format!(
            "JPEG XL JPEG Recompression has no photometric interpretation {photometric} of {} samples",
            facts.samples
        )
    })
}

fn colour(facts: &Facts, target: Target) -> Option<String> {
    let photometric = facts.photometric.as_str();
    let known = match facts.samples {
        // The stream itself says that its colours are RGB.
        3 if matches!(target, Target::JpegXlLossless | Target::JpegXl(_)) => matches!(photometric, "RGB" | "YBR_RCT"),
        1 => matches!(photometric, "MONOCHROME1" | "MONOCHROME2" | "PALETTE COLOR"),
        3 if facts.lossy && facts.pixels == Pixels::Encapsulated => {
            matches!(photometric, "RGB" | "YBR_FULL" | "YBR_FULL_422" | "YBR_RCT" | "YBR_ICT")
        }
        3 => matches!(photometric, "RGB" | "YBR_FULL" | "YBR_RCT"),
        _ => false,
    };
    (!known).then(|| {
        if photometric.is_empty() {
            return "it has no photometric interpretation: it is not coded again".into();
        }
        format!("photometric interpretation {photometric} with {} samples a pixel is not coded again", facts.samples)
    })
}
