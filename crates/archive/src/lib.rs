//! The archive: DICOM objects on durable storage, an index beside them, and the jobs that convert them.
//!
//! ```text
//! ingest   bytes -> objects (durable) -> index (one transaction) -> acknowledged
//! convert  index (leased job) -> transcode -> objects (durable, verified) -> index (one pointer swapped)
//! read     index (immutable snapshots: Instance, Prepared, Matches) -> objects (read_at)
//! ```
//! Nothing that was received is ever removed: a conversion adds an object and moves a pointer.
//! The crate knows nothing of HTTP.

mod archive;
mod attributes;
mod cache;
mod convert;
mod decisions;
mod error;
mod index;
mod ingest;
mod instance;
mod key;
mod metadata;
pub mod objects;
mod query;

pub use archive::{Archive, Options, Stats};
pub use convert::{Event, Evidence, Summary};
pub use decisions::{Decision, State};
pub use error::Error;
pub use ingest::{Beside, Ingested};
pub use instance::{FrameEntry, Instance, LevelEntry, ObjectReader};
pub use key::InstanceKey;
pub use metadata::Prepared;
pub use query::{Fields, Matches, Query, QueryLevel};
pub use transcode::{Facts, Tag};
