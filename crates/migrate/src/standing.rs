//! How a migration stands, for whoever asks from outside: the process that runs it tells in `DST/.firstlight/migration.status`
//! (`import.status`) every two seconds and at its end; whether that process lives is told by the lock it holds.
//!
//! The file holds counts, rates and general reasons, and no name of a source.

use crate::control::Control;
use crate::error::{Error, Usage};
use crate::estimate::Plan;
use crate::journal::{Counts, Journal};
use crate::run::Snapshot;
use crate::throttle::Hold;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often it is told.
const EVERY: Duration = Duration::from_secs(2);
/// Where a file system has no locks: a process that has told nothing for so many seconds is dead.
const SILENT: i64 = 60;

/// What the process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It walks the sources.
    #[default]
    Census,
    /// It converts a sample to nowhere.
    Plan,
    /// It does what waits.
    Run,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ended {
    /// Nothing waits any more.
    Finished,
    /// Only the plan was asked for.
    Planned,
    /// It was stopped.
    Stopped,
    /// An error ended it.
    Failed,
}

/// What is in the file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Told {
    pid: u32,
    /// When the process began and when it last told, in seconds since 1970.
    began: i64,
    told: i64,
    phase: Phase,
    ended: Option<Ended>,
    /// Files that the walk has found so far.
    found: u64,
    hold: Option<String>,
    items_rate: f64,
    bytes_rate: f64,
    left: Option<f64>,
    counts: Option<Counts>,
    convert: bool,
}

/// The process's side.
pub(crate) struct Telling {
    path: PathBuf,
    told: Told,
    last: Option<Instant>,
}

impl Telling {
    pub fn begin(destination: &Path, name: &str, convert: bool) -> Result<Telling, Error> {
        let (pid, now) = (std::process::id(), now());
        let told = Told { pid, began: now, convert, ..Told::default() };
        let mut telling = Telling { path: path(destination, name), told, last: None };
        telling.write().map_err(Error::io("write", &telling.path))?;
        Ok(telling)
    }

    /// The walk has found so many files.
    pub fn scanned(&mut self, found: u64) {
        self.told.found = found;
        self.now_and_then();
    }

    pub fn planning(&mut self) {
        self.told.phase = Phase::Plan;
        let _ = self.write();
    }

    pub fn look(&mut self, snapshot: &Snapshot) {
        let told = &mut self.told;
        let hold = snapshot.hold.map(|hold| match hold {
            Hold::Paused => "paused".to_owned(),
            Hold::Hours(hours) => format!("waits for the hours {hours}"),
        });
        let changed = told.phase != Phase::Run || told.hold != hold;
        (told.phase, told.hold) = (Phase::Run, hold);
        (told.items_rate, told.bytes_rate) = (snapshot.items_rate, snapshot.bytes_rate);
        told.left = snapshot.left.map(|left| left.as_secs_f64());
        if changed || self.due() {
            self.told.counts = Some(snapshot.counts.clone());
            let _ = self.write();
        }
    }

    pub fn end(&mut self, ended: Ended, counts: Counts) {
        (self.told.ended, self.told.counts) = (Some(ended), Some(counts));
        (self.told.items_rate, self.told.bytes_rate, self.told.left, self.told.hold) = (0.0, 0.0, None, None);
        let _ = self.write();
    }

    fn due(&self) -> bool {
        self.last.is_none_or(|last| last.elapsed() >= EVERY)
    }

    fn now_and_then(&mut self) {
        if self.due() {
            let _ = self.write();
        }
    }

    /// Whole or not at all. What can't be told now is told later: it must not end a migration.
    fn write(&mut self) -> std::io::Result<()> {
        self.last = Some(Instant::now());
        self.told.told = now();
        let new = self.path.with_extension("status-new");
        fs::write(&new, serde_json::to_vec(&self.told)?)?;
        fs::rename(&new, &self.path)
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        if self.told.ended.is_none() {
            self.told.ended = Some(Ended::Failed);
            let _ = self.write();
        }
    }
}

/// How a migration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A process is at it.
    Running,
    /// A process has it and begins nothing new: it was paused, or the hours are others.
    Paused,
    /// It was stopped, by Ctrl-C or an error; the same command goes on.
    Stopped,
    /// The process is gone without a word: killed, or the machine went down. The same command goes on.
    Dead,
    /// Nothing waits any more.
    Finished,
}

/// What is known of a migration from outside.
#[derive(Debug)]
pub struct Standing {
    /// Is it going on?
    pub state: State,
    /// What the process does, or did last.
    pub phase: Phase,
    /// How the last process ended, if it said so.
    pub ended: Option<Ended>,
    /// Why nothing new is begun.
    pub hold: Option<String>,
    /// Files that the walk has found so far, while it walks.
    pub found: u64,
    /// What is recorded.
    pub counts: Counts,
    /// What its samples tell of what waits.
    pub plan: Plan,
    /// Files a second, bytes a second.
    pub rates: (f64, f64),
    /// Seconds left at that rate.
    pub left: Option<f64>,
    /// When the process began, and when it last told, in seconds since 1970.
    pub told: Option<(i64, i64)>,
    /// Its number.
    pub pid: Option<u32>,
    /// It converts, or only stores.
    pub convert: bool,
    /// What was said to it.
    pub control: Control,
}

impl Standing {
    /// Looks at the migration (or, where there is none, the import) into `destination`.
    pub fn of(destination: &Path) -> Result<Standing, Error> {
        let known = |name: &&str| path(destination, name).is_file() || journal(destination, name).is_file();
        let Some(name) = ["migration", "import"].into_iter().find(known) else {
            return Err(Usage::NoMigration(destination.to_owned()).into());
        };
        let told = fs::read(path(destination, name)).ok().and_then(|json| serde_json::from_slice::<Told>(&json).ok());
        let known = told.is_some();
        let told = told.unwrap_or_else(|| Told { convert: name == "migration", ..Told::default() });
        let (counts, plan) = match Journal::look(&Journal::folder(destination), name)? {
            Some((counts, classes)) => (counts, Plan::of(classes)),
            // Its journal lies elsewhere: it names sources that are not to be known here.
            None => (told.counts.clone().unwrap_or_default(), Plan::default()),
        };
        let lives = Journal::held(destination, name).unwrap_or(known && now() - told.told < SILENT);
        let control = Control::read(destination);
        let state = match (lives, told.ended) {
            (true, _) if control.paused || told.hold.is_some() => State::Paused,
            (true, _) => State::Running,
            (false, Some(Ended::Finished)) if counts.waiting.0 == 0 => State::Finished,
            (false, Some(_)) => State::Stopped,
            (false, None) if known => State::Dead,
            // One of an earlier version, that told nothing.
            (false, None) if counts.waiting.0 == 0 => State::Finished,
            (false, None) => State::Stopped,
        };
        let rates = if lives { (told.items_rate, told.bytes_rate) } else { (0.0, 0.0) };
        Ok(Standing {
            state,
            phase: told.phase,
            ended: told.ended,
            hold: told.hold.filter(|_| lives),
            found: told.found,
            counts,
            plan,
            rates,
            left: told.left.filter(|_| lives),
            told: known.then_some((told.began, told.told)),
            pid: (known && lives).then_some(told.pid),
            convert: told.convert,
            control,
        })
    }
}

fn path(destination: &Path, name: &str) -> PathBuf {
    Journal::folder(destination).join(format!("{name}.status"))
}

fn journal(destination: &Path, name: &str) -> PathBuf {
    Journal::folder(destination).join(format!("{name}.sqlite"))
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Order;

    #[test]
    fn running_paused_stopped_finished_and_dead_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let state = || Standing::of(root).unwrap().state;
        assert!(Standing::of(root).is_err());

        let journal = Journal::open(root, "migration", Order::AsFound).unwrap();
        let mut telling = Telling::begin(root, "migration", true).unwrap();
        assert_eq!(state(), State::Running);
        Control { paused: true, ..Control::default() }.write(root).unwrap();
        assert_eq!(state(), State::Paused);
        Control::default().write(root).unwrap();
        let snapshot = Snapshot { hold: Some(Hold::Hours("20:00-06:00".parse().unwrap())), ..Snapshot::default() };
        telling.look(&snapshot);
        let standing = Standing::of(root).unwrap();
        assert_eq!(
            (standing.state, standing.hold.as_deref()),
            (State::Paused, Some("waits for the hours 20:00-06:00"))
        );
        telling.look(&Snapshot { items_rate: 3.0, left: Some(Duration::from_secs(9)), ..Snapshot::default() });
        assert_eq!((state(), Standing::of(root).unwrap().left), (State::Running, Some(9.0)));

        // The process is gone, and has not said that it ends.
        drop(journal);
        std::mem::forget(telling);
        let standing = Standing::of(root).unwrap();
        assert_eq!((standing.state, standing.left, standing.pid), (State::Dead, None, None));

        for (ended, state_of) in [
            (Some(Ended::Stopped), State::Stopped),
            (Some(Ended::Planned), State::Stopped),
            (Some(Ended::Finished), State::Finished),
            (None, State::Stopped),
        ] {
            let mut telling = Telling::begin(root, "migration", true).unwrap();
            if let Some(ended) = ended {
                telling.end(ended, Counts::default());
            }
            drop(telling);
            assert_eq!(state(), state_of, "{ended:?}");
        }
    }
}
