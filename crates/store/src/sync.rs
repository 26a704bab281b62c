//! Durable names.

use std::fs::File;
use std::io;
use std::path::Path;

/// Waits until the names in a folder are on the storage.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
