//! Flags of `backup` and `rebuild-index`.

use super::{ObjectsFlags, at_least_one};
use clap::Args;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Flags of `backup`.
#[derive(Debug, Args)]
pub struct BackupFlags {
    /// The folder that receives it: a new one, or one with an earlier backup, to which only what is new is copied
    #[arg(value_name = "DIR")]
    pub to: PathBuf,
    /// Folder of the archive; it may be served meanwhile
    #[arg(long, value_name = "DIR", env = "FIRSTLIGHT_DATA")]
    pub data: Option<PathBuf>,
    /// Print nothing but what goes wrong
    #[arg(long, short)]
    pub quiet: bool,
}

/// Flags of `rebuild-index`.
#[derive(Debug, Args)]
pub struct RebuildFlags {
    /// Folder of the archive whose index is lost; nobody serves it meanwhile
    #[arg(long, value_name = "DIR", env = "FIRSTLIGHT_DATA")]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    pub objects: ObjectsFlags,
    /// Rules in TOML, those that the archive was converted by: a file, or the name of a shipped policy
    #[arg(long, value_name = "FILE|NAME", env = "FIRSTLIGHT_POLICY")]
    pub policy: Option<String>,
    /// Files converted at the same time; without it, one per core
    #[arg(long, short, value_name = "N", env = "FIRSTLIGHT_JOBS", value_parser = at_least_one)]
    pub jobs: Option<NonZeroUsize>,
    /// List what was received only; a server converts later
    #[arg(long)]
    pub no_convert: bool,
}
