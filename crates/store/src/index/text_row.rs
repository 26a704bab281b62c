//! A row of an answer as texts: what the index keeps is DICOM JSON already, and goes into the answer as it lies (PS3.18 F.2).

use std::borrow::Cow;

use dicom::Tag;
use serde_json::{Map, Value};

use crate::Error;

/// The attributes of a row, each the text of its JSON object. Of those with the same tag the last counts.
#[derive(Debug, Default)]
pub struct TextRow<'a> {
    /// What is there if nothing else is.
    required: Vec<(u32, &'static str)>,
    attributes: Vec<(u32, Cow<'a, str>)>,
}

impl<'a> TextRow<'a> {
    /// The texts of values.
    pub fn of(values: &Map<String, Value>) -> TextRow<'static> {
        let tagged = values.iter().filter_map(|(name, value)| Some((hex(name.as_bytes())?, value.to_string().into())));
        TextRow { required: Vec::new(), attributes: tagged.collect() }
    }

    /// Adds an attribute, in the place of one with the same tag.
    pub fn put(&mut self, tag: Tag, text: impl Into<Cow<'a, str>>) {
        self.attributes.push((number(tag), text.into()));
    }

    /// Adds an attribute without a value where there is none with this tag.
    pub fn require(&mut self, tag: Tag, vr: &str) {
        self.required.push((number(tag), empty(vr)));
    }

    /// The text of an attribute.
    pub fn get(&self, tag: Tag) -> Option<&str> {
        let tag = number(tag);
        self.attributes.iter().rev().find(|(of, _)| *of == tag).map(|(_, text)| &**text)
    }

    /// The first value of an attribute, where that is a text without an escape.
    pub fn value(&self, tag: Tag) -> Option<&str> {
        let (_, values) = self.get(tag)?.split_once("\"Value\":[\"")?;
        let (value, _) = values.split_once('"')?;
        (!value.contains('\\')).then_some(value)
    }

    /// Changes all attributes that `is` names, by tag and text, as JSON values.
    pub fn change(&mut self, is: impl Fn(u32, &str) -> bool, change: impl Fn(&mut Value)) -> Result<(), Error> {
        for (_, text) in self.attributes.iter_mut().filter(|(tag, text)| is(*tag, text)) {
            let mut value: Value = serde_json::from_str(text).map_err(unreadable)?;
            change(&mut value);
            *text = value.to_string().into();
        }
        Ok(())
    }

    /// Writes the row as a JSON object, in the order of its tags.
    pub fn write(mut self, out: &mut Vec<u8>) {
        let required = self.required.drain(..).map(|(tag, text)| (tag, Cow::Borrowed(text)));
        let mut all: Vec<_> = required.chain(self.attributes).collect();
        all.sort_by_key(|(tag, _)| *tag);
        let mut separator = b'{';
        for (at, (tag, text)) in all.iter().enumerate() {
            if all.get(at + 1).is_some_and(|(next, _)| next == tag) {
                continue;
            }
            out.extend_from_slice(&[separator, b'"']);
            out.extend((0..8).rev().map(|digit| b"0123456789ABCDEF"[(tag >> (4 * digit) & 15) as usize]));
            out.extend_from_slice(b"\":");
            out.extend_from_slice(text.as_bytes());
            separator = b',';
        }
        out.extend_from_slice(if separator == b'{' { b"{}" } else { b"}" });
    }

    /// Adds all attributes to another row.
    pub(super) fn take_over(self, row: &mut TextRow<'a>) {
        row.attributes.extend(self.attributes);
    }

    /// Adds those attributes of a JSON object whose tags `wanted` says yes to, as they lie. A text that is not as it is written here is read
    /// and written anew.
    pub(super) fn extend(&mut self, text: &'a str, wanted: impl Fn(u32) -> bool) -> Result<(), Error> {
        match members(text) {
            Some(members) => {
                let wanted = members.into_iter().filter(|(tag, _)| wanted(*tag));
                self.attributes.extend(wanted.map(|(tag, text)| (tag, text.into())));
            }
            None => {
                let read: Map<String, Value> = serde_json::from_str(text).map_err(unreadable)?;
                let TextRow { attributes, .. } = TextRow::of(&read);
                self.attributes.extend(attributes.into_iter().filter(|(tag, _)| wanted(*tag)));
            }
        }
        Ok(())
    }
}

fn unreadable(error: serde_json::Error) -> Error {
    Error::Damaged(format!("attributes in the index cannot be read: {error}"))
}

/// The members of `{"TTTTTTTT":{...},...}`, written without white space; `None`: it is not that.
fn members(text: &str) -> Option<Vec<(u32, &str)>> {
    let (bytes, mut members) = (text.as_bytes(), Vec::with_capacity(16));
    if text == "{}" {
        return Some(members);
    }
    let mut at = 0;
    for separator in std::iter::once(b'{').chain(std::iter::repeat(b',')) {
        if bytes.get(at) != Some(&separator) {
            break;
        }
        let head = bytes.get(at + 1..at + 12)?;
        let tag = (head[0] == b'"' && head[9..] == *b"\":").then(|| hex(&head[1..9]))??;
        let start = at + 12;
        let end = start + object(&bytes[start..])?;
        members.push((tag, text.get(start..end)?));
        at = end;
    }
    (!members.is_empty() && bytes.get(at..) == Some(b"}")).then_some(members)
}

/// Bytes of the JSON object that is here.
fn object(bytes: &[u8]) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0u32, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match (quoted, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => quoted = !quoted,
            (true, _) => {}
            (_, b'{' | b'[') => depth += 1,
            (_, b'}' | b']') => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The number of eight hexadecimal digits.
fn hex(digits: &[u8]) -> Option<u32> {
    let digit = |number: u32, digit: &u8| Some(number << 4 | char::from(*digit).to_digit(16)?);
    (digits.len() == 8).then(|| digits.iter().try_fold(0, digit))?
}

/// The number of a tag.
pub(super) fn number(tag: Tag) -> u32 {
    u32::from(tag.0) << 16 | u32::from(tag.1)
}

/// An attribute without a value.
fn empty(vr: &str) -> &'static str {
    match vr {
        "CS" => "{\"vr\":\"CS\"}",
        "DA" => "{\"vr\":\"DA\"}",
        "IS" => "{\"vr\":\"IS\"}",
        "LO" => "{\"vr\":\"LO\"}",
        "PN" => "{\"vr\":\"PN\"}",
        "SH" => "{\"vr\":\"SH\"}",
        "TM" => "{\"vr\":\"TM\"}",
        "UI" => "{\"vr\":\"UI\"}",
        "US" => "{\"vr\":\"US\"}",
        _ => "{\"vr\":\"UN\"}",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::attributes::{PATIENT_NAME, STUDY_INSTANCE_UID, attribute};
    use proptest::prelude::*;

    const COMMON: &str =
        r#"{"0020000D":{"Value":["1.2"],"vr":"UI"},"00100010":{"Value":[{"Alphabetic":"A\"}^{B\\"}],"vr":"PN"}}"#;

    #[test]
    fn values_are_found_in_texts() {
        let mut row = TextRow::default();
        row.extend(COMMON, |_| true).unwrap();
        assert_eq!((row.value(STUDY_INSTANCE_UID), row.value(PATIENT_NAME)), (Some("1.2"), None));
        row.put(STUDY_INSTANCE_UID, "{\"vr\":\"UI\"}");
        assert_eq!(row.value(STUDY_INSTANCE_UID), None);
        row.change(|_, text| text.contains("Alphabetic"), |value| *value = Value::Null).unwrap();
        assert_eq!(row.get(PATIENT_NAME), Some("null"));
    }

    proptest! {
        #[test]
        fn any_text_is_cut_as_it_is_read(text in "[\\{\\}\\[\\]\",:\\\\0-9A-Fa-z ]{0,60}") {
            if let Some(found) = members(&text)
                && let Ok(read) = serde_json::from_str::<Value>(&text)
            {
                for (tag, member) in found {
                    let value: Value = serde_json::from_str(member).unwrap();
                    prop_assert!(read.as_object().unwrap().values().any(|one| *one == value), "{tag:08X}");
                }
            }
        }

        #[test]
        fn what_is_written_is_cut(values in proptest::collection::btree_map(any::<u32>(), any::<String>(), 0..9)) {
            let map: Map<String, Value> =
                values.iter().map(|(tag, text)| (format!("{tag:08X}"), attribute("LT", vec![text.as_str().into()]))).collect();
            let text = serde_json::to_string(&map).unwrap();
            let found = members(&text).unwrap();
            prop_assert_eq!(found.len(), values.len());
            for ((tag, member), (known, value)) in found.into_iter().zip(&values) {
                let read: Value = serde_json::from_str(member).unwrap();
                prop_assert_eq!((tag, read["Value"][0].as_str().unwrap()), (*known, value.as_str()));
            }
        }
    }
}
