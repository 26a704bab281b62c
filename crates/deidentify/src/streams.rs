//! Text within compressed frames: comments and application data of JPEG (T.81 B.2.4), JPEG-LS and JPEG 2000 (T.800 A.9.2).
//! They are blanked where they are, so that no length and no offset changes.

use crate::error::{Error, Result};
use dicom::syntax::Coding;
use std::ops::Range;

/// Blanks in one frame.
const MAX_BLANKS: usize = 100_000;

/// Bytes of a frame that are overwritten with one byte value.
pub(crate) type Blank = (Range<usize>, u8);

/// What is to be blanked in a frame, in order. An error where the stream can't be followed.
pub(crate) fn blanks(frame: &[u8], coding: Coding) -> Result<Vec<Blank>> {
    let mut found = Vec::new();
    match coding {
        Coding::Jpeg | Coding::JpegLossless => jpeg(frame, false, &mut found),
        Coding::JpegLs => jpeg(frame, true, &mut found),
        Coding::Jpeg2000 | Coding::HtJ2k => jp2(frame, &mut found),
        Coding::JpegXl => jxl(frame, &mut found),
        _ => Some(()),
    }
    .ok_or_else(|| Error::Identifying("a compressed frame can't be followed to its end".into()))?;
    found.retain(|(range, fill)| frame[range.clone()].iter().any(|b| b != fill));
    if found.len() > MAX_BLANKS {
        return Err(dicom::Error::Limit(format!("more than {MAX_BLANKS} comments in a frame")).into());
    }
    Ok(found)
}

fn be16(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(*bytes.get(at)?) << 8 | usize::from(*bytes.get(at + 1)?))
}

fn be32(bytes: &[u8], at: usize) -> Option<usize> {
    Some(be16(bytes, at)? << 16 | be16(bytes, at + 2)?)
}

/// Marker segments to the end of the image; what follows it is blanked whole.
fn jpeg(frame: &[u8], jpeg_ls: bool, found: &mut Vec<Blank>) -> Option<()> {
    if !frame.starts_with(&[0xFF, 0xD8]) {
        return None;
    }
    let mut at = 2;
    loop {
        while frame.get(at..at + 2)? == [0xFF, 0xFF] {
            at += 1;
        }
        if frame[at] != 0xFF {
            return None;
        }
        let marker = frame[at + 1];
        at += 2;
        if marker == 0xD9 {
            found.push((at..frame.len(), 0));
            return Some(());
        }
        let (body, end) = (at + 2, at + be16(frame, at)?);
        let value = frame.get(body..end)?;
        if let Some((keep, fill)) = segment(marker, value) {
            found.push((body + keep..end, fill));
        }
        at = end;
        if marker == 0xDA {
            match scan_end(frame, at, jpeg_ls) {
                Some(next) => at = next,
                // A stream that lacks its end marker is whole for a decoder.
                None => return Some(()),
            }
        }
    }
}

/// Bytes that stay at the start of a segment, and what fills the rest; `None` where all of it belongs to the image.
fn segment(marker: u8, value: &[u8]) -> Option<(usize, u8)> {
    match marker {
        0xFE => Some((0, b' ')),
        // JFIF without its thumbnail.
        0xE0 if value.starts_with(b"JFIF\0") => Some((value.len().min(14), 0)),
        0xE2 if value.starts_with(b"ICC_PROFILE\0") => None,
        0xE8 if value.starts_with(b"SPIFF\0") => None,
        0xEE if value.starts_with(b"Adobe") => Some((value.len().min(12), 0)),
        0xE0..=0xEF => Some((0, 0)),
        _ => None,
    }
}

/// Where the entropy-coded bytes of a scan end: at a marker that is neither stuffing nor a restart.
fn scan_end(frame: &[u8], mut at: usize, jpeg_ls: bool) -> Option<usize> {
    loop {
        at += frame.get(at..)?.iter().position(|b| *b == 0xFF)?;
        match *frame.get(at + 1)? {
            0x00 | 0xD0..=0xD7 => at += 2,
            next if jpeg_ls && next < 0x80 => at += 2,
            0xFF => at += 1,
            _ => return Some(at),
        }
    }
}

/// A codestream, or one within the boxes of a JP2 file.
fn jp2(frame: &[u8], found: &mut Vec<Blank>) -> Option<()> {
    if frame.get(4..8) != Some(b"jP  ") {
        return codestream(frame, 0, frame.len(), found);
    }
    let mut at = 0;
    while at + 8 <= frame.len() {
        let len = be32(frame, at)?;
        let (body, end) = match len {
            0 => (at + 8, frame.len()),
            1 => (at + 16, at.checked_add(be32(frame, at + 12)?).filter(|_| be32(frame, at + 8) == Some(0))?),
            _ => (at + 8, at.checked_add(len)?),
        };
        if end < body || end > frame.len() {
            return None;
        }
        match frame.get(at + 4..at + 8)? {
            b"jp2c" => codestream(frame, body, end, found)?,
            b"jP  " | b"ftyp" | b"jp2h" => {}
            _ => found.push((body..end, 0)),
        }
        at = end;
    }
    found.push((at..frame.len(), 0));
    Some(())
}

/// Main header, then the header of every tile-part.
fn codestream(frame: &[u8], start: usize, end: usize, found: &mut Vec<Blank>) -> Option<()> {
    let frame = frame.get(..end)?;
    if be16(frame, start)? != 0xFF4F {
        return None;
    }
    let (mut at, mut tile_part) = (start + 2, None);
    loop {
        let marker = be16(frame, at)?;
        match marker {
            0xFFD9 => {
                found.push((at + 2..end, 0));
                return Some(());
            }
            0xFF93 => match tile_part.take()? {
                // To the end of the codestream, as is a length beyond it.
                0 => return Some(()),
                next if next >= end => return Some(()),
                next if next <= at => return None,
                next => at = next,
            },
            _ => {
                let len = be16(frame, at + 2)?.max(2);
                if marker == 0xFF90 {
                    let length = be32(frame, at + 6)?;
                    tile_part = Some(if length == 0 { 0 } else { at.checked_add(length)? });
                }
                if marker == 0xFF64 {
                    let text = be16(frame, at + 4)? == 1;
                    frame.get(at..at + 2 + len)?;
                    found.push(((at + 6).min(at + 2 + len)..at + 2 + len, if text { b' ' } else { 0 }));
                }
                at += 2 + len;
            }
        }
    }
}

/// A bare JPEG XL codestream has no text. Boxes that hold metadata are blanked; a JPEG's own metadata lies compressed in `jbrd`.
fn jxl(frame: &[u8], found: &mut Vec<Blank>) -> Option<()> {
    if frame.starts_with(&[0xFF, 0x0A]) {
        return Some(());
    }
    let mut at = 0;
    while at + 8 <= frame.len() {
        let len = be32(frame, at)?;
        let end = if len == 0 { frame.len() } else { at.checked_add(len)? };
        if (len != 0 && len < 8) || end > frame.len() {
            return None;
        }
        match frame.get(at + 4..at + 8)? {
            b"JXL " | b"ftyp" | b"jxll" | b"jxlc" | b"jxlp" | b"jxli" => {}
            b"jbrd" | b"brob" => return None,
            _ => found.push((at + 8..end, 0)),
        }
        at = end;
    }
    found.push((at..frame.len(), 0));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blanked(frame: &[u8], coding: Coding) -> Vec<u8> {
        let mut out = frame.to_vec();
        for (range, fill) in blanks(frame, coding).unwrap() {
            out[range].fill(fill);
        }
        out
    }

    #[test]
    fn comments_and_application_data_of_jpeg_are_blanked_before_and_after_scans() {
        let mut frame = b"\xFF\xD8\xFF\xE0\x00\x10JFIF\0\x01\x02\0\0\x01\0\x01\0\0".to_vec();
        frame.extend(b"\xFF\xFE\x00\x06DOE!\xFF\xE1\x00\x08Exif\0D\xFF\xEE\x00\x0EAdobe\0d\0\0\0\0\x01");
        frame.extend(b"\xFF\xDA\x00\x04\x01\x02\x55\xFF\x00\xFF\xD0\x66\xFF\xFE\x00\x05DOE\xFF\xD9DOE");
        let out = blanked(&frame, Coding::Jpeg);
        assert_eq!(out.len(), frame.len());
        assert!(!out.windows(3).any(|w| w == b"DOE" || w == b"Exi"));
        assert!(out.windows(5).any(|w| w == b"Adobe") && out.windows(4).any(|w| w == b"JFIF"));
        assert!(out.windows(4).any(|w| w == b"\x55\xFF\x00\xFF"));
    }

    #[test]
    fn comments_of_jpeg_2000_are_blanked_in_main_and_tile_part_headers() {
        let mut frame = b"\xFF\x4F\xFF\x64\x00\x07\x00\x01DOE".to_vec();
        frame.extend(b"\xFF\x90\x00\x0A\x00\x00\x00\x00\x00\x19\x00\x01\xFF\x64\x00\x07\x00\x00DOE\xFF\x93\x01\xFF");
        frame.extend(b"\xFF\xD9DOE");
        let out = blanked(&frame, Coding::Jpeg2000);
        assert!(!out.windows(3).any(|w| w == b"DOE"), "{out:?}");
        assert!(blanks(b"\xFF\x4F\xFF\x64\x00", Coding::Jpeg2000).is_err());
    }

    #[test]
    fn jpeg_xl_with_a_jpeg_inside_is_refused() {
        let boxes = b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x0aExifDO\0\0\0\x08jxlc";
        assert!(!blanked(boxes, Coding::JpegXl).windows(2).any(|w| w == b"DO"));
        assert!(blanks(b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x08jbrd", Coding::JpegXl).is_err());
        assert!(blanks(b"\xFF\x0A\x01", Coding::JpegXl).unwrap().is_empty());
    }
}
