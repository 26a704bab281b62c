//! Flags of `move`.

use clap::Args;
use std::path::PathBuf;

/// Flags of `move`.
#[derive(Debug, Args)]
pub struct MoveFlags {
    /// Folder of the new archive: a new or empty one, or one to which this archive is on its way
    #[arg(value_name = "DIR")]
    pub to: PathBuf,
    /// Folder of the archive that is moved; it may be served meanwhile, until the last run
    #[arg(long, value_name = "DIR", env = "FIRSTLIGHT_DATA")]
    pub data: Option<PathBuf>,
    /// Where the new index is, as postgres://user@host/database of an empty database [default: in DIR]
    #[arg(long, value_name = "ADDRESS", hide_env_values = true)]
    pub to_index: Option<String>,
    /// Where the new objects are, as s3://bucket/prefix with nothing below it [default: in DIR]
    #[arg(long, value_name = "ADDRESS")]
    pub to_objects: Option<String>,
    /// Say what would be moved, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print nothing but what goes wrong
    #[arg(long, short)]
    pub quiet: bool,
}
