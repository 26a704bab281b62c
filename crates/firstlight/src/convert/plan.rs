//! What is to be converted, and where each file goes: walked as a migration walks, mirrored and checked for collisions before
//! anything is written.

use crate::args::Layout;
use crate::failure::Failure;
use crate::settings;
use crate::units::count;
use crate::words;
use migrate::{Listed, Listing, Row, ScanEvent, apart};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// The files to be converted.
#[derive(Debug)]
pub struct Plan {
    /// The destination folder, absolute.
    pub destination: PathBuf,
    /// What is done in one go: a file, or the entries of one compressed stream.
    pub portions: Vec<Vec<Row>>,
    /// The same of DICOMDIRs, which come when the files that they name have their places.
    pub indexes: Vec<Vec<Row>>,
    /// Lines about what can't be walked; whether it changes the exit code.
    pub troubles: Vec<(String, bool)>,
}

impl Plan {
    /// Walks the sources. A source that is not there, two files that would have the same place, or a destination that is not apart
    /// from the sources are errors.
    pub fn make(set: &settings::Convert, stop: &AtomicBool) -> Result<Plan, Failure> {
        let destination =
            std::path::absolute(&set.destination).map_err(|e| Failure::io("use", &set.destination, &e))?;
        if destination.exists() && !destination.is_dir() {
            let line = format!("{} is there and is not a folder", destination.display());
            return Err(Failure::new(line).hint("the last argument is the folder that receives the converted files"));
        }
        apart::check(&set.sources, &destination)?;
        apart::check_destination(&destination)?;
        let mirror = set.layout == Layout::Mirror;
        let listing = Listing::make(&Listed {
            sources: &set.sources,
            mirror,
            outside: Some(&destination),
            jobs: set.limits.jobs,
            stop,
        })?;
        if mirror {
            check_folders(&listing.rows, &destination)?;
        }
        let troubles = listing.told.into_iter().filter_map(|told| match told {
            ScanEvent::Note(notice) => Some((words::line(&notice), false)),
            ScanEvent::Trouble(notice) => Some((words::line(&notice), true)),
            ScanEvent::Found(_) | ScanEvent::Collision(_) => None,
        });
        let troubles = troubles.collect();
        let (indexes, files): (Vec<Row>, Vec<Row>) = listing.rows.into_iter().partition(Row::is_index);
        Ok(Plan { destination, portions: Listing::portions(files), indexes: Listing::portions(indexes), troubles })
    }

    /// How many files there are.
    pub fn files(&self) -> u64 {
        self.rows().count() as u64
    }

    /// Bytes of all sources, as far as they are known.
    pub fn bytes(&self) -> u64 {
        self.rows().map(|row| row.bytes).sum()
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.portions.iter().chain(&self.indexes).flatten()
    }
}

/// A file where another needs a folder.
fn check_folders(rows: &[Row], destination: &Path) -> Result<(), Failure> {
    let mut places: Vec<(&Path, &Row)> = rows.iter().filter_map(|row| Some((row.place.as_deref()?, row))).collect();
    places.sort_by(|a, b| a.0.components().cmp(b.0.components()));
    let mut clashes = places.windows(2).filter(|pair| pair[1].0.starts_with(pair[0].0));
    let Some([(place, one), (_, other), ..]) = clashes.next() else { return Ok(()) };
    let more = match clashes.count() as u64 {
        0 => String::new(),
        n => format!(" (and {})", count(n, "more collision")),
    };
    let (one, other, place) = (one.shown(), other.shown(), destination.join(place));
    let line = format!("{} and {} would both become {}{more}", one.display(), other.display(), place.display());
    Err(Failure::new(line).hint("bring them into different folders, or use --layout study; nothing was written"))
}
