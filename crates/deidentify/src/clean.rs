//! Clean Descriptors and what other options clean (PS3.15 E.3.5): of a free text, only words that are known to be harmless stay.
//!
//! A list of what to remove is never complete; `words.txt` is a list of what may stay: anatomy, technique, direction. Numbers
//! stay with a unit of measure (`1.5mm`), never alone: alone they could be dates and identifiers. A word that is part of a name
//! in the same object goes, listed or not.

use super::values::trim;
use crate::error::Result;
use aho_corasick::AhoCorasick;
use dicom::data_set::{DataSet, Element, Value, Vr};
use std::collections::HashSet;
use std::sync::LazyLock;

static WORDS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("words.txt").split_whitespace().collect());
const UNITS: [&str; 12] = ["mm", "cm", "ms", "s", "sec", "min", "t", "kv", "kvp", "mas", "ml", "deg"];
/// Parts of names and numbers that are looked for; more would only slow a hostile object down.
const MAX_NEEDLES: usize = 500;

/// Names, numbers and UIDs of the people in an object: what may not stand in a text that stays.
#[derive(Debug)]
pub(crate) struct Identity(AhoCorasick);

impl Identity {
    /// Collects every person name, wherever it is, and the numbers of patient and order.
    pub(crate) fn read(set: &DataSet) -> Result<Identity> {
        let mut needles = Needles::default();
        needles.collect(set, set.elements());
        Identity::of(needles.0)
    }

    fn of(needles: HashSet<Vec<u8>>) -> Result<Identity> {
        let built = AhoCorasick::builder().ascii_case_insensitive(true).build(needles);
        built.map(Identity).map_err(|error| dicom::Error::Limit(format!("names: {error}")).into())
    }

    /// Is one of the names or numbers in this text, as a word of its own?
    pub(crate) fn is_in(&self, text: &[u8]) -> bool {
        let letter = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(u8::is_ascii_alphanumeric);
        self.0
            .find_overlapping_iter(text)
            .any(|found| !letter(found.start().checked_sub(1)) && !letter(Some(found.end())))
    }
}

#[derive(Debug, Default)]
struct Needles(HashSet<Vec<u8>>);

impl Needles {
    fn collect(&mut self, set: &DataSet, elements: &[Element]) {
        for element in elements {
            if self.0.len() >= MAX_NEEDLES {
                return;
            }
            if let Some(items) = element.items() {
                items.iter().for_each(|item| self.collect(set, &item.elements));
                continue;
            }
            if let Value::Bytes { len: 1..=1024, .. } = element.value {
                self.add(set, element);
            }
        }
    }

    fn add(&mut self, set: &DataSet, element: &Element) {
        let (number, name) = match (element.tag.group(), element.tag.element()) {
            (0x0010, 0x0020 | 0x1000 | 0x1040) | (0x0008, 0x0050 | 0x0018) | (0x0020, 0x000D | 0x000E) => (true, false),
            _ => (false, element.known_vr() == Vr::PN),
        };
        let Ok(bytes) = set.bytes(element) else { return };
        let divides = |b: &u8| *b == b'\\' || (name && matches!(b, b'^' | b'=' | b' ' | b',' | b'-'));
        let shortest = if number { 5 } else { 3 };
        if number || name {
            self.0.extend(
                bytes.split(divides).map(trim).filter(|part| part.len() >= shortest).map(<[u8]>::to_ascii_lowercase),
            );
        }
    }
}

/// The words that may stay; `None` when there are none.
pub(crate) fn clean(text: &str, identity: &Identity) -> Option<String> {
    let divides = |c: char| {
        c.is_whitespace() || matches!(c, '_' | ',' | ';' | ':' | '(' | ')' | '[' | ']' | '^' | '=' | '\\' | '+')
    };
    let kept: Vec<&str> =
        text.split(divides).filter(|word| harmless(word) && !identity.is_in(word.as_bytes())).collect();
    (!kept.is_empty()).then(|| kept.join(" "))
}

fn harmless(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    WORDS.contains(word.as_str()) || word.split(['-', '/', '.']).all(|part| WORDS.contains(part)) || measure(&word)
}

/// A number of at most four digits with its unit.
fn measure(word: &str) -> bool {
    let number = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let digits = number.chars().filter(char::is_ascii_digit).count();
    (1..=4).contains(&digits)
        && number.chars().all(|c| c.is_ascii_digit() || c == '.')
        && UNITS.contains(&&word[number.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_words_and_measures_stay() {
        let identity = Identity::of(HashSet::from([b"chest".to_vec(), b"12345".to_vec()])).unwrap();
        let clean = |text| clean(text, &identity);
        assert_eq!(clean("CT ABDOMEN W CONTRAST 1.5mm Dr. Smith").as_deref(), Some("CT ABDOMEN W CONTRAST 1.5mm"));
        assert_eq!(clean("Head^Routine (Adult) 20240131").as_deref(), Some("Head Routine"));
        assert_eq!(clean("CT chest").as_deref(), Some("CT"));
        assert_eq!(clean("Jones 555-1234 12"), None);
        assert_eq!(clean("ax"), None);
    }

    #[test]
    fn a_name_is_found_as_a_word_of_its_own() {
        let identity = Identity::of(HashSet::from([b"long".to_vec()])).unwrap();
        assert!(identity.is_in(b"Series of Mr. LONG, old"));
        assert!(!identity.is_in(b"longitudinal"));
    }
}
