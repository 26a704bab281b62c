//! Convert, then restore: the very bytes that came in, for what is native.

mod common;

use common::{Form, Made, bytes16, noise, open_data, table};
use dicom::Source;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use std::path::Path;
use transcode::{Context, NoWayBack, Outcome, Policy, Residue, RestoreError, Verified, convert};

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
        Outcome::Disproved(wrong) => panic!("{}", wrong.reason),
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
    // Read as it is needed, and held in memory in the room of the one before.
    for (name, held) in [("default", false), ("htj2k-all", true)] {
        let mut room = Vec::new();
        let policy = Policy::shipped(name).unwrap();
        for row in table(&open.join("MANIFEST.tsv")) {
            let path = open.join(&row["path"]);
            let source = if held { Source::load_into(&path, std::mem::take(&mut room)) } else { Source::open(&path) };
            let Ok(source) = source else { continue };
            if held {
                source.sha256().unwrap();
            }
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
            room = source.into_room();
        }
    }
    println!(
        "{native} of {sum_in} bytes: residues of {sum_residue} bytes, the largest {:.2} % of its file",
        largest * 100.0
    );
    wrong.iter().for_each(|line| println!("{line}"));
    assert!(wrong.is_empty() && native > 100, "{} of {native} went wrong", wrong.len());
}

/// Elements before and after the pixels that a converted object does not carry as they are.
fn odd_image(form: Form, pixels: &[u16]) -> Vec<u8> {
    let mut made = Made::image(form, 20, 30, 16, 12, false);
    let big = form == Form::Big;
    let length = if big { 9u32.to_be_bytes() } else { 9u32.to_le_bytes() };
    let mut group = Made::new(form);
    group.element(0x0008, 0x0000, "UL", &length);
    made.body.splice(0..0, group.body);
    made.element(0x0029, 0x0010, "LO", b"MAKER ").element(0x0029, 0x1010, "UN", b"private!");
    let pixels: Vec<u16> = pixels.iter().map(|v| if big { v.swap_bytes() } else { *v }).collect();
    made.element(0x7FE0, 0x0010, "OW", &bytes16(&pixels));
    made.element(0xFFFC, 0xFFFC, "OB", &[0; 300]);
    let mut file = made.file();
    file.extend_from_slice(&[0; 77]);
    file
}

#[test]
fn preamble_group_lengths_padding_and_trailing_bytes() {
    for form in [Form::Implicit, Form::Explicit, Form::Big] {
        let size = round_trip(&odd_image(form, &noise(600, 12)), "htj2k-all");
        assert!(size < 512, "{size}");
    }
}

#[test]
fn sequences_of_both_lengths_nested_and_empty() {
    for form in [Form::Implicit, Form::Explicit, Form::Big] {
        let mut made = Made::image(form, 8, 8, 16, 12, false);
        let mut inner = Made::new(form);
        inner.number(0x0028, 0x0106, 7).text(0x0008, 0x1155, "UI", "1.2.3.4.5\0");
        let len = inner.body.len() as u32;
        // Undefined: an item of each kind, one of them empty, a sequence in it.
        made.head(0x0029, 0x1001, "SQ", u32::MAX).item(0xE000, len);
        made.body.extend_from_slice(&inner.body);
        made.item(0xE000, u32::MAX).text(0x0008, 0x1150, "UI", "1.2\0\0\0").head(0x0008, 0x1199, "SQ", u32::MAX);
        made.item(0xE000, 0).item(0xE0DD, 0).item(0xE00D, 0).item(0xE000, 0).item(0xE0DD, 0);
        // Defined, with a known length.
        made.head(0x0040, 0x0275, "SQ", 8 + len).item(0xE000, len);
        made.body.extend_from_slice(&inner.body);
        made.head(0x0040, 0x0555, "SQ", 0);
        let pixels =
            noise(64, 12).iter().map(|v| if form == Form::Big { v.swap_bytes() } else { *v }).collect::<Vec<_>>();
        made.element(0x7FE0, 0x0010, "OW", &bytes16(&pixels));
        let size = round_trip(&made.file(), "htj2k-all");
        assert!(size < 512, "{size}");
    }
}

#[test]
fn overlays_go_back_into_the_pixels() {
    let mut made = Made::image(Form::Explicit, 20, 30, 16, 12, false);
    for (group, bit) in [(0x6000, 15), (0x6002, 12)] {
        made.number(group, 0x0010, 20).number(group, 0x0011, 30).text(group, 0x0040, "CS", "G ");
        made.element(group, 0x0050, "SS", &[1, 0, 1, 0]).number(group, 0x0100, 16).number(group, 0x0102, bit);
    }
    let (image, drawn) = (noise(600, 12), noise(600, 2));
    let with = image.iter().zip(drawn).map(|(v, d)| v | (d & 1) << 15 | (d >> 1) << 12).collect::<Vec<_>>();
    made.element(0x7FE0, 0x0010, "OW", &bytes16(&with));
    round_trip(&made.file(), "htj2k-all");
}

#[test]
fn a_compressed_source_has_no_way_back_and_says_why() {
    let mut made = Made::image(Form::Explicit, 4, 4, 8, 8, false);
    made.syntax = "1.2.840.10008.1.2.5";
    // RLE (PS3.5 Annex G): one segment, a literal run of 16.
    let mut frame = vec![0; 64];
    (frame[0], frame[4]) = (1, 64);
    frame.push(15);
    frame.extend(0..16u8);
    frame.push(0);
    made.fragments(&[&[], &frame]);
    let source = made.source();
    let done = converted(&source, "htj2k-all");
    assert!(matches!(&done.verified.way_back, Err(NoWayBack::Compressed(name)) if name == "RLE Lossless"));
}

#[test]
fn nothing_is_made_that_was_not_asked_for() {
    let source = Source::from_bytes(odd_image(Form::Explicit, &noise(600, 12))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut context = Context::default();
    context.way_back = false;
    let policy = Policy::shipped("htj2k-all").unwrap();
    match convert(&source, &policy, &mut context, &folder.path().join("out.dcm")).unwrap() {
        Outcome::Converted(verified) => assert_eq!(verified.way_back, Err(NoWayBack::NotAsked)),
        Outcome::Kept { reason, .. } => panic!("{reason}"),
        Outcome::Disproved(wrong) => panic!("{}", wrong.reason),
    }
}

#[test]
fn a_source_that_changed_has_no_way_back() {
    let mut source = Source::from_bytes(odd_image(Form::Explicit, &noise(600, 12))).unwrap();
    source.expect_sha256([7; 32]);
    assert_eq!(converted(&source, "htj2k-all").verified.way_back, Err(NoWayBack::NotEqual));
}

#[test]
fn what_is_not_its_object_is_refused_before_a_byte_is_written() {
    let of = |seed: usize| {
        let pixels: Vec<u16> = noise(600 + seed, 12)[seed..].to_vec();
        converted(&Source::from_bytes(odd_image(Form::Explicit, &pixels)).unwrap(), "htj2k-all")
    };
    let (one, other) = (of(0), of(3));
    let mut out = Vec::new();
    let residue = one.verified.way_back.as_ref().unwrap();
    let error = residue.restore(&Source::open(other.verified.path()).unwrap(), &mut out).unwrap_err();
    assert!(matches!(error, RestoreError::OtherObject { .. }) && out.is_empty(), "{error}");
}

#[test]
fn damaged_residues_are_refused() {
    let source = Source::from_bytes(odd_image(Form::Implicit, &noise(600, 12))).unwrap();
    let done = converted(&source, "htj2k-all");
    let whole = done.verified.way_back.as_ref().unwrap().as_bytes();
    for end in 0..whole.len() {
        assert!(Residue::parse(whole[..end].to_vec()).is_err(), "cut at {end}");
    }
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(Residue::parse(bytes).is_err(), "bit {bit}");
    }
}

/// A residue of our own writing: header fields, a program, a right checksum.
fn forged(done: &Converted, original_len: u64, program: &[u8], program_len: u64) -> Vec<u8> {
    let whole = done.verified.way_back.as_ref().unwrap();
    let number = |bytes: &mut Vec<u8>, mut n: u64| {
        while n >= 0x80 {
            bytes.push(n as u8 | 0x80);
            n >>= 7;
        }
        bytes.push(n as u8);
    };
    let mut bytes = b"FLRES\x01\x00\x00\x00\x02".to_vec();
    for field in [original_len, done.verified.bytes_out, program_len, 0] {
        number(&mut bytes, field);
    }
    for hash in [whole.original_sha256(), whole.converted_sha256()] {
        bytes.extend((0..32).map(|n| u8::from_str_radix(&hash[2 * n..2 * n + 2], 16).unwrap()));
    }
    let mut deflate = flate2::write::DeflateEncoder::new(bytes, flate2::Compression::fast());
    std::io::Write::write_all(&mut deflate, program).unwrap();
    let mut bytes = deflate.finish().unwrap();
    let mut crc = flate2::Crc::new();
    crc.update(&bytes);
    bytes.extend_from_slice(&crc.sum().to_le_bytes());
    bytes
}

/// Takes so many bytes and then complains: a restore that goes on for ever is found out.
struct Room(u64);

impl std::io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len() as u64).expect("more bytes than there can be");
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn forged_residues_are_bounded_errors() {
    let file = odd_image(Form::Explicit, &noise(600, 12));
    let done = converted(&Source::from_bytes(file.clone()).unwrap(), "htj2k-all");
    let len = file.len() as u64;
    let huge = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x3F];
    let step = |kind: u8, after: &[u8]| [&[huge[0] & 0xFC | kind], &huge[1..], after].concat();
    for (name, original_len, program, told) in [
        ("nothing", len, vec![], 0),
        ("an absurd length", u64::MAX, vec![1 << 2], 1),
        ("a terabyte", 1 << 40, vec![0; 100], 100),
        ("a step of nothing", len, vec![0; 1000], 1000),
        ("a literal without end", len, step(0, &[]), 9),
        ("a copy without end", len, step(1, &[0]), 10),
        ("a copy from beyond", len, [&[40 << 2 | 1], &huge[..]].concat(), 10),
        ("elements without end", len, step(2, &[0]), 10),
        ("elements where none are", len, vec![4 << 2 | 2, 3], 2),
        ("pixels without end", len, step(3, &[]), 9),
        ("a program longer than told", len, vec![8 << 2; 3], 3),
        ("a program shorter than told", len, vec![4], 1 << 40),
        ("a number that does not end", len, vec![0xFF; 30], 30),
        ("too many bytes", 3, vec![5 << 2, 1, 2, 3, 4, 5], 6),
        ("other bytes", 5, vec![5 << 2, 1, 2, 3, 4, 5], 6),
    ] {
        let residue = Residue::parse(forged(&done, original_len, &program, told)).unwrap();
        let object = Source::open(done.verified.path()).unwrap();
        let result = residue.restore(&object, &mut Room(4 * len));
        assert!(result.is_err(), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Data sets of random elements in each encoding, with random bytes around them.
    #[test]
    fn random_data_sets_come_back(
        form in prop::sample::select(vec![Form::Implicit, Form::Explicit, Form::Big]),
        rows in 1u16..40,
        columns in 1u16..40,
        samples in prop::sample::select(vec![1u16, 3]),
        planar in 0u16..2,
        frames in 1usize..4,
        eight in any::<bool>(),
        private in prop::collection::vec((0x1000u16..0x10FF, prop::collection::vec(any::<u8>(), 0..90)), 0..6),
        tables in prop::collection::vec(any::<u16>(), 0..200),
        trailing in 0usize..200,
        preamble in any::<u8>(),
    ) {
        let big = form == Form::Big;
        let allocated = if eight || samples == 3 { 8 } else { 16 };
        let mut made = Made::new(form);
        made.text(0x0008, 0x0016, "UI", "1.2.840.10008.5.1.4.1.1.7\0").text(0x0008, 0x0018, "UI", "1.2.3.4\0");
        made.text(0x0008, 0x0060, "CS", "OT").text(0x0020, 0x000D, "UI", "1.2.3\0").text(0x0020, 0x000E, "UI", "1.2.3.5\0");
        made.number(0x0028, 0x0002, samples);
        made.text(0x0028, 0x0004, "CS", if samples == 3 { "RGB " } else { "MONOCHROME2 " });
        if samples == 3 {
            made.number(0x0028, 0x0006, planar);
        }
        made.text(0x0028, 0x0008, "IS", &format!("{frames} "));
        made.number(0x0028, 0x0010, rows).number(0x0028, 0x0011, columns);
        made.number(0x0028, 0x0100, allocated).number(0x0028, 0x0101, allocated).number(0x0028, 0x0102, allocated - 1);
        made.number(0x0028, 0x0103, 0);
        made.element(0x0028, 0x3006, "OW", &tables.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>());
        made.text(0x0029, 0x0010, "LO", "MAKER ");
        for (element, mut value) in private {
            value.resize(value.len().next_multiple_of(2), 0);
            made.element(0x0029, element, "UN", &value);
        }
        let count = usize::from(rows) * usize::from(columns) * usize::from(samples) * frames;
        let values = noise(count, u32::from(allocated));
        let mut pixels: Vec<u8> = match allocated {
            8 => values.iter().map(|v| *v as u8).collect(),
            _ => values.iter().flat_map(|v| if big { v.to_be_bytes() } else { v.to_le_bytes() }).collect(),
        };
        pixels.resize(pixels.len().next_multiple_of(2), 0);
        made.element(0x7FE0, 0x0010, "OW", &pixels);
        let mut file = made.file();
        file[..128].fill(preamble);
        file.resize(file.len() + trailing, 0);
        round_trip(&file, "htj2k-all");
    }

    /// Whatever the bytes, parsing and restoring end without a panic.
    #[test]
    fn random_programs_are_bounded(program in prop::collection::vec(any::<u8>(), 0..200), len in 0u64..100_000) {
        thread_local! {
            static DONE: Converted = converted(&Source::from_bytes(odd_image(Form::Explicit, &noise(600, 12))).unwrap(), "htj2k-all");
        }
        DONE.with(|done| {
            let residue = Residue::parse(forged(done, len, &program, program.len() as u64)).unwrap();
            let object = Source::open(done.verified.path()).unwrap();
            assert!(residue.restore(&object, &mut Room(200_000)).is_err());
        });
    }
}
