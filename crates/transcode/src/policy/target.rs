//! What a rule asks for: the syntaxes that can be written, and how much those that lose something may lose.

use super::error::PolicyError;
use super::hint;
use dicom::syntax::TransferSyntax;
use std::fmt;

/// What a rule asks an instance to become.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Target {
    /// Explicit VR Little Endian, uncompressed.
    ExplicitLittleEndian,
    /// JPEG-LS Lossless (.80).
    JpegLsLossless,
    /// JPEG-LS Near-Lossless (.81).
    JpegLsNearLossless(Bound),
    /// HTJ2K Lossless (.201): the stream of .202 under the label that promises less.
    Htj2kLossless,
    /// HTJ2K Lossless RPCL (.202).
    Htj2kLosslessRpcl,
    /// HTJ2K, irreversible (.203).
    Htj2k(Bound),
    /// JPEG XL Lossless (.110).
    JpegXlLossless,
    /// JPEG XL JPEG Recompression (.111).
    JpegXlRecompression,
    /// JPEG XL, irreversible (.112).
    JpegXl(Bound),
}

/// How far a lossy frame may be from what it was; every limit that is given holds for every frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// The largest difference of any sample, in sample values.
    pub max_error: Option<u32>,
    /// The least peak signal-to-noise ratio in decibels; the peak is the range of Bits Stored.
    pub min_psnr: Option<f64>,
}

/// Names that rules use, and what is lossy among them.
const NAMES: [(&str, &str, bool); 9] = [
    ("explicit-little-endian", TransferSyntax::EXPLICIT_LITTLE, false),
    ("jpeg-ls-lossless", TransferSyntax::JPEG_LS, false),
    ("jpeg-ls-near-lossless", TransferSyntax::JPEG_LS_NEAR, true),
    ("htj2k-lossless", TransferSyntax::HTJ2K, false),
    ("htj2k-lossless-rpcl", TransferSyntax::HTJ2K_RPCL, false),
    ("htj2k", TransferSyntax::HTJ2K_LOSSY, true),
    ("jpeg-xl-lossless", "1.2.840.10008.1.2.4.110", false),
    ("jpeg-xl-recompression", "1.2.840.10008.1.2.4.111", false),
    ("jpeg-xl", TransferSyntax::JPEG_XL, true),
];

impl Target {
    /// The target of this name. One that loses something needs a bound, the others take none.
    pub fn parse(name: &str, bound: Option<Bound>) -> Result<Target, PolicyError> {
        let Some((_, _, lossy)) = NAMES.iter().find(|n| n.0 == name) else {
            let names = NAMES.map(|n| n.0);
            return Err(
                PolicyError::new(format!("no target is called \"{name}\"")).hint(hint::of(name, names, "targets"))
            );
        };
        let target = match (name, bound) {
            (_, None) if *lossy => {
                return Err(PolicyError::new(format!("\"{name}\" loses something and has no bound"))
                    .hint("say how much may be lost: `max_error = 2` (sample values) or `min_psnr = 50` (dB)".into()));
            }
            (_, Some(_)) if !lossy => {
                return Err(PolicyError::new(format!("\"{name}\" loses nothing: it takes no bound"))
                    .hint("take out `max_error` and `min_psnr`, or name a lossy target".into()));
            }
            ("jpeg-ls-near-lossless", Some(bound)) => Target::JpegLsNearLossless(bound),
            ("htj2k", Some(bound)) => Target::Htj2k(bound),
            (_, Some(bound)) => Target::JpegXl(bound),
            ("explicit-little-endian", None) => Target::ExplicitLittleEndian,
            ("jpeg-ls-lossless", None) => Target::JpegLsLossless,
            ("htj2k-lossless", None) => Target::Htj2kLossless,
            ("htj2k-lossless-rpcl", None) => Target::Htj2kLosslessRpcl,
            ("jpeg-xl-lossless", None) => Target::JpegXlLossless,
            (_, None) => Target::JpegXlRecompression,
        };
        Ok(target)
    }

    /// The name that rules use.
    pub fn name(self) -> &'static str {
        match self {
            Target::ExplicitLittleEndian => "explicit-little-endian",
            Target::JpegLsLossless => "jpeg-ls-lossless",
            Target::JpegLsNearLossless(_) => "jpeg-ls-near-lossless",
            Target::Htj2kLossless => "htj2k-lossless",
            Target::Htj2kLosslessRpcl => "htj2k-lossless-rpcl",
            Target::Htj2k(_) => "htj2k",
            Target::JpegXlLossless => "jpeg-xl-lossless",
            Target::JpegXlRecompression => "jpeg-xl-recompression",
            Target::JpegXl(_) => "jpeg-xl",
        }
    }

    /// The transfer syntax that is written.
    pub fn transfer_syntax(self) -> TransferSyntax {
        let uid = NAMES.iter().find(|n| n.0 == self.name()).map_or("", |n| n.1);
        TransferSyntax::new(uid)
    }

    /// How much may be lost; `None` where nothing may.
    pub fn bound(self) -> Option<Bound> {
        match self {
            Target::JpegLsNearLossless(bound) | Target::Htj2k(bound) | Target::JpegXl(bound) => Some(bound),
            _ => None,
        }
    }

    /// Is something lost? Then what is written is another instance, with a UID of its own.
    pub fn is_lossy(self) -> bool {
        self.bound().is_some()
    }

    /// Is it HTJ2K, lossy or not?
    pub fn is_htj2k(self) -> bool {
        matches!(self, Target::Htj2kLossless | Target::Htj2kLosslessRpcl | Target::Htj2k(_))
    }
}

impl Bound {
    /// `None` where a rule gives neither limit.
    pub(super) fn new(max_error: Option<u32>, min_psnr: Option<f64>) -> Result<Option<Bound>, PolicyError> {
        if max_error == Some(0) {
            return Err(PolicyError::new("`max_error = 0` is lossless").hint("name a lossless target".into()));
        }
        if min_psnr.is_some_and(|psnr| !(20.0..=150.0).contains(&psnr)) {
            return Err(PolicyError::new("`min_psnr` is in decibels, from 20 to 150"));
        }
        Ok((max_error.is_some() || min_psnr.is_some()).then_some(Bound { max_error, min_psnr }))
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.max_error, self.min_psnr) {
            (Some(error), Some(psnr)) => write!(f, "no sample off by more than {error}, PSNR of at least {psnr} dB"),
            (Some(error), None) => write!(f, "no sample off by more than {error}"),
            (None, Some(psnr)) => write!(f, "PSNR of at least {psnr} dB"),
            (None, None) => f.write_str("no bound"),
        }
    }
}
