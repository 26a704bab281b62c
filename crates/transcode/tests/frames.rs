//! Frames that stand for themselves: what is whole is read beside what is missing, cut, empty or miscounted (PS3.5 A.4).

mod common;

use common::{Form, Made, bytes16, noise, report, run};
use dicom::{Error, Source};
use sha2::{Digest, Sha256};
use transcode::{Decode, Outcome, Policy};

/// SHA-256 over the samples of these frames (from 0).
fn samples(source: &Source, frames: std::ops::Range<u32>) -> String {
    let (mut hash, mut out) = (Sha256::new(), Vec::new());
    for n in frames {
        source.decode_frame(n, &mut out).unwrap_or_else(|error| panic!("{error}"));
        hash.update(&out);
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

fn reason(source: &Source, n: u32) -> String {
    match source.read_frame(n, &mut Vec::new()) {
        Err(Error::Frame { frame, what }) if frame == n + 1 => what,
        other => panic!("frame {n}: {other:?}"),
    }
}

/// Why a policy that asks for HTJ2K keeps it.
fn kept(source: &Source) -> String {
    match run(source, &Policy::shipped("htj2k-all").unwrap()).0 {
        Outcome::Kept { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

fn open(name: &str) -> Option<Source> {
    report(name).map(|bytes| Source::from_bytes(bytes).unwrap_or_else(|error| panic!("{name}: {error}")))
}

/// fo-dicom #1586: an empty fragment before or behind the frames is none of them.
#[test]
fn empty_fragments_are_no_frames() {
    for name in ["frames/rle_last_fragment_empty.dcm", "frames/jpeg_first_fragment_empty.dcm"] {
        let Some(source) = open(name) else { return };
        source.check_frames().unwrap();
        let told = "cfbaedd9c454b3292a715f301a43f78a66d1257c2c01fc21457629670c1bcdd6";
        assert_eq!(samples(&source, 0..4), told, "{name}");
        let Outcome::Converted(verified) = run(&source, &Policy::shipped("htj2k-all").unwrap()).0 else {
            panic!("{name}")
        };
        assert_eq!(verified.samples_sha256, told, "{name}");
    }
}

/// pydicom #1666, fo-dicom #992: three images where four are told.
#[test]
fn a_frame_that_is_missing_or_cut_takes_no_other_with_it() {
    for (name, why) in [("frames/one_frame_missing.dcm", "3 of 4 frames"), ("frames/native_cut.dcm", "truncated")] {
        let Some(source) = open(name) else { return };
        let three = "0a8cbaca143abc3e57da585f4cbb5b178d845e99ca4458a34dc546272a879441";
        assert_eq!((samples(&source, 0..3).as_str(), source.first_frame()), (three, Some(0)), "{name}");
        assert!(!reason(&source, 3).is_empty());
        assert!(kept(&source).contains(why), "{name}: {}", kept(&source));
    }
}

#[test]
fn images_that_are_not_counted() {
    let Some(source) = open("frames/number_of_frames_missing.dcm") else { return };
    assert_eq!(samples(&source, 0..1), "e218b201930927f7da92238c4834be3bef2266ab7469bc84d73c154b17d143eb");
    assert!(kept(&source).contains("4 compressed images where Number of Frames says 1"));
}

/// fo-dicom #2008, Cornerstone3D #2436: what lies there is not what the file meta says.
#[test]
fn bytes_that_prove_another_syntax() {
    let Some(source) = open("frames/native_under_jpeg.dcm") else { return };
    assert_eq!(samples(&source, 0..1), "2eef2bb18c1a39dc12cb0c385c8efcd4491e70326778c9fb9c983351282b0e00");
    assert_eq!(source.facts().syntax_of_frames().uid(), "1.2.840.10008.1.2.1");
    assert!(kept(&source).contains("of the very length"), "{}", kept(&source));

    let Some(source) = open("frames/jpeg_under_explicit.dcm") else { return };
    assert_eq!(source.facts().syntax_of_frames().uid(), "1.2.840.10008.1.2.4.70");
    samples(&source, 0..1);
    assert!(kept(&source).contains("but the file says Explicit VR Little Endian"), "{}", kept(&source));
}

#[test]
fn what_belongs_nowhere_is_passed_and_told() {
    let Some(source) = open("convert/cv-second-delimiter.dcm") else { return };
    samples(&source, 0..1);
    assert!(kept(&source).contains("a delimiter where an element should be"), "{}", kept(&source));
    let Some(source) = open("convert/cv-rgb-one-third.dcm") else { return };
    assert_eq!(source.first_frame(), None);
    assert!(reason(&source, 0).contains("cut"), "{}", reason(&source, 0));
    assert!(kept(&source).contains("truncated: pixel data"), "{}", kept(&source));
    // An item behind an empty sequence.
    let mut made = Made::image(Form::Explicit, 2, 2, 8, 8, false);
    made.head(0x0040, 0x0275, "SQ", 0).item(0xE000, 8).body.extend_from_slice(b"\x08\0\0\x01SH\0\0");
    let source = made.element(0x7FE0, 0x0010, "OB", &[1, 2, 3, 4]).source();
    samples(&source, 0..1);
    assert!(kept(&source).contains("an item where an element should be"), "{}", kept(&source));
}

#[test]
fn a_number_of_frames_that_is_none() {
    let made = |count: &str, pixels: &[u8]| {
        let mut made = Made::image(Form::Explicit, 2, 2, 8, 8, false);
        made.text(0x0028, 0x0008, "IS", count).element(0x7FE0, 0x0010, "OB", pixels).source()
    };
    let source = made("1A", &[1; 8]);
    assert_eq!((source.facts().frames, source.frames().len()), (2, 2));
    assert!(kept(&source).contains("number of frames is \"1A\""));
    // Pixel data without a byte, and a count that no memory is taken for.
    let source = made("16000000", &[]);
    assert_eq!((source.frames().len(), source.first_frame()), (0, None));
    assert!(reason(&source, 15_999_999).contains("truncated"));
    assert!(kept(&source).contains("truncated"));
}

/// Lossless JPEG frames of noise, by a little writer of ours: one Huffman code of 8 bits for each of the 17 sizes.
fn jpeg(seed: u8, restart: Option<u16>) -> Vec<u8> {
    jpeg_rows(seed, restart, 16)
}

/// `marks`: samples after which the writer puts a restart marker.
fn jpeg_rows(seed: u8, restart: Option<u16>, marks: usize) -> Vec<u8> {
    let (width, height) = (16usize, 16usize);
    let values: Vec<i32> =
        (0..width * height).map(|n| i32::from((n * 7 + usize::from(seed) * 31 + n / 5) as u8)).collect();
    let mut out = vec![0xFF, 0xD8, 0xFF, 0xC3, 0, 11, 8, 0, height as u8, 0, width as u8, 1, 1, 0x11, 0];
    // Sizes 0 to 8 have codes of 4 bits: 0000 to 1000.
    out.extend_from_slice(&[0xFF, 0xC4, 0, 19 + 9, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    out.extend(0..9);
    out.extend(restart.into_iter().flat_map(|n| [0xFF, 0xDD, 0, 4, (n >> 8) as u8, n as u8]));
    out.extend_from_slice(&[0xFF, 0xDA, 0, 8, 1, 1, 0, 1, 0, 0]);
    let (mut bits, mut first_line) = (Vec::new(), 0);
    let flush = |bits: &mut Vec<bool>, out: &mut Vec<u8>| {
        bits.resize(bits.len().next_multiple_of(8), true);
        for byte in bits.chunks(8).map(|bits| bits.iter().fold(0u8, |byte, bit| byte << 1 | u8::from(*bit))) {
            out.extend_from_slice(if byte == 0xFF { &[0xFF, 0] } else { std::slice::from_ref(&byte) });
        }
        bits.clear();
    };
    for (n, value) in values.iter().enumerate() {
        let (x, y) = (n % width, n / width);
        if restart.is_some() && n > 0 && n % marks == 0 {
            flush(&mut bits, &mut out);
            out.extend_from_slice(&[0xFF, 0xD0 + ((n / marks - 1) % 8) as u8]);
            first_line = y;
        }
        let fresh = restart.is_some() && n % marks == 0;
        let predicted = match (x, y) {
            _ if fresh || n == 0 => 128,
            (0, _) if y > first_line => values[n - width],
            _ => values[n - 1],
        };
        let difference = value - predicted;
        let size = 32 - difference.unsigned_abs().leading_zeros();
        let code = if difference < 0 { difference + (1 << size) - 1 } else { difference };
        bits.extend((0..4).rev().map(|bit| size >> bit & 1 == 1));
        bits.extend((0..size).rev().map(|bit| code >> bit & 1 == 1));
    }
    flush(&mut bits, &mut out);
    out.extend_from_slice(&[0xFF, 0xD9]);
    if out.len() % 2 == 1 {
        out.push(0);
    }
    out
}

fn made(syntax: &'static str, frames: &str, parts: &[&[u8]]) -> Source {
    let mut made = Made::image(Form::Explicit, 16, 16, 8, 8, false);
    made.syntax = syntax;
    made.text(0x0028, 0x0008, "IS", frames).fragments(parts).source()
}

const LOSSLESS: &str = "1.2.840.10008.1.2.4.70";

#[test]
fn tables_that_lie_for_one_frame_do_not_take_its_neighbours() {
    let streams: Vec<Vec<u8>> = (0..4).map(|n| jpeg(n, None)).collect();
    // Each image in two fragments.
    let halves: Vec<(&[u8], &[u8])> = streams.iter().map(|s| s.split_at(s.len() / 4 * 2)).collect();
    let mut offsets = vec![0u32];
    for (a, b) in &halves {
        offsets.push(offsets[offsets.len() - 1] + (a.len() + b.len() + 16) as u32);
    }
    let table = |offsets: &[u32]| offsets.iter().flat_map(|o| o.to_le_bytes()).collect::<Vec<u8>>();
    let parts = |table: &[u8], which: &[usize]| {
        let mut all = vec![table.to_vec()];
        all.extend(which.iter().flat_map(|n| [halves[*n].0.to_vec(), halves[*n].1.to_vec()]));
        all
    };
    let source = |parts: Vec<Vec<u8>>| made(LOSSLESS, "4", &parts.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let read = |source: &Source, n: u32| {
        let mut bytes = Vec::new();
        source.read_frame(n, &mut bytes).ok().map(|()| bytes)
    };
    // All are there, and the table lies: the images themselves tell.
    for lie in [4, 10_000, offsets[3]] {
        let mut wrong = offsets[..4].to_vec();
        wrong[2] = lie;
        let source = source(parts(&table(&wrong), &[0, 1, 2, 3]));
        source.check_frames().unwrap();
        assert!((0..4).all(|n| read(&source, n).as_ref() == Some(&streams[n as usize])), "{lie}");
    }
    // The second is not there, and the table says which are: 1, 3 and 4.
    let gap = (halves[1].0.len() + halves[1].1.len() + 16) as u32;
    let wrong = [0, 10_001, offsets[2] - gap, offsets[3] - gap];
    let source = source(parts(&table(&wrong), &[0, 2, 3]));
    assert!(source.check_frames().is_err());
    for n in [0usize, 2, 3] {
        assert_eq!(read(&source, n as u32).as_ref(), Some(&streams[n]), "{n}");
    }
    assert!(reason(&source, 1).contains("missing"), "{}", reason(&source, 1));
}

#[test]
fn an_empty_fragment_among_the_frames_is_a_frame_that_is_missing() {
    let streams: Vec<Vec<u8>> = (0..3).map(|n| jpeg(n, None)).collect();
    let source = made(LOSSLESS, "3", &[&[], &streams[0], &[], &streams[2]]);
    assert!(reason(&source, 1).contains("empty"));
    let mut bytes = Vec::new();
    source.read_frame(2, &mut bytes).unwrap();
    assert_eq!(bytes, streams[2]);
    // As many fragments as frames by chance: both are of the first.
    let (a, b) = streams[0].split_at(40);
    let source = made(LOSSLESS, "2", &[&[], a, b]);
    source.read_frame(0, &mut bytes).unwrap();
    assert_eq!(bytes, streams[0]);
    assert!(reason(&source, 1).contains("there is no such frame") || kept(&source).contains("1 of 2"));
    // An image that lost its start keeps its number and its neighbours.
    let mut broken = streams[1].clone();
    broken[1] = 0;
    let (a, b) = streams[0].split_at(40);
    let source = made(LOSSLESS, "3", &[&[], a, b, &broken, &streams[2]]);
    source.read_frame(2, &mut bytes).unwrap();
    assert_eq!(bytes, streams[2]);
}

/// Every coding under the name of every other is what its first bytes say.
#[test]
fn codings_under_a_wrong_name() {
    let stream = jpeg(1, None);
    for name in
        ["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5", "1.2.3.4"]
    {
        let source = made(name, "1", &[&[], &stream]);
        assert_eq!(source.facts().syntax_of_frames().uid(), LOSSLESS, "{name}");
        samples(&source, 0..1);
        assert!(kept(&source).contains("but the file says"), "{name}: {}", kept(&source));
    }
    let source = made(LOSSLESS, "1", &[&[], &stream]);
    assert_eq!(source.facts().frame_syntax, None);
    // Samples in a fragment, of the very length.
    let source = made(LOSSLESS, "1", &[&[], &[7; 256]]);
    let mut out = Vec::new();
    source.decode_frame(0, &mut out).unwrap();
    assert_eq!(out, [7; 256]);
    assert!(kept(&source).contains("of the very length"));
}

/// A file that ends within its pixel data has the frames that came.
#[test]
fn a_file_that_ends_early_has_the_frames_before() {
    let streams: Vec<Vec<u8>> = (0..3).map(|n| jpeg(n, None)).collect();
    let mut made = Made::image(Form::Explicit, 16, 16, 8, 8, false);
    made.syntax = LOSSLESS;
    made.text(0x0028, 0x0008, "IS", "3").fragments(&[&[], &streams[0], &streams[1], &streams[2]]);
    let file = made.file();
    let ends = [file.len() - 8 - 8 - streams[2].len(), file.len() - 8];
    for cut in ends[0] - 20..file.len() {
        let source = Source::from_bytes(file[..cut].to_vec()).unwrap();
        let whole = source.frames().iter().filter(|frame| frame.fault().is_none()).count();
        assert_eq!(whole, 1 + usize::from(cut >= ends[0]) + usize::from(cut >= ends[1]), "{cut}");
        let mut bytes = Vec::new();
        for (n, stream) in (0..).zip(&streams[..whole]) {
            source.read_frame(n, &mut bytes).unwrap();
            assert_eq!(&bytes, stream, "{cut}");
        }
        assert!(!kept(&source).is_empty());
    }
    let mut native = Made::image(Form::Implicit, 16, 16, 16, 12, false);
    native.text(0x0028, 0x0008, "IS", "2 ").element(0x7FE0, 0x0010, "OW", &bytes16(&noise(512, 12)));
    let file = native.file();
    let source = Source::from_bytes(file[..file.len() - 3].to_vec()).unwrap();
    assert_eq!(source.frames().iter().filter(|frame| frame.fault().is_none()).count(), 1);
    assert!(kept(&source).starts_with("truncated: element (7FE0,0010)"), "{}", kept(&source));
}

/// T.81 H.1.1: of lossless images a restart interval is whole rows; B.2.1: the markers count modulo 8.
#[test]
fn restart_intervals_that_can_not_be_are_kept() {
    let plain = made(LOSSLESS, "1", &[&[], &jpeg(3, None)]);
    let right = samples(&plain, 0..1);
    for rows in [1, 2, 5] {
        let source = made(LOSSLESS, "1", &[&[], &jpeg_rows(3, Some(16 * rows), 16 * usize::from(rows))]);
        assert_eq!(samples(&source, 0..1), right, "{rows}");
    }
    for interval in [1, 5, 8, 24] {
        let source = made(LOSSLESS, "1", &[&[], &jpeg_rows(3, Some(interval), usize::from(interval))]);
        assert!(kept(&source).contains("no whole number of rows"), "{interval}: {}", kept(&source));
    }
    let mut stream = jpeg_rows(3, Some(16), 16);
    let at = stream.windows(2).position(|w| w == [0xFF, 0xD2]).unwrap();
    stream[at + 1] = 0xD3;
    assert!(kept(&made(LOSSLESS, "1", &[&[], &stream])).contains("do not follow one another"));
}

/// A fragment whose length is wrong hides none of those behind it.
#[test]
fn a_length_that_is_wrong_is_of_one_frame() {
    let streams: Vec<Vec<u8>> = (0..4).map(|n| jpeg(n, None)).collect();
    let mut made = Made::image(Form::Explicit, 16, 16, 8, 8, false);
    made.syntax = LOSSLESS;
    made.text(0x0028, 0x0008, "IS", "4 ").fragments(&[&[], &streams[0], &streams[1], &streams[2], &streams[3]]);
    let file = made.file();
    let second = file.windows(streams[1].len()).position(|bytes| bytes == streams[1]).unwrap();
    for more in [2i32, -2, 30, -30] {
        let mut file = file.clone();
        let length = (streams[1].len() as i32 + more) as u32;
        file[second - 4..second].copy_from_slice(&length.to_le_bytes());
        let source = Source::from_bytes(file).unwrap();
        let mut bytes = Vec::new();
        for n in [0, 2, 3] {
            source.read_frame(n, &mut bytes).unwrap();
            assert_eq!(bytes, streams[n as usize], "{more}");
        }
        assert!(reason(&source, 1).contains("cut"), "{more}");
        assert!(kept(&source).contains("no fragment where one should be"), "{more}: {}", kept(&source));
    }
}

/// Images of up to 16 a side have no level that halves nothing; streams that have are written anew, whatever their last byte.
#[test]
fn tiny_images_have_no_levels_that_halve_nothing() {
    for (side, most) in [(1u16, 0u8), (2, 1), (5, 3), (16, 4), (17, 5)] {
        let samples = noise(usize::from(side) * usize::from(side), 12);
        let image = htj2k::Image {
            width: side.into(),
            height: side.into(),
            components: 1,
            precision: 12,
            signed: false,
            stride: side.into(),
            samples: htj2k::Samples::U16(&samples),
        };
        let mut made = Made::image(Form::Explicit, side, side, 16, 12, false);
        let source = made.element(0x7FE0, 0x0010, "OW", &bytes16(&samples)).source();
        let (outcome, file) = run(&source, &Policy::shipped("htj2k-all").unwrap());
        assert!(matches!(outcome, Outcome::Converted(_)), "{side}: {outcome:?}");
        let written = Source::from_bytes(file).unwrap();
        let mut stored = Vec::new();
        written.read_frame(0, &mut stored).unwrap();
        let header = htj2k::Header::parse(&stored, &htj2k::Limits::default()).unwrap();
        assert_eq!(header.decompositions, most, "{side}");
        assert!(kept(&written).contains("already"));

        let options = htj2k::EncodeOptions { decompositions: Some(5), ..Default::default() };
        let mut old = Vec::new();
        htj2k::Encoder::new().encode(&image, &options, &mut old).unwrap();
        old.resize(old.len().next_multiple_of(2), 0);
        for syntax in ["1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202"] {
            let mut made = Made::image(Form::Explicit, side, side, 16, 12, false);
            made.syntax = syntax;
            let source = made.fragments(&[&[], &old]).source();
            assert_eq!(transcode::has_empty_levels(&source).unwrap(), most < 5, "{side}");
            let done = run(&source, &Policy::shipped("htj2k-all").unwrap()).0;
            let anew = matches!(done, Outcome::Converted(_));
            assert_eq!(anew, most < 5 || syntax.ends_with("201"), "{side} {syntax}: {done:?}");
        }
    }
}
