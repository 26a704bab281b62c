//! Sources lie apart from the destination: whatever was forgotten or swapped on the command line, no source is written to.
//!
//! Looked at before anything is made. Folders are compared as they really are, whatever leads to them.

use crate::error::{Error, Overlap, Usage};
use crate::source::looks_like_dicom;
use files::dicomdir;
use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

/// Entries of a destination that are looked through for what was not written here.
const MOST: usize = 10_000;
/// Is no source the destination, in it, or around it?
pub fn check(sources: &[PathBuf], destination: &Path) -> Result<(), Error> {
    let there = really(destination);
    for source in sources {
        let Ok(here) = source.canonicalize() else { continue };
        let how = if here == there {
            Overlap::Same
        } else if there.starts_with(&here) {
            Overlap::InSource
        } else if here.starts_with(&there) {
            Overlap::AroundSource
        } else if dicomdir::named_so(&here) && here.parent().is_some_and(|medium| there.starts_with(medium)) {
            Overlap::InMedium
        } else {
            continue;
        };
        return Err(Usage::Overlap { how, named: source.clone(), destination: destination.to_owned() }.into());
    }
    Ok(())
}

/// A destination is new, empty, or was written here: one that holds instances of others is a source that was named last.
pub fn check_destination(destination: &Path) -> Result<(), Error> {
    if destination.join(files::STATE_DIR).is_dir() || archive::is_there(destination) {
        return Ok(());
    }
    let Some(found) = an_instance(destination) else { return Ok(()) };
    Err(Usage::ForeignDestination { destination: destination.to_owned(), found }.into())
}

/// A file that is to be written over is no instance: one that was named by mistake is a source.
pub fn check_file(file: &Path) -> Result<(), Error> {
    if !file.is_file() || !looks_like_dicom(file) {
        return Ok(());
    }
    Err(Usage::FileIsDicom(file.to_owned()).into())
}

/// The path as it really is, of what is not there yet too.
fn really(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for above in path.ancestors() {
        if let Ok(real) = above.canonicalize() {
            return path
                .strip_prefix(above)
                .map_or(real.clone(), |rest| if rest.as_os_str().is_empty() { real } else { real.join(rest) });
        }
    }
    path
}

/// An instance, a DICOMDIR or a packed file below a folder, if one is soon found.
fn an_instance(folder: &Path) -> Option<PathBuf> {
    let (mut waiting, mut left) = (VecDeque::from([folder.to_owned()]), MOST);
    while let Some(folder) = waiting.pop_front() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            left = left.checked_sub(1)?;
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => waiting.push_back(entry.path()),
                Ok(kind) if kind.is_file() && looks_like_dicom(&entry.path()) => return Some(entry.path()),
                _ => {}
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(sources: &[&Path], destination: &Path) -> String {
        let sources: Vec<_> = sources.iter().map(|path| path.to_path_buf()).collect();
        check(&sources, destination).map_or_else(|e| e.to_string(), |()| "apart".into())
    }

    #[test]
    fn sources_and_destination_lie_apart_whatever_leads_to_them() {
        let folder = tempfile::tempdir().unwrap();
        let (source, other) = (folder.path().join("source"), folder.path().join("other"));
        fs::create_dir_all(source.join("below")).unwrap();
        fs::create_dir_all(&other).unwrap();
        fs::write(source.join("DICOMDIR"), "").unwrap();
        std::os::unix::fs::symlink(&source, folder.path().join("link")).unwrap();
        let link = folder.path().join("link");
        assert_eq!(says(&[&source], &other), "apart");
        assert_eq!(says(&[&source], &folder.path().join("source-2/new")), "apart");
        assert_eq!(says(&[&source.join("DICOMDIR")], &other), "apart");
        for (from, to, said) in [
            (&source, &source, "is both"),
            (&source, &link, "is both"),
            (&source, &other.join("../source/."), "is both"),
            (&source, &source.join("new/deep"), "lies in the source"),
            (&link, &source.join("below"), "lies in the source"),
            (&source.join("below"), &source, "lies in the destination"),
            (&source.join("DICOMDIR"), &link, "lies in the destination"),
            (&source.join("DICOMDIR"), &source.join("out"), "in the medium"),
        ] {
            assert!(says(&[&other.join("x"), from], to).contains(said), "{from:?} {to:?}: {}", says(&[from], to));
        }
    }

    #[test]
    fn a_destination_that_holds_what_others_wrote_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert!(check_destination(&root.join("new")).is_ok());
        fs::create_dir_all(root.join("lost+found")).unwrap();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/notes.txt"), "notes").unwrap();
        assert!(check_destination(root).is_ok());
        fs::write(root.join("a/b/c"), [&[0; 128][..], b"DICM"].concat()).unwrap();
        assert!(check_destination(root).unwrap_err().to_string().contains("a/b/c"));
        fs::create_dir(root.join(files::STATE_DIR)).unwrap();
        assert!(check_destination(root).is_ok());
    }
}
