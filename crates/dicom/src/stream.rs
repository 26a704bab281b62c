//! What the header of a compressed frame says: size, samples, precision, sign, and whether anything was lost
//! (T.81 B.2, T.87 C.2, T.800 A.5 and A.6). Nothing is decoded, nothing is allocated.

use crate::error::{Error, Result};
use crate::facts::Facts;
use crate::jpeg_xl;
use crate::syntax::{Coding, TransferSyntax};

/// Bytes of a frame that are looked at: most headers are short, and only where one is not there whole more is read.
pub const LOOKS: [u64; 2] = [2 * 1024, 64 * 1024];

/// A compressed frame's own description of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamInfo {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Samples of a pixel.
    pub components: u16,
    /// Bits of a sample.
    pub precision: u8,
    /// Only JPEG 2000 tells.
    pub signed: Option<bool>,
    /// Irreversible transform, DCT, or a near-lossless bound above 0.
    pub lossy: bool,
    /// JPEG 2000's multiple component transform, or the lossy colour space of JPEG XL, is used.
    pub colour_transform: bool,
    /// JPEG-LS: 0 by plane, 1 by line, 2 by sample.
    pub interleave: u8,
    /// JPEG: the component identifiers are the letters R, G, B.
    pub rgb_letters: bool,
    /// JPEG: the transform flag of the Adobe marker.
    pub adobe_transform: Option<u8>,
    /// JPEG: the JFIF marker is there.
    pub jfif: bool,
}

/// How the bytes of a compressed image begin: enough to tell one from the middle of another.
pub const HEAD: usize = 64;

/// Does a compressed image of this coding start with these bytes? `None` where a start can't be told. Of RLE Lossless the header must
/// have the segments that the attributes ask for, in order (PS3.5 G.5).
pub fn starts(head: &[u8], len: u64, coding: Coding, facts: &Facts) -> Option<bool> {
    Some(match coding {
        Coding::Jpeg | Coding::JpegLossless | Coding::JpegLs => head.starts_with(&[0xFF, 0xD8, 0xFF]),
        Coding::Jpeg2000 | Coding::HtJ2k => {
            head.starts_with(&[0xFF, 0x4F, 0xFF, 0x51]) || head.get(4..8) == Some(b"jP  ")
        }
        Coding::JpegXl => head.starts_with(&[0xFF, 0x0A]) || head.get(4..8) == Some(b"JXL "),
        Coding::Rle => rle_header(head, len, facts),
        Coding::Native | Coding::DeflatedFrame | Coding::Video | Coding::Unknown => return None,
    })
}

/// Does a compressed image of this coding end with these bytes, but for padding? `None` where an end can't be told.
pub fn ends_image(tail: &[u8], coding: Coding) -> Option<bool> {
    let marked =
        matches!(coding, Coding::Jpeg | Coding::JpegLossless | Coding::JpegLs | Coding::Jpeg2000 | Coding::HtJ2k);
    let unpadded = tail.iter().rposition(|byte| *byte != 0).map_or(&tail[..0], |last| &tail[..=last]);
    marked.then(|| unpadded.ends_with(&[0xFF, 0xD9]) || unpadded.ends_with(&[0xFF, 0xD9, 0xFF]))
}

fn rle_header(head: &[u8], len: u64, facts: &Facts) -> bool {
    let Some(header) = head.first_chunk::<64>() else { return false };
    let mut words = header.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word));
    let count = words.next().unwrap_or(0);
    let needed = u32::from(facts.samples) * u32::from(facts.bits_allocated.div_ceil(8));
    let starts: Vec<u32> = words.collect();
    let (used, spare) = starts.split_at((count as usize).min(starts.len()));
    count == needed
        && used.first() == Some(&64)
        && used.is_sorted()
        && used.iter().all(|start| u64::from(*start) <= len)
        && spare.iter().all(|start| *start == 0)
}

/// The transfer syntax that the first bytes of a compressed image of `len` bytes prove; `None` when they prove none.
pub fn sniff(head: &[u8], len: u64, facts: &Facts) -> Option<TransferSyntax> {
    let of = |coding| starts(head, len, coding, facts) == Some(true);
    let uid = if of(Coding::Jpeg) {
        jpeg_syntax(head)?
    } else if of(Coding::Jpeg2000) {
        let codestream = codestream_of(head);
        let lossy = jpeg2000(codestream).ok()?.lossy;
        // T.814 A.2: the bit of Rsiz that says that CAP follows.
        match (be16(codestream, 6).ok()? & 0x4000 != 0, lossy) {
            (true, false) => TransferSyntax::HTJ2K,
            (true, true) => TransferSyntax::HTJ2K_LOSSY,
            (false, false) => "1.2.840.10008.1.2.4.90",
            (false, true) => "1.2.840.10008.1.2.4.91",
        }
    } else if of(Coding::JpegXl) {
        TransferSyntax::JPEG_XL
    } else if of(Coding::Rle) {
        "1.2.840.10008.1.2.5"
    } else {
        return None;
    };
    Some(TransferSyntax::new(uid))
}

/// The transfer syntax of a JPEG image by its frame header (T.81 Table B.1, T.87 C.1).
fn jpeg_syntax(head: &[u8]) -> Option<&'static str> {
    let mut at = 2;
    let (mut process, mut info) = (0, None);
    loop {
        let (marker, next) = marker(head, at).ok()?;
        let body = next + 2;
        match marker {
            0xC0..=0xC3 | 0xF7 => (process, info) = (marker, Some(start_of_frame(head, body, marker).ok()?)),
            0xDA => {
                let parameters = body + 1 + 2 * usize::from(byte(head, body).ok()?);
                let first = byte(head, parameters).ok()?;
                let precision = info?.precision;
                return Some(match (process, first) {
                    (0xF7, 0) => TransferSyntax::JPEG_LS,
                    (0xF7, _) => TransferSyntax::JPEG_LS_NEAR,
                    (0xC3, 1) => "1.2.840.10008.1.2.4.70",
                    (0xC3, _) => "1.2.840.10008.1.2.4.57",
                    (0xC2, _) => "1.2.840.10008.1.2.4.55",
                    (0xC0, _) if precision == 8 => TransferSyntax::JPEG_BASELINE,
                    _ => "1.2.840.10008.1.2.4.51",
                });
            }
            0xD9 => return None,
            _ => {}
        }
        at = next + usize::from(be16(head, next).ok()?).max(2);
    }
}

/// Reads the header at the start of a frame; `None` for codings that have none.
pub fn probe(head: &[u8], coding: Coding) -> Result<Option<StreamInfo>> {
    match coding {
        Coding::Jpeg | Coding::JpegLossless | Coding::JpegLs => jpeg(head).map(Some),
        Coding::Jpeg2000 | Coding::HtJ2k => jpeg2000(codestream_of(head)).map(Some),
        Coding::JpegXl => jpeg_xl(&jpeg_xl::codestream_of(head)).map(Some),
        _ => Ok(None),
    }
}

/// The codestream within a JP2 file, should one have been put into a fragment; otherwise the bytes themselves.
pub fn codestream_of(bytes: &[u8]) -> &[u8] {
    let mut at = 0usize;
    if bytes.get(4..8) != Some(b"jP  ") {
        return bytes;
    }
    while let Some(head) = bytes.get(at..at + 8) {
        let len = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        if &head[4..8] == b"jp2c" {
            let skip = if len == 1 { 16 } else { 8 };
            return bytes.get(at + skip..).unwrap_or_default();
        }
        if len < 8 {
            break;
        }
        at = at.saturating_add(len);
    }
    bytes
}

fn be16(bytes: &[u8], at: usize) -> Result<u16> {
    match bytes.get(at..at + 2) {
        Some(b) => Ok(u16::from_be_bytes([b[0], b[1]])),
        None => Err(ends(bytes, at)),
    }
}

fn be32(bytes: &[u8], at: usize) -> Result<u32> {
    Ok(u32::from(be16(bytes, at)?) << 16 | u32::from(be16(bytes, at + 2)?))
}

fn byte(bytes: &[u8], at: usize) -> Result<u8> {
    bytes.get(at).copied().ok_or_else(|| ends(bytes, at))
}

fn ends(bytes: &[u8], at: usize) -> Error {
    Error::Truncated { what: "the header of a compressed frame".into(), have: bytes.len() as u64, need: at as u64 + 1 }
}

/// Marker segments up to the first scan.
fn jpeg(head: &[u8]) -> Result<StreamInfo> {
    if !head.starts_with(&[0xFF, 0xD8]) {
        return Err(Error::malformed(0, "a frame that is no JPEG image"));
    }
    let mut info: Option<(StreamInfo, bool)> = None;
    let (mut adobe, mut jfif) = (None, false);
    let mut at = 2;
    loop {
        let (marker, next) = marker(head, at)?;
        let len = usize::from(be16(head, next)?);
        let body = next + 2;
        match marker {
            0xC0..=0xCF | 0xF7 if !matches!(marker, 0xC4 | 0xC8 | 0xCC) => {
                info = Some((start_of_frame(head, body, marker)?, marker == 0xF7))
            }
            0xE0 => jfif |= head.get(body..body + 4) == Some(b"JFIF"),
            0xEE if head.get(body..body + 5) == Some(b"Adobe") => adobe = Some(byte(head, body + 11)?),
            0xDA => {
                let (mut info, jpeg_ls) =
                    info.ok_or_else(|| Error::malformed(at as u64, "a scan before the frame header"))?;
                start_of_scan(head, body, &mut info, jpeg_ls)?;
                (info.adobe_transform, info.jfif) = (adobe, jfif);
                return Ok(info);
            }
            0xD9 => return Err(Error::malformed(at as u64, "no scan in the image")),
            _ => {}
        }
        at = next + len.max(2);
    }
}

/// The marker at `at` (fill bytes skipped) and the offset after it.
fn marker(head: &[u8], mut at: usize) -> Result<(u8, usize)> {
    if byte(head, at)? != 0xFF {
        return Err(Error::malformed(at as u64, "no marker where one should be in the compressed frame"));
    }
    while byte(head, at)? == 0xFF {
        at += 1;
    }
    Ok((byte(head, at)?, at + 1))
}

fn start_of_frame(head: &[u8], at: usize, marker: u8) -> Result<StreamInfo> {
    let components = byte(head, at + 5)?;
    let mut letters = [0; 3];
    for (n, letter) in letters.iter_mut().enumerate().take(usize::from(components)) {
        *letter = byte(head, at + 6 + 3 * n)?;
    }
    Ok(StreamInfo {
        precision: byte(head, at)?,
        height: u32::from(be16(head, at + 1)?),
        width: u32::from(be16(head, at + 3)?),
        components: u16::from(components),
        signed: None,
        lossy: !matches!(marker, 0xC3 | 0xC7 | 0xCB | 0xCF | 0xF7),
        colour_transform: false,
        interleave: 0,
        rgb_letters: letters == *b"RGB" || letters == *b"rgb",
        adobe_transform: None,
        jfif: false,
    })
}

/// JPEG-LS puts NEAR and the interleave mode where JPEG has the spectral selection (T.87 C.2.3).
fn start_of_scan(head: &[u8], at: usize, info: &mut StreamInfo, jpeg_ls: bool) -> Result<()> {
    if jpeg_ls {
        let components = usize::from(byte(head, at)?);
        info.lossy = byte(head, at + 1 + 2 * components)? > 0;
        info.interleave = byte(head, at + 2 + 2 * components)?;
    }
    Ok(())
}

/// SIZ and COD of the main header (T.800 A.5.1, A.6.1).
fn jpeg2000(head: &[u8]) -> Result<StreamInfo> {
    if !head.starts_with(&[0xFF, 0x4F, 0xFF, 0x51]) {
        return Err(Error::malformed(0, "a frame that is no JPEG 2000 codestream"));
    }
    let siz = 6; // after SOC, SIZ and its length
    let grid = |at: usize| be32(head, siz + at);
    let components = be16(head, siz + 34)?;
    let (mut precision, mut signed) = (byte(head, siz + 36)?, None);
    for n in 0..usize::from(components) {
        let ssiz = byte(head, siz + 36 + 3 * n)?;
        if ssiz != precision {
            return Err(Error::unsupported("components of different precision or sign"));
        }
        if head.get(siz + 37 + 3 * n..siz + 39 + 3 * n) != Some(&[1, 1]) {
            return Err(Error::unsupported("sub-sampled components"));
        }
    }
    if components > 0 {
        signed = Some(precision & 0x80 != 0);
        precision = (precision & 0x7F) + 1;
    }
    let mut info = StreamInfo {
        width: grid(2)?.saturating_sub(grid(10)?),
        height: grid(6)?.saturating_sub(grid(14)?),
        components,
        precision,
        signed,
        lossy: false,
        colour_transform: false,
        interleave: 0,
        rgb_letters: false,
        adobe_transform: None,
        jfif: false,
    };
    let mut at = siz - 2 + usize::from(be16(head, siz - 2)?);
    loop {
        let marker = be16(head, at)?;
        let len = usize::from(be16(head, at + 2)?).max(2);
        match marker {
            0xFF52 => {
                info.colour_transform = byte(head, at + 8)? != 0;
                info.lossy |= byte(head, at + 13)? == 0;
            }
            // A component's own coding style (COC).
            0xFF53 => info.lossy |= byte(head, at + 4 + if components < 257 { 1 } else { 2 } + 5)? == 0,
            0xFF90 | 0xFFD9 => return Ok(info),
            _ => {}
        }
        at += 2 + len;
    }
}

/// Size, depth and colours of a JPEG XL codestream; whether its transform is lossy stands with each frame and is not looked at.
fn jpeg_xl(codestream: &[u8]) -> Result<StreamInfo> {
    let header = jpeg_xl::Header::read(codestream)?;
    Ok(StreamInfo {
        width: header.width,
        height: header.height,
        components: header.components,
        precision: header.precision,
        signed: None,
        lossy: header.xyb,
        colour_transform: header.xyb,
        interleave: 0,
        rgb_letters: false,
        adobe_transform: None,
        jfif: false,
    })
}
