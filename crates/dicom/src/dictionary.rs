//! VRs for elements that are written without one (PS3.5 6.2, 7.1.3; PS3.6).

use crate::data_set::{Element, Item, Tag, Value, Vr};
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_dictionary_std::StandardDataDictionary;

const PIXEL_REPRESENTATION: Tag = Tag(0x0028, 0x0103);
const BITS_STORED: Tag = Tag(0x0028, 0x0101);
const RESCALE_INTERCEPT: Tag = Tag(0x0028, 0x1052);
const RESCALE_SLOPE: Tag = Tag(0x0028, 0x1053);
const MODALITY_LUT_SEQUENCE: Tag = Tag(0x0028, 0x3000);
const LUT_DESCRIPTOR: Tag = Tag(0x0028, 0x3002);
const VOI_LUT_SEQUENCE: Tag = Tag(0x0028, 0x3010);
const PIXEL_VALUE_TRANSFORMATION: Tag = Tag(0x0028, 0x9145);

/// What decides an ambiguous VR: values of the data set an element is in, or of the ones around it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Around {
    /// Pixel Representation (0028,0103) is 1.
    pub(crate) signed: bool,
    /// First value of LUT Descriptor (0028,3002).
    pub(crate) lut_entries: Option<u16>,
    /// Around a VOI LUT: what comes out of the modality transformation before it may be negative. `None` where there is none.
    pub(crate) rescaled: Option<bool>,
    /// Within a VOI LUT Sequence (0028,3010).
    pub(crate) in_voi_lut: bool,
}

/// What [`settle_all`] reads of elements.
pub(crate) trait Read {
    /// The first 16-bit value of an element.
    fn first_u16(&self, element: &Element) -> Option<u16>;
    /// The first decimal string of an element.
    fn decimal(&self, element: &Element) -> Option<f64>;
}

/// The VR of an element in an implicit data set, as far as its tag tells; `US or SS` is left to what is around it.
pub fn vr_of(tag: Tag) -> Vr {
    if tag.element() == 0 {
        return Vr::UL;
    }
    if tag.group() % 2 == 1 {
        return if (0x10..=0xFF).contains(&tag.element()) { Vr::LO } else { Vr::UN };
    }
    entry(tag).map_or(Vr::UN, VirtualVr::relaxed)
}

/// The VR of an element of ambiguous VR, once what decides it is known; `None` when the tag alone decides.
pub(crate) fn settle(tag: Tag, around: Around) -> Option<Vr> {
    match entry(tag)? {
        // The first input of a VOI LUT has the sign of what comes into it (PS3.3 C.11.2.1.1).
        VirtualVr::Xs if around.in_voi_lut && tag == LUT_DESCRIPTOR => {
            Some(if around.rescaled.unwrap_or(around.signed) { Vr::SS } else { Vr::US })
        }
        VirtualVr::Xs => Some(if around.signed { Vr::SS } else { Vr::US }),
        VirtualVr::Lt => Some(if around.lut_entries == Some(1) { Vr::US } else { Vr::OW }),
        _ => None,
    }
}

/// Keyword (PS3.6) of a tag.
pub fn tag_of(keyword: &str) -> Option<Tag> {
    StandardDataDictionary.by_name(keyword).map(|e| e.tag())
}

/// Groups whose keywords a user may have meant.
const COMMON_GROUPS: [u16; 22] = [
    0x02, 0x08, 0x10, 0x12, 0x18, 0x20, 0x22, 0x24, 0x28, 0x32, 0x38, 0x3A, 0x40, 0x44, 0x46, 0x48, 0x50, 0x54, 0x62,
    0x68, 0x88, 0x300A,
];

/// All keywords of the common groups. Slow: the dictionary has no list, so every tag is asked for.
pub fn keywords() -> Vec<&'static str> {
    let tags = COMMON_GROUPS.iter().flat_map(|group| (0..=u16::MAX).map(|element| Tag(*group, element)));
    tags.filter_map(|tag| StandardDataDictionary.by_tag(tag)).map(|e| e.alias).collect()
}

fn entry(tag: Tag) -> Option<VirtualVr> {
    if tag.group() % 2 == 1 {
        return None;
    }
    StandardDataDictionary.by_tag(tag).map(|e| e.vr())
}

/// Gives elements of ambiguous VR, nested ones too, the VR that Pixel Representation, LUT Descriptor and the modality
/// transformation decide.
pub(crate) fn settle_all(elements: &mut [Element], outer: Around, read: &dyn Read) {
    let of = |tag: Tag| find(elements, tag).and_then(|e| read.first_u16(e));
    let signed = of(PIXEL_REPRESENTATION).map_or(outer.signed, |v| v == 1);
    let around = Around {
        signed,
        lut_entries: of(LUT_DESCRIPTOR),
        rescaled: rescaled(elements, signed, read).or(outer.rescaled),
        in_voi_lut: outer.in_voi_lut,
    };
    for element in elements {
        let unknown = element.written_explicit && element.vr == Vr::UN;
        if (!element.written_explicit || unknown)
            && let Some(vr) = settle(element.tag, around)
        {
            element.known = vr;
            element.vr = if unknown { Vr::UN } else { vr };
        }
        let inner = Around { in_voi_lut: element.tag == VOI_LUT_SEQUENCE, ..around };
        if let Value::Items(items) = &mut element.value {
            for item in items {
                settle_all(&mut item.elements, inner, read);
            }
        }
        for item in element.inside.iter_mut().flatten() {
            settle_all(&mut item.elements, inner, read);
        }
    }
}

/// Can what comes out of the modality transformation of this data set be negative? `None` where it has none. In functional groups it
/// stands in Pixel Value Transformation Sequence (0028,9145), beside the VOI LUT's own macro.
fn rescaled(elements: &[Element], signed: bool, read: &dyn Read) -> Option<bool> {
    if items(elements, MODALITY_LUT_SEQUENCE).is_some_and(|items| !items.is_empty()) {
        return Some(false);
    }
    if let Some(items) = items(elements, PIXEL_VALUE_TRANSFORMATION) {
        return rescaled(&items.first()?.elements, signed, read);
    }
    let number = |tag| find(elements, tag).and_then(|e| read.decimal(e));
    let (intercept, slope) = (number(RESCALE_INTERCEPT)?, number(RESCALE_SLOPE).unwrap_or(1.0));
    if intercept == 0.0 && slope == 1.0 {
        return Some(signed);
    }
    let bits = find(elements, BITS_STORED).and_then(|e| read.first_u16(e)).unwrap_or(16).clamp(1, 32);
    let all = 2f64.powi(bits.into());
    let ends = if signed { [-all / 2.0, all / 2.0 - 1.0] } else { [0.0, all - 1.0] };
    Some(ends.iter().any(|end| end * slope + intercept < 0.0))
}

/// The items of a sequence, also of one that was written as UN.
fn items(elements: &[Element], tag: Tag) -> Option<&[Item]> {
    let element = find(elements, tag)?;
    match &element.value {
        Value::Items(items) => Some(items),
        _ => element.inside.as_deref(),
    }
}

fn find(elements: &[Element], tag: Tag) -> Option<&Element> {
    elements.iter().find(|e| e.tag == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_elements_are_unknown_and_their_creators_are_text() {
        assert_eq!(vr_of(Tag(0x0029, 0x0010)), Vr::LO);
        assert_eq!(vr_of(Tag(0x0029, 0x1010)), Vr::UN);
        assert_eq!(vr_of(Tag(0x6002, 0x3000)), Vr::OW);
        assert_eq!(vr_of(Tag(0x0010, 0x0000)), Vr::UL);
        assert_eq!(vr_of(Tag(0x0028, 0x9999)), Vr::UN);
    }

    #[test]
    fn pixel_representation_decides_us_or_ss() {
        let signed = Around { signed: true, ..Around::default() };
        assert_eq!(settle(Tag(0x0028, 0x0106), signed), Some(Vr::SS));
        assert_eq!(settle(Tag(0x0028, 0x0106), Around::default()), Some(Vr::US));
        assert_eq!(settle(Tag(0x0028, 0x0010), signed), None);
    }

    /// PS3.3 C.11.2.1.1, of a VOI LUT in Implicit VR.
    #[test]
    fn the_modality_transformation_decides_for_a_voi_lut() {
        let element = |tag: [u16; 2], value: &[u8]| {
            [&tag[0].to_le_bytes(), &tag[1].to_le_bytes(), &(value.len() as u32).to_le_bytes()[..], value].concat()
        };
        let item = |value: &[u8]| [&[0xFE, 0xFF, 0x00, 0xE0], &(value.len() as u32).to_le_bytes()[..], value].concat();
        let descriptor = element([0x0028, 0x3002], &[0, 16, 0, 0xFC, 16, 0]);
        let voi = element([0x0028, 0x3010], &item(&descriptor));
        let vr = |signed: u8, before: &[u8]| {
            let pixels = [element([0x0028, 0x0101], &[12, 0]), element([0x0028, 0x0103], &[signed, 0])].concat();
            let file = [element([0x0008, 0x0016], b"1.2.3\0"), pixels, before.to_vec(), voi.clone()].concat();
            let source = crate::Source::from_bytes(file).unwrap();
            let Value::Items(items) = &source.data_set().get(VOI_LUT_SEQUENCE).unwrap().value else { panic!("items") };
            items[0].get(LUT_DESCRIPTOR).unwrap().vr
        };
        let rescale = |intercept: &[u8], slope: &[u8]| {
            [element([0x0028, 0x1052], intercept), element([0x0028, 0x1053], slope)].concat()
        };
        assert_eq!((vr(0, &[]), vr(1, &[])), (Vr::US, Vr::SS));
        assert_eq!(vr(0, &rescale(b"-1024 ", b"1 ")), Vr::SS);
        assert_eq!(vr(0, &rescale(b"10", b"-1")), Vr::SS);
        assert_eq!(vr(0, &rescale(b"10", b"1 ")), Vr::US);
        assert_eq!((vr(0, &rescale(b"0 ", b"1 ")), vr(1, &rescale(b"0 ", b"1 "))), (Vr::US, Vr::SS));
        assert_eq!(vr(1, &rescale(b"2048", b"1 ")), Vr::US);
        assert_eq!(vr(1, &element([0x0028, 0x3000], &item(&descriptor))), Vr::US, "behind a Modality LUT");
    }
}
