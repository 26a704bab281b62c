//! Objects as they lie on a disk (PS3.10), whole or broken.

use dicom::{Source, TransferSyntax as Syntax};
use testkit::{Form, Made};
use transcode::Decode;

/// Frames of one object that are decoded.
const FRAMES: u32 = 4;
/// Samples of an image that is decoded: what is looked for is in the stream, not in its size.
const LARGEST: u32 = 1 << 20;

/// A file of any kind: walked, told of, decoded where it is small.
pub fn walk(data: &[u8]) {
    if let Ok(source) = Source::from_bytes(data.to_vec()) {
        look(&source);
    }
}

/// Values of text in the character sets that the first line names (PS3.3 C.12.1.1.2).
pub fn character_sets(data: &[u8]) {
    let (named, text) = data.split_at(data.iter().position(|byte| *byte == b'\n').unwrap_or(0));
    let even = |value: &[u8]| [value, if value.len() % 2 == 1 { b" " } else { b"" }].concat();
    if named.len() > 256 || text.len() > 60_000 {
        return;
    }
    let mut made = Made::new(Form::Explicit);
    made.element(0x0008, 0x0005, "CS", &even(named));
    made.text(0x0008, 0x0016, "UI", "1.2.840.10008.5.1.4.1.1.7\0");
    made.text(0x0008, 0x0018, "UI", "1.2.3.4\0");
    made.element(0x0008, 0x1030, "LO", &even(text));
    made.element(0x0010, 0x0010, "PN", &even(text));
    made.text(0x0020, 0x000D, "UI", "1.2.3\0");
    made.text(0x0020, 0x000E, "UI", "1.2.3.5\0");
    if let Ok(source) = Source::from_bytes(made.file()) {
        look(&source);
    }
}

/// A frame of JPEG, in what an image of a few bytes at the front says.
pub fn jpeg(data: &[u8]) {
    frame(data, &[Syntax::JPEG_BASELINE, "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"]);
}

/// A frame of JPEG-LS.
pub fn jpeg_ls(data: &[u8]) {
    frame(data, &[Syntax::JPEG_LS, Syntax::JPEG_LS_NEAR]);
}

/// A frame of JPEG XL.
pub fn jpeg_xl(data: &[u8]) {
    frame(data, &[Syntax::JPEG_XL_LOSSLESS, Syntax::JPEG_XL_RECOMPRESSION, Syntax::JPEG_XL]);
}

/// A frame of RLE.
pub fn rle(data: &[u8]) {
    frame(data, &["1.2.840.10008.1.2.5"]);
}

/// Six bytes say what the image claims to be; the rest is its frame.
fn frame(data: &[u8], syntaxes: &[&'static str]) {
    let Some((&[which, rows, columns, kind, stored, signed], stream)) = data.split_first_chunk() else { return };
    let allocated = if kind & 1 == 0 { 8 } else { 16 };
    let mut made = Made::image(Form::Explicit, u16::from(rows), u16::from(columns), allocated, 1 + u16::from(stored) % allocated, signed & 1 == 1);
    if kind & 2 != 0 {
        made.number(0x0028, 0x0002, 3);
        made.number(0x0028, 0x0006, u16::from(kind & 4 != 0));
    }
    made.syntax = syntaxes[usize::from(which) % syntaxes.len()];
    made.fragments(&[b"", &[stream, if stream.len() % 2 == 1 { b"\0" } else { b"" }].concat()]);
    if let Ok(source) = Source::from_bytes(made.file()) {
        look(&source);
    }
}

fn look(source: &Source) {
    let facts = source.facts();
    let _ = source.dicom_json(&|path| path.to_owned());
    let _ = source.check_frames();
    let small = u64::from(facts.rows) * u64::from(facts.columns) * u64::from(facts.samples) <= u64::from(LARGEST);
    let mut out = Vec::new();
    for n in 0..FRAMES.min(source.frames().len() as u32) {
        if source.read_frame(n, &mut out).is_ok() && small {
            let _ = source.decode_frame(n, &mut out);
        }
    }
    source.is_ybr();
}
