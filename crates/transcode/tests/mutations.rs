//! Files with bytes changed, cut out, put in or lost, from a seed: nothing panics, memory stays bounded, and a frame that is found
//! whole is the one that was there, unless the change lies in it.
//!
//! `FIRSTLIGHT_MUTATIONS` is how many a file (48), `FIRSTLIGHT_SEED` the first seed (1).

mod common;

use common::{Form, Made, bytes16, noise, report};
use dicom::{Error, Source};
use std::ops::Range;
use transcode::{Context, Decode, Outcome, Policy, convert};

struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ z >> 31) % below.max(1) as u64) as usize
    }
}

/// One change; gives the bytes of the file that it lies in, and by how many those behind it moved.
fn mutate(file: &mut Vec<u8>, random: &mut Random) -> (Range<usize>, isize) {
    let at = 132 + random.next(file.len() - 132);
    match random.next(8) {
        0 => {
            file.truncate(at);
            (at..usize::MAX, 0)
        }
        1 => {
            let end = (at + 1 + random.next(64)).min(file.len());
            file.drain(at..end);
            (at..end, at as isize - end as isize)
        }
        2 => {
            let noise: Vec<u8> = (0..1 + random.next(32)).map(|_| random.next(256) as u8).collect();
            let more = noise.len();
            file.splice(at..at, noise);
            (at..at, more as isize)
        }
        3 => {
            let end = (at + 1 + random.next(200)).min(file.len());
            file[at..end].fill(if random.next(2) == 0 { 0 } else { 0xFF });
            (at..end, 0)
        }
        _ => {
            file[at] ^= 1 << random.next(8);
            (at..at + 1, 0)
        }
    }
}

/// Frames of a file as they are stored.
fn stored(source: &Source, n: u32) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    source.read_frame(n, &mut bytes).ok().map(|()| bytes)
}

/// Does what a server and a conversion do; tells what went wrong.
fn try_one(name: &str, original: &[u8], seed: u64) -> Option<String> {
    let mut random = Random(seed);
    let mut file = original.to_vec();
    let (place, moved) = mutate(&mut file, &mut random);
    let before = Source::from_bytes(original.to_vec()).expect("the file opens");
    let source = Source::from_bytes(file).ok()?;
    let _ = source.dicom_json(&|path| path.to_owned());
    let mut out = Vec::new();
    for n in 0..source.frames().len().min(8) as u32 {
        let _ = source.decode_frame(n, &mut out);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    match convert(&source, &Policy::shipped("htj2k-all").unwrap(), &mut Context::default(), &path) {
        Ok(Outcome::Converted(verified)) if source.check_frames().is_err() => {
            return Some(format!(
                "{name}, seed {seed}: converted to {} although a frame is not there",
                verified.target_syntax
            ));
        }
        Ok(Outcome::Disproved(disproved)) => {
            return Some(format!("{name}, seed {seed}: {}", disproved.reason));
        }
        Err(error @ Error::Io(_)) => return Some(format!("{name}, seed {seed}: {error}")),
        _ => {}
    }
    // A change in the pixel data, but not in frame n, leaves frame n what it was, or has it missing.
    let pixels = before.frames().first()?.offset() as usize;
    if place.start < pixels {
        return None;
    }
    let native = !before.facts().syntax_of_frames().is_encapsulated();
    for (n, frame) in (0..).zip(before.frames()) {
        let touched = frame.fragments.iter().any(|(offset, len)| {
            // The header of its item is the frame's own; samples without one move with whatever lies before them.
            let range = (*offset - 8) as usize..(*offset + *len) as usize;
            place.start <= range.end && (place.end >= range.start || native && moved != 0)
        });
        if !touched && stored(&source, n).is_some_and(|now| Some(now) != stored(&before, n)) {
            return Some(format!("{name}, seed {seed}: frame {} became another", n + 1));
        }
    }
    None
}

fn files() -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for name in [
        "rle_last_fragment_empty",
        "jpeg_first_fragment_empty",
        "one_frame_missing",
        "native_cut",
        "native_under_jpeg",
        "number_of_frames_missing",
        "jpeg_under_explicit",
    ] {
        let path = format!("frames/{name}.dcm");
        files.extend(report(&path).map(|bytes| (path, bytes)));
    }
    for name in ["convert/cv-rgb-one-third.dcm", "convert/cv-second-delimiter.dcm"] {
        files.extend(report(name).map(|bytes| (name.to_owned(), bytes)));
    }
    for (form, name) in [(Form::Explicit, "explicit"), (Form::Implicit, "implicit"), (Form::Big, "big")] {
        let mut made = Made::image(form, 9, 7, 16, 12, false);
        made.text(0x0028, 0x0008, "IS", "3 ").element(0x7FE0, 0x0010, "OW", &bytes16(&noise(189, 12)));
        files.push((name.to_owned(), made.file()));
    }
    // Four codestreams of HTJ2K, the second in two fragments, with an offset table.
    let mut streams: Vec<Vec<u8>> = Vec::new();
    for n in 0..4u16 {
        let samples: Vec<u16> = noise(24 * 20, 12).iter().map(|v| v ^ n).collect();
        let image = htj2k::Image {
            width: 24,
            height: 20,
            components: 1,
            precision: 12,
            signed: false,
            stride: 24,
            samples: htj2k::Samples::U16(&samples),
        };
        let mut out = Vec::new();
        htj2k::Encoder::new().encode(&image, &htj2k::EncodeOptions::default(), &mut out).unwrap();
        out.resize(out.len().next_multiple_of(2), 0);
        streams.push(out);
    }
    let (a, b) = streams[1].split_at(100);
    let mut parts: Vec<&[u8]> = vec![&streams[0], a, b, &streams[2], &streams[3]];
    let mut starts = vec![0u32];
    for length in [streams[0].len(), a.len() + b.len() + 8, streams[2].len()] {
        starts.push(starts[starts.len() - 1] + length as u32 + 8);
    }
    let table: Vec<u8> = starts.iter().flat_map(|start| start.to_le_bytes()).collect();
    for (name, table) in [("htj2k with a table", table.as_slice()), ("htj2k without a table", &[][..])] {
        let mut made = Made::image(Form::Explicit, 20, 24, 16, 12, false);
        made.syntax = "1.2.840.10008.1.2.4.202";
        parts.insert(0, table);
        made.text(0x0028, 0x0008, "IS", "4 ").fragments(&parts);
        parts.remove(0);
        files.push((name.to_owned(), made.file()));
    }
    files
}

#[test]
fn mutated_files_keep_the_frames_that_are_whole() {
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    let (count, first) = (number("FIRSTLIGHT_MUTATIONS", 48), number("FIRSTLIGHT_SEED", 1));
    let mut wrong = Vec::new();
    let files = files();
    for (name, bytes) in &files {
        wrong.extend((first..first + count).filter_map(|seed| try_one(name, bytes, seed)));
    }
    println!("{} files, {count} mutations each from seed {first}", files.len());
    wrong.iter().for_each(|line| println!("{line}"));
    assert!(wrong.is_empty(), "{} mutations went wrong", wrong.len());
}
