//! Encapsulated documents (PS3.3 C.24): what they are, and where they end.

use crate::data_set::{DataSet, Tag};
use crate::error::Result;
use crate::facts::Facts;

const MIME_TYPE: Tag = Tag(0x0042, 0x0012);
const LENGTH: Tag = Tag(0x0042, 0x0015);
const OCTETS: &str = "application/octet-stream";
/// Longer ones are no media type.
const LONGEST: usize = 100;
/// Bytes at the end that are looked at.
const TAIL: u64 = 16;

/// SOP classes whose documents are of one type.
const OF_CLASS: [(&str, &str); 5] = [
    ("1.2.840.10008.5.1.4.1.1.104.1", "application/pdf"),
    ("1.2.840.10008.5.1.4.1.1.104.2", "text/xml"),
    ("1.2.840.10008.5.1.4.1.1.104.3", "model/stl"),
    ("1.2.840.10008.5.1.4.1.1.104.4", "model/obj"),
    ("1.2.840.10008.5.1.4.1.1.104.5", "model/mtl"),
];

/// Length and media type of the document in `len` bytes at `offset`.
pub(crate) fn describe(set: &DataSet, facts: &Facts, offset: u64, len: u64) -> Result<(u64, String)> {
    let told = set.string(MIME_TYPE).and_then(|told| media_type(&told));
    let of_class =
        || OF_CLASS.iter().find(|(class, _)| *class == facts.sop_class_uid).map(|(_, kind)| kind.to_string());
    let media_type = told.or_else(of_class).unwrap_or_else(|| OCTETS.to_owned());
    if let Some(told) = set.get(LENGTH).map(|e| set.bytes_le(e)).transpose()?
        && let Some(told) = told.first_chunk().map(|bytes| u64::from(u32::from_le_bytes(*bytes)))
        && (told == len || told + 1 == len)
    {
        return Ok((told, media_type));
    }
    let from = len.saturating_sub(TAIL);
    let tail = set.input.bytes(offset + from, len - from)?;
    Ok((len - u64::from(is_padded(&media_type, len, &tail)), media_type))
}

/// `type/subtype` in lower case, without parameters.
fn media_type(told: &str) -> Option<String> {
    let essence = told.split(';').next()?.trim().to_ascii_lowercase();
    let token =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b));
    let (kind, subtype) = essence.split_once('/')?;
    (essence.len() <= LONGEST && token(kind) && token(subtype)).then_some(essence)
}

/// Is the last byte certainly none of the document's? Only where its format says so.
fn is_padded(media_type: &str, len: u64, tail: &[u8]) -> bool {
    let Some((0, rest)) = tail.split_last() else { return false };
    match media_type {
        // ISO 32000-1 7.5.5: the last line is %%EOF.
        "application/pdf" => rest.trim_ascii_end().ends_with(b"%%EOF"),
        // 80 bytes, the number of triangles, 50 bytes each.
        "model/stl" => len > 84 && (len - 84) % 50 == 1,
        // XML 1.0 2.2: NUL is no character; nor is it one of a text in UTF-8.
        kind => {
            (kind.starts_with("text/") || kind.ends_with("+xml") || kind == "application/xml")
                && rest.last() != Some(&0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types() {
        assert_eq!(media_type("text/XML").as_deref(), Some("text/xml"));
        assert_eq!(media_type("application/pdf; charset=x").as_deref(), Some("application/pdf"));
        for bad in ["", "pdf", "a/", "/b", "a/b\r\nSet-Cookie: x", "a/b/c", "ä/b", "text/html,x"] {
            assert_eq!(media_type(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_what_is_certainly_padding_is_taken_off() {
        assert!(is_padded("application/pdf", 100, b"startxref\n1\n%%EOF\n\0"[..].last_chunk::<12>().unwrap()));
        assert!(!is_padded("application/pdf", 100, b"endobj\0"));
        assert!(is_padded("text/xml", 100, b"</a>\0") && !is_padded("text/xml", 100, b"</a>"));
        assert!(!is_padded("text/plain", 100, b"<\0a\0\0\0"), "UTF-16");
        assert!(is_padded("model/stl", 84 + 50 + 1, &[1, 2, 0]) && !is_padded("model/stl", 84 + 50, &[1, 2, 0]));
        assert!(!is_padded("application/octet-stream", 100, &[1, 0]));
    }
}
