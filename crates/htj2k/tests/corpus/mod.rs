//! Where the shared images are: `$FIRSTLIGHT_SHARED/data/open`, or `../shared/data/open` beside the checkout.

use std::path::PathBuf;

/// A folder of the corpus, or a line that says it is not there.
pub fn folder(name: &str) -> Option<PathBuf> {
    let shared = match std::env::var_os("FIRSTLIGHT_SHARED") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
    };
    let folder = shared.join("data/open").join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("SKIPPED: no corpus at {}", folder.display());
    None
}
