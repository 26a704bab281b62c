//! Flags of `delete` and `hold`.

use clap::Args;
use std::path::PathBuf;

/// How long what is deleted can come back.
#[derive(Debug, Default, Args)]
pub struct GraceFlag {
    /// What is deleted can be brought back for so long ("30d", "12h", "0m", "never" to end); then its bytes go [default: 30d]
    #[arg(long, value_name = "TIME", env = "FIRSTLIGHT_GRACE")]
    pub grace: Option<String>,
}

/// Flags of `delete`.
#[derive(Debug, Args)]
pub struct DeleteFlags {
    /// UIDs of studies, series or instances; with --undo also the numbers that --list shows
    #[arg(value_name = "UID")]
    pub what: Vec<String>,
    /// Folder of the archive; it may be served meanwhile
    #[arg(long, value_name = "DIR", env = "FIRSTLIGHT_DATA")]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    pub grace: GraceFlag,
    /// Bring back what was deleted
    #[arg(long, conflicts_with_all = ["list", "purge"])]
    pub undo: bool,
    /// List what was deleted and can be brought back
    #[arg(long, conflicts_with_all = ["what", "purge"])]
    pub list: bool,
    /// Remove now what can't be brought back any more; a server does so by itself
    #[arg(long)]
    pub purge: bool,
    /// After that write the index anew however large it is, so that nothing deleted is left in its files; nobody can store meanwhile
    #[arg(long, requires = "purge")]
    pub rewrite_index: bool,
    /// One JSON line for each that is listed
    #[arg(long, requires = "list")]
    pub json: bool,
}

/// Flags of `hold`.
#[derive(Debug, Args)]
pub struct HoldFlags {
    /// UIDs of studies; without any, those that are held are listed
    #[arg(value_name = "UID")]
    pub what: Vec<String>,
    /// Folder of the archive; it may be served meanwhile
    #[arg(long, value_name = "DIR", env = "FIRSTLIGHT_DATA")]
    pub data: Option<PathBuf>,
    /// Why they are held
    #[arg(long, value_name = "TEXT", conflicts_with = "release", requires = "what")]
    pub reason: Option<String>,
    /// Hold them no more
    #[arg(long, requires = "what")]
    pub release: bool,
    /// One JSON line for each that is listed
    #[arg(long, conflicts_with = "what")]
    pub json: bool,
}
