//! The Native DICOM Model in XML (PS3.19 A.1) as DICOM JSON, read strictly: what it can say both say.

use super::json;
use dicom::Tag;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use serde_json::{Map, Value, json};

/// Elements within elements: a sequence takes two of them.
const DEEPEST: usize = 80;
/// Values that may be missing before one.
const LARGEST_GAP: usize = 1024;

type Result<T> = std::result::Result<T, &'static str>;

/// An element that was begun.
enum Open {
    Model(Map<String, Value>),
    Attribute { name: String, creator: Option<String>, map: Map<String, Value>, values: Vec<Value> },
    Item { number: usize, set: Map<String, Value> },
    Value { number: usize },
    Person { number: usize, groups: Map<String, Value> },
    Group { name: String, components: [String; 5] },
    Component(usize),
    Inline,
    Bulk,
}

/// The data set of a document.
pub fn read(text: &str) -> Result<Map<String, Value>> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let (mut open, mut said, mut model) = (Vec::new(), String::new(), None);
    loop {
        match reader.read_event().map_err(|_| "the metadata is no well-formed XML")? {
            Event::Start(start) => {
                if open.len() == DEEPEST || model.is_some() {
                    return Err("the metadata is nested too deep, or has more than one model");
                }
                said.clear();
                let begun = begin(&start, open.last_mut())?;
                open.push(begun);
            }
            Event::End(_) => {
                let ended = open.pop().ok_or("the metadata is no well-formed XML")?;
                let said = std::mem::take(&mut said);
                match (ended, open.last_mut()) {
                    (Open::Model(set), None) => model = Some(set),
                    (ended, Some(parent)) => end(ended, said, parent)?,
                    _ => return Err("the metadata is no NativeDicomModel"),
                }
            }
            Event::Text(text) => said.push_str(&text.xml10_content()),
            Event::CData(text) => said.push_str(&text.xml10_content()),
            Event::GeneralRef(entity) => match entity.resolve_char_ref() {
                Ok(Some(one)) => said.push(one),
                // No entities but those of XML itself: nothing grows here.
                _ => said.push_str(resolve_predefined_entity(&entity.xml10_content()).ok_or("an entity is not known")?),
            },
            Event::DocType(_) => return Err("a document type is not taken"),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Empty(_) => return Err("the metadata is no well-formed XML"),
            Event::Eof => return model.filter(|_| open.is_empty()).ok_or("the metadata is no NativeDicomModel"),
        }
    }
}

fn begin(start: &BytesStart, parent: Option<&mut Open>) -> Result<Open> {
    let name = start.local_name();
    Ok(match (name.as_ref(), parent) {
        ("NativeDicomModel", None) => Open::Model(Map::new()),
        ("DicomAttribute", Some(Open::Model(_) | Open::Item { .. })) => {
            let vr = attribute(start, "vr")?.ok_or("an attribute has no VR")?;
            Open::Attribute {
                name: attribute(start, "tag")?.ok_or("an attribute has no tag")?,
                creator: attribute(start, "privateCreator")?,
                map: Map::from_iter([("vr".to_owned(), vr.into())]),
                values: Vec::new(),
            }
        }
        ("Item", Some(Open::Attribute { .. })) => Open::Item { number: number(start)?, set: Map::new() },
        ("Value", Some(Open::Attribute { .. })) => Open::Value { number: number(start)? },
        ("PersonName", Some(Open::Attribute { .. })) => Open::Person { number: number(start)?, groups: Map::new() },
        (group @ ("Alphabetic" | "Ideographic" | "Phonetic"), Some(Open::Person { .. })) => {
            Open::Group { name: group.to_owned(), components: Default::default() }
        }
        (component, Some(Open::Group { .. })) => {
            let names = ["FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix"];
            Open::Component(names.iter().position(|name| *name == component).ok_or("a name has an unknown component")?)
        }
        ("InlineBinary", Some(Open::Attribute { .. })) => Open::Inline,
        ("BulkData", Some(Open::Attribute { map, .. })) => {
            let uri = attribute(start, "uri")?.ok_or("bulk data has no uri")?;
            map.insert("BulkDataURI".into(), uri.into());
            Open::Bulk
        }
        _ => return Err("the metadata has an element where there is none in a NativeDicomModel"),
    })
}

fn end(ended: Open, said: String, parent: &mut Open) -> Result<()> {
    match (ended, parent) {
        (Open::Attribute { name, creator, mut map, values }, Open::Model(set) | Open::Item { set, .. }) => {
            if !values.is_empty() {
                map.insert("Value".into(), values.into());
            }
            add(set, name, creator, map)
        }
        (Open::Item { number, set }, Open::Attribute { values, .. }) => place(values, number, Value::Object(set)),
        (Open::Value { number }, Open::Attribute { values, .. }) => place(values, number, said.into()),
        (Open::Person { number, groups }, Open::Attribute { values, .. }) => place(values, number, groups.into()),
        (Open::Group { name, components }, Open::Person { groups, .. }) => {
            groups.insert(name, components.join("^").trim_end_matches('^').into());
            Ok(())
        }
        (Open::Component(at), Open::Group { components, .. }) => {
            components[at] = said;
            Ok(())
        }
        (Open::Inline, Open::Attribute { map, .. }) => {
            let text: String = said.split_ascii_whitespace().collect();
            map.insert("InlineBinary".into(), text.into());
            Ok(())
        }
        (Open::Bulk, _) => Ok(()),
        _ => Err("the metadata is no NativeDicomModel"),
    }
}

/// Puts a value where its number says; what is missing before it is empty.
fn place(values: &mut Vec<Value>, number: usize, value: Value) -> Result<()> {
    if number <= values.len() || number - values.len() > LARGEST_GAP {
        return Err("the numbers of values do not rise");
    }
    values.resize(number - 1, Value::Null);
    values.push(value);
    Ok(())
}

/// Adds an attribute; one that is private gets a block of its creator (PS3.5 7.8.1).
fn add(set: &mut Map<String, Value>, name: String, creator: Option<String>, map: Map<String, Value>) -> Result<()> {
    let Some(Tag(group, element)) = json::tag(&name) else { return Err("a tag is no eight hexadecimal digits") };
    let name = match creator.filter(|_| group % 2 == 1 && !(0x10..=0xFF).contains(&element)) {
        None => name.to_ascii_uppercase(),
        Some(creator) => {
            let is_of = |block: u16| {
                let known = set.get(&format!("{group:04X}{block:04X}"));
                known.is_none_or(|known| known["Value"][0] == creator.as_str())
            };
            let wanted = element >> 8;
            let block =
                if wanted > 0 { Some(wanted).filter(|block| is_of(*block)) } else { (0x10..=0xFF).find(|b| is_of(*b)) };
            let block = block.ok_or("a private attribute is not of the creator of its block")?;
            set.insert(format!("{group:04X}{block:04X}"), json!({"vr": "LO", "Value": [creator]}));
            format!("{group:04X}{block:02X}{:02X}", element & 0xFF)
        }
    };
    match set.insert(name, map.into()) {
        None => Ok(()),
        Some(_) => Err("an attribute is there twice"),
    }
}

fn attribute(start: &BytesStart, name: &str) -> Result<Option<String>> {
    let found = start.try_get_attribute(name).map_err(|_| "the metadata is no well-formed XML")?;
    let value =
        found.map(|found| found.normalized_value(XmlVersion::Explicit1_0).map(|value| value.into_owned())).transpose();
    value.map_err(|_| "the metadata is no well-formed XML")
}

fn number(start: &BytesStart) -> Result<usize> {
    attribute(start, "number")?.and_then(|text| text.parse().ok()).ok_or("a value has no number")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(inside: &str) -> Result<Value> {
        read(&format!(
            "<?xml version=\"1.0\"?><NativeDicomModel xmlns=\"http://dicom.nema.org/PS3.19/models/NativeDICOM\">{inside}</NativeDicomModel>"
        ))
        .map(Value::Object)
    }

    #[test]
    fn what_it_says() {
        let text = "<!-- x --><DicomAttribute tag=\"00100010\" vr=\"PN\" keyword=\"PatientName\"><PersonName number=\"1\">\
            <Alphabetic><FamilyName>M&#252;ller &amp; S</FamilyName><NamePrefix>Dr</NamePrefix></Alphabetic></PersonName></DicomAttribute>\
            <DicomAttribute tag=\"00081140\" vr=\"SQ\"><Item number=\"1\"><DicomAttribute tag=\"00081155\" vr=\"UI\">\
            <Value number=\"1\">1.2</Value></DicomAttribute></Item></DicomAttribute>\
            <DicomAttribute tag=\"00080008\" vr=\"CS\"><Value number=\"1\">A</Value><Value number=\"3\"><![CDATA[C]]></Value></DicomAttribute>\
            <DicomAttribute tag=\"00090002\" vr=\"OB\" privateCreator=\"ACME\"><InlineBinary>AQ ==\n</InlineBinary></DicomAttribute>\
            <DicomAttribute tag=\"7FE00010\" vr=\"OW\"><BulkData uri=\"pixels\"/></DicomAttribute><DicomAttribute tag=\"00100020\" vr=\"LO\"/>";
        let wanted = json!({
            "00080008": {"vr": "CS", "Value": ["A", null, "C"]},
            "00081140": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2"]}}]},
            "00090010": {"vr": "LO", "Value": ["ACME"]},
            "00091002": {"vr": "OB", "InlineBinary": "AQ=="},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Müller & S^^^Dr"}]},
            "00100020": {"vr": "LO"},
            "7FE00010": {"vr": "OW", "BulkDataURI": "pixels"},
        });
        assert_eq!(model(text), Ok(wanted));
    }

    #[test]
    fn what_is_no_model() {
        let attribute = |inside: &str| format!("<DicomAttribute tag=\"00100010\" vr=\"LO\">{inside}</DicomAttribute>");
        let deep = "<DicomAttribute tag=\"00081140\" vr=\"SQ\"><Item number=\"1\">".repeat(50);
        for text in [
            "<Value number=\"1\">A</Value>".to_owned(),
            attribute("<Value>A</Value>"),
            attribute("<Value number=\"0\">A</Value>"),
            attribute("<Value number=\"2000000000\">A</Value>"),
            attribute("<Value number=\"1\">&lol;</Value>"),
            attribute("<Value number=\"1\">"),
            attribute("") + &attribute(""),
            "<DicomAttribute vr=\"LO\"/>".to_owned(),
            "<DicomAttribute tag=\"00100010\"/>".to_owned(),
            "<DicomAttribute tag=\"name\" vr=\"LO\"/>".to_owned(),
            deep,
        ] {
            assert!(model(&text).is_err(), "{text}");
        }
        for text in ["", "<a/>", "<!DOCTYPE a><NativeDicomModel/>", "<NativeDicomModel/><NativeDicomModel/>", "{}"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(read("<NativeDicomModel/>"), Ok(Map::new()));
    }
}
