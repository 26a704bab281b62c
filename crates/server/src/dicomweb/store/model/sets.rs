//! The data sets of a part of metadata in DICOM JSON (PS3.18 F.2): an array of them, or one.

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// A data set.
pub type Set = Map<String, Value>;

/// Data sets of one request.
pub const MOST: usize = 10_000;

/// Reads no more than [`MOST`] of them: an array of empty ones would take many times its bytes.
pub fn read(bytes: &[u8]) -> Result<Vec<Set>, String> {
    let read: serde_json::Result<Sets> = serde_json::from_slice(bytes);
    read.map(|sets| sets.0).map_err(|error| format!("the metadata is no DICOM JSON: {error}"))
}

#[derive(Debug)]
struct Sets(Vec<Set>);

impl<'de> Deserialize<'de> for Sets {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Sets, D::Error> {
        from.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Sets;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("data sets")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Sets, A::Error> {
        let mut sets = Vec::new();
        while let Some(set) = all.next_element()? {
            if sets.len() == MOST {
                return Err(A::Error::custom(format!("more than {MOST} data sets")));
            }
            sets.push(set);
        }
        Ok(Sets(sets))
    }

    fn visit_map<A: MapAccess<'de>>(self, one: A) -> Result<Sets, A::Error> {
        Ok(Sets(vec![Set::deserialize(MapAccessDeserializer::new(one))?]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_of_sets_or_one() {
        let count = |text: &str| read(text.as_bytes()).map(|sets| sets.len()).ok();
        assert_eq!(count("[]"), Some(0));
        assert_eq!(count("{}"), Some(1));
        assert_eq!(count("[{\"00100010\": {\"vr\": \"PN\"}}, {}]"), Some(2));
        for text in ["", "1", "\"x\"", "[1]", "[{}", "[{}, []]", "null", "{} {}"] {
            assert_eq!(count(text), None, "{text}");
        }
        let many = |n: usize| format!("[{}]", vec!["{}"; n].join(","));
        assert_eq!(count(&many(MOST)), Some(MOST));
        let why = read(many(MOST + 1).as_bytes()).unwrap_err();
        assert!(why.contains("more than 10000 data sets"), "{why}");
    }
}
