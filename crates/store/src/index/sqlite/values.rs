//! Values as this engine keeps them.

use std::time::{SystemTime, UNIX_EPOCH};

use dicom::Tag;

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64)
}

/// A tag as the index keeps it.
pub(super) fn tag_number(tag: Tag) -> i64 {
    i64::from(tag.0) << 16 | i64::from(tag.1)
}
