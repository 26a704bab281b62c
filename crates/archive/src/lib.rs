//! The archive: DICOM objects on durable storage, an index beside them, and the jobs that convert them.
//!
//! ```text
//! ingest   bytes -> objects (durable) -> index (one transaction) -> acknowledged
//! convert  index (leased job) -> transcode -> objects (durable, verified) -> index (one pointer swapped, residue kept)
//! delete   index (rows moved aside) -> a grace time -> objects (removed) -> index (rows forgotten)
//! scrub    objects, evidence, index -> read and decoded again -> faults
//! read     index (immutable snapshots: Instance, Prepared, Matches) -> objects (read_at)
//! ```
//! A conversion adds an object and moves a pointer; what was received stays. It goes only on request (`release`), once the way
//! back to it is proven from what is in the store.
//! The crate knows nothing of HTTP.

mod accounts;
mod amend;
mod archive;
mod attributes;
mod backlog;
mod backup;
mod changes;
mod convert;
mod decisions;
mod deletion;
mod error;
mod event;
mod evidence;
mod figures;
mod first;
mod holds;
mod ingest;
mod instance;
mod kept;
mod levels;
mod lookup;
mod metadata;
mod moving;
mod preparing;
mod rebuild;
mod release;
mod rooted;
mod run;
mod runs;
mod scheduling;
mod scrub;
mod search;
mod stream;
mod unserved;
mod way_back;

pub use archive::{Archive, Options};
pub use backlog::Converter;
pub use backup::{BackedUp, INDEX as BACKUP_INDEX};
pub use deletion::{GRACE, Purged};
pub use dicom::{Facts, Tag};
pub use error::{Error, RefusalReason};
pub use event::{Event, Summary};
pub use evidence::Evidence;
pub use figures::Figures;
pub use ingest::{Candidate, Ticket};
pub use instance::{Instance, ObjectReader};
pub use metadata::Prepared;
pub use moving::{Arrival, Destination, Moved, Stage, ToMove};
pub use rebuild::Rebuilt;
pub use release::{Release, Released};
pub use scheduling::{Attributes, NotPerformed, NotScheduled, PERFORMED_DAYS, SCHEDULED_DAYS, Scheduled};
pub use scrub::Scrub;
pub use store::Error as StoreError;
pub use store::index::frames::{FrameEntry, LevelEntry};
pub use store::index::place::{Keeping as IndexKeeping, is_there, written as index_of};
pub use store::index::postgres::Unusable as IndexUnusable;
pub use store::index::{
    Accounts, Became, Beside, Change, ChangeKind, Changed, Chosen, Decision, Fault, FaultKind, Fields, Figure, Hold,
    Holding, Holdings, Ingested, InstanceKey, Matches, NewSecret, Pass, Patience, Picture as Shown, Query, QueryLevel,
    Removal, Removed, Rest, Scope, SecretKind, SecretRow, State, Stats, StudyFacts, TextRow, Undone, Unservable,
    Unserved, UserRow, Waiting, WayBack, Within,
};
pub use store::objects::place::Keeping;
pub use store::{Parked, Staged};
pub use unserved::Taken;
pub use way_back::Restored;
