//! `firstlight restore` as a user sees it: the very bytes that came in, or one line that says why not, and nothing written.

use crate::place::{Image, Place, read};
use insta::assert_snapshot;
use std::fs;

/// A file in `in`, converted into `out`.
fn converted() -> Place {
    let place = Place::new();
    place.image("in/a/small.dcm", Image::default());
    assert!(place.run(&["convert", "in", "out"]).status.success());
    place
}

fn residue(place: &Place) -> std::path::PathBuf {
    place.path("out/.firstlight/residue/a/small.dcm.residue")
}

#[test]
fn the_file_that_came_in_is_given_back() {
    let place = converted();
    assert_snapshot!(place.shown(&["restore", "out/a/small.dcm", "-o", "back.dcm"]));
    assert_eq!(read(&place.path("back.dcm")), read(&place.path("in/a/small.dcm")));
    assert_ne!(read(&place.path("out/a/small.dcm")), read(&place.path("back.dcm")));
}

#[test]
fn without_a_name_it_is_only_tried() {
    let place = converted();
    let before = place.tree(".");
    assert_snapshot!(place.shown(&["restore", "out/a/small.dcm"]));
    assert_eq!(place.tree("."), before);
}

#[test]
fn what_is_there_is_not_replaced_without_force() {
    let place = converted();
    place.file("back.dcm", b"mine");
    assert_snapshot!(place.shown(&["restore", "out/a/small.dcm", "-o", "back.dcm"]));
    assert_eq!(read(&place.path("back.dcm")), b"mine");
    assert!(place.run(&["restore", "out/a/small.dcm", "-o", "back.dcm", "--force"]).status.success());
    assert_eq!(read(&place.path("back.dcm")), read(&place.path("in/a/small.dcm")));
}

#[test]
fn a_residue_beside_the_file_or_named_is_taken() {
    let place = converted();
    fs::create_dir(place.path("elsewhere")).unwrap();
    fs::copy(place.path("out/a/small.dcm"), place.path("elsewhere/x.dcm")).unwrap();
    fs::copy(residue(&place), place.path("elsewhere/x.dcm.residue")).unwrap();
    assert!(place.run(&["restore", "elsewhere/x.dcm", "-o", "1.dcm"]).status.success());
    fs::rename(place.path("elsewhere/x.dcm.residue"), place.path("r")).unwrap();
    assert_snapshot!(place.shown(&["restore", "elsewhere/x.dcm", "-o", "2.dcm"]));
    assert!(place.run(&["restore", "elsewhere/x.dcm", "--residue", "r", "-o", "2.dcm"]).status.success());
    assert_eq!(read(&place.path("1.dcm")), read(&place.path("2.dcm")));
}

#[test]
fn a_moved_destination_still_leads_back() {
    let place = converted();
    place.file("keep/none.toml", b"[[rule]]\nname = \"as-is\"\nwhen = {}\nthen = { keep = \"asked to\" }\n");
    assert!(place.run(&["convert", "in", "kept", "--policy", "keep/none.toml"]).status.success());
    for (from, to) in [("out", "moved"), ("kept", "moved-kept")] {
        fs::rename(place.path(from), place.path(to)).unwrap();
        let back = format!("{to}.dcm");
        assert!(place.run(&["restore", &format!("{to}/a/small.dcm"), "-o", &back]).status.success(), "{to}");
        assert_eq!(read(&place.path(&back)), read(&place.path("in/a/small.dcm")));
    }
}

#[test]
fn a_changed_file_is_one_line_and_nothing_is_written() {
    let place = converted();
    let mut bytes = read(&place.path("out/a/small.dcm"));
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(place.path("out/a/small.dcm"), bytes).unwrap();
    let shown = place.shown(&["restore", "out/a/small.dcm", "-o", "back.dcm"]);
    let hashes = shown.split([' ', ',', '\n']).filter(|word| word.len() == 64).collect::<Vec<_>>();
    let shown = hashes.iter().fold(shown.clone(), |shown, hash| shown.replace(hash, "[SHA-256]"));
    assert_snapshot!(shown);
    assert_eq!(place.tree("."), ["in/a/small.dcm", "out/a/small.dcm"]);
}

#[test]
fn a_damaged_residue_is_one_line_and_nothing_is_written() {
    let place = converted();
    let whole = read(&residue(&place));
    for bit in 0..whole.len() * 8 {
        if bit % 97 == 0 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(residue(&place), bytes).unwrap();
            let output = place.run(&["restore", "out/a/small.dcm", "-o", "back.dcm"]);
            assert_eq!(output.status.code(), Some(1), "bit {bit}");
        }
    }
    fs::write(residue(&place), &whole[..whole.len() / 2]).unwrap();
    assert_snapshot!(place.shown(&["restore", "out/a/small.dcm", "-o", "back.dcm"]));
    assert_eq!(place.tree("."), ["in/a/small.dcm", "out/a/small.dcm"]);
}

#[test]
fn nothing_is_kept_when_it_is_not_asked_for_and_made_when_it_is() {
    let place = Place::new();
    place.image("in/a/small.dcm", Image::default());
    assert!(place.run(&["convert", "in", "out", "--no-way-back"]).status.success());
    assert!(!residue(&place).exists());
    assert_snapshot!(place.shown(&["restore", "out/a/small.dcm", "-o", "back.dcm"]));
    assert!(place.run(&["convert", "in", "out"]).status.success());
    assert!(residue(&place).exists());
    // Once lost, it is made again; once there, nothing is done.
    fs::remove_file(residue(&place)).unwrap();
    assert!(place.run(&["convert", "in", "out"]).status.success());
    assert!(place.run(&["restore", "out/a/small.dcm", "-o", "back.dcm"]).status.success());
    let again = String::from_utf8(place.run(&["convert", "in", "out"]).stdout).unwrap();
    assert!(again.contains("1 of them done before"), "{again}");
}

#[test]
fn what_is_not_there_is_said() {
    let place = converted();
    assert_snapshot!(place.shown(&["restore", "1.2.3"]));
    assert_snapshot!(place.shown(&["restore", "1.2.3", "--data", "out"]));
    assert_snapshot!(place.shown(&["restore", "in/a/small.dcm", "-o", "back.dcm"]));
}
