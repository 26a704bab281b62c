//! A Part 10 object (PS3.10 7.1) in pieces: what is written in memory, bulk data where it lies in the spool.

use super::bulk::{Bulk, BulkData};
use super::json::{self, Out, Wrong};
use crate::media::{self, OCTET_STREAM};
use dicom::{Tag, TransferSyntax, Uid, Vr};
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use transcode::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME};

const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);
const UNDEFINED: u32 = 0xFFFF_FFFF;
/// Bytes in which a JPEG's frame header is looked for.
const HEAD: u64 = 64 << 10;
/// Pieces of one object.
const MOST_PIECES: usize = 100_000;
/// A longer one is none; the data set has it all the same.
const LONGEST_UID: usize = 128;

enum Piece<'a> {
    Memory(Vec<u8>),
    File(&'a Path),
}

/// An object that can be read from begin to end.
pub struct Object<'a> {
    pieces: Vec<Piece<'a>>,
    /// Bytes of the pieces.
    size: u64,
    bulk: &'a BulkData,
    /// Of the frames that came compressed.
    syntax: Option<TransferSyntax>,
}

impl<'a> Object<'a> {
    /// The object of this metadata.
    pub fn of(set: &Map<String, Value>, bulk: &'a BulkData) -> Result<Object<'a>, Wrong> {
        let mut object = Object { pieces: Vec::new(), size: 0, bulk, syntax: None };
        json::write(set, &mut object)?;
        let syntax = object.syntax.as_ref().map_or(TransferSyntax::EXPLICIT_LITTLE, TransferSyntax::uid);
        let meta = meta(set, syntax);
        object.size += meta.len() as u64;
        object.pieces.insert(0, Piece::Memory(meta));
        Ok(object)
    }

    /// Bytes of it.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// All of its bytes.
    pub fn reader(&self) -> Reader<'_> {
        Reader { pieces: self.pieces.iter(), now: Box::new(io::empty()) }
    }

    fn file(&mut self, bulk: &'a Bulk) {
        self.pieces.push(Piece::File(bulk.parked.path()));
        self.size += bulk.parked.size();
    }

    /// Values without a coding, end to end.
    fn native(&mut self, tag: Tag, vr: Vr, parts: &'a [Bulk]) -> Result<(), &'static str> {
        let length: u64 = parts.iter().map(|part| part.parked.size()).sum();
        let even = u32::try_from(length.next_multiple_of(2)).ok().filter(|length| *length < UNDEFINED);
        let head = even.and_then(|length| json::head(tag, vr, length)).ok_or("is too long for its VR")?;
        self.bytes(&head);
        parts.iter().for_each(|part| self.file(part));
        if !length.is_multiple_of(2) {
            self.bytes(&[json::padding(vr)]);
        }
        Ok(())
    }

    /// Frames as fragments, with a table of where they begin (PS3.5 A.4).
    fn encapsulated(&mut self, parts: &'a [Bulk]) -> Result<(), &'static str> {
        let lengths: Option<Vec<u32>> = parts
            .iter()
            .map(|part| u32::try_from(part.parked.size().next_multiple_of(2)).ok().filter(|length| *length < UNDEFINED))
            .collect();
        let lengths = lengths.ok_or("has a frame of 4 GiB")?;
        let mut table = Vec::new();
        let mut at = 0u64;
        for length in &lengths {
            table.extend(u32::try_from(at).unwrap_or(UNDEFINED).to_le_bytes());
            at += 8 + u64::from(*length);
        }
        if lengths.len() == 1 || at > u64::from(UNDEFINED) {
            table.clear();
        }
        self.bytes(&json::head(PIXEL_DATA, Vr::OB, UNDEFINED).ok_or("is too long for its VR")?);
        self.bytes(&json::delimiter(0xE000, table.len() as u32));
        self.bytes(&table);
        for (part, length) in parts.iter().zip(lengths) {
            self.bytes(&json::delimiter(0xE000, length));
            self.file(part);
            if !part.parked.size().is_multiple_of(2) {
                self.bytes(&[0]);
            }
        }
        self.bytes(&json::delimiter(0xE0DD, 0));
        Ok(())
    }
}

/// Reads the pieces one after the other; one file is open at a time.
pub struct Reader<'a> {
    pieces: std::slice::Iter<'a, Piece<'a>>,
    now: Box<dyn Read + 'a>,
}

impl Read for Reader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.now.read(buf)?;
            if count > 0 || buf.is_empty() {
                return Ok(count);
            }
            self.now = match self.pieces.next() {
                None => return Ok(0),
                Some(Piece::Memory(bytes)) => Box::new(&bytes[..]),
                Some(Piece::File(path)) => Box::new(File::open(path)?),
            };
        }
    }
}

impl Out for Object<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        match self.pieces.last_mut() {
            Some(Piece::Memory(last)) => last.extend_from_slice(bytes),
            _ => self.pieces.push(Piece::Memory(bytes.to_vec())),
        }
    }

    fn bulk(&mut self, tag: Tag, vr: Vr, uri: &str, top: bool) -> Result<(), &'static str> {
        let parts = self.bulk.get(uri).ok_or("has bulk data that did not come with it")?;
        if self.pieces.len() + 2 * parts.len() > MOST_PIECES {
            return Err("names more bulk data than one instance has");
        }
        let syntax = match parts.first() {
            Some(part) => syntax_of(part)?,
            None => None,
        };
        match syntax {
            None => self.native(tag, vr, parts),
            Some(_) if !top || tag != PIXEL_DATA => self.native(tag, vr, parts),
            Some(syntax) => {
                self.syntax = Some(syntax);
                self.encapsulated(parts)
            }
        }
    }
}

/// The transfer syntax of a part of compressed pixels: named with its media type, or the one that the type stands for (PS3.18
/// Table 8.7.3-2); `None` for octets.
fn syntax_of(part: &Bulk) -> Result<Option<TransferSyntax>, &'static str> {
    let named = part.media.parameter("transfer-syntax").filter(|uid| *uid != "*");
    if let Some(uid) = named {
        let syntax = Uid::parse(uid).map(|_| TransferSyntax::new(uid)).ok_or("has a transfer syntax that is no UID")?;
        return Ok(syntax.is_encapsulated().then_some(syntax));
    }
    let uid = match media::canonical(&part.media.essence) {
        "image/jpeg" => jpeg_syntax(part.parked.path()).ok_or("has a JPEG image that is none")?,
        "image/jls" => TransferSyntax::JPEG_LS,
        "image/jp2" => "1.2.840.10008.1.2.4.90",
        "image/jpx" => "1.2.840.10008.1.2.4.92",
        "image/jphc" => TransferSyntax::HTJ2K,
        "image/jxl" => TransferSyntax::JPEG_XL,
        "image/dicom-rle" => "1.2.840.10008.1.2.5",
        OCTET_STREAM => return Ok(None),
        // An encapsulated document and the like: its bytes, whatever they are.
        _ => return Ok(None),
    };
    Ok(Some(TransferSyntax::new(uid)))
}

/// By its frame header: the media type has four transfer syntaxes.
fn jpeg_syntax(path: &Path) -> Option<&'static str> {
    let mut head = Vec::new();
    File::open(path).ok()?.take(HEAD).read_to_end(&mut head).ok()?;
    syntax_of_jpeg(&head)
}

/// By the first bytes of an image.
fn syntax_of_jpeg(head: &[u8]) -> Option<&'static str> {
    let mut at = 2;
    loop {
        let [0xFF, marker, high, low] = *head.get(at..at + 4)? else { return None };
        match marker {
            0xC0 => return Some(TransferSyntax::JPEG_BASELINE),
            0xC1 => return Some("1.2.840.10008.1.2.4.51"),
            0xC2 => return Some("1.2.840.10008.1.2.4.55"),
            0xC3 if selection_value(&head[at..]) == Some(1) => return Some("1.2.840.10008.1.2.4.70"),
            0xC3 => return Some("1.2.840.10008.1.2.4.57"),
            0xF7 => return Some(TransferSyntax::JPEG_LS),
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])).max(2),
        }
    }
}

/// The selection value of the predictor of a lossless JPEG, which its first scan header has (ISO/IEC 10918-1 B.2.3); `segments` begin
/// with a marker.
fn selection_value(segments: &[u8]) -> Option<u8> {
    let mut at = 0;
    loop {
        let [0xFF, marker, high, low] = *segments.get(at..at + 4)? else { return None };
        if marker == 0xDA {
            let components = usize::from(*segments.get(at + 4)?);
            return segments.get(at + 5 + 2 * components).copied();
        }
        at += 2 + usize::from(u16::from_be_bytes([high, low])).max(2);
    }
}

/// Preamble, prefix and file meta information.
fn meta(set: &Map<String, Value>, syntax: &str) -> Vec<u8> {
    let value = |tag: &str| set.get(tag)?.get("Value")?.get(0)?.as_str();
    let uid = |tag: &str| value(tag).filter(|uid| uid.len() <= LONGEST_UID).unwrap_or_default();
    let mut group = element(0x0001, Vr::OB, &[0, 1]);
    for (number, value) in [(0x0002, uid("00080016")), (0x0003, uid("00080018")), (0x0010, syntax)] {
        group.extend(element(number, Vr::UI, value.as_bytes()));
    }
    group.extend(element(0x0012, Vr::UI, IMPLEMENTATION_CLASS_UID.as_bytes()));
    group.extend(element(0x0013, Vr::SH, IMPLEMENTATION_VERSION_NAME.as_bytes()));
    let mut meta = vec![0; 128];
    meta.extend(b"DICM");
    meta.extend(element(0x0000, Vr::UL, &(group.len() as u32).to_le_bytes()));
    meta.extend(group);
    meta
}

fn element(number: u16, vr: Vr, value: &[u8]) -> Vec<u8> {
    let length = value.len().next_multiple_of(2) as u32;
    let mut element = json::head(Tag(0x0002, number), vr, length).unwrap_or_default();
    element.extend(value);
    element.resize(element.len() + value.len() % 2, json::padding(vr));
    element
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_syntax_of_a_jpeg_is_in_its_headers() {
        let jpeg = |frame: u8, selection: u8| {
            let comment = [0xFF, 0xFE, 0, 4, b'h', b'i'];
            let frame = [0xFF, frame, 0, 11, 8, 0, 1, 0, 1, 1, 1, 0x11, 0];
            let scan = [0xFF, 0xDA, 0, 8, 1, 1, 0, selection, 0, 0];
            [&[0xFF, 0xD8][..], &comment, &frame, &comment, &scan].concat()
        };
        let of =
            |frame, selection| syntax_of_jpeg(&jpeg(frame, selection)).map(|uid| &uid["1.2.840.10008.1.2.4.".len()..]);
        assert_eq!((of(0xC0, 0), of(0xC1, 0), of(0xC2, 0)), (Some("50"), Some("51"), Some("55")));
        assert_eq!((of(0xC3, 1), of(0xC3, 4), of(0xC3, 7)), (Some("70"), Some("57"), Some("57")));
        let cut = jpeg(0xC3, 1);
        for length in 0..cut.len() - 2 {
            assert_ne!(syntax_of_jpeg(&cut[..length]), Some("1.2.840.10008.1.2.4.70"), "{length} bytes prove nothing");
        }
    }
}
