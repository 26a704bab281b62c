//! One test for each pitfall of conversion, by number: what shipped products got wrong.

mod common;

use common::{Form, Made, bytes16, converted, kept, noise, open_data, run, samples_sha256, to};
use dicom::{Element, Source, Tag, Value, Vr};
use transcode::{Context, Decode, IMPLEMENTATION_CLASS_UID, Outcome, Outgoing, OutgoingForm, Policy, convert};

const PIXELS: (u16, u16) = (0x7FE0, 0x0010);

fn grey(rows: u16, columns: u16, allocated: u16, stored: u16, signed: bool, bytes: &[u8]) -> Source {
    let mut made = Made::image(Form::Explicit, rows, columns, allocated, stored, signed);
    made.element(PIXELS.0, PIXELS.1, "OW", bytes).source()
}

fn large() -> Source {
    grey(40, 1200, 16, 12, false, &bytes16(&noise(40 * 1200, 12)))
}

fn colour(photometric: &str, planar: u16) -> Source {
    let mut made = coloured(photometric, planar);
    let samples: Vec<u8> = noise(70 * 66 * 3, 8).iter().map(|v| *v as u8).collect();
    made.element(PIXELS.0, PIXELS.1, "OB", &samples).source()
}

fn coloured(photometric: &str, planar: u16) -> Made {
    let mut made = Made::new(Form::Explicit);
    made.text(8, 0x16, "UI", "1.2.840.10008.5.1.4.1.1.7\0").text(8, 0x18, "UI", "1.2.3.4\0");
    made.number(0x28, 2, 3)
        .text(0x28, 4, "CS", photometric)
        .number(0x28, 6, planar)
        .number(0x28, 0x10, 66)
        .number(0x28, 0x11, 70);
    made.number(0x28, 0x100, 8).number(0x28, 0x101, 8).number(0x28, 0x102, 7).number(0x28, 0x103, 0);
    made
}

fn to_jpeg_ls() -> Policy {
    to("jpeg-ls-lossless")
}

fn codestream(source: &Source, frame: u32) -> Vec<u8> {
    let mut stored = Vec::new();
    source.read_frame(frame, &mut stored).unwrap();
    stored
}

/// The body of the first marker segment of this kind.
fn segment(stream: &[u8], marker: u8) -> Option<Vec<u8>> {
    let mut at = 2;
    while stream[at] == 0xFF {
        let len = usize::from(u16::from_be_bytes([stream[at + 2], stream[at + 3]]));
        if stream[at + 1] == marker {
            return Some(stream[at + 4..at + 2 + len].to_vec());
        }
        if matches!(stream[at + 1], 0x90 | 0xDA) {
            return None;
        }
        at += 2 + len;
    }
    None
}

fn same_samples(a: &Source, b: &Source) {
    assert_eq!(samples_sha256(a).unwrap(), samples_sha256(b).unwrap());
}

fn value(source: &Source, group: u16, element: u16) -> Option<Vec<u8>> {
    let set = source.data_set();
    set.get(Tag(group, element)).map(|e| set.bytes(e).unwrap().into_owned())
}

#[test]
fn rule_01_the_rpcl_label_is_earned() {
    let written = converted(&large(), "default");
    assert_eq!(written.facts().transfer_syntax.uid(), "1.2.840.10008.1.2.4.202");
    let stream = codestream(&written, 0);
    let cod = segment(&stream, 0x52).expect("COD");
    assert_eq!(cod[1], 2, "progression is RPCL");
    assert!(40u32 >> cod[5] <= 64 && cod[5] >= 5, "{} decompositions", cod[5]);
    assert!(segment(&stream, 0x55).is_some(), "TLM is present");
}

#[test]
fn rule_01_images_of_any_shape() {
    for (rows, columns) in [(1, 1), (1, 3000), (3000, 1), (2, 65535), (63, 65), (64, 64)] {
        let source = grey(rows, columns, 16, 16, false, &bytes16(&noise(usize::from(rows) * usize::from(columns), 16)));
        let written = converted(&source, "htj2k-all");
        let levels = segment(&codestream(&written, 0), 0x52).unwrap()[5];
        assert!(rows.min(columns) >> levels <= 64, "{rows} x {columns}: {levels} decompositions");
        same_samples(&source, &written);
        let (outcome, bytes) = run(&source, &to_jpeg_ls());
        assert!(matches!(outcome, Outcome::Converted(_)), "{rows} x {columns}: {outcome:?}");
        same_samples(&source, &Source::from_bytes(bytes).unwrap());
    }
}

#[test]
fn rule_02_lossless_is_reversible_and_whole() {
    let source = large();
    let written = converted(&source, "default");
    let stream = codestream(&written, 0);
    let cod = segment(&stream, 0x52).unwrap();
    assert_eq!(cod[9], 1, "the 5/3 transform");
    assert_eq!(segment(&stream, 0x5C).unwrap()[0] & 31, 0, "no quantisation");
    assert!(stream.ends_with(&[0xFF, 0xD9]) || stream.ends_with(&[0xFF, 0xD9, 0]), "nothing is cut off");
    same_samples(&source, &written);
}

#[test]
fn rule_03_photometric_interpretation_describes_the_stream() {
    let rgb = converted(&colour("RGB ", 0), "default");
    assert_eq!(rgb.facts().photometric, "YBR_RCT");
    assert_eq!(segment(&codestream(&rgb, 0), 0x52).unwrap()[4], 1, "with the reversible colour transform");
    let ybr = converted(&colour("YBR_FULL", 0), "default");
    assert_eq!(ybr.facts().photometric, "YBR_FULL");
    assert_eq!(segment(&codestream(&ybr, 0), 0x52).unwrap()[4], 0, "no second transform");
    // The way on: what was YBR_RCT is RGB again where there is no transform.
    let (outcome, bytes) = run(&rgb, &to_jpeg_ls());
    assert!(matches!(outcome, Outcome::Converted(_)), "{outcome:?}");
    let again = Source::from_bytes(bytes).unwrap();
    assert_eq!(again.facts().photometric, "RGB");
    same_samples(&again, &colour("RGB ", 0));
}

#[test]
fn rule_04_planar_configuration() {
    let planes = colour("RGB ", 1);
    let written = converted(&planes, "default");
    assert_eq!(value(&written, 0x28, 6), Some(vec![0, 0]));
    same_samples(&planes, &written);
    let mut with = Made::new(Form::Explicit);
    with.text(8, 0x16, "UI", "1.2\0").number(0x28, 2, 1).text(0x28, 4, "CS", "MONOCHROME2 ").number(0x28, 6, 1);
    with.number(0x28, 0x10, 2)
        .number(0x28, 0x11, 2)
        .number(0x28, 0x100, 8)
        .number(0x28, 0x101, 8)
        .number(0x28, 0x102, 7)
        .number(0x28, 0x103, 0);
    with.element(PIXELS.0, PIXELS.1, "OB", &[1, 2, 3, 4]);
    assert_eq!(value(&converted(&with.source(), "default"), 0x28, 6), None, "absent for one sample");
}

#[test]
fn rule_05_the_stream_wins_over_the_attributes() {
    let Some(open) = open_data() else { return };
    let source = Source::open(&open.join("pydicom/pydicom__J2K_pixelrep_mismatch.dcm")).unwrap();
    assert!(source.facts().signed);
    assert_eq!(segment(&codestream(&source, 0), 0x51).unwrap()[36] & 0x80, 0, "the source's stream says unsigned");
    let written = converted(&source, "htj2k-all");
    assert_eq!(
        segment(&codestream(&written, 0), 0x51).unwrap()[36] & 0x80,
        0x80,
        "what is written agrees with its attributes"
    );
    same_samples(&source, &written);
}

#[test]
fn rule_06_signed_samples() {
    let samples: Vec<u16> = noise(30 * 40, 12).iter().map(|v| (*v as i16 - 2048) as u16).collect();
    let source = grey(30, 40, 16, 12, true, &bytes16(&samples));
    let jpeg_ls = converted(&source, "default");
    assert_eq!(segment(&codestream(&jpeg_ls, 0), 0xF7).unwrap()[0], 16, "JPEG-LS at full Bits Allocated");
    same_samples(&source, &jpeg_ls);
    let htj2k = converted(&source, "htj2k-all");
    assert_eq!(segment(&codestream(&htj2k, 0), 0x51).unwrap()[36], 0x80 | 11, "Ssiz has the sign and Bits Stored");
    same_samples(&source, &htj2k);
    let bytes: Vec<u8> = (0..=255).collect();
    let narrow = grey(16, 16, 8, 8, true, &bytes);
    same_samples(&narrow, &converted(&narrow, "htj2k-all"));
    same_samples(&narrow, &converted(&narrow, "default"));
}

#[test]
fn rule_07_stray_high_bits() {
    let mut samples = noise(100, 12);
    samples[77] |= 0x1000;
    assert!(kept(&grey(10, 10, 16, 12, false, &bytes16(&samples)), "default").contains("above the high bit"));
    // Sign extension is no stray bit, its absence is one.
    assert!(kept(&grey(10, 10, 16, 12, true, &bytes16(&[0x0800; 100])), "default").contains("above the high bit"));
    converted(&grey(10, 10, 16, 12, true, &bytes16(&[0xF800; 100])), "default");
    let mut shifted = Made::image(Form::Explicit, 1, 1, 16, 12, false);
    let at = shifted.body.windows(4).position(|w| w == [0x28, 0, 2, 1]).unwrap();
    shifted.body[at + 8] = 15;
    assert!(kept(&shifted.element(PIXELS.0, PIXELS.1, "OW", &[0, 0x80]).source(), "default").contains("high bit 15"));
}

/// Twelve bits of image and an overlay in bit 13.
fn with_overlay(signed: bool) -> (Source, Vec<u16>, Vec<u8>) {
    let mut made = Made::image(Form::Explicit, 3, 5, 16, 12, signed);
    made.number(0x6000, 0x0010, 3).number(0x6000, 0x0011, 5).element(0x6000, 0x0050, "SS", &[1, 0, 1, 0]);
    made.number(0x6000, 0x0100, 16).number(0x6000, 0x0102, 13);
    let image = noise(15, 12);
    let shown = [1, 0, 0, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 1, 1u16];
    let stored: Vec<u16> = image.iter().zip(shown).map(|(v, bit)| v | bit << 13).collect();
    let packed = shown.iter().enumerate().fold(vec![0; 2], |mut bytes: Vec<u8>, (n, bit)| {
        bytes[n / 8] |= (*bit as u8) << (n % 8);
        bytes
    });
    made.element(PIXELS.0, PIXELS.1, "OW", &bytes16(&stored));
    (made.source(), image, packed)
}

#[test]
fn rule_08_an_overlay_in_unused_bits_is_moved_out_of_them() {
    let (source, image, packed) = with_overlay(false);
    for policy in ["default", "htj2k-all"] {
        let written = converted(&source, policy);
        assert_eq!(decoded(&written), bytes16(&image), "the image alone");
        assert_eq!(value(&written, 0x6000, 0x3000), Some(packed.clone()), "bit for bit");
        assert_eq!(value(&written, 0x6000, 0x0100), Some(vec![1, 0]));
        assert_eq!(value(&written, 0x6000, 0x0102), Some(vec![0, 0]));
        assert_eq!(written.facts().sop_instance_uid, source.facts().sop_instance_uid);
    }
    // Nothing is decoded to be written as it is: there the overlay may stay.
    let mut made = Made::image(Form::Implicit, 3, 5, 16, 12, false);
    made.number(0x6000, 0x0100, 16).number(0x6000, 0x0102, 13).element(PIXELS.0, PIXELS.1, "OW", &[0xFF; 30]);
    let (outcome, bytes) = run(&made.source(), &to("explicit-little-endian"));
    assert!(matches!(outcome, Outcome::Converted(_)), "{outcome:?}");
    assert_eq!(value(&Source::from_bytes(bytes).unwrap(), PIXELS.0, PIXELS.1), Some(vec![0xFF; 30]));
}

#[test]
fn rule_08_an_overlay_that_cannot_be_moved_is_kept() {
    let reason = kept(&with_overlay(true).0, "default");
    assert!(reason.contains("overlay"), "signed samples have their sign there: {reason}");
    let mut made = Made::image(Form::Explicit, 2, 2, 16, 12, false);
    made.number(0x6000, 0x0100, 16).number(0x6000, 0x0102, 12);
    made.element(PIXELS.0, PIXELS.1, "OW", &bytes16(&[1, 2, 3, 4]));
    assert!(kept(&made.source(), "default").contains("overlay"), "it has no size");
    let mut apart = Made::image(Form::Explicit, 2, 2, 16, 12, false);
    apart.number(0x6000, 0x0100, 1).number(0x6000, 0x0102, 0).element(0x6000, 0x3000, "OW", &[5, 0]);
    apart.element(PIXELS.0, PIXELS.1, "OW", &bytes16(&[1, 2, 3, 4]));
    assert_eq!(value(&converted(&apart.source(), "default"), 0x6000, 0x3000), Some(vec![5, 0]));
}

#[test]
fn rule_08_other_stray_bits_beside_an_overlay_are_kept() {
    let (source, _, _) = with_overlay(false);
    let mut bytes = Vec::new();
    Outgoing::new(source, OutgoingForm::Explicit).unwrap().copy_to(&mut bytes).unwrap();
    let last = bytes.len() - 1;
    bytes[last] |= 0x40;
    assert!(kept(&Source::from_bytes(bytes).unwrap(), "default").contains("above the high bit"));
}

#[test]
fn rule_09_palette_colour() {
    let mut made = Made::new(Form::Explicit);
    made.text(8, 0x16, "UI", "1.2\0")
        .number(0x28, 2, 1)
        .text(0x28, 4, "CS", "PALETTE COLOR ")
        .number(0x28, 0x10, 2)
        .number(0x28, 0x11, 2);
    made.number(0x28, 0x100, 8).number(0x28, 0x101, 8).number(0x28, 0x102, 7).number(0x28, 0x103, 0);
    made.element(0x28, 0x1101, "US", &[2, 0, 0, 0, 16, 0]).element(0x28, 0x1201, "OW", &[1, 2, 3, 4]);
    let source = made.element(PIXELS.0, PIXELS.1, "OB", &[0, 1, 1, 0]).source();
    let written = converted(&source, "htj2k-all");
    assert_eq!(written.facts().photometric, "PALETTE COLOR");
    assert_eq!(segment(&codestream(&written, 0), 0x52).unwrap()[4], 0, "no colour transform");
    assert_eq!(value(&written, 0x28, 0x1201), Some(vec![1, 2, 3, 4]));
    same_samples(&source, &written);
}

#[test]
fn rule_10_single_bits() {
    assert_eq!(kept(&grey(4, 4, 1, 1, false, &[0x5A, 0x0F]), "default"), "single-bit pixels stay as they are");
}

#[test]
fn rule_11_32_bits_and_floating_point() {
    assert!(kept(&grey(1, 1, 32, 32, false, &[1, 2, 3, 4]), "htj2k-all").contains("more than 16 bits"));
    let mut made = Made::image(Form::Explicit, 1, 1, 32, 32, false);
    assert!(kept(&made.element(0x7FE0, 8, "OF", &[0, 0, 0x80, 0x3F]).source(), "htj2k-all").contains("floating point"));
}

#[test]
fn rule_12_lossy_stays_marked_and_is_not_coded_again() {
    let mut made = Made::image(Form::Explicit, 2, 2, 8, 8, false);
    made.text(0x28, 0x2110, "CS", "01").element(PIXELS.0, PIXELS.1, "OB", &[1, 2, 3, 4]);
    assert!(kept(&made.source(), "default").contains("already lossy"));
    let Some(open) = open_data() else { return };
    let near = Source::open(&open.join("pydicom/pydicom__JPEGLSNearLossless_16.dcm")).unwrap();
    assert!(near.facts().lossy, "the stream tells, whatever the attributes say");
}

#[test]
fn rule_13_no_rule_makes_an_image_lossy_unless_it_says_how_much() {
    for target in ["jpeg-ls-near-lossless", "htj2k", "jpeg-xl"] {
        let text = format!("[[rule]]\nname = \"x\"\nthen = {{ transfer_syntax = \"{target}\" }}");
        assert!(Policy::parse(&text).is_err(), "{target} needs a bound");
    }
}

#[test]
fn rule_14_nothing_but_the_pixels_changes() {
    let source = large();
    let written = converted(&source, "default");
    let all = |s: &Source| {
        s.data_set()
            .elements()
            .iter()
            .map(|e| (e.tag, e.vr, s.data_set().bytes(e).unwrap().into_owned()))
            .collect::<Vec<_>>()
    };
    let other = |e: &(Tag, Vr, Vec<u8>)| e.0 != Tag(PIXELS.0, PIXELS.1);
    assert!(all(&source).into_iter().filter(other).eq(all(&written).into_iter().filter(other)));
    assert_eq!(written.facts().sop_instance_uid, source.facts().sop_instance_uid);
}

#[test]
fn rule_15_a_jpeg_becomes_jpeg_xl_only_with_its_way_back() {
    let Some(open) = open_data() else { return };
    let source = Source::open(&open.join("pydicom/pydicom__SC_rgb_jpeg.dcm")).unwrap();
    assert!(kept(&source, "default").contains("JPEG"));
    let written = converted(&source, "jxl-colour");
    assert_eq!(written.facts().transfer_syntax.uid(), "1.2.840.10008.1.2.4.111");
    assert_eq!(written.jpeg_frame(0).unwrap(), codestream(&source, 0), "every byte of the JPEG");
    for (group, element) in [(8, 0x18), (8, 8), (0x28, 4), (0x28, 0x2110), (0x28, 0x2112), (0x28, 0x2114)] {
        assert_eq!(value(&written, group, element), value(&source, group, element), "({group:04X},{element:04X})");
    }
}

#[test]
fn rule_16_pixel_value_attributes_stay() {
    let mut made = Made::image(Form::Implicit, 2, 2, 16, 16, true);
    made.element(0x28, 0x0106, "SS", &(-5i16).to_le_bytes()).element(0x28, 0x0120, "SS", &(-7i16).to_le_bytes());
    made.text(0x28, 0x1052, "DS", "-1024.00").element(0x28, 0x3010, "SQ", &[]);
    made.element(PIXELS.0, PIXELS.1, "OW", &bytes16(&[1, 2, 3, 4]));
    let written = converted(&made.source(), "default");
    let vr = |element| written.data_set().get(Tag(0x28, element)).unwrap().vr;
    assert_eq!((vr(0x0106), vr(0x0120)), (Vr::SS, Vr::SS));
    assert_eq!(value(&written, 0x28, 0x0106), Some(vec![0xFB, 0xFF]));
    assert_eq!(value(&written, 0x28, 0x1052).as_deref(), Some(b"-1024.00".as_slice()));
}

#[test]
fn rule_17_nested_pixel_data_is_never_the_image() {
    let mut icon = Made::new(Form::Explicit);
    // Fragments that look like the end of the sequence.
    icon.fragments(&[&[], &[0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]]);
    let mut made = Made::image(Form::Explicit, 2, 2, 8, 8, false);
    made.head(0x88, 0x0200, "SQ", u32::MAX).item(0xE000, u32::MAX);
    made.body.extend_from_slice(&icon.body);
    made.item(0xE00D, 0).item(0xE0DD, 0);
    let without = made.source();
    assert_eq!(without.facts().pixels, dicom::Pixels::None, "only the top level counts");
    let source = made.element(PIXELS.0, PIXELS.1, "OB", &[9, 8, 7, 6]).source();
    let written = converted(&source, "default");
    let nested = |s: &Source| match &s.data_set().get(Tag(0x88, 0x0200)).unwrap().value {
        Value::Items(items) => {
            items[0].elements.iter().map(|e: &Element| format!("{} {:?}", e.tag, e.vr)).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(nested(&source), nested(&written));
    let bulk = |s: &Source| s.bulk("00880200/0/7FE00010").unwrap().unwrap().bytes;
    assert_eq!(bulk(&source), bulk(&written));
    same_samples(&source, &written);
}

/// A JPEG-LS instance of several frames, put together from fragments.
fn fragmented(frames: &[Vec<u8>], cut: impl Fn(&[u8]) -> Vec<Vec<u8>>, table: &[u8]) -> Source {
    let mut made = Made::image(Form::Explicit, 64, 64, 16, 12, false);
    made.syntax = "1.2.840.10008.1.2.4.80";
    let at = made.body.windows(4).position(|w| w == [0x28, 0, 0x10, 0]).unwrap();
    let mut count = Made::new(Form::Explicit);
    count.text(0x28, 8, "IS", &format!("{} ", frames.len()));
    made.body.splice(at..at, count.body);
    let mut parts = vec![table.to_vec()];
    frames.iter().for_each(|f| parts.extend(cut(f)));
    made.fragments(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>()).source()
}

fn jpeg_ls_frames(count: usize) -> (Vec<Vec<u8>>, Vec<u8>) {
    let samples = noise(64 * 64 * count, 12);
    let frame = |n: usize| {
        let source = grey(64, 64, 16, 12, false, &bytes16(&samples[n * 4096..][..4096]));
        let mut stream = codestream(&converted(&source, "default"), 0);
        stream.resize(stream.len() + stream.len() % 2, 0);
        stream
    };
    ((0..count).map(frame).collect(), bytes16(&samples))
}

fn decoded(source: &Source) -> Vec<u8> {
    let (mut all, mut frame) = (Vec::new(), Vec::new());
    for n in 0..source.frames().len() {
        source.decode_frame(n as u32, &mut frame).unwrap();
        all.extend_from_slice(&frame);
    }
    all
}

#[test]
fn rule_18_a_frame_may_span_fragments_and_is_written_as_one() {
    let (frames, samples) = jpeg_ls_frames(3);
    let source = fragmented(&frames, |f| f.chunks(1000).map(<[u8]>::to_vec).collect(), &[]);
    assert_eq!(source.frames().len(), 3, "found by their markers");
    assert_eq!(decoded(&source), samples);
    let written = converted(&source, "htj2k-all");
    assert!(written.frames().iter().all(|f| f.fragments.len() == 1 && f.length() % 2 == 0));
    assert_eq!(decoded(&written), samples);
    // Two images where the attributes say one: neither may be lost.
    let mut two = Made::image(Form::Explicit, 64, 64, 16, 12, false);
    two.syntax = "1.2.840.10008.1.2.4.80";
    assert!(kept(&two.fragments(&[&[], &frames[0], &frames[1]]).source(), "htj2k-all").contains("Number of Frames"));
}

#[test]
fn rule_18_fragments_without_compression() {
    let samples = bytes16(&noise(64, 12));
    let mut made = Made::image(Form::Explicit, 8, 8, 16, 12, false);
    made.syntax = "1.2.840.10008.1.2.1.98";
    let source = made.fragments(&[&[], &samples[..50], &samples[50..]]).source();
    assert_eq!(decoded(&source), samples);
    assert_eq!(decoded(&converted(&source, "default")), samples);
}

#[test]
fn rule_19_offset_tables() {
    let (frames, samples) = jpeg_ls_frames(3);
    let halves = |f: &[u8]| vec![f[..f.len() / 4 * 2].to_vec(), f[f.len() / 4 * 2..].to_vec()];
    let starts: Vec<u32> =
        frames.iter().scan(0, |at, f| Some(std::mem::replace(at, *at + f.len() as u32 + 16))).collect();
    let right: Vec<u8> = starts.iter().flat_map(|o| o.to_le_bytes()).collect();
    assert_eq!(decoded(&fragmented(&frames, halves, &right)), samples);
    let stale: Vec<u8> = starts.iter().flat_map(|o| (o * 2).to_le_bytes()).collect();
    let source = fragmented(&frames, halves, &stale);
    assert_eq!(decoded(&source), samples, "a stale table is not believed");
    let written = converted(&source, "htj2k-all");
    let Value::Fragments(parts) = &written.data_set().get(Tag(PIXELS.0, PIXELS.1)).unwrap().value else { panic!() };
    assert_eq!(parts[0].1, 12, "a basic offset table of three frames");
    extended_table(&source, &samples);
}

fn extended_table(source: &Source, samples: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("extended.dcm");
    let mut context = Context::default();
    context.extended_above = 0;
    let outcome = convert(source, &Policy::shipped("htj2k-all").unwrap(), &mut context, &path).unwrap();
    assert!(matches!(&outcome, Outcome::Converted(_)));
    let written = Source::open(&path).unwrap();
    let Value::Fragments(parts) = &written.data_set().get(Tag(PIXELS.0, PIXELS.1)).unwrap().value else { panic!() };
    assert_eq!(parts[0].1, 0, "the basic table is empty beside an extended one");
    assert_eq!(value(&written, 0x7FE0, 1).unwrap().len(), 24);
    assert_eq!(value(&written, 0x7FE0, 2).unwrap().len(), 24);
    assert_eq!(decoded(&written), samples);
}

#[test]
#[cfg(unix)]
fn rule_20_more_than_4_gigabytes() {
    let mut made = Made::image(Form::Explicit, 2000, 2000, 16, 16, false);
    let at = made.body.windows(4).position(|w| w == [0x28, 0, 0x10, 0]).unwrap();
    let mut count = Made::new(Form::Explicit);
    count.text(0x28, 8, "IS", "530 ");
    made.body.splice(at..at, count.body);
    let bytes = 530 * 8_000_000u64;
    made.head(PIXELS.0, PIXELS.1, "OW", bytes as u32);
    assert!(bytes < u64::from(u32::MAX), "the most that a native element can say");
    let path = tempfile::NamedTempFile::new().unwrap();
    let head = made.file();
    std::fs::write(path.path(), &head).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(path.path()).unwrap();
    file.set_len(head.len() as u64 + bytes).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[7, 1], head.len() as u64 + bytes - 2).unwrap();
    let source = Source::open(path.path()).unwrap();
    assert_eq!(source.frames().len(), 530);
    let mut frame = Vec::new();
    source.decode_frame(529, &mut frame).unwrap();
    assert_eq!(frame[frame.len() - 2..], [7, 1]);
}

#[test]
fn rule_21_every_frame_is_coded_on_its_own() {
    let (frames, _) = jpeg_ls_frames(4);
    let source = fragmented(&frames, |f| vec![f.to_vec()], &[]);
    let (outcome, bytes) = run(&source, &Policy::shipped("htj2k-all").unwrap());
    let Outcome::Converted(verified) = outcome else { panic!() };
    assert_eq!(verified.frames().len(), 4);
    for (n, frame) in verified.frames().iter().enumerate() {
        let stream = &bytes[frame.offset as usize..][..frame.length as usize];
        assert!(stream.starts_with(&[0xFF, 0x4F, 0xFF, 0x51]) && stream.ends_with(&[0xFF, 0xD9]), "frame {n}");
        assert_eq!(frame.levels.last().map(|l| (l.level, l.end)), Some((0, frame.length)));
        assert_eq!(frame.sha256_before, frame.sha256_after);
    }
}

#[test]
fn rule_22_big_endian_implicit_and_unknown() {
    let samples = noise(20 * 30, 12);
    let make = |form: Form| {
        let mut made = Made::image(form, 20, 30, 16, 12, true);
        let order = |v: u16| if form == Form::Big { v.to_be_bytes() } else { v.to_le_bytes() };
        made.element(0x28, 0x0106, "SS", &order(0xFFFE)).element(
            0x28,
            0x1101,
            "SS",
            &[order(256), order(0), order(16)].concat(),
        );
        made.element(0x28, 0x1201, "OW", &[order(0x1234), order(0x5678)].concat());
        made.element(PIXELS.0, PIXELS.1, "OW", &samples.iter().flat_map(|v| order(*v)).collect::<Vec<_>>()).source()
    };
    let reference = converted(&make(Form::Explicit), "default");
    for form in [Form::Implicit, Form::Big] {
        let written = converted(&make(form), "default");
        assert_eq!(written.data_set().elements().len(), reference.data_set().elements().len());
        for (a, b) in written.data_set().elements().iter().zip(reference.data_set().elements()) {
            let bytes = |s: &Source, e: &Element| s.data_set().bytes(e).unwrap().into_owned();
            assert_eq!((a.tag, a.vr, bytes(&written, a)), (b.tag, b.vr, bytes(&reference, b)));
        }
    }
    let mut unknown = Made::image(Form::Explicit, 1, 1, 8, 8, false);
    let mut inside = Made::new(Form::Implicit);
    inside.number(0x28, 0x10, 77);
    unknown.head(0x29, 0x1010, "UN", u32::MAX).item(0xE000, inside.body.len() as u32);
    unknown.body.extend_from_slice(&inside.body);
    unknown.item(0xE0DD, 0);
    let written = converted(&unknown.element(PIXELS.0, PIXELS.1, "OB", &[1, 0]).source(), "default");
    let Value::Items(items) = &written.data_set().get(Tag(0x29, 0x1010)).unwrap().value else {
        panic!("implicit inside")
    };
    assert_eq!(items[0].elements[0].vr, Vr::US);
}

#[test]
fn rule_23_private_elements_and_padding() {
    for form in [Form::Explicit, Form::Implicit] {
        let mut made = Made::new(form);
        made.element(0x0009, 0x0000, "UL", &[10, 0, 0, 0]).text(0x0009, 0x0010, "LO", "ACME").element(
            0x0009,
            0x1001,
            "UN",
            b"\x00\xFFodd!",
        );
        let head = made.body.clone();
        let mut made = Made::image(form, 1, 1, 8, 8, false);
        let at = made.body.windows(4).position(|w| w == [0x10, 0, 0x10, 0]).unwrap();
        made.body.splice(at..at, head);
        made.element(PIXELS.0, PIXELS.1, "OW", &[1, 0]).element(0xFFFC, 0xFFFC, "OB", &[0; 6]);
        let written = converted(&made.source(), "default");
        assert_eq!(value(&written, 9, 0x1001).as_deref(), Some(b"\x00\xFFodd!".as_slice()));
        assert_eq!(value(&written, 9, 0x0010).as_deref(), Some(b"ACME".as_slice()));
        assert_eq!(value(&written, 9, 0), None, "group lengths would be wrong");
        assert_eq!(value(&written, 0xFFFC, 0xFFFC), Some(vec![0; 6]));
    }
}

#[test]
fn rule_24_character_sets() {
    let mut made = Made::new(Form::Explicit);
    made.text(8, 5, "CS", "ISO_IR 100").text(8, 0x16, "UI", "1.2\0").element(0x10, 0x10, "PN", b"Buc^J\xE9r\xF4me");
    made.number(0x28, 2, 1).text(0x28, 4, "CS", "MONOCHROME2 ").number(0x28, 0x10, 1).number(0x28, 0x11, 2);
    made.number(0x28, 0x100, 8).number(0x28, 0x101, 8).number(0x28, 0x102, 7).number(0x28, 0x103, 0);
    let source = made.element(PIXELS.0, PIXELS.1, "OB", &[1, 2]).source();
    let written = converted(&source, "default");
    assert_eq!(value(&written, 0x10, 0x10).as_deref(), Some(b"Buc^J\xE9r\xF4me".as_slice()), "bytes stay in the file");
    let json = written.dicom_json(&|path| format!("bulk/{path}")).unwrap();
    assert_eq!(json["00100010"]["Value"][0]["Alphabetic"], "Buc^Jérôme");
    assert_eq!(json["00080005"]["Value"][0], "ISO_IR 192");
    assert_eq!(json["7FE00010"], serde_json::json!({"vr": "OW", "BulkDataURI": "bulk/7FE00010"}));
}

#[test]
fn rule_25_digital_signatures() {
    let mut made = Made::image(Form::Explicit, 1, 2, 8, 8, false);
    made.element(PIXELS.0, PIXELS.1, "OB", &[1, 2]).element(0xFFFA, 0xFFFA, "SQ", &[]);
    assert!(kept(&made.source(), "default").contains("signed"));
}

#[test]
fn rule_26_icc_profiles_stay_in_their_element() {
    let mut made = coloured("RGB ", 0);
    made.element(0x28, 0x2000, "OB", b"profile!").element(PIXELS.0, PIXELS.1, "OB", &vec![3; 70 * 66 * 3]);
    let written = converted(&made.source(), "default");
    assert_eq!(value(&written, 0x28, 0x2000).as_deref(), Some(b"profile!".as_slice()));
    assert!(codestream(&written, 0).starts_with(&[0xFF, 0x4F, 0xFF, 0x51]), "a bare codestream, no boxes");
}

#[test]
fn rule_27_native_sub_sampled_colour() {
    let mut made = coloured("YBR_FULL_422", 0);
    let source = made.element(PIXELS.0, PIXELS.1, "OB", &vec![3; 70 * 66 * 2]).source();
    assert!(kept(&source, "default").contains("YBR_FULL_422"));
    assert_eq!(decoded(&source).len(), 70 * 66 * 3, "read all the same");
}

#[test]
fn rule_28_the_jpeg_stream_decides_on_its_colours() {
    let Some(open) = open_data() else { return };
    let source = Source::open(&open.join("pydicom/pydicom__SC_jpeg_no_color_transform.dcm")).unwrap();
    assert!(!source.is_ybr());
    assert!(kept(&source, "default").contains("JPEG"));
}

#[test]
fn rule_29_no_pixels_and_video() {
    let mut made = Made::new(Form::Explicit);
    made.text(8, 0x16, "UI", "1.2.840.10008.5.1.4.1.1.88.11\0");
    assert_eq!(kept(&made.source(), "htj2k-all"), "there are no pixels");
    let mut video = coloured("YBR_PARTIAL_420 ", 0);
    video.syntax = "1.2.840.10008.1.2.4.102";
    let source = video.fragments(&[&[], b"stream"]).source();
    assert_eq!(kept(&source, "default"), "video stays as it is");
    assert_eq!(codestream(&source, 0), b"stream");
}

#[test]
fn rule_30_the_preamble_is_zeroed() {
    let (_, bytes) = run(&large(), &Policy::default());
    assert_eq!(bytes[..128], [0; 128]);
    assert_eq!(&bytes[128..132], b"DICM");
}

#[test]
fn rule_31_file_meta() {
    let mut made = Made::image(Form::Explicit, 2, 2, 8, 8, false);
    made.meta(0x0012, "UI", "1.2.3.999\0").meta(0x0016, "AE", "SENDER").meta(0x0003, "UI", "9.9\0");
    let (_, bytes) = run(&made.element(PIXELS.0, PIXELS.1, "OB", &[1, 2, 3, 4]).source(), &Policy::default());
    let meta = Source::from_bytes(bytes.clone()).unwrap();
    assert_eq!(meta.facts().source_ae, "SENDER");
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains(IMPLEMENTATION_CLASS_UID) && !text.contains("1.2.3.999") && !text.contains("9.9"));
    let length = u32::from_le_bytes(bytes[140..144].try_into().unwrap()) as usize;
    assert_eq!(bytes[144 + length..][..4], [8, 0, 0x16, 0], "the group length ends where the data set starts");
}

/// A row of the table of pitfalls without a test would be a hole that nobody sees.
#[test]
fn every_row_has_a_test() {
    let tests = [include_str!("rules.rs"), include_str!("rules_lossy.rs"), include_str!("rules_native.rs")].concat();
    let missing: Vec<u32> = (1..=31).filter(|row| !tests.contains(&format!("]\nfn rule_{row:02}_"))).collect();
    assert!(missing.is_empty(), "no test for rows {missing:?}");
}
