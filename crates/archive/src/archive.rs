//! The archive: one folder, opened once, cheap to clone.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use store::index::place::{self, Place};
use store::index::postgres::Address;
use store::index::sqlite::Sqlite;
use store::index::{Scrubbing, Stats};
use store::objects::place::Keeping;
use store::{Index, Objects, Spool, sync_folder};
use transcode::{Quarantine, Sampling};

use crate::Error;
use crate::kept::{Kept, kept};
use crate::preparing::Preparing;
use crate::runs::release_dead;

/// How an archive is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the index is.
    pub index: place::Keeping,
    /// Connections that read the index at once.
    pub readers: usize,
    /// Where the objects are, and how many of their files are kept open.
    pub objects: Keeping,
    /// Bytes of memory for instances that were looked up, with their frame tables.
    pub instance_bytes: u64,
    /// Bytes that the quarantine may hold.
    pub quarantine: u64,
    /// Frames that a second decoder looks at before a conversion counts.
    pub sampling: Sampling,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            index: place::Keeping::default(),
            readers: 8,
            objects: Keeping { open_files: 256, ..Keeping::default() },
            instance_bytes: 32 << 20,
            quarantine: Quarantine::LIMIT,
            sampling: Sampling::default(),
        }
    }
}

/// An archive; clones share it. Many processes may have the same one open.
#[derive(Clone)]
pub struct Archive {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    // Closed first: what waits for the writer may still need the rest.
    pub(crate) index: Box<dyn Index>,
    pub(crate) objects: Box<dyn Objects>,
    pub(crate) spool: Spool,
    /// Conversions that failed a check.
    pub(crate) quarantine: Quarantine,
    pub(crate) sampling: Sampling,
    /// What failed for want of the storage was tried again since this was opened.
    pub(crate) retried: AtomicBool,
    pub(crate) instances: Kept,
    /// Series whose metadata is being prepared: many who ask at once make it once.
    pub(crate) preparing: Preparing,
    /// How many purges had ended when what is near of their objects was dropped last.
    pub(crate) purges: Mutex<i64>,
    /// What addresses in metadata begin with for who asked last.
    pub(crate) root: Mutex<String>,
}

impl Archive {
    /// Opens the archive in `dir`, and makes it when there is none. What runs that died left unfinished is
    /// removed or handed on.
    pub fn open(dir: &Path, options: Options) -> Result<Archive, Error> {
        make_folder(dir)?;
        let path = match options.index.place(dir)? {
            Place::Own(path) => path,
            Place::At(address) => return Archive::open_at(dir, &address, options),
        };
        let index = path.exists().then(|| Sqlite::open(&path, options.readers)).transpose()?;
        let lists = index.as_ref().map_or(Ok((0, 0)), Sqlite::listed_total)? != (0, 0);
        let objects = options.objects.open(dir, lists)?;
        let index = index.map_or_else(|| Sqlite::open(&path, options.readers), Ok)?;
        Archive::with(dir, Box::new(index), objects, options)
    }

    /// As [`Archive::open`], with the index in a database, which knows where the objects are.
    fn open_at(dir: &Path, address: &Address, options: Options) -> Result<Archive, Error> {
        let index = place::open(dir, address, options.readers)?;
        let objects = place::objects_of(&index, &options.objects)?.open(dir, false)?;
        place::settle_objects(&index, dir)?;
        Archive::with(dir, Box::new(index), objects, options)
    }

    /// As [`Archive::open`], with the objects elsewhere; index and unfinished files are in `dir`.
    pub fn with_objects(dir: &Path, objects: Box<dyn Objects>, options: Options) -> Result<Archive, Error> {
        make_folder(dir)?;
        let index = Sqlite::open(&dir.join("index.sqlite"), options.readers)?;
        Archive::with(dir, Box::new(index), objects, options)
    }

    /// As [`Archive::open`], with index and objects elsewhere; unfinished files and the quarantine are in `dir`.
    pub fn with(
        dir: &Path,
        index: Box<dyn Index>,
        objects: Box<dyn Objects>,
        options: Options,
    ) -> Result<Archive, Error> {
        make_folder(dir)?;
        sync_folder(dir).map_err(Error::io(dir.display().to_string()))?;
        let root = dir.join("spool");
        let (spool, _) = Spool::open(&root).map_err(Error::io(root.display().to_string()))?;
        release_dead(&*index, &spool)?;
        let instances = kept(options.instance_bytes);
        let quarantine = Quarantine::new(dir.join("quarantine"), options.quarantine);
        let inner = Inner {
            index,
            objects,
            spool,
            quarantine,
            sampling: options.sampling,
            retried: AtomicBool::new(false),
            instances,
            preparing: Preparing::default(),
            purges: Mutex::default(),
            root: Mutex::default(),
        };
        Ok(Archive { inner: Arc::new(inner) })
    }

    /// A number that changes whenever the series (or, with `series: None`, anything in the study) changes;
    /// `None` when there is no such series or study.
    pub fn version(&self, study: &str, series: Option<&str>) -> Result<Option<u64>, Error> {
        Ok(self.inner.index.version(study, series)?)
    }

    /// The conversions that failed a check, with what was written.
    pub fn quarantine(&self) -> &Quarantine {
        &self.inner.quarantine
    }

    /// Counts of what is stored; kept up to date by the index, so asking costs next to nothing.
    pub fn stats(&self) -> Result<Stats, Error> {
        Ok(self.inner.index.stats()?)
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64)
}

/// Makes the folder if need be: for its owner alone, for what is in it speaks of patients.
pub(crate) fn make_folder(dir: &Path) -> Result<(), Error> {
    let what = || dir.display().to_string();
    if dir.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(Error::io(what()))?;
    match dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => sync_folder(parent).map_err(Error::io(what())),
        None => Ok(()),
    }
}
