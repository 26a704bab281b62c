//! The data set as it lies in the file (PS3.5 chapter 7): tags, VRs and where the values are, nothing decoded.

pub use dicom_core::{Tag, VR as Vr};

use crate::charset::Charset;
use crate::dictionary;
use crate::error::Result;
use crate::input::Input;
use crate::syntax::Encoding;
use std::borrow::Cow;
use std::sync::Arc;

/// Longer values are no text that a rule could look at.
const MAX_TEXT: u64 = 64 * 1024;

/// One data set: elements in the order of the file, values left where they are.
#[derive(Debug, Clone)]
pub struct DataSet {
    /// The bytes that offsets count in.
    pub input: Arc<Input>,
    /// The top-level elements in the order of the file.
    pub elements: Vec<Element>,
    /// How the first element is written.
    pub encoding: Encoding,
    pub(crate) charset: Charset,
    /// Some element is not written the way the transfer syntax says.
    pub irregular: bool,
}

/// One data element.
#[derive(Debug, Clone)]
pub struct Element {
    /// Its tag.
    pub tag: Tag,
    /// Its VR: written in the file, or looked up where the file has none.
    pub vr: Vr,
    /// Where its value is.
    pub value: Value,
    /// Offset of the first byte of its tag.
    pub start: u64,
    /// Offset past its last byte, delimiters included.
    pub end: u64,
    /// The VR stands in the file.
    pub written_explicit: bool,
    /// Its length field is FFFFFFFF.
    pub undefined: bool,
    /// Byte order of its value.
    pub big_endian: bool,
    /// Its VR; where that is UN, what the dictionary has, or SQ where its value proved to be one.
    pub known: Vr,
    /// The items in a value of VR UN: bytes to whoever writes it, a sequence to whoever reads it (PS3.5 6.2.2).
    pub inside: Option<Box<[Item]>>,
}

/// The value of an element.
#[derive(Debug, Clone)]
pub enum Value {
    /// `len` bytes at `offset`.
    Bytes {
        /// Offset in the file.
        offset: u64,
        /// Length in bytes.
        len: u64,
    },
    /// The items of a sequence.
    Items(Vec<Item>),
    /// Fragments of an encapsulated value, the offset table first: `(offset, length)` of each.
    Fragments(Vec<(u64, u64)>),
}

/// One item of a sequence.
#[derive(Debug, Clone)]
pub struct Item {
    /// The data set it holds.
    pub elements: Vec<Element>,
    /// Its length field is FFFFFFFF.
    pub undefined: bool,
}

impl Element {
    /// Its VR, or where that is UN the one the dictionary has: writers that did not know an element made it UN (PS3.5 6.2.2).
    pub fn known_vr(&self) -> Vr {
        if self.vr == Vr::UN { self.known } else { self.vr }
    }

    /// The items of a sequence, also of one that was written as UN; `None` where it is none.
    pub fn items(&self) -> Option<&[Item]> {
        match &self.value {
            Value::Items(items) => Some(items),
            _ => self.inside.as_deref(),
        }
    }
}

impl Item {
    /// The element with this tag.
    pub fn get(&self, tag: Tag) -> Option<&Element> {
        find(&self.elements, tag)
    }
}

impl DataSet {
    /// The top-level elements in the order of the file.
    pub fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// The top-level element with this tag.
    pub fn get(&self, tag: Tag) -> Option<&Element> {
        find(&self.elements, tag)
    }

    /// The value bytes as they are in the file, in its byte order (empty for sequences and fragments).
    pub fn bytes(&self, element: &Element) -> Result<Cow<'_, [u8]>> {
        match element.value {
            Value::Bytes { offset, len } => self.input.bytes(offset, len),
            _ => Ok(Cow::Borrowed(&[])),
        }
    }

    /// The value bytes in little endian order.
    pub fn bytes_le(&self, element: &Element) -> Result<Cow<'_, [u8]>> {
        let bytes = self.bytes(element)?;
        if !element.big_endian || word(element.vr) == 1 {
            return Ok(bytes);
        }
        let mut bytes = bytes.into_owned();
        swap(&mut bytes, word(element.vr));
        Ok(Cow::Owned(bytes))
    }

    /// The values of a text element as UTF-8, each trimmed of padding; empty when there is none or it can't be read.
    pub fn text(&self, element: &Element) -> Vec<String> {
        match self.bytes(element) {
            Ok(bytes) => self.charset.values(&bytes, element.known_vr()),
            Err(_) => Vec::new(),
        }
    }

    /// The values of a top-level text element as UTF-8, each trimmed; empty when absent.
    pub fn strings(&self, tag: Tag) -> Vec<String> {
        self.get(tag).map(|e| self.text(e)).unwrap_or_default()
    }

    /// The values of a top-level element as text, numbers in decimal; `None` when it is not there. Of bulk data and sequences
    /// there are none.
    pub fn values(&self, tag: Tag) -> Option<Vec<String>> {
        let element = self.get(tag)?;
        let numbers = |bytes: &[u8]| match element.known_vr() {
            Vr::US => Some(decimal(bytes, u16::from_le_bytes)),
            Vr::SS => Some(decimal(bytes, i16::from_le_bytes)),
            Vr::UL => Some(decimal(bytes, u32::from_le_bytes)),
            Vr::SL => Some(decimal(bytes, i32::from_le_bytes)),
            Vr::UV => Some(decimal(bytes, u64::from_le_bytes)),
            Vr::SV => Some(decimal(bytes, i64::from_le_bytes)),
            Vr::FL => Some(decimal(bytes, f32::from_le_bytes)),
            Vr::FD => Some(decimal(bytes, f64::from_le_bytes)),
            Vr::OB | Vr::OD | Vr::OF | Vr::OL | Vr::OV | Vr::OW | Vr::SQ | Vr::UN | Vr::AT => Some(Vec::new()),
            _ => None,
        };
        let long = matches!(element.value, Value::Bytes { len, .. } if len > MAX_TEXT);
        let bytes = if long { Cow::Borrowed([].as_slice()) } else { self.bytes_le(element).ok()? };
        Some(numbers(&bytes).unwrap_or_else(|| if long { Vec::new() } else { self.text(element) }))
    }

    /// The first of [`DataSet::strings`].
    pub fn string(&self, tag: Tag) -> Option<String> {
        self.strings(tag).into_iter().next()
    }

    /// The first value of a top-level US, SS or UN element as a number.
    pub fn u16(&self, tag: Tag) -> Option<u16> {
        self.first_u16(self.get(tag)?)
    }

    /// The first 16-bit value of an element as a number.
    pub fn first_u16(&self, element: &Element) -> Option<u16> {
        first_u16(&self.input, element)
    }
}

fn decimal<const N: usize, T: ToString>(bytes: &[u8], number: fn([u8; N]) -> T) -> Vec<String> {
    bytes.as_chunks::<N>().0.iter().map(|b| number(*b).to_string()).collect()
}

pub(crate) fn first_u16(input: &Input, element: &Element) -> Option<u16> {
    let Value::Bytes { offset, len } = element.value else { return None };
    if len < 2 {
        return None;
    }
    let mut raw = [0; 2];
    input.read_at(offset, &mut raw).ok()?;
    Some(if element.big_endian && element.vr != Vr::UN { u16::from_be_bytes(raw) } else { u16::from_le_bytes(raw) })
}

impl dictionary::Read for Input {
    fn first_u16(&self, element: &Element) -> Option<u16> {
        first_u16(self, element)
    }

    fn decimal(&self, element: &Element) -> Option<f64> {
        let Value::Bytes { offset, len } = element.value else { return None };
        let bytes = self.bytes(offset, len.min(256)).ok()?;
        let first = bytes.split(|b| *b == b'\\').next()?;
        std::str::from_utf8(first).ok()?.trim_matches([' ', '\0']).parse().ok()
    }
}

fn find(elements: &[Element], tag: Tag) -> Option<&Element> {
    elements.iter().find(|e| e.tag == tag)
}

/// Bytes of one number of a VR: what is swapped between byte orders (PS3.5 7.3).
pub fn word(vr: Vr) -> usize {
    match vr {
        Vr::US | Vr::SS | Vr::OW | Vr::AT => 2,
        Vr::UL | Vr::SL | Vr::FL | Vr::OL | Vr::OF => 4,
        Vr::FD | Vr::OD | Vr::UV | Vr::SV | Vr::OV => 8,
        _ => 1,
    }
}

/// Turns the byte order of every word of `size` bytes around; a rest that is no whole word stays.
pub fn swap(bytes: &mut [u8], size: usize) {
    if size > 1 {
        bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
}

/// Is a VR followed by two reserved bytes and a 32-bit length (PS3.5 Table 7.1-1)?
pub fn long_header(vr: Vr) -> bool {
    matches!(
        vr,
        Vr::OB
            | Vr::OD
            | Vr::OF
            | Vr::OL
            | Vr::OV
            | Vr::OW
            | Vr::SQ
            | Vr::SV
            | Vr::UC
            | Vr::UN
            | Vr::UR
            | Vr::UT
            | Vr::UV
    )
}
