//! Deletion: what is deleted is out of every list at once, can come back for a time, and is forgotten with its bytes after it.
//!
//! A deletion is one [`Removal`], whatever it names. What comes again under the same UIDs meanwhile is new, and stays when the deletion is
//! forgotten. An object is deleted only when no row needs it, and whoever puts the same bytes at that very moment is told so
//! ([`Error::Leaving`](crate::Error::Leaving)): [`Removing::purges`], asked before bytes are put, goes with the row that lists them.

use super::instances::Scope;
use super::register::NewInstance;
use super::search::QueryLevel;
use crate::Error;
use crate::objects::Key;

/// A deletion that is not forgotten yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// Its number; later ones are higher.
    pub id: i64,
    /// Study Instance UID.
    pub study: String,
    /// Series Instance UID; `None` of a whole study.
    pub series: Option<String>,
    /// SOP Instance UID; `None` of a whole series.
    pub sop: Option<String>,
    /// When it was made, in seconds since 1970.
    pub made: i64,
    /// From when on it may be forgotten.
    pub due: i64,
    /// Its objects are being deleted: there is no way back.
    pub purging: bool,
    /// Instances in it.
    pub instances: u64,
    /// Bytes of their objects.
    pub bytes: u64,
}

/// The answer to a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// It is done.
    Done(Removal),
    /// There is no such thing.
    Unknown,
    /// The study is held.
    Held(Hold),
}

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undone {
    /// Instances that are back.
    pub instances: u64,
    /// Instances that stay deleted: others have their UIDs by now.
    pub taken: u64,
}

/// A study of which nothing may be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Study Instance UID.
    pub study: String,
    /// Since when, in seconds since 1970.
    pub made: i64,
    /// Why.
    pub reason: String,
}

/// A deletion that is being made final, leased for [`LEASE`](super::LEASE) seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purge {
    /// The deletion. One whose study is empty is of an object that was never listed.
    pub removal: Removal,
    /// The objects that nothing else needs, and their bytes: to be deleted before [`Removing::end_purge`].
    pub objects: Vec<(Key, u64)>,
}

/// Deletion.
///
/// A `run` is the name of who leases a purge, as of [`Jobs`](super::Jobs); [`Jobs::release_dead`](super::Jobs::release_dead) hands on purges too.
pub trait Removing {
    /// Takes all instances of a scope out of every list, in one transaction, with all that is known of them; counts and versions of what
    /// is left follow. It may be forgotten from `due` on, in seconds since 1970.
    fn remove(&self, scope: Scope<'_>, due: i64) -> Result<Removed, Error>;

    /// Tells of a study, or of a series, what this instance says, which is the one that came first of those that are there: what is matched and
    /// shown, person names too. Nothing is changed where it is not listed, or of the level of instances.
    fn retell(&self, first: NewInstance, level: QueryLevel) -> Result<(), Error>;

    /// Brings back what was deleted; `None` when there is no such deletion, or no way back any more. Instances whose UIDs others have by now
    /// stay in the deletion.
    fn undo(&self, removal: i64) -> Result<Option<Undone>, Error>;

    /// The deletions that are not forgotten, in their order.
    fn removals(&self) -> Result<Vec<Removal>, Error>;

    /// Leases the next deletion to be made final: one that somebody began and did not end, or the oldest that was due at this time and whose
    /// study is not held. From then on it can't be undone.
    fn begin_purge(&self, run: &str, at: i64) -> Result<Option<Purge>, Error>;

    /// Prolongs the lease of a purge; false when it was lost.
    fn renew_purge(&self, run: &str, removal: i64) -> Result<bool, Error>;

    /// Forgets a deletion whose objects are deleted; false, and nothing is forgotten, when the lease was lost.
    fn end_purge(&self, run: &str, removal: i64) -> Result<bool, Error>;

    /// Begins the purge of an object that was put and never listed; `None` when a row needs it, or somebody deletes it already.
    fn abandon(&self, run: &str, object: &Key, bytes: u64) -> Result<Option<Purge>, Error>;

    /// How many purges ended; asked before bytes are put that are listed then.
    fn purges(&self) -> Result<i64, Error>;

    /// The objects that were deleted by purges after this one, for a day, and how many there were by now.
    fn purged_since(&self, purges: i64) -> Result<(i64, Vec<Key>), Error>;

    /// Lets nothing of a study be deleted, nor forgotten of what was. A second hold changes the reason.
    fn hold(&self, study: &str, reason: &str) -> Result<(), Error>;

    /// Ends a hold; false when there was none.
    fn release_hold(&self, study: &str) -> Result<bool, Error>;

    /// The studies that are held, by UID.
    fn holds(&self) -> Result<Vec<Hold>, Error>;

    /// Makes the storage of the engine anew, so that nothing of forgotten rows is left in it; nobody can write meanwhile. False when it has more
    /// bytes than `most`: then it is only written over where rows were.
    fn scour(&self, most: u64) -> Result<bool, Error>;
}
