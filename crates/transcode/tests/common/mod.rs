//! The corpus of real images beside the checkout, and what independent decoders say of it.
#![allow(dead_code)]

use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use transcode::Source;

/// Columns of a tab-separated file by name.
pub type Row = HashMap<String, String>;

/// `open/` of the shared data; says so in one line when it is not there.
pub fn open_data() -> Option<PathBuf> {
    let shared = std::env::var_os("FIRSTLIGHT_SHARED").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let open = shared.join("data/open");
    if open.join("REFERENCE.tsv").is_file() {
        return Some(open);
    }
    println!("skipped: no corpus at {} (set FIRSTLIGHT_SHARED)", open.display());
    None
}

/// Rows of `REFERENCE.tsv` or `MANIFEST.tsv`.
pub fn table(path: &Path) -> Vec<Row> {
    let text = std::fs::read_to_string(path).expect("the table can be read");
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().expect("a header line").split('\t').collect();
    lines.map(|line| names.iter().zip(line.split('\t')).map(|(n, v)| (n.to_string(), v.to_string())).collect()).collect()
}

/// Rows by path.
pub fn by_path(rows: Vec<Row>) -> HashMap<String, Row> {
    rows.into_iter().map(|row| (row["path"].clone(), row)).collect()
}

/// SHA-256 over the samples of all frames.
pub fn samples_sha256(source: &Source) -> Result<String, transcode::Error> {
    source.check_frames()?;
    let (mut hash, mut frame) = (Sha256::new(), Vec::new());
    for n in 0..source.frames().len() {
        source.decode_frame(n as u32, &mut frame)?;
        hash.update(&frame);
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}
