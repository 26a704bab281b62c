//! The Native DICOM Model (PS3.19 A.1) as XML, made of the DICOM JSON model, attribute by attribute.

use dicom_core::Tag;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::StandardDataDictionary;
use serde_json::{Map, Value};
use std::fmt::Write;

/// The parts of a name, in the order of PS3.5 6.2.1.1.
const NAME_PARTS: [&str; 5] = ["FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix"];

/// A document of one data set.
pub fn document(data_set: &Map<String, Value>) -> String {
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<NativeDicomModel xmlns=\"http://dicom.nema.org/PS3.19/models/NativeDICOM\" \
         xml:space=\"preserve\">",
    );
    attributes(&mut out, data_set);
    out.push_str("</NativeDicomModel>\n");
    out
}

fn attributes(out: &mut String, data_set: &Map<String, Value>) {
    for (tag, attribute) in data_set {
        let vr = attribute["vr"].as_str().unwrap_or("UN");
        let _ = write!(out, "<DicomAttribute tag=\"{}\" vr=\"{}\"", escaped(tag), escaped(vr));
        if let Some(creator) = creator(data_set, tag) {
            let _ = write!(out, " privateCreator=\"{}\"", escaped(creator));
        } else if let Some(keyword) = keyword(tag) {
            let _ = write!(out, " keyword=\"{keyword}\"");
        }
        out.push('>');
        content(out, vr, attribute);
        out.push_str("</DicomAttribute>");
    }
}

fn content(out: &mut String, vr: &str, attribute: &Value) {
    if let Some(uri) = attribute["BulkDataURI"].as_str() {
        let _ = write!(out, "<BulkData uri=\"{}\"/>", escaped(uri));
    }
    if let Some(base64) = attribute["InlineBinary"].as_str() {
        let _ = write!(out, "<InlineBinary>{}</InlineBinary>", escaped(base64));
    }
    let values = attribute["Value"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (number, value) in (1..).zip(values) {
        match (vr, value) {
            // An empty value among others keeps its number by not being there.
            (_, Value::Null) => {}
            ("SQ", Value::Object(item)) => {
                let _ = write!(out, "<Item number=\"{number}\">");
                attributes(out, item);
                out.push_str("</Item>");
            }
            ("PN", Value::Object(name)) => {
                let _ = write!(out, "<PersonName number=\"{number}\">");
                person(out, name);
                out.push_str("</PersonName>");
            }
            (_, value) => {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let _ = write!(out, "<Value number=\"{number}\">{}</Value>", escaped(&text));
            }
        }
    }
}

fn person(out: &mut String, name: &Map<String, Value>) {
    for group in ["Alphabetic", "Ideographic", "Phonetic"] {
        let Some(text) = name.get(group).and_then(Value::as_str).filter(|text| !text.is_empty()) else { continue };
        let _ = write!(out, "<{group}>");
        for (part, text) in NAME_PARTS.iter().zip(text.split('^')).filter(|(_, text)| !text.is_empty()) {
            let _ = write!(out, "<{part}>{}</{part}>", escaped(text));
        }
        let _ = write!(out, "</{group}>");
    }
}

/// The private creator of a private attribute (PS3.5 7.8.1).
fn creator<'a>(data_set: &'a Map<String, Value>, tag: &str) -> Option<&'a str> {
    let (group, element) = numbers(tag)?;
    if group % 2 == 0 || element < 0x1000 {
        return None;
    }
    data_set.get(&format!("{group:04X}{:04X}", element >> 8))?["Value"][0].as_str()
}

fn keyword(tag: &str) -> Option<&'static str> {
    let (group, element) = numbers(tag)?;
    Some(StandardDataDictionary.by_tag(Tag(group, element))?.alias()).filter(|keyword| !keyword.contains(' '))
}

fn numbers(tag: &str) -> Option<(u16, u16)> {
    let number = u32::from_str_radix(tag, 16).ok().filter(|_| tag.len() == 8)?;
    Some(((number >> 16) as u16, number as u16))
}

/// Text of an element or an attribute. Controls that XML 1.0 has no way to write become U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            '\u{FFFE}' | '\u{FFFF}' => out.push('\u{FFFD}'),
            c if c < ' ' => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_kind_of_value() {
        let set = json!({
            "00080008": {"vr": "CS", "Value": ["ORIGINAL", null, "A&<B>\u{1}"]},
            "00090010": {"vr": "LO", "Value": ["ACME \"1\""]},
            "00091001": {"vr": "OB", "InlineBinary": "AAE="},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Dawn^Aurora^^Dr", "Ideographic": "曙"}]},
            "00280010": {"vr": "US", "Value": [512]},
            "00081140": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2"]}}, {}]},
            "7FE00010": {"vr": "OW", "BulkDataURI": "http://here/a?b&c"},
        });
        let text = document(set.as_object().unwrap());
        for piece in [
            "<DicomAttribute tag=\"00080008\" vr=\"CS\" keyword=\"ImageType\"><Value number=\"1\">ORIGINAL</Value>\
             <Value number=\"3\">A&amp;&lt;B&gt;\u{FFFD}</Value></DicomAttribute>",
            "tag=\"00091001\" vr=\"OB\" privateCreator=\"ACME &quot;1&quot;\"><InlineBinary>AAE=</InlineBinary>",
            "<PersonName number=\"1\"><Alphabetic><FamilyName>Dawn</FamilyName><GivenName>Aurora</GivenName>\
             <NamePrefix>Dr</NamePrefix></Alphabetic><Ideographic><FamilyName>曙</FamilyName></Ideographic></PersonName>",
            "<Value number=\"1\">512</Value>",
            "<Item number=\"1\"><DicomAttribute tag=\"00081155\" vr=\"UI\" keyword=\"ReferencedSOPInstanceUID\">",
            "<Item number=\"2\"></Item>",
            "<BulkData uri=\"http://here/a?b&amp;c\"/>",
        ] {
            assert!(text.contains(piece), "{piece}\n{text}");
        }
        assert!(text.ends_with("</NativeDicomModel>\n"));
    }
}
