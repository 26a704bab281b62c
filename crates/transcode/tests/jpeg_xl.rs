//! JPEG XL on real images: what is written decodes to the reference, a JPEG comes back byte for byte, damage is an error.

mod common;

use common::{Form, Made, Row, by_path, bytes16, noise, open_data, samples_sha256, table};
use dicom::Source;
use sha2::{Digest, Sha256};
use std::path::Path;
use transcode::{Context, Decode, Opinion, Outcome, Outgoing, OutgoingForm, Policy, Verified, convert};

const LOSSLESS: &str = "1.2.840.10008.1.2.4.110";
const RECOMPRESSION: &str = "1.2.840.10008.1.2.4.111";
const BASELINE: &str = "1.2.840.10008.1.2.4.50";

fn policy(target: &str) -> Policy {
    Policy::parse(&format!("[[rule]]\nname = \"all\"\nthen = {{ transfer_syntax = \"{target}\" }}")).unwrap()
}

/// The converted file, or why there is none.
fn through(source: &Source, target: &str, folder: &Path) -> Result<Verified, String> {
    let destination = folder.join("out.dcm");
    match convert(source, &policy(target), &mut Context::default(), &destination) {
        Ok(Outcome::Converted(verified)) => {
            looked_at_twice(&verified);
            Ok(*verified)
        }
        Ok(Outcome::Kept { reason, .. }) => Err(reason),
        Ok(Outcome::Disproved(wrong)) => Err(wrong.reason),
        Err(error) => Err(error.to_string()),
    }
}

/// A second decoder has seen every frame and agreed.
fn looked_at_twice(verified: &Verified) {
    assert!(verified.frames().iter().all(|frame| matches!(frame.opinion, Opinion::Agreed(_))));
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn the_files_of_another_writer_decode_to_their_references() {
    let Some(open) = open_data() else { return };
    let files: Vec<Row> =
        table(&open.join("REFERENCE.tsv")).into_iter().filter(|row| row["path"].starts_with("jxl/")).collect();
    assert_eq!(files.len(), 4);
    for row in files {
        let source = Source::open(&open.join(&row["path"])).unwrap();
        assert_eq!(samples_sha256(&source).unwrap(), row["pixels_sha256"], "{}", row["path"]);
    }
}

/// Kinds of images, told by the columns of the manifest, up to eight of each.
#[test]
fn each_kind_of_image_becomes_lossless_jpeg_xl() {
    let Some(open) = open_data() else { return };
    let reference = by_path(table(&open.join("REFERENCE.tsv")));
    type Kind = (&'static str, fn(&Row) -> bool);
    let kinds: [Kind; 6] = [
        ("signed, 16 bits", |row| row["signed"] == "1" && row["bits_stored"] == "16"),
        ("signed, fewer bits than allocated", |row| {
            row["signed"] == "1" && row["bits_stored"] != row["bits_allocated"]
        }),
        ("12 bits", |row| row["signed"] == "0" && row["bits_stored"] == "12"),
        ("RGB", |row| row["photometric"] == "RGB" && row["bits_allocated"] == "8"),
        ("RGB of 16 bits", |row| row["photometric"] == "RGB" && row["bits_allocated"] == "16"),
        ("palette", |row| row["photometric"] == "PALETTE COLOR"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let manifest = table(&open.join("MANIFEST.tsv"));
    for (kind, is) in kinds {
        let mut count = 0;
        for row in manifest.iter().filter(|row| is(row)) {
            let expected = reference.get(&row["path"]).filter(|r| r["status"] == "AGREE");
            let (Some(expected), Ok(source)) = (expected, Source::open(&open.join(&row["path"]))) else { continue };
            let facts = source.facts();
            let there = facts.transfer_syntax.uid() == LOSSLESS;
            if there || facts.lossy || !matches!(facts.bits_allocated, 8 | 16) || count == 8 {
                continue;
            }
            let verified = match through(&source, "jpeg-xl-lossless", folder.path()) {
                Ok(verified) => verified,
                Err(reason) if reason.contains("bits above the high bit are in use") => continue,
                Err(reason) => panic!("{kind}: {}: {reason}", row["path"]),
            };
            let written = Source::open(verified.path()).unwrap();
            assert_eq!(written.facts().transfer_syntax.uid(), LOSSLESS);
            assert_eq!(written.facts().photometric, facts.photometric.replace("YBR_RCT", "RGB"));
            assert_eq!(verified.samples_sha256, expected["pixels_sha256"], "{kind}: {}", row["path"]);
            assert_eq!(samples_sha256(&written).unwrap(), expected["pixels_sha256"], "{kind}: {}", row["path"]);
            count += 1;
        }
        println!("{kind}: {count}");
        assert!(count > 0, "no image is {kind}");
    }
}

/// Depths that the corpus lacks, signed and not: the stream has exactly Bits Stored, signed samples as two's complement of them.
#[test]
fn each_depth_becomes_lossless_jpeg_xl() {
    let folder = tempfile::tempdir().unwrap();
    for (stored, signed) in [(8u32, false), (8, true), (12, true), (5, false), (5, true), (13, false), (16, true)] {
        let mut words = noise(61 * 47, stored);
        if signed {
            let spare = 16 - stored;
            words.iter_mut().for_each(|v| *v = ((*v << spare) as i16 >> spare) as u16);
        }
        let mut made = Made::image(Form::Explicit, 61, 47, 16, stored as u16, signed);
        let source = made.element(0x7FE0, 0x0010, "OW", &bytes16(&words)).source();
        let verified = through(&source, "jpeg-xl-lossless", folder.path()).unwrap();
        let written = Source::open(verified.path()).unwrap();
        assert_eq!(samples_sha256(&written).unwrap(), hex(&bytes16(&words)), "{stored} bits, signed: {signed}");
        let mut stream = Vec::new();
        written.read_frame(0, &mut stream).unwrap();
        let image = jxl_oxide::JxlImage::builder().read(&stream[..]).unwrap();
        assert_eq!(image.image_header().metadata.bit_depth.bits_per_sample(), stored);
        let top = f32::from(u16::MAX >> (16 - stored));
        let values = image.render_frame(0).unwrap().image_all_channels();
        let low = values.buf().iter().map(|v| (v * top).round() as u16);
        assert!(low.eq(words.iter().map(|v| v & u16::MAX >> (16 - stored))), "{stored} bits, signed: {signed}");
    }
}

/// With a bound, at several depths: the loss is within it, and what is written has exactly Bits Stored.
#[test]
fn lossy_jpeg_xl_keeps_its_bound() {
    let folder = tempfile::tempdir().unwrap();
    for (allocated, stored, max_error) in [(8u16, 8u32, 3), (16, 12, 12), (16, 13, 40), (16, 16, 300), (8, 6, 2)] {
        let words = noise(61 * 47, stored);
        let mut made = Made::image(Form::Explicit, 61, 47, allocated, stored as u16, false);
        let samples: Vec<u8> = match allocated {
            8 => words.iter().map(|v| *v as u8).collect(),
            _ => bytes16(&words),
        };
        let vr = if allocated == 8 { "OB" } else { "OW" };
        let source = made.element(0x7FE0, 0x0010, vr, &samples).source();
        let text =
            format!("[[rule]]\nname = \"all\"\nthen = {{ transfer_syntax = \"jpeg-xl\", max_error = {max_error} }}");
        let destination = folder.path().join("out.dcm");
        let policy = Policy::parse(&text).unwrap();
        let Outcome::Converted(verified) = convert(&source, &policy, &mut Context::default(), &destination).unwrap()
        else {
            panic!("kept at {stored} bits");
        };
        looked_at_twice(&verified);
        let written = Source::open(verified.path()).unwrap();
        assert_eq!(written.facts().transfer_syntax.uid(), "1.2.840.10008.1.2.4.112");
        let (mut stream, mut decoded) = (Vec::new(), Vec::new());
        written.read_frame(0, &mut stream).unwrap();
        let image = jxl_oxide::JxlImage::builder().read(&stream[..]).unwrap();
        assert_eq!(image.image_header().metadata.bit_depth.bits_per_sample(), stored);
        written.decode_frame(0, &mut decoded).unwrap();
        let value = |bytes: &[u8], n: usize| match allocated {
            8 => i32::from(bytes[n]),
            _ => i32::from(u16::from_le_bytes([bytes[2 * n], bytes[2 * n + 1]])),
        };
        let worst = (0..words.len()).map(|n| value(&samples, n).abs_diff(value(&decoded, n))).max().unwrap();
        assert!(worst <= max_error && worst > 0, "{stored} bits: {worst} of {max_error}");
    }
}

/// The baseline JPEGs of the corpus: stored with every byte to be had back, or kept for a reason. The large ones are left to the
/// run of the whole corpus.
#[test]
fn the_jpegs_of_the_corpus_come_back() {
    let Some(open) = open_data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (mut back, mut kept, mut before, mut after) = (0, Vec::new(), 0u64, 0u64);
    let small = |row: &&Row| row["transfer_syntax_uid"] == BASELINE && row["bytes"].parse::<u64>().unwrap() < 400_000;
    for row in table(&open.join("MANIFEST.tsv")).iter().filter(small) {
        let Ok(source) = Source::open(&open.join(&row["path"])) else { continue };
        let verified = match through(&source, "jpeg-xl-recompression", folder.path()) {
            Ok(verified) => verified,
            Err(reason) => {
                kept.push(format!("{}: {reason}", row["path"]));
                continue;
            }
        };
        let written = Source::open(verified.path()).unwrap();
        assert_eq!(written.facts().transfer_syntax.uid(), RECOMPRESSION);
        assert_eq!(written.facts().photometric, source.facts().photometric);
        assert_eq!(written.facts().sop_instance_uid, source.facts().sop_instance_uid);
        assert_eq!(written.is_ybr(), source.is_ybr(), "{}", row["path"]);
        let mut jpeg = Vec::new();
        for (n, frame) in verified.frames().iter().enumerate() {
            source.read_frame(n as u32, &mut jpeg).unwrap();
            assert_eq!(written.jpeg_frame(n as u32).unwrap(), jpeg, "{} frame {}", row["path"], n + 1);
            assert_eq!(frame.jpeg_sha256.as_deref(), Some(hex(&jpeg).as_str()));
        }
        assert_eq!(samples_sha256(&written).unwrap(), samples_sha256(&source).unwrap(), "{}", row["path"]);
        let (residue, mut received) = (verified.way_back.as_ref().expect("a way back"), Vec::new());
        residue.restore(&written, &mut received).unwrap();
        assert!(received == std::fs::read(open.join(&row["path"])).unwrap(), "{}: the file that came in", row["path"]);
        assert!(residue.as_bytes().len() < 2048, "{}: a residue of {} bytes", row["path"], residue.as_bytes().len());
        (back, before, after) = (back + 1, before + verified.bytes_in, after + verified.bytes_out);
    }
    println!("{back} came back, {:.3} of their size; kept:\n{}", after as f64 / before as f64, kept.join("\n"));
    assert!(back >= 23, "only {back}");
    // Two have no marks at all, and DICOM says that they are RGB.
    assert_eq!(kept.iter().filter(|line| line.contains("its colours")).count(), 2);
    let reasons =
        ["photometric", "its colours", "not smaller", "byte for byte", "attributes", "can't become", "not rebuilt"];
    assert!(kept.iter().all(|line| reasons.iter().any(|reason| line.contains(reason))));
}

/// What is written as the JPEG instance again has the elements and the frames of the source.
#[test]
fn a_recompressed_instance_is_written_as_jpeg_again() {
    let Some(open) = open_data() else { return };
    let source = Source::open(&open.join("pydicom/pydicom__SC_rgb_jpeg.dcm")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let verified = through(&source, "jpeg-xl-recompression", folder.path()).unwrap();
    let mut bytes = Vec::new();
    Outgoing::new(Source::open(verified.path()).unwrap(), OutgoingForm::Jpeg).unwrap().copy_to(&mut bytes).unwrap();
    let again = Source::from_bytes(bytes).unwrap();
    assert_eq!(again.facts().transfer_syntax.uid(), BASELINE);
    assert_eq!(again.frames().len(), source.frames().len());
    let (mut one, mut other) = (Vec::new(), Vec::new());
    source.read_frame(0, &mut one).unwrap();
    again.read_frame(0, &mut other).unwrap();
    assert_eq!(one, other);
    let tags = |s: &Source| s.data_set().elements().iter().map(|e| e.tag).filter(|t| t.1 != 0).collect::<Vec<_>>();
    assert_eq!(tags(&again), tags(&source));
}

/// Streams with flipped bytes and missing ends: decoded, or refused, and never more.
#[test]
fn damaged_frames_are_errors() {
    let Some(open) = open_data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let jpeg = Source::open(&open.join("pydicom/pydicom__SC_rgb_jpeg.dcm")).unwrap();
    let recompressed = through(&jpeg, "jpeg-xl-recompression", folder.path()).unwrap();
    let grey = Source::open(&open.join("jxl/orthanc-jxl__synthetic_mf_gray16.dcm")).unwrap();
    let other = tempfile::tempdir().unwrap();
    let lossless = through(&grey, "jpeg-xl-lossless", other.path()).unwrap();
    for path in [recompressed.path(), lossless.path()] {
        let whole = std::fs::read(path).unwrap();
        let frame = Source::open(path).unwrap().frames()[0].clone();
        let (start, len) = (frame.offset() as usize, frame.length() as usize);
        let (mut refused, mut samples) = (0, Vec::new());
        let places = noise(120, 16);
        for (n, place) in places.iter().enumerate() {
            let mut bytes = whole.clone();
            let at = start + usize::from(*place) * 7 % len;
            match n % 3 {
                0 => bytes[at] ^= 1 << (n % 8),
                1 => bytes[at] = 0xFF,
                _ => bytes[at..start + len].fill(0),
            }
            let source = Source::from_bytes(bytes).unwrap();
            refused += u32::from(source.decode_frame(0, &mut samples).is_err());
        }
        println!("{refused} of {} were refused", places.len());
        assert!(refused > 10);
    }
}
