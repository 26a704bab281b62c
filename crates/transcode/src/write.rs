//! Writes an instance (PS3.10 7.1, PS3.5 7 and A.4): preamble, file meta, elements as they were, frames one fragment each.

use crate::changes::Changes;
use crate::elements::{
    EXTENDED_LENGTHS, EXTENDED_OFFSETS, PIXEL_DATA, UNDEFINED, left_out, write_element, write_head, write_item,
};
use crate::plan::Plan;
use crate::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME};
use dicom::data_set::{DataSet, Tag, Value, Vr, long_header};
use dicom::error::{Error, Result};
use dicom::frames::offset_table;
use dicom::rope::Out;
use dicom::source::Source;
use dicom::syntax::{Encoding, TransferSyntax};
use std::io::{Seek, SeekFrom, Write};

/// Which table tells where the frames are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// Basic Offset Table: 32 bits.
    Basic,
    /// Extended Offset Table (7FE0,0001/0002): 64 bits, the basic one empty.
    Extended,
    /// None: the frames are not compressed and lie end to end.
    Native,
}

/// An instance while its frames are written.
pub(crate) struct Writer<'a, W> {
    out: W,
    source: &'a Source,
    plan: &'a Plan,
    table: Table,
    /// Where the compression ratio is to be filled in.
    ratio: Option<u64>,
    /// Single bits that are not a byte yet, and how many.
    bits: (u8, u8),
    /// Where the values of the offset table (or of both extended ones) are to be filled in.
    holes: Vec<u64>,
    lengths: Vec<u64>,
    padded: Vec<u64>,
}

impl<'a, W: Write + Seek> Writer<'a, W> {
    /// Writes everything up to the first frame. There will be `frames` of them.
    pub(crate) fn start(mut out: W, source: &'a Source, plan: &'a Plan, frames: u32, table: Table) -> Result<Self> {
        write_meta(&mut out, source, &plan.target.transfer_syntax(), plan.changes.uid.as_deref())?;
        let ratio = write_elements(&mut out, source.data_set(), &plan.changes, |tag| tag < PIXEL_DATA)?;
        let (holes, lengths, padded) = (Vec::new(), Vec::new(), Vec::new());
        let mut writer = Writer { out, source, plan, table, ratio, bits: (0, 0), holes, lengths, padded };
        if table == Table::Native {
            let vr = if plan.bits_allocated > 8 { Vr::OW } else { Vr::OB };
            write_head(&mut writer.out, PIXEL_DATA, vr, native_length(plan, frames)?)?;
            return Ok(writer);
        }
        if table == Table::Extended {
            for tag in [EXTENDED_OFFSETS, EXTENDED_LENGTHS] {
                let bytes = u32::try_from(u64::from(frames) * 8)
                    .map_err(|_| Error::Limit("frames of an extended offset table".into()))?;
                write_head(&mut writer.out, tag, Vr::OV, bytes)?;
                writer.hole(u64::from(bytes))?;
            }
        }
        write_head(&mut writer.out, PIXEL_DATA, Vr::OB, UNDEFINED)?;
        let bytes = if table == Table::Basic { frames * 4 } else { 0 };
        write_item(&mut writer.out, 0xE000, bytes)?;
        if table == Table::Basic {
            writer.hole(u64::from(bytes))?;
        }
        Ok(writer)
    }

    fn hole(&mut self, bytes: u64) -> Result<()> {
        self.holes.push(self.out.stream_position()?);
        std::io::copy(&mut std::io::Read::take(std::io::repeat(0), bytes), &mut self.out)?;
        Ok(())
    }

    /// Writes one frame as one fragment of even length.
    pub(crate) fn frame(&mut self, codestream: &[u8]) -> Result<()> {
        if self.table == Table::Native {
            return self.native_frame(codestream);
        }
        let padded = codestream.len() as u64 + codestream.len() as u64 % 2;
        let len = u32::try_from(padded)
            .ok()
            .filter(|len| *len < UNDEFINED)
            .ok_or_else(|| Error::Limit("a frame of 4 GiB".into()))?;
        write_item(&mut self.out, 0xE000, len)?;
        self.out.write_all(codestream)?;
        if padded != codestream.len() as u64 {
            self.out.write_all(&[0])?;
        }
        self.lengths.push(codestream.len() as u64);
        self.padded.push(padded);
        Ok(())
    }

    /// Samples as they are; single bits are joined to bytes, the next frame going on where this one ends (PS3.5 8.1.1).
    fn native_frame(&mut self, samples: &[u8]) -> Result<()> {
        self.lengths.push(samples.len() as u64);
        if self.plan.bits_allocated != 1 {
            return Ok(self.out.write_all(samples)?);
        }
        for sample in samples {
            self.bits = (self.bits.0 | (sample & 1) << self.bits.1, self.bits.1 + 1);
            if self.bits.1 == 8 {
                self.out.write_all(&[std::mem::take(&mut self.bits).0])?;
            }
        }
        Ok(())
    }

    /// Ends the frames that are not compressed with an even number of bytes.
    fn end_native(&mut self) -> Result<()> {
        if self.bits.1 > 0 {
            self.out.write_all(&[self.bits.0])?;
        }
        let bits = u64::from(if self.plan.bits_allocated == 1 { 1u8 } else { 8 });
        let bytes = (self.lengths.iter().sum::<u64>() * bits).div_ceil(8);
        if bytes % 2 == 1 {
            self.out.write_all(&[0])?;
        }
        Ok(())
    }

    /// Writes what follows the frames, and the offset table. `Ok(None)`: 32 bits were not enough.
    pub(crate) fn finish(mut self) -> Result<Option<W>> {
        match self.table {
            Table::Native => self.end_native()?,
            _ => write_item(&mut self.out, 0xE0DD, 0)?,
        }
        write_elements(&mut self.out, self.source.data_set(), &self.plan.changes, |tag| tag > PIXEL_DATA)?;
        let before = self.source.facts().frame_bytes() * self.lengths.len() as u64;
        let ratio = self.plan.changes.ratio(before, self.lengths.iter().sum());
        let tables: Vec<Vec<u8>> = match self.table {
            Table::Basic => match offset_table(&self.padded) {
                Some(table) => vec![table.iter().flat_map(|o| o.to_le_bytes()).collect()],
                None => return Ok(None),
            },
            Table::Extended => {
                let offsets = self.padded.iter().scan(0u64, |at, len| {
                    let offset = *at;
                    *at += 8 + len;
                    Some(offset)
                });
                vec![
                    offsets.flat_map(u64::to_le_bytes).collect(),
                    self.lengths.iter().flat_map(|l| l.to_le_bytes()).collect(),
                ]
            }
            Table::Native => Vec::new(),
        };
        if let Some((at, (_, value))) = self.ratio.zip(ratio) {
            self.out.seek(SeekFrom::Start(at))?;
            self.out.write_all(&value)?;
        }
        for (hole, table) in self.holes.iter().zip(tables) {
            self.out.seek(SeekFrom::Start(*hole))?;
            self.out.write_all(&table)?;
        }
        self.out.flush()?;
        Ok(Some(self.out))
    }
}

/// Bytes of Pixel Data that is not compressed.
fn native_length(plan: &Plan, frames: u32) -> Result<u32> {
    let pixels = u64::from(plan.rows) * u64::from(plan.columns) * u64::from(plan.samples);
    let bytes = (pixels * u64::from(plan.bits_allocated)).checked_mul(frames.into()).map(|bits| bits.div_ceil(8));
    let even = bytes.and_then(|bytes| bytes.checked_next_multiple_of(2)).and_then(|bytes| u32::try_from(bytes).ok());
    let whole = even.filter(|bytes| *bytes < UNDEFINED);
    whole.ok_or_else(|| Error::unsupported("more than 4 GiB of pixels can't be written without compression"))
}

/// Writes an instance whose pixels are not in fragments in Explicit VR Little Endian, the form in which it goes out (PS3.18 8.7.3).
pub(crate) fn write_explicit_little<O: Out>(source: &Source, out: &mut O) -> Result<()> {
    let set = source.data_set();
    let fragments = set.get(PIXEL_DATA).is_some_and(|e| matches!(e.value, Value::Fragments(_)));
    if fragments && source.facts().transfer_syntax.is_encapsulated() {
        return Err(Error::unsupported("a compressed instance is explicit little endian already"));
    }
    write_meta(out, source, &TransferSyntax::new(TransferSyntax::EXPLICIT_LITTLE), None)?;
    for element in set.elements.iter().filter(|e| e.tag.element() != 0) {
        match element.value {
            Value::Bytes { offset, len } if element.tag == PIXEL_DATA && element.big_endian => {
                let allocated = source.facts().bits_allocated;
                let size = match (allocated, element.vr) {
                    (0..=8, Vr::OW) => 2,
                    (0..=8, _) => 1,
                    _ => usize::from(allocated / 8),
                };
                write_head(out, element.tag, if allocated > 8 { Vr::OW } else { element.vr }, len as u32)?;
                out.run(&set.input, offset, len, size)?;
            }
            _ => write_element(out, set, element)?,
        }
    }
    Ok(out.flush()?)
}

/// Preamble of zeros, prefix, and the file meta: ours, but for what tells where the instance came from.
pub(crate) fn write_meta(
    out: &mut dyn Write,
    source: &Source,
    syntax: &TransferSyntax,
    uid: Option<&str>,
) -> Result<()> {
    let mut meta = Vec::new();
    let set = source.data_set();
    for (element, tag, told) in [(0x0002, Tag(0x0008, 0x0016), 0x0002), (0x0003, Tag(0x0008, 0x0018), 0x0003)] {
        let new = uid.filter(|_| element == 0x0003).map(|uid| uid.as_bytes().to_vec());
        let uid = match set.get(tag) {
            _ if new.is_some() => new.unwrap_or_default(),
            Some(found) => set.bytes(found)?.into_owned(),
            None => source.meta_value(told)?,
        };
        if !uid.is_empty() {
            meta_element(&mut meta, element, Vr::UI, uid.trim_ascii_end());
        }
    }
    meta_element(&mut meta, 0x0010, Vr::UI, syntax.uid().as_bytes());
    meta_element(&mut meta, 0x0012, Vr::UI, IMPLEMENTATION_CLASS_UID.as_bytes());
    meta_element(&mut meta, 0x0013, Vr::SH, IMPLEMENTATION_VERSION_NAME.as_bytes());
    for element in source.meta().iter().filter(|e| e.tag.element() > 0x0013) {
        let mut value = source.meta_bytes(element)?;
        // A title of blanks is none (PS3.5 6.2); a value that has no place is no value.
        if (element.vr == Vr::AE && value.iter().all(|b| matches!(b, b' ' | 0))) || value.len() >= 0xFFFE {
            continue;
        }
        if long_header(element.vr) {
            value.resize(value.len().next_multiple_of(2), 0);
            write_head(&mut meta, element.tag, element.vr, value.len() as u32)?;
            meta.extend_from_slice(&value);
        } else {
            meta_element(&mut meta, element.tag.element(), element.vr, &value);
        }
    }
    out.write_all(&[0; 128])?;
    out.write_all(b"DICM")?;
    write_head(out, Tag(0x0002, 0x0000), Vr::UL, 4)?;
    out.write_all(&(14 + meta.len() as u32).to_le_bytes())?;
    write_head(out, Tag(0x0002, 0x0001), Vr::OB, 2)?;
    out.write_all(&[0, 1])?;
    Ok(out.write_all(&meta)?)
}

/// A short element of group 0002, padded to even length.
fn meta_element(meta: &mut Vec<u8>, element: u16, vr: Vr, value: &[u8]) {
    let value = if vr == Vr::UI { value.trim_ascii_end().strip_suffix(b"\0").unwrap_or(value) } else { value };
    let len = (value.len() + value.len() % 2) as u16;
    meta.extend_from_slice(&0x0002u16.to_le_bytes());
    meta.extend_from_slice(&element.to_le_bytes());
    meta.extend_from_slice(&vr.to_bytes());
    meta.extend_from_slice(&len.to_le_bytes());
    meta.extend_from_slice(value);
    if value.len() % 2 == 1 {
        meta.push(if vr == Vr::UI { 0 } else { b' ' });
    }
}

/// The top-level elements in a range of tags, with the changes of the plan; runs that need none are copied as they are. Returns
/// where the compression ratio is to be filled in.
fn write_elements<W: Write + Seek>(
    out: &mut W,
    set: &DataSet,
    changes: &Changes,
    range: impl Fn(Tag) -> bool,
) -> Result<Option<u64>> {
    let gap = changes.ratio(0, 1).map(|ratio| ratio.0);
    let mut ratio = None;
    let mut changes = changes.list().iter().filter(|c| range(c.0)).peekable();
    let verbatim = set.encoding == Encoding::ExplicitLittle && !set.irregular;
    let mut run = 0..0;
    for element in set.elements.iter().filter(|e| range(e.tag) && !left_out(e.tag)) {
        if changes.peek().is_some_and(|c| c.0 <= element.tag) {
            flush(out, set, &mut run)?;
        }
        let mut replaced = false;
        while let Some((tag, value)) = changes.next_if(|c| c.0 <= element.tag) {
            replaced |= *tag == element.tag;
            ratio = write_change(out, *tag, value, gap)?.or(ratio);
        }
        if replaced {
            continue;
        }
        if !verbatim {
            write_element(out, set, element)?;
        } else if run.end == element.start && !run.is_empty() {
            run.end = element.end;
        } else {
            flush(out, set, &mut run)?;
            run = element.start..element.end;
        }
    }
    flush(out, set, &mut run)?;
    for (tag, value) in changes {
        ratio = write_change(out, *tag, value, gap)?.or(ratio);
    }
    Ok(ratio)
}

fn flush(out: &mut dyn Write, set: &DataSet, run: &mut std::ops::Range<u64>) -> Result<()> {
    let done = std::mem::take(run);
    set.input.copy_to(done.start, done.end - done.start, out)
}

/// Returns where the value starts, when it is the one with a `gap`.
fn write_change<W: Write + Seek>(
    out: &mut W,
    tag: Tag,
    value: &Option<(Vr, Vec<u8>)>,
    gap: Option<Tag>,
) -> Result<Option<u64>> {
    let Some((vr, bytes)) = value else { return Ok(None) };
    write_head(out, tag, *vr, bytes.len() as u32)?;
    let at = if gap == Some(tag) { Some(out.stream_position()?) } else { None };
    out.write_all(bytes)?;
    Ok(at)
}
