//! Attributes as DICOM JSON (PS3.18 F.2) from outside, in a shape that is known: tags, VRs and values are what they say, nothing is
//! given by reference, and there is an end to it.

use super::tags::{CHARACTER_SET, name};
use dicom::{Tag, Vr};
use serde_json::{Map, Value, json};

/// Bytes of all values together.
const LONGEST: usize = 4 << 20;
/// Sequences within sequences.
const DEEPEST: usize = 6;

/// Attributes by tag, as DICOM JSON.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attributes(Map<String, Value>);

impl Attributes {
    /// Reads a data set; what is wrong with it, otherwise.
    pub fn read(json: &Value) -> Result<Attributes, String> {
        let mut room = LONGEST;
        data_set(json, DEEPEST, &mut room).map(Attributes)
    }

    /// Reads what this wrote.
    pub(super) fn stored(text: &str) -> Option<Attributes> {
        serde_json::from_str(text).ok().map(Attributes)
    }

    /// As it is kept.
    pub(super) fn text(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }

    /// All of it, as DICOM JSON.
    pub fn json(&self) -> &Map<String, Value> {
        &self.0
    }

    /// All of it, as DICOM JSON.
    pub fn into_json(self) -> Map<String, Value> {
        self.0
    }

    /// The first value as text; empty where there is none.
    pub fn first(&self, tag: Tag) -> &str {
        first(&self.0, tag)
    }

    /// The items of a sequence.
    pub(super) fn items(&self, tag: Tag) -> impl Iterator<Item = &Map<String, Value>> {
        items(&self.0, tag)
    }

    /// Gives an attribute one value.
    pub(super) fn set(&mut self, tag: Tag, vr: Vr, value: &str) {
        self.0.insert(name(tag), json!({"vr": vr.to_string(), "Value": [value]}));
    }

    /// Takes the attributes of another, in the place of its own.
    pub(super) fn change(&mut self, by: Attributes) {
        self.0.extend(by.0);
    }
}

/// The first value of an attribute as text; empty where there is none.
pub fn first(set: &Map<String, Value>, tag: Tag) -> &str {
    set.get(&name(tag)).and_then(|element| element.pointer("/Value/0")?.as_str()).unwrap_or_default()
}

/// The items of a sequence.
pub fn items(set: &Map<String, Value>, tag: Tag) -> impl Iterator<Item = &Map<String, Value>> {
    values(set.get(&name(tag))).iter().filter_map(Value::as_object)
}

/// The values of an element.
pub fn values(element: Option<&Value>) -> &[Value] {
    element.and_then(|element| element.get("Value")?.as_array()).map_or(&[], Vec::as_slice)
}

/// The VR of an element.
pub fn vr(element: &Value) -> Option<Vr> {
    element.get("vr")?.as_str()?.parse().ok()
}

fn data_set(json: &Value, deep: usize, room: &mut usize) -> Result<Map<String, Value>, String> {
    let set = json.as_object().ok_or("a data set is an object of attributes")?;
    let mut out = Map::new();
    for (tag, element) in set {
        let wrong = |why: &str| format!("{}: {why}", tag.escape_debug());
        let number = u32::from_str_radix(tag, 16).ok().filter(|_| tag.len() == 8 && tag.is_ascii());
        let number = number.ok_or_else(|| wrong("a tag has 8 hexadecimal digits"))?;
        let tag = Tag((number >> 16) as u16, number as u16);
        if tag.0 < 8 || matches!(tag.0, 0x7FE0 | 0xFFFA..) {
            return Err(wrong("it does not belong here"));
        }
        // What is told is UTF-8, whatever it was.
        if tag == CHARACTER_SET {
            continue;
        }
        let vr = vr(element).ok_or_else(|| wrong("it has no VR"))?;
        let values = match element.get("Value") {
            None | Some(Value::Null) => &[][..],
            Some(values) => values.as_array().ok_or_else(|| wrong("values are a list"))?,
        };
        let mut kept = Vec::with_capacity(values.len().min(64));
        for value in values {
            kept.push(self::value(vr, value, deep, room).map_err(|why| wrong(&why))?);
        }
        // An empty value at the end is none.
        while kept.last().is_some_and(Value::is_null) {
            kept.pop();
        }
        let element =
            if kept.is_empty() { json!({"vr": vr.to_string()}) } else { json!({"vr": vr.to_string(), "Value": kept}) };
        out.insert(name(tag), element);
    }
    Ok(out)
}

fn value(vr: Vr, value: &Value, deep: usize, room: &mut usize) -> Result<Value, String> {
    let size = value.as_str().map_or(16, str::len);
    *room = room.checked_sub(size).ok_or("it is too long")?;
    Ok(match (vr, value) {
        (_, Value::Null) => Value::Null,
        (Vr::SQ, item) => Value::Object(data_set(item, deep.checked_sub(1).ok_or("it goes too deep")?, room)?),
        (Vr::PN, Value::String(name)) if name.is_empty() => Value::Null,
        (Vr::PN, Value::String(name)) => json!({"Alphabetic": plain(name)?}),
        (Vr::PN, Value::Object(groups)) => {
            let mut kept = Map::new();
            for group in ["Alphabetic", "Ideographic", "Phonetic"] {
                let text = groups.get(group).and_then(Value::as_str).unwrap_or_default();
                *room = room.checked_sub(text.len()).ok_or("it is too long")?;
                if !text.is_empty() {
                    kept.insert(group.to_owned(), plain(text)?.into());
                }
            }
            if kept.is_empty() { Value::Null } else { Value::Object(kept) }
        }
        (Vr::US | Vr::SS | Vr::UL | Vr::SL | Vr::UV | Vr::SV | Vr::FL | Vr::FD | Vr::IS | Vr::DS, Value::Number(_)) => {
            value.clone()
        }
        (Vr::OB | Vr::OW | Vr::OD | Vr::OF | Vr::OL | Vr::OV | Vr::UN, _) => {
            return Err("bytes are not taken".to_owned());
        }
        (Vr::LT | Vr::ST | Vr::UT | Vr::UC | Vr::UR | Vr::IS | Vr::DS, Value::String(_)) => value.clone(),
        (_, Value::String(text)) if text.is_empty() => Value::Null,
        (_, Value::String(text)) => plain(text)?.into(),
        _ => return Err(format!("it is no value of VR {vr}")),
    })
}

/// A text of one value, in one line.
fn plain(text: &str) -> Result<&str, String> {
    match text.contains(|c: char| c == '\\' || (c.is_control() && c != '\u{1B}')) {
        true => Err("a value with a backslash or a control character".to_owned()),
        false => Ok(text.trim_matches(' ')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_has_no_known_shape_is_refused() {
        let nested =
            |deep: usize| (0..deep).fold(json!({}), |inner, _| json!({"00400100": {"vr": "SQ", "Value": [inner]}}));
        assert!(Attributes::read(&nested(DEEPEST)).is_ok());
        for wrong in [
            json!([]),
            json!({"0010": {"vr": "LO"}}),
            json!({"00100020": {"Value": ["A"]}}),
            json!({"00100020": {"vr": "XX", "Value": ["A"]}}),
            json!({"00100020": {"vr": "LO", "Value": "A"}}),
            json!({"00100020": {"vr": "LO", "Value": [{"A": 1}]}}),
            json!({"00100020": {"vr": "LO", "Value": ["A\\B"]}}),
            json!({"00020010": {"vr": "UI", "Value": ["1.2"]}}),
            json!({"7FE00010": {"vr": "OW", "Value": []}}),
            json!({"00100020": {"vr": "LO", "Value": ["A".repeat(LONGEST + 1)]}}),
            nested(DEEPEST + 1),
        ] {
            assert!(Attributes::read(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_are_groups_and_character_sets_are_ours() {
        let read = Attributes::read(&json!({
            "00080005": {"vr": "CS", "Value": ["ISO_IR 100"]},
            "0010001a": {"vr": "LO", "Value": [null]},
            "00100010": {"vr": "PN", "Value": ["A^B"]},
            "00100020": {"vr": "LO", "Value": [" P1 "]},
        }));
        let read = read.unwrap();
        let expected = json!({
            "0010001A": {"vr": "LO"},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "A^B"}]},
            "00100020": {"vr": "LO", "Value": ["P1"]},
        });
        assert_eq!(Value::Object(read.json().clone()), expected);
        assert_eq!((read.first(Tag(0x10, 0x20)), Attributes::stored(&read.text())), ("P1", Some(read.clone())));
    }

    proptest! {
        #[test]
        fn any_text_of_json_is_read_or_refused(text in "[\\[\\]{}\":,a0-9VvrRalue]{0,120}") {
            if let Ok(json) = serde_json::from_str(&text) {
                let _ = Attributes::read(&json);
            }
        }
    }
}
