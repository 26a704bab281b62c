//! What conversion proved, what second decoders said of it, and counters.

use super::key::InstanceKey;
use crate::Error;
use crate::objects::Key;

/// One conversion that was proven.
#[derive(Debug, Clone)]
pub struct EvidenceRow {
    /// Its number; later ones are higher.
    pub id: i64,
    /// The instance.
    pub key: InstanceKey,
    /// Modality.
    pub modality: String,
    /// The received object.
    pub from: ObjectFacts,
    /// The converted object.
    pub to: ObjectFacts,
    /// Hash of the policy.
    pub policy: String,
    /// The rule that asked for it.
    pub rule: String,
    /// What wrote it.
    pub codec: String,
    /// SHA-256 over all samples, hexadecimal.
    pub samples_sha256: String,
    /// When, in seconds since 1970.
    pub made: i64,
    /// The machine that did it.
    pub host: String,
    /// How long it took.
    pub milliseconds: u64,
    /// Evidence of each frame: JSON, gzip.
    pub frames: Vec<u8>,
}

/// An object in evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectFacts {
    /// SHA-256 of its bytes.
    pub key: Key,
    /// Its transfer syntax UID.
    pub syntax: String,
    /// Its bytes.
    pub bytes: u64,
}

/// Which evidence.
#[derive(Debug, Clone, Copy)]
pub enum EvidenceOf<'a> {
    /// Of an instance, newest first.
    Instance(&'a InstanceKey),
    /// Of every instance with this SOP Instance UID, newest first.
    Sop(&'a str),
    /// All in the order it was made: at most so many, after the one with this number.
    After(i64, usize),
}

/// A counter, or what is added to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// What is counted: `converted`, `bytes_in`, `bytes_out`, `frames`, `milliseconds` by transfer syntax, `kept` by rule and
    /// class of reason, `failed` by class of reason.
    pub name: String,
    /// Modality.
    pub modality: String,
    /// Transfer syntax UID, rule and class of reason with a tab between, or class of reason.
    pub detail: String,
    /// Its value.
    pub value: u64,
}

/// Frames of one class by what a second decoder said of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opinions {
    /// The class, as JSON.
    pub class: String,
    /// It decoded the same samples.
    pub agreed: u64,
    /// It did not.
    pub disagreed: u64,
    /// It should have been asked, but there is none here.
    pub without: u64,
    /// It was not asked.
    pub not_asked: u64,
}

/// Proof and counters of conversion.
pub trait Proofs {
    /// The evidence that is asked for.
    fn evidence(&self, of: EvidenceOf<'_>) -> Result<Vec<EvidenceRow>, Error>;

    /// The second opinions so far.
    fn opinions(&self) -> Result<Vec<Opinions>, Error>;

    /// Adds to the second opinions of a class.
    fn add_opinions(&self, opinions: &Opinions) -> Result<(), Error>;

    /// The counters; they only grow, in the commits of what they count.
    fn figures(&self) -> Result<Vec<Figure>, Error>;
}
