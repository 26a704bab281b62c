//! What the scrubber needs of the index, and what it leaves there.

use super::key::InstanceKey;
use crate::Error;
use crate::objects::Key;

/// What a fault is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// An object that the index lists is not in the store.
    Missing,
    /// The bytes of an object are not what was stored.
    Object,
    /// A row of evidence is damaged, or there is none.
    Evidence,
    /// A row of the index is damaged, or rows contradict each other.
    Index,
    /// The bytes are right, and yet the frames are not what the evidence says.
    Samples,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [FaultKind; 5] =
        [FaultKind::Missing, FaultKind::Object, FaultKind::Evidence, FaultKind::Index, FaultKind::Samples];

    /// One word.
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::Missing => "missing",
            FaultKind::Object => "object",
            FaultKind::Evidence => "evidence",
            FaultKind::Index => "index",
            FaultKind::Samples => "samples",
        }
    }

    /// From its word.
    pub fn of(name: &str) -> FaultKind {
        FaultKind::ALL.into_iter().find(|kind| kind.name() == name).unwrap_or(FaultKind::Index)
    }
}

/// Something in the archive is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What it is in.
    pub kind: FaultKind,
    /// The object (SHA-256), or the table and the row.
    pub name: String,
    /// The instance it belongs to, where that is known.
    pub instance: Option<InstanceKey>,
    /// In which way.
    pub what: String,
    /// When it was found, in seconds since 1970.
    pub found: i64,
}

/// How far a pass is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pass {
    /// When it began, in seconds since 1970.
    pub began: i64,
    /// When it ended.
    pub ended: Option<i64>,
    /// When it last went on.
    pub changed: i64,
    /// Objects looked at.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects of the archive.
    pub of_objects: u64,
    /// Their bytes.
    pub of_bytes: u64,
}

/// A pass that is begun, or gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenPass {
    /// Its number.
    pub id: i64,
    /// The number of the object that was looked at last.
    pub cursor: i64,
    /// When it began, in seconds since 1970.
    pub began: i64,
    /// Objects looked at.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// An object as the index lists it; where its row is damaged, as far as it can be read.
#[derive(Debug, Clone)]
pub struct ListedObject {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub key: Option<Key>,
    /// Its bytes.
    pub bytes: u64,
    /// It was converted.
    pub converted: bool,
    /// The instance it belongs to.
    pub instance: Option<InstanceKey>,
    /// The row is what was written.
    pub whole: bool,
}

/// The newest evidence of a converted object.
#[derive(Debug, Clone)]
pub struct NewestEvidence {
    /// Evidence of each frame: JSON, gzip.
    pub frames: Vec<u8>,
    /// SHA-256 over all samples, hexadecimal.
    pub samples_sha256: String,
}

/// Damaged rows of a part of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedRows {
    /// What they are called: their numbers, or their keys.
    pub rows: Vec<String>,
    /// Where the next part begins; `None` after the last.
    pub next: Option<i64>,
}

/// Rows contradict each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// What the fault is in.
    pub kind: FaultKind,
    /// The object, or the table and the row.
    pub name: String,
    /// In which way.
    pub what: String,
}

/// What the scrubber needs and leaves.
pub trait Scrubbing {
    /// The pass that is under way, or the last one; `None` before the first.
    fn pass(&self) -> Result<Option<Pass>, Error>;

    /// Objects that are listed, and their bytes, as they are counted.
    fn listed_total(&self) -> Result<(u64, u64), Error>;

    /// Goes on with the pass that was stopped, or, where there is none or `restart`, begins a new one.
    fn begin_pass(&self, restart: bool) -> Result<OpenPass, Error>;

    /// Keeps how far a pass is.
    fn save_pass(&self, pass: &OpenPass) -> Result<(), Error>;

    /// A pass is done: faults of earlier ones that it did not find again are healed. Returns when it ended.
    fn end_pass(&self, id: i64) -> Result<i64, Error>;

    /// Keeps a fault that a pass found.
    fn add_fault(&self, pass: i64, fault: &Fault) -> Result<(), Error>;

    /// What was found wrong and not found healthy since, by kind and name.
    fn faults(&self) -> Result<Vec<Fault>, Error>;

    /// Faults by kind, each kind listed.
    fn fault_counts(&self) -> Result<Vec<(FaultKind, u64)>, Error>;

    /// The tables whose rows have sums and that the scrubber does not write itself.
    fn sealed_tables(&self) -> Result<Vec<String>, Error>;

    /// The rows of a part of a table that are not what was written: those after `after` (0 at the beginning), some ten thousands.
    fn damaged_rows(&self, table: &str, after: i64) -> Result<DamagedRows, Error>;

    /// What rows say of each other. What follows from damaged rows of the tables `damaged` is not told again.
    fn contradictions(&self, damaged: &[&str]) -> Result<Vec<Contradiction>, Error>;

    /// What is wrong with how the engine keeps the tables, a line each. With `damaged` rows, what follows from those is not told again.
    fn structure(&self, damaged: bool) -> Result<Vec<String>, Error>;

    /// Objects with numbers above `after`, in order.
    fn objects_after(&self, after: i64, most: u32) -> Result<Vec<ListedObject>, Error>;

    /// The newest evidence of a converted object; `None` when there is none, or its row is not what was written.
    fn newest_evidence(&self, object: i64) -> Result<Option<NewestEvidence>, Error>;

    /// Was the object of this number released, so that it may be missing?
    fn is_released_object(&self, object: i64) -> Result<bool, Error>;
}
