//! What CharLS alone takes to encode and decode the frames of a folder, and what verification and the proof of the way back take in a
//! conversion of them: `bench_convert FOLDER`. Prints lines of a name and a figure, for `scripts/bench/convert.py`.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use charls::{CharLS, FrameInfo, InterleaveMode};
use cpu_time::ProcessTime;
use dicom::{Facts, Source};
use transcode::{Context, Decode, Opinions, Outcome, Policy, Sampling, convert};

fn main() {
    let folder = env::args().nth(1).expect("a folder");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let sources: Vec<Source> = files.iter().filter_map(|file| Source::open(file).ok()).collect();
    println!("charls-ms {:.3}", charls_alone(&sources));
    let scratch = tempfile::tempdir().unwrap();
    for name in ["default", "htj2k-all"] {
        println!("{name}-verifying-ms {:.3}", verifying(&files, name, scratch.path()));
    }
}

/// CPU milliseconds an instance.
fn charls_alone(sources: &[Source]) -> f64 {
    let (mut samples, mut spent) = (Vec::new(), Duration::ZERO);
    for source in sources {
        for n in 0..source.frames().len() {
            source.decode_frame(n as u32, &mut samples).unwrap();
            let start = ProcessTime::now();
            let stream = encode(source.facts(), &samples);
            let decoded = CharLS::default().decode(&stream).unwrap();
            spent += start.elapsed();
            assert!(decoded == samples, "CharLS gives other samples");
        }
    }
    spent.as_secs_f64() * 1e3 / sources.len() as f64
}

/// As the converter sets it.
fn encode(facts: &Facts, samples: &[u8]) -> Vec<u8> {
    let bits = if facts.signed { facts.bits_allocated } else { facts.bits_stored.max(2) };
    let info = FrameInfo {
        width: facts.columns,
        height: facts.rows,
        bits_per_sample: bits.into(),
        component_count: facts.samples.into(),
    };
    let mut codec = CharLS::default();
    codec.set_interleave_mode(InterleaveMode::None).unwrap();
    codec.encode(info, 0, samples).unwrap()
}

/// CPU milliseconds an instance, with a second decoder for 1 % of the frames, as the conversions beside it have.
fn verifying(files: &[PathBuf], policy: &str, scratch: &Path) -> f64 {
    let policy = Policy::shipped(policy).unwrap();
    let mut context = Context::new(Opinions::new(Sampling { first: 0, share: 0.01 }, []));
    let mut converted = 0;
    for (n, file) in files.iter().enumerate() {
        let Ok(source) = Source::load(file) else { continue };
        // The hash of the source is no part of it: it is taken anyway.
        source.sha256().unwrap();
        let done = convert(&source, &policy, &mut context, &scratch.join(n.to_string())).unwrap();
        converted += u32::from(matches!(done, Outcome::Converted(_)));
    }
    context.verifying.as_secs_f64() * 1e3 / f64::from(converted.max(1))
}
