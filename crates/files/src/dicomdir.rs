//! DICOMDIRs (PS3.10 chapter 8, PS3.3 F.3): the files that one names, and one that names what became of them.
//!
//! A medium written after ISO 9660 may show its names in lower case, with a version (`NAME.DCM;1`) or a dot at the end (`NAME.;1`):
//! a file is found by any of them.

use dicom::{Source, Tag, Value};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use transcode::{Directory, FileNow};

const DIRECTORY_RECORDS: Tag = Tag(0x0004, 0x1220);
const REFERENCED_FILE_ID: Tag = Tag(0x0004, 0x1500);
/// Media Storage Directory Storage (PS3.4 B.5).
const SOP_CLASS: &[u8] = b"1.2.840.10008.1.3.10";

/// What stands for its modality, which it has none of.
pub const MODALITY: &str = "DICOMDIR";

/// Is the file named as a DICOMDIR is, copies with a suffix included?
pub fn named_so(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().to_ascii_uppercase().starts_with("DICOMDIR"))
}

/// Is it a DICOMDIR? Its data set has no SOP class; its records tell.
pub fn is_one(source: &Source) -> bool {
    source.data_set().get(DIRECTORY_RECORDS).is_some()
}

/// Do these first bytes of a file begin one? Its file meta names the class (PS3.10 7.1).
pub fn begins_one(bytes: &[u8]) -> bool {
    let meta = &bytes[..bytes.len().min(512)];
    meta.get(128..132) == Some(b"DICM") && meta.windows(SOP_CLASS.len()).any(|uid| uid == SOP_CLASS)
}

/// The referenced files, below `folder`, in the order of the records. A file ID that leaves the folder is left out and
/// returned apart.
pub fn referenced_files(source: &Source, folder: &Path) -> Result<(Vec<PathBuf>, Vec<String>), dicom::Error> {
    let (mut files, mut strays) = (Vec::new(), Vec::new());
    let Some(records) = source.data_set().get(DIRECTORY_RECORDS) else { return Ok((files, strays)) };
    let Value::Items(items) = &records.value else { return Ok((files, strays)) };
    for item in items {
        let Some(id) = item.elements.iter().find(|e| e.tag == REFERENCED_FILE_ID) else { continue };
        let id = source.data_set().bytes(id)?;
        match components(&id) {
            Some(parts) if !parts.is_empty() => files.push(on_disk(folder, &parts)),
            Some(_) => {}
            None => strays.push(String::from_utf8_lossy(&id).trim_end_matches(['\0', ' ']).to_owned()),
        }
    }
    Ok((files, strays))
}

/// One that names the transfer syntaxes of the files below `folder`, where its own are; nothing where it does already.
pub fn renewed(source: &Source, folder: &Path) -> Result<Option<Directory>, dicom::Error> {
    Directory::renewed(source, &mut |id| {
        let parts = components(id).filter(|parts| !parts.is_empty())?;
        let file = Source::open(&on_disk(folder, &parts)).ok()?;
        let facts = file.facts();
        let transfer_syntax = facts.transfer_syntax.uid().to_owned();
        Some(FileNow { transfer_syntax, instance: facts.sop_instance_uid.clone() })
    })
}

/// The path components of a file ID; none of them may climb or hold a separator.
fn components(id: &[u8]) -> Option<Vec<&[u8]>> {
    let end = id.iter().rposition(|b| !matches!(b, 0 | b' ')).map_or(0, |at| at + 1);
    let parts: Vec<&[u8]> =
        id[..end].split(|b| *b == b'\\').map(<[u8]>::trim_ascii).filter(|part| !part.is_empty()).collect();
    let harmless =
        |part: &&[u8]| !matches!(*part, b"." | b"..") && !part.iter().any(|b| matches!(b, b'/' | b'\0' | b':'));
    parts.iter().all(harmless).then_some(parts)
}

/// The path of a file, by the names that the medium shows.
fn on_disk(folder: &Path, parts: &[&[u8]]) -> PathBuf {
    let name = |part: &[u8]| OsString::from_vec(part.to_vec());
    let exact: PathBuf = folder.join(parts.iter().map(|part| name(part)).collect::<PathBuf>());
    if exact.exists() {
        return exact;
    }
    let mut found = folder.to_owned();
    for part in parts {
        let here = found.join(name(part));
        found = if here.exists() {
            here
        } else {
            let lower = found.join(name(&part.to_ascii_lowercase()));
            let other = || fs::read_dir(&found).ok()?.flatten().find(|entry| same(entry.file_name().as_bytes(), part));
            match lower.exists() {
                true => lower,
                false => match other() {
                    Some(entry) => entry.path(),
                    None => return exact,
                },
            }
        };
    }
    found
}

/// Is it the same name in ISO 9660 (ECMA-119 7.5): without case, version, and a dot with nothing behind it?
fn same(shown: &[u8], part: &[u8]) -> bool {
    let bare = |name: &[u8]| {
        let version = name.iter().rposition(|b| *b == b';').filter(|at| name[at + 1..].iter().all(u8::is_ascii_digit));
        let name = &name[..version.unwrap_or(name.len())];
        name.strip_suffix(b".").unwrap_or(name).to_ascii_lowercase()
    };
    bare(shown) == bare(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_ids_never_leave_the_folder() {
        let components = |id: &'static str| components(id.as_bytes());
        assert_eq!(components("A\\B\\C1 "), Some(vec![&b"A"[..], b"B", b"C1"]));
        assert_eq!(components("..\\secret"), None);
        assert_eq!(components("A\\../..\\x"), None);
        assert_eq!(components("/etc/passwd"), None);
        assert_eq!(components(""), Some(vec![]));
    }

    #[test]
    fn names_are_found_as_the_medium_shows_them() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("Images/se0")).unwrap();
        for name in ["IM1.;1", "im2.dcm;1", "im3", "Im4.Dcm", "IM5"] {
            fs::write(folder.path().join("Images/se0").join(name), name).unwrap();
        }
        for (part, name) in
            [("IM1", "IM1.;1"), ("IM2.DCM", "im2.dcm;1"), ("IM3", "im3"), ("IM4.DCM", "Im4.Dcm"), ("IM5", "IM5")]
        {
            let found = on_disk(folder.path(), &[b"IMAGES", b"SE0", part.as_bytes()]);
            assert_eq!(found.file_name().unwrap(), name);
            assert!(found.is_file());
        }
        assert_eq!(on_disk(folder.path(), &[b"IMAGES", b"NONE"]), folder.path().join("IMAGES/NONE"));
    }
}
