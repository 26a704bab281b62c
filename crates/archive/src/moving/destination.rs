//! The new place: made ready for one archive, closed to everybody until that has arrived.

use std::collections::VecDeque;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use store::index::place;
use store::index::postgres::{Address, Postgres};
use store::index::sqlite::Sqlite;
use store::index::{Begun, Index, NamedObject};
use store::objects::{self, place::Keeping};
use store::{Key, Objects, Spool, sync_folder};

use super::Destination;
use crate::archive::make_folder;
use crate::error::Error;

/// Connections that read the new index.
const READERS: usize = 2;
/// Objects that are listed at once.
const PAGE: usize = 1000;
/// The file with the names of objects that are put and not read again yet.
const UNPROVEN: &str = "unproven";
/// The lock of who moves something here.
const LOCK: &str = "moving.lock";
/// A folder in which a place for objects is tried.
const TRIAL: &str = "trying";

/// A destination that is open.
pub(super) enum Opened {
    /// For what is on its way.
    Arriving(Box<Arriving>),
    /// All of it is there.
    Arrived,
}

/// A place that is being filled.
pub(super) struct Arriving {
    pub(super) index: Box<dyn Index>,
    pub(super) objects: Box<dyn Objects>,
    pub(super) spool: Spool,
    folder: PathBuf,
    address: Option<Address>,
    name: String,
    _lock: File,
}

/// Opens a destination for the archive of this name.
pub(super) fn open(to: &Destination, from: &str) -> Result<Opened, Error> {
    make_folder(&to.folder)?;
    let at = || Error::io(to.folder.display().to_string());
    let folder = to.folder.canonicalize().map_err(at())?;
    let lock = lock(&folder)?;
    let address = to.index.at.as_deref().map(str::parse::<Address>).transpose()?;
    let name = way(from, to);
    let goes_on = match (place::moving(&folder).map_err(at())?, place::moved(&folder).map_err(at())?) {
        (Some(other), _) if other != name => {
            return Err(Error::Destination(format!("it is on its way there: {other}")));
        }
        (None, Some(moved)) if moved == name => return Ok(Opened::Arrived),
        (moving, _) => moving.is_some(),
    };
    if !goes_on {
        is_free(&folder, &to.objects)?;
    }
    let database = address.as_ref().map(|address| place::open_any(address, READERS)).transpose()?;
    if begun(database.as_ref(), &name, &folder, goes_on)? == Begun::Ended {
        place::end_move(&folder, address.as_ref(), &name).map_err(at())?;
        return Ok(Opened::Arrived);
    }
    place::begin_move(&folder, &name).map_err(at())?;
    let objects = to.objects.open(&folder, false)?;
    let index: Box<dyn Index> = match database {
        Some(database) => {
            place::settle_objects(&database, &folder)?;
            Box::new(database)
        }
        None => Box::new(Sqlite::open(&place::arriving(&folder), READERS)?),
    };
    let (spool, _) = Spool::open(&folder.join("spool")).map_err(at())?;
    let arriving = Arriving { index, objects, spool, folder, address, name, _lock: lock };
    arriving.prove_what_was_put()?;
    Ok(Opened::Arriving(Box::new(arriving)))
}

/// What is moved, and where to, in one line.
fn way(from: &str, to: &Destination) -> String {
    let index = to.index.at.as_deref().unwrap_or("a file");
    let objects = to.objects.at.as_deref().unwrap_or("files");
    format!("{from}, to {index} and {objects}")
}

/// How far the rows are.
fn begun(database: Option<&Postgres>, name: &str, folder: &Path, goes_on: bool) -> Result<Begun, Error> {
    use store::index::Copying;
    match database {
        // Two folders are not one place.
        Some(database) => database.begin_copy(&format!("{name}, by {}", folder.display())).map_err(refused),
        None if goes_on && !place::arriving(folder).exists() && folder.join("index.sqlite").exists() => {
            Ok(Begun::Ended)
        }
        None => Ok(Begun::Open),
    }
}

fn refused(error: store::Error) -> Error {
    match error {
        store::Error::Query(why) => Error::Destination(why),
        other => other.into(),
    }
}

fn lock(folder: &Path) -> Result<File, Error> {
    let making = || Error::io(folder.display().to_string());
    let lock = File::create(folder.join(LOCK)).map_err(making())?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Error::Destination("another run is moving something there".into())),
        Err(TryLockError::Error(error)) => Err(making()(error)),
        Ok(()) => Ok(lock),
    }
}

/// Is nothing there that is somebody else's?
fn is_free(folder: &Path, objects: &Keeping) -> Result<(), Error> {
    let at = || Error::io(folder.display().to_string());
    let trial = folder.join(TRIAL);
    for entry in fs::read_dir(folder).map_err(at())? {
        let name = entry.map_err(at())?.file_name();
        if name != LOCK && name != TRIAL {
            return Err(Error::Destination(format!("{} is not empty", folder.display())));
        }
    }
    let Some(address) = &objects.at else { return Ok(()) };
    make_folder(&trial)?;
    let taken = objects.open(&trial, false)?.list(None, 1).map_err(Error::io("listing the objects"));
    fs::remove_dir_all(&trial).map_err(at())?;
    match taken?.is_empty() {
        true => Ok(()),
        false => Err(Error::Destination(format!("{address} has objects of its own"))),
    }
}

impl Arriving {
    /// What is there already, asked in the order of names.
    pub(super) fn there(&self) -> There<'_> {
        There { objects: &*self.objects, page: VecDeque::new(), after: None, ended: false }
    }

    /// Notes what is about to be put: should this run die, it is read again by the next.
    pub(super) fn note(&self, put: &[(Key, u64)]) -> Result<(), Error> {
        let path = self.folder.join(UNPROVEN);
        let written = File::create(&path).and_then(|mut file| {
            put.iter().try_for_each(|(key, size)| writeln!(file, "{key} {size}"))?;
            file.sync_all()
        });
        written.and_then(|()| sync_folder(&self.folder)).map_err(Error::io(path.display().to_string()))
    }

    /// What was put is read from where it is now; what is not what its name says is taken away.
    pub(super) fn prove(&self, key: &Key, size: u64) -> io::Result<()> {
        if objects::hash(&*self.objects, key, size)? == *key {
            return Ok(());
        }
        self.objects.remove(key)?;
        Err(io::Error::new(io::ErrorKind::InvalidData, "the new store gives back other bytes than it was given"))
    }

    /// The same of what a run that died had noted.
    fn prove_what_was_put(&self) -> Result<(), Error> {
        let path = self.folder.join(UNPROVEN);
        let noted = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            noted => noted.map_err(Error::io(path.display().to_string()))?,
        };
        for line in noted.lines() {
            let Some(key) = line.split(' ').next().and_then(Key::parse) else { continue };
            let proving = || Error::io(format!("reading object {key} in its new place"));
            if let Some(size) = self.objects.size(&key).map_err(proving())? {
                self.prove(&key, size).or_else(again_later).map_err(proving())?;
            }
        }
        Ok(())
    }

    /// Removes objects that the new index does not list: they were deleted for good in the old archive since they were copied.
    pub(super) fn remove_others(&self) -> Result<u64, Error> {
        let (mut removed, mut after) = (0, None);
        let listing = || Error::io("listing the objects in their new place");
        loop {
            let page = self.objects.list(after, PAGE).map_err(listing())?;
            let Some((last, _)) = page.last() else { return Ok(removed) };
            after = Some(*last);
            for (key, _) in page {
                if !self.index.lists(&key)? {
                    removed += u64::from(self.objects.remove(&key).map_err(listing())?);
                }
            }
        }
    }

    /// All of it has arrived: from now on it can be opened.
    pub(super) fn end(self, highest: &[(String, i64)]) -> Result<(), Error> {
        let Arriving { index, objects, spool, folder, address, name, _lock } = self;
        index.end_copy(&format!("{name}, by {}", folder.display()), highest)?;
        drop((index, objects, spool));
        let at = || Error::io(folder.display().to_string());
        match fs::remove_file(folder.join(UNPROVEN)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at()(error)),
            _ => {}
        }
        place::end_move(&folder, address.as_ref(), &name).map_err(at())
    }
}

/// What was not what it should be has been taken away, and is copied again.
fn again_later(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::InvalidData { Ok(()) } else { Err(error) }
}

/// The objects that are there, a page at a time.
pub(super) struct There<'a> {
    objects: &'a dyn Objects,
    page: VecDeque<(Key, u64)>,
    after: Option<Key>,
    ended: bool,
}

impl There<'_> {
    /// Is this object there? Each is later than the one asked for before.
    pub(super) fn has(&mut self, object: &NamedObject) -> Result<bool, Error> {
        loop {
            while let Some((key, size)) = self.page.front() {
                if *key >= object.key {
                    return Ok((*key, *size) == (object.key, object.bytes));
                }
                self.page.pop_front();
            }
            if self.ended {
                return Ok(false);
            }
            let page =
                self.objects.list(self.after, PAGE).map_err(Error::io("listing the objects in their new place"))?;
            self.ended = page.len() < PAGE;
            self.after = page.last().map(|(key, _)| *key).or(self.after);
            self.page = page.into();
        }
    }
}
