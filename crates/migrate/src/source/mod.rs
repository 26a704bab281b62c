//! Where instances come from: folders, a DICOMDIR, packed files, DICOMweb servers, and what waits in an archive.
//!
//! Each source is walked into the [`Journal`] first ([`Scan`]) and each of its items is fetched when its turn comes
//! ([`Fetch`]).

mod fetch;
mod folder;
mod form;
mod indexes;
mod pack;
mod retry;
mod unpack;
mod web;
mod zip_cut;
mod zip_doubles;

pub use fetch::{Fetch, FetchError, Spooled};
pub(crate) use form::looks_like_dicom;
pub(crate) use indexes::Indexes;
pub use web::Server;

use crate::Error;
use crate::journal::{Found, Journal, Kind, PathCollision};
use archive::Archive;
use files::{Notice, names};
use std::collections::hash_map::DefaultHasher;
use std::hash::{BuildHasher, BuildHasherDefault};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use transcode::Policy;

/// Items that are added to the journal together.
const CHUNK: usize = 512;

/// A source as named by the user.
pub enum Origin {
    /// A folder with all below it, a DICOMDIR, a packed file, or a single file.
    Path(PathBuf),
    /// Another DICOMweb server.
    Web(Server),
    /// What waits in the archive that is the destination, under the policy.
    Backlog(Archive, Policy),
}

impl Origin {
    /// Reads what a user wrote; `headers` go with every request to a server.
    pub fn of(text: &Path, headers: &[(String, String)]) -> Result<Origin, Error> {
        match text.to_str().filter(|text| text.starts_with("http://") || text.starts_with("https://")) {
            Some(root) => Ok(Origin::Web(Server::new(root, headers))),
            None => Ok(Origin::Path(std::path::absolute(text).map_err(Error::io("read", text))?)),
        }
    }

    /// What the journal calls it.
    pub fn name(&self) -> String {
        match self {
            // Two that differ in bytes that are no text are two.
            Origin::Path(path) => names::bytes_of(path).unwrap_or_else(|| path.display().to_string()),
            Origin::Web(server) => server.root().to_owned(),
            Origin::Backlog(..) => "backlog".into(),
        }
    }
}

/// How a source is walked into the journal.
pub struct Scan<'a> {
    /// The journal.
    pub journal: &'a mut Journal,
    /// The number of the source.
    pub source: i64,
    /// Items keep their place below the source.
    pub mirror: bool,
    /// The destination, which is never a source.
    pub outside: Option<PathBuf>,
    /// Look for modality, transfer syntax and date.
    pub heads: bool,
    /// Files looked into at once.
    pub jobs: usize,
    /// Set when it is to end.
    pub stop: &'a AtomicBool,
    /// What DICOMDIRs name that lie in the folders walked.
    pub indexes: Indexes,
    /// Hears of progress and of trouble.
    pub told: &'a mut dyn FnMut(ScanEvent),
}

/// News of a walk.
#[derive(Debug)]
pub enum ScanEvent {
    /// So many items more.
    Found(u64),
    /// What a user should be told.
    Note(Notice),
    /// The same, of something that could not be read.
    Trouble(Notice),
    /// Two sources would have one place.
    Collision(PathCollision),
}

impl Scan<'_> {
    /// Walks a source to its end, or as far as it gets before the stop; walked again, it goes on.
    pub fn take(&mut self, origin: &Origin) -> Result<(), Error> {
        match origin {
            Origin::Path(path) => folder::walk(self, path)?,
            Origin::Web(server) => web::walk(self, server)?,
            Origin::Backlog(archive, policy) => self.backlog(archive, policy)?,
        }
        if self.stopped() { Ok(()) } else { self.journal.walked(self.source) }
    }

    fn backlog(&mut self, archive: &Archive, policy: &Policy) -> Result<(), Error> {
        let mut after = 0;
        while !self.stopped() {
            let waiting = archive.backlog(policy, after, CHUNK)?;
            let Some(last) = waiting.last() else { break };
            after = last.id;
            let found = waiting.iter().map(|waits| Found {
                kind: Kind::Backlog,
                path: [&waits.key.study, &waits.key.series, &waits.key.sop].iter().collect(),
                part: 0,
                name: Vec::new(),
                place: None,
                bytes: waits.bytes,
                modified: waits.id,
                modality: or_dash(&waits.modality),
                syntax: or_dash(&waits.syntax),
                date: date(&waits.study_date),
            });
            self.add(found.collect())?;
        }
        Ok(())
    }

    fn add(&mut self, found: Vec<Found>) -> Result<(), Error> {
        let clashes = self.journal.add(self.source, &found)?;
        (self.told)(ScanEvent::Found(found.len() as u64));
        clashes.into_iter().for_each(|clash| (self.told)(ScanEvent::Collision(clash)));
        Ok(())
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".into() } else { text.chars().take(64).collect() }
}

/// A DICOM date as a number; 0 for what is none.
fn date(text: &str) -> i64 {
    let digits: String = text.chars().filter(char::is_ascii_digit).take(8).collect();
    if digits.len() == 8 { digits.parse().unwrap_or(0) } else { 0 }
}

/// What stands for a path where millions are remembered.
fn hash(path: &Path) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(path.as_os_str())
}
