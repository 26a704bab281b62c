//! The archive: one folder, opened once, cheap to clone.

use std::collections::HashMap;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use rusqlite::OptionalExtension;
use store::{Cache, Disk, Objects, Spool, sync_folder};
use transcode::{Quarantine, Sampling};

use crate::index::Index;
use crate::instance::{Instance, Version};
use crate::metadata::Preparing;
use crate::{Error, convert};

/// How an archive is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Connections that read the index at once.
    pub readers: usize,
    /// Object files kept open.
    pub open_files: usize,
    /// Instances whose frame tables are kept in memory.
    pub instances: usize,
    /// Bytes that the quarantine may hold.
    pub quarantine: u64,
    /// Frames that a second decoder looks at before a conversion counts.
    pub sampling: Sampling,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            readers: 8,
            open_files: 256,
            instances: 2048,
            quarantine: Quarantine::LIMIT,
            sampling: Sampling::default(),
        }
    }
}

/// Counts of what is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Studies.
    pub studies: u64,
    /// Series.
    pub series: u64,
    /// Instances.
    pub instances: u64,
    /// Instances whose current object is a converted one.
    pub converted: u64,
    /// Instances kept as received by a rule.
    pub kept: u64,
    /// Instances that wait for conversion, or are being converted.
    pub pending: u64,
    /// Instances whose conversion failed.
    pub failed: u64,
    /// Objects stored beside another of the same UIDs.
    pub conflicts: u64,
    /// Bytes of all received objects.
    pub received_bytes: u64,
    /// Bytes of all converted objects.
    pub converted_bytes: u64,
    /// Converted objects with a proven way back to what was received.
    pub ways_back: u64,
    /// Bytes that those ways take.
    pub residue_bytes: u64,
    /// Received objects whose files went, because the way back to them is proven.
    pub released: u64,
    /// Bytes of those files, counted in `received_bytes` too.
    pub released_bytes: u64,
}

/// An archive; clones share it. Many processes may have the same one open.
#[derive(Clone)]
pub struct Archive {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    // Closed first: what waits for the writer may still need the rest.
    pub(crate) index: Index,
    pub(crate) objects: Box<dyn Objects>,
    pub(crate) spool: Spool,
    /// Conversions that failed a check.
    pub(crate) quarantine: Quarantine,
    pub(crate) sampling: Sampling,
    /// What failed for want of the storage was tried again since this was opened.
    pub(crate) retried: AtomicBool,
    pub(crate) instances: Cache<Version, Arc<Instance>>,
    /// Series whose metadata is being prepared: many who ask at once make it once.
    pub(crate) preparing: Preparing,
    /// What addresses in metadata begin with for who asked last.
    pub(crate) root: Mutex<String>,
}

impl Archive {
    /// Opens the archive in `dir`, and makes it when there is none. What runs that died left unfinished is
    /// removed or handed on.
    pub fn open(dir: &Path, options: Options) -> Result<Archive, Error> {
        make_folder(dir)?;
        let root = dir.join("objects");
        let objects = Disk::open(&root, options.open_files).map_err(Error::io(root.display().to_string()))?;
        Archive::with_objects(dir, Box::new(objects), options)
    }

    /// As [`Archive::open`], with the objects elsewhere; index and unfinished files are in `dir`.
    pub fn with_objects(dir: &Path, objects: Box<dyn Objects>, options: Options) -> Result<Archive, Error> {
        make_folder(dir)?;
        let index = Index::open(&dir.join("index.sqlite"), options.readers)?;
        sync_folder(dir).map_err(Error::io(dir.display().to_string()))?;
        let root = dir.join("spool");
        let (spool, _) = Spool::open(&root).map_err(Error::io(root.display().to_string()))?;
        convert::release_dead(&index, &spool)?;
        let instances = Cache::new(options.instances);
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
            root: Mutex::default(),
        };
        Ok(Archive { inner: Arc::new(inner) })
    }

    /// A number that changes whenever the series (or, with `series: None`, anything in the study) changes;
    /// `None` when there is no such series or study.
    pub fn version(&self, study: &str, series: Option<&str>) -> Result<Option<u64>, Error> {
        self.inner.index.read(|snapshot| {
            let found = match series {
                None => snapshot
                    .prepare_cached("SELECT version FROM studies WHERE uid = ?")?
                    .query_row([study], |row| row.get(0)),
                Some(series) => snapshot
                    .prepare_cached(
                        "SELECT e.version FROM studies s JOIN series e ON e.study = s.id WHERE s.uid = ? AND e.uid = ?",
                    )?
                    .query_row([study, series], |row| row.get(0)),
            };
            Ok(found.optional()?)
        })
    }

    /// The conversions that failed a check, with what was written.
    pub fn quarantine(&self) -> &Quarantine {
        &self.inner.quarantine
    }

    /// Counts of what is stored; kept up to date by the index, so asking costs next to nothing.
    pub fn stats(&self) -> Result<Stats, Error> {
        self.inner.index.read(|snapshot| {
            let mut statement = snapshot.prepare_cached("SELECT name, value FROM totals")?;
            let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u64>(1)?)))?;
            let totals = rows.collect::<Result<HashMap<_, _>, _>>()?;
            let of = |names: &[&str]| names.iter().filter_map(|name| totals.get(*name)).sum();
            Ok(Stats {
                studies: of(&["studies"]),
                series: of(&["series"]),
                instances: of(&["instances"]),
                converted: of(&["jobs2"]),
                kept: of(&["jobs3"]),
                pending: of(&["jobs0", "jobs1"]),
                failed: of(&["jobs4"]),
                conflicts: of(&["objects2"]),
                received_bytes: of(&["bytes0", "bytes2"]),
                converted_bytes: of(&["bytes1"]),
                ways_back: of(&["ways_back"]),
                residue_bytes: of(&["residue_bytes"]),
                released: of(&["released"]),
                released_bytes: of(&["released_bytes"]),
            })
        })
    }
}

/// Makes the folder if need be: for its owner alone, for what is in it speaks of patients.
fn make_folder(dir: &Path) -> Result<(), Error> {
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
