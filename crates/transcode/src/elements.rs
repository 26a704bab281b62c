//! Elements and items as they are written, in Explicit VR Little Endian (PS3.5 7.1, 7.5).

use dicom::data_set::{DataSet, Element, Item, Tag, Value, Vr, long_header, word};
use dicom::error::{Error, Result};
use dicom::rope::Out;
use std::io::{Cursor, Write};

pub(crate) const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);
pub(crate) const EXTENDED_OFFSETS: Tag = Tag(0x7FE0, 0x0001);
pub(crate) const EXTENDED_LENGTHS: Tag = Tag(0x7FE0, 0x0002);
pub(crate) const UNDEFINED: u32 = 0xFFFF_FFFF;

/// An element that a re-encoded instance does not take over.
pub(crate) fn left_out(tag: Tag) -> bool {
    tag.element() == 0 || matches!(tag, EXTENDED_OFFSETS | EXTENDED_LENGTHS)
}

/// One element in Explicit VR Little Endian.
pub(crate) fn write_element<O: Out>(out: &mut O, set: &DataSet, element: &Element) -> Result<()> {
    let vr = written_vr(element);
    match &element.value {
        Value::Bytes { offset, len } => {
            write_head(out, element.tag, vr, *len as u32)?;
            out.run(&set.input, *offset, *len, if element.big_endian { word(element.vr) } else { 1 })
        }
        Value::Items(items) if vr == Vr::SQ => {
            let len = if element.undefined { UNDEFINED } else { u32_len(content_len(element)?)? };
            write_head(out, element.tag, Vr::SQ, len)?;
            items.iter().try_for_each(|item| write_whole_item(out, set, item))?;
            if element.undefined { write_item(out, 0xE0DD, 0) } else { Ok(()) }
        }
        // Sequences of unknown VR are implicit inside, and fragments are bytes: both are carried as they are.
        Value::Items(_) | Value::Fragments(_) => {
            write_head(out, element.tag, vr, UNDEFINED)?;
            let value = value_start(element);
            out.run(&set.input, value, element.end - value, 1)
        }
    }
}

/// The items of a sequence as they are written, without the head and the end of the sequence.
pub(crate) fn items(set: &DataSet, element: &Element) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    if let Value::Items(items) = &element.value {
        items.iter().try_for_each(|item| write_whole_item(&mut bytes, set, item))?;
    }
    Ok(bytes.into_inner())
}

fn write_whole_item<O: Out>(out: &mut O, set: &DataSet, item: &Item) -> Result<()> {
    let len = if item.undefined { UNDEFINED } else { u32_len(item_len(item)?)? };
    write_item(out, 0xE000, len)?;
    item.elements.iter().filter(|e| e.tag.element() != 0).try_for_each(|element| write_element(out, set, element))?;
    if item.undefined { write_item(out, 0xE00D, 0) } else { Ok(()) }
}

/// The VR that is written: a value that is too long for a 16-bit length goes as UN (PS3.5 6.2.2).
pub(crate) fn written_vr(element: &Element) -> Vr {
    match element.value {
        Value::Bytes { len, .. } if len > 0xFFFE && !long_header(element.vr) => Vr::UN,
        _ => element.vr,
    }
}

/// Where the value of an element begins that is a sequence or fragments.
pub(crate) fn value_start(element: &Element) -> u64 {
    element.start + if element.written_explicit && long_header(element.vr) { 12 } else { 8 }
}

/// Bytes of the value of an element when it is written.
fn content_len(element: &Element) -> Result<u64> {
    match &element.value {
        Value::Bytes { len, .. } => Ok(*len),
        Value::Items(items) if written_vr(element) == Vr::SQ => {
            let mut sum = if element.undefined { 8 } else { 0 };
            for item in items {
                sum += 8 + item_len(item)? + if item.undefined { 8 } else { 0 };
            }
            Ok(sum)
        }
        _ => Ok(element.end - value_start(element)),
    }
}

fn item_len(item: &Item) -> Result<u64> {
    let mut sum = 0;
    for element in item.elements.iter().filter(|e| e.tag.element() != 0) {
        sum += if long_header(written_vr(element)) { 12 } else { 8 } + content_len(element)?;
    }
    Ok(sum)
}

fn u32_len(len: u64) -> Result<u32> {
    u32::try_from(len).ok().filter(|l| *l < UNDEFINED).ok_or_else(|| Error::Limit("a sequence of 4 GiB".into()))
}

pub(crate) fn write_head(out: &mut dyn Write, tag: Tag, vr: Vr, len: u32) -> Result<()> {
    out.write_all(&tag.0.to_le_bytes())?;
    out.write_all(&tag.1.to_le_bytes())?;
    out.write_all(&vr.to_bytes())?;
    if long_header(vr) {
        out.write_all(&[0, 0])?;
        out.write_all(&len.to_le_bytes())?;
    } else {
        out.write_all(&(len as u16).to_le_bytes())?;
    }
    Ok(())
}

pub(crate) fn write_item(out: &mut dyn Write, element: u16, len: u32) -> Result<()> {
    out.write_all(&0xFFFEu16.to_le_bytes())?;
    out.write_all(&element.to_le_bytes())?;
    Ok(out.write_all(&len.to_le_bytes())?)
}
