//! Inputs that once broke something, each through everything that takes a codestream, with a bound on time and memory.
//!
//! `fuzz/corpus-found` holds them, named for what they broke; the checks are those of the fuzz targets.

#[path = "../fuzz/src/checks.rs"]
mod checks;

use std::fs;
use std::path::Path;

use cpu_time::ThreadTime;
use htj2k::{Index, Limits};

#[test]
fn what_was_found_stays_mended() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus-found");
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).filter(|p| p.extension().is_some()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        println!("{name}");
        let bytes = fs::read(&file).unwrap();
        checks::header(&bytes);
        checks::decode(&bytes);
        checks::progressive(&bytes);
        checks::ranges(&bytes);
        checks::round_trip(&bytes);
        // The checks set small limits; what is read without decoding is quick with the default ones too.
        let start = ThreadTime::now();
        let _ = Index::read(&bytes, &Limits::default());
        let seconds = start.elapsed().as_secs_f64();
        assert!(seconds < 1.0, "{name}: the index took {seconds:.1} s");
    }
}
