//! An instance as it goes out (PS3.18 8.7.3, PS3.10 7.1): as it is stored, in Explicit VR Little Endian, or with the JPEG streams it
//! was made of. Its length is known before a frame is decoded, and any part of it can be read: frames are made when they are due.

use crate::change::{Change, even};
use crate::changes::{PHOTOMETRIC, PLANAR};
use crate::decode::{Codecs, Decode, DecodeWith};
use crate::derived;
use crate::elements::{self, PIXEL_DATA, UNDEFINED};
use crate::write;
use dicom::data_set::{Element, Tag, Value, Vr};
use dicom::error::{Error, Result};
use dicom::facts::{self, Pixels};
use dicom::rope::Rope;
use dicom::source::{self, Source};
use dicom::syntax::TransferSyntax;
use std::io::Write;

/// Frames of single bits that begin within a byte are joined beforehand, up to this size.
const JOINED: u64 = 64 << 20;
/// Bytes of a compressed icon that are looked at.
const HEAD: u64 = 4096;
/// Bytes moved at once.
const CHUNK: usize = 256 << 10;

/// The form in which an instance goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutgoingForm {
    /// As it is stored, byte for byte, but for its preamble, which is zeroed, and file meta information, which is ours where it is
    /// missing or wrong.
    Stored,
    /// Explicit VR Little Endian: compressed frames are decoded.
    Explicit,
    /// Encapsulated Uncompressed Explicit VR Little Endian: for pixels beyond the 4 GiB of a value.
    Encapsulated,
    /// JPEG Baseline, of JPEG XL JPEG Recompression: every frame is the JPEG stream it was.
    Jpeg,
}

/// An instance on its way out.
#[derive(Debug)]
pub struct Outgoing {
    source: Source,
    form: OutgoingForm,
    before: Rope,
    /// Where each frame ends, counted from the first one's begin, with what is written around it.
    ends: Vec<u64>,
    after: Rope,
    /// The frame that was made last, as it is written.
    made: Option<(usize, Vec<u8>)>,
    codecs: Codecs,
}

impl Outgoing {
    /// The instance in the form in which it is to go out. What can't be put into this form is [`Error::Unsupported`] or what its
    /// frames are wrong with; frames are not decoded yet (see [`Outgoing::check`]).
    pub fn new(source: Source, form: OutgoingForm) -> Result<Outgoing> {
        let (mut before, mut after, mut ends) = (Rope::default(), Rope::default(), Vec::new());
        match form {
            OutgoingForm::Stored => stored(&source, &mut before)?,
            OutgoingForm::Explicit | OutgoingForm::Encapsulated => {
                ends = explicit(&source, form, &mut before, &mut after)?;
            }
            OutgoingForm::Jpeg => ends = jpeg(&source, &mut before, &mut after)?,
        }
        Ok(Outgoing { source, form, before, ends, after, made: None, codecs: Codecs::default() })
    }

    /// Bytes of the whole.
    pub fn len(&self) -> u64 {
        self.before.len() + self.frames_len() + self.after.len()
    }

    /// Is it empty? Never: it has a preamble.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The transfer syntax it has.
    pub fn transfer_syntax(&self) -> TransferSyntax {
        match self.form {
            OutgoingForm::Stored => self.source.facts().transfer_syntax.clone(),
            OutgoingForm::Explicit => TransferSyntax::new(TransferSyntax::EXPLICIT_LITTLE),
            OutgoingForm::Encapsulated => TransferSyntax::new(TransferSyntax::ENCAPSULATED_UNCOMPRESSED),
            OutgoingForm::Jpeg => TransferSyntax::new(TransferSyntax::JPEG_BASELINE),
        }
    }

    /// Makes frames to see whether they can be made, from the first on, until `budget` bytes of them are. Returns what is left of
    /// the budget.
    pub fn check(&mut self, budget: u64) -> Result<u64> {
        let mut left = budget;
        for n in 0..self.ends.len() {
            if left == 0 {
                break;
            }
            self.make(n)?;
            left = left.saturating_sub(self.frame_range(n).1);
        }
        Ok(left)
    }

    /// Fills `buf` with the bytes from `offset` on. Reading on from where the last call ended decodes every frame once.
    pub fn read_at(&mut self, mut offset: u64, mut buf: &mut [u8]) -> Result<()> {
        let whole = self.len();
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > whole) {
            let (have, need) = (whole.saturating_sub(offset), buf.len() as u64);
            return Err(Error::Truncated { what: "what goes out".into(), have, need });
        }
        while !buf.is_empty() {
            let (head, frames) = (self.before.len(), self.frames_len());
            let done = if offset < head {
                let (now, _) = buf.split_at_mut((head - offset).min(buf.len() as u64) as usize);
                self.before.read_at(offset, now)?;
                now.len()
            } else if offset < head + frames {
                self.read_frame_at(offset - head, buf)?
            } else {
                self.after.read_at(offset - head - frames, buf)?;
                buf.len()
            };
            buf = &mut buf[done..];
            offset += done as u64;
        }
        Ok(())
    }

    /// Writes all of it.
    pub fn copy_to(&mut self, out: &mut dyn Write) -> Result<()> {
        copy(self.len(), out, |at, buf| self.read_at(at, buf))
    }

    fn frames_len(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Where frame `n` begins, and its length.
    fn frame_range(&self, n: usize) -> (u64, u64) {
        let start = n.checked_sub(1).map_or(0, |before| self.ends[before]);
        (start, self.ends[n] - start)
    }

    /// Fills the front of `buf` from the frame that holds `offset`; returns how much.
    fn read_frame_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let n = self.ends.partition_point(|end| *end <= offset);
        let (start, len) = self.frame_range(n);
        self.make(n)?;
        let Some((_, bytes)) = &self.made else { return Err(Error::Limit("a frame was not made".into())) };
        let from = (offset - start) as usize;
        let done = (len as usize - from).min(buf.len());
        buf[..done].copy_from_slice(&bytes[from..from + done]);
        Ok(done)
    }

    /// Makes frame `n` as it is written.
    fn make(&mut self, n: usize) -> Result<()> {
        if self.made.as_ref().is_some_and(|made| made.0 == n) {
            return Ok(());
        }
        let mut bytes = self.made.take().map(|made| made.1).unwrap_or_default();
        match self.form {
            OutgoingForm::Jpeg => bytes = self.source.jpeg_frame(n as u32)?,
            _ => samples(&self.source, n as u32, &mut self.codecs, &mut bytes)?,
        }
        let (_, len) = self.frame_range(n);
        if self.form != OutgoingForm::Explicit {
            bytes = item(bytes)?;
        }
        if bytes.len() as u64 != len {
            let what = format!("{} bytes instead of {len}", bytes.len());
            return Err(Error::Frame { frame: n as u32 + 1, what });
        }
        self.made = Some((n, bytes));
        Ok(())
    }
}

fn copy(len: u64, out: &mut dyn Write, mut read: impl FnMut(u64, &mut [u8]) -> Result<()>) -> Result<()> {
    let mut chunk = vec![0; CHUNK.min(len as usize)];
    let mut at = 0;
    while at < len {
        let n = (len - at).min(CHUNK as u64) as usize;
        read(at, &mut chunk[..n])?;
        out.write_all(&chunk[..n])?;
        at += n as u64;
    }
    Ok(out.flush()?)
}

/// The transfer syntax that a file's meta information tells, where it begins as PS3.10 7.1 says: preamble, prefix, a group of the
/// length that it tells. `None` otherwise, and where the data set behind it is not what it must be: such a file goes out by
/// [`Outgoing::new`]. `head`: the first bytes of the file, 4 kB are enough.
pub fn sound_file_meta(head: &[u8]) -> Option<TransferSyntax> {
    let word = |at: usize| Some(u16::from_le_bytes(*head.get(at..)?.first_chunk()?));
    let long = |at: usize| Some(u32::from_le_bytes(*head.get(at..)?.first_chunk()?));
    let starts = head.get(128..140)? == b"DICM\x02\0\0\0UL\x04\0";
    let end = 144usize.checked_add(long(140)? as usize)?;
    if !starts || word(end)? == 0x0002 {
        return None;
    }
    let (mut at, mut last, mut syntax) = (144, 0, None);
    while at < end {
        let element = word(at + 2).filter(|element| *element > last)?;
        let vr = Vr::from_binary(*head.get(at + 4..)?.first_chunk()?).filter(|_| word(at) == Some(0x0002))?;
        let (value, len) = match dicom::data_set::long_header(vr) {
            true => (at + 12, long(at + 8)? as usize),
            false => (at + 8, word(at + 6)?.into()),
        };
        if element == 0x0010 {
            let uid = std::str::from_utf8(head.get(value..value.checked_add(len)?)?).ok()?;
            syntax = Some(TransferSyntax::new(uid)).filter(|syntax| !syntax.uid().is_empty());
        }
        (at, last) = (value.checked_add(len)?, element);
    }
    let deflated = syntax.as_ref().is_some_and(|syntax| syntax.uid() == TransferSyntax::DEFLATED);
    if at != end || (deflated && source::is_zlib(head.get(end..end + 5)?)) { None } else { syntax }
}

/// The file with meta information of ours before its data set, which stays as it is.
fn stored(source: &Source, out: &mut Rope) -> Result<()> {
    write::write_meta(out, source, &source.facts().transfer_syntax, None)?;
    let (input, range) = source.stored_data_set();
    out.range(input, range.start, range.end - range.start, 1);
    Ok(())
}

/// Writes what is before and behind the frames, and tells where each of them ends. What is not compressed has its pixels in
/// `before`: they are copied, not decoded.
fn explicit(source: &Source, form: OutgoingForm, before: &mut Rope, after: &mut Rope) -> Result<Vec<u64>> {
    let set = source.data_set();
    let pixels = facts::pixel_element(set).filter(|e| e.tag == PIXEL_DATA);
    let compressed = source.facts().transfer_syntax.is_encapsulated()
        && pixels.is_some_and(|e| matches!(e.value, Value::Fragments(_)));
    if form == OutgoingForm::Explicit && !compressed {
        write::write_explicit_little(source, before)?;
        return Ok(Vec::new());
    }
    let Some(pixels) = pixels else {
        return Err(Error::unsupported("without pixel data it has no frames to encapsulate"));
    };
    source.check_frames()?;
    let facts = source.facts();
    if facts.pixels == Pixels::Video {
        return Err(Error::unsupported("a video is not given uncompressed"));
    }
    let (count, bits) = (source.frames().len() as u64, facts.bits_allocated);
    if count == 0 || facts.frame_bytes() == 0 || !matches!(bits, 1 | 8 | 16 | 32 | 64) {
        return Err(Error::unsupported(format!("{count} frames of {bits} bits allocated are not given uncompressed")));
    }
    if count != u64::from(facts.frames) {
        return Err(Error::unsupported(format!("{count} of {} frames are there", facts.frames)));
    }
    // Of single bits, one sample in a byte is what decoding gives: they are packed.
    let frame_bits = facts.frame_bytes() * if bits == 1 { 1 } else { 8 };
    let frame = frame_bits.div_ceil(8);
    let syntax = match form {
        OutgoingForm::Encapsulated => TransferSyntax::ENCAPSULATED_UNCOMPRESSED,
        _ => TransferSyntax::EXPLICIT_LITTLE,
    };
    write::write_meta(before, source, &TransferSyntax::new(syntax), None)?;
    let changes = changes(source, compressed)?;
    write_changed(source, before, &changes, pixels, true)?;
    let ends = if form == OutgoingForm::Encapsulated {
        elements::write_head(before, PIXEL_DATA, Vr::OB, UNDEFINED)?;
        elements::write_item(before, 0xE000, 0)?;
        let one = 8 + frame.next_multiple_of(2);
        u32::try_from(one).map_err(|_| Error::Limit("a frame of 4 GiB".into()))?;
        elements::write_item(after, 0xE0DD, 0)?;
        (1..=count).map(|n| n * one).collect()
    } else {
        let len = (frame_bits * count).div_ceil(8);
        let even = u32::try_from(len.next_multiple_of(2)).ok().filter(|len| *len < UNDEFINED);
        let even = even.ok_or_else(|| {
            let syntax = TransferSyntax::ENCAPSULATED_UNCOMPRESSED;
            Error::unsupported(format!(
                "its pixels are more than the 4 GiB of a value; ask for transfer-syntax={syntax}"
            ))
        })?;
        elements::write_head(before, PIXEL_DATA, if bits > 8 { Vr::OW } else { Vr::OB }, even)?;
        after.fill(0, u64::from(even) - len);
        if !frame_bits.is_multiple_of(8) && count > 1 {
            joined(source, before, len)?;
            Vec::new()
        } else {
            (1..=count).map(|n| n * frame).collect()
        }
    };
    write_changed(source, after, &changes, pixels, false)?;
    Ok(ends)
}

/// What a data set says differently when its frames are decoded (PS3.5 8.2, PS3.3 C.7.6.3.1.2, C.7.6.1.1.5).
fn changes(source: &Source, compressed: bool) -> Result<Vec<Change>> {
    let facts = source.facts();
    let mut list = Vec::new();
    if facts.samples > 1 {
        list.push((PLANAR, Some((Vr::US, vec![0, 0]))));
    }
    if facts.samples == 3 {
        let photometric = if source.is_ybr() { "YBR_FULL" } else { "RGB" };
        // The modules of what is coded so know no YBR_FULL (PS3.3 C.8.12.1.1.1 and others): it would be an image that none of them allows.
        if compressed && facts.lossy && photometric == "YBR_FULL" && facts.photometric != photometric {
            return Err(Error::unsupported("it is lossy, in colours that have no name without compression"));
        }
        // What is not compressed may be sub-sampled as it lies there, and decoding fills it up.
        list.push((PHOTOMETRIC, Some((Vr::CS, even(photometric.into(), b' ')))));
    }
    if compressed {
        list.extend(derived::unmarked(source)?);
    }
    list.sort_by_key(|change| change.0);
    Ok(list)
}

/// The elements before (or behind) the pixel data, with what changes.
pub(crate) fn write_changed(
    source: &Source,
    out: &mut Rope,
    changes: &[Change],
    pixels: &Element,
    before: bool,
) -> Result<()> {
    let set = source.data_set();
    let within = |tag: Tag| (tag < PIXEL_DATA) == before && tag != PIXEL_DATA;
    let mut changes = changes.iter().filter(|change| within(change.0)).peekable();
    let place = |element: &&Element| (element.start < pixels.start) == before && element.start != pixels.start;
    for element in set.elements().iter().filter(place).filter(|e| !elements::left_out(e.tag)) {
        let mut replaced = false;
        while let Some((tag, value)) = changes.next_if(|change| change.0 <= element.tag) {
            replaced |= *tag == element.tag;
            write_value(out, *tag, value)?;
        }
        if replaced {
            continue;
        }
        if nested_fragments(element) {
            write_decoded(out, source, element)?;
            continue;
        }
        elements::write_element(out, set, element)?;
    }
    changes.try_for_each(|(tag, value)| write_value(out, *tag, value))
}

fn write_value(out: &mut Rope, tag: Tag, value: &Option<(Vr, Vec<u8>)>) -> Result<()> {
    let Some((vr, bytes)) = value else { return Ok(()) };
    elements::write_head(out, tag, *vr, bytes.len() as u32)?;
    out.bytes(bytes);
    Ok(())
}

/// Fragments in the items of a sequence, at any depth.
fn nested_fragments(element: &Element) -> bool {
    let Value::Items(items) = &element.value else { return false };
    let mut nested = items.iter().flat_map(|item| &item.elements);
    nested.any(|nested| matches!(nested.value, Value::Fragments(_)) || nested_fragments(nested))
}

/// A sequence that holds compressed pixels, as an icon does: where those of the image are not compressed, they are not either
/// (PS3.5 A.4).
fn write_decoded(out: &mut Rope, source: &Source, element: &Element) -> Result<()> {
    let set = source.data_set();
    let Value::Items(items) = &element.value else { return elements::write_element(out, set, element) };
    elements::write_head(out, element.tag, Vr::SQ, UNDEFINED)?;
    for item in items {
        elements::write_item(out, 0xE000, UNDEFINED)?;
        let image = match item.get(PIXEL_DATA).map(|e| &e.value) {
            Some(Value::Fragments(parts)) => Some(source.of_item(item, nested_syntax(source, parts)?)?),
            _ => None,
        };
        let changes = image.as_ref().map(|image| changes(image, true)).transpose()?.unwrap_or_default();
        let change = |tag: Tag| changes.iter().find(|change| change.0 == tag);
        for nested in item.elements.iter().filter(|e| !elements::left_out(e.tag)) {
            match (&image, &nested.value) {
                (Some(image), _) if nested.tag == PIXEL_DATA => write_native(out, image)?,
                (_, Value::Fragments(_)) => {
                    let (group, number) = (nested.tag.group(), nested.tag.element());
                    let what = format!("the fragments of ({group:04X},{number:04X}) are not given uncompressed");
                    return Err(Error::unsupported(what));
                }
                _ => match change(nested.tag) {
                    Some((tag, value)) => write_value(out, *tag, value)?,
                    None => write_decoded(out, source, nested)?,
                },
            }
        }
        elements::write_item(out, 0xE00D, 0)?;
    }
    elements::write_item(out, 0xE0DD, 0)
}

/// The transfer syntax of a small image within another: that of the file (PS3.5 A.4), but for one that was kept when the image around
/// it was coded anew: there the stream's own first bytes decide.
fn nested_syntax(source: &Source, parts: &[(u64, u64)]) -> Result<TransferSyntax> {
    let told = source.facts().transfer_syntax.clone();
    let Some((offset, len)) = parts.get(1) else { return Ok(told) };
    let head = source.data_set().input.bytes(*offset, (*len).min(HEAD))?;
    let uid = match head.first_chunk() {
        Some([0xFF, 0x4F, 0xFF, 0x51]) if told.is_htj2k() => return Ok(told),
        Some([0xFF, 0x4F, 0xFF, 0x51]) => "1.2.840.10008.1.2.4.90",
        Some([0xFF, 0xD8, 0xFF, _]) => match jpeg_frame_header(&head) {
            Some(0xC0) => "1.2.840.10008.1.2.4.50",
            Some(0xC1) => "1.2.840.10008.1.2.4.51",
            Some(0xC2) => "1.2.840.10008.1.2.4.55",
            Some(0xC3) => "1.2.840.10008.1.2.4.70",
            Some(0xF7) => TransferSyntax::JPEG_LS,
            _ => return Ok(told),
        },
        _ => return Ok(told),
    };
    Ok(TransferSyntax::new(uid))
}

/// The marker of the frame header of a JPEG or JPEG-LS stream (T.81 B.1.1.3, T.87 C.1).
fn jpeg_frame_header(stream: &[u8]) -> Option<u8> {
    let mut at = 2;
    loop {
        let [0xFF, marker, high, low] = *stream.get(at..)?.first_chunk()? else { return None };
        match marker {
            0xC0..=0xC3 | 0xF7 => return Some(marker),
            0xDA => return None,
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])),
        }
    }
}

/// The pixels of a small image within another, decoded.
fn write_native(out: &mut Rope, image: &Source) -> Result<()> {
    let (facts, count) = (image.facts(), image.frames().len() as u64);
    image.check_frames()?;
    if facts.bits_allocated == 1 || facts.frame_bytes().saturating_mul(count) > JOINED {
        return Err(Error::unsupported("an icon of that size is not given uncompressed"));
    }
    let (mut codecs, mut frame, mut bytes) = (Codecs::default(), Vec::new(), Vec::new());
    for n in 0..count {
        image.decode_with(n as u32, &mut codecs, &mut frame)?;
        bytes.extend_from_slice(&frame);
    }
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    let vr = if facts.bits_allocated > 8 { Vr::OW } else { Vr::OB };
    elements::write_head(out, PIXEL_DATA, vr, bytes.len() as u32)?;
    out.bytes(&bytes);
    Ok(())
}

/// Frames of single bits, each going on within the byte where the last one ends (PS3.5 8.1.1).
fn joined(source: &Source, out: &mut Rope, len: u64) -> Result<()> {
    if len > JOINED {
        return Err(Error::unsupported("so many single bits are not given uncompressed"));
    }
    let (mut codecs, mut frame, mut bytes, mut at) = (Codecs::default(), Vec::new(), vec![0u8; len as usize], 0usize);
    for n in 0..source.frames().len() {
        source.decode_with(n as u32, &mut codecs, &mut frame)?;
        for sample in &frame {
            bytes[at / 8] |= (sample & 1) << (at % 8);
            at += 1;
        }
    }
    out.bytes(&bytes);
    Ok(())
}

/// The samples of a frame as they are written.
fn samples(source: &Source, n: u32, codecs: &mut Codecs, out: &mut Vec<u8>) -> Result<()> {
    source.decode_with(n, codecs, out)?;
    if source.facts().bits_allocated == 1 {
        let pack = |eight: &[u8]| eight.iter().enumerate().fold(0, |byte, (n, bit)| byte | (bit & 1) << n);
        *out = out.chunks(8).map(pack).collect();
    }
    Ok(())
}

/// A fragment of even length with its head.
fn item(mut bytes: Vec<u8>) -> Result<Vec<u8>> {
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    let mut item = Vec::with_capacity(bytes.len() + 8);
    elements::write_item(&mut item, 0xE000, bytes.len() as u32)?;
    item.append(&mut bytes);
    Ok(item)
}

/// A recompressed instance with its JPEG streams, one fragment a frame. The offset table stays empty.
fn jpeg(source: &Source, before: &mut Rope, after: &mut Rope) -> Result<Vec<u64>> {
    let set = source.data_set();
    source.check_frames()?;
    write::write_meta(before, source, &TransferSyntax::new(TransferSyntax::JPEG_BASELINE), None)?;
    let Some(pixels) = set.get(PIXEL_DATA) else { return Err(Error::unsupported("it has no pixel data")) };
    write_copied(source, before, |element| element.start < pixels.start)?;
    elements::write_head(before, PIXEL_DATA, Vr::OB, UNDEFINED)?;
    elements::write_item(before, 0xE000, 0)?;
    let mut ends = Vec::with_capacity(source.frames().len());
    let mut end = 0;
    for n in 0..source.frames().len() as u32 {
        end += 8 + (source.jpeg_frame(n)?.len() as u64).next_multiple_of(2);
        ends.push(end);
    }
    elements::write_item(after, 0xE0DD, 0)?;
    write_copied(source, after, |element| element.start > pixels.start)?;
    Ok(ends)
}

fn write_copied(source: &Source, out: &mut Rope, which: impl Fn(&Element) -> bool) -> Result<()> {
    let set = source.data_set();
    let elements = set.elements().iter().filter(|e| which(e) && !elements::left_out(e.tag));
    elements.into_iter().try_for_each(|element| elements::write_element(out, set, element))
}
