//! DICOM JSON (PS3.18 Annex F) as the elements of an Explicit VR Little Endian data set (PS3.5 7.1), read strictly.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dicom::data_set::long_header;
use dicom::{Tag, Vr};
use serde_json::{Map, Value};
use std::fmt::Write;
use std::str::FromStr;

/// Sequences within sequences.
const DEEPEST: usize = 32;
/// Bytes of a decimal string (PS3.5 Table 6.2-1).
const LONGEST_DECIMAL: usize = 16;
const UNDEFINED: u32 = 0xFFFF_FFFF;
const SPECIFIC_CHARACTER_SET: Tag = Tag(0x0008, 0x0005);
/// What a server says of an instance and is not in it.
const AVAILABLE_TRANSFER_SYNTAX: Tag = Tag(0x0008, 0x3002);
const TRAILING_PADDING: Tag = Tag(0xFFFC, 0xFFFC);

/// Why something is no DICOM JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{tag}: {what}")]
pub struct Wrong {
    /// The attribute.
    pub tag: String,
    /// What is wrong with it.
    pub what: &'static str,
}

/// Takes the pieces of a data set in their order.
pub trait Out {
    /// Bytes of the data set.
    fn bytes(&mut self, bytes: &[u8]);
    /// The element whose value is elsewhere, at the top level or not: head, value and all.
    fn bulk(&mut self, tag: Tag, vr: Vr, uri: &str, top: bool) -> Result<(), &'static str>;
}

/// Writes a data set. Text becomes UTF-8, and says so where it has to.
pub fn write(set: &Map<String, Value>, out: &mut dyn Out) -> Result<(), Wrong> {
    let mut set = set.clone();
    let is_plain = |text: &str| text.is_ascii();
    if !set.values().all(|value| every_text(value, &is_plain)) || set.contains_key("00080005") {
        set.insert("00080005".into(), serde_json::json!({"vr": "CS", "Value": ["ISO_IR 192"]}));
    }
    Writer { out }.elements(&set, 0)
}

fn every_text(value: &Value, is: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => is(text),
        Value::Array(values) => values.iter().all(|value| every_text(value, is)),
        Value::Object(map) => map.iter().all(|(_, value)| every_text(value, is)),
        _ => true,
    }
}

struct Writer<'a> {
    out: &'a mut dyn Out,
}

impl Writer<'_> {
    fn elements(&mut self, set: &Map<String, Value>, depth: usize) -> Result<(), Wrong> {
        let wrong = |tag: &str, what| Wrong { tag: tag.chars().take(8).collect(), what };
        let mut elements = Vec::with_capacity(set.len());
        for (name, attribute) in set {
            elements.push((
                tag(name).ok_or_else(|| wrong(name, "no tag of eight hexadecimal digits"))?,
                name,
                attribute,
            ));
        }
        elements.sort_by_key(|(tag, ..)| *tag);
        if let Some([(_, name, _), _]) = elements.array_windows().find(|[(one, ..), (two, ..)]| one == two) {
            return Err(wrong(name, "is there twice"));
        }
        for (tag, name, attribute) in elements {
            let nested_charset = depth > 0 && tag == SPECIFIC_CHARACTER_SET;
            if tag.element() == 0 || nested_charset || matches!(tag, AVAILABLE_TRANSFER_SYNTAX | TRAILING_PADDING) {
                continue;
            }
            if tag.group() < 0x0008 {
                // What a file says of itself is written anew.
                continue;
            }
            let attribute = attribute.as_object().ok_or_else(|| wrong(name, "is no object"))?;
            self.element(tag, attribute, depth).map_err(|e| match e {
                Fault::Here(what) => wrong(name, what),
                Fault::Inside(wrong) => wrong,
            })?;
        }
        Ok(())
    }

    fn element(&mut self, tag: Tag, attribute: &Map<String, Value>, depth: usize) -> Result<(), Fault> {
        let vr = attribute.get("vr").and_then(Value::as_str).and_then(|vr| Vr::from_str(vr).ok());
        let vr = vr.ok_or(Fault::Here("has no VR"))?;
        let holders = ["Value", "InlineBinary", "BulkDataURI"].map(|name| attribute.get(name));
        match holders {
            [None, None, None] => self.value(tag, vr, &[]),
            [Some(Value::Array(items)), None, None] if vr == Vr::SQ => self.sequence(tag, items, depth),
            [Some(Value::Array(values)), None, None] => self.value(tag, vr, &encode(vr, values)?),
            [None, Some(Value::String(text)), None] if is_binary(vr) => {
                let bytes = STANDARD.decode(text).map_err(|_| Fault::Here("is no base64"))?;
                self.value(tag, vr, &bytes)
            }
            [None, None, Some(Value::String(uri))] if vr != Vr::SQ => Ok(self.out.bulk(tag, vr, uri, depth == 0)?),
            _ => Err(Fault::Here("has no value that its VR can have")),
        }
    }

    fn value(&mut self, tag: Tag, vr: Vr, value: &[u8]) -> Result<(), Fault> {
        let length = u32::try_from(value.len().next_multiple_of(2)).map_err(|_| Fault::Here("is too long"))?;
        self.out.bytes(&head(tag, vr, length).ok_or(Fault::Here("is too long for its VR"))?);
        self.out.bytes(value);
        if !value.len().is_multiple_of(2) {
            self.out.bytes(&[padding(vr)]);
        }
        Ok(())
    }

    fn sequence(&mut self, tag: Tag, items: &[Value], depth: usize) -> Result<(), Fault> {
        if depth == DEEPEST {
            return Err(Fault::Here("is nested too deep"));
        }
        self.out.bytes(&head(tag, Vr::SQ, UNDEFINED).ok_or(Fault::Here("is too long"))?);
        for item in items {
            let item = match item {
                Value::Object(item) => item,
                Value::Null => &Map::new(),
                _ => return Err(Fault::Here("has an item that is none")),
            };
            self.out.bytes(&delimiter(0xE000, UNDEFINED));
            self.elements(item, depth + 1).map_err(Fault::Inside)?;
            self.out.bytes(&delimiter(0xE00D, 0));
        }
        self.out.bytes(&delimiter(0xE0DD, 0));
        Ok(())
    }
}

/// Where the fault is.
enum Fault {
    Here(&'static str),
    Inside(Wrong),
}

impl From<&'static str> for Fault {
    fn from(what: &'static str) -> Fault {
        Fault::Here(what)
    }
}

/// The tag that eight hexadecimal digits name.
pub fn tag(name: &str) -> Option<Tag> {
    let digits = name.len() == 8 && name.bytes().all(|b| b.is_ascii_hexdigit());
    let number = u32::from_str_radix(name, 16).ok().filter(|_| digits)?;
    Some(Tag((number >> 16) as u16, number as u16))
}

/// An element's tag, VR and length; `None` where the VR has no room for the length.
pub fn head(tag: Tag, vr: Vr, length: u32) -> Option<Vec<u8>> {
    let mut head = [tag.group().to_le_bytes(), tag.element().to_le_bytes()].concat();
    head.extend(vr.to_string().bytes());
    match long_header(vr) {
        true => {
            head.extend([0, 0]);
            head.extend(length.to_le_bytes());
        }
        false => head.extend(u16::try_from(length).ok()?.to_le_bytes()),
    }
    Some(head)
}

/// An item (E000), its end (E00D), or the end of a sequence (E0DD).
pub fn delimiter(element: u16, length: u32) -> Vec<u8> {
    [0xFFFEu16.to_le_bytes().as_slice(), &element.to_le_bytes(), &length.to_le_bytes()].concat()
}

/// What makes a value of odd length even (PS3.5 6.2).
pub fn padding(vr: Vr) -> u8 {
    if vr == Vr::UI || is_binary(vr) { 0 } else { b' ' }
}

fn is_binary(vr: Vr) -> bool {
    matches!(vr, Vr::OB | Vr::OD | Vr::OF | Vr::OL | Vr::OV | Vr::OW | Vr::UN)
}

fn encode(vr: Vr, values: &[Value]) -> Result<Vec<u8>, &'static str> {
    match vr {
        Vr::US => numbers(values, |v| Some(u16::try_from(integer(v)?).ok()?.to_le_bytes())),
        Vr::SS => numbers(values, |v| Some(i16::try_from(integer(v)?).ok()?.to_le_bytes())),
        Vr::UL => numbers(values, |v| Some(u32::try_from(integer(v)?).ok()?.to_le_bytes())),
        Vr::SL => numbers(values, |v| Some(i32::try_from(integer(v)?).ok()?.to_le_bytes())),
        Vr::UV => numbers(values, |v| Some(u64::try_from(integer(v)?).ok()?.to_le_bytes())),
        Vr::SV => numbers(values, |v| Some(i64::try_from(integer(v)?).ok()?.to_le_bytes())),
        Vr::FL => numbers(values, |v| Some((float(v)? as f32).to_le_bytes())),
        Vr::FD => numbers(values, |v| Some(float(v)?.to_le_bytes())),
        Vr::AT => numbers(values, |v| {
            let tag = tag(v.as_str()?)?;
            let [[a, b], [c, d]] = [tag.group(), tag.element()].map(u16::to_le_bytes);
            Some([a, b, c, d])
        }),
        _ if is_binary(vr) => Err("has values where its VR has bytes"),
        _ => texts(vr, values),
    }
}

fn numbers<const N: usize>(values: &[Value], one: impl Fn(&Value) -> Option<[u8; N]>) -> Result<Vec<u8>, &'static str> {
    let mut bytes = Vec::with_capacity(values.len() * N);
    for value in values {
        bytes.extend(one(value).ok_or("has a value that is no number of its VR")?);
    }
    Ok(bytes)
}

/// A whole number, or one in a string (PS3.18 F.2.3.1).
fn integer(value: &Value) -> Option<i128> {
    match value {
        Value::Number(number) => number
            .as_i64()
            .map(i128::from)
            .or_else(|| number.as_u64().map(i128::from))
            .or_else(|| number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 9e15).map(|n| n as i128)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn texts(vr: Vr, values: &[Value]) -> Result<Vec<u8>, &'static str> {
    let is_one = matches!(vr, Vr::LT | Vr::ST | Vr::UR | Vr::UT);
    if is_one && values.len() > 1 {
        return Err("has more than the one value of its VR");
    }
    let mut joined = String::new();
    for (n, value) in values.iter().enumerate() {
        let text = text(vr, value).ok_or("has a value that its VR can't have")?;
        if !is_one && text.contains('\\') {
            return Err("has a backslash in a value");
        }
        let _ = write!(joined, "{}{text}", if n > 0 { "\\" } else { "" });
    }
    Ok(joined.into_bytes())
}

fn text(vr: Vr, value: &Value) -> Option<String> {
    match (vr, value) {
        (_, Value::Null) => Some(String::new()),
        (Vr::PN, Value::Object(groups)) => {
            let group = |name| groups.get(name).map_or(Some(""), Value::as_str);
            let groups = [group("Alphabetic")?, group("Ideographic")?, group("Phonetic")?].join("=");
            Some(groups.trim_end_matches('=').to_owned())
        }
        (Vr::DS, Value::Number(number)) => decimal(number.as_f64()?, &number.to_string()),
        (Vr::IS, Value::Number(_)) => i32::try_from(integer(value)?).ok().map(|number| number.to_string()),
        (_, Value::String(text)) => Some(text.clone()),
        _ => None,
    }
}

/// A decimal string of at most 16 characters, as near as they allow.
fn decimal(number: f64, exact: &str) -> Option<String> {
    if exact.len() <= LONGEST_DECIMAL {
        return Some(exact.to_owned());
    }
    (0..LONGEST_DECIMAL).rev().find_map(|digits| {
        let (plain, scientific) = (format!("{number:.digits$}"), format!("{number:.digits$e}"));
        // Leading zeros tell nothing: whichever keeps more is taken.
        let shown = if number.abs() >= 1e-4 && number.abs() < 1e15 { plain } else { scientific };
        (shown.len() <= LONGEST_DECIMAL).then_some(shown)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Default)]
    struct Kept(Vec<u8>);

    impl Out for Kept {
        fn bytes(&mut self, bytes: &[u8]) {
            self.0.extend_from_slice(bytes);
        }

        fn bulk(&mut self, _: Tag, _: Vr, uri: &str, _: bool) -> Result<(), &'static str> {
            self.0.extend_from_slice(uri.as_bytes());
            Ok(())
        }
    }

    fn written(set: Value) -> Result<Vec<u8>, String> {
        let mut kept = Kept::default();
        write(set.as_object().unwrap(), &mut kept).map_err(|wrong| wrong.to_string()).map(|()| kept.0)
    }

    #[test]
    fn values_as_they_are_written() {
        for (vr, value, bytes) in [
            ("UI", json!(["1.2.3"]), b"UI\x06\x001.2.3\0".as_slice()),
            ("CS", json!(["A", null, "BC"]), b"CS\x06\x00A\\\\BC "),
            ("PN", json!([{"Alphabetic": "A^B", "Phonetic": "C"}]), b"PN\x06\x00A^B==C"),
            ("US", json!([1, "258", 3.0]), b"US\x06\x00\x01\0\x02\x01\x03\0"),
            ("SL", json!([-2]), b"SL\x04\x00\xFE\xFF\xFF\xFF"),
            ("FL", json!([1.5]), b"FL\x04\x00\0\0\xC0\x3F"),
            ("AT", json!(["00100020"]), b"AT\x04\x00\x10\0\x20\0"),
            ("DS", json!([0.25, "1.5"]), b"DS\x08\x000.25\\1.5"),
            ("DS", json!([0.30000000000000004]), b"DS\x10\x000.30000000000000"),
            ("IS", json!([12]), b"IS\x02\x0012"),
            ("LT", json!(["a\\b"]), b"LT\x04\x00a\\b "),
            ("UT", json!(["text"]), b"UT\0\0\x04\0\0\0text"),
        ] {
            let set = json!({"00100010": {"vr": vr, "Value": value}});
            assert_eq!(written(set).unwrap()[4..], *bytes, "{vr}");
        }
        let binary = json!({"00091001": {"vr": "OB", "InlineBinary": "AQID"}});
        assert_eq!(written(binary).unwrap()[4..], *b"OB\0\0\x04\0\0\0\x01\x02\x03\0");
    }

    #[test]
    fn elements_are_in_order_and_items_are_closed() {
        let set = json!({
            "00200010": {"vr": "SH"},
            "00080005": {"vr": "CS", "Value": ["ISO_IR 100"]},
            "00020010": {"vr": "UI", "Value": ["1.2"]},
            "00081140": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2"]}}, {}]},
        });
        let bytes = written(set).unwrap();
        let wanted = [
            b"\x08\0\x05\0CS\x0A\0ISO_IR 192".as_slice(),
            b"\x08\0\x40\x11SQ\0\0\xFF\xFF\xFF\xFF",
            b"\xFE\xFF\x00\xE0\xFF\xFF\xFF\xFF\x08\0\x55\x11UI\x04\x001.2\0\xFE\xFF\x0D\xE0\0\0\0\0",
            b"\xFE\xFF\x00\xE0\xFF\xFF\xFF\xFF\xFE\xFF\x0D\xE0\0\0\0\0\xFE\xFF\xDD\xE0\0\0\0\0",
            b"\x20\0\x10\0SH\0\0",
        ];
        assert_eq!(bytes, wanted.concat());
    }

    #[test]
    fn what_is_no_dicom_json_is_named() {
        let attribute = |attribute: Value| json!({"00100010": attribute});
        let deep = (0..40).fold(json!({}), |inside, _| json!({"00081140": {"vr": "SQ", "Value": [inside]}}));
        for (set, why) in [
            (json!({"PatientName": {"vr": "PN"}}), "PatientN: no tag of eight hexadecimal digits"),
            (json!({"0010001": {"vr": "PN"}}), "0010001: no tag of eight hexadecimal digits"),
            (json!({"0010001a": {"vr": "PN"}, "0010001A": {"vr": "PN"}}), "0010001A: is there twice"),
            (attribute(json!("A")), "00100010: is no object"),
            (attribute(json!({"Value": ["A"]})), "00100010: has no VR"),
            (attribute(json!({"vr": "XX"})), "00100010: has no VR"),
            (attribute(json!({"vr": "LO", "Value": "A"})), "00100010: has no value that its VR can have"),
            (attribute(json!({"vr": "LO", "Value": ["a\\b"]})), "00100010: has a backslash in a value"),
            (attribute(json!({"vr": "LO", "Value": [{}]})), "00100010: has a value that its VR can't have"),
            (attribute(json!({"vr": "US", "Value": [65536]})), "00100010: has a value that is no number of its VR"),
            (attribute(json!({"vr": "US", "Value": [1.5]})), "00100010: has a value that is no number of its VR"),
            (attribute(json!({"vr": "IS", "Value": [1e12]})), "00100010: has a value that its VR can't have"),
            (attribute(json!({"vr": "OB", "InlineBinary": "?"})), "00100010: is no base64"),
            (attribute(json!({"vr": "OB", "Value": [1]})), "00100010: has values where its VR has bytes"),
            (attribute(json!({"vr": "LT", "Value": ["a", "b"]})), "00100010: has more than the one value of its VR"),
            (attribute(json!({"vr": "LO", "Value": ["a".repeat(70_000)]})), "00100010: is too long for its VR"),
            (attribute(json!({"vr": "SQ", "BulkDataURI": "x"})), "00100010: has no value that its VR can have"),
            (deep, "00081140: is nested too deep"),
        ] {
            assert_eq!(written(set), Err(why.to_owned()));
        }
    }
}
