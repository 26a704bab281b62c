//! The index: what is known of the objects, behind a trait of deeds.
//!
//! [`Index`] is in parts, a file each with its rows: what is stored becomes known ([`Register`]), is looked up ([`Instances`]) and searched
//! ([`Search`]); jobs are leased and ended ([`Jobs`]); proof is kept ([`Proofs`], [`WaysBack`]), metadata prepared ([`Metadata`]), all of
//! it looked at again ([`Scrubbing`]), what is deleted taken out and forgotten ([`Removing`]), and all of it copied ([`BackingUp`], and row by
//! row [`Copying`]); who may come in is kept too ([`Accounts`]), what modalities have to do ([`Scheduling`]), what changed is told in order
//! ([`Changes`]), and what people decide is done ([`Amending`]). Every method is one transaction or one snapshot; no connection is handed out.
//! Rows are plain structs;
//! what a query means ([`query`]), how texts are folded ([`fold`]) and what a frame table is ([`frames`]) is the same for every engine.
//!
//! Times are seconds since 1970, by the clock of the engine. Numbers (`i64`) of instances, series and objects are the engine's own: they
//! grow in the order in which things came, and mean nothing to another index.

mod access;
mod amend;
pub mod attributes;
mod backup;
mod changes;
mod checksum;
mod commits;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod copying;
mod evidence;
mod fold;
pub mod frames;
mod instances;
mod jobs;
mod key;
mod metadata;
mod patience;
pub mod place;
pub mod postgres;
pub mod query;
mod register;
mod removal;
mod scheduling;
mod scrub;
mod search;
pub mod sqlite;
mod statement;
mod text_row;
mod ticket;
mod ways_back;

pub use access::{Accounts, NewSecret, SecretKind, SecretRow, StudyFacts, UserRow};
pub use amend::{Amending, Chosen};
pub use backup::{BackingUp, NamedObject};
pub use changes::{Change, ChangeKind, Changed, Changes};
pub use checksum::Checksum;
pub use copying::{Begun, Copying, Snapshot, StoredRow, Table, Value};
pub use evidence::{EvidenceOf, EvidenceRow, Figure, ObjectFacts, Opinions, Proofs};
pub use fold::{fold, groups, patterns};
pub use instances::{
    Beside, Current, Holding, Holdings, InstanceRow, Instances, IsPicture, ObjectVersion, Picture, Scope, Stats,
};
pub use jobs::{Became, Conversion, Decision, Job, JobEnd, Jobs, LEASE, Retry, State, Waiting};
pub use key::InstanceKey;
pub use metadata::{Metadata, PreparedRow, SeriesRow};
pub use patience::Patience;
pub use register::{
    Ingested, NewInstance, NewObject, NewUnserved, PersonName, Register, SeriesTexts, Shown, StudyTexts, Unservable,
    Unserved,
};
pub use removal::{Hold, Purge, Removal, Removed, Removing, Undone};
pub use scheduling::{PerformedRow, ScheduledRow, Scheduling};
pub use scrub::{
    Contradiction, DamagedRows, Fault, FaultKind, ListedObject, NewestEvidence, OpenPass, Pass, Scrubbing,
};
pub use search::{Fields, Matches, Query, QueryLevel, Rest, Search, Within};
pub use text_row::TextRow;
pub use ticket::{Answer, Ticket};
pub use ways_back::{Candidate, Way, WayBack, WaysBack};

/// What is known of the objects: all that an engine must be able to do.
pub trait Index:
    Register
    + Instances
    + Search
    + Jobs
    + Proofs
    + WaysBack
    + Metadata
    + Scrubbing
    + Removing
    + BackingUp
    + Copying
    + Accounts
    + Scheduling
    + Changes
    + Amending
    + Send
    + Sync
{
}

impl<T> Index for T where
    T: Register
        + Instances
        + Search
        + Jobs
        + Proofs
        + WaysBack
        + Metadata
        + Scrubbing
        + Removing
        + BackingUp
        + Copying
        + Accounts
        + Scheduling
        + Changes
        + Amending
        + Send
        + Sync
{
}
