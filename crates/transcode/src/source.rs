//! A DICOM instance opened for reading: data set, facts, frames.

use crate::data_set::DataSet;
use crate::error::{Error, Result};
use crate::facts::Facts;
use std::path::Path;

/// An instance, opened. Pixel data stays on disk.
#[derive(Debug)]
pub struct Source {
    facts: Facts,
    data_set: DataSet,
    frames: Vec<Frame>,
}

/// Where the bytes of one frame are in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// `(offset, length)` of each run of bytes, in order; one for native frames.
    pub fragments: Vec<(u64, u64)>,
}

/// A bulk value taken by [`Source::bulk`].
#[derive(Debug, Clone)]
pub struct Bulk {
    /// The value, little endian.
    pub bytes: Vec<u8>,
    /// Media type of the value.
    pub media_type: String,
}

impl Frame {
    /// Offset of the first byte in the file.
    pub fn offset(&self) -> u64 {
        self.fragments.first().map_or(0, |f| f.0)
    }

    /// Bytes of all runs (a pad byte at the end of the last fragment counted).
    pub fn length(&self) -> u64 {
        self.fragments.iter().map(|f| f.1).sum()
    }
}

impl Source {
    /// Opens a file: header and layout are read, pixel data is not.
    pub fn open(_path: &Path) -> Result<Source> {
        Err(Error::unsupported("nothing is read yet"))
    }

    /// As [`Source::open`], of bytes in memory.
    pub fn from_bytes(_bytes: Vec<u8>) -> Result<Source> {
        Err(Error::unsupported("nothing is read yet"))
    }

    /// Facts of the instance.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The walked data set.
    pub fn data_set(&self) -> &DataSet {
        &self.data_set
    }

    /// Where each frame is. Empty without pixel data, and when the frames can't be told apart (see [`Source::read_frame`]).
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// The stored bytes of frame `n` (from 0), fragments joined.
    pub fn read_frame(&self, _n: u32, _out: &mut Vec<u8>) -> Result<()> {
        Err(Error::unsupported("nothing is read yet"))
    }

    /// The samples of frame `n` (from 0): little endian, interleaved by pixel, in the container of Bits Allocated.
    pub fn decode_frame(&self, _n: u32, _out: &mut Vec<u8>) -> Result<()> {
        Err(Error::unsupported("nothing is read yet"))
    }

    /// Bytes of the file.
    pub fn len(&self) -> u64 {
        0
    }

    /// Is the file empty? Never: it would not have been opened.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// SHA-256 of the file as it is, hexadecimal.
    pub fn sha256(&self) -> Result<String> {
        Err(Error::unsupported("nothing is read yet"))
    }

    /// The data set as DICOM JSON (PS3.18 F.2). `bulk_uri` makes the BulkDataURI of a value from its path: tags of 8
    /// hexadecimal digits and item numbers from 0, joined by `/` (`7FE00010`, `00081140/0/00091010`).
    pub fn dicom_json(&self, _bulk_uri: &dyn Fn(&str) -> String) -> Result<serde_json::Map<String, serde_json::Value>> {
        Err(Error::unsupported("nothing is read yet"))
    }

    /// The value behind a path that [`Source::dicom_json`] gave out; `None` when there is no such value.
    /// Encapsulated pixel data is not taken this way: use the frames.
    pub fn bulk(&self, _path: &str) -> Result<Option<Bulk>> {
        Ok(None)
    }
}
