//! What is stored, looked up: instances, studies, and what became of bytes.

use super::key::InstanceKey;
use super::register::Unservable;
use crate::Error;
use crate::objects::Key;

/// Names the state of an object: frame tables may gain levels, bytes never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ObjectVersion {
    /// The object's number.
    pub object: i64,
    /// Bytes of its frame table.
    pub frames: i64,
}

/// An instance and the object that is handed out for it.
#[derive(Debug, Clone)]
pub struct InstanceRow {
    /// Its UIDs.
    pub key: InstanceKey,
    /// SOP Class UID.
    pub class: String,
    /// Instance Number.
    pub number: Option<i64>,
    /// Modality of its series.
    pub modality: String,
    /// The object.
    pub object: Key,
    /// Its bytes.
    pub bytes: u64,
    /// When it was stored, in seconds since 1970.
    pub stored: i64,
    /// Its transfer syntax UID.
    pub syntax: String,
    /// [`dicom::Facts`] as JSON.
    pub facts: String,
    /// Its frame table ([`frames`](super::frames)).
    pub frames: Vec<u8>,
}

/// An instance as it is now.
#[derive(Debug, Clone)]
pub struct Current {
    /// The state of its object.
    pub version: ObjectVersion,
    /// Its row; `None` when the caller has that state.
    pub row: Option<Box<InstanceRow>>,
}

/// Which instances.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// One.
    Instance(&'a InstanceKey),
    /// All of a series, by Instance Number.
    Series(&'a str, &'a str),
    /// All of a study, series by series (by Series Number).
    Study(&'a str),
}

/// Counts of what is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Studies.
    pub studies: u64,
    /// Series.
    pub series: u64,
    /// Instances.
    pub instances: u64,
    /// Instances whose current object is a converted one.
    pub converted: u64,
    /// Instances kept as received by a rule.
    pub kept: u64,
    /// Instances that wait for conversion, or are being converted.
    pub pending: u64,
    /// Instances whose conversion failed.
    pub failed: u64,
    /// Objects stored beside another of the same UIDs.
    pub conflicts: u64,
    /// Bytes of all received objects.
    pub received_bytes: u64,
    /// Bytes of all converted objects.
    pub converted_bytes: u64,
    /// Converted objects with a proven way back to what was received.
    pub ways_back: u64,
    /// Bytes that those ways take.
    pub residue_bytes: u64,
    /// Received objects whose files went, because the way back to them is proven.
    pub released: u64,
    /// Bytes of those files, counted in `received_bytes` too.
    pub released_bytes: u64,
}

/// An object kept beside the one that is listed under the same UIDs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// The UIDs of both.
    pub key: InstanceKey,
    /// SHA-256 of this object, hexadecimal.
    pub object_id: String,
    /// Its bytes.
    pub size: u64,
    /// When it came, in seconds since 1970.
    pub stored: i64,
}

/// What became of received bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holding {
    /// A converted object is served in their place.
    Converted {
        /// They were removed, for there is a way back to them.
        released: bool,
    },
    /// They are served as they came.
    Kept {
        /// Why.
        reason: String,
    },
    /// They wait for their conversion.
    Waiting,
    /// They can't be read: kept, and not served.
    Unreadable {
        /// Why.
        reason: String,
    },
    /// They are of no study: kept, and not served.
    NoInstance,
}

impl Holding {
    /// Of what was received under the UIDs of another object.
    pub fn beside() -> Holding {
        Holding::Kept { reason: "another object has its UIDs: both are kept".into() }
    }

    /// Of what is not served.
    pub fn unserved(why: Unservable, reason: String) -> Holding {
        match why {
            Unservable::Unreadable => Holding::Unreadable { reason },
            Unservable::NoInstance => Holding::NoInstance,
        }
    }
}

/// Counts over an archive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Converted instances.
    pub converted: u64,
    /// Of those, with received objects that were removed.
    pub released: u64,
    /// Instances that are served as they came.
    pub kept: u64,
    /// Instances that wait for their conversion.
    pub waiting: u64,
}

/// A series, and the picture that it is shown by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Series Instance UID.
    pub series: String,
    /// SOP Instance UID of its first instance, by Instance Number, that is a picture of its own.
    pub picture: Option<String>,
}

/// What counts as a picture of its own.
#[derive(Clone, Copy)]
pub struct IsPicture<'a> {
    /// May a series of this modality have one?
    pub modality: &'a dyn Fn(&str) -> bool,
    /// Is an instance one, by its SOP Class UID and its [`dicom::Facts`] as JSON?
    pub instance: &'a dyn Fn(&str, &str) -> bool,
}

/// What is stored, looked up. Each is one snapshot.
pub trait Instances {
    /// The instances of a scope as they are now. `have` is asked once for each state of an object, in order; where it says yes, the row
    /// is not read.
    fn instances(&self, scope: Scope<'_>, have: &mut dyn FnMut(ObjectVersion) -> bool) -> Result<Vec<Current>, Error>;

    /// The object of an instance as it was received, and its bytes.
    fn received(&self, key: &InstanceKey) -> Result<Option<(Key, u64)>, Error>;

    /// The instances that a study, series or SOP Instance UID names, in the order they came.
    fn named(&self, uid: &str) -> Result<Vec<InstanceKey>, Error>;

    /// What is shown of the study, the series and the instance: `common` and `more` of each, as JSON.
    fn shown(&self, key: &InstanceKey) -> Result<Option<[String; 6]>, Error>;

    /// The series of a study by Series Number, each with the first of its instances, by Instance Number, that is a picture; no more is
    /// read of a series than up to it. `None` when there is no such study.
    fn pictures(&self, study: &str, is_picture: IsPicture<'_>) -> Result<Option<Vec<Picture>>, Error>;

    /// A number that changes whenever the series (or, with `series: None`, anything in the study) changes; `None` when there is none.
    fn version(&self, study: &str, series: Option<&str>) -> Result<Option<u64>, Error>;

    /// Counts of what is stored; kept up to date, so asking costs next to nothing.
    fn stats(&self) -> Result<Stats, Error>;

    /// Objects that came under the UIDs of others and were kept beside them, in the order they came.
    fn conflicts(&self) -> Result<Vec<Beside>, Error>;

    /// Those of them, and those that gave way to them, that somebody has decided about ([`Amending`](super::Amending)).
    fn settled(&self) -> Result<Vec<Beside>, Error>;

    /// What became of received bytes; `None` where they never came.
    fn holding(&self, object: &Key) -> Result<Option<Holding>, Error>;

    /// Counts of what is served, by counting.
    fn holdings(&self) -> Result<Holdings, Error>;

    /// A number that becomes another one whenever something may be handed out otherwise than before: by a conversion, a removal, levels that
    /// were found. What is newly stored leaves it as it is. It may be asked with each request: what this process did shows at once, what
    /// another did within 20 ms. `None`: that can't be told at so little cost.
    fn handed_out(&self) -> Result<Option<u64>, Error> {
        Ok(None)
    }

    /// Is there a row for an object of this name, served, not served, or deleted and not forgotten?
    fn lists(&self, object: &Key) -> Result<bool, Error>;
}
