//! What the commands work with that look into a destination: its folder is named, or the one of the settings.

use super::{File, days, default_policy};
use crate::args::{
    CompareFlags, EvidenceFlags, PolicyCommand, PolicyFlags, QuarantineCommand, QuarantineFlags, ReportFlags,
    RestoreFlags, ScrubFlags,
};
use crate::failure::Failure;
use crate::kept;
use std::path::PathBuf;

/// What `restore` works with.
#[derive(Debug)]
pub struct Restore {
    pub what: PathBuf,
    pub out: Option<PathBuf>,
    pub residue: Option<PathBuf>,
    pub data: Option<PathBuf>,
    pub force: bool,
}

/// What `evidence` works with.
#[derive(Debug)]
pub struct Evidence {
    pub what: Vec<PathBuf>,
    pub data: Option<PathBuf>,
    pub json: bool,
    pub csv: bool,
}

/// What `quarantine` works with.
#[derive(Debug)]
pub enum Quarantine {
    List { folder: PathBuf, json: bool },
    Show { folder: PathBuf, name: String },
}

/// What `scrub` works with.
#[derive(Debug)]
pub struct Scrub {
    pub data: PathBuf,
    /// Spread over so many days; without it, as fast as it goes.
    pub days: Option<f64>,
    pub restart: bool,
    pub json: bool,
}

/// What `report` works with.
#[derive(Debug)]
pub struct Report {
    pub folder: PathBuf,
    pub output: PathBuf,
}

/// What `policy` works with.
#[derive(Debug)]
pub enum Policy {
    Explain { files: Vec<PathBuf>, policy: String },
    Check(String),
    Compare(CompareFlags),
    List,
    Show(String),
}

/// Completes the flags of `restore`.
pub fn restore(flags: RestoreFlags, file: File) -> Restore {
    let RestoreFlags { what, out, residue, data, force } = flags;
    Restore { what, out, residue, data: data.or(file.data), force }
}

/// Completes the flags of `evidence`.
pub fn evidence(flags: EvidenceFlags, file: File) -> Evidence {
    Evidence { what: flags.what, data: flags.data.or(file.data), json: flags.json, csv: flags.csv }
}

/// Completes the flags of `quarantine`.
pub fn quarantine(flags: QuarantineFlags, file: File) -> Result<Quarantine, Failure> {
    Ok(match flags.command {
        QuarantineCommand::List { data, json } => Quarantine::List { folder: kept::folder(data, file.data)?, json },
        QuarantineCommand::Show { name, data } => Quarantine::Show { folder: kept::folder(data, file.data)?, name },
    })
}

/// Completes the flags of `scrub`.
pub fn scrub(flags: ScrubFlags, file: File) -> Result<Scrub, Failure> {
    let data = flags.data.or(file.data).ok_or_else(|| {
        Failure::new("no archive was named")
            .hint("say --data DIR; a folder of files is looked at by firstlight audit DST")
    })?;
    let days = if flags.now { None } else { days(flags.days.or(file.scrub_days))? };
    Ok(Scrub { data, days, restart: flags.restart, json: flags.json })
}

/// Completes the flags of `report`.
pub fn report(flags: ReportFlags, file: File) -> Result<Report, Failure> {
    Ok(Report { folder: kept::folder(flags.folder.or(flags.data), file.data)?, output: flags.output })
}

/// Completes the flags of `policy`.
pub fn policy(flags: PolicyFlags, settings: File) -> Policy {
    match flags.command {
        PolicyCommand::Explain { files, policy } => {
            Policy::Explain { files, policy: policy.or(settings.policy).unwrap_or_else(default_policy) }
        }
        PolicyCommand::Check { file } => Policy::Check(file),
        PolicyCommand::Compare(flags) => Policy::Compare(flags),
        PolicyCommand::List => Policy::List,
        PolicyCommand::Show { name } => Policy::Show(name),
    }
}
