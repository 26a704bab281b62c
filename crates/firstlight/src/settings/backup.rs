//! What `backup` and `rebuild-index` work with.

use super::{File, default_policy, jobs, places};
use crate::args::backup::{BackupFlags, RebuildFlags};
use crate::failure::Failure;
use archive::{IndexKeeping, Keeping};
use std::path::PathBuf;

/// A backup.
pub struct Backup {
    pub data: PathBuf,
    pub to: PathBuf,
    pub quiet: bool,
}

/// An index to be made anew.
pub struct Rebuild {
    pub data: PathBuf,
    pub index: IndexKeeping,
    pub objects: Keeping,
    pub policy: String,
    pub jobs: usize,
    pub convert: bool,
}

/// Completes the flags of `backup`.
pub fn backup(flags: BackupFlags, file: File) -> Result<Backup, Failure> {
    Ok(Backup { data: folder(flags.data.or(file.data))?, to: flags.to, quiet: flags.quiet })
}

/// Completes the flags of `rebuild-index`.
pub fn rebuild(flags: RebuildFlags, mut file: File) -> Result<Rebuild, Failure> {
    let (index, objects) = places(flags.objects, &mut file)?;
    Ok(Rebuild {
        data: folder(flags.data.or(file.data))?,
        index,
        objects,
        policy: flags.policy.or(file.policy).unwrap_or_else(default_policy),
        jobs: jobs(flags.jobs.or(file.jobs)),
        convert: !flags.no_convert,
    })
}

fn folder(named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    named.ok_or_else(|| Failure::new("no archive was named").hint("say --data DIR"))
}
