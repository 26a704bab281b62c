//! DICOM instance in, DICOM instance out: codecs, policy, attributes and verification.
//!
//! The order of the work:
//!
//! 1. [`dicom::Source`] reads an instance where it lies; [`Decode`] gives its samples.
//! 2. [`Policy::decide`] says what the instance becomes, and why.
//! 3. [`convert`] decodes and encodes frame by frame, writes the new file, reads it back, decodes it again and compares.
//!    Only that path makes a [`Verified`], and what was written is gone unless a [`Verified`] gives it up ([`Verified::into_path`]).
//!
//! Pixel data is never loaded whole; element values are never taken through text.

mod bounded;
mod change;
mod changes;
mod convert;
mod cross_check;
mod decode;
mod derived;
mod directory;
mod elements;
mod encode;
mod error;
mod evidence;
mod jpeg_xl;
mod outgoing;
mod overlay;
mod plan;
mod policy;
mod quarantine;
mod reason;
mod recheck;
mod recode;
mod reduced;
mod residue;
mod suitable;
mod verify;
mod write;

pub use bounded::Loss;
pub use convert::{Context, Disproved, FrameEvidence, LevelEnd, Outcome, Verified, convert, has_empty_levels};
pub use cross_check::{Class, Opinion, Opinions, Sampling, Tally};
pub use decode::Decode;
pub use directory::{Directory, FileNow};
pub use error::{Check, Error};
pub use evidence::{Evidence, host};
pub use outgoing::{Outgoing, OutgoingForm, sound_file_meta};
pub use policy::{Action, Bound, Decision, Policy, PolicyError, Target};
pub use quarantine::{Origin, Quarantine, Quarantined};
pub use reason::{REASON_CLASSES, general_reason, reason_class};
pub use recheck::recheck;
pub use recode::{Recode, recode_obstacle};
pub use reduced::{reduce, reduced_uid};
pub use residue::{NoWayBack, Residue, RestoreError};

pub use dicom::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME};

/// A picture of 8 bits a sample, grey or RGB, interleaved, as JPEG XL without loss.
pub fn jpeg_xl_picture(samples: &[u8], columns: u32, rows: u32, components: u16) -> dicom::error::Result<Vec<u8>> {
    jpeg_xl::encode_lossless(samples, columns, rows, components, 8, 8)
}
