//! `firstlight convert` as a user sees it: output, exit codes, the tree it writes and the report.

use crate::place::{Image, Place, cut_in_header, read};
use insta::assert_snapshot;
use std::path::Path;

fn batch() -> Place {
    let place = Place::new();
    place.image("in/a/small.dcm", Image::default());
    place.image("in/a/large.dcm", Image { rows: 1001, seed: 2, ..Image::default() });
    place.file("in/notes.txt", b"words\n");
    place
}

#[test]
fn the_tree_is_mirrored_and_the_table_lines_up() {
    let place = batch();
    assert_snapshot!(place.shown(&["convert", "in", "out", "--jobs", "1"]));
    assert_eq!(place.tree("out"), ["a/large.dcm", "a/small.dcm"]);
}

#[test]
fn once_more_does_nothing() {
    let place = batch();
    place.run(&["convert", "in", "out"]);
    let before = read(&place.path("out/a/small.dcm"));
    assert_snapshot!(place.shown(&["convert", "in", "out", "--jobs", "1"]));
    assert_eq!(before, read(&place.path("out/a/small.dcm")));
}

#[test]
fn a_dry_run_writes_nothing() {
    let place = batch();
    assert_snapshot!(place.shown(&["convert", "in", "out", "--dry-run"]));
    assert!(!place.path("out").exists());
}

#[test]
fn a_file_goes_below_the_destination_by_its_name() {
    let place = batch();
    assert!(place.run(&["convert", "in/a/small.dcm", "out"]).status.success());
    assert_eq!(place.tree("out"), ["small.dcm"]);
}

#[test]
fn the_study_layout_names_nothing_by_dicom_values() {
    let place = batch();
    assert!(place.run(&["convert", "in", "out", "--layout", "study"]).status.success());
    let tree = place.tree("out");
    assert_eq!(tree.len(), 2);
    for name in tree {
        let parts: Vec<&str> = name.trim_end_matches(".dcm").split('/').collect();
        assert_eq!(parts.len(), 3, "{name}");
        assert!(
            parts.iter().all(|part| part.len() == 16 && part.bytes().all(|byte| byte.is_ascii_hexdigit())),
            "{name}"
        );
    }
}

#[test]
fn the_report_has_one_line_a_file() {
    let place = batch();
    place.image("in/cut.dcm", Image { seed: 3, ..Image::default() });
    cut_in_header(&place.path("in/cut.dcm"));
    let output = place.run(&["convert", "in", "out", "--jobs", "1", "--report", "report.jsonl"]);
    assert_eq!(output.status.code(), Some(1));
    let mut lines = place.report("report.jsonl");
    lines.sort_by_key(|line| line["source"].as_str().map(str::to_owned));
    let outcomes: Vec<&str> = lines.iter().filter_map(|line| line["outcome"].as_str()).collect();
    assert_eq!(outcomes, ["converted", "converted", "unreadable", "skipped"]);
    let large = &lines[0];
    assert_eq!(large["rule"], "grey-large");
    assert_eq!(large["source_transfer_syntax"], "1.2.840.10008.1.2.1");
    assert_eq!(large["transfer_syntax"], "1.2.840.10008.1.2.4.202");
    assert_eq!(large["frames"], 1);
    assert_eq!(large["bytes_out"].as_u64(), Some(read(&place.path("out/a/large.dcm")).len() as u64));
    assert_eq!(large["samples_sha256"].as_str().map(str::len), Some(64));
    assert!(
        large["destination"].as_str().is_some_and(|path| path.starts_with('/') && path.ends_with("out/a/large.dcm"))
    );
    assert!(large["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0));
    assert!(lines[2]["samples_sha256"].is_null());
    let kept = lines[2]["destination"].as_str().expect("kept in its place");
    assert_eq!(read(Path::new(kept)), read(&place.path("in/cut.dcm")));
}

#[test]
fn the_report_can_go_to_standard_output() {
    let place = batch();
    let output = place.run(&["convert", "in", "out", "--report", "-"]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(text.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()).count(), 3);
    assert_eq!(text.lines().count(), 3);
}

#[test]
fn a_truncated_file_is_kept_and_one_line() {
    let place = batch();
    place.image("in/cut.dcm", Image { seed: 3, cut: 100, ..Image::default() });
    assert_snapshot!(place.shown(&["convert", "in/cut.dcm", "out"]));
    assert_eq!(read(&place.path("out/cut.dcm")), read(&place.path("in/cut.dcm")));
}

#[test]
fn two_sources_with_one_place_are_an_error_before_anything_is_written() {
    let place = Place::new();
    place.image("one/x.dcm", Image::default());
    place.image("two/x.dcm", Image { seed: 2, ..Image::default() });
    assert_snapshot!(place.shown(&["convert", "one", "two", "out"]));
    assert!(!place.path("out").exists());
}

#[test]
fn a_file_where_another_needs_a_folder_is_a_collision() {
    let place = Place::new();
    place.image("one/x", Image::default());
    place.image("two/x/y.dcm", Image { seed: 2, ..Image::default() });
    let shown = place.shown(&["convert", "one", "two", "out"]);
    assert!(shown.contains("would both become") && shown.ends_with("--- exit 2\n"), "{shown}");
}

#[test]
fn what_is_not_there_is_said() {
    let place = Place::new();
    assert_snapshot!(place.shown(&["convert", "nowhere", "out"]));
}

#[test]
fn a_policy_that_is_not_there_or_wrong_is_said() {
    let place = batch();
    place.file("wrong.toml", b"[[rule]]\nname = \"x\"\nwhenn = { samples = 1 }\n");
    assert_snapshot!("unknown_policy", place.shown(&["convert", "in", "out", "--policy", "defautl"]));
    assert_snapshot!("wrong_policy", place.shown(&["convert", "in", "out", "--policy", "wrong.toml"]));
    assert!(!place.path("out").exists());
}

#[test]
fn settings_come_from_flags_then_variables_then_the_file() {
    let place = batch();
    place.file("firstlight.toml", b"policy = \"nothing-like-it\"\n");
    let shown = place.shown(&["convert", "in", "out"]);
    assert!(shown.contains("no policy is called \"nothing-like-it\""), "{shown}");
    assert!(place.run(&["convert", "in", "out", "--policy", "default"]).status.success());
}

#[test]
fn what_keeps_the_identity_refuses_to_take_it_out() {
    let place = batch();
    place.file("firstlight.toml", b"deidentify = \"basic\"\nkey = \"key\"\n");
    for command in [&["import", "in", "--data", "out"][..], &["serve", "--data", "out"]] {
        let shown = place.shown(command);
        assert!(shown.contains(&format!("error: {} takes no identity out", command[0])), "{shown}");
        assert!(shown.contains("hint: `firstlight convert --deidentify` and") && shown.contains("exit 2"), "{shown}");
        assert!(!place.path("out").exists());
    }
    let shown = place.shown(&["migrate", "in", "out", "--archive"]);
    assert!(shown.contains("error: out: nothing is de-identified on the way into an archive"), "{shown}");
    assert!(shown.contains("exit 2") && !place.path("out").exists(), "{shown}");
}

#[test]
fn a_dicomdir_names_its_files() {
    let place = Place::new();
    place.image("disc/A/B", Image::default());
    place.image("disc/A/NOT_LISTED", Image { seed: 2, ..Image::default() });
    place.file("disc/DICOMDIR", &dicomdir(&["A\\B", "..\\OUT", "A\\GONE"]));
    let shown = place.shown(&["convert", "disc/DICOMDIR", "out", "--jobs", "1"]);
    assert_snapshot!(shown);
    assert_eq!(place.tree("out"), ["A/B", "DICOMDIR"]);
}

/// A DICOMDIR of image records with these file IDs.
fn dicomdir(ids: &[&str]) -> Vec<u8> {
    let explicit = |tag: u32, vr: &str, value: &[u8]| {
        let mut value = value.to_vec();
        if value.len() % 2 == 1 {
            value.push(if vr == "UI" { 0 } else { b' ' });
        }
        let mut bytes =
            [(tag >> 16) as u16, tag as u16].iter().flat_map(|half| half.to_le_bytes()).collect::<Vec<u8>>();
        bytes.extend(vr.as_bytes());
        match vr {
            "SQ" => bytes.extend([&[0, 0][..], &(value.len() as u32).to_le_bytes()].concat()),
            _ => bytes.extend((value.len() as u16).to_le_bytes()),
        }
        bytes.extend(value);
        bytes
    };
    let mut items = Vec::new();
    for id in ids {
        let record = [explicit(0x0004_1430, "CS", b"IMAGE"), explicit(0x0004_1500, "CS", id.as_bytes())].concat();
        items.extend([0xfe, 0xff, 0x00, 0xe0]);
        items.extend((record.len() as u32).to_le_bytes());
        items.extend(record);
    }
    let meta = [
        explicit(0x0002_0002, "UI", b"1.2.840.10008.1.3.10"),
        explicit(0x0002_0003, "UI", b"2.25.9"),
        explicit(0x0002_0010, "UI", b"1.2.840.10008.1.2.1"),
    ]
    .concat();
    let mut file = [vec![0; 128], b"DICM".to_vec()].concat();
    file.extend(explicit(0x0002_0000, "UL", &(meta.len() as u32).to_le_bytes()));
    file.extend(meta);
    file.extend(explicit(0x0004_1130, "CS", b"DISC"));
    file.extend(explicit(0x0004_1220, "SQ", &items));
    file
}
