//! Files that a DICOMDIR names (PS3.10 chapter 8, PS3.3 F.3: Directory Record Sequence, Referenced File ID).

use std::path::{Path, PathBuf};
use transcode::{Source, Tag, Value};

const DIRECTORY_RECORDS: Tag = Tag(0x0004, 0x1220);
const REFERENCED_FILE_ID: Tag = Tag(0x0004, 0x1500);

/// Is the file named as a DICOMDIR is, copies with a suffix included?
pub fn named_so(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().to_ascii_uppercase().starts_with("DICOMDIR"))
}

/// Is it a DICOMDIR? Its data set has no SOP class; its records tell.
pub fn is_one(source: &Source) -> bool {
    source.data_set().get(DIRECTORY_RECORDS).is_some()
}

/// The referenced files, below `folder`, in the order of the records. A file ID that leaves the folder is left out and
/// returned apart.
pub fn referenced_files(source: &Source, folder: &Path) -> Result<(Vec<PathBuf>, Vec<String>), transcode::Error> {
    let (mut files, mut strays) = (Vec::new(), Vec::new());
    let Some(records) = source.data_set().get(DIRECTORY_RECORDS) else { return Ok((files, strays)) };
    let Value::Items(items) = &records.value else { return Ok((files, strays)) };
    for item in items {
        let Some(id) = item.elements.iter().find(|e| e.tag == REFERENCED_FILE_ID) else { continue };
        let bytes = source.data_set().bytes(id)?;
        let text = String::from_utf8_lossy(&bytes);
        let id = text.trim_end_matches(['\0', ' ']);
        match components(id) {
            Some(parts) if !parts.is_empty() => files.push(on_disk(folder, &parts)),
            Some(_) => {}
            None => strays.push(id.to_owned()),
        }
    }
    Ok((files, strays))
}

/// The path components of a file ID; none of them may climb or hold a separator.
fn components(id: &str) -> Option<Vec<&str>> {
    let parts: Vec<&str> = id.split('\\').map(str::trim).filter(|part| !part.is_empty()).collect();
    let harmless = |part: &&str| !matches!(*part, "." | "..") && !part.contains(['/', '\0', ':']);
    parts.iter().all(harmless).then_some(parts)
}

/// Media mounted on other systems may show their upper-case names in lower case.
fn on_disk(folder: &Path, parts: &[&str]) -> PathBuf {
    let exact: PathBuf = folder.join(parts.iter().collect::<PathBuf>());
    if exact.exists() {
        return exact;
    }
    let lower = folder.join(parts.iter().map(|part| part.to_lowercase()).collect::<PathBuf>());
    if lower.exists() { lower } else { exact }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_ids_never_leave_the_folder() {
        assert_eq!(components("A\\B\\C1"), Some(vec!["A", "B", "C1"]));
        assert_eq!(components("..\\secret"), None);
        assert_eq!(components("A\\../..\\x"), None);
        assert_eq!(components("/etc/passwd"), None);
        assert_eq!(components(""), Some(vec![]));
    }
}
