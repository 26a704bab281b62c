//! Every readable image of the corpus decodes to what independent decoders make of it.

mod common;

use common::{by_path, open_data, samples_sha256, table};
use transcode::{Pixels, Source};

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
        source.write_explicit_little(&mut bytes).unwrap();
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
