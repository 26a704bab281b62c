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
