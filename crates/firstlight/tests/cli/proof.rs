//! Evidence, quarantine and report of a folder, as a user sees them.

use crate::place::{Image, Place, cut_in_header};
use std::fs;

fn converted() -> Place {
    let place = Place::new();
    place.image("in/a/small.dcm", Image::default());
    place.image("in/a/large.dcm", Image { rows: 1001, seed: 2, ..Image::default() });
    place.image("in/cut.dcm", Image { seed: 3, ..Image::default() });
    cut_in_header(&place.path("in/cut.dcm"));
    place.run(&["convert", "in", "out", "--quiet"]);
    place
}

fn json(place: &Place, arguments: &[&str]) -> Vec<serde_json::Value> {
    let out = place.run(arguments);
    String::from_utf8(out.stdout).unwrap().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn every_frame_has_its_hashes_and_every_level_its_checksum() {
    let place = converted();
    let all = json(&place, &["evidence", "out", "--json"]);
    // The one that can't be read has the hash of its bytes.
    assert_eq!(all.len(), 3);
    let cut = all.iter().find(|entry| entry["file"] == "cut.dcm").expect("listed");
    assert!(cut["outcome"] == "unreadable" && cut["file_sha256"].is_string() && cut["frames"].is_null(), "{cut}");
    let large = all.iter().find(|proof| proof["file"] == "a/large.dcm").expect("listed");
    let frame = &large["frames"][0];
    assert_eq!(frame["sha256_before"], frame["sha256_after"]);
    assert!(
        frame["levels"].as_array().is_some_and(|l| l.len() > 1 && l.iter().all(|l| l["crc32"].is_u64())),
        "{frame}"
    );
    assert!(frame["opinion"]["agreed"].is_string(), "{frame}");
    for key in ["codec", "rule", "policy", "host", "made", "milliseconds", "source_sha256", "file_sha256"] {
        assert!(!large[key].is_null(), "{key}");
    }
    let csv = String::from_utf8(place.run(&["evidence", "out", "--csv"]).stdout).unwrap();
    assert_eq!((csv.lines().count(), csv.lines().next().unwrap().split(',').count()), (3, 18));
}

#[test]
fn a_changed_file_and_a_changed_line_are_told() {
    let place = converted();
    let small = place.path("out/a/small.dcm");
    assert!(place.run(&["evidence", "out/a/small.dcm"]).status.success());
    let mut bytes = fs::read(&small).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&small, bytes).unwrap();
    let told = place.run(&["evidence", "out/a/small.dcm"]);
    assert_eq!(told.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&told.stdout).contains("NOT WHAT WAS PROVEN"));

    let path = place.path("out/.firstlight/evidence.jsonl");
    let text = fs::read_to_string(&path).unwrap().replacen("\"made\":1", "\"made\":2", 1);
    fs::write(&path, text).unwrap();
    let told = place.run(&["evidence", "out"]);
    assert_eq!(told.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&told.stderr).contains("damaged: line 1 of"), "{told:?}");
}

#[test]
fn the_report_is_one_file_without_names() {
    let place = converted();
    assert!(place.run(&["report", "out", "-o", "report.html"]).status.success());
    let page = fs::read_to_string(place.path("report.html")).unwrap();
    for there in ["<svg", "Sizes by modality", "cut.dcm", "firstlight inspect"] {
        assert!(page.contains(there), "{there}");
    }
    for not in ["Test^Image", "http:", "https:", "<script", "src="] {
        assert!(!page.contains(not), "{not}");
    }
}

#[test]
fn an_empty_quarantine_and_a_folder_of_nobody() {
    let place = converted();
    let unreadable = place.run(&["quarantine", "list", "--data", "out"]);
    assert_eq!(unreadable.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unreadable.stdout).contains("in/cut.dcm: truncated"), "{unreadable:?}");
    fs::remove_dir_all(place.path("out")).unwrap();
    fs::remove_file(place.path("in/cut.dcm")).unwrap();
    assert!(place.run(&["convert", "in", "out", "--quiet"]).status.success());
    assert!(place.run(&["quarantine", "list", "--data", "out"]).status.success());
    let wrong = place.run(&["quarantine", "list", "--data", "in"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("hint:"));
}

#[test]
fn a_second_opinion_that_is_off_is_said() {
    let place = Place::new();
    place.image("in/small.dcm", Image::default());
    let out = place.run(&["convert", "in", "out", "--second-opinion", "off"]);
    assert!(String::from_utf8_lossy(&out.stderr).contains("the second opinion is off"));
    let all = json(&place, &["evidence", "out", "--json"]);
    assert_eq!(all[0]["frames"][0]["opinion"], "not_asked");
}
