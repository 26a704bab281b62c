//! Ways back from converted objects to received ones, and the release of received ones.

use super::key::InstanceKey;
use crate::Error;
use crate::objects::Key;

/// What leads from the converted object of an instance back to what was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayBack {
    /// Bytes of the residue; `None` when there is no way back.
    pub residue: Option<u64>,
    /// Why there is none; empty when there is one.
    pub reason: String,
    /// When it was made, in seconds since 1970.
    pub made: i64,
    /// When the received object was released, in seconds since 1970; `None` while it is kept.
    pub released: Option<i64>,
}

/// The way back to a received object.
#[derive(Debug, Clone)]
pub struct Way {
    /// The converted object.
    pub object: Key,
    /// Its bytes.
    pub bytes: u64,
    /// The residue; `None` when there is no way back.
    pub residue: Option<Vec<u8>>,
    /// Why there is none; empty when there is one.
    pub reason: String,
}

/// A received object that may be released once its way back is proven anew.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Number of the received object.
    pub original: i64,
    /// The received object.
    pub received: Key,
    /// Its bytes.
    pub bytes: u64,
    /// The converted object.
    pub converted: Key,
    /// Its bytes.
    pub converted_bytes: u64,
    /// The instance.
    pub key: InstanceKey,
}

/// Ways back, and the release of received objects.
pub trait WaysBack {
    /// The way back of an instance; `None` when there is no such instance, or it was not converted.
    fn way_back(&self, key: &InstanceKey) -> Result<Option<WayBack>, Error>;

    /// The way back to a received object; `None` when it was not converted.
    fn way_to(&self, received: &Key) -> Result<Option<Way>, Error>;

    /// Was this received object released?
    fn is_released(&self, received: &Key) -> Result<bool, Error>;

    /// The residue that leads to the received object of this number.
    fn residue(&self, original: i64) -> Result<Vec<u8>, Error>;

    /// Received objects with numbers above `after`, in order, that have a way back, are not released, are not what is handed out, and whose way
    /// back was made (or failed) at `made` at the latest, in seconds since 1970.
    fn release_candidates(&self, made: i64, after: i64, most: u32) -> Result<Vec<Candidate>, Error>;

    /// The way back failed: it is tried again after another grace time.
    fn postpone_release(&self, original: i64) -> Result<(), Error>;

    /// Says that a received object is released: from now on it may be missing from the store. False when it is released already, or
    /// `converted` is not what is handed out any more.
    fn release(&self, original: i64, converted: &Key) -> Result<bool, Error>;

    /// The first released object with a number above `after` whose file may still be in the store and may go, once its way back is proven
    /// anew: its way back was made (or failed, or the bytes came again) at `made` at the latest, its conversion is not to be done once
    /// more, and no fault is known of the converted object.
    fn leaving(&self, made: i64, after: i64) -> Result<Option<Candidate>, Error>;

    /// A released object was removed from the store.
    fn removed(&self, original: i64) -> Result<(), Error>;
}
