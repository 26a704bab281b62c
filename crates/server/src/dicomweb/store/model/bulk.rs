//! Bulk data that came with metadata, in the spool.

use crate::accept::MediaRange;
use archive::Parked;
use std::collections::HashMap;

/// A part of bulk data.
pub struct Bulk {
    /// Its bytes, in a file that is not open.
    pub parked: Parked,
    /// Its Content-Type.
    pub media: MediaRange,
}

/// Bulk data by Content-Location; several parts of one location are frames in their order.
pub type BulkData = HashMap<String, Vec<Bulk>>;
