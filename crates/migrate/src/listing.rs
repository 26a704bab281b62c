//! What sources hold, for commands that keep no journal: walked as a migration walks them, and held in memory.

use crate::error::{Error, Usage};
use crate::journal::{Journal, Kind, Row};
use crate::source::{Indexes, Origin, Scan, ScanEvent};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// What was found.
#[derive(Debug, Default)]
pub struct Listing {
    /// Items, in the order of their paths; those that name others (DICOMDIRs) at the end.
    pub rows: Vec<Row>,
    /// What is to be said of the walk.
    pub told: Vec<ScanEvent>,
}

/// How sources are walked.
#[derive(Debug)]
pub struct Listed<'a> {
    /// Folders, DICOMDIRs, packed files or single files.
    pub sources: &'a [PathBuf],
    /// Items have a place below the destination, as below their source.
    pub mirror: bool,
    /// The destination, which is never a source.
    pub outside: Option<&'a Path>,
    /// Files looked into at once.
    pub jobs: usize,
    /// Set when it is to end.
    pub stop: &'a AtomicBool,
}

impl Listing {
    /// Walks the sources. One that is not there, or two items with one place, are errors.
    pub fn make(of: &Listed) -> Result<Listing, Error> {
        let mut journal = Journal::in_memory()?;
        let (mut listing, mut clash) = (Listing::default(), None);
        let outside = of.outside.and_then(|path| path.canonicalize().ok());
        for path in of.sources {
            let origin = Origin::of(path, &[])?;
            if let Origin::Web(server) = &origin {
                return Err(Usage::ServerSource(server.root().to_owned()).into());
            }
            let (source, walked) = journal.source(&origin.name())?;
            if walked {
                continue;
            }
            let mut hear = |walked| match walked {
                ScanEvent::Collision(found) => drop(clash.get_or_insert(found)),
                ScanEvent::Found(_) => {}
                said => listing.told.push(said),
            };
            let mut scan = Scan {
                journal: &mut journal,
                source,
                mirror: of.mirror,
                outside: outside.clone(),
                heads: false,
                jobs: of.jobs,
                stop: of.stop,
                indexes: Indexes::default(),
                told: &mut hear,
            };
            scan.take(&origin)?;
        }
        if let Some(clash) = clash {
            return Err(clash.below(of.outside.unwrap_or(Path::new(""))).into());
        }
        listing.rows = journal.next(&[], (i64::MIN, 0), usize::MAX >> 1)?;
        listing.rows.sort_by(|a, b| order(a).cmp(&order(b)));
        Ok(listing)
    }

    /// The rows as they are done: entries of one compressed stream together, the others alone.
    pub fn portions(rows: Vec<Row>) -> Vec<Vec<Row>> {
        let mut portions: Vec<Vec<Row>> = Vec::new();
        for row in rows {
            match portions.last_mut() {
                Some(last) if row.kind == Kind::Stream && last[0].kind == Kind::Stream && last[0].path == row.path => {
                    last.push(row);
                }
                _ => portions.push(vec![row]),
            }
        }
        portions
    }
}

/// Files of a folder come before the folders in it.
fn order(row: &Row) -> impl Ord + '_ {
    (row.rank, row.path.parent(), row.path.file_name(), row.part)
}
