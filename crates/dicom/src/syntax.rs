//! Transfer syntaxes (PS3.5 Annex A) and what they mean for the bytes.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A Transfer Syntax UID, as it stands in the file meta (trailing padding removed).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransferSyntax(String);

/// How the frames of a transfer syntax are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Samples as they are; also of encapsulated uncompressed.
    Native,
    /// Each frame is a raw deflate stream of its native bytes (PS3.5 A.4.13).
    DeflatedFrame,
    /// RLE Lossless (PS3.5 Annex G).
    Rle,
    /// JPEG, sequential or progressive DCT.
    Jpeg,
    /// JPEG, lossless (T.81 Annex H).
    JpegLossless,
    /// JPEG-LS.
    JpegLs,
    /// JPEG 2000.
    Jpeg2000,
    /// High-Throughput JPEG 2000.
    HtJ2k,
    /// JPEG XL.
    JpegXl,
    /// A video stream.
    Video,
    /// A syntax that is not known here.
    Unknown,
}

/// How the elements of a data set are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Implicit VR Little Endian.
    ImplicitLittle,
    /// Explicit VR Little Endian.
    ExplicitLittle,
    /// Explicit VR Big Endian.
    ExplicitBig,
}

/// UID, name, coding.
const KNOWN: &[(&str, &str, Coding)] = &[
    ("1.2.840.10008.1.2", "Implicit VR Little Endian", Coding::Native),
    ("1.2.840.10008.1.2.1", "Explicit VR Little Endian", Coding::Native),
    ("1.2.840.10008.1.2.1.98", "Encapsulated Uncompressed Explicit VR Little Endian", Coding::Native),
    ("1.2.840.10008.1.2.1.99", "Deflated Explicit VR Little Endian", Coding::Native),
    ("1.2.840.10008.1.2.2", "Explicit VR Big Endian", Coding::Native),
    ("1.2.840.10008.1.2.8.1", "Deflated Image Frame Compression", Coding::DeflatedFrame),
    ("1.2.840.10008.1.2.5", "RLE Lossless", Coding::Rle),
    ("1.2.840.10008.1.2.4.50", "JPEG Baseline (Process 1)", Coding::Jpeg),
    ("1.2.840.10008.1.2.4.51", "JPEG Extended (Process 2 & 4)", Coding::Jpeg),
    ("1.2.840.10008.1.2.4.53", "JPEG Spectral Selection, Non-Hierarchical (Process 6 & 8)", Coding::Jpeg),
    ("1.2.840.10008.1.2.4.55", "JPEG Full Progression, Non-Hierarchical (Process 10 & 12)", Coding::Jpeg),
    ("1.2.840.10008.1.2.4.57", "JPEG Lossless, Non-Hierarchical (Process 14)", Coding::JpegLossless),
    ("1.2.840.10008.1.2.4.70", "JPEG Lossless, First-Order Prediction", Coding::JpegLossless),
    ("1.2.840.10008.1.2.4.80", "JPEG-LS Lossless", Coding::JpegLs),
    ("1.2.840.10008.1.2.4.81", "JPEG-LS Near-Lossless", Coding::JpegLs),
    ("1.2.840.10008.1.2.4.90", "JPEG 2000 Lossless", Coding::Jpeg2000),
    ("1.2.840.10008.1.2.4.91", "JPEG 2000", Coding::Jpeg2000),
    ("1.2.840.10008.1.2.4.201", "HTJ2K Lossless", Coding::HtJ2k),
    ("1.2.840.10008.1.2.4.202", "HTJ2K Lossless RPCL", Coding::HtJ2k),
    ("1.2.840.10008.1.2.4.203", "HTJ2K", Coding::HtJ2k),
    ("1.2.840.10008.1.2.4.110", "JPEG XL Lossless", Coding::JpegXl),
    ("1.2.840.10008.1.2.4.111", "JPEG XL JPEG Recompression", Coding::JpegXl),
    ("1.2.840.10008.1.2.4.112", "JPEG XL", Coding::JpegXl),
    ("1.2.840.10008.1.2.4.100", "MPEG2 Main Profile / Main Level", Coding::Video),
    ("1.2.840.10008.1.2.4.100.1", "Fragmentable MPEG2 Main Profile / Main Level", Coding::Video),
    ("1.2.840.10008.1.2.4.101", "MPEG2 Main Profile / High Level", Coding::Video),
    ("1.2.840.10008.1.2.4.101.1", "Fragmentable MPEG2 Main Profile / High Level", Coding::Video),
    ("1.2.840.10008.1.2.4.102", "MPEG-4 AVC/H.264 High Profile / Level 4.1", Coding::Video),
    ("1.2.840.10008.1.2.4.102.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1", Coding::Video),
    ("1.2.840.10008.1.2.4.103", "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", Coding::Video),
    (
        "1.2.840.10008.1.2.4.103.1",
        "Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1",
        Coding::Video,
    ),
    ("1.2.840.10008.1.2.4.104", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video", Coding::Video),
    ("1.2.840.10008.1.2.4.104.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video", Coding::Video),
    ("1.2.840.10008.1.2.4.105", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video", Coding::Video),
    ("1.2.840.10008.1.2.4.105.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video", Coding::Video),
    ("1.2.840.10008.1.2.4.106", "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", Coding::Video),
    ("1.2.840.10008.1.2.4.106.1", "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", Coding::Video),
    ("1.2.840.10008.1.2.4.107", "HEVC/H.265 Main Profile / Level 5.1", Coding::Video),
    ("1.2.840.10008.1.2.4.108", "HEVC/H.265 Main 10 Profile / Level 5.1", Coding::Video),
];

impl TransferSyntax {
    /// Implicit VR Little Endian, the default of DICOM.
    pub const IMPLICIT_LITTLE: &str = "1.2.840.10008.1.2";
    /// Explicit VR Little Endian.
    pub const EXPLICIT_LITTLE: &str = "1.2.840.10008.1.2.1";
    /// Explicit VR Big Endian (retired).
    pub const EXPLICIT_BIG: &str = "1.2.840.10008.1.2.2";
    /// Deflated Explicit VR Little Endian.
    pub const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
    /// Encapsulated Uncompressed Explicit VR Little Endian.
    pub const ENCAPSULATED_UNCOMPRESSED: &str = "1.2.840.10008.1.2.1.98";
    /// JPEG-LS Lossless.
    pub const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
    /// JPEG-LS Near-Lossless.
    pub const JPEG_LS_NEAR: &str = "1.2.840.10008.1.2.4.81";
    /// HTJ2K Lossless.
    pub const HTJ2K: &str = "1.2.840.10008.1.2.4.201";
    /// HTJ2K Lossless RPCL.
    pub const HTJ2K_RPCL: &str = "1.2.840.10008.1.2.4.202";
    /// HTJ2K, lossy or not.
    pub const HTJ2K_LOSSY: &str = "1.2.840.10008.1.2.4.203";
    /// JPEG XL Lossless.
    pub const JPEG_XL_LOSSLESS: &str = "1.2.840.10008.1.2.4.110";
    /// JPEG XL JPEG Recompression.
    pub const JPEG_XL_RECOMPRESSION: &str = "1.2.840.10008.1.2.4.111";
    /// JPEG Baseline.
    pub const JPEG_BASELINE: &str = "1.2.840.10008.1.2.4.50";
    /// JPEG XL, lossy or not.
    pub const JPEG_XL: &str = "1.2.840.10008.1.2.4.112";

    /// Takes a UID; padding (NUL, space) at its end is removed.
    pub fn new(uid: impl AsRef<str>) -> Self {
        TransferSyntax(uid.as_ref().trim_end_matches(['\0', ' ']).to_owned())
    }

    /// The UID.
    pub fn uid(&self) -> &str {
        &self.0
    }

    /// The name of PS3.6 Annex A, or the UID of one that is not known here.
    pub fn name(&self) -> &str {
        KNOWN.iter().find(|k| k.0 == self.0).map_or(self.0.as_str(), |k| k.1)
    }

    /// Is Pixel Data in fragments?
    pub fn is_encapsulated(&self) -> bool {
        self.0.starts_with("1.2.840.10008.1.2.4.")
            || matches!(self.0.as_str(), "1.2.840.10008.1.2.5" | "1.2.840.10008.1.2.1.98" | "1.2.840.10008.1.2.8.1")
    }

    /// Is it one of the HTJ2K syntaxes (.201, .202, .203)?
    pub fn is_htj2k(&self) -> bool {
        self.coding() == Coding::HtJ2k
    }

    /// Is it a video syntax?
    pub fn is_video(&self) -> bool {
        self.coding() == Coding::Video
    }

    /// How frames are coded.
    pub fn coding(&self) -> Coding {
        KNOWN.iter().find(|k| k.0 == self.0).map_or(Coding::Unknown, |k| k.2)
    }

    /// The uncompressed syntax whose elements are written this way.
    pub fn of_encoding(encoding: Encoding) -> Self {
        TransferSyntax::new(match encoding {
            Encoding::ImplicitLittle => Self::IMPLICIT_LITTLE,
            Encoding::ExplicitLittle => Self::EXPLICIT_LITTLE,
            Encoding::ExplicitBig => Self::EXPLICIT_BIG,
        })
    }

    /// How elements are written.
    pub fn encoding(&self) -> Encoding {
        match self.0.as_str() {
            Self::IMPLICIT_LITTLE => Encoding::ImplicitLittle,
            Self::EXPLICIT_BIG => Encoding::ExplicitBig,
            _ => Encoding::ExplicitLittle,
        }
    }
}

impl fmt::Display for TransferSyntax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
