//! What is scheduled and what is performed, as rows: the worklist of modalities (PS3.4 Annex K) and what these say of their work (PS3.4
//! Annex F). An item is DICOM JSON; what it means is its owner's business.

use crate::Error;

/// A step that is scheduled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledRow {
    /// Study Instance UID.
    pub study: String,
    /// Scheduled Procedure Step ID: one in its study.
    pub step: String,
    /// The day it begins, as YYYYMMDD.
    pub day: String,
    /// All of it.
    pub item: String,
}

/// A step that is performed, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerformedRow {
    /// SOP Instance UID.
    pub uid: String,
    /// When it was changed, in seconds since 1970.
    pub changed: i64,
    /// All of it.
    pub item: String,
}

/// What is scheduled, and what is performed.
pub trait Scheduling {
    /// Keeps steps, all or none, each in the place of the one of the same study and step. How many are new; `None` where there would be
    /// more than `most` in all.
    fn put_scheduled(&self, steps: Vec<ScheduledRow>, most: u64) -> Result<Option<u64>, Error>;

    /// The steps of these days, both inclusive, by day, study and step.
    fn scheduled(&self, from: &str, to: &str) -> Result<Vec<ScheduledRow>, Error>;

    /// Forgets a step. Whether there was one.
    fn remove_scheduled(&self, study: &str, step: &str) -> Result<bool, Error>;

    /// Forgets the steps of days before this one. How many there were.
    fn forget_scheduled(&self, before: &str) -> Result<u64, Error>;

    /// Keeps what is being performed. `false` where there is one of this UID.
    fn add_performed(&self, uid: &str, item: &str) -> Result<bool, Error>;

    /// What is performed under this UID.
    fn performed(&self, uid: &str) -> Result<Option<PerformedRow>, Error>;

    /// What was changed last, the latest first, `most` of them.
    fn last_performed(&self, most: u32) -> Result<Vec<PerformedRow>, Error>;

    /// Changes what is performed, as long as it is still what it was. Whether it was.
    fn change_performed(&self, uid: &str, was: &str, item: &str) -> Result<bool, Error>;

    /// Forgets what was not changed since then, in seconds since 1970. How many there were.
    fn forget_performed(&self, before: i64) -> Result<u64, Error>;
}
