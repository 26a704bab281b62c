//! DICOM instance in, DICOM instance out: frames, policy, attributes and verification.
//!
//! The order of the work:
//!
//! 1. [`Source::open`] walks the data set without decoding a value ([`DataSet`]) and finds every frame ([`Frame`]).
//! 2. [`Policy::decide`] says what the instance becomes, and why.
//! 3. [`convert`] decodes and encodes frame by frame, writes the new file, reads it back, decodes it again and compares.
//!    Only that path makes a [`Verified`], and what was written is gone unless a [`Verified`] gives it up ([`Verified::into_path`]).
//!
//! Pixel data is never loaded whole; element values are never taken through text.

mod bounded;
mod changes;
mod charset;
mod convert;
mod data_set;
mod decode;
pub mod deidentify;
mod derived;
mod dictionary;
mod directory;
mod document;
mod encode;
mod error;
mod evidence;
mod facts;
mod frames;
mod head;
mod input;
mod jpeg_xl;
mod json;
mod likely;
mod opinion;
mod outgoing;
mod overlay;
mod policy;
mod quarantine;
mod read_at;
mod reason;
mod recheck;
mod residue;
mod rope;
mod source;
mod stream;
mod suitable;
mod syntax;
mod uid;
mod verify;
mod walk;
mod write;

pub use bounded::Loss;
pub use convert::{Context, Disproved, FrameEvidence, LevelEnd, Outcome, Verified, convert, has_empty_levels};
pub use data_set::{DataSet, Element, Item, Tag, Value, Vr};
pub use directory::{Directory, FileNow};
pub use error::{Check, Error};
pub use evidence::{Evidence, host};
pub use facts::{Facts, Pixels};
pub use frames::Frame;
pub use head::Head;
pub use likely::{LIKELY_HEAD, is_likely_dicom};
pub use opinion::{Class, Opinion, Opinions, Sampling, Tally};
pub use outgoing::{Outgoing, OutgoingForm, sound_file_meta};
pub use policy::{Action, Bound, Decision, Policy, PolicyError, Target};
pub use quarantine::{Origin, Quarantine, Quarantined};
pub use read_at::{LocalFile, ReadAt};
pub use reason::{REASON_CLASSES, general_reason, reason_class};
pub use recheck::recheck;
pub use residue::{NoWayBack, Residue, RestoreError};
pub use source::{Bulk, Source};
pub use syntax::TransferSyntax;
pub use uid::Uid;

/// The Implementation Class UID written into the file meta of every re-encoded instance (PS3.10 7.1).
pub const IMPLEMENTATION_CLASS_UID: &str = "2.25.26787451105941840915529671309252685155";
/// The Implementation Version Name that goes with it.
pub const IMPLEMENTATION_VERSION_NAME: &str = "FIRSTLIGHT_0_1";
