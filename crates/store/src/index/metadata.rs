//! Metadata of series, prepared once and kept compressed.

use crate::Error;

/// A series.
#[derive(Debug, Clone)]
pub struct SeriesRow {
    /// Its version.
    pub version: i64,
    /// Study Instance UID.
    pub study: String,
    /// Series Instance UID.
    pub uid: String,
}

/// Prepared metadata: JSON as deflate blocks that end on a byte boundary, none of them the last.
#[derive(Debug, Clone)]
pub struct PreparedRow {
    /// The blocks.
    pub deflate: Vec<u8>,
    /// Bytes of the JSON.
    pub bytes: u64,
    /// CRC-32 of the JSON.
    pub crc: u32,
    /// SHA-256 of the JSON with relative addresses.
    pub sha256: [u8; 32],
    /// What addresses begin with, as JSON text.
    pub root: String,
}

/// Prepared metadata. A `form` counts up (below 1000) when the same objects are told differently: what was prepared in another one is
/// stale.
pub trait Metadata {
    /// The numbers of the series of a study, by Series Number; of one series with its UID.
    fn series_of(&self, study: &str, series: Option<&str>) -> Result<Vec<i64>, Error>;

    /// A series by its number.
    fn series(&self, number: i64) -> Result<SeriesRow, Error>;

    /// The series whose prepared metadata is missing or stale, in the order they came.
    fn stale(&self, form: u16) -> Result<Vec<i64>, Error>;

    /// What is prepared of a series, unless it is stale.
    fn prepared(&self, series: i64, form: u16) -> Result<Option<PreparedRow>, Error>;

    /// Keeps what was prepared of a version of a series, unless that of a later one is kept.
    fn keep_prepared(&self, series: i64, version: i64, form: u16, prepared: PreparedRow) -> Result<(), Error>;

    /// Puts what was prepared for another root in the place of what is kept and tells the same (has the same SHA-256).
    fn reroot_prepared(&self, series: i64, prepared: PreparedRow) -> Result<(), Error>;
}
