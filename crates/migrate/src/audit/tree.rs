//! A folder tree: every file and every residue is held against the evidence.

use super::account::{self, Recorded};
use super::{Audit, Audited, Digest32, Finding, Hear, Kind, each, hash, sources};
use crate::error::{Error, Usage};
use crate::journal::{Checked, Journal};
use files::{
    Outcome,
    chain::{self, Head},
    heads,
    notice::reason,
    proofs::{self, Held, Ledger},
    residue_path,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What was found on the storage.
pub(super) struct There {
    pub path: PathBuf,
    /// A regular file; anything else is of no use.
    pub file: bool,
}

/// A file that should be there, or is, or both.
struct Task<'a> {
    path: PathBuf,
    /// Below the destination; of a residue, the file it belongs to.
    below: Option<&'a Path>,
    expected: Option<Expected>,
    file: bool,
}

/// What the evidence says of a file.
#[derive(Debug, Clone, Copy)]
struct Expected {
    bytes: u64,
    sha256: Digest32,
    /// A run died before it was known that the file got its place.
    pending: bool,
}

pub(super) fn look(audit: &Audit, all: &mut Audited, hear: &mut Hear) -> Result<(), Error> {
    let root = std::path::absolute(audit.destination).map_err(Error::io("read", audit.destination))?;
    let state = Journal::folder(&root);
    if !state.is_dir() {
        return Err(Usage::NotOurs(root).into());
    }
    let unreadable = |e| Error::io("read", &state)(e);
    let mut ledger = proofs::ledger(&state).map_err(unreadable)?;
    all.heads = heads(&state).map_err(unreadable)?;
    if !audit.sources.is_empty() && ledger.files.values().any(|held| held.deidentified) {
        return Err(Usage::SourcesUnknown(root).into());
    }
    let recorded = Recorded::read(&root, &state, &ledger)?;
    lines(&all.heads, hear);
    let evidence = state.join(proofs::EVIDENCE);
    // Of a run that has written nothing yet there is none.
    if !evidence.is_file() && !recorded.places.is_empty() {
        hear.find(Kind::Missing, &evidence, format!("there is no evidence of what is in {}", root.display()));
    }
    settled(&state, hear)?;
    let waiting = journals(&state, &all.heads, hear)?;
    strangers(&state, hear);

    let mut wrong = HashSet::new();
    let old = ledger.old || all.heads.iter().any(|head| head.unchained > 0);
    files(audit, &root, &mut ledger, &recorded, old, all, &mut wrong, hear)?;
    residues(audit, &root, &state, &ledger, all, hear)?;
    unrecorded(&root, &state, &ledger, &recorded, &all.heads, hear);
    quarantine(audit, &state, all, hear);
    if audit.stopped() {
        return Ok(());
    }
    all.account = match audit.sources {
        [] => account::of_records(&ledger, &recorded, &wrong),
        _ => sources::account(audit, &root, &ledger, &recorded, &wrong, hear)?,
    };
    all.account.waiting = waiting;
    Ok(())
}

/// Lines that are not what was written, or not in their place.
pub(super) fn lines(heads: &[Head], hear: &mut Hear) {
    for head in heads {
        for trouble in &head.troubles {
            hear.find(Kind::Record, &head.file, format!("line {}: {}", trouble.line, trouble.what));
        }
        if head.tail {
            hear.note(format!("{}: its last line is not finished: a run was killed", head.file.display()));
        }
        if let Some(after) = &head.after {
            let known = heads.iter().any(|other| other.head == *after);
            if !known && *after != head.head {
                hear.note(format!("{}: goes on from {after}, which is elsewhere", head.file.display()));
            }
        }
    }
}

/// What the evidence says of how far it is settled.
fn settled(state: &Path, hear: &mut Hear) -> Result<(), Error> {
    let (mark, evidence) = (state.join(proofs::SETTLED), state.join(proofs::EVIDENCE));
    // That the evidence is gone is told already.
    if !evidence.is_file() {
        return Ok(());
    }
    match fs::read_to_string(&mark) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        text => {
            let at = text.ok().and_then(|text| text.trim().parse::<u64>().ok());
            let ends = at.map(|at| ends_a_line(&evidence, at)).transpose().map_err(Error::io("read", &evidence))?;
            if ends != Some(true) {
                hear.find(Kind::Changed, &mark, "it is not the end of a line of the evidence");
            }
        }
    }
    Ok(())
}

/// Looks at the journals, and at what they know of where their logs end; how many items wait.
pub(super) fn journals(state: &Path, heads: &[Head], hear: &mut Hear) -> Result<u64, Error> {
    let mut waiting = 0;
    for name in ["migration", "import"] {
        let (path, log) = (state.join(format!("{name}.sqlite")), state.join(format!("{name}.jsonl")));
        let known = match Journal::checked(state, name) {
            Ok(None) => continue,
            Ok(Some(Checked { fault: Some(fault), .. })) => {
                hear.find(Kind::Changed, &path, format!("the journal is damaged: {fault}"));
                continue;
            }
            Ok(Some(checked)) => {
                waiting += checked.waiting;
                checked.head
            }
            Err(error) => {
                hear.find(Kind::Changed, &path, format!("the journal can't be read: {error}"));
                continue;
            }
        };
        let Some(known) = known else { continue };
        let Some(head) = heads.iter().find(|head| head.file == log) else {
            hear.find(Kind::Missing, &log, "the journal knows of records that were in it");
            continue;
        };
        let goes_on = head.head == known || head.after.as_deref() == Some(&*known) || !head.troubles.is_empty();
        if !goes_on && !chain::holds(&log, &known).map_err(Error::io("read", &log))? {
            hear.find(Kind::Record, &log, format!("lines at its end are missing: the journal knows it up to {known}"));
        }
    }
    Ok(waiting)
}

/// What nobody of us puts beside the records.
fn strangers(state: &Path, hear: &mut Hear) {
    let known = |name: &str| {
        let log = ["converted.jsonl", "migration.jsonl", "import.jsonl"];
        let run = name.strip_prefix("migration").or_else(|| name.strip_prefix("import"));
        let of_run =
            ["-tmp", ".sqlite", ".sqlite-wal", ".sqlite-shm", ".sqlite-journal", ".lock", ".status", ".status-new"];
        log.iter().any(|log| name.strip_prefix(log).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-'])))
            || run.is_some_and(|rest| of_run.contains(&rest))
            || ["residue", "quarantine", "tmp"].contains(&name)
            || ["evidence.", "opinions.", "control."].iter().any(|begin| name.starts_with(begin))
    };
    for entry in fs::read_dir(state).into_iter().flatten().flatten() {
        if !entry.file_name().to_str().is_some_and(known) {
            hear.find(Kind::Added, &entry.path(), "nothing of firstlight is called so");
        }
    }
    for name in ["opinions.json", "control.json"] {
        let path = state.join(name);
        let whole = fs::read(&path).map(|json| serde_json::from_slice::<serde::de::IgnoredAny>(&json).is_ok());
        if matches!(whole, Ok(false)) {
            hear.find(Kind::Changed, &path, "it is no JSON any more");
        }
    }
}

fn ends_a_line(path: &Path, at: u64) -> io::Result<bool> {
    use std::os::unix::fs::FileExt;
    if at == 0 {
        return Ok(true);
    }
    let (file, mut byte) = (fs::File::open(path)?, [0]);
    Ok(at <= file.metadata()?.len() && file.read_exact_at(&mut byte, at - 1).is_ok() && byte == *b"\n")
}

/// Every file of the tree.
#[allow(clippy::too_many_arguments)]
fn files(
    audit: &Audit,
    root: &Path,
    ledger: &mut Ledger,
    recorded: &Recorded,
    old: bool,
    all: &mut Audited,
    wrong: &mut HashSet<PathBuf>,
    hear: &mut Hear,
) -> Result<(), Error> {
    let there = walk(root, Some(&root.join(files::STATE_DIR)), hear);
    let on_disk: BTreeSet<&Path> = there.iter().filter_map(|there| there.path.strip_prefix(root).ok()).collect();
    let mut tasks: Vec<Task> = Vec::with_capacity(there.len());
    for there in &there {
        let Ok(below) = there.path.strip_prefix(root) else { continue };
        let expected = ledger.files.get(below).map(Expected::of);
        tasks.push(Task { path: there.path.clone(), below: Some(below), expected, file: there.file });
    }
    let mut missing: Vec<(PathBuf, PathBuf, Expected)> = Vec::new();
    for (below, held) in &ledger.files {
        if !on_disk.contains(below.as_path()) {
            missing.push((root.join(below), below.clone(), Expected::of(held)));
        }
    }
    let mut added = Vec::new();
    let mut kept_before = Vec::new();
    look_at(audit, &tasks, all, hear, |task, looked, hear| {
        let below = task.below.unwrap_or(&task.path);
        match (task.expected, looked) {
            (Some(expected), Ok((sha256, bytes))) => {
                if let Some(what) = expected.differs(sha256, bytes) {
                    wrong.insert(below.to_owned());
                    hear.find(Kind::Changed, &task.path, what);
                }
            }
            (Some(_), Err(what)) => {
                wrong.insert(below.to_owned());
                hear.find(Kind::Changed, &task.path, what);
            }
            (None, Ok((sha256, bytes))) => match recorded.kept.get(below).filter(|_| old) {
                // A version before wrote no evidence of what it kept.
                Some(known) if known.sha256 == sha256 => kept_before.push((below.to_owned(), known.held(bytes))),
                Some(_) => {
                    wrong.insert(below.to_owned());
                    hear.find(Kind::Changed, &task.path, "its bytes are not those of its source");
                }
                None => added.push((task.path.clone(), Some(sha256))),
            },
            (None, Err(_)) => added.push((task.path.clone(), None)),
        }
    });
    let place = |below: &Path| recorded.places.contains(below);
    wrong.extend(missing.iter().map(|(_, below, _)| below.clone()));
    let missing = missing.into_iter().map(|(path, _, expected)| (path, expected)).collect();
    let known: HashMap<Digest32, &PathBuf> = ledger.files.iter().map(|(below, held)| (held.sha256, below)).collect();
    let left = renamed(missing, added, hear);
    for (path, sha256) in left {
        let below = path.strip_prefix(root).unwrap_or(&path);
        let of = sha256.and_then(|sha256| known.get(&sha256));
        let what = match of {
            _ if place(below) => "the records tell of it, the evidence does not".into(),
            Some(of) => format!("nothing tells of it; its bytes are those of {}", root.join(of).display()),
            None => "nothing tells of it".to_owned(),
        };
        hear.find(Kind::Added, &path, what);
    }
    for below in recorded.places.iter().filter(|below| !on_disk.contains(below.as_path())) {
        let withdrawn = recorded.gone.contains(below);
        if !ledger.files.contains_key(below) && !withdrawn {
            wrong.insert(below.clone());
            hear.find(Kind::Missing, &root.join(below), "the records tell of it, the evidence does not");
        }
    }
    ledger.files.extend(kept_before);
    Ok(())
}

/// What leads back to the sources.
fn residues(
    audit: &Audit,
    root: &Path,
    state: &Path,
    ledger: &Ledger,
    all: &mut Audited,
    hear: &mut Hear,
) -> Result<(), Error> {
    let folder = state.join("residue");
    let mut expected: BTreeMap<PathBuf, (&Path, Option<Expected>)> = BTreeMap::new();
    for (below, held) in &ledger.files {
        let path = residue_path(&folder, below);
        if let Some((bytes, sha256)) = held.residue {
            expected.insert(path, (below, Some(Expected { bytes, sha256, pending: held.pending })));
        } else if held.outcome == Outcome::Converted && (held.source.is_none() || held.pending) {
            // Of an earlier version: there may be one, and nothing tells what it was.
            expected.insert(path, (below, None));
        }
    }
    let there = if folder.is_dir() { walk(&folder, None, hear) } else { Vec::new() };
    let on_disk: HashSet<&Path> = there.iter().map(|there| there.path.as_path()).collect();
    let of = |below: &Path| format!("the way back of {}", root.join(below).display());
    let missing: Vec<(PathBuf, Expected)> = expected
        .iter()
        .filter(|(path, _)| !on_disk.contains(path.as_path()))
        .filter_map(|(path, (_, expected))| Some((path.clone(), (*expected)?)))
        .collect();
    let tasks: Vec<Task> = there
        .iter()
        .filter_map(|there| match expected.get(&there.path) {
            Some((_, None)) => None,
            Some((below, expected)) => {
                Some(Task { path: there.path.clone(), below: Some(*below), expected: *expected, file: there.file })
            }
            None => Some(Task { path: there.path.clone(), below: None, expected: None, file: there.file }),
        })
        .collect();
    let mut added = Vec::new();
    look_at(audit, &tasks, all, hear, |task, looked, hear| match (task.expected, looked) {
        (Some(expected), Ok((sha256, bytes))) => {
            if let Some(what) = expected.differs(sha256, bytes) {
                hear.find(Kind::Changed, &task.path, format!("{}: {what}", of(task.below.unwrap_or(&task.path))));
            }
        }
        (Some(_), Err(what)) => hear.find(Kind::Changed, &task.path, what),
        (None, looked) => added.push((task.path.clone(), looked.ok().map(|(sha256, _)| sha256))),
    });
    for (path, _) in renamed(missing, added, hear) {
        hear.find(Kind::Added, &path, "it is the way back of no file that the evidence tells of");
    }
    Ok(())
}

/// What failed a check and is kept to be looked into.
fn quarantine(audit: &Audit, state: &Path, all: &mut Audited, hear: &mut Hear) {
    let quarantine = proofs::quarantine(state);
    let entries = match quarantine.list() {
        Ok(entries) => entries,
        Err(error) => return hear.find(Kind::Changed, quarantine.folder(), error.to_string()),
    };
    let tasks: Vec<_> = entries.iter().filter(|entry| entry.kept).collect();
    each(
        &tasks,
        audit.jobs,
        audit.stop,
        |entry, buffer| hash(&quarantine.file(entry), buffer),
        |entry, looked| {
            let path = quarantine.file(entry);
            match looked {
                Ok((sha256, bytes)) => {
                    all.read = (all.read.0 + 1, all.read.1 + bytes);
                    if proofs::hex(&sha256) != entry.sha256 {
                        hear.find(Kind::Changed, &path, "its bytes are not what was put there");
                    }
                }
                Err(error) => hear.find(Kind::Missing, &path, reason(&error)),
            }
        },
    );
}

/// Files that the evidence tells of and no record.
fn unrecorded(root: &Path, state: &Path, ledger: &Ledger, recorded: &Recorded, heads: &[Head], hear: &mut Hear) {
    let logs: Vec<&Head> =
        heads.iter().filter(|head| head.file.file_name().is_some_and(|name| name != proofs::EVIDENCE)).collect();
    if logs.is_empty() {
        if !ledger.files.is_empty() {
            hear.find(
                Kind::Missing,
                &state.join("converted.jsonl"),
                "there is no record of what was done, nor in migration.jsonl",
            );
        }
        return;
    }
    let elsewhere =
        |head: &&Head| head.after.as_ref().is_some_and(|after| !heads.iter().any(|other| other.head == *after));
    if logs.iter().any(elsewhere) {
        // Records that were rotated away are elsewhere.
        return;
    }
    for (below, held) in &ledger.files {
        if !held.pending && !recorded.places.contains(below) {
            hear.find(Kind::Record, &root.join(below), "the evidence tells of it, and no record does");
        }
    }
}

type Looked = Result<(Digest32, u64), String>;

fn look_at<'a>(
    audit: &Audit,
    tasks: &[Task<'a>],
    all: &mut Audited,
    hear: &mut Hear,
    mut done: impl FnMut(&Task<'a>, Looked, &mut Hear),
) {
    let work = |task: &Task, buffer: &mut Vec<u8>| match task.file {
        true => hash(&task.path, buffer).map_err(|e| format!("it cannot be read: {}", reason(&e))),
        false => Err("it is not a file any more".to_owned()),
    };
    each(tasks, audit.jobs, audit.stop, work, |task, looked| {
        if let Ok((_, bytes)) = &looked {
            all.read = (all.read.0 + 1, all.read.1 + bytes);
            hear.read(*bytes);
        }
        done(task, looked, hear);
    });
}

/// What is missing and found under another name is renamed, the rest of it missing; what is added for no such reason is returned.
fn renamed(
    missing: Vec<(PathBuf, Expected)>,
    added: Vec<(PathBuf, Option<Digest32>)>,
    hear: &mut Hear,
) -> Vec<(PathBuf, Option<Digest32>)> {
    let mut by_hash: HashMap<Digest32, Vec<PathBuf>> = HashMap::new();
    for (path, sha256) in &added {
        if let Some(sha256) = sha256 {
            by_hash.entry(*sha256).or_default().push(path.clone());
        }
    }
    let mut taken = HashSet::new();
    for (path, expected) in missing {
        match by_hash.get_mut(&expected.sha256).and_then(Vec::pop) {
            Some(to) => {
                taken.insert(to.clone());
                let what = format!("it is {} now", to.display());
                hear.tell(Finding { kind: Kind::Renamed, path, to: Some(to), what });
            }
            // The next run makes it.
            None if expected.pending => {}
            None => hear.find(Kind::Missing, &path, "it is not there"),
        }
    }
    added.into_iter().filter(|(path, _)| !taken.contains(path)).collect()
}

/// All below a folder, in the order of names; links are not followed.
pub(super) fn walk(folder: &Path, outside: Option<&Path>, hear: &mut Hear) -> Vec<There> {
    let (mut there, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) => {
                hear.find(Kind::Changed, &folder, format!("the folder cannot be read: {}", reason(&e)));
                continue;
            }
        };
        for entry in entries.flatten() {
            let path = entry.path();
            match entry.file_type() {
                _ if Some(&*path) == outside => {}
                Ok(kind) if kind.is_dir() => folders.push(path),
                Ok(kind) => there.push(There { path, file: kind.is_file() }),
                Err(_) => there.push(There { path, file: false }),
            }
        }
    }
    there.sort_by(|a, b| a.path.cmp(&b.path));
    there
}

impl Expected {
    fn of(held: &Held) -> Expected {
        Expected { bytes: held.bytes, sha256: held.sha256, pending: held.pending }
    }

    fn differs(&self, sha256: Digest32, bytes: u64) -> Option<String> {
        if bytes != self.bytes {
            return Some(format!("it has {bytes} bytes instead of {}", self.bytes));
        }
        (sha256 != self.sha256).then(|| "its bytes are not what was written".to_owned())
    }
}
