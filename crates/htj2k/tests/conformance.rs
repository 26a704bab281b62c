//! Every codestream of the conformance set of T.814 / ISO 15444-4 decodes within the tolerance that belongs to it.

use htj2k::Decoder;
use std::fs;

/// One line of `EXPECTED.tsv`.
struct Expected {
    stream: String,
    component: usize,
    reference: String,
    peak: f64,
    mean_square: f64,
}

#[test]
fn every_stream_is_within_its_tolerance() {
    let Some(folder) = testkit::corpus("codec/htj2k-part15") else { return };
    let table = fs::read_to_string(folder.join("EXPECTED.tsv")).unwrap();
    let expected: Vec<Expected> = table.lines().skip(1).map(parse).collect();
    assert!(expected.len() > 60, "the table has {} lines", expected.len());
    let mut decoder = Decoder::new();
    let mut wrong = Vec::new();
    for e in &expected {
        let stream = fs::read(folder.join(&e.stream)).unwrap();
        match decoder.decode_planes(&stream, 0) {
            Ok((planes, _)) => {
                let plane = &planes[e.component];
                let reference = pgx(&fs::read(folder.join(&e.reference)).unwrap());
                assert_eq!(reference.len(), plane.samples.len(), "size of {}", e.stream);
                let errors = reference.iter().zip(&plane.samples).map(|(a, b)| (*a as f64 - *b as f64).abs());
                let peak = errors.clone().fold(0.0, f64::max);
                let mean_square = errors.map(|e| e * e).sum::<f64>() / reference.len() as f64;
                if peak > e.peak || mean_square > e.mean_square {
                    wrong.push(format!(
                        "{} component {}: peak {peak} > {} or mean square {mean_square} > {}",
                        e.stream, e.component, e.peak, e.mean_square
                    ));
                }
            }
            Err(error) => wrong.push(format!("{}: {error}", e.stream)),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), expected.len(), wrong.join("\n"));
}

/// Every stream of the folder decodes at every level, those without a reference too.
#[test]
fn every_stream_decodes_at_every_level() {
    let Some(folder) = testkit::corpus("codec/htj2k-part15") else { return };
    let mut decoder = Decoder::new();
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "j2k") {
            continue;
        }
        let stream = fs::read(&path).unwrap();
        let header = htj2k::Header::parse(&stream, &Default::default()).unwrap();
        for level in 0..=header.decompositions {
            let (planes, decoded) =
                decoder.decode_planes(&stream, level).unwrap_or_else(|e| panic!("{path:?} at level {level}: {e}"));
            assert!(decoded.complete, "{path:?} at level {level}");
            assert_eq!(planes.len(), header.components.len());
        }
        count += 1;
    }
    assert!(count >= 34, "only {count} streams");
}

fn parse(line: &str) -> Expected {
    let fields: Vec<&str> = line.split('\t').collect();
    Expected {
        stream: fields[0].into(),
        component: fields[1].parse().unwrap(),
        reference: fields[2].into(),
        peak: fields[3].parse().unwrap(),
        mean_square: fields[4].parse().unwrap(),
    }
}

/// Samples of a PGX file: `PG ML|LM +|- depth width height`, then the samples, big or little endian.
fn pgx(bytes: &[u8]) -> Vec<i32> {
    let end = bytes.iter().position(|b| *b == b'\n').unwrap();
    let header = String::from_utf8(bytes[..end].to_vec()).unwrap().replace('+', "+ ").replace('-', "- ");
    let fields: Vec<&str> = header.split_whitespace().collect();
    let big = fields[1] == "ML";
    let (signed, depth) = match fields[2] {
        "+" => (false, fields[3]),
        "-" => (true, fields[3]),
        depth => (false, depth),
    };
    let depth: u32 = depth.parse().unwrap();
    let size = if depth <= 8 {
        1
    } else if depth <= 16 {
        2
    } else {
        4
    };
    bytes[end + 1..]
        .chunks_exact(size)
        .map(|b| {
            let bytes = b.iter().copied();
            let fold = |v: u32, b: u8| v << 8 | b as u32;
            let v = if big { bytes.fold(0, fold) } else { bytes.rev().fold(0, fold) };
            if signed { ((v << (32 - 8 * size)) as i32) >> (32 - 8 * size) } else { v as i32 }
        })
        .collect()
}
