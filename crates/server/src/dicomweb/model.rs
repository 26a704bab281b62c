//! Data sets on the wire: the DICOM JSON model or the Native DICOM Model in XML (PS3.18 8.7.3.2, Table 8.7.3-3).

use crate::accept::{self, MediaRange};
use crate::error::{Answered, Problem};
use crate::media::{self, DICOM_JSON, DICOM_XML};
use crate::multipart::Multipart;
use crate::native_xml;
use crate::reply::Reply;
use crate::representation::Segment;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// How data sets are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// One array of JSON.
    Json,
    /// `multipart/related`, one document of XML a part.
    Xml,
}

impl Model {
    /// What the client likes best of the two; JSON is the default.
    pub fn of(accept: Option<&str>) -> Answered<Model> {
        let offer = |range: &MediaRange| match range.essence.as_str() {
            "multipart/related" | "multipart/*" => {
                let part = range.parameter("type").map(str::to_ascii_lowercase);
                part.is_none_or(|part| accept::covers(&part, DICOM_XML)).then_some(Model::Xml)
            }
            _ if range.covers(DICOM_JSON) || range.covers("application/json") => Some(Model::Json),
            // One document holds one data set; of several there is no other form than parts.
            DICOM_XML | "application/xml" | "text/xml" => Some(Model::Xml),
            _ => None,
        };
        let ranges = accept::parse(accept.unwrap_or_default());
        let found = ranges.iter().find_map(offer);
        found.or_else(|| media::takes_stored(accept).then_some(Model::Json)).ok_or_else(|| {
            Problem::not_acceptable(format!("given as {DICOM_JSON} or as multipart/related; type=\"{DICOM_XML}\""))
        })
    }
}

/// Data sets as XML, one a part. `tag` names their content; without one they are named by what they are.
pub fn xml<'a>(data_sets: impl Iterator<Item = &'a Map<String, Value>>, tag: Option<String>) -> Reply {
    let documents: Vec<String> = data_sets.map(native_xml::document).collect();
    let tag = tag.unwrap_or_else(|| hash(documents.iter().map(String::as_bytes)));
    let tag = format!("{tag}-xml");
    let mut body = Multipart::new(&tag);
    for document in documents {
        body.part(DICOM_XML, [Segment::Memory(document.into())]);
    }
    let (content_type, segments) = body.finish(DICOM_XML);
    let mut bytes = Vec::new();
    for segment in segments {
        if let Segment::Memory(piece) = segment {
            bytes.extend_from_slice(&piece);
        }
    }
    Reply::new(content_type, bytes).tagged(tag)
}

/// A short name of a content.
pub fn hash<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    pieces.for_each(|piece| hash.update(piece));
    hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_unless_xml_is_liked_better() {
        let of = |accept| Model::of(accept).ok();
        for accept in [
            None,
            Some(""),
            Some("undefined"),
            Some("*/*"),
            Some("application/json"),
            Some("text/html, application/dicom+json;q=0.1"),
            Some("application/*"),
            Some("multipart/related; type=application/octet-stream; transfer-syntax=*"),
        ] {
            assert_eq!(of(accept), Some(Model::Json), "{accept:?}");
        }
        for accept in [
            "multipart/related; type=\"application/dicom+xml\"",
            "application/dicom+json;q=0.5, multipart/related; type=application/dicom+xml",
            "application/dicom+xml",
        ] {
            assert_eq!(of(Some(accept)), Some(Model::Xml), "{accept}");
        }
        for accept in ["text/html", "image/png", "application/pdf", "*/*;q=0"] {
            assert_eq!(of(Some(accept)), None, "{accept}");
        }
    }
}
