//! VRs for elements that are written without one (PS3.5 6.2, 7.1.3; PS3.6).

use crate::data_set::{Element, Tag, Value, Vr};
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_dictionary_std::StandardDataDictionary;

/// What decides an ambiguous VR: values of the data set an element is in, or of the ones around it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Around {
    /// Pixel Representation (0028,0103) is 1.
    pub(crate) signed: bool,
    /// First value of LUT Descriptor (0028,3002).
    pub(crate) lut_entries: Option<u16>,
}

/// The VR of an element in an implicit data set, as far as its tag tells; `US or SS` is left to [`settle`].
pub(crate) fn vr_of(tag: Tag) -> Vr {
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
        VirtualVr::Xs => Some(if around.signed { Vr::SS } else { Vr::US }),
        VirtualVr::Lt => Some(if around.lut_entries == Some(1) { Vr::US } else { Vr::OW }),
        _ => None,
    }
}

/// Keyword (PS3.6) of a tag.
pub(crate) fn tag_of(keyword: &str) -> Option<Tag> {
    StandardDataDictionary.by_name(keyword).map(|e| e.tag())
}

/// Groups whose keywords a user may have meant.
const COMMON_GROUPS: [u16; 22] = [
    0x02, 0x08, 0x10, 0x12, 0x18, 0x20, 0x22, 0x24, 0x28, 0x32, 0x38, 0x3A, 0x40, 0x44, 0x46, 0x48, 0x50, 0x54, 0x62,
    0x68, 0x88, 0x300A,
];

/// All keywords of the common groups. Slow: the dictionary has no list, so every tag is asked for.
pub(crate) fn keywords() -> Vec<&'static str> {
    let tags = COMMON_GROUPS.iter().flat_map(|group| (0..=u16::MAX).map(|element| Tag(*group, element)));
    tags.filter_map(|tag| StandardDataDictionary.by_tag(tag)).map(|e| e.alias).collect()
}

fn entry(tag: Tag) -> Option<VirtualVr> {
    if tag.group() % 2 == 1 {
        return None;
    }
    StandardDataDictionary.by_tag(tag).map(|e| e.vr())
}

/// Gives elements of ambiguous VR, nested ones too, the VR that Pixel Representation and LUT Descriptor decide.
/// `first_u16` reads the first 16-bit value of an element.
pub(crate) fn settle_all(elements: &mut [Element], outer: Around, first_u16: &dyn Fn(&Element) -> Option<u16>) {
    let of = |tag: Tag| elements.iter().find(|e| e.tag == tag).and_then(first_u16);
    let around = Around {
        signed: of(Tag(0x0028, 0x0103)).map_or(outer.signed, |v| v == 1),
        lut_entries: of(Tag(0x0028, 0x3002)),
    };
    for element in elements {
        if !element.written_explicit
            && let Some(vr) = settle(element.tag, around)
        {
            element.vr = vr;
        }
        if let Value::Items(items) = &mut element.value {
            for item in items {
                settle_all(&mut item.elements, around, first_u16);
            }
        }
    }
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
        let signed = Around { signed: true, lut_entries: None };
        assert_eq!(settle(Tag(0x0028, 0x0106), signed), Some(Vr::SS));
        assert_eq!(settle(Tag(0x0028, 0x0106), Around::default()), Some(Vr::US));
        assert_eq!(settle(Tag(0x0028, 0x0010), signed), None);
    }
}
