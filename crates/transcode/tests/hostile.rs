//! Bytes that lie: an error, never a panic, never memory that the file does not account for.

mod common;

use common::{Form, Made, bytes16};
use dicom::{Error, Source};
use proptest::prelude::*;
use transcode::{Context, Decode, Outcome, Policy, convert};

/// Does with an instance all that a server or a conversion would do.
fn use_up(bytes: Vec<u8>) {
    let Ok(source) = Source::from_bytes(bytes) else { return };
    let _ = source.dicom_json(&|path| path.to_owned());
    let mut out = Vec::new();
    for n in 0..source.frames().len().min(3) {
        let _ = source.decode_frame(n as u32, &mut out);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let outcome = convert(&source, &Policy::shipped("htj2k-all").unwrap(), &mut Context::default(), &path);
    assert_eq!(path.exists(), matches!(outcome, Ok(Outcome::Converted(_) | Outcome::Disproved(_))));
    drop(outcome);
    assert!(!path.exists(), "what was not kept is gone");
}

fn sample(form: Form) -> Vec<u8> {
    let mut made = Made::image(form, 4, 5, 16, 12, false);
    made.text(0x0010, 0x0020, "LO", "1234").head(0x0040, 0x0275, "SQ", u32::MAX).item(0xE000, u32::MAX);
    made.text(0x0008, 0x0100, "SH", "CODE").item(0xE00D, 0).item(0xE0DD, 0);
    made.element(0x7FE0, 0x0010, "OW", &bytes16(&[7; 20])).file()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut file = vec![0; 128];
        file.extend_from_slice(b"DICM");
        file.extend_from_slice(&bytes);
        use_up(file);
        use_up(bytes);
    }

    #[test]
    fn changed_bytes_are_read_or_refused(form in 0..3usize, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut file = sample([Form::Explicit, Form::Implicit, Form::Big][form]);
        for (at, value) in changes {
            let at = 128 + at.index(file.len() - 128);
            file[at] = value;
        }
        use_up(file);
    }

    #[test]
    fn cut_files_are_read_or_refused(form in 0..3usize, at in any::<prop::sample::Index>()) {
        let mut file = sample([Form::Explicit, Form::Implicit, Form::Big][form]);
        file.truncate(at.index(file.len()));
        use_up(file);
    }

    #[test]
    fn changed_compressed_frames_are_decoded_or_refused(kind in 0..7usize, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5)) {
        let Some(open) = common::open_data() else { return Ok(()) };
        let path = ["pydicom/dicom-test-files__MR_small_RLE.dcm", "pydicom/dicom-test-files__MR_small_jpeg_ls_lossless.dcm",
            "pydicom/dicom-test-files__JPGLosslessP14SV1_1s_1f_8b.dcm", "pydicom/pydicom-data__HTJ2KLossless_08_RGB.dcm", "pydicom/pydicom__SC_rgb_jpeg.dcm",
            "pydicom/pydicom__JPGExtended.dcm",
            "encapsulation/cornerstone3D__CTImage.dcm_JPEGProcess14TransferSyntax_1.2.840.10008.1.2.4.57.dcm"][kind];
        let mut file = std::fs::read(open.join(path)).unwrap();
        let from = file.len() / 4;
        for (at, value) in changes {
            let at = from + at.index(file.len() - from);
            file[at] = value;
        }
        use_up(file);
    }
}

fn refused(bytes: Vec<u8>) -> String {
    let error = Source::from_bytes(bytes).and_then(|s| s.check_frames()).expect_err("refused").to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

#[test]
fn an_image_of_65535_by_65535_with_100_bytes() {
    let mut made = Made::image(Form::Explicit, 65535, 65535, 16, 16, false);
    assert!(refused(made.element(0x7FE0, 0x0010, "OW", &[0; 100]).file()).contains("65535 x 65535"));
    // Compressed, the same claim is refused by the decoder before memory is taken.
    let mut made = Made::image(Form::Explicit, 65535, 65535, 16, 16, false);
    made.syntax = "1.2.840.10008.1.2.4.80";
    let source = made.fragments(&[&[], &[0xFF; 100]]).source();
    assert!(matches!(source.decode_frame(0, &mut Vec::new()), Err(Error::Frame { .. })));
}

#[test]
fn text_short_files_and_forged_lengths() {
    assert!(matches!(
        Source::from_bytes(b"Hello, this is a text file of some length.\n".repeat(10)),
        Err(Error::NotDicom)
    ));
    assert!(matches!(Source::from_bytes(Vec::new()), Err(Error::NotDicom)));
    let mut made = Made::image(Form::Explicit, 2, 2, 8, 8, false);
    made.head(0x7FE0, 0x0010, "OB", 0x7FFF_FFF0);
    assert!(refused(made.file()).contains("(7FE0,0010)"));
    let mut whole = sample(Form::Implicit);
    whole.truncate(whole.len() - 3);
    assert!(refused(whole).contains("truncated"));
}

#[test]
fn deep_nesting_is_bounded() {
    let mut made = Made::new(Form::Explicit);
    made.text(0x0008, 0x0016, "UI", "1.2\0");
    for _ in 0..100_000 {
        made.head(0x0040, 0x0275, "SQ", u32::MAX).item(0xE000, u32::MAX);
    }
    assert!(refused(made.file()).contains("nested deeper"));
}

/// Lossy JPEG of every kind with bytes changed anywhere in its frames: decoded or refused, without a panic.
#[test]
fn damaged_jpeg_is_decoded_or_refused() {
    let Some(open) = common::open_data() else { return };
    let mut decoded = 0;
    for path in [
        "pydicom/dicom-test-files__SC_rgb_dcmtk_+eb+cy+s2.dcm",
        "pydicom/dicom-test-files__SC_rgb_small_odd_jpeg.dcm",
        "wsi/cmu1/level-5-frames-0-1.dcm",
        "pylibjpeg/pylibjpeg-data__JPEGBaseline_1s_1f_u_08_08.dcm",
        "encapsulation/cornerstone3D__CTImage.dcm_JPEGProcess10_12TransferSyntax_1.2.840.10008.1.2.4.55.dcm",
        "encapsulation/cornerstone3D__CTImage.dcm_JPEGProcess2_4TransferSyntax_1.2.840.10008.1.2.4.51.dcm",
    ] {
        let bytes = std::fs::read(open.join(path)).unwrap();
        let frame = Source::from_bytes(bytes.clone()).unwrap().frames()[0].clone();
        let (start, len) = (frame.offset() as usize, frame.length() as usize);
        for (n, noise) in common::noise(40, 16).into_iter().enumerate() {
            let mut bytes = bytes.clone();
            for k in 0..=n % 4 {
                // The headers of half of them, the compressed data of the others.
                let within = if n % 2 == 0 { len.min(700) } else { len };
                let at = usize::from(noise).wrapping_mul(0x9E37_79B9 + 2 * k) % within;
                bytes[start + at] ^= (noise >> 3 | 1) as u8;
            }
            if let Ok(source) = Source::from_bytes(bytes) {
                decoded += u32::from(source.decode_frame(0, &mut Vec::new()).is_ok());
            }
        }
    }
    println!("{decoded} of 240 damaged images were decoded all the same");
}

#[test]
fn a_deflate_bomb_is_bounded() {
    use std::io::Write;
    let mut made = Made::new(Form::Explicit);
    made.syntax = "1.2.840.10008.1.2.1.99";
    let mut file = made.file();
    let mut encoder = flate2::write::DeflateEncoder::new(&mut file, flate2::Compression::fast());
    let zeros = vec![0; 1 << 20];
    for _ in 0..600 {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.finish().unwrap();
    assert!(refused(file).contains("deflated data set of more than"));
}

#[test]
fn millions_of_frames_in_few_bytes() {
    let mut made = Made::image(Form::Explicit, 1, 1, 8, 8, false);
    let at = made.body.windows(4).position(|w| w == [0x28, 0, 0x10, 0]).unwrap();
    let mut count = Made::new(Form::Explicit);
    count.text(0x28, 8, "IS", "4000000000");
    made.body.splice(at..at, count.body);
    assert!(refused(made.element(0x7FE0, 0x0010, "OB", &[0; 2]).file()).contains("frames"));
}

/// A destination that can't be written leaves nothing behind and tells why.
#[test]
fn an_unwritable_destination_is_an_error() {
    let source = Source::from_bytes(sample(Form::Explicit)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no such folder/out.dcm");
    assert!(matches!(convert(&source, &Policy::default(), &mut Context::default(), &missing), Err(Error::Io(_))));
    let taken = folder.path().join("taken.dcm");
    std::fs::write(&taken, b"mine").unwrap();
    assert!(matches!(convert(&source, &Policy::default(), &mut Context::default(), &taken), Err(Error::Io(_))));
    assert_eq!(std::fs::read(&taken).unwrap(), b"mine", "a file that was there is not touched");
}

#[test]
fn what_is_verified_is_removed_unless_it_is_kept() {
    let source = Source::from_bytes(sample(Form::Explicit)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let temporary = folder.path().join("t");
    drop(convert(&source, &Policy::default(), &mut Context::default(), &temporary).unwrap());
    assert!(!temporary.exists());
    let Outcome::Converted(verified) =
        convert(&source, &Policy::default(), &mut Context::default(), &temporary).unwrap()
    else {
        panic!()
    };
    assert_eq!(verified.into_path(), temporary);
    assert!(Source::open(&temporary).is_ok());
}

/// A disk that fills up, by a limit on the size of files in a child process: one clear error, nothing half-written.
#[test]
#[cfg(unix)]
fn a_full_disk_is_an_error_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$0\" --ignored --exact fill_the_disk --nocapture";
    let output = std::process::Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .env("FILL_FOLDER", folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("refused: "), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// The child of the test above.
#[test]
#[ignore = "run in a child process by a_full_disk_is_an_error_and_leaves_nothing"]
fn fill_the_disk() {
    let folder = std::env::var_os("FILL_FOLDER").expect("the folder to fill");
    let mut made = Made::image(Form::Explicit, 600, 600, 16, 12, false);
    let source = made.element(0x7FE0, 0x0010, "OW", &bytes16(&common::noise(360_000, 12))).source();
    for policy in Policy::SHIPPED {
        let policy = Policy::shipped(policy).unwrap();
        let path = std::path::Path::new(&folder).join("x");
        match convert(&source, &policy, &mut Context::default(), &path) {
            Err(Error::Io(error)) => println!("refused: {error}"),
            other => panic!("{other:?}"),
        }
        assert!(!path.exists());
    }
}
