//! What policy, index and rendering need to know of an instance.

use crate::syntax::TransferSyntax;
use serde::{Deserialize, Serialize};

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
    /// Pixel Data by reference (7FE0,0010 absent, Pixel Data Provider URL present).
    Referenced,
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
    /// How pixels are held.
    pub pixels: Pixels,
    /// Rows (0028,0010).
    pub rows: u32,
    /// Columns (0028,0011).
    pub columns: u32,
    /// Number of Frames (0028,0008), 1 when absent; 0 without pixels.
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
}

impl Facts {
    /// Bytes of one decoded frame: rows x columns x samples x container of Bits Allocated.
    pub fn frame_bytes(&self) -> u64 {
        u64::from(self.rows) * u64::from(self.columns) * u64::from(self.samples) * u64::from(self.bits_allocated.div_ceil(8))
    }
}
