//! Every readable image of the corpus decodes to what independent decoders make of it.

mod common;

use common::{by_path, open_data, samples_sha256, table};
use dicom::{Pixels, Source};
use transcode::{Decode, Outgoing, OutgoingForm};

#[test]
fn the_corpus_decodes_to_its_reference_hashes() {
    let Some(open) = open_data() else { return };
    let manifest = by_path(table(&open.join("MANIFEST.tsv")));
    let listed: Vec<&str> = include_str!("undecoded.tsv")
        .lines()
        .filter(|l| !l.starts_with('#'))
        .filter_map(|l| l.split('\t').next())
        .collect();
    let (mut right, mut wrong) = (0, Vec::new());
    for row in table(&open.join("REFERENCE.tsv")) {
        let path = &row["path"];
        let Ok(source) = Source::open(&open.join(path)) else {
            if row["status"] == "AGREE" && !manifest[path]["sop_class_uid"].is_empty() {
                wrong.push(format!("{path}: {}", Source::open(&open.join(path)).unwrap_err()));
            }
            continue;
        };
        let got = samples_sha256(&source);
        if row["status"] != "AGREE" || source.facts().pixels == Pixels::None {
            continue;
        }
        match got {
            Ok(hash) if hash == row["pixels_sha256"] && listed.contains(&path.as_str()) => {
                wrong.push(format!("{path}: listed, but decoded right"))
            }
            Ok(hash) if hash == row["pixels_sha256"] => right += 1,
            _ if listed.contains(&path.as_str()) => {}
            Ok(_) => wrong.push(format!(
                "{path}: other samples ({} {} {})",
                source.facts().transfer_syntax,
                row["dtype"],
                row["shape"]
            )),
            Err(error) => wrong.push(format!("{path}: {error}")),
        }
    }
    println!("decoded as the reference: {right}");
    for line in &wrong {
        println!("{line}");
    }
    assert!(wrong.is_empty(), "{} files of status AGREE are not decoded right", wrong.len());
}

/// Everything in the corpus that is a file: opened, told as JSON, its frames read; nothing panics.
#[test]
fn every_file_of_the_corpus_is_read_or_refused() {
    let Some(open) = open_data() else { return };
    let (mut read, mut refused) = (0, Vec::new());
    for row in table(&open.join("MANIFEST.tsv")) {
        let path = &row["path"];
        let source = match Source::open(&open.join(path)) {
            Ok(source) => source,
            Err(error) => {
                let text = error.to_string();
                assert!(!text.contains('\n'), "{path}: {text}");
                refused.extend((!path.starts_with("codec/")).then(|| format!("{path}: {text}")));
                continue;
            }
        };
        let json = source.dicom_json(&|path| format!("../bulk/{path}")).unwrap();
        let again: serde_json::Value = serde_json::from_str(&serde_json::to_string(&json).unwrap()).unwrap();
        assert_eq!(again.as_object().unwrap().len(), json.len(), "{path}");
        assert!(row["sop_class_uid"].is_empty() || source.facts().sop_class_uid == row["sop_class_uid"], "{path}");
        assert!(json.get("00080016").is_none_or(|e| e["Value"][0] == source.facts().sop_class_uid.as_str()), "{path}");
        read += 1;
    }
    println!("read: {read}, refused: {}", refused.len());
    refused.iter().for_each(|line| println!("  {line}"));
    assert!(read >= 650, "{read} files are read");
}

#[test]
fn what_goes_out_as_explicit_little_endian_has_the_same_samples() {
    let Some(open) = open_data() else { return };
    let mut count = 0;
    for row in table(&open.join("MANIFEST.tsv")) {
        let path = &row["path"];
        let Ok(source) = Source::open(&open.join(path)) else { continue };
        if !matches!(
            row["transfer_syntax_uid"].as_str(),
            "1.2.840.10008.1.2" | "1.2.840.10008.1.2.2" | "1.2.840.10008.1.2.1.99"
        ) {
            continue;
        }
        let mut bytes = Vec::new();
        let again = Source::open(&open.join(path)).unwrap();
        Outgoing::new(again, OutgoingForm::Explicit).unwrap().copy_to(&mut bytes).unwrap();
        let written = Source::from_bytes(bytes).unwrap();
        assert_eq!(written.facts().transfer_syntax.uid(), "1.2.840.10008.1.2.1", "{path}");
        assert_eq!(
            written.data_set().elements().last().map(|e| e.tag),
            source.data_set().elements().last().map(|e| e.tag),
            "{path}"
        );
        assert_eq!(samples_sha256(&source).ok(), samples_sha256(&written).ok(), "{path}");
        count += 1;
    }
    println!("rewritten: {count}");
    assert!(count >= 30);
}

/// Lossy JPEG decodes to the very samples of the reference software, as Pillow and GDCM have it: sequential and progressive, 8 and 12
/// bits, sub-sampled or not.
#[test]
fn lossy_jpeg_decodes_to_the_samples_of_the_reference_software() {
    let Some(open) = open_data() else { return };
    let (mut right, mut wrong) = (0, Vec::new());
    for row in table(&open.join("REFERENCE.tsv")) {
        let path = &row["path"];
        let Ok(source) = Source::open(&open.join(path)) else { continue };
        let jpeg = ["50", "51", "53", "55"].map(|n| format!("1.2.840.10008.1.2.4.{n}"));
        let theirs = matches!(row["primary_decoder"].as_str(), "pydicom+pillow" | "gdcm") || row["status"] == "AGREE";
        if !jpeg.contains(&source.facts().transfer_syntax.uid().to_owned()) || !theirs {
            continue;
        }
        match samples_sha256(&source) {
            Ok(hash) if hash == row["pixels_sha256"] => right += 1,
            Ok(_) => wrong.push(format!("{path}: other samples, {} {}", row["status"], row["primary_decoder"])),
            Err(error) => wrong.push(format!("{path}: {error}")),
        }
    }
    println!("{right} images of lossy JPEG are exact");
    wrong.iter().for_each(|line| println!("{line}"));
    assert!(wrong.is_empty() && right > 30, "{} differ", wrong.len());
}

/// Lossy 12-bit JPEG stays close to the image that it was made from.
#[test]
fn twelve_bit_jpeg_is_close_to_the_uncompressed_image() {
    let Some(open) = open_data() else { return };
    for image in ["MR1/dicom-test-files__MR1", "MR3/dicom-test-files__MR3", "NM1/dicom-test-files__NM1"] {
        let samples = |kind: &str| {
            let mut frame = Vec::new();
            Source::open(&open.join(format!("wg04/{image}_{kind}"))).unwrap().decode_frame(0, &mut frame).unwrap();
            frame.chunks_exact(2).map(|b| f64::from(u16::from_le_bytes([b[0], b[1]]))).collect::<Vec<_>>()
        };
        let (lossy, plain) = (samples("JPLY"), samples("UNC"));
        let error = lossy.iter().zip(&plain).map(|(a, b)| (a - b).abs()).sum::<f64>() / plain.len() as f64;
        let range = plain.iter().copied().fold(0.0, f64::max);
        println!("{image}: mean error {error:.2} of {range}");
        assert!(error < range * 0.01, "{image}: mean error {error}");
    }
}

/// Decoders differ by rounding: what ours makes of 12-bit JPEG has the range that the reference has.
#[test]
fn twelve_bit_jpeg_decodes_to_the_range_of_the_reference() {
    let Some(open) = open_data() else { return };
    let mut count = 0;
    for row in table(&open.join("REFERENCE.tsv")) {
        let path = &row["path"];
        let Ok(source) = Source::open(&open.join(path)) else { continue };
        if source.facts().transfer_syntax.uid() != "1.2.840.10008.1.2.4.51"
            || source.facts().bits_allocated != 16
            || row["min"].is_empty()
        {
            continue;
        }
        let mut frame = Vec::new();
        if let Err(error) = source.decode_frame(0, &mut frame) {
            panic!("{path}: {error}");
        }
        let values = frame.chunks_exact(2).map(|b| {
            if source.facts().signed {
                i32::from(i16::from_le_bytes([b[0], b[1]]))
            } else {
                i32::from(u16::from_le_bytes([b[0], b[1]]))
            }
        });
        let (low, high) = values.fold((i32::MAX, i32::MIN), |(l, h), v| (l.min(v), h.max(v)));
        let near = |told: &str, got: i32| (told.parse::<f64>().unwrap() - f64::from(got)).abs() <= 2.0;
        println!("{path}: {low} to {high}, the reference {} to {}", row["min"], row["max"]);
        assert!(near(&row["min"], low) && near(&row["max"], high), "{path}");
        count += 1;
    }
    assert!(count > 0, "the corpus has 12-bit JPEG");
}
