//! Keys against an item (PS3.4 C.2.2.2): single values and wild cards, ranges of dates and times, lists of UIDs, and sequences, in whose
//! items the keys match again; and what of an item is answered (PS3.4 K.4.1.1.3).

use super::attributes::{items, values, vr};
use dicom::{Tag, Vr};
use serde_json::{Map, Value, json};
use store::index::query::wild;
use store::index::{groups, patterns};

/// Does the item fulfil all keys that have a value?
pub fn matches(keys: &Map<String, Value>, item: &Map<String, Value>) -> bool {
    keys.iter().all(|(name, key)| {
        let (asked, there) = (values(Some(key)), values(item.get(name)));
        match vr(key) {
            Some(Vr::SQ) => match asked.first().and_then(Value::as_object) {
                None => true,
                // Keys without a value match where there is no item too.
                Some(inner) if there.is_empty() => matches(inner, &Map::new()),
                Some(inner) => there.iter().filter_map(Value::as_object).any(|item| matches(inner, item)),
            },
            Some(vr) => {
                let mut asked = asked.iter().map(text).filter(|value| !value.is_empty() && value != "*").peekable();
                asked.peek().is_none() || asked.any(|value| there.iter().any(|one| one_matches(vr, &value, one)))
            }
            None => true,
        }
    })
}

/// The item as far as it was asked for.
pub fn answer(keys: &Map<String, Value>, item: &Map<String, Value>) -> Map<String, Value> {
    let of = |name: &String, key: &Value| {
        let inner = values(Some(key)).first().and_then(Value::as_object).filter(|inner| !inner.is_empty());
        match (inner, tag(name).filter(|_| vr(key) == Some(Vr::SQ))) {
            // Of the items of a sequence those that match, as far as they were asked for.
            (Some(inner), Some(tag)) => {
                let found = items(item, tag).filter(|item| matches(inner, item)).map(|item| answer(inner, item));
                json!({"vr": "SQ", "Value": found.map(Value::Object).collect::<Vec<_>>()})
            }
            _ => item.get(name).cloned().unwrap_or_else(|| json!({"vr": key.get("vr")})),
        }
    };
    keys.iter().map(|(name, key)| (name.clone(), of(name, key))).collect()
}

fn tag(name: &str) -> Option<Tag> {
    let number = u32::from_str_radix(name, 16).ok()?;
    Some(Tag((number >> 16) as u16, number as u16))
}

fn one_matches(vr: Vr, asked: &str, there: &Value) -> bool {
    let text = text(there);
    match vr {
        Vr::DA | Vr::TM | Vr::DT => in_range(&plain(asked), &plain(&text)),
        Vr::UI => asked == text,
        Vr::PN => name_matches(asked, &text),
        // Peers get the case of titles wrong.
        Vr::AE => wild(&asked.trim().to_ascii_lowercase(), &text.trim().to_ascii_lowercase()),
        _ => wild(asked.trim(), text.trim()),
    }
}

/// A date or time without what old forms of it have between the digits.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, ' ' | ':') && *c != '.').collect()
}

/// At this date or time, or between two, both included; each as exact as it is written.
fn in_range(asked: &str, text: &str) -> bool {
    match asked.split_once('-') {
        None => text.starts_with(asked),
        Some((from, to)) => text >= from && (to.is_empty() || text <= to || text.starts_with(to)),
    }
}

/// A group of the name that was asked for matches the same group; where only one was, any.
fn name_matches(asked: &str, text: &str) -> bool {
    let there = groups(text);
    let place = |n: usize| asked.contains('=').then_some(n);
    asked.split('=').enumerate().filter(|(_, group)| !group.trim().is_empty()).all(|(n, group)| {
        let wanted = patterns(group);
        let mut of_place = there.iter().filter(|(at, _)| place(n).is_none_or(|n| n == *at));
        of_place.any(|(_, text)| wanted.iter().any(|pattern| wild(pattern, text)))
    })
}

/// A value as text: a name with its groups.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(name) => {
            let group = |of: &str| name.get(of).and_then(Value::as_str).unwrap_or_default();
            [group("Alphabetic"), group("Ideographic"), group("Phonetic")].join("=").trim_end_matches('=').to_owned()
        }
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(json: Value) -> Map<String, Value> {
        json.as_object().unwrap().clone()
    }

    fn item() -> Map<String, Value> {
        let step = json!({
            "00400001": {"vr": "AE", "Value": ["CT1", "CT2"]},
            "00400002": {"vr": "DA", "Value": ["20240105"]},
            "00400003": {"vr": "TM", "Value": ["0930"]},
            "00080060": {"vr": "CS", "Value": ["CT"]},
        });
        map(json!({
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "M\u{fc}ller^Ana", "Ideographic": "\u{5c71}"}]},
            "00100020": {"vr": "LO", "Value": ["P1"]},
            "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
            "00400100": {"vr": "SQ", "Value": [step]},
        }))
    }

    #[test]
    fn keys_match_as_the_standard_has_it() {
        let of = |name: &str, vr: &str, value: &str| map(json!({name: {"vr": vr, "Value": [value]}}));
        let of_step =
            |name: &str, vr: &str, value: &str| map(json!({"00400100": {"vr": "SQ", "Value": [of(name, vr, value)]}}));
        for (keys, expected) in [
            (of("00100010", "PN", "muller*"), true),
            (of("00100010", "PN", "muller"), false),
            (of("00100010", "PN", "=\u{5c71}"), true),
            (of("00100010", "PN", "\u{5c71}="), false),
            (of("00100020", "LO", "P?"), true),
            (of("00100020", "LO", "p1"), false),
            (of("00080050", "SH", "A1"), false),
            (of("00080050", "SH", "*"), true),
            (of("0020000D", "UI", "1.2.3"), true),
            (of_step("00400001", "AE", "ct2 "), true),
            (of_step("00400001", "AE", "CT3"), false),
            (of_step("00400002", "DA", "20240105"), true),
            (of_step("00400002", "DA", "20240101-20240105"), true),
            (of_step("00400002", "DA", "-20240104"), false),
            (of_step("00400002", "DA", "2024.01.05-"), true),
            (of_step("00400003", "TM", "09-10"), true),
            (of_step("00400003", "TM", "0931-10"), false),
            (of_step("00080060", "CS", "MR"), false),
            (of_step("00400007", "LO", ""), true),
            (map(json!({"00400100": {"vr": "SQ"}})), true),
            (map(json!({"00081110": {"vr": "SQ", "Value": [{"00081150": {"vr": "UI"}}]}})), true),
            (map(json!({"0020000D": {"vr": "UI", "Value": ["1.9", "1.2.3"]}})), true),
        ] {
            assert_eq!(matches(&keys, &item()), expected, "{keys:?}");
        }
    }

    #[test]
    fn what_was_asked_for_is_answered() {
        let keys = map(json!({
            "00100020": {"vr": "LO"},
            "00101030": {"vr": "DS"},
            "00400100": {"vr": "SQ", "Value": [{"00080060": {"vr": "CS", "Value": ["CT"]}, "00400010": {"vr": "SH"}}]},
        }));
        let expected = json!({
            "00100020": {"vr": "LO", "Value": ["P1"]},
            "00101030": {"vr": "DS"},
            "00400100": {"vr": "SQ", "Value": [{"00080060": {"vr": "CS", "Value": ["CT"]}, "00400010": {"vr": "SH"}}]},
        });
        assert_eq!(Value::Object(answer(&keys, &item())), expected);
        let whole = map(json!({"00400100": {"vr": "SQ"}}));
        assert_eq!(answer(&whole, &item())["00400100"], item()["00400100"]);
    }
}
