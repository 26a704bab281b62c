//! The pitfalls of writing without compression, by number: sizes, orders and labels of native pixels.

mod common;

use common::{Form, Made, bytes16, converted, noise, open_data, run, samples_sha256, to};
use dicom::{Source, Tag, Vr};
use transcode::{Outcome, Policy};

const PIXELS: (u16, u16) = (0x7FE0, 0x0010);
const NATIVE: &str = "explicit-little-endian";

fn native(source: &Source) -> Source {
    match run(source, &to(NATIVE)) {
        (Outcome::Converted(verified), bytes) => {
            let written = Source::from_bytes(bytes).unwrap();
            assert_eq!(written.facts().transfer_syntax.uid(), "1.2.840.10008.1.2.1");
            assert_eq!(verified.frames().len(), source.frames().len());
            assert_eq!(samples_sha256(source).unwrap(), samples_sha256(&written).unwrap());
            written
        }
        (outcome, _) => panic!("{outcome:?}"),
    }
}

fn value(source: &Source, group: u16, element: u16) -> Option<Vec<u8>> {
    let set = source.data_set();
    set.get(Tag(group, element)).map(|e| set.bytes(e).unwrap().into_owned())
}

#[test]
fn rule_22_other_encodings_become_explicit_little_endian() {
    for form in [Form::Implicit, Form::Big] {
        for (allocated, vr) in [(8, "OB"), (16, "OW"), (32, "OW")] {
            let mut made = Made::image(form, 4, 6, allocated, allocated, false);
            made.element(PIXELS.0, PIXELS.1, vr, &(0..24 * allocated / 8).map(|n| n as u8).collect::<Vec<_>>());
            native(&made.source());
        }
    }
}

/// What is nested stays as it is: fragments can't be said in an uncompressed file.
#[test]
fn rule_17_a_compressed_icon_keeps_its_image_compressed() {
    let Some(open) = open_data() else { return };
    let source = Source::open(&open.join("mg/fo-dicom__GH133.dcm")).unwrap();
    let (Outcome::Kept { reason, .. }, _) = run(&source, &to(NATIVE)) else { panic!("not kept") };
    assert!(reason.contains("icon"), "{reason}");
    assert!(matches!(run(&source, &to("jpeg-ls-lossless")).0, Outcome::Converted(_)));
}

/// Multi-frame ultrasound knows chrominance as YBR_FULL_422, or in planes.
#[test]
fn rule_3_ultrasound_whose_jpeg_decodes_to_ybr_full_is_kept() {
    let Some(open) = open_data() else { return };
    let source = Source::open(&open.join("cine/pydicom__examples_ybr_color.dcm")).unwrap();
    for target in [NATIVE, "jpeg-ls-lossless", "htj2k-lossless"] {
        let rule = format!(
            "[[rule]]\nname = \"lossy\"\nwhen = {{ lossy = true }}\nthen = {{ transfer_syntax = \"{target}\" }}\n"
        );
        let (Outcome::Kept { reason, .. }, _) = run(&source, &Policy::parse(&rule).unwrap()) else {
            panic!("not kept")
        };
        assert!(reason.contains("YBR_FULL"), "{reason}");
    }
}

#[test]
fn rule_11_floating_point_is_carried_as_it_is() {
    let mut made = Made::image(Form::Implicit, 1, 2, 32, 32, false);
    made.element(0x7FE0, 8, "OF", &[1, 2, 3, 4, 5, 6, 7, 8]);
    let written = native(&made.source());
    assert_eq!(value(&written, 0x7FE0, 8), Some(vec![1, 2, 3, 4, 5, 6, 7, 8]));
}

#[test]
fn rule_10_single_bits_are_joined_across_frames() {
    // Two frames of 3 x 3 bits, each deflated on its own.
    let mut made = Made::image(Form::Explicit, 3, 3, 1, 1, false);
    made.syntax = "1.2.840.10008.1.2.8.1";
    let at = made.body.windows(4).position(|w| w == [0x28, 0, 0x10, 0]).unwrap();
    let mut count = Made::new(Form::Explicit);
    count.text(0x28, 8, "IS", "2 ");
    made.body.splice(at..at, count.body);
    // Stored blocks of RFC 1951: 0b1_0101_0110 and 0b0_1100_0011.
    let stored = |bytes: [u8; 2]| [&[1, 2, 0, 0xFD, 0xFF][..], &bytes, &[0]].concat();
    let source = made.fragments(&[&[], &stored([0b0101_0110, 1]), &stored([0b1100_0011, 0])]).source();
    let written = native(&source);
    let joined: u32 = 0b1_0101_0110 | 0b0_1100_0011 << 9;
    assert_eq!(
        value(&written, PIXELS.0, PIXELS.1),
        Some(vec![joined as u8, (joined >> 8) as u8, (joined >> 16) as u8, 0])
    );
}

#[test]
fn rule_04_planes_and_rule_03_labels() {
    let mut made = Made::new(Form::Explicit);
    made.text(8, 0x16, "UI", "1.2\0").number(0x28, 2, 3).text(0x28, 4, "CS", "RGB ").number(0x28, 6, 1);
    made.number(0x28, 0x10, 5).number(0x28, 0x11, 7);
    made.number(0x28, 0x100, 8).number(0x28, 0x101, 8).number(0x28, 0x102, 7).number(0x28, 0x103, 0);
    let samples: Vec<u8> = noise(106, 8).iter().map(|v| *v as u8).collect();
    let source = made.element(PIXELS.0, PIXELS.1, "OB", &samples).source();
    let htj2k = converted(&source, "htj2k-all");
    assert_eq!(htj2k.facts().photometric, "YBR_RCT");
    let written = native(&htj2k);
    assert_eq!((written.facts().photometric.as_str(), written.facts().planar), ("RGB", 0));
    assert_eq!(written.data_set().get(Tag(PIXELS.0, PIXELS.1)).unwrap().vr, Vr::OB);
    assert_eq!(value(&written, PIXELS.0, PIXELS.1).unwrap().len(), 106, "105 samples and a byte for an even length");
}

#[test]
fn rule_27_sub_sampled_colour_is_filled_up_and_says_so() {
    let Some(open) = open_data() else { return };
    let source = Source::open(&open.join("pydicom/dicom-test-files__SC_rgb_dcmtk_+eb+cy+s2.dcm")).unwrap();
    assert_eq!(source.facts().photometric, "YBR_FULL_422");
    let text =
        format!("[[rule]]\nname = \"x\"\nwhen = {{ lossy = true }}\nthen = {{ transfer_syntax = \"{NATIVE}\" }}");
    let (outcome, bytes) = run(&source, &transcode::Policy::parse(&text).unwrap());
    assert!(matches!(outcome, Outcome::Converted(_)), "{outcome:?}");
    let written = Source::from_bytes(bytes).unwrap();
    assert_eq!(written.facts().photometric, "YBR_FULL");
    assert_eq!(samples_sha256(&source).unwrap(), samples_sha256(&written).unwrap());
}

#[test]
fn rule_20_what_32_bits_cannot_say_is_kept() {
    // Claims 2000 frames of 4 megabytes, of which none is looked at before the sum is known.
    let mut made = Made::image(Form::Explicit, 2000, 1000, 16, 16, false);
    made.syntax = "1.2.840.10008.1.2.5";
    let at = made.body.windows(4).position(|w| w == [0x28, 0, 0x10, 0]).unwrap();
    let mut count = Made::new(Form::Explicit);
    count.text(0x28, 8, "IS", "1100");
    made.body.splice(at..at, count.body);
    let frame = [0u8; 64];
    let source = made.fragments(&[&[][..]].into_iter().chain([&frame[..]; 1100]).collect::<Vec<_>>()).source();
    let (outcome, _) = run(&source, &to(NATIVE));
    assert!(matches!(&outcome, Outcome::Kept { reason, .. } if reason.contains("4 GiB")), "{outcome:?}");
}

#[test]
fn rule_29_an_object_without_pixels_is_written_anew_without_any() {
    let mut made = Made::new(Form::Implicit);
    made.text(8, 0x16, "UI", "1.2.840.10008.5.1.4.1.1.88.11\0").text(8, 0x18, "UI", "1.2.3.4\0");
    let written = native(&made.source());
    assert_eq!(written.data_set().elements().len(), 2);
}

#[test]
fn rule_14_there_and_back_gives_the_same_pixels() {
    let mut made = Made::image(Form::Explicit, 30, 40, 16, 12, true);
    let samples: Vec<u16> = noise(1200, 12).iter().map(|v| (*v as i16 - 2048) as u16).collect();
    let source = made.element(PIXELS.0, PIXELS.1, "OW", &bytes16(&samples)).source();
    for target in ["htj2k-lossless", "htj2k-lossless-rpcl", "jpeg-ls-lossless"] {
        let (outcome, bytes) = run(&source, &to(target));
        assert!(matches!(outcome, Outcome::Converted(_)), "{outcome:?}");
        let back = native(&Source::from_bytes(bytes).unwrap());
        assert_eq!(value(&back, PIXELS.0, PIXELS.1), value(&source, PIXELS.0, PIXELS.1), "{target}");
    }
}
