//! The sources as they are now: walked like those of a migration, each hashed, and found again in the destination.

use super::account::{Account, Recorded};
use super::{Audit, Digest32, Hear, Kind, each, hash};
use crate::Error;
use crate::journal::{Journal, Kind as How, Order, Row};
use crate::source::{Fetch, FetchError, Indexes, Origin, Scan, ScanEvent, Server};
use dicom::{LIKELY_HEAD, is_likely_dicom};
use files::{Outcome, notice::reason, proofs::Ledger};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Items that are read together.
const BATCH: usize = 256;

/// A source that was read.
pub(super) struct Seen {
    pub name: PathBuf,
    pub sha256: Digest32,
    pub dicom: bool,
    pub bytes: u64,
}

/// Looks for every source in the destination.
pub(super) fn account(
    audit: &Audit,
    root: &Path,
    ledger: &Ledger,
    recorded: &Recorded,
    wrong: &HashSet<PathBuf>,
    hear: &mut Hear,
) -> Result<Account, Error> {
    let mut account = Account { looked: true, ..Account::default() };
    let mut by_hash: HashMap<Digest32, Vec<&PathBuf>> = HashMap::new();
    for (below, held) in &ledger.files {
        if let Some(sha256) = held.source_sha256 {
            by_hash.entry(sha256).or_default().push(below);
        }
    }
    let mut seen = HashSet::new();
    walk(audit, root, hear, &mut |looked, hear| {
        account.sources += 1;
        let source = match looked {
            Ok(source) => source,
            Err((name, why)) => {
                account.failed += 1;
                hear.note(format!("{}: {why}", name.display()));
                seen.insert(name);
                return;
            }
        };
        seen.insert(source.name.clone());
        if let Some(brief) = recorded.sources.get(&source.name) {
            if brief.sha256.is_some_and(|sha256| sha256 != source.sha256) {
                account.changed += 1;
                hear.note(format!("{}: it changed since it was taken", source.name.display()));
            }
            return match (brief.outcome, source.dicom) {
                (Outcome::Failed, _) => {
                    account.failed += 1;
                    let why = brief.reason.as_deref().unwrap_or_default();
                    hear.find(Kind::Lost, &source.name, format!("it failed: {why}"));
                }
                // What was no DICOM may be by now.
                (Outcome::Skipped, true) => {
                    account.missing += 1;
                    hear.find(Kind::Lost, &source.name, "it was passed over, and it is DICOM");
                }
                _ => account.add(brief, ledger, wrong),
            };
        }
        let places = by_hash.get(&source.sha256).into_iter().flatten();
        match places.filter(|place| !wrong.contains(**place)).find_map(|place| ledger.files.get(*place)) {
            // It had another name when it was taken.
            Some(held) => account.hold(held, None),
            None if !source.dicom => account.skipped += 1,
            None => {
                account.missing += 1;
                hear.find(Kind::Lost, &source.name, "it is in no record and, by its bytes, not in the destination");
            }
        }
    })?;
    let roots: Vec<PathBuf> = audit.sources.iter().filter_map(|source| std::path::absolute(source).ok()).collect();
    for (source, brief) in &recorded.sources {
        if !seen.contains(source) && roots.iter().any(|root| source.starts_with(root) || packed(source, root)) {
            account.sources += 1;
            account.gone += 1;
            account.add(brief, ledger, wrong);
        }
    }
    Ok(account)
}

/// Is the source an entry of this packed file?
fn packed(source: &Path, root: &Path) -> bool {
    let (source, root) = (source.as_os_str().as_encoded_bytes(), root.as_os_str().as_encoded_bytes());
    source.strip_prefix(root).is_some_and(|rest| rest.starts_with(b"!"))
}

type Looked = Result<Seen, (PathBuf, String)>;

/// Reads every source.
pub(super) fn walk(
    audit: &Audit,
    root: &Path,
    hear: &mut Hear,
    told: &mut dyn FnMut(Looked, &mut Hear),
) -> Result<(), Error> {
    let mut journal = Journal::open(audit.scratch, "audit", Order::AsFound)?;
    let (mut numbers, mut servers) = (Vec::new(), Vec::<Server>::new());
    for path in audit.sources {
        let origin = Origin::of(path, audit.headers)?;
        if let Origin::Path(path) = &origin {
            std::fs::metadata(path).map_err(Error::io("read", path))?;
        }
        let (source, _) = journal.source(&origin.name())?;
        let mut notes = Vec::new();
        let mut scan = Scan {
            journal: &mut journal,
            source,
            mirror: false,
            outside: root.canonicalize().ok(),
            heads: false,
            jobs: audit.jobs,
            stop: audit.stop,
            indexes: Indexes::default(),
            told: &mut |walked| match walked {
                ScanEvent::Note(notice) | ScanEvent::Trouble(notice) => notes.push(notice),
                ScanEvent::Found(_) | ScanEvent::Collision(_) => {}
            },
        };
        scan.take(&origin)?;
        notes.into_iter().for_each(|notice| hear.source(notice));
        if let Origin::Web(server) = origin {
            servers.push(server);
        }
        numbers.push(source);
    }
    let spool = audit.scratch.join("copies");
    std::fs::create_dir_all(&spool).map_err(Error::io("make", &spool))?;
    let mut after = (i64::MIN, 0);
    while !audit.stopped() {
        let rows = journal.next(&numbers, after, BATCH)?;
        let Some(last) = rows.last() else { break };
        after = (last.rank, last.id);
        // The entries of one stream are read in one pass over it.
        let mut groups: Vec<Vec<Row>> = Vec::new();
        for row in rows {
            match groups.last_mut() {
                Some(group) if row.kind == How::Stream && group[0].kind == How::Stream && group[0].path == row.path => {
                    group.push(row);
                }
                _ => groups.push(vec![row]),
            }
        }
        let groups: Vec<(usize, Vec<Row>)> = groups.into_iter().enumerate().collect();
        each(
            &groups,
            audit.jobs,
            audit.stop,
            |(n, rows), buffer| read(rows, &mut Fetch::new(&spool, &servers, audit.stop, *n), buffer),
            |_, all| {
                for looked in all {
                    if let Ok(seen) = &looked {
                        hear.read(seen.bytes);
                    }
                    told(looked, hear);
                }
            },
        );
    }
    Ok(())
}

fn read(rows: &[Row], fetch: &mut Fetch, buffer: &mut Vec<u8>) -> Vec<Looked> {
    let mut all = Vec::with_capacity(rows.len());
    if rows.first().is_some_and(|row| row.kind == How::Stream) {
        fetch.stream(rows, |row, copy| all.push(look(row, copy.as_ref().map(|copy| copy.path()), buffer)));
    } else {
        for row in rows {
            let copy = fetch.fetch(row);
            let path = copy.as_ref().map(|copy| copy.as_ref().map_or(&*row.path, |copy| copy.path()));
            all.push(look(row, path, buffer));
        }
    }
    all
}

fn look(row: &Row, path: Result<&Path, &FetchError>, buffer: &mut Vec<u8>) -> Looked {
    let name = row.shown();
    let path = match path {
        Ok(path) => path,
        Err(FetchError::Refused(why) | FetchError::Failed(why, _)) => return Err((name, why.clone())),
        Err(FetchError::Full) => return Err((name, "there is no room for a copy of it".into())),
    };
    let looked = hash(path, buffer).and_then(|(sha256, bytes)| {
        let mut head = Vec::new();
        File::open(path)?.take(LIKELY_HEAD as u64).read_to_end(&mut head)?;
        let called =
            if row.name.is_empty() { row.path.as_path() } else { Path::new(std::ffi::OsStr::from_bytes(&row.name)) };
        Ok(Seen { dicom: is_likely_dicom(&head, called), sha256, bytes, name: name.clone() })
    });
    looked.map_err(|e| (name, format!("it cannot be read: {}", reason(&e))))
}
