//! The audit of a destination: every byte of it is read and held against what was written down when it was made, and every source is
//! accounted for.
//!
//! ```text
//! evidence, residues  -> [`tree`]: what is changed, missing, added, renamed
//! records, journal    -> [`account`]: of so many sources so many converted and proven, kept and equal, ...
//! sources             -> [`sources`]: the same, from what is there now; what changed since is judged by its record
//! ```
//! Nothing is written, but for a journal of the walk through the sources, outside of the destination.

mod account;
mod archive;
mod sources;
mod tree;

pub use account::Account;

use crate::Error;
use crate::journal::Journal;
use files::{Notice, chain::Head};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

/// Bytes that are read at once.
const CHUNK: usize = 1 << 20;

/// What is to be audited.
#[derive(Debug)]
pub struct Audit<'a> {
    /// Where its instances came from; none: what was written down is all that is known of them.
    pub sources: &'a [PathBuf],
    /// Headers for servers.
    pub headers: &'a [(String, String)],
    /// A folder tree, or the folder of an archive.
    pub destination: &'a Path,
    /// Folder for what is needed meanwhile.
    pub scratch: &'a Path,
    /// Files that are read at the same time.
    pub jobs: usize,
    /// Set when it is to end.
    pub stop: &'a AtomicBool,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The bytes are not what was written.
    Changed,
    /// It is not there.
    Missing,
    /// Nothing tells of it.
    Added,
    /// It is there under another name.
    Renamed,
    /// A line of a record file, or of the evidence, is not what was written or not in its place.
    Record,
    /// A source is in no destination.
    Lost,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 6] = [Kind::Changed, Kind::Missing, Kind::Added, Kind::Renamed, Kind::Record, Kind::Lost];

    /// One word.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Changed => "changed",
            Kind::Missing => "missing",
            Kind::Added => "added",
            Kind::Renamed => "renamed",
            Kind::Record => "record",
            Kind::Lost => "lost",
        }
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// Where, absolute; of a renamed file where it was.
    pub path: PathBuf,
    /// Where a renamed file is.
    pub to: Option<PathBuf>,
    /// In words.
    pub what: String,
}

/// News of an audit.
#[derive(Debug)]
pub enum News<'a> {
    /// Something is wrong.
    Finding(&'a Finding),
    /// Something worth a line that is not wrong.
    Note(String),
    /// What is to be said of a source that is walked.
    Source(Notice),
    /// So many bytes more were read.
    Read(u64),
}

/// What an audit came to.
#[derive(Debug, Default)]
pub struct Audited {
    /// Findings of each kind, in the order of [`Kind::ALL`].
    pub found: [u64; 6],
    /// What became of the sources.
    pub account: Account,
    /// The files of records and of evidence, with the heads of their chains.
    pub heads: Vec<Head>,
    /// Files of the destination that were read, and their bytes.
    pub read: (u64, u64),
    /// It was stopped before its end.
    pub stopped: bool,
}

impl Audited {
    /// Nothing is wrong, and nothing waits.
    pub fn is_well(&self) -> bool {
        self.found.iter().sum::<u64>() == 0 && self.account.failed + self.account.waiting == 0
    }
}

impl Audited {
    /// A head that was signed, and that no chain holds.
    pub fn unsigned(&mut self, destination: &Path, head: &str) -> Finding {
        self.found[Kind::Record as usize] += 1;
        let what = format!("no chain holds the head {head}: lines were taken out or written anew since");
        Finding { kind: Kind::Record, path: destination.join(files::STATE_DIR), to: None, what }
    }
}

impl Audit<'_> {
    /// Looks at everything.
    pub fn run(&self, told: &mut dyn FnMut(News)) -> Result<Audited, Error> {
        let mut all = Audited::default();
        let mut hear = Hear { found: &mut [0; 6], told };
        if ["migration", "import"].iter().any(|name| Journal::held(self.destination, name) == Some(true)) {
            hear.note("a run is writing there: what it does meanwhile may be told as added or missing".into());
        }
        if crate::is_archive(self.destination) {
            archive::look(self, &mut all, &mut hear)?;
        } else {
            tree::look(self, &mut all, &mut hear)?;
        }
        all.found = *hear.found;
        all.stopped = self.stopped();
        Ok(all)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Counts what is told.
pub(crate) struct Hear<'a> {
    found: &'a mut [u64; 6],
    told: &'a mut dyn FnMut(News),
}

impl Hear<'_> {
    pub(crate) fn find(&mut self, kind: Kind, path: &Path, what: impl Into<String>) {
        self.tell(Finding { kind, path: path.to_owned(), to: None, what: what.into() });
    }

    pub(crate) fn tell(&mut self, finding: Finding) {
        self.found[finding.kind as usize] += 1;
        (self.told)(News::Finding(&finding));
    }

    pub(crate) fn source(&mut self, notice: Notice) {
        (self.told)(News::Source(notice));
    }

    pub(crate) fn note(&mut self, line: String) {
        (self.told)(News::Note(line));
    }

    pub(crate) fn read(&mut self, bytes: u64) {
        (self.told)(News::Read(bytes));
    }
}

pub(crate) type Digest32 = [u8; 32];

/// The SHA-256 of a file, and its bytes.
pub(crate) fn hash(path: &Path, buffer: &mut Vec<u8>) -> io::Result<(Digest32, u64)> {
    buffer.resize(CHUNK, 0);
    let (mut file, mut hash, mut total) = (File::open(path)?, Sha256::new(), 0);
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok((hash.finalize().into(), total)),
            Ok(n) => {
                hash.update(&buffer[..n]);
                total += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Does `work` for each item on some threads, and hands over what came of it, in any order, until the stop.
pub(crate) fn each<I: Sync, T: Send>(
    items: &[I],
    jobs: usize,
    stop: &AtomicBool,
    work: impl Fn(&I, &mut Vec<u8>) -> T + Sync,
    mut done: impl FnMut(&I, T),
) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (results, inbox) = sync_channel(256);
        for _ in 0..jobs.max(1).min(items.len()) {
            let (results, next, work) = (results.clone(), &next, &work);
            scope.spawn(move || {
                let mut buffer = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(n) else { return };
                    if results.send((n, work(item, &mut buffer))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(results);
        for (n, result) in inbox {
            done(&items[n], result);
        }
    });
}
