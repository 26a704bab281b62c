//! Identifiers of queries (PS3.4 C.4.1.1.3): read into keys, and written from what the index answers.

use crate::error::Error;
use crate::store::bare_file;
use archive::Tag;
use dicom::data_set::{Vr, long_header};
use dicom::{Source, TransferSyntax};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Specific Character Set.
pub const CHARACTER_SET: Tag = Tag(0x0008, 0x0005);
/// Query/Retrieve Level.
pub const LEVEL: Tag = Tag(0x0008, 0x0052);
/// Retrieve AE Title.
pub const RETRIEVE_TITLE: Tag = Tag(0x0008, 0x0054);
/// Patient ID.
pub const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
/// Study Instance UID.
pub const STUDY: Tag = Tag(0x0020, 0x000D);
/// Series Instance UID.
pub const SERIES: Tag = Tag(0x0020, 0x000E);
/// SOP Instance UID.
pub const INSTANCE: Tag = Tag(0x0008, 0x0018);

/// A key: what it is, and the value to match by, empty for any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its VR.
    pub vr: Vr,
    /// Its value as UTF-8; of several, with backslashes between.
    pub value: String,
}

/// The keys of a query.
#[derive(Debug, Clone, Default)]
pub struct Identifier {
    /// All keys but the level and the character set.
    pub keys: BTreeMap<Tag, Key>,
    /// The level, in capitals.
    pub level: String,
    /// It was written in ISO_IR 100, so its reader can read that.
    pub latin: bool,
}

impl Identifier {
    /// Reads an identifier in this transfer syntax.
    pub fn read(bytes: &[u8], transfer_syntax: &str) -> Result<Identifier, Error> {
        let source = Source::from_bytes(bare_file(transfer_syntax, bytes))?;
        let set = source.data_set();
        let mut identifier = Identifier::default();
        for element in set.elements().iter().filter(|element| element.tag.element() != 0) {
            let values = set.values(element.tag).unwrap_or_default();
            let value = values.join("\\").trim_matches([' ', '\0']).to_owned();
            match element.tag {
                LEVEL => identifier.level = value.to_ascii_uppercase(),
                CHARACTER_SET => identifier.latin = value == "ISO_IR 100",
                tag => drop(identifier.keys.insert(tag, Key { vr: element.known_vr(), value })),
            }
        }
        Ok(identifier)
    }

    /// The data set of an identifier, as DICOM JSON, with what is in its sequences. How it was written is no key.
    pub fn json(bytes: &[u8], transfer_syntax: &str) -> Result<Map<String, Value>, Error> {
        let source = Source::from_bytes(bare_file(transfer_syntax, bytes))?;
        let mut set = source.dicom_json(&|_| String::new())?;
        set.remove(&format!("{:04X}{:04X}", CHARACTER_SET.0, CHARACTER_SET.1));
        Ok(set)
    }

    /// The value of a key; empty when it is not there.
    pub fn value(&self, tag: Tag) -> &str {
        self.keys.get(&tag).map_or("", |key| &key.value)
    }
}

/// A data set while it is written, in Explicit or Implicit VR Little Endian.
pub struct Writer {
    explicit: bool,
    latin: bool,
    out: Vec<u8>,
}

/// An answer: the keys that were asked for, with the row's values where it has them; empty otherwise. `more` overrides both.
pub fn response(
    asked: &Identifier,
    row: &Map<String, Value>,
    more: &[(Tag, Vr, String)],
    transfer_syntax: &str,
) -> Vec<u8> {
    let mut elements: BTreeMap<Tag, (Vr, Vec<Value>)> = BTreeMap::new();
    for (tag, key) in &asked.keys {
        let found = row.get(&format!("{:04X}{:04X}", tag.0, tag.1));
        let vr = found.and_then(vr_of).unwrap_or(key.vr);
        elements.insert(*tag, (vr, found.map(values_of).unwrap_or_default()));
    }
    for (tag, vr, text) in more {
        elements.insert(*tag, (*vr, vec![Value::from(text.as_str())]));
    }
    in_their_characters(elements, asked.latin, transfer_syntax)
}

/// A data set of DICOM JSON, for who reads ISO_IR 100 or does not.
pub fn of_json(set: &Map<String, Value>, latin: bool, transfer_syntax: &str) -> Vec<u8> {
    let element = |(name, element): (&String, &Value)| Some((tag_of(name)?, (vr_of(element)?, values_of(element))));
    in_their_characters(set.iter().filter_map(element).collect(), latin, transfer_syntax)
}

/// The data set in ASCII where it can be, in ISO_IR 100 where who asks can read that and it suffices, else in UTF-8.
fn in_their_characters(
    mut elements: BTreeMap<Tag, (Vr, Vec<Value>)>,
    reads_latin: bool,
    transfer_syntax: &str,
) -> Vec<u8> {
    let plain = elements.values().flat_map(|(_, values)| values).all(|value| fits(value, 0x7F));
    let latin = reads_latin && elements.values().flat_map(|(_, values)| values).all(|value| fits(value, 0xFF));
    // What is ASCII only needs no character set (PS3.4 C.4.1.1.3.2).
    elements.remove(&CHARACTER_SET);
    if !plain {
        let set = if latin { "ISO_IR 100" } else { "ISO_IR 192" };
        elements.insert(CHARACTER_SET, (Vr::CS, vec![set.into()]));
    }
    let explicit = transfer_syntax != TransferSyntax::IMPLICIT_LITTLE;
    let mut writer = Writer { explicit, latin: latin && !plain, out: Vec::new() };
    elements.iter().for_each(|(tag, (vr, values))| writer.element(*tag, *vr, values));
    writer.out
}

/// A data set of plain texts, for requests of ours.
pub fn plain(elements: &[(Tag, Vr, &str)], transfer_syntax: &str) -> Vec<u8> {
    let values = |text: &str| if text.is_empty() { Vec::new() } else { vec![Value::from(text)] };
    let elements: Vec<_> = elements.iter().map(|(tag, vr, text)| (*tag, *vr, values(text))).collect();
    write(&elements, transfer_syntax)
}

/// A data set of ASCII: values as DICOM JSON has them (PS3.18 F.2), elements in the order of their tags.
pub fn write(elements: &[(Tag, Vr, Vec<Value>)], transfer_syntax: &str) -> Vec<u8> {
    let explicit = transfer_syntax != TransferSyntax::IMPLICIT_LITTLE;
    let mut writer = Writer { explicit, latin: false, out: Vec::new() };
    elements.iter().for_each(|(tag, vr, values)| writer.element(*tag, *vr, values));
    writer.out
}

impl Writer {
    fn element(&mut self, tag: Tag, vr: Vr, values: &[Value]) {
        let value = match vr {
            Vr::SQ => self.items(values),
            _ => self.value(vr, values),
        };
        // A short length that does not hold the value leaves the value out; no text of the index is that long.
        let long = !self.explicit || long_header(vr);
        let value = if long || value.len() <= 0xFFFE { value } else { Vec::new() };
        self.tag(tag);
        if self.explicit {
            self.out.extend_from_slice(vr.to_string().as_bytes());
            if long_header(vr) {
                self.out.extend_from_slice(&[0, 0]);
            }
        }
        match long {
            true => self.out.extend_from_slice(&(value.len() as u32).to_le_bytes()),
            false => self.out.extend_from_slice(&(value.len() as u16).to_le_bytes()),
        }
        self.out.extend(value);
    }

    fn tag(&mut self, tag: Tag) {
        self.out.extend_from_slice(&tag.0.to_le_bytes());
        self.out.extend_from_slice(&tag.1.to_le_bytes());
    }

    fn items(&self, values: &[Value]) -> Vec<u8> {
        let mut inner = Writer { explicit: self.explicit, latin: self.latin, out: Vec::new() };
        for item in values.iter().filter_map(Value::as_object) {
            let mut content = Writer { explicit: self.explicit, latin: self.latin, out: Vec::new() };
            let mut elements: Vec<_> =
                item.iter().filter_map(|(name, e)| Some((tag_of(name)?, vr_of(e)?, e))).collect();
            elements.sort_by_key(|(tag, ..)| *tag);
            elements.into_iter().for_each(|(tag, vr, element)| content.element(tag, vr, &values_of(element)));
            inner.tag(Tag(0xFFFE, 0xE000));
            inner.out.extend_from_slice(&(content.out.len() as u32).to_le_bytes());
            inner.out.extend(content.out);
        }
        inner.out
    }

    fn value(&self, vr: Vr, values: &[Value]) -> Vec<u8> {
        let integers = || values.iter().filter_map(|v| v.as_i64().or_else(|| v.as_u64().map(|n| n as i64)));
        let bytes = |size: usize| integers().flat_map(|n| n.to_le_bytes().into_iter().take(size)).collect();
        match vr {
            Vr::US | Vr::SS => bytes(2),
            Vr::UL | Vr::SL => bytes(4),
            Vr::UV | Vr::SV => bytes(8),
            Vr::FL => values.iter().filter_map(Value::as_f64).flat_map(|n| (n as f32).to_le_bytes()).collect(),
            Vr::FD => values.iter().filter_map(Value::as_f64).flat_map(f64::to_le_bytes).collect(),
            Vr::AT => values
                .iter()
                .filter_map(|v| tag_of(v.as_str()?))
                .flat_map(|t| {
                    let ([a, b], [c, d]) = (t.0.to_le_bytes(), t.1.to_le_bytes());
                    [a, b, c, d]
                })
                .collect(),
            Vr::OB | Vr::OW | Vr::OD | Vr::OF | Vr::OL | Vr::OV | Vr::UN => Vec::new(),
            _ => self.text(vr, values),
        }
    }

    fn text(&self, vr: Vr, values: &[Value]) -> Vec<u8> {
        let text = values.iter().map(text_of).collect::<Vec<_>>().join("\\");
        let mut bytes = match self.latin {
            true => text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect(),
            false => text.into_bytes(),
        };
        if bytes.len() % 2 == 1 {
            bytes.push(if vr == Vr::UI { 0 } else { b' ' });
        }
        bytes
    }
}

/// A value as text: person names with their groups.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Object(name) => {
            let group = |of: &str| name.get(of).and_then(Value::as_str).unwrap_or_default();
            let groups = [group("Alphabetic"), group("Ideographic"), group("Phonetic")].join("=");
            groups.trim_end_matches('=').to_owned()
        }
        other => other.to_string(),
    }
}

/// Are all characters in it up to `last`?
fn fits(value: &Value, last: u32) -> bool {
    match value {
        Value::String(text) => text.chars().all(|c| u32::from(c) <= last),
        Value::Array(values) => values.iter().all(|value| fits(value, last)),
        Value::Object(members) => members.values().all(|value| fits(value, last)),
        _ => true,
    }
}

fn values_of(element: &Value) -> Vec<Value> {
    element.get("Value").and_then(Value::as_array).cloned().unwrap_or_default()
}

fn vr_of(element: &Value) -> Option<Vr> {
    element.get("vr")?.as_str()?.parse().ok()
}

fn tag_of(name: &str) -> Option<Tag> {
    let number = u32::from_str_radix(name, 16).ok().filter(|_| name.len() == 8)?;
    Some(Tag((number >> 16) as u16, number as u16))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const NAME: Tag = Tag(0x0010, 0x0010);
    const IMPLICIT: &str = TransferSyntax::IMPLICIT_LITTLE;
    const EXPLICIT: &str = TransferSyntax::EXPLICIT_LITTLE;

    fn asked() -> Identifier {
        let elements = [
            (LEVEL, Vr::CS, "study"),
            (NAME, Vr::PN, "DOE*"),
            (Tag(0x0020, 0x1208), Vr::IS, ""),
            (Tag(0x0040, 0x0275), Vr::SQ, ""),
            (STUDY, Vr::UI, "1.2\\1.3"),
        ];
        Identifier::read(&plain(&elements, IMPLICIT), IMPLICIT).unwrap()
    }

    #[test]
    fn keys_are_read_in_both_syntaxes() {
        let keys = asked();
        assert_eq!((keys.level.as_str(), keys.value(NAME)), ("STUDY", "DOE*"));
        assert_eq!(keys.value(STUDY), "1.2\\1.3");
        let bytes = plain(&[(LEVEL, Vr::CS, "IMAGE"), (INSTANCE, Vr::UI, "1.2.3")], EXPLICIT);
        assert_eq!(Identifier::read(&bytes, EXPLICIT).unwrap().value(INSTANCE), "1.2.3");
        assert!(Identifier::read(&[], IMPLICIT).is_err());
    }

    #[test]
    fn an_answer_has_what_was_asked_for() {
        let row = json!({
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "DOE^J\u{e4}n", "Ideographic": "\u{5c71}"}]},
            "00100020": {"vr": "LO", "Value": ["not asked for"]},
            "00201208": {"vr": "IS", "Value": [12]},
            "00400275": {"vr": "SQ", "Value": [{"00401001": {"vr": "SH", "Value": ["RP1"]}}]},
        });
        let (asked, row) = (asked(), row.as_object().unwrap());
        for syntax in [IMPLICIT, EXPLICIT] {
            let bytes = response(&asked, row, &[(RETRIEVE_TITLE, Vr::AE, "ME".into())], syntax);
            let source = Source::from_bytes(bare_file(syntax, &bytes)).unwrap();
            let set = source.data_set();
            assert_eq!(set.strings(CHARACTER_SET), ["ISO_IR 192"]);
            assert_eq!(set.strings(NAME), ["DOE^J\u{e4}n=\u{5c71}"], "{syntax}");
            assert_eq!(set.strings(Tag(0x0020, 0x1208)), ["12"]);
            assert_eq!(set.strings(RETRIEVE_TITLE), ["ME"]);
            assert!(set.get(PATIENT_ID).is_none() && set.get(STUDY).is_some());
            let items = set.get(Tag(0x0040, 0x0275)).and_then(|e| e.items()).unwrap();
            assert_eq!(set.text(items[0].get(Tag(0x0040, 0x1001)).unwrap()), ["RP1"]);
        }
    }

    #[test]
    fn who_asks_in_latin_is_answered_so_where_it_can_be() {
        let row = |name: &str| json!({"00100010": {"vr": "PN", "Value": [{"Alphabetic": name}]}});
        let set_of = |latin, name: &str| {
            let asked = Identifier { latin, ..asked() };
            let bytes = response(&asked, row(name).as_object().unwrap(), &[], EXPLICIT);
            let source = Source::from_bytes(bare_file(EXPLICIT, &bytes)).unwrap();
            assert_eq!(source.data_set().strings(NAME), [name]);
            source.data_set().strings(CHARACTER_SET).concat()
        };
        assert_eq!(set_of(true, "J\u{e4}n"), "ISO_IR 100");
        assert_eq!(set_of(false, "J\u{e4}n"), "ISO_IR 192");
        assert_eq!(set_of(true, "\u{5c71}"), "ISO_IR 192");
        assert_eq!(set_of(true, "Jan"), "");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300), explicit: bool) {
            let _ = Identifier::read(&bytes, if explicit { EXPLICIT } else { IMPLICIT });
        }
    }
}
