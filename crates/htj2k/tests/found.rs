//! Inputs that once broke something, each through everything that takes a codestream, with a bound on time and memory.
//!
//! `fuzz/corpus-found` holds them, named for what they broke; the checks are those of the fuzz targets.

#[path = "../fuzz/src/checks.rs"]
mod checks;

use std::fs;
use std::path::Path;

#[test]
fn what_was_found_stays_mended() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus-found");
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).filter(|p| p.extension().is_some()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        println!("{}", file.file_name().unwrap().display());
        let bytes = fs::read(&file).unwrap();
        checks::header(&bytes);
        checks::decode(&bytes);
        checks::progressive(&bytes);
        checks::round_trip(&bytes);
    }
}
