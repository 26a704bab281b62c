//! What became of the sources: of so many, so many converted and proven, kept and equal, unreadable, and so on.

use super::Digest32;
use crate::Error;
use files::{
    Outcome, Record,
    proofs::{Held, Ledger},
    records::{self, LogLine},
};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Counts of sources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// All that were to be taken.
    pub sources: u64,
    /// Converted, and the file is what was proven.
    pub converted: u64,
    /// Of those: with no way back to the bytes that came in.
    pub one_way: u64,
    /// Why there is none.
    pub one_way_reasons: BTreeMap<String, u64>,
    /// Kept byte for byte.
    pub kept: u64,
    /// DICOM that can't be read, kept byte for byte.
    pub unreadable: u64,
    /// Why it can't be read.
    pub unreadable_reasons: BTreeMap<String, u64>,
    /// Not DICOM.
    pub skipped: u64,
    /// The environment was in the way.
    pub failed: u64,
    /// Converted, kept or unreadable, and what is in the destination is not what was written.
    pub wrong: u64,
    /// In no destination.
    pub missing: u64,
    /// Items of a migration that still wait.
    pub waiting: u64,
    /// The sources themselves were read.
    pub looked: bool,
    /// Sources that changed since they were taken: judged by their records.
    pub changed: u64,
    /// Sources that are not there any more, likewise.
    pub gone: u64,
    /// The destination is de-identified: what it came from is not known by name.
    pub deidentified: bool,
}

/// What records tell of.
pub(super) struct Recorded {
    /// The last record of each source.
    pub sources: HashMap<PathBuf, Brief>,
    /// Places of the destination that a record tells of, below it.
    pub places: HashSet<PathBuf>,
    /// Places whose last record says that nothing is there.
    pub gone: HashSet<PathBuf>,
    /// Places that hold copies of their sources.
    pub kept: HashMap<PathBuf, Copy>,
}

/// What a record says, without what is of no use here.
pub(super) struct Brief {
    pub outcome: Outcome,
    pub place: Option<PathBuf>,
    pub sha256: Option<Digest32>,
    pub reason: Option<String>,
    finished: Option<i64>,
    deidentified: bool,
    /// A residue was kept; an earlier version did not say so in its evidence.
    residue: bool,
    no_way_back: Option<String>,
}

/// A file that is a copy of its source.
pub(super) struct Copy {
    pub sha256: Digest32,
    outcome: Outcome,
    reason: Option<String>,
    source: PathBuf,
}

impl Copy {
    /// What evidence would have said of it.
    pub fn held(&self, bytes: u64) -> Held {
        Held {
            outcome: self.outcome,
            sha256: self.sha256,
            bytes,
            residue: None,
            no_way_back: None,
            reason: self.reason.clone(),
            source: Some(self.source.clone()),
            source_sha256: Some(self.sha256),
            deidentified: false,
            line: 0,
            pending: false,
        }
    }
}

impl Recorded {
    pub fn read(root: &Path, state: &Path, ledger: &Ledger) -> Result<Recorded, Error> {
        let mut roots = Roots { known: vec![root.to_owned()], ledger };
        let mut all =
            Recorded { sources: HashMap::new(), places: HashSet::new(), gone: HashSet::new(), kept: HashMap::new() };
        for told in records::read(state) {
            let LogLine::Record { record, .. } = told.map_err(Error::io("read", state))? else { continue };
            all.add(&mut roots, *record);
        }
        Ok(all)
    }

    fn add(&mut self, roots: &mut Roots, record: Record) {
        let written = matches!(record.outcome, Outcome::Converted | Outcome::Kept | Outcome::Unreadable);
        let place = record.destination.as_deref().filter(|_| written).and_then(|path| roots.below(path));
        let sha256 = record.source_sha256.as_deref().and_then(files::proofs::digest);
        if let Some(place) = &place {
            self.gone.remove(place);
            self.places.insert(place.clone());
            match (record.outcome, sha256, &record.deidentified) {
                (Outcome::Kept | Outcome::Unreadable, Some(sha256), None) => {
                    let (outcome, reason, source) = (record.outcome, record.reason.clone(), record.source.clone());
                    self.kept.insert(place.clone(), Copy { sha256, outcome, reason, source });
                }
                _ => drop(self.kept.remove(place)),
            }
        }
        let before = self.sources.get(&record.source);
        if before.is_some_and(|before| before.finished > record.finished) {
            return;
        }
        let brief = Brief {
            outcome: record.outcome,
            place,
            sha256,
            reason: record.reason,
            finished: record.finished,
            deidentified: record.deidentified.is_some(),
            residue: record.residue_bytes.is_some(),
            no_way_back: record.no_way_back,
        };
        self.sources.insert(record.source, brief);
    }
}

/// Where the destination was when its records were written: it may have been moved since.
struct Roots<'a> {
    known: Vec<PathBuf>,
    ledger: &'a Ledger,
}

impl Roots<'_> {
    /// The place of a file below the destination.
    fn below(&mut self, path: &Path) -> Option<PathBuf> {
        let is_known = |below: &&Path| self.ledger.files.contains_key(*below) || self.known[0].join(below).exists();
        let strip = |root: &PathBuf| path.strip_prefix(root).ok().filter(|below| !below.as_os_str().is_empty());
        if let Some(below) = strip(&self.known[0]).or_else(|| self.known.iter().filter_map(strip).find(is_known)) {
            return Some(below.to_owned());
        }
        // The longest end of the path that is known tells where the destination was.
        let roots = path.ancestors().skip(1).collect::<Vec<_>>();
        let found = roots.iter().rev().find_map(|root| {
            let below = path.strip_prefix(root).ok().filter(|below| self.ledger.files.contains_key(*below))?;
            Some((root.to_path_buf(), below.to_owned()))
        });
        if let Some((root, below)) = found {
            self.known.push(root);
            return Some(below);
        }
        self.known.iter().rev().find_map(strip).or(path.file_name().map(Path::new)).map(Path::to_owned)
    }
}

/// Counts what records say.
pub(super) fn of_records(ledger: &Ledger, recorded: &Recorded, wrong: &HashSet<PathBuf>) -> Account {
    let mut account = Account::default();
    for brief in recorded.sources.values() {
        account.sources += 1;
        account.add(brief, ledger, wrong);
        account.deidentified |= brief.deidentified;
    }
    account
}

impl Account {
    /// Counts a source by what was recorded of it.
    pub(super) fn add(&mut self, brief: &Brief, ledger: &Ledger, wrong: &HashSet<PathBuf>) {
        match brief.outcome {
            Outcome::Skipped => self.skipped += 1,
            Outcome::Failed => self.failed += 1,
            Outcome::Unreadable if brief.place.is_none() => self.unreadable(brief.reason.as_deref()),
            outcome => {
                let held = brief.place.as_ref().filter(|place| !wrong.contains(*place));
                let held = held.and_then(|place| ledger.files.get(place));
                match held {
                    Some(held) if held.outcome == outcome || held.deidentified => self.hold(held, Some(brief)),
                    _ => self.wrong += 1,
                }
            }
        }
    }

    /// Counts a source by the file that it became, which is what was written.
    pub(super) fn hold(&mut self, held: &Held, brief: Option<&Brief>) {
        let outcome = brief.map_or(held.outcome, |brief| brief.outcome);
        match outcome {
            Outcome::Converted => {
                self.converted += 1;
                let residue = held.residue.is_some() || brief.is_some_and(|brief| brief.residue);
                if !residue {
                    let why = held.no_way_back.as_deref().or(brief.and_then(|brief| brief.no_way_back.as_deref()));
                    let usual = if held.deidentified { "it is de-identified" } else { "none was asked for" };
                    self.one_way += 1;
                    *self.one_way_reasons.entry(general(why.unwrap_or(usual))).or_default() += 1;
                }
            }
            Outcome::Unreadable => self.unreadable(held.reason.as_deref()),
            _ => self.kept += 1,
        }
    }

    pub(super) fn unreadable(&mut self, reason: Option<&str>) {
        self.unreadable += 1;
        *self.unreadable_reasons.entry(general(reason.unwrap_or("the reason is not known"))).or_default() += 1;
    }
}

fn general(reason: &str) -> String {
    transcode::general_reason(reason).chars().take(160).collect()
}
