//! What DICOMDIRs in a walked folder name (PS3.10 8.6): such a file is DICOM, whatever its first bytes say.

use super::hash;
use dicom::Source;
use files::dicomdir;
use std::collections::HashSet;
use std::path::Path;

/// A file ID has at most so many parts (PS3.10 8.2): so far above a file its DICOMDIR lies.
const DEPTH: usize = 8;
/// The name, as media show it.
const NAMES: [&str; 4] = ["DICOMDIR", "dicomdir", "DICOMDIR.;1", "DICOMDIR."];

/// What has been looked into, and what was named there; hashes, for a source may have millions of files.
#[derive(Debug, Default)]
pub struct Indexes {
    looked: HashSet<u64>,
    named: HashSet<u64>,
}

impl Indexes {
    /// Reads the DICOMDIRs that may name a file in `folder`, which is `depth` folders below the source.
    pub(super) fn enter(&mut self, folder: &Path, depth: usize) {
        for above in folder.ancestors().take(depth.min(DEPTH - 1) + 1) {
            if !self.looked.insert(hash(above)) {
                break;
            }
            for name in NAMES {
                self.read(&above.join(name), above);
            }
        }
    }

    fn read(&mut self, path: &Path, folder: &Path) {
        // One that can't be read is told of when its turn comes.
        let Ok(source) = Source::open(path) else { return };
        if let Ok((files, _)) = dicomdir::referenced_files(&source, folder) {
            self.named.extend(files.iter().map(|file| hash(file)));
        }
    }

    pub(super) fn names(&self, file: &Path) -> bool {
        !self.named.is_empty() && self.named.contains(&hash(file))
    }
}
