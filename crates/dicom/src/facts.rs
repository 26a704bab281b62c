//! What policy, index and rendering need to know of an instance.

use crate::data_set::{DataSet, Tag, Value};
use crate::error::{Error, Result};
use crate::syntax::{Coding, TransferSyntax};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Frames of one instance.
pub(crate) const MAX_FRAMES: u32 = 16_000_000;

/// Where and how an instance holds pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pixels {
    /// No pixel data.
    None,
    /// Pixel Data (7FE0,0010), uncompressed.
    Native,
    /// Pixel Data in fragments.
    Encapsulated,
    /// Float or Double Float Pixel Data.
    Float,
    /// A video stream.
    Video,
}

/// Facts of one instance, taken once when it is opened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Facts {
    /// Study Instance UID (0020,000D).
    pub study_uid: String,
    /// Series Instance UID (0020,000E).
    pub series_uid: String,
    /// SOP Instance UID (0008,0018).
    pub sop_instance_uid: String,
    /// SOP Class UID (0008,0016).
    pub sop_class_uid: String,
    /// Modality (0008,0060).
    pub modality: String,
    /// Source Application Entity Title (0002,0016).
    pub source_ae: String,
    /// Transfer syntax of the file.
    pub transfer_syntax: TransferSyntax,
    /// The transfer syntax that the frames really have, where length or first bytes prove that it is not the one of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame_syntax: Option<TransferSyntax>,
    /// How pixels are held.
    pub pixels: Pixels,
    /// Rows (0028,0010).
    pub rows: u32,
    /// Columns (0028,0011).
    pub columns: u32,
    /// Number of Frames (0028,0008), 1 when absent; 0 without pixels. When it is no number, or one that can't be: frames that are
    /// there.
    pub frames: u32,
    /// Samples per Pixel (0028,0002).
    pub samples: u16,
    /// Bits Allocated (0028,0100).
    pub bits_allocated: u16,
    /// Bits Stored (0028,0101).
    pub bits_stored: u16,
    /// High Bit (0028,0102).
    pub high_bit: u16,
    /// Pixel Representation (0028,0103) is 1.
    pub signed: bool,
    /// Photometric Interpretation (0028,0004).
    pub photometric: String,
    /// Planar Configuration (0028,0006), 0 when absent.
    pub planar: u16,
    /// Lossy Image Compression (0028,2110) is 01, or the syntax or the stream is irreversible.
    pub lossy: bool,
    /// An ICC Profile (0028,2000) is there.
    pub icc: bool,
    /// For rules that look at other elements.
    #[serde(skip)]
    pub data_set: Option<Arc<DataSet>>,
}

impl Facts {
    /// Reads the facts from a data set; whether a compressed stream is lossy is found out by the caller.
    pub(crate) fn read(set: &Arc<DataSet>, transfer_syntax: TransferSyntax, source_ae: String) -> Facts {
        let text = |group, element| set.string(Tag(group, element)).unwrap_or_default();
        let number = |element| set.u16(Tag(0x0028, element)).unwrap_or(0);
        let pixels = pixels(set, &transfer_syntax);
        let bits_allocated = number(0x0100);
        Facts {
            study_uid: text(0x0020, 0x000D),
            series_uid: text(0x0020, 0x000E),
            sop_instance_uid: text(0x0008, 0x0018),
            sop_class_uid: text(0x0008, 0x0016),
            modality: text(0x0008, 0x0060),
            source_ae,
            pixels,
            rows: u32::from(number(0x0010)),
            columns: u32::from(number(0x0011)),
            frames: if pixels == Pixels::None { 0 } else { frames(set).unwrap_or(0) },
            samples: set.u16(Tag(0x0028, 0x0002)).unwrap_or(1),
            bits_allocated,
            bits_stored: set.u16(Tag(0x0028, 0x0101)).unwrap_or(bits_allocated),
            high_bit: set.u16(Tag(0x0028, 0x0102)).unwrap_or(bits_allocated.saturating_sub(1)),
            signed: number(0x0103) == 1,
            photometric: text(0x0028, 0x0004),
            planar: number(0x0006),
            lossy: set.strings(Tag(0x0028, 0x2110)).iter().any(|v| v == "01"),
            icc: set.get(Tag(0x0028, 0x2000)).is_some(),
            transfer_syntax,
            frame_syntax: None,
            data_set: Some(set.clone()),
        }
    }

    /// The transfer syntax of the frames as they are stored: that of the file, unless they prove another one.
    pub fn syntax_of_frames(&self) -> &TransferSyntax {
        self.frame_syntax.as_ref().unwrap_or(&self.transfer_syntax)
    }

    /// How the frames are coded.
    pub fn coding(&self) -> Coding {
        self.syntax_of_frames().coding()
    }

    /// The longer side.
    pub fn longest_side(&self) -> u32 {
        self.rows.max(self.columns)
    }

    /// Bytes of one decoded frame: rows x columns x samples x container of Bits Allocated.
    pub fn frame_bytes(&self) -> u64 {
        u64::from(self.rows)
            * u64::from(self.columns)
            * u64::from(self.samples)
            * u64::from(self.bits_allocated.div_ceil(8))
    }
}

/// The element that holds the pixels: top level only, whatever nested items hold (PS3.3 C.7.6.3).
pub fn pixel_element(set: &DataSet) -> Option<&crate::data_set::Element> {
    [0x0010, 0x0008, 0x0009].iter().find_map(|element| set.get(Tag(0x7FE0, *element)))
}

fn pixels(set: &DataSet, syntax: &TransferSyntax) -> Pixels {
    match pixel_element(set) {
        None => Pixels::None,
        Some(element) if element.tag.element() != 0x0010 => Pixels::Float,
        Some(_) if syntax.is_video() => Pixels::Video,
        Some(element) if matches!(element.value, Value::Fragments(_)) => Pixels::Encapsulated,
        Some(_) => Pixels::Native,
    }
}

/// Number of Frames (0028,0008), 1 when absent.
pub(crate) fn frames(set: &DataSet) -> Result<u32> {
    let Some(text) = set.string(Tag(0x0028, 0x0008)).filter(|t| !t.is_empty()) else { return Ok(1) };
    match text.trim().parse::<u32>() {
        Ok(0) => Ok(1),
        Ok(n) if n <= MAX_FRAMES => Ok(n),
        Ok(n) => Err(Error::Limit(format!("{n} frames"))),
        Err(_) => {
            Err(Error::malformed(0, format!("number of frames is {:?}", text.chars().take(16).collect::<String>())))
        }
    }
}
