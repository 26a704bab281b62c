//! Private elements that may stay under Retain Safe Private (PS3.15 E.3.10): those of `private.tsv` (group, element, creator, VR)
//! and those that the instance itself declares not identifying in (0008,0300).

use dicom::data_set::{DataSet, Element, Tag, Value};
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

static LISTED: LazyLock<HashSet<(u16, u8, &'static str)>> = LazyLock::new(|| {
    let row = |line: &'static str| {
        let mut cells = line.split('\t');
        let group = u16::from_str_radix(cells.next()?, 16).ok()?;
        Some((group, u8::from_str_radix(cells.next()?, 16).ok()?, cells.next()?))
    };
    include_str!("private.tsv").lines().filter_map(row).collect()
});

/// What an instance declares of its private blocks.
#[derive(Debug, Default)]
pub(crate) struct Declared(HashMap<(u16, String), Safe>);

#[derive(Debug)]
enum Safe {
    Block,
    Elements(HashSet<u8>),
}

impl Declared {
    /// Reads Private Data Element Characteristics Sequence (0008,0300), PS3.3 C.12.1.1.7.
    pub(crate) fn read(set: &DataSet) -> Declared {
        let mut declared = Declared::default();
        let Some(Value::Items(items)) = set.get(Tag(0x0008, 0x0300)).map(|e| &e.value) else { return declared };
        for item in items {
            let get = |element| item.get(Tag(0x0008, element));
            let text = |element| get(element).and_then(|e| set.text(e).into_iter().next());
            let (Some(group), Some(creator)) = (get(0x0301).and_then(|e| set.first_u16(e)), text(0x0302)) else {
                continue;
            };
            let safe = match text(0x0303).as_deref() {
                Some("SAFE") => Safe::Block,
                Some("MIXED") => Safe::Elements(get(0x0304).map(|e| numbers(set, e)).unwrap_or_default()),
                _ => continue,
            };
            declared.0.insert((group, creator), safe);
        }
        declared
    }

    fn safe(&self, group: u16, element: u8, creator: &str) -> bool {
        match self.0.get(&(group, creator.to_owned())) {
            Some(Safe::Block) => true,
            Some(Safe::Elements(elements)) => elements.contains(&element),
            None => LISTED.contains(&(group, element, creator)),
        }
    }

    /// The private elements of one level that may stay, and the creators that they need.
    pub(crate) fn retained(&self, set: &DataSet, elements: &[Element]) -> HashSet<Tag> {
        let is_creator = |tag: Tag| tag.group() % 2 == 1 && (0x10..=0xFF).contains(&tag.element());
        let creators: HashMap<(u16, u16), (Tag, String)> = elements
            .iter()
            .filter(|e| is_creator(e.tag))
            .filter_map(|e| {
                Some(((e.tag.group(), e.tag.element()), (e.tag, set.text(e).into_iter().next()?.trim().to_owned())))
            })
            .collect();
        let mut kept = HashSet::new();
        for tag in elements.iter().map(|e| e.tag).filter(|t| t.group() % 2 == 1 && t.element() > 0xFF) {
            if let Some((creator, name)) = creators.get(&(tag.group(), tag.element() >> 8))
                && self.safe(tag.group(), tag.element() as u8, name)
            {
                kept.extend([tag, *creator]);
            }
        }
        kept
    }
}

fn numbers(set: &DataSet, element: &Element) -> HashSet<u8> {
    let bytes = set.bytes_le(element).unwrap_or_default();
    bytes.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b) as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_whole() {
        assert_eq!(LISTED.len(), include_str!("private.tsv").lines().count());
        let declared = Declared::default();
        assert!(declared.safe(0x7053, 0x00, "Philips PET Private Group"));
        assert!(!declared.safe(0x7053, 0x00, "PHILIPS"));
        assert!(!declared.safe(0x0029, 0x10, "SIEMENS CSA HEADER"));
    }
}
