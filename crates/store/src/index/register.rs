//! What is stored becomes known: instances, and what is kept and not served.

use std::path::PathBuf;

use dicom::Tag;

use super::key::InstanceKey;
use super::ticket::Ticket;
use crate::Error;
use crate::objects::Key;

/// How an ingest ended; in every case the bytes are durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ingested {
    /// A new instance.
    Stored(InstanceKey),
    /// The very bytes were already there.
    Duplicate(InstanceKey),
    /// Other bytes are already stored under the same UIDs: both are kept, the first stays listed.
    Conflict(InstanceKey),
}

impl Ingested {
    /// The instance the bytes belong to.
    pub fn key(&self) -> &InstanceKey {
        match self {
            Ingested::Stored(key) | Ingested::Duplicate(key) | Ingested::Conflict(key) => key,
        }
    }
}

/// A received instance that is durable as an object, and what the index keeps of it.
///
/// Texts that are matched are normalised ([`fold`](super::fold), [`date`](super::attributes::date)); those that are shown are in the
/// JSON as they came.
#[derive(Debug, Clone)]
pub struct NewInstance {
    /// Its UIDs.
    pub key: InstanceKey,
    /// SOP Class UID (0008,0016).
    pub class: String,
    /// Modality (0008,0060).
    pub modality: String,
    /// Instance Number (0020,0013).
    pub instance_number: Option<i64>,
    /// Series Number (0020,0011).
    pub series_number: Option<i64>,
    /// What its study is matched by.
    pub study: StudyTexts,
    /// What its series is matched by.
    pub series: SeriesTexts,
    /// Person names of the study.
    pub names: Vec<PersonName>,
    /// What is shown of its study.
    pub study_shown: Shown,
    /// What is shown of its series.
    pub series_shown: Shown,
    /// What is shown of itself.
    pub instance_shown: Shown,
    /// The stored bytes.
    pub object: NewObject,
}

/// Texts of a study that are matched; empty where there is none.
#[derive(Debug, Clone, Default)]
pub struct StudyTexts {
    /// Study Date, `YYYYMMDD`.
    pub date: String,
    /// Study Time, `HHMMSS.FFFFFF`.
    pub time: String,
    /// Accession Number.
    pub accession: String,
    /// Patient ID.
    pub patient_id: String,
    /// Patient's Birth Date, `YYYYMMDD`.
    pub birth_date: String,
    /// Patient's Sex.
    pub sex: String,
    /// Study ID.
    pub study_id: String,
    /// Study Description, folded.
    pub description: String,
}

/// Texts of a series that are matched; empty where there is none.
#[derive(Debug, Clone, Default)]
pub struct SeriesTexts {
    /// Series Description, folded.
    pub description: String,
    /// Body Part Examined.
    pub body_part: String,
    /// Performed Procedure Step Start Date, `YYYYMMDD`.
    pub pps_date: String,
    /// Performed Procedure Step Start Time, `HHMMSS.FFFFFF`.
    pub pps_time: String,
    /// Scheduled Procedure Step ID.
    pub step_id: String,
    /// Requested Procedure ID.
    pub procedure_id: String,
}

/// One component group of a person name (PS3.5 6.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonName {
    /// Which name.
    pub tag: Tag,
    /// Which group: alphabetic 0, ideographic 1, phonetic 2.
    pub place: usize,
    /// The group, folded.
    pub text: String,
}

/// DICOM JSON objects (PS3.18 F.2) of the attributes of one level.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// Returned always.
    pub common: String,
    /// Returned on request.
    pub more: String,
}

/// A durable object, and what the index keeps of it.
#[derive(Debug, Clone)]
pub struct NewObject {
    /// SHA-256 of its bytes.
    pub key: Key,
    /// Its bytes.
    pub bytes: u64,
    /// Its transfer syntax UID.
    pub syntax: String,
    /// [`dicom::Facts`] as JSON.
    pub facts: String,
    /// Its frame table ([`frames`](super::frames)).
    pub frames: Vec<u8>,
    /// What [`Removing::purges`](super::Removing::purges) said before its bytes were put.
    pub since: i64,
}

/// Why something is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unservable {
    /// It can't be read.
    Unreadable,
    /// It can be read, and is no instance of a study: a hanging protocol, a DICOMDIR, an object without UIDs.
    NoInstance,
}

impl Unservable {
    /// As the index has it.
    pub fn number(self) -> i64 {
        match self {
            Unservable::Unreadable => 0,
            Unservable::NoInstance => 1,
        }
    }

    /// From what the index has.
    pub fn of(number: i64) -> Unservable {
        if number == 0 { Unservable::Unreadable } else { Unservable::NoInstance }
    }
}

/// An object that is kept and not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unserved {
    /// SHA-256 of its bytes, hexadecimal: the name of the object.
    pub object_id: String,
    /// Its bytes.
    pub bytes: u64,
    /// Why it is not served.
    pub why: Unservable,
    /// In words.
    pub reason: String,
    /// Where it came from.
    pub source: PathBuf,
    /// When it came, in seconds since 1970.
    pub stored: i64,
}

/// A durable object that is to be kept and not served.
#[derive(Debug, Clone)]
pub struct NewUnserved {
    /// SHA-256 of its bytes.
    pub key: Key,
    /// Its bytes.
    pub bytes: u64,
    /// Why it is not served.
    pub why: Unservable,
    /// In words.
    pub reason: String,
    /// Where it came from. The same bytes from two places are listed twice.
    pub source: PathBuf,
    /// What [`Removing::purges`](super::Removing::purges) said before its bytes were put.
    pub since: i64,
}

/// What is stored becomes known.
pub trait Register {
    /// Lists a received instance, whose object is durable. Grouped with what others hand in at the same time; one that fails takes no
    /// other along.
    ///
    /// Where the three UIDs are new it becomes an instance with a job that waits, its study and series are made where they are not
    /// there (what came first stays what is matched and shown), and their counts and versions go up. Where they are taken by these very
    /// bytes: faults of the object are healed, an instance whose converted object is damaged waits for conversion again, and a released
    /// object that came again is to be removed again. Where they are taken by other bytes, the object is kept beside the first.
    /// [`Error::Leaving`] where the object was being deleted since its bytes were put.
    fn register(&self, new: NewInstance) -> Ticket<Ingested>;

    /// Lists what is kept and not served, and heals faults of the object; false when these bytes of this source were listed already
    /// (then why it is not served is what is said now).
    fn keep_unserved(&self, new: NewUnserved) -> Result<bool, Error>;

    /// Has the scrubber a fault of this object's bytes on its list?
    fn is_faulty(&self, object: &Key) -> Result<bool, Error>;

    /// What is kept and not served, in the order it came.
    fn unserved(&self) -> Result<Vec<Unserved>, Error>;
}
