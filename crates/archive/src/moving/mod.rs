//! Moving: all objects and all rows of an archive into a new place, whatever engines the two have, while the old one goes on.
//!
//! The order is: the objects that are named now, the rows as they are at one moment, the objects that these name beside, and then all rows of both
//! are held against each other. A run that is stopped or killed is gone on with by the next, which takes what came since. The new archive can be
//! opened once all of it is there and nothing had the old one open meanwhile; the old one is only read.

mod destination;
mod objects;
mod rows;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use store::index::place::written;
use store::index::{Snapshot, StoredRow};
use store::objects::place::Keeping;

use crate::archive::Archive;
use crate::error::Error;
use destination::{Arriving, Opened};

/// Where an archive is moved to.
#[derive(Debug, Clone, Default)]
pub struct Destination {
    /// The folder of the new archive, which is new or empty, or has what an earlier run made.
    pub folder: PathBuf,
    /// Where its index is.
    pub index: store::index::place::Keeping,
    /// Where its objects are.
    pub objects: Keeping,
}

/// What a run is at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stage {
    /// Objects are copied.
    #[default]
    Objects,
    /// Rows are written.
    Rows,
    /// All rows are read again, and compared.
    Comparing,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Arrival {
    /// Something is missing: see [`Moved::faults`].
    #[default]
    Incomplete,
    /// All is there that was there at one moment, and the old archive is in use: the next run takes what comes meanwhile.
    InUse,
    /// All of it is there, and the new archive can be opened.
    Complete,
    /// An earlier run moved all of it.
    Earlier,
}

/// What a run did.
#[derive(Debug, Clone, Default)]
pub struct Moved {
    /// What it is at.
    pub stage: Stage,
    /// How it ended.
    pub arrival: Arrival,
    /// Objects that the old index names.
    pub listed: u64,
    /// Objects that were copied, each compared with its hash where it came from and where it went.
    pub copied: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that an earlier run copied.
    pub there: u64,
    /// Objects that an earlier run copied and that were deleted since: they were removed.
    pub removed: u64,
    /// Rows that were written.
    pub written: u64,
    /// Rows that an earlier run wrote and that are gone or changed since: they were taken out.
    pub taken_out: u64,
    /// Rows that were compared and are the same.
    pub compared: u64,
    /// What could not be copied, and why.
    pub faults: Vec<(String, String)>,
}

/// What there is to be moved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToMove {
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
    /// Tables with rows.
    pub tables: u64,
    /// The archive is in use.
    pub in_use: bool,
}

/// What a run is told by, and tells.
struct Told<'a> {
    stop: &'a AtomicBool,
    told: &'a mut dyn FnMut(&Moved),
    done: Moved,
}

/// The run was stopped.
struct Stopped;

impl Archive {
    /// Moves this archive, which is in the folder `from`. `told` is called now and then. `None` when `stop` was set: the next run goes on.
    pub fn move_to(
        &self,
        from: &Path,
        to: &Destination,
        stop: &AtomicBool,
        told: &mut dyn FnMut(&Moved),
    ) -> Result<Option<Moved>, Error> {
        let name = name_of(from)?;
        let arriving = match destination::open(to, &name)? {
            Opened::Arriving(arriving) => *arriving,
            Opened::Arrived => return Ok(Some(Moved { arrival: Arrival::Earlier, ..Moved::default() })),
        };
        let mut run = Told { stop, told, done: Moved::default() };
        match self.moved(arriving, &mut run)? {
            Ok(()) => Ok(Some(run.done)),
            Err(Stopped) => Ok(None),
        }
    }

    /// What [`Archive::move_to`] would move now; nothing is made.
    pub fn to_move(&self) -> Result<ToMove, Error> {
        let (objects, bytes) = objects::named(&*self.inner.index)?;
        let moment = self.inner.index.snapshot()?;
        let counts = moment.tables()?.iter().map(|table| moment.count(table)).collect::<Result<Vec<u64>, _>>()?;
        let (rows, tables) = (counts.iter().sum(), counts.iter().filter(|count| **count > 0).count() as u64);
        Ok(ToMove { objects, bytes, rows, tables, in_use: self.is_in_use()? })
    }

    fn moved(&self, arriving: Arriving, run: &mut Told<'_>) -> Result<Result<(), Stopped>, Error> {
        let in_use = self.is_in_use()?;
        run.done.listed = objects::named(&*self.inner.index)?.0;
        // Most of it, while rows may still come.
        if let Err(stopped) = objects::copy(&self.inner, &*self.inner.index, &arriving, run)? {
            return Ok(Err(stopped));
        }
        let moment = self.inner.index.snapshot()?;
        run.done.stage = Stage::Rows;
        if let Err(stopped) = rows::write(&*moment, &*arriving.index, run)? {
            return Ok(Err(stopped));
        }
        // And what these rows name that was not there yet. What is missing now was deleted for good meanwhile, or is lost.
        run.done.stage = Stage::Objects;
        let missing = match objects::copy(&self.inner, &*arriving.index, &arriving, run)? {
            Ok(missing) => missing,
            Err(stopped) => return Ok(Err(stopped)),
        };
        run.done.stage = Stage::Comparing;
        if let Err(stopped) = rows::compare(&*moment, &*arriving.index, run)? {
            return Ok(Err(stopped));
        }
        run.done.removed += arriving.remove_others()?;
        let changed = in_use || self.is_in_use()? || counts(&*moment)? != counts(&*self.inner.index.snapshot()?)?;
        if !changed {
            let lost = missing.into_iter().map(|key| (key.to_string(), "it is not in the store".to_owned()));
            run.done.faults.extend(lost);
        }
        run.done.arrival = match (run.done.faults.is_empty(), changed) {
            (false, _) => Arrival::Incomplete,
            (true, true) => Arrival::InUse,
            (true, false) => {
                let highest = moment.highest()?;
                drop(moment);
                arriving.end(&highest)?;
                Arrival::Complete
            }
        };
        Ok(Ok(()))
    }

    /// Has another program this archive open?
    fn is_in_use(&self) -> Result<bool, Error> {
        let beside = self.inner.spool.has_others().map_err(Error::io("looking into the spool"))?;
        Ok(beside || self.inner.index.is_used_by_others()?)
    }
}

impl Told<'_> {
    fn is_stopped(&self) -> bool {
        self.stop.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn tell(&mut self) {
        (self.told)(&self.done);
    }
}

/// The counts of all that is stored.
fn counts(moment: &dyn Snapshot) -> Result<Vec<StoredRow>, Error> {
    match moment.tables()?.last() {
        Some(counts) => Ok(moment.rows(counts, None, 1000)?),
        None => Ok(Vec::new()),
    }
}

/// What an archive is called: where it is, in one line.
fn name_of(from: &Path) -> Result<String, Error> {
    let reading = || Error::io(from.display().to_string());
    let folder = from.canonicalize().map_err(reading())?;
    let objects = Keeping::written(&folder).map_err(reading())?;
    let objects = objects.unwrap_or_else(|| folder.join("objects").display().to_string());
    Ok(format!("{} with {objects}", written(&folder).display()))
}
