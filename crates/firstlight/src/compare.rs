//! `firstlight policy compare DIR`: a sample of a folder under each shipped policy: bytes, CPU time, time to the first image.
//!
//! Nothing of the folder is written to: what is converted goes to a temporary folder and away again.

use crate::args::CompareFlags;
use crate::failure::{Exit, Failure, without_panic};
use crate::units;
use crate::words;
use cpu_time::ThreadTime;
use migrate::{Listed, Listing, Row, ScanEvent};
use serde::Serialize;

use dicom::{Facts, Pixels, Source};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use transcode::{Context, FrameEvidence, Outcome, Policy};

/// A first image has at least so many pixels on its longer side: enough to know what one looks at.
const FIRST_IMAGE: u32 = 256;

/// Kinds of images that are told apart, in the order they are shown.
const CLASSES: [&str; 7] =
    ["grey, up to 1000", "grey, over 1000", "colour", "palette", "multi-frame", "lossy already", "other"];

/// What a policy made of the images of one class.
#[derive(Debug, Default, Clone, Serialize)]
struct Sum {
    files: u64,
    kept: u64,
    frames: u64,
    bytes_in: u64,
    bytes_out: u64,
    cpu_seconds: f64,
    /// Of each image, bytes that its first picture needs.
    #[serde(skip)]
    first: Vec<u64>,
    /// The median, at the line that was asked for.
    first_image_seconds: Option<f64>,
}

/// What the whole folder would come to, were all of it like the sample.
#[derive(Debug, Serialize)]
struct Estimate {
    bytes_after: u64,
    cpu_hours: f64,
}

#[derive(Debug, Serialize)]
struct Compared {
    policy: &'static str,
    all: Sum,
    classes: BTreeMap<&'static str, Sum>,
    estimate: Estimate,
}

#[derive(Debug, Serialize)]
struct Report {
    folder: PathBuf,
    files: u64,
    bytes: u64,
    sampled: u64,
    line_bits_per_second: u64,
    policies: Vec<Compared>,
}

/// Runs the command.
pub fn run(flags: &CompareFlags) -> Result<Exit, Failure> {
    let stop = AtomicBool::new(false);
    let sources = std::slice::from_ref(&flags.folder);
    let listing = Listing::make(&Listed { sources, mirror: false, outside: None, jobs: 1, stop: &stop })?;
    for told in &listing.told {
        if let ScanEvent::Note(notice) | ScanEvent::Trouble(notice) = told {
            eprintln!("{}", words::line(notice));
        }
    }
    // What is packed is not sampled, and not counted.
    let files = listing.rows.into_iter().filter(Row::is_file).map(|row| (row.path, row.bytes)).collect::<Vec<_>>();
    let total = files.iter().map(|(_, bytes)| bytes).sum();
    let sample = Sample::take(files, flags.sample.get());
    if sample.files.is_empty() {
        let line = format!("no DICOM images among the {} looked at", units::count(sample.looked_at, "file"));
        return Err(Failure::new(line).hint("name a folder with DICOM files, or a larger --sample"));
    }
    let scratch = tempfile::tempdir().map_err(|e| Failure::new(format!("cannot make a temporary folder: {e}")))?;
    let mut policies = Vec::new();
    for name in Policy::SHIPPED {
        eprintln!("{name}: {}", units::count(sample.files.len() as u64, "file"));
        policies.push(sample.under(name, scratch.path(), flags.line, total)?);
    }
    let report = Report {
        folder: flags.folder.clone(),
        files: sample.found,
        bytes: total,
        sampled: sample.files.len() as u64,
        line_bits_per_second: flags.line,
        policies,
    };
    if flags.json {
        println!("{}", serde_json::to_string_pretty(&report).map_err(|e| Failure::new(e.to_string()))?);
    } else {
        print(&report);
    }
    Ok(Exit::Well)
}

/// Files evenly spread over a folder.
struct Sample {
    files: Vec<(PathBuf, u64, &'static str)>,
    found: u64,
    looked_at: u64,
    /// Bytes of the files looked at, DICOM or not.
    bytes: u64,
}

impl Sample {
    fn take(mut found: Vec<(PathBuf, u64)>, wanted: usize) -> Sample {
        found.sort();
        let count = wanted.min(found.len());
        let chosen = (0..count).map(|n| &found[n * found.len() / count]);
        let mut sample = Sample { files: Vec::new(), found: found.len() as u64, looked_at: count as u64, bytes: 0 };
        for (path, bytes) in chosen {
            sample.bytes += bytes;
            if let Ok(source) = Source::open(path) {
                sample.files.push((path.clone(), *bytes, class(source.facts())));
            }
        }
        sample
    }

    fn under(&self, name: &'static str, scratch: &Path, line: u64, total: u64) -> Result<Compared, Failure> {
        let policy = Policy::shipped(name).ok_or_else(|| Failure::new(format!("no policy is called {name:?}")))?;
        let mut classes = BTreeMap::<&'static str, Sum>::new();
        let mut context = Context::default();
        let destination = scratch.join("converted.dcm");
        for (path, _, class) in &self.files {
            let begun = ThreadTime::now();
            let made = without_panic(|| one(path, &policy, &mut context, &destination));
            let Some(mut sum) = made.ok().flatten() else { continue };
            sum.cpu_seconds = begun.elapsed().as_secs_f64();
            classes.entry(class).or_default().add(sum);
        }
        let mut all = Sum::default();
        classes.values().for_each(|sum| all.add(sum.clone()));
        classes.values_mut().chain([&mut all]).for_each(|sum| sum.finish(line));
        // What is no DICOM stays out of the estimate as it is out of the sample.
        let scale = total as f64 / self.bytes.max(1) as f64;
        let estimate = Estimate {
            bytes_after: (all.bytes_out as f64 * scale) as u64,
            cpu_hours: all.cpu_seconds * scale / 3600.0,
        };
        Ok(Compared { policy: name, all, classes, estimate })
    }
}

/// One file under one policy; `None` when it can't be read.
fn one(path: &Path, policy: &Policy, context: &mut Context, destination: &Path) -> Option<Sum> {
    let source = Source::open(path).ok()?;
    let (frames, bytes_in) = (u64::from(source.facts().frames), source.len());
    let sum = Sum { files: 1, frames, bytes_in, ..Sum::default() };
    let first = source.frames().first().map(|frame| frame.length());
    Some(match transcode::convert(&source, policy, context, destination).ok()? {
        Outcome::Converted(verified) => {
            let first = verified.frames().first().map(first_picture);
            Sum { bytes_out: verified.bytes_out, first: first.into_iter().collect(), ..sum }
        }
        // What fails a check stays as it came, too.
        Outcome::Kept { .. } | Outcome::Disproved(_) => {
            Sum { kept: 1, bytes_out: bytes_in, first: first.into_iter().collect(), ..sum }
        }
    })
}

/// Bytes of the coarsest level that is large enough; of all the frame where there are no levels.
fn first_picture(frame: &FrameEvidence) -> u64 {
    let level = frame.levels.iter().find(|level| level.width.max(level.height) >= FIRST_IMAGE);
    level.map_or(frame.length, |level| level.end)
}

fn class(facts: &Facts) -> &'static str {
    let pixels = matches!(facts.pixels, Pixels::Native | Pixels::Encapsulated) && facts.bits_allocated > 1;
    CLASSES[match facts {
        _ if !pixels => 6,
        f if f.lossy => 5,
        f if f.frames > 1 => 4,
        f if f.photometric == "PALETTE COLOR" => 3,
        f if f.samples > 1 => 2,
        f if f.longest_side() > 1000 => 1,
        _ => 0,
    }]
}

impl Sum {
    fn add(&mut self, other: Sum) {
        self.files += other.files;
        self.kept += other.kept;
        self.frames += other.frames;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.cpu_seconds += other.cpu_seconds;
        self.first.extend(other.first);
    }

    fn finish(&mut self, line: u64) {
        self.first.sort_unstable();
        let median = self.first.get(self.first.len() / 2);
        self.first_image_seconds = median.map(|bytes| *bytes as f64 * 8.0 / line.max(1) as f64);
    }

    fn cells(&self) -> [String; 7] {
        [
            self.files.to_string(),
            self.kept.to_string(),
            units::bytes(self.bytes_in),
            units::bytes(self.bytes_out),
            units::saved(self.bytes_in, self.bytes_out),
            format!("{:.1} ms", self.cpu_seconds * 1000.0 / self.files.max(1) as f64),
            self.first_image_seconds.map_or_else(String::new, |s| format!("{:.1} ms", s * 1000.0)),
        ]
    }
}

fn print(report: &Report) {
    let sampled = units::count(report.sampled, "file");
    println!("{sampled} of {} ({}), one thread\n", report.files, units::bytes(report.bytes));
    let titles = ["class", "policy", "files", "kept", "before", "after", "saved", "CPU a file", "first image"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    for class in CLASSES.into_iter().chain(["all"]) {
        for compared in &report.policies {
            let sum = if class == "all" { Some(&compared.all) } else { compared.classes.get(class) };
            let Some(sum) = sum else { continue };
            let names = [class.to_owned(), compared.policy.to_owned()];
            rows.push(names.into_iter().chain(sum.cells()).collect());
        }
    }
    print!("{}", units::table(&rows, 2));
    println!("\nfirst image: {FIRST_IMAGE} pixels wide or high, at {} a second", bits(report.line_bits_per_second));
    for compared in &report.policies {
        let estimate = &compared.estimate;
        let after = units::bytes(estimate.bytes_after);
        println!("all of it under {}: {after}, {:.2} CPU hours", compared.policy, estimate.cpu_hours);
    }
}

fn bits(n: u64) -> String {
    let text = units::bytes(n);
    text.replace('B', "bit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        assert_eq!(bits(30_000_000), "30.0 Mbit");
    }

    #[test]
    fn a_sample_is_spread_evenly() {
        let files = (0..10).map(|n| (PathBuf::from(format!("/nowhere/{n}")), 10)).collect();
        let sample = Sample::take(files, 3);
        assert_eq!((sample.found, sample.looked_at, sample.bytes, sample.files.len()), (10, 3, 30, 0));
    }
}
