//! Takes instances from where they are to where they shall be.
//!
//! ```text
//! census  sources -> journal (walked as a stream; resumable)
//! plan    journal -> a sample converted to nowhere -> bytes and hours, as ranges
//! run     journal -> queue -> threads (fetch, worker) -> placer (durable) -> log -> journal -> counted
//! ```
//! A [`Migration`] may end at any moment: the journal knows what is done, and the same command goes on. [`Worker`] makes one
//! file, for a migration as for `convert`: opened, decided on, converted or kept; [`Placer`] puts it in its place, whole or not at all.
//! No source is ever written to.

pub mod apart;
pub mod audit;
pub mod chain;
mod control;
pub mod dicomdir;
mod dying;
mod error;
mod estimate;
mod hands;
mod journal;
mod listing;
mod log;
mod migration;
pub mod names;
mod nice;
mod place;
mod placer;
pub mod proofs;
mod queue;
mod record;
pub mod records;
mod run;
mod source;
mod standing;
mod throttle;
pub mod trouble;
mod worker;

pub use control::Control;
pub use error::Error;
pub use estimate::{Plan, PlanClass};
pub use hands::{make_row, with_each};
pub use journal::{Class, Counts, Journal, Order, Row, lock_soon};
pub use listing::{Listed, Listing};
pub use migration::{Deidentified, Ending, Layout, Migration, Options, is_archive};
pub use nice::be_nice;
pub use place::is_plain;
pub use placer::{Made, Placer, together};
pub use proofs::{Proof, Proofs, Proving};
pub use record::{Outcome, Record};
pub use run::{News, Snapshot};
pub use source::{Fetch, Spooled, Trouble, Walked};
pub use standing::{Ended, Phase, Standing, State};
pub use throttle::{Hold, Hours, Limits, Throttle};
pub use worker::{Done, Item, Memory, Settings, Target, Worker, residue_path};

/// Folder beside a destination that holds what Firstlight remembers of it.
pub const KEPT: &str = ".firstlight";
