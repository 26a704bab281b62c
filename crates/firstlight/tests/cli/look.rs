//! `inspect`, `policy` and `verify` as a user sees them, and usage errors.

use crate::place::{Image, Place};
use insta::assert_snapshot;

#[test]
fn inspect_shows_native_frames() {
    let place = Place::new();
    place.image("x.dcm", Image::default());
    assert_snapshot!("inspect_text", place.shown(&["inspect", "x.dcm"]));
    assert_snapshot!("inspect_json", place.shown(&["inspect", "x.dcm", "--json"]));
}

#[test]
fn inspect_shows_where_levels_end() {
    let place = Place::new();
    place.image("x.dcm", Image { rows: 1001, columns: 150, ..Image::default() });
    assert!(place.run(&["convert", "x.dcm", "out"]).status.success());
    let json = place.run(&["inspect", "out/x.dcm", "--json"]).stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    let frame = &json["frames"][0];
    let levels = frame["levels"].as_array().expect("levels");
    let sizes: Vec<(u64, u64, u64)> = levels
        .iter()
        .map(|l| (l["level"].as_u64().unwrap(), l["width"].as_u64().unwrap(), l["height"].as_u64().unwrap()))
        .collect();
    assert_eq!(sizes, [(5, 5, 32), (4, 10, 63), (3, 19, 126), (2, 38, 251), (1, 75, 501), (0, 150, 1001)]);
    let ends: Vec<u64> = levels.iter().map(|l| l["end"].as_u64().unwrap()).collect();
    assert!(ends.is_sorted() && ends[0] > 0);
    assert_eq!(ends.last().copied(), frame["length"].as_u64());
    let text = place.shown(&["inspect", "out/x.dcm"]);
    assert!(text.contains("HTJ2K, RPCL, 5 decompositions, reversible, 1 tile, TLM"), "{text}");
}

#[test]
fn files_that_cannot_be_read_are_one_line_and_a_hint() {
    let place = Place::new();
    place.file("notes.txt", b"words\n");
    place.image("cut.dcm", Image { cut: 100, ..Image::default() });
    assert_snapshot!("inspect_text_file", place.shown(&["inspect", "notes.txt"]));
    assert_snapshot!("inspect_missing", place.shown(&["inspect", "nowhere.dcm"]));
    assert_snapshot!("verify_truncated", place.shown(&["verify", "cut.dcm"]));
}

#[test]
fn explain_names_the_rule_on_both_sides_of_1000_pixels() {
    for (side, rule) in [(999, "grey-small"), (1000, "grey-small"), (1001, "grey-large")] {
        for image in [Image { rows: side, ..Image::default() }, Image { columns: side, ..Image::default() }] {
            let place = Place::new();
            place.image("x.dcm", image);
            let shown = place.shown(&["policy", "explain", "x.dcm"]);
            assert!(shown.contains(&format!("rule    {rule}: becomes")), "{side}: {shown}");
        }
    }
}

#[test]
fn policies_are_listed_and_shown() {
    let place = Place::new();
    assert_snapshot!(place.shown(&["policy", "list"]));
    place.file("mine.toml", &place.run(&["policy", "show", "default"]).stdout);
    place.image("x.dcm", Image::default());
    assert!(place.run(&["policy", "explain", "x.dcm", "--policy", "mine.toml"]).status.success());
}

#[test]
fn a_policy_is_checked_before_it_is_used() {
    let place = Place::new();
    place.file(
        "twice.toml",
        b"[[rule]]\nname = \"a\"\nthen = { keep = \"x\" }\n[[rule]]\nname = \"b\"\nthen = { keep = \"y\" }\n",
    );
    let shown = place.shown(&["policy", "check", "twice.toml"]);
    assert!(shown.contains("twice.toml: 2 rules: a, b") && shown.contains("rule \"b\" is never reached"), "{shown}");
    assert!(place.run(&["policy", "check", "default"]).status.success());
    place.file("wrong.toml", b"[[rule]]\nname = \"a\"\nthen = { transfer_syntax = \"htj2k\" }\n");
    let shown = place.shown(&["policy", "check", "wrong.toml"]);
    assert!(shown.contains("error: ") && shown.contains("hint: say how much may be lost"), "{shown}");
}

#[test]
fn policies_are_compared_on_a_sample_and_nothing_is_left_behind() {
    let place = Place::new();
    for seed in 0..5 {
        place.image(&format!("in/{seed}.dcm"), Image { seed, ..Image::default() });
    }
    place.file("in/notes.txt", b"no image");
    let told = place.run(&["policy", "compare", "in", "--json", "--line", "8mbit"]);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let report: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(
        (&report["files"], &report["sampled"], &report["line_bits_per_second"]),
        (&6.into(), &5.into(), &8_000_000.into())
    );
    for policy in report["policies"].as_array().unwrap() {
        let all = &policy["all"];
        assert_eq!((&all["files"], &all["kept"]), (&5.into(), &0.into()), "{policy}");
        assert!(
            all["bytes_out"].as_u64() < all["bytes_in"].as_u64() && all["cpu_seconds"].as_f64() > Some(0.0),
            "{policy}"
        );
        assert!(
            policy["estimate"]["bytes_after"].as_u64() > Some(0) && all["first_image_seconds"].as_f64() > Some(0.0)
        );
    }
    let shown = place.shown(&["policy", "compare", "in", "--sample", "2"]);
    assert!(shown.contains("htj2k-all") && shown.contains("first image"), "{shown}");
    assert!(place.shown(&["policy", "compare", "in/notes.txt"]).contains("no DICOM images"));
    assert_eq!(std::fs::read_dir(place.path("in")).unwrap().count(), 6);
}

#[test]
fn what_is_lost_is_in_the_report() {
    let place = Place::new();
    place.image("x.dcm", Image::default());
    place.file("lossy.toml", b"[[rule]]\nname = \"a\"\nthen = { transfer_syntax = \"htj2k\", max_error = 3 }\n");
    let done = place.run(&["convert", "x.dcm", "out", "--policy", "lossy.toml", "--report", "r.jsonl"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let line: serde_json::Value = serde_json::from_slice(&std::fs::read(place.path("r.jsonl")).unwrap()).unwrap();
    assert_eq!(line["transfer_syntax"], "1.2.840.10008.1.2.4.203");
    assert!(
        line["loss"]["max_error"].as_u64() <= Some(3) && line["derived_uid"].as_str().unwrap().starts_with("2.25."),
        "{line}"
    );
}

#[test]
fn verify_prints_the_hash_of_the_samples() {
    let place = Place::new();
    place.image("x.dcm", Image::default());
    assert!(place.run(&["convert", "x.dcm", "out", "--report", "r.jsonl"]).status.success());
    let hash = place.report("r.jsonl")[0]["samples_sha256"].as_str().map(str::to_owned).expect("a hash");
    for file in ["x.dcm", "out/x.dcm"] {
        let shown = place.shown(&["verify", file]);
        assert!(shown.contains(&format!("{hash}  {file}: 1 frame\n")), "{shown}");
    }
}

#[test]
fn usage_errors_end_with_2() {
    let place = Place::new();
    for arguments in [&["convert", "only-one"][..], &["serve"], &["nothing"], &["inspect", "x", "--jsn"]] {
        let output = place.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: "), "{arguments:?}");
    }
}

#[test]
fn serve_says_what_is_missing() {
    let place = Place::new();
    assert_snapshot!("serve_without_data", place.shown(&["serve"]));
    assert_snapshot!("serve_without_viewer", place.shown(&["serve", "--data", "d", "--viewer", "nowhere"]));
    assert!(!place.path("d").exists());
}
