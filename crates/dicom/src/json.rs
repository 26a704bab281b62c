//! The DICOM JSON model (PS3.18 F.2): UTF-8, person names by component group, binary inline or by reference.

use crate::charset::Charset;
use crate::data_set::{DataSet, Element, Item, Tag, Value, Vr};
use crate::error::Result;
use serde_json::{Map, Number, Value as Json, json};

/// Binary values longer than this are given by reference.
const INLINE: usize = 1024;
/// Lists of numbers longer than this (in bytes) are given by reference.
const INLINE_NUMBERS: u64 = 64 * 1024;
const CHARACTER_SET: Tag = Tag(0x0008, 0x0005);
const PIXELS: [Tag; 3] = [Tag(0x7FE0, 0x0010), Tag(0x7FE0, 0x0008), Tag(0x7FE0, 0x0009)];

/// The top level of a data set; group lengths and padding are left out.
pub(crate) fn data_set(set: &DataSet, uri: &dyn Fn(&str) -> String) -> Result<Map<String, Json>> {
    Writer { set, uri }.elements(&set.elements, set.charset, "")
}

/// A tag as JSON and paths write it.
pub(crate) fn name(tag: Tag) -> String {
    format!("{:04X}{:04X}", tag.0, tag.1)
}

struct Writer<'a> {
    set: &'a DataSet,
    uri: &'a dyn Fn(&str) -> String,
}

impl Writer<'_> {
    fn elements(&self, elements: &[Element], charset: Charset, path: &str) -> Result<Map<String, Json>> {
        let mut map = Map::new();
        for element in elements {
            if element.tag.element() == 0 || element.tag == Tag(0xFFFC, 0xFFFC) {
                continue;
            }
            let path = format!("{path}{}", name(element.tag));
            map.insert(name(element.tag), self.element(element, charset, &path)?);
        }
        // What is told in UTF-8 says so (PS3.18 F.2).
        if let Some(set) = map.get_mut(&name(CHARACTER_SET)) {
            *set = json!({"vr": "CS", "Value": ["ISO_IR 192"]});
        }
        Ok(map)
    }

    fn element(&self, element: &Element, charset: Charset, path: &str) -> Result<Json> {
        let vr = if path.len() == 8 && element.tag == PIXELS[0] { Vr::OW } else { element.known_vr() };
        if let Some(items) = element.items() {
            return self.items(items, charset, path);
        }
        match &element.value {
            // Its items were told already.
            Value::Items(_) => Ok(json!({"vr": "SQ"})),
            Value::Fragments(_) => Ok(json!({"vr": vr.to_string(), "BulkDataURI": (self.uri)(path)})),
            Value::Bytes { len: 0, .. } => Ok(json!({"vr": vr.to_string()})),
            Value::Bytes { len, .. } if by_reference(element, vr, *len, path) => {
                Ok(json!({"vr": vr.to_string(), "BulkDataURI": (self.uri)(path)}))
            }
            Value::Bytes { .. } => self.value(element, vr, charset),
        }
    }

    fn items(&self, items: &[Item], charset: Charset, path: &str) -> Result<Json> {
        if items.is_empty() {
            return Ok(json!({"vr": "SQ"}));
        }
        let mut values = Vec::with_capacity(items.len());
        for (n, item) in items.iter().enumerate() {
            let charset = match item.get(CHARACTER_SET) {
                Some(element) => Charset::parse(&self.set.bytes(element)?),
                None => charset,
            };
            values.push(Json::Object(self.elements(&item.elements, charset, &format!("{path}/{n}/"))?));
        }
        Ok(json!({"vr": "SQ", "Value": values}))
    }

    fn value(&self, element: &Element, vr: Vr, charset: Charset) -> Result<Json> {
        let bytes = self.set.bytes_le(element)?;
        let values = match vr {
            Vr::OB | Vr::OD | Vr::OF | Vr::OL | Vr::OV | Vr::OW | Vr::UN => None,
            Vr::PN => Some(charset.values(&bytes, vr).iter().map(|v| person(v)).collect()),
            Vr::DS => Some(charset.values(&bytes, vr).iter().map(|v| decimal(v)).collect()),
            Vr::IS => Some(charset.values(&bytes, vr).iter().map(|v| integer(v)).collect()),
            Vr::AT => {
                exact(&bytes, |[a, b, c, d]| json!(name(Tag(u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])))))
            }
            Vr::US => exact(&bytes, |b| json!(u16::from_le_bytes(b))),
            Vr::SS => exact(&bytes, |b| json!(i16::from_le_bytes(b))),
            Vr::UL => exact(&bytes, |b| json!(u32::from_le_bytes(b))),
            Vr::SL => exact(&bytes, |b| json!(i32::from_le_bytes(b))),
            Vr::UV => exact(&bytes, |b| json!(u64::from_le_bytes(b))),
            Vr::SV => exact(&bytes, |b| json!(i64::from_le_bytes(b))),
            Vr::FL => finite(&bytes, |b| f64::from(f32::from_le_bytes(b))),
            Vr::FD => finite(&bytes, f64::from_le_bytes),
            _ => Some(charset.values(&bytes, vr).into_iter().map(text).collect()),
        };
        Ok(match values {
            Some(values) if values.iter().all(Json::is_null) && values.len() <= 1 => json!({"vr": vr.to_string()}),
            Some(values) => json!({"vr": vr.to_string(), "Value": values}),
            None => json!({"vr": vr.to_string(), "InlineBinary": base64(&bytes)}),
        })
    }
}

fn by_reference(element: &Element, vr: Vr, len: u64, path: &str) -> bool {
    if path.len() == 8 && PIXELS.contains(&element.tag) {
        return true;
    }
    match vr {
        Vr::OB | Vr::OD | Vr::OF | Vr::OL | Vr::OV | Vr::OW | Vr::UN => len > INLINE as u64,
        Vr::US | Vr::SS | Vr::UL | Vr::SL | Vr::UV | Vr::SV | Vr::FL | Vr::FD | Vr::AT => len > INLINE_NUMBERS,
        _ => false,
    }
}

/// Whole numbers of `N` bytes; `None` when the length is no multiple.
fn exact<const N: usize>(bytes: &[u8], one: impl Fn([u8; N]) -> Json) -> Option<Vec<Json>> {
    let (words, rest) = bytes.as_chunks::<N>();
    rest.is_empty().then(|| words.iter().map(|w| one(*w)).collect())
}

/// Floating point numbers; `None` when one has no JSON form.
fn finite<const N: usize>(bytes: &[u8], one: impl Fn([u8; N]) -> f64) -> Option<Vec<Json>> {
    let (words, rest) = bytes.as_chunks::<N>();
    if !rest.is_empty() {
        return None;
    }
    words.iter().map(|w| Number::from_f64(one(*w)).map(Json::Number)).collect()
}

fn text(value: String) -> Json {
    if value.is_empty() { Json::Null } else { Json::String(value) }
}

fn decimal(value: &str) -> Json {
    let value = value.trim();
    if let Ok(whole) = value.parse::<i64>() {
        return json!(whole);
    }
    match value.parse::<f64>().ok().and_then(Number::from_f64) {
        Some(number) => Json::Number(number),
        None => text(value.to_owned()),
    }
}

fn integer(value: &str) -> Json {
    let value = value.trim();
    value.parse::<i64>().map_or_else(|_| text(value.to_owned()), |n| json!(n))
}

/// A person name by its component groups (PS3.18 F.2.2).
fn person(value: &str) -> Json {
    let mut groups = Map::new();
    for (key, group) in ["Alphabetic", "Ideographic", "Phonetic"].into_iter().zip(value.split('=')) {
        let group = group.trim_end();
        if !group.is_empty() {
            groups.insert(key.into(), json!(group));
        }
    }
    if groups.is_empty() { Json::Null } else { Json::Object(groups) }
}

/// Base 64 (RFC 4648 section 4).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let group = three.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - three.len()));
        for n in 0..4 {
            let digit = (group >> (18 - 6 * n)) & 63;
            out.push(if n <= three.len() { char::from(ALPHABET[digit as usize]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_rfc_4648() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn numbers_stay_valid_json_whatever_they_are() {
        assert_eq!(decimal("1.50 "), json!(1.5));
        assert_eq!(decimal("+12"), json!(12));
        assert_eq!(decimal("1e999"), json!("1e999"));
        assert_eq!(decimal("NaN"), json!("NaN"));
        assert_eq!(integer("12a"), json!("12a"));
        assert_eq!(finite(&f32::NAN.to_le_bytes(), |b| f64::from(f32::from_le_bytes(b))), None);
    }

    #[test]
    fn person_names_by_group() {
        assert_eq!(person("A^B=C^D"), json!({"Alphabetic": "A^B", "Ideographic": "C^D"}));
        assert_eq!(person("=C"), json!({"Ideographic": "C"}));
        assert_eq!(person(""), Json::Null);
    }
}
