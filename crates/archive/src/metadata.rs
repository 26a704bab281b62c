//! Metadata in the DICOM JSON model (PS3.18 F.2), prepared once and kept compressed.

use std::sync::Arc;

/// A ready reply: a gzip-compressed DICOM JSON array and its strong entity tag.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Opaque text without quotes; changes whenever the bytes change.
    pub etag: String,
    /// One gzip member holding a JSON array, one object an instance.
    ///
    /// `BulkDataURI` is relative to the DICOMweb root: `studies/{S}/series/{E}/instances/{I}/frames` for
    /// Pixel Data, `studies/{S}/series/{E}/instances/{I}/bulkdata/{path}` for the rest.
    pub gzip: Arc<[u8]>,
}
