//! Where real files are, and what is said of a test that needs some that are not there.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;

/// A folder or file of the open corpus, all of it for an empty name; where it is missing, the test counts as [`skipped`].
pub fn corpus(name: &str) -> Option<PathBuf> {
    let path = shared().join("data/open").join(name);
    if path.exists() {
        return Some(path);
    }
    skipped(&format!("no corpus at {} (set FIRSTLIGHT_SHARED)", path.display()));
    None
}

/// A file that somebody reported, `frames/native_cut.dcm` for instance; where it is missing, the test counts as [`skipped`].
pub fn report(name: &str) -> Option<Vec<u8>> {
    let own = root().join("tests/reports").join(name);
    let found = [own, shared().join("data/reports").join(name)].into_iter().find_map(|path| std::fs::read(path).ok());
    if found.is_none() {
        skipped(&format!("no {name} among the reports"));
    }
    found
}

/// Says that a test did not run, or not all of it. The name of the test goes to the file that `FIRSTLIGHT_SKIPPED` names, for
/// whoever counts: a test that did not run has not passed.
pub fn skipped(why: &str) {
    eprintln!("skipped: {why}");
    let Some(counted) = env::var_os("FIRSTLIGHT_SKIPPED") else { return };
    let program = env::current_exe().ok().and_then(|path| Some(path.file_stem()?.to_string_lossy().into_owned()));
    let line = format!("{} {}\n", program.unwrap_or_default(), thread::current().name().unwrap_or("?"));
    // One write, for tests run beside each other.
    let file = OpenOptions::new().create(true).append(true).open(counted);
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the list of skipped tests can be written");
}

fn shared() -> PathBuf {
    env::var_os("FIRSTLIGHT_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
