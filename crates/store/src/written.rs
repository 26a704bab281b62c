//! A line that is written down once in the folder of an archive, by whoever is first, and never changed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sync_folder;

/// What is written down in this file, if anything is.
pub(crate) fn read(dir: &Path, name: &str) -> io::Result<Option<String>> {
    match fs::read_to_string(dir.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        text => Ok(Some(text?.trim().to_owned())),
    }
}

/// Writes a line down, unless one is; returns the one that is then.
pub(crate) fn write(dir: &Path, name: &str, line: &str) -> io::Result<String> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    if let Some(written) = read(dir, name)? {
        return Ok(written);
    }
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let making = dir.join(format!("{name}.{}-{next}", std::process::id()));
    let mut file = File::create(&making)?;
    writeln!(file, "{line}")?;
    file.sync_all()?;
    let path = dir.join(name);
    // It has its name once it is whole, and only if nobody was first. A file system without links has no such thing.
    match fs::hard_link(&making, &path) {
        Err(_) if !path.exists() => fs::rename(&making, &path)?,
        _ => fs::remove_file(&making)?,
    }
    sync_folder(dir)?;
    Ok(read(dir, name)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_that_are_first_one_is() {
        let dir = tempfile::tempdir().unwrap();
        let written: Vec<String> = std::thread::scope(|scope| {
            let dir = dir.path();
            let going: Vec<_> =
                (0..8).map(|n| scope.spawn(move || write(dir, "place", &format!("place {n}")).unwrap())).collect();
            going.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(written.iter().all(|one| *one == written[0] && one.starts_with("place ")), "{written:?}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
