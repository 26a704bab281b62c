//! Files named on the command line, and those in the folders and packed files named there.

use crate::failure::{Exit, Failure};
use crate::output;
use crate::words;
use migrate::{Fetch, FetchError, Listed, Listing, ScanEvent, with_each};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// A file to be looked at.
pub struct Named<'a> {
    /// What it is called.
    pub name: &'a Path,
    /// Where its bytes are.
    pub path: &'a Path,
    /// It was found in a folder or a packed file: there it may be no DICOM.
    pub found: bool,
}

/// Calls `each` for every file; the greatest exit code wins, and one that fails does not end it.
pub fn each(named: &[PathBuf], mut each: impl FnMut(Named) -> Result<Exit, Failure>) -> Result<Exit, Failure> {
    let mut exit = Exit::Well;
    let mut add = |one: Result<Exit, Failure>| {
        exit = exit.max(one.unwrap_or_else(|failure| {
            failure.print();
            Exit::Environment
        }));
    };
    for path in named {
        if output::closed() {
            break;
        }
        if !path.is_dir() {
            add(each(Named { name: path, path, found: false }));
            continue;
        }
        let stop = AtomicBool::new(false);
        let listed = Listed { sources: std::slice::from_ref(path), mirror: false, outside: None, jobs: 1, stop: &stop };
        let listing = Listing::make(&listed).map_err(Failure::from)?;
        for told in &listing.told {
            let (ScanEvent::Note(notice) | ScanEvent::Trouble(notice)) = told else { continue };
            eprintln!("{}", words::line(notice));
            add(Ok(if matches!(told, ScanEvent::Trouble(_)) { Exit::Environment } else { Exit::Well }));
        }
        let scratch = tempfile::tempdir().map_err(|e| Failure::new(format!("cannot make a temporary folder: {e}")))?;
        let mut fetch = Fetch::new(scratch.path(), &[], &stop, 0);
        for rows in Listing::portions(listing.rows) {
            if output::closed() {
                break;
            }
            with_each(&rows, &mut fetch, |row, fetched| {
                let name = row.shown();
                add(match fetched {
                    Ok(copy) => {
                        let path = copy.as_ref().map_or(&*row.path, |copy| copy.path());
                        each(Named { name: &name, path, found: true })
                    }
                    Err(FetchError::Refused(why) | FetchError::Failed(why, _)) => {
                        Err(Failure::new(format!("{}: {why}", name.display())))
                    }
                    Err(FetchError::Full) => Err(Failure::new("no space left for temporary files")),
                });
            });
        }
    }
    Ok(exit)
}
