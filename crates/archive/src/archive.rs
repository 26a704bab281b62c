//! The archive: one folder, opened once, cheap to clone.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use transcode::{Policy, Source};

use crate::{Error, Event, Ingested, Instance, Matches, ObjectReader, Prepared, Query, QueryLevel, Summary};

/// How an archive is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Connections that read the index at once.
    pub readers: usize,
    /// Object files kept open.
    pub open_files: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { readers: 8, open_files: 256 }
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
    /// Instances that wait for conversion.
    pub pending: u64,
    /// Instances whose conversion failed.
    pub failed: u64,
    /// Objects stored beside another of the same UIDs.
    pub conflicts: u64,
    /// Bytes of all received objects.
    pub received_bytes: u64,
    /// Bytes of all converted objects.
    pub converted_bytes: u64,
}

/// An archive; clones share it.
#[derive(Clone)]
pub struct Archive {
    inner: Arc<()>,
}

impl Archive {
    /// Opens the archive in `dir`, and makes it when there is none.
    pub fn open(dir: &Path, options: Options) -> Result<Archive, Error> {
        let _ = (dir, options);
        Err(Error::Closed)
    }
    /// Stores one file as it is; durable when this returns.
    pub fn ingest(&self, path: &Path) -> Result<Ingested, Error> {
        let _ = (path, &self.inner);
        Err(Error::Closed)
    }
    /// Stores bytes held in memory; durable when this returns.
    pub fn ingest_bytes(&self, bytes: &[u8]) -> Result<Ingested, Error> {
        self.ingest_reader(&mut &bytes[..])
    }
    /// Stores what a stream delivers, in bounded memory; durable when this returns.
    pub fn ingest_reader(&self, bytes: &mut dyn Read) -> Result<Ingested, Error> {
        let _ = bytes;
        Err(Error::Closed)
    }
    /// Converts what waits for conversion with `jobs` threads; returns when nothing waits or `stop` is set.
    pub fn convert_pending(&self, policy: &Policy, jobs: usize, stop: &AtomicBool, progress: &dyn Fn(Event)) -> Result<Summary, Error> {
        let _ = (policy, jobs, stop, progress);
        Err(Error::Closed)
    }
    /// Lists studies, series or instances.
    pub fn find(&self, level: QueryLevel, query: &Query) -> Result<Matches, Error> {
        let _ = (level, query);
        Err(Error::Closed)
    }
    /// Metadata of all instances of a study.
    pub fn study_metadata(&self, study: &str) -> Result<Option<Prepared>, Error> {
        let _ = study;
        Err(Error::Closed)
    }
    /// Metadata of all instances of a series.
    pub fn series_metadata(&self, study: &str, series: &str) -> Result<Option<Prepared>, Error> {
        let _ = (study, series);
        Err(Error::Closed)
    }
    /// Metadata of one instance (an array of one object).
    pub fn instance_metadata(&self, study: &str, series: &str, sop: &str) -> Result<Option<Prepared>, Error> {
        let _ = (study, series, sop);
        Err(Error::Closed)
    }
    /// One instance as it is now.
    pub fn instance(&self, study: &str, series: &str, sop: &str) -> Result<Option<Arc<Instance>>, Error> {
        let _ = (study, series, sop);
        Err(Error::Closed)
    }
    /// The instances of a series, by Instance Number; of the whole study with `series: None`.
    pub fn instances(&self, study: &str, series: Option<&str>) -> Result<Vec<Arc<Instance>>, Error> {
        let _ = (study, series);
        Err(Error::Closed)
    }
    /// The stored bytes of an instance.
    pub fn object(&self, instance: &Instance) -> Result<ObjectReader, Error> {
        let _ = instance;
        Err(Error::Closed)
    }
    /// The stored instance, parsed.
    pub fn source(&self, instance: &Instance) -> Result<Source, Error> {
        let _ = instance;
        Err(Error::Closed)
    }
    /// A number that changes whenever the series (or, with `series: None`, the study) changes; `None` when it is unknown.
    pub fn version(&self, study: &str, series: Option<&str>) -> Result<Option<u64>, Error> {
        let _ = (study, series);
        Err(Error::Closed)
    }
    /// Counts of what is stored.
    pub fn stats(&self) -> Result<Stats, Error> {
        Err(Error::Closed)
    }
}
