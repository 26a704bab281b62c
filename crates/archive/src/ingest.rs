//! Ingest: received bytes made durable as they came, then indexed, then acknowledged.

use crate::InstanceKey;

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
