//! Convert, then restore: the very bytes that came in, for what is native.

mod common;

use common::{Form, Made, bytes16, noise, open_data, table};
use sha2::{Digest, Sha256};
use std::path::Path;
use transcode::{Context, NoWayBack, Outcome, Policy, Residue, RestoreError, Source, Verified, convert};

/// A conversion that must succeed, in a folder that lives as long as the result.
struct Converted {
    verified: Box<Verified>,
    _folder: tempfile::TempDir,
}

fn converted(source: &Source, policy: &str) -> Converted {
    let folder = tempfile::tempdir().unwrap();
    let policy = Policy::shipped(policy).unwrap();
    match convert(source, &policy, &mut Context::default(), &folder.path().join("out.dcm")).unwrap() {
        Outcome::Converted(verified) => Converted { verified, _folder: folder },
        Outcome::Kept { reason, rule } => panic!("kept by {rule}: {reason}"),
    }
}

fn restored(residue: &Residue, object: &Path) -> Result<Vec<u8>, RestoreError> {
    let mut out = Vec::new();
    residue.restore(&Source::open(object)?, &mut out).map(|()| out)
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Converts, restores from stored bytes alone, compares; returns the bytes of the residue.
fn round_trip(file: &[u8], policy: &str) -> usize {
    let source = Source::from_bytes(file.to_vec()).unwrap();
    let done = converted(&source, policy);
    let residue = done.verified.way_back.as_ref().expect("a way back");
    let stored = Residue::parse(residue.as_bytes().to_vec()).unwrap();
    assert_eq!(stored.original_sha256(), hex(file));
    assert_eq!(stored.original_len(), file.len() as u64);
    assert_eq!(stored.converted_sha256(), done.verified.file_sha256);
    assert!(restored(&stored, done.verified.path()).unwrap() == file, "other bytes");
    residue.as_bytes().len()
}

#[test]
fn every_native_file_of_the_corpus() {
    let Some(open) = open_data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (mut wrong, mut native, mut context) = (Vec::new(), 0, Context::default());
    let (mut sum_in, mut sum_residue, mut largest) = (0u64, 0u64, 0.0f64);
    for name in ["default", "htj2k-all"] {
        let policy = Policy::shipped(name).unwrap();
        for row in table(&open.join("MANIFEST.tsv")) {
            let Ok(source) = Source::open(&open.join(&row["path"])) else { continue };
            let place = folder.path().join("out.dcm");
            let Ok(Outcome::Converted(verified)) = convert(&source, &policy, &mut context, &place) else { continue };
            let syntax = source.facts().transfer_syntax.clone();
            match &verified.way_back {
                Ok(residue) => {
                    let bytes = restored(residue, verified.path()).map(|bytes| hex(&bytes));
                    let size = residue.as_bytes().len() as u64;
                    let share = size as f64 / verified.bytes_in as f64;
                    if bytes.as_ref().ok() != Some(&row["sha256"]) {
                        wrong.push(format!("{}: {bytes:?}", row["path"]));
                    }
                    if share > 0.005 && size > 2048 {
                        wrong.push(format!("{}: a residue of {size} bytes", row["path"]));
                    }
                    (native, sum_in, sum_residue) = (native + 1, sum_in + verified.bytes_in, sum_residue + size);
                    largest = largest.max(share);
                    println!("{size:6} {:6.3} % {:30} {}", share * 100.0, syntax.name(), row["path"]);
                }
                Err(NoWayBack::Compressed(_)) if syntax.is_encapsulated() => {}
                Err(NoWayBack::Deflated) if syntax.uid().ends_with(".1.99") => {}
                Err(reason) => wrong.push(format!("{}: {reason}", row["path"])),
            }
        }
    }
    println!(
        "{native} of {sum_in} bytes: residues of {sum_residue} bytes, the largest {:.2} % of its file",
        largest * 100.0
    );
    wrong.iter().for_each(|line| println!("{line}"));
    assert!(wrong.is_empty() && native > 100, "{} of {native} went wrong", wrong.len());
}

/// An image with what a converted object does not carry.
fn odd_image(form: Form) -> Made {
    let mut made = Made::image(form, 20, 30, 16, 12, false);
    made.body.splice(0..0, group_length(form)).for_each(drop);
    made.element(0x0029, 0x1010, "UN", b"private!");
    made
}

fn group_length(form: Form) -> Vec<u8> {
    Made::new(form).element(0x0008, 0x0000, "UL", &[9, 0, 0, 0]).body.clone()
}

#[test]
fn preamble_group_lengths_padding_and_trailing_bytes() {
    for form in [Form::Implicit, Form::Explicit, Form::Big] {
        let mut made = odd_image(form);
        let mut pixels = noise(600, 12);
        if form == Form::Big {
            pixels.iter_mut().for_each(|v| *v = v.swap_bytes());
        }
        made.element(0x7FE0, 0x0010, "OW", &bytes16(&pixels));
        made.element(0xFFFC, 0xFFFC, "OB", &[0; 300]);
        let mut file = made.file();
        file.extend_from_slice(&[0; 77]);
        let size = round_trip(&file, "htj2k-all");
        assert!(size < 1024, "{size}");
    }
}
