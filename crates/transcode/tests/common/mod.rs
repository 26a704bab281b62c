//! The corpus of real images beside the checkout, and what independent decoders say of it.
#![allow(dead_code)]

use dicom::Source;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use transcode::Decode;

#[allow(unused_imports)] // not every test makes instances
pub use testkit::{Form, Made, report};

/// Columns of a tab-separated file by name.
pub type Row = HashMap<String, String>;

/// The open corpus; a test without it counts as skipped.
pub fn open_data() -> Option<PathBuf> {
    testkit::corpus("")
}

/// Rows of `REFERENCE.tsv` or `MANIFEST.tsv`.
pub fn table(path: &Path) -> Vec<Row> {
    let text = std::fs::read_to_string(path).expect("the table can be read");
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().expect("a header line").split('\t').collect();
    lines
        .map(|line| names.iter().zip(line.split('\t')).map(|(n, v)| (n.to_string(), v.to_string())).collect())
        .collect()
}

/// Rows by path.
pub fn by_path(rows: Vec<Row>) -> HashMap<String, Row> {
    rows.into_iter().map(|row| (row["path"].clone(), row)).collect()
}

/// SHA-256 over the samples of all frames.
pub fn samples_sha256(source: &Source) -> Result<String, dicom::Error> {
    source.check_frames()?;
    let (mut hash, mut frame) = (Sha256::new(), Vec::new());
    for n in 0..source.frames().len() {
        source.decode_frame(n as u32, &mut frame)?;
        hash.update(&frame);
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

/// Converts under `policy`; what was written comes back as bytes beside its proof.
pub fn run(source: &Source, policy: &transcode::Policy) -> (transcode::Outcome, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let destination = folder.path().join("out.dcm");
    let outcome =
        transcode::convert(source, policy, &mut transcode::Context::default(), &destination).expect("no error");
    let bytes = std::fs::read(&destination).unwrap_or_default();
    (outcome, bytes)
}

/// A policy of one rule: everything to this target; `"htj2k", max_error = 2` for a lossy one.
pub fn to(target: &str) -> transcode::Policy {
    let (name, bound) = target.split_once(',').map_or((target, String::new()), |(name, b)| (name, format!(",{b}")));
    let text = format!("[[rule]]\nname = \"all\"\nthen = {{ transfer_syntax = \"{name}\"{bound} }}");
    transcode::Policy::parse(&text).expect("a policy of one rule")
}

/// What a conversion that must succeed wrote.
pub fn converted(source: &Source, policy: &str) -> Source {
    let (outcome, bytes) = run(source, &transcode::Policy::shipped(policy).unwrap());
    match outcome {
        transcode::Outcome::Converted(_) => Source::from_bytes(bytes).unwrap(),
        transcode::Outcome::Kept { reason, rule } => panic!("kept by {rule}: {reason}"),
        transcode::Outcome::Disproved(wrong) => panic!("{}", wrong.reason),
    }
}

/// The reason for which an instance must be kept.
pub fn kept(source: &Source, policy: &str) -> String {
    match run(source, &transcode::Policy::shipped(policy).unwrap()) {
        (transcode::Outcome::Kept { reason, .. }, bytes) if bytes.is_empty() => reason,
        (outcome, _) => panic!("not kept: {outcome:?}"),
    }
}

/// Samples that are no constant: a ramp with noise, `bits` wide.
pub fn noise(count: usize, bits: u32) -> Vec<u16> {
    let mut state = 0x2545_F491_4F6C_DD1Du64;
    let next = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((n as u64 * 3 + state % 37) & ((1 << bits) - 1)) as u16
    };
    (0..count).map(next).collect()
}

/// Little endian bytes of 16-bit samples.
pub fn bytes16(samples: &[u16]) -> Vec<u8> {
    samples.iter().flat_map(|v| v.to_le_bytes()).collect()
}
