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
mod changes;
mod convert;
mod decode;
pub mod deidentify;
mod derived;
mod directory;
mod encode;
mod error;
mod evidence;
mod jpeg_xl;
mod opinion;
mod outgoing;
mod overlay;
mod policy;
mod quarantine;
mod reason;
mod recheck;
mod residue;
mod suitable;
mod verify;
mod write;

pub use bounded::Loss;
pub use convert::{Context, Disproved, FrameEvidence, LevelEnd, Outcome, Verified, convert, has_empty_levels};
pub use decode::Decode;
pub use directory::{Directory, FileNow};
pub use error::{Check, Error};
pub use evidence::{Evidence, host};
pub use opinion::{Class, Opinion, Opinions, Sampling, Tally};
pub use outgoing::{Outgoing, OutgoingForm, sound_file_meta};
pub use policy::{Action, Bound, Decision, Policy, PolicyError, Target};
pub use quarantine::{Origin, Quarantine, Quarantined};
pub use reason::{REASON_CLASSES, general_reason, reason_class};
pub use recheck::recheck;
pub use residue::{NoWayBack, Residue, RestoreError};

/// The Implementation Class UID written into the file meta of every re-encoded instance (PS3.10 7.1).
pub const IMPLEMENTATION_CLASS_UID: &str = "2.25.26787451105941840915529671309252685155";
/// The Implementation Version Name that goes with it.
pub const IMPLEMENTATION_VERSION_NAME: &str = "FIRSTLIGHT_0_1";
