//! A last look at a de-identified instance: nothing that the profile takes out is in it, at any depth, and its pixels are those
//! of the source.

use super::Deidentifier;
use super::profile::{Act, ProfileOption};
use super::values::{trim, well_known};
use crate::error::{Error, Result};
use dicom::data_set::{DataSet, Element, Tag, Value, Vr};
use dicom::dictionary;
use dicom::source::Source;

/// Compares what was made with what the profile says.
pub(crate) fn check(by: &Deidentifier, source: &Source, made: &Source) -> Result<()> {
    let set = made.data_set();
    if set.irregular {
        return Err(left("an element that is not written as the transfer syntax says"));
    }
    if set.string(Tag(0x0012, 0x0062)).as_deref() != Some("YES") {
        return Err(left("no mark of de-identification"));
    }
    if made.meta().iter().any(|e| !matches!(e.tag.element(), 0 | 1 | 2 | 3 | 0x10 | 0x12 | 0x13)) {
        return Err(left("an element of the file meta"));
    }
    elements(by, set, set.elements())?;
    pixels(source, made)
}

fn left(what: &str) -> Error {
    Error::Identifying(format!("internal check: {what} is left"))
}

fn elements(by: &Deidentifier, set: &DataSet, list: &[Element]) -> Result<()> {
    list.iter().try_for_each(|element| {
        one(by, set, element)?;
        match &element.value {
            Value::Items(items) => items.iter().try_for_each(|item| elements(by, set, &item.elements)),
            _ => Ok(()),
        }
    })
}

fn one(by: &Deidentifier, set: &DataSet, element: &Element) -> Result<()> {
    let tag = element.tag;
    let named = || left(&format!("({:04X},{:04X})", tag.group(), tag.element()));
    if tag.group() % 2 == 1 {
        return if by.profile.has(ProfileOption::RetainSafePrivate) { Ok(()) } else { Err(named()) };
    }
    match by.profile.act(tag, dictionary::vr_of(tag)) {
        Act::Remove => Err(named()),
        Act::Uid => {
            let value = set.bytes(element)?;
            let new = |uid: &[u8]| uid.is_empty() || uid.starts_with(b"2.25.") || well_known(uid);
            if value.split(|b| *b == b'\\').all(|uid| new(trim(uid))) { Ok(()) } else { Err(named()) }
        }
        Act::Empty if tag != Tag(0x0010, 0x0010) => match &element.value {
            Value::Bytes { len: 0, .. } => Ok(()),
            Value::Items(items) if items.is_empty() => Ok(()),
            _ => Err(named()),
        },
        Act::Dummy if element.vr == Vr::SQ || tag == Tag(0x0010, 0x0020) => Ok(()),
        Act::Dummy => {
            let value = set.bytes(element)?;
            let dummy = value.is_empty()
                || *value == *super::values::dummy(element.vr)
                || (element.vr == Vr::UI && value.starts_with(b"2.25."));
            if dummy { Ok(()) } else { Err(named()) }
        }
        _ => Ok(()),
    }
}

fn pixels(source: &Source, made: &Source) -> Result<()> {
    let (a, b) = (source.facts(), made.facts());
    // Frames of swapped bytes are found with a byte more where their size is odd.
    let swapped = source.data_set().elements().iter().any(|e| e.big_endian);
    let same = source.frames().len() == made.frames().len()
        && source.frames().iter().zip(made.frames()).all(|(x, y)| swapped || x.length() == y.length())
        && (a.rows, a.columns, a.samples, a.bits_allocated, a.bits_stored, a.high_bit, a.signed)
            == (b.rows, b.columns, b.samples, b.bits_allocated, b.bits_stored, b.high_bit, b.signed)
        && (a.frames, &a.photometric, a.planar, a.pixels) == (b.frames, &b.photometric, b.planar, b.pixels);
    if same { Ok(()) } else { Err(Error::Identifying("internal check: the pixels are not those of the source".into())) }
}
