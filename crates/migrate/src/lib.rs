//! Moves instances: from folders, packed files and servers to a folder tree or an archive.
//!
//! ```text
//! scan    sources -> journal (walked as a stream; resumable)
//! plan    journal -> a sample converted to nowhere -> bytes and hours, as ranges
//! run     journal -> queue -> threads (fetch, worker) -> publisher (durable) -> log -> journal -> counted
//! ```
//! A [`Migration`] may end at any moment: the journal knows what is done, and the same command goes on. What becomes of one file of a
//! folder tree is the business of [`files`], as for `convert`. No source is ever written to.

pub mod apart;
pub mod audit;
mod control;
mod error;
mod estimate;
mod item_worker;
mod journal;
mod listing;
mod log;
mod migration;
mod nice;
mod queue;
mod run;
mod source;
mod standing;
mod throttle;

pub use control::Control;
pub use error::{Error, Overlap, Usage};
pub use estimate::{Plan, PlanClass};
pub use item_worker::{make_row, with_each};
pub use journal::{Class, Counts, Journal, Order, Row};
pub use listing::{Listed, Listing};
pub use migration::{Deidentified, Layout, Migration, Options, is_archive};
pub use nice::be_nice;
pub use run::{Ending, News, Snapshot};
pub use source::{Fetch, FetchError, ScanEvent, Spooled};
pub use standing::{Ended, Phase, Standing, State};
pub use throttle::{Hold, Hours, Limits, Throttle};
