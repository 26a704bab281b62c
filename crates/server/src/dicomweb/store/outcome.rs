//! What became of each instance, and the reasons that PS3.18 Annex I and PS3.4 Annex B have for it.

use archive::{Error, InstanceKey, RefusalReason};

/// Refused: out of resources.
pub const OUT_OF_RESOURCES: u16 = 0xA700;
/// Error: the data set does not match the SOP Class: attributes that every instance has are missing or wrong.
pub const NO_INSTANCE: u16 = 0xA900;
/// Error of the same class: it belongs to another study than the one it was sent to.
pub const OTHER_STUDY: u16 = 0xA901;
/// Error: cannot understand.
pub const NOT_UNDERSTOOD: u16 = 0xC000;
/// Refused: who sends it may not store it.
pub const NOT_AUTHORIZED: u16 = 0x0124;
/// Processing failure.
pub const PROCESSING_FAILURE: u16 = 0x0110;
/// Duplicate SOP Instance: another object has its UIDs.
pub const DUPLICATE_INSTANCE: u16 = 0x0111;
/// The transfer syntax, or the media type of a part, is not supported.
pub const SYNTAX_NOT_SUPPORTED: u16 = 0xC122;

/// An instance that was named by what came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its UIDs.
    pub key: InstanceKey,
    /// SOP Class UID.
    pub class: String,
}

/// What became of a part of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored.
    Stored {
        /// What it is.
        named: Named,
        /// These very bytes were there already.
        again: bool,
    },
    /// It is an instance and is not stored as what its UIDs name.
    Failed {
        /// What it is.
        named: Named,
        /// The failure reason.
        reason: u16,
        /// In words.
        why: String,
    },
    /// It could not be read as an instance.
    Other {
        /// The failure reason.
        reason: u16,
        /// In words.
        why: String,
    },
}

impl Outcome {
    /// Is it stored?
    pub fn is_stored(&self) -> bool {
        matches!(self, Outcome::Stored { .. })
    }

    /// The failure reason, where there is one.
    pub fn reason(&self) -> Option<u16> {
        match self {
            Outcome::Stored { .. } => None,
            Outcome::Failed { reason, .. } | Outcome::Other { reason, .. } => Some(*reason),
        }
    }

    /// Why what was received is no instance here.
    pub fn refused(error: &Error) -> Outcome {
        Outcome::Other { reason: reason(error), why: told(error) }
    }

    /// Why an instance is not stored.
    pub fn failed(named: Named, error: &Error) -> Outcome {
        Outcome::Failed { named, reason: reason(error), why: told(error) }
    }
}

fn reason(error: &Error) -> u16 {
    match error.refusal() {
        RefusalReason::NotDicom | RefusalReason::Unreadable => NOT_UNDERSTOOD,
        RefusalReason::NoInstance => NO_INSTANCE,
        RefusalReason::Full => OUT_OF_RESOURCES,
        RefusalReason::Failed => PROCESSING_FAILURE,
    }
}

/// What failed within the server goes to its log; paths are nothing for a client.
fn told(error: &Error) -> String {
    match error.refusal() {
        RefusalReason::Failed => {
            tracing::error!(%error, "an instance could not be stored");
            "storing it failed; the server's log says why".into()
        }
        _ => error.to_string(),
    }
}
