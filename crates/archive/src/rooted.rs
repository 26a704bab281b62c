//! Addresses in prepared metadata: what they begin with depends on the name by which a client knows the server.

use std::io::{self, Read};

/// Within a JSON string a quotation mark is escaped, so this is found in no value.
const URI: &str = "\"BulkDataURI\":\"";
/// What addresses begin with when they are relative.
const RELATIVE: &str = "studies/";

/// What addresses begin with, as JSON text: nothing, or a URL that ends in a slash.
pub(crate) fn root_text(root: &str) -> String {
    let quoted = serde_json::Value::from(root).to_string();
    let text = &quoted[1..quoted.len() - 1];
    if text.is_empty() || text.ends_with('/') { text.to_owned() } else { format!("{text}/") }
}

/// Hands the text on to `out`, a piece at a time, with `new` at the beginning of addresses where it has `old`.
pub(crate) fn reroot(text: &mut dyn Read, old: &str, new: &str, mut out: impl FnMut(&[u8])) -> io::Result<()> {
    let (old, new) = (format!("{URI}{old}{RELATIVE}"), format!("{URI}{new}{RELATIVE}"));
    let (mut piece, mut held) = (vec![0; 16 << 10], Vec::new());
    loop {
        let n = text.read(&mut piece)?;
        held.extend_from_slice(&piece[..n]);
        let mut done = 0;
        while let Some(at) = find(&held[done..], old.as_bytes()) {
            out(&held[done..done + at]);
            out(new.as_bytes());
            done += at + old.len();
        }
        // What may be the beginning of another one waits for the next piece.
        let safe = if n == 0 { held.len() } else { held.len().saturating_sub(old.len() - 1).max(done) };
        out(&held[done..safe]);
        held.drain(..safe);
        if n == 0 {
            return Ok(());
        }
    }
}

fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + text[from..].iter().position(|b| *b == needle[0])?;
        if text[at..].starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_others_wherever_they_stand() {
        for padding in (0..40).chain(16_300..16_400) {
            let before = "x".repeat(padding);
            let text = |root: &str| {
                format!(
                    "[{{\"a\":\"{before}\",\"BulkDataURI\":\"{root}studies/1\"}},{{\"BulkDataURI\":\"{root}studies/2\"}}]"
                )
            };
            for (old, new) in [("", "http://a/dicom-web/"), ("http://a/dicom-web/", "https://b:8/"), ("http://a/", "")]
            {
                let mut out = Vec::new();
                reroot(&mut text(old).as_bytes(), old, new, |piece| out.extend_from_slice(piece)).unwrap();
                assert_eq!(String::from_utf8(out).unwrap(), text(new), "{padding}");
            }
        }
    }

    #[test]
    fn a_root_is_json_and_ends_in_a_slash() {
        assert_eq!(root_text(""), "");
        assert_eq!(root_text("http://a/dicom-web"), "http://a/dicom-web/");
        assert_eq!(root_text("http://a\"b/"), "http://a\\\"b/");
    }
}
