//! The data set as it lies in the file (PS3.5 chapter 7): tags, VRs and where the values are, nothing decoded.

pub use dicom_core::{Tag, VR as Vr};

use crate::error::Result;
use std::borrow::Cow;

/// One data set: elements in the order of the file, values left where they are.
#[derive(Debug, Clone, Default)]
pub struct DataSet {
    elements: Vec<Element>,
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
}

impl DataSet {
    /// The top-level elements in the order of the file.
    pub fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// The top-level element with this tag.
    pub fn get(&self, tag: Tag) -> Option<&Element> {
        self.elements.iter().find(|e| e.tag == tag)
    }

    /// The value bytes as they are in the file (empty for sequences).
    pub fn bytes(&self, _element: &Element) -> Result<Cow<'_, [u8]>> {
        Ok(Cow::Borrowed(&[]))
    }

    /// The values of a top-level text element as UTF-8, each trimmed; empty when absent.
    pub fn strings(&self, _tag: Tag) -> Vec<String> {
        Vec::new()
    }

    /// The first of [`DataSet::strings`].
    pub fn string(&self, tag: Tag) -> Option<String> {
        self.strings(tag).into_iter().next()
    }
}
