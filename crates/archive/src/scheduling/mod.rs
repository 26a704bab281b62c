//! What modalities have to do and say that they do: the worklist (PS3.4 Annex K) and performed procedure steps (PS3.4 Annex F), both as
//! DICOM JSON in the index.
//!
//! ```text
//! tags        the attributes that mean something here
//! attributes  JSON from outside -> attributes of a known shape, bounded
//! worklist    what is scheduled: kept by study and step, found by keys
//! matching    keys against an item, sequences included
//! performed   what is performed: begun, changed, ended, and then no more
//! ```

mod attributes;
mod matching;
mod performed;
mod tags;
mod worklist;

pub use attributes::Attributes;
pub use performed::{NotPerformed, PERFORMED_DAYS};
pub use worklist::{NotScheduled, SCHEDULED_DAYS, Scheduled};
