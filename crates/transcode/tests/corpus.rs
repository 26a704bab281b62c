//! The whole corpus through each shipped policy: nothing panics, and every image for which the policy names a target is converted
//! and decodes to the hash that independent decoders gave, or is listed in `exceptions.tsv` with its reason.

mod common;

use common::{by_path, open_data, samples_sha256, table};
use dicom::Source;
use std::collections::BTreeMap;
use std::path::Path;
use transcode::{Action, Context, Decode, Opinion, Outcome, Policy, convert};

/// Path, policy and reason of what is kept although a rule names a target.
fn exceptions(policy: &str) -> BTreeMap<String, String> {
    let text = include_str!("exceptions.tsv");
    let lines = text.lines().filter(|l| !l.starts_with('#') && !l.is_empty());
    let fields = lines.map(|l| l.split('\t').collect::<Vec<_>>());
    fields.filter(|f| f[1] == policy || f[1] == "*").map(|f| (f[0].to_owned(), f[2].to_owned())).collect()
}

#[derive(Default)]
struct Tally {
    expected: u32,
    converted: u32,
    bytes_in: u64,
    bytes_out: u64,
}

fn run(name: &str) {
    let Some(open) = open_data() else { return };
    let policy = Policy::shipped(name).expect("a shipped policy");
    let reference = by_path(table(&open.join("REFERENCE.tsv")));
    let excepted = exceptions(name);
    // Lossy JPEG that decoders read each in their own way: proven by the bytes of the JPEG, not by samples.
    let undecoded: Vec<&str> = include_str!("undecoded.tsv").lines().filter_map(|l| l.split('\t').next()).collect();
    let folder = tempfile::tempdir().unwrap();
    let mut context = Context::default();
    let (mut rules, mut wrong) = (BTreeMap::<String, Tally>::new(), Vec::new());
    let mut kept = BTreeMap::<String, u32>::new();
    for row in table(&open.join("MANIFEST.tsv")) {
        let path = &row["path"];
        let Ok(source) = Source::open(&open.join(path)) else { continue };
        let decision = policy.decide(source.facts());
        let hash = reference.get(path).filter(|r| r["status"] == "AGREE").map(|r| r["pixels_sha256"].clone());
        let expected = hash.is_some() && matches!(decision.then, Action::Convert(_));
        let tally = rules.entry(decision.rule.clone()).or_default();
        tally.expected += u32::from(expected);
        let destination = folder.path().join("out.dcm");
        match convert(&source, &policy, &mut context, &destination) {
            Ok(Outcome::Converted(verified)) => {
                tally.converted += u32::from(expected);
                tally.bytes_in += verified.bytes_in;
                tally.bytes_out += verified.bytes_out;
                let judged = hash.filter(|_| !undecoded.contains(&path.as_str()));
                wrong.extend(check(path, &verified, judged.as_deref()));
                if excepted.contains_key(path) {
                    wrong.push(format!("{path}: listed as an exception, but converted"));
                }
            }
            Ok(Outcome::Kept { reason, .. }) => {
                *kept.entry(without_numbers(&reason)).or_default() += 1;
                let there = reason.starts_with("it is ") && reason.contains(" already") && !reason.contains("lossy");
                if there || reason.starts_with("JPEG XL is not smaller") {
                    tally.expected -= u32::from(expected); // what is there already is what was asked for, or better
                } else if expected && excepted.get(path).is_none_or(|listed| !reason.contains(listed.as_str())) {
                    wrong.push(format!("{path}: kept, {reason}"));
                }
            }
            Ok(Outcome::Disproved(disproved)) => wrong.push(format!("{path}: {}", disproved.reason)),
            Err(error) if expected => wrong.push(format!("{path}: {error}")),
            Err(_) => {}
        }
        assert!(!destination.exists(), "{path}: something was left behind");
    }
    println!("policy {name}: rule, converted/expected, bytes out/in");
    for (rule, t) in &rules {
        println!(
            "  {rule:12} {:4}/{:<4} {:.3}",
            t.converted,
            t.expected,
            t.bytes_out as f64 / t.bytes_in.max(1) as f64
        );
    }
    kept.iter().for_each(|(reason, n)| println!("  kept {n:4}: {reason}"));
    wrong.iter().for_each(|line| println!("{line}"));
    assert!(wrong.is_empty(), "{} files went wrong under {name}", wrong.len());
}

/// Holds a written file against the hash of independent decoders, and its HTJ2K frames against OpenJPEG.
fn check(path: &str, verified: &transcode::Verified, hash: Option<&str>) -> Option<String> {
    let source = Source::open(verified.path()).unwrap();
    let again = samples_sha256(&source).unwrap_or_else(|error| error.to_string());
    match hash {
        Some(hash) if hash != verified.samples_sha256 || hash != again => {
            return Some(format!("{path}: converted to other samples than the reference"));
        }
        None if verified.samples_sha256 != again => {
            return Some(format!("{path}: other samples than were proven"));
        }
        _ => {}
    }
    if let Some(frame) = verified.frames().iter().find(|frame| matches!(frame.opinion, Opinion::Without(_))) {
        return Some(format!("{path}: a frame without a second opinion: {:?}", frame.opinion));
    }
    let differs = source.facts().transfer_syntax.is_htj2k() && !same_by_openjpeg(&source, verified);
    differs.then(|| format!("{path}: OpenJPEG decodes it to other samples"))
}

fn same_by_openjpeg(source: &Source, verified: &transcode::Verified) -> bool {
    let (mut ours, mut stored) = (Vec::new(), Vec::new());
    verified.frames().iter().enumerate().all(|(n, frame)| {
        source.decode_frame(n as u32, &mut ours).unwrap();
        source.read_frame(n as u32, &mut stored).unwrap();
        let parameters = jpeg2k::DecodeParameters::new().strict(true);
        let image =
            jpeg2k::Image::from_bytes_with(&stored[..frame.length as usize], parameters).expect("OpenJPEG reads it");
        let planes: Vec<&[i32]> = image.components().iter().map(jpeg2k::ImageComponent::data).collect();
        let samples = (0..planes[0].len()).flat_map(|at| planes.iter().map(move |p| p[at]));
        match source.facts().bits_allocated {
            8 => samples.map(|v| v as u8).eq(ours.iter().copied()),
            _ => samples.flat_map(|v| (v as u16).to_le_bytes()).eq(ours.iter().copied()),
        }
    })
}

fn without_numbers(reason: &str) -> String {
    reason
        .split(' ')
        .map(|w| if w.starts_with(|c: char| c.is_ascii_digit()) { "N" } else { w })
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn default_policy() {
    run("default");
}

#[test]
fn htj2k_all_policy() {
    run("htj2k-all");
}

#[test]
fn jxl_colour_policy() {
    run("jxl-colour");
}

#[test]
fn every_exception_is_a_file_of_the_corpus() {
    let Some(open) = open_data() else { return };
    for line in include_str!("exceptions.tsv").lines().filter(|l| !l.starts_with('#') && !l.is_empty()) {
        let path = line.split('\t').next().unwrap();
        assert!(Path::new(&open.join(path)).is_file(), "{path} is not there");
    }
}
