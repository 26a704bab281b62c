//! What `evidence`, `quarantine`, `scrub` and `report` look into: an archive, or a folder that `convert` or `migrate` wrote.

use crate::failure::Failure;
use archive::{Archive, Options};
use std::path::{Path, PathBuf};

/// A place that Firstlight keeps.
pub enum Kept {
    /// An archive.
    Archive(Archive),
    /// A folder that `convert` or `migrate` wrote.
    Folder {
        /// The folder.
        root: PathBuf,
        /// Its `.firstlight`.
        state: PathBuf,
    },
}

/// Opens what is in a folder; nothing is made.
pub fn open(dir: &Path) -> Result<Kept, Failure> {
    if archive::is_there(dir) {
        return archive(dir).map(Kept::Archive);
    }
    let state = dir.join(files::STATE_DIR);
    if state.is_dir() {
        return Ok(Kept::Folder { root: dir.to_owned(), state });
    }
    Err(no_archive(dir).hint("name the folder given to serve as --data, or the DST of convert or migrate"))
}

/// The words for a folder that is none of ours.
pub fn no_archive(dir: &Path) -> Failure {
    Failure::new(format!("{} holds no archive", dir.display()))
}

/// Opens an archive that is there.
pub fn archive(dir: &Path) -> Result<Archive, Failure> {
    if !archive::is_there(dir) {
        return Err(no_archive(dir).hint("--data names the folder of an archive, as given to serve"));
    }
    Archive::open(dir, Options::default()).map_err(|e| cannot_open(dir, &e))
}

/// The folder that was named, or the one of the settings.
pub fn folder(named: Option<PathBuf>, data: Option<PathBuf>) -> Result<PathBuf, Failure> {
    named.or(data).ok_or_else(|| {
        Failure::new("no folder was named")
            .hint("say --data DIR: an archive, or a folder that convert or migrate wrote")
    })
}

/// The folder above a file that `convert` or `migrate` wrote.
pub fn root_of(file: &Path) -> Option<PathBuf> {
    let file = file.canonicalize().ok()?;
    file.ancestors().skip(1).find(|dir| dir.join(files::STATE_DIR).is_dir()).map(Path::to_owned)
}

/// Why an archive does not open, and what to do.
pub fn cannot_open(data: &Path, error: &archive::Error) -> Failure {
    let failure = Failure::new(format!("cannot open the archive {}: {error}", data.display()));
    match error {
        archive::Error::Newer { .. } => failure.hint("use the version of firstlight that wrote it, or a newer one"),
        archive::Error::Full => failure.hint("make room on its disk"),
        archive::Error::IndexAt(wrong) => failure.hint(crate::words::hint_for_index(wrong)),
        archive::Error::Objects(_) => failure.hint("docs/deployment.md says how objects in S3 are set up"),
        _ => failure.hint("--data names a folder that this user can write, on a local disk"),
    }
}
