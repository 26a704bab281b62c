//! Bodies whose bytes never change, so that byte ranges address them.

use crate::representation::Segment;
use bytes::Bytes;
use sha2::{Digest, Sha256};

/// Bytes of a boundary; the same for all, so that parts begin at the same offset.
const BOUNDARY: usize = 48;

/// A multipart body in the making.
pub struct Multipart {
    boundary: String,
    segments: Vec<Segment>,
}

impl Multipart {
    /// A body for the representation with this entity tag. Its boundary is a hash of the tag: the same tag, the same
    /// bytes; and no content can hold it but by a collision.
    pub fn new(etag: &str) -> Multipart {
        Multipart { boundary: boundary(etag), segments: Vec::new() }
    }

    /// Adds a part.
    pub fn part(&mut self, content_type: &str, content: impl IntoIterator<Item = Segment>) {
        let first = self.segments.is_empty();
        let head = part_head(&self.boundary, content_type, first);
        self.segments.push(Segment::Memory(Bytes::from(head)));
        self.segments.extend(content);
    }

    /// Ends the body: its Content-Type (`part_type` being the type of its first part) and its segments.
    pub fn finish(mut self, part_type: &str) -> (String, Vec<Segment>) {
        let content_type = format!("multipart/related; type=\"{part_type}\"; boundary={}", self.boundary);
        self.segments.push(Segment::Memory(Bytes::from(format!("\r\n--{}--\r\n", self.boundary))));
        (content_type, self.segments)
    }
}

/// Bytes before the content of the first part.
pub fn body_offset(content_type: &str) -> u64 {
    part_head(&"-".repeat(BOUNDARY), content_type, true).len() as u64
}

fn part_head(boundary: &str, content_type: &str, first: bool) -> String {
    let line_end = if first { "" } else { "\r\n" };
    format!("{line_end}--{boundary}\r\nContent-Type: {content_type}\r\n\r\n")
}

/// A boundary that is a hash of this name.
pub fn boundary(etag: &str) -> String {
    let digest = Sha256::digest(etag.as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    hex[..BOUNDARY].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_starts_at_once_and_is_stable() {
        let make = || {
            let mut multipart = Multipart::new("\"tag\"");
            multipart.part("image/jphc;transfer-syntax=1.2", [Segment::Memory(Bytes::from_static(b"one"))]);
            multipart.part("image/jls", [Segment::Memory(Bytes::from_static(b"two"))]);
            let (content_type, segments) = multipart.finish("image/jphc");
            let body: Vec<u8> =
                segments.iter().flat_map(|s| if let Segment::Memory(b) = s { b.to_vec() } else { vec![] }).collect();
            (content_type, String::from_utf8(body).unwrap())
        };
        let (content_type, body) = make();
        let boundary = content_type.rsplit_once("boundary=").unwrap().1.to_owned();
        assert_eq!(boundary.len(), BOUNDARY);
        assert_eq!(
            body,
            format!(
                "--{boundary}\r\nContent-Type: image/jphc;transfer-syntax=1.2\r\n\r\none\
                 \r\n--{boundary}\r\nContent-Type: image/jls\r\n\r\ntwo\r\n--{boundary}--\r\n"
            )
        );
        assert_eq!(body.find("one").unwrap() as u64, body_offset("image/jphc;transfer-syntax=1.2"));
        assert_eq!(make(), (content_type, body));
        assert_ne!(Multipart::new("\"a\"").boundary, Multipart::new("\"b\"").boundary);
    }
}
