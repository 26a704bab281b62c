//! What a rule demands of an instance: numbers, words and elements.

use super::error::PolicyError;
use super::hint;
use dicom::data_set::Tag;
use dicom::dictionary;
use dicom::facts::{Facts, Pixels};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Every field that is given must hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct When {
    samples: Option<Numbers>,
    longest_side: Option<Numbers>,
    rows: Option<Numbers>,
    columns: Option<Numbers>,
    frames: Option<Numbers>,
    bits_allocated: Option<Numbers>,
    bits_stored: Option<Numbers>,
    pub(super) lossy: Option<bool>,
    signed: Option<bool>,
    photometric: Option<Words>,
    modality: Option<Words>,
    sop_class: Option<Words>,
    transfer_syntax: Option<Words>,
    pixels: Option<Words>,
    ae_title: Option<Words>,
    /// Keyword or `gggg,eeee` to what one of the element's values must be.
    #[serde(default)]
    element: BTreeMap<String, Wanted>,
}

/// One number, several, or a range.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "a number, a list of numbers, or a range of `over`, `at_least`, `up_to`, `under`")]
enum Numbers {
    One(u64),
    Many(Vec<u64>),
    Range(Range),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    over: Option<f64>,
    at_least: Option<f64>,
    up_to: Option<f64>,
    under: Option<f64>,
}

/// One word or several; `*` stands for any characters, `?` for one.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "a word or a list of words")]
enum Words {
    One(String),
    Many(Vec<String>),
}

/// What an element must be.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "a value, a list of values, a range of `over`, `at_least`, `up_to`, `under`, or `{ present = true }`"
)]
enum Wanted {
    One(Value),
    Many(Vec<Value>),
    Present(Present),
    Range(Range),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Value {
    Number(f64),
    Word(String),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Present {
    present: bool,
}

const KINDS: [(&str, Pixels); 5] = [
    ("none", Pixels::None),
    ("native", Pixels::Native),
    ("encapsulated", Pixels::Encapsulated),
    ("float", Pixels::Float),
    ("video", Pixels::Video),
];

impl When {
    /// Names that can't be right.
    pub(super) fn check(&self) -> Result<(), PolicyError> {
        if let Some(key) = self.element.keys().find(|key| element_tag(key).is_none()) {
            let hint = match hint::nearest(key, dictionary::keywords()) {
                Some(keyword) => format!("did you mean \"{keyword}\"?"),
                None => "write a keyword of PS3.6 or \"gggg,eeee\"".to_owned(),
            };
            return Err(PolicyError::new(format!("no element is called \"{key}\"")).hint(hint));
        }
        let unknown = |kind: &&String| !KINDS.iter().any(|k| k.0 == kind.as_str());
        match self.pixels.iter().flat_map(Words::list).find(unknown) {
            Some(kind) => Err(PolicyError::new(format!("pixels are never \"{kind}\"")).hint(hint::of(
                kind,
                KINDS.map(|k| k.0),
                "kinds of pixels",
            ))),
            None => Ok(()),
        }
    }

    /// Does it demand nothing?
    pub(super) fn is_empty(&self) -> bool {
        let numbers = [
            &self.samples,
            &self.longest_side,
            &self.rows,
            &self.columns,
            &self.frames,
            &self.bits_allocated,
            &self.bits_stored,
        ];
        let words =
            [&self.photometric, &self.modality, &self.sop_class, &self.transfer_syntax, &self.pixels, &self.ae_title];
        numbers.iter().all(|n| n.is_none())
            && words.iter().all(|w| w.is_none())
            && self.lossy.is_none()
            && self.signed.is_none()
            && self.element.is_empty()
    }

    /// Why the rule does not match; `None` when it does.
    pub(super) fn mismatch(&self, facts: &Facts) -> Option<String> {
        self.numbers(facts).or_else(|| self.words(facts)).or_else(|| self.elements(facts))
    }

    fn numbers(&self, facts: &Facts) -> Option<String> {
        let fields: [(&str, &Option<Numbers>, u64); 7] = [
            ("samples", &self.samples, facts.samples.into()),
            ("longest side", &self.longest_side, facts.longest_side().into()),
            ("rows", &self.rows, facts.rows.into()),
            ("columns", &self.columns, facts.columns.into()),
            ("frames", &self.frames, facts.frames.into()),
            ("bits allocated", &self.bits_allocated, facts.bits_allocated.into()),
            ("bits stored", &self.bits_stored, facts.bits_stored.into()),
        ];
        let number = fields.into_iter().find_map(|(name, want, is)| {
            want.as_ref().filter(|want| !want.holds(is)).map(|want| format!("{name} is {is}, not {}", want.text()))
        });
        let flags = [("lossy", self.lossy, facts.lossy), ("signed", self.signed, facts.signed)];
        number.or_else(|| {
            flags
                .into_iter()
                .find_map(|(name, want, is)| want.filter(|want| *want != is).map(|_| format!("{name} is {is}")))
        })
    }

    fn words(&self, facts: &Facts) -> Option<String> {
        let kind = KINDS.iter().find(|k| k.1 == facts.pixels).map_or("", |k| k.0);
        let fields = [
            ("photometric interpretation", &self.photometric, facts.photometric.as_str()),
            ("modality", &self.modality, &facts.modality),
            ("SOP class", &self.sop_class, &facts.sop_class_uid),
            ("transfer syntax", &self.transfer_syntax, facts.transfer_syntax.uid()),
            ("pixels", &self.pixels, kind),
            ("AE title", &self.ae_title, &facts.source_ae),
        ];
        fields.into_iter().find_map(|(name, want, is)| {
            want.as_ref().filter(|want| !want.holds(is)).map(|want| format!("{name} is \"{is}\", not {}", want.text()))
        })
    }

    fn elements(&self, facts: &Facts) -> Option<String> {
        self.element.iter().find_map(|(key, want)| {
            let found = element_tag(key).zip(facts.data_set.as_ref()).and_then(|(tag, set)| set.values(tag));
            let is = || found.as_ref().map_or("absent".into(), |values| format!("\"{}\"", values.join("\\")));
            (!want.holds(found.as_deref())).then(|| format!("{key} is {}, not {}", is(), want.text()))
        })
    }
}

fn element_tag(key: &str) -> Option<Tag> {
    if let Some((group, element)) = key.split_once(',') {
        return Some(Tag(u16::from_str_radix(group, 16).ok()?, u16::from_str_radix(element, 16).ok()?));
    }
    dictionary::tag_of(key)
}

impl Numbers {
    fn holds(&self, n: u64) -> bool {
        match self {
            Numbers::One(want) => n == *want,
            Numbers::Many(want) => want.contains(&n),
            Numbers::Range(range) => range.holds(n as f64),
        }
    }

    fn text(&self) -> String {
        match self {
            Numbers::One(n) => n.to_string(),
            Numbers::Many(list) => list.iter().map(u64::to_string).collect::<Vec<_>>().join(" or "),
            Numbers::Range(range) => range.text(),
        }
    }
}

impl Range {
    fn holds(&self, n: f64) -> bool {
        self.over.is_none_or(|m| n > m)
            && self.at_least.is_none_or(|m| n >= m)
            && self.up_to.is_none_or(|m| n <= m)
            && self.under.is_none_or(|m| n < m)
    }

    fn text(&self) -> String {
        let parts = [("over", self.over), ("at least", self.at_least), ("up to", self.up_to), ("under", self.under)];
        let parts = parts.into_iter().filter_map(|(word, n)| n.map(|n| format!("{word} {n}")));
        parts.collect::<Vec<_>>().join(" and ")
    }
}

impl Words {
    fn list(&self) -> &[String] {
        match self {
            Words::One(word) => std::slice::from_ref(word),
            Words::Many(words) => words,
        }
    }

    fn holds(&self, is: &str) -> bool {
        self.list().iter().any(|want| like(want, is))
    }

    fn text(&self) -> String {
        self.list().iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(" or ")
    }
}

impl Wanted {
    /// `None`: the element is not there.
    fn holds(&self, values: Option<&[String]>) -> bool {
        let any = |holds: &dyn Fn(&String) -> bool| values.is_some_and(|values| values.iter().any(holds));
        match self {
            Wanted::One(want) => any(&|v| want.holds(v)),
            Wanted::Many(wants) => any(&|v| wants.iter().any(|w| w.holds(v))),
            Wanted::Range(range) => any(&|v| v.trim().parse().is_ok_and(|n| range.holds(n))),
            Wanted::Present(want) => want.present == values.is_some(),
        }
    }

    fn text(&self) -> String {
        match self {
            Wanted::One(want) => want.text(),
            Wanted::Many(wants) => wants.iter().map(Value::text).collect::<Vec<_>>().join(" or "),
            Wanted::Range(range) => range.text(),
            Wanted::Present(want) => if want.present { "present" } else { "absent" }.into(),
        }
    }
}

impl Value {
    fn holds(&self, is: &str) -> bool {
        match self {
            Value::Number(want) => is.trim().parse::<f64>().is_ok_and(|n| n == *want),
            Value::Word(want) => like(want, is),
        }
    }

    fn text(&self) -> String {
        match self {
            Value::Number(n) => n.to_string(),
            Value::Word(word) => format!("\"{word}\""),
        }
    }
}

/// Is `is` what the pattern says? `*` stands for any characters, `?` for one.
fn like(pattern: &str, is: &str) -> bool {
    let (pattern, is): (Vec<char>, Vec<char>) = (pattern.chars().collect(), is.chars().collect());
    let (mut p, mut i) = (0, 0);
    // Where the last star stands, and how much of the text it takes.
    let mut star: Option<(usize, usize)> = None;
    while i < is.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, i));
                p += 1;
            }
            Some(c) if *c == '?' || *c == is[i] => (p, i) = (p + 1, i + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, i) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::like;

    #[test]
    fn patterns() {
        for (pattern, text) in
            [("CT", "CT"), ("C*", "C"), ("*", ""), ("A*B?D", "AxxBBcD"), ("**x", "x"), ("a*b*c", "abbc")]
        {
            assert!(like(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("CT", "CTA"), ("C?", "C"), ("A*B", "AxC"), ("", "x"), ("?", "")] {
            assert!(!like(pattern, text), "{pattern} {text}");
        }
    }
}
