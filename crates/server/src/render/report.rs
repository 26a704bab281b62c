//! Structured reports for reading (PS3.3 C.17.3; the text of PS3.18 8.7.4): the tree of content as HTML or as plain text.

use serde_json::{Map, Value};
use std::fmt::Write;

/// Items deeper than this are left out.
const DEEPEST: usize = 64;

/// The report as a page without script or style.
pub fn html(report: &Map<String, Value>) -> String {
    let title = name_of(report).unwrap_or_else(|| "Report".into());
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0}</title></head><body><h1>{0}</h1><dl>",
        escaped(&title)
    );
    for (label, value) in head(report) {
        let _ = write!(out, "<dt>{label}</dt><dd>{}</dd>", escaped(&value));
    }
    out.push_str("</dl>");
    html_items(&mut out, report, 0);
    out.push_str("</body></html>\n");
    out
}

/// The report as lines, deeper ones indented.
pub fn text(report: &Map<String, Value>) -> String {
    let mut out = name_of(report).unwrap_or_else(|| "Report".into());
    out.push('\n');
    for (label, value) in head(report) {
        let _ = writeln!(out, "{label}: {value}");
    }
    text_items(&mut out, report, 0);
    out
}

/// Whose report it is, and what became of it.
fn head(report: &Map<String, Value>) -> Vec<(&'static str, String)> {
    const HEAD: [(&str, &str); 6] = [
        ("Patient", "00100010"),
        ("Patient ID", "00100020"),
        ("Birth date", "00100030"),
        ("Date", "00080023"),
        ("Completion", "0040A491"),
        ("Verification", "0040A493"),
    ];
    HEAD.into_iter().filter_map(|(label, tag)| Some((label, first(report, tag)?))).collect()
}

fn html_items(out: &mut String, parent: &Map<String, Value>, depth: usize) {
    let items = items(parent, "0040A730");
    if items.is_empty() || depth == DEEPEST {
        return;
    }
    out.push_str("<ul>");
    for item in items {
        out.push_str("<li>");
        if let Some(name) = name_of(item) {
            let _ = write!(out, "<strong>{}</strong> ", escaped(&name));
        }
        out.push_str(&escaped(&value_of(item)));
        html_items(out, item, depth + 1);
        out.push_str("</li>");
    }
    out.push_str("</ul>");
}

fn text_items(out: &mut String, parent: &Map<String, Value>, depth: usize) {
    if depth == DEEPEST {
        return;
    }
    for item in items(parent, "0040A730") {
        let (name, value) = (name_of(item).unwrap_or_default(), value_of(item));
        let colon = if name.is_empty() || value.is_empty() { "" } else { ": " };
        let _ = writeln!(out, "{}{name}{colon}{value}", "  ".repeat(depth));
        text_items(out, item, depth + 1);
    }
}

/// The items of a sequence.
fn items<'a>(set: &'a Map<String, Value>, tag: &str) -> Vec<&'a Map<String, Value>> {
    let values = set.get(tag).and_then(|attribute| attribute.get("Value")?.as_array());
    values.into_iter().flatten().filter_map(Value::as_object).collect()
}

/// The meaning of the code that names an item.
fn name_of(item: &Map<String, Value>) -> Option<String> {
    first(items(item, "0040A043").first()?, "00080104")
}

/// What an item says, by its value type (PS3.3 Table C.17.3-7).
fn value_of(item: &Map<String, Value>) -> String {
    let told = |tag: &str| first(item, tag).unwrap_or_default();
    let meaning = |tag: &str| items(item, tag).first().and_then(|code| first(code, "00080104")).unwrap_or_default();
    match told("0040A040").as_str() {
        "TEXT" => told("0040A160"),
        "CODE" => meaning("0040A168"),
        "NUM" => items(item, "0040A300").first().map_or(String::new(), |measured| {
            let unit = items(measured, "004008EA").first().and_then(|code| first(code, "00080104")).unwrap_or_default();
            format!("{} {unit}", first(measured, "0040A30A").unwrap_or_default()).trim().to_owned()
        }),
        "PNAME" => told("0040A123"),
        "DATE" => told("0040A121"),
        "TIME" => told("0040A122"),
        "DATETIME" => told("0040A120"),
        "UIDREF" => told("0040A124"),
        "IMAGE" | "COMPOSITE" | "WAVEFORM" => {
            items(item, "00081199").first().and_then(|object| first(object, "00081155")).unwrap_or_default()
        }
        _ => String::new(),
    }
}

/// The first value of an attribute as text.
fn first(set: &Map<String, Value>, tag: &str) -> Option<String> {
    let text = match set.get(tag)?.get("Value")?.get(0)? {
        Value::String(text) => text.clone(),
        Value::Object(name) => name.get("Alphabetic")?.as_str()?.replace('^', " "),
        Value::Null => return None,
        other => other.to_string(),
    };
    Some(text).filter(|text| !text.trim().is_empty())
}

fn escaped(text: &str) -> String {
    let safe = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    safe.replace("\r\n", "\n").replace('\n', "<br>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn code(meaning: &str) -> Value {
        json!({"vr": "SQ", "Value": [{"00080104": {"vr": "LO", "Value": [meaning]}}]})
    }

    fn item(kind: &str, name: &str, more: Value) -> Value {
        let mut item = json!({"0040A040": {"vr": "CS", "Value": [kind]}, "0040A043": code(name)});
        item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        item
    }

    #[test]
    fn every_value_is_in_its_place() {
        let measured = json!({"0040A300": {"vr": "SQ", "Value": [
            {"0040A30A": {"vr": "DS", "Value": [12.5]}, "004008EA": code("mm")}]}});
        let finding = item(
            "CONTAINER",
            "Findings",
            json!({"0040A730": {"vr": "SQ", "Value": [
            item("NUM", "Diameter", measured),
            item("CODE", "Side", json!({"0040A168": code("left")})),
            item("TEXT", "Remark", json!({"0040A160": {"vr": "UT", "Value": ["<b>a & b</b>\r\nsecond"]}}))]}}),
        );
        let report = json!({
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Dawn^Aurora"}]},
            "0040A043": code("Chest report"),
            "0040A730": {"vr": "SQ", "Value": [finding]},
        });
        let page = html(report.as_object().unwrap());
        for piece in [
            "<title>Chest report</title>",
            "<dt>Patient</dt><dd>Dawn Aurora</dd>",
            "<li><strong>Findings</strong> <ul><li><strong>Diameter</strong> 12.5 mm</li>",
            "<strong>Side</strong> left",
            "&lt;b&gt;a &amp; b&lt;/b&gt;<br>second",
        ] {
            assert!(page.contains(piece), "{piece}\n{page}");
        }
        let lines = text(report.as_object().unwrap());
        assert!(lines.starts_with("Chest report\nPatient: Dawn Aurora\nFindings\n  Diameter: 12.5 mm\n"), "{lines}");
    }
}
