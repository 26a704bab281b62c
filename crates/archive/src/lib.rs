//! The archive: DICOM objects on durable storage, an index beside them, and the jobs that convert them.
//!
//! ```text
//! ingest   bytes -> objects (durable) -> index (one transaction) -> acknowledged
//! convert  index (leased job) -> transcode -> objects (durable, verified) -> index (one pointer swapped, residue kept)
//! scrub    objects, evidence, index -> read and decoded again -> faults
//! read     index (immutable snapshots: Instance, Prepared, Matches) -> objects (read_at)
//! ```
//! A conversion adds an object and moves a pointer; what was received stays. It goes only on request (`release`), once the way
//! back to it is proven from what is in the store.
//! The crate knows nothing of HTTP.

mod archive;
mod attributes;
mod backlog;
mod convert;
mod decisions;
mod error;
mod evidence;
mod figures;
mod first;
mod fold;
mod holds;
mod index;
mod ingest;
mod instance;
mod key;
mod levels;
mod metadata;
mod patience;
mod query;
mod release;
mod rooted;
mod scrub;
mod unserved;
mod way_back;

pub use archive::{Archive, Options, Stats};
pub use backlog::{Became, Converter, Waiting};
pub use convert::{Event, Summary};
pub use decisions::{Decision, State};
pub use dicom::{Facts, Tag};
pub use error::{Error, RefusalReason};
pub use evidence::Evidence;
pub use figures::{Figure, Figures};
pub use first::Shown;
pub use holds::{Holding, Holdings};
pub use index::Ticket;
pub use ingest::{Beside, Candidate, Ingested};
pub use instance::{FrameEntry, Instance, LevelEntry, ObjectReader};
pub use key::InstanceKey;
pub use metadata::Prepared;
pub use patience::Patience;
pub use query::{Fields, Matches, Query, QueryLevel};
pub use release::{Release, Released};
pub use scrub::{Fault, FaultKind, Pass, Scrub};
pub use store::Staged;
pub use unserved::{Taken, Unservable, Unserved};
pub use way_back::{Restored, WayBack};
