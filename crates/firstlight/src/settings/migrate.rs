//! What `migrate` and `import` work with.

use super::{Deidentify, File, conversion, jobs, keeps_identity, pace, places};
use crate::args::migrate::{ImportFlags, MigrateFlags, pairs};
use crate::failure::Failure;
use ::migrate::{Control, Hours, Layout, Limits, Order, is_archive};
use archive::{IndexKeeping, Keeping};
use files::Proving;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What a user asks of `migrate`.
#[derive(Debug)]
pub enum Asked {
    /// To migrate.
    Run(Box<Migrate>),
    /// To tell a migration something.
    Say(PathBuf, Said),
    /// How a migration stands.
    Status { destination: PathBuf, json: bool },
}

/// What is said to a migration that may be running.
#[derive(Debug)]
pub enum Said {
    Pause,
    Resume,
    Adjust { jobs: Option<usize>, rate: Option<u64>, hours: Option<Hours> },
}

/// A migration.
#[derive(Debug)]
pub struct Migrate {
    pub sources: Vec<PathBuf>,
    pub destination: PathBuf,
    pub archive: bool,
    pub index: IndexKeeping,
    pub objects: Keeping,
    pub layout: Option<Layout>,
    pub policy: String,
    pub report: Option<PathBuf>,
    pub deidentify: Option<Deidentify>,
    pub proving: Proving,
    pub order: Order,
    pub limits: Limits,
    /// The user named limits: what was said to an earlier run is forgotten.
    pub limits_named: bool,
    pub way_back: bool,
    pub headers: Headers,
    pub rescan: bool,
    pub sample: Duration,
    pub plan_only: bool,
    pub nice: Option<u8>,
    pub quiet: bool,
    pub watch: Watch,
}

/// Headers of requests. They may be secrets: they are never printed.
pub struct Headers(pub Vec<(String, String)>);

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// How a run tells of itself.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    pub metrics_file: Option<PathBuf>,
    pub metrics_listen: Option<SocketAddr>,
    pub on_exit: Option<String>,
}

/// An import.
#[derive(Debug)]
pub struct Import {
    pub sources: Vec<PathBuf>,
    pub data: PathBuf,
    pub index: IndexKeeping,
    pub objects: Keeping,
    pub report: Option<PathBuf>,
    pub jobs: usize,
    pub headers: Headers,
    pub rescan: bool,
    pub quiet: bool,
    pub watch: Watch,
}

/// Completes the flags of `migrate`.
pub fn migrate(flags: MigrateFlags, mut file: File) -> Result<Asked, Failure> {
    if let Some(destination) = flags.pause {
        return Ok(Asked::Say(destination, Said::Pause));
    }
    if let Some(destination) = flags.resume {
        return Ok(Asked::Say(destination, Said::Resume));
    }
    if let Some(destination) = flags.adjust {
        let (jobs, rate) = (flags.pace.jobs.map(usize::from), flags.pace.rate.map(|rate| rate.0));
        return Ok(Asked::Say(destination, Said::Adjust { jobs, rate, hours: flags.pace.hours }));
    }
    if let Some(destination) = flags.status {
        return Ok(Asked::Status { destination, json: flags.json });
    }
    let mut sources = flags.paths;
    let destination = sources
        .pop()
        .ok_or_else(|| Failure::new("migrate needs the folder that receives").hint("firstlight migrate SRC DST"))?;
    let to_archive = flags.archive || is_archive(&destination);
    if to_archive && (flags.conversion.deidentify.is_some() || file.deidentify.is_some()) {
        let what = format!("{}: nothing is de-identified on the way into an archive", destination.display());
        return Err(
            Failure::new(what).hint("migrate into a folder tree with --deidentify, then `firstlight import` that")
        );
    }
    if to_archive {
        // How files are named is of no use there: a general setting is not meant for it.
        file.layout = None;
    }
    let conversion = conversion(flags.conversion, &destination, &mut file)?;
    let (index, objects) = places(flags.objects, &mut file)?;
    let (limits, nice) = pace(&flags.pace, &file);
    Ok(Asked::Run(Box::new(Migrate {
        sources,
        destination,
        archive: flags.archive,
        index,
        objects,
        layout: conversion.layout.map(Into::into),
        policy: conversion.policy,
        report: conversion.report,
        deidentify: conversion.deidentify,
        proving: conversion.proving,
        order: flags.order.into(),
        limits,
        limits_named: flags.pace.jobs.is_some() || flags.pace.rate.is_some() || flags.pace.hours.is_some(),
        way_back: conversion.way_back,
        headers: Headers(pairs(flags.run.header)),
        rescan: flags.run.rescan,
        sample: Duration::from_secs(flags.sample),
        plan_only: flags.plan,
        nice,
        quiet: flags.run.quiet,
        watch: watch(flags.run.watch, &mut file)?,
    })))
}

/// Completes the flags of `import`.
pub fn import(flags: ImportFlags, mut file: File) -> Result<Import, Failure> {
    keeps_identity("import", &flags.identity, &file)?;
    let data = flags.data.or(file.data.take());
    let (index, objects) = places(flags.objects, &mut file)?;
    Ok(Import {
        sources: flags.sources,
        data: data.ok_or_else(|| {
            Failure::new("import needs the folder of the archive").hint("say --data DIR; it is made if it is not there")
        })?,
        index,
        objects,
        report: flags.report.or(file.report.take()),
        jobs: jobs(flags.jobs.or(file.jobs)),
        headers: Headers(pairs(flags.run.header)),
        rescan: flags.run.rescan,
        quiet: flags.run.quiet,
        watch: watch(flags.run.watch, &mut file)?,
    })
}

fn watch(flags: crate::args::WatchFlags, file: &mut File) -> Result<Watch, Failure> {
    let metrics_listen = flags.metrics_listen.or(file.metrics_listen);
    if let Some(address) = metrics_listen.filter(|address| !address.ip().is_loopback()) {
        return Err(Failure::new(format!("metrics are told on the machine itself: {address} is not its own address"))
            .hint("say --metrics-listen 127.0.0.1:9109, or --metrics-file FILE.prom for node_exporter"));
    }
    Ok(Watch {
        metrics_file: flags.metrics_file.or(file.metrics_file.take()),
        metrics_listen,
        on_exit: flags.on_exit.or(file.on_exit.take()),
    })
}

impl Said {
    /// Changes what was said before.
    pub fn over(&self, control: &mut Control) {
        match self {
            Said::Pause => control.paused = true,
            Said::Resume => control.paused = false,
            Said::Adjust { jobs, rate, hours } => {
                control.jobs = jobs.or(control.jobs);
                control.rate = rate.or(control.rate);
                control.hours = hours.or(control.hours);
            }
        }
    }
}
