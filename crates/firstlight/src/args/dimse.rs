//! Flags for DIMSE: of `serve`, `send` and `pull`.

use ::dimse::Peer;
use clap::Args;
use std::path::PathBuf;

/// Flags for peers that speak DIMSE.
#[derive(Debug, Default, Args)]
pub struct DimseFlags {
    /// Also answer DICOM's own protocol (C-ECHO, C-STORE, C-FIND, C-MOVE, C-GET) on this port of the address of --listen, or on ADDRESS:PORT
    #[arg(long, value_name = "PORT", env = "FIRSTLIGHT_DIMSE")]
    pub dimse: Option<String>,
    #[command(flatten)]
    pub title: TitleFlag,
    /// Who may call over DIMSE, and where it is: AE@host:port; more with commas, or the flag again. Without any, everyone
    #[arg(long, value_name = "AE@HOST:PORT", value_delimiter = ',', env = "FIRSTLIGHT_PEER")]
    pub peer: Vec<String>,
}

/// Our own AE title.
#[derive(Debug, Default, Args)]
pub struct TitleFlag {
    /// Our AE title [default: FIRSTLIGHT]
    #[arg(long, value_name = "AE", env = "FIRSTLIGHT_AE_TITLE")]
    pub ae_title: Option<String>,
}

/// Flags of `send`.
#[derive(Debug, Args)]
pub struct SendFlags {
    /// Files and folders (with all below them), and last who gets them: AE@host:port
    #[arg(required = true, value_name = "SRC]... [AE@HOST:PORT")]
    pub what: Vec<PathBuf>,
    /// Send this study of the archive; more with commas, or the flag again
    #[arg(long, value_name = "UID", value_delimiter = ',')]
    pub study: Vec<String>,
    /// Folder of the archive that has the studies
    #[arg(long, value_name = "DIR", env = "FIRSTLIGHT_DATA")]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    pub title: TitleFlag,
    /// Tries after the first one where the peer is busy or away, with longer and longer waits
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub retries: u32,
}

/// Flags of `pull`.
#[derive(Debug, Args)]
pub struct PullFlags {
    /// Who has the studies: AE@host:port
    #[arg(value_name = "AE@HOST:PORT")]
    pub peer: Peer,
    /// Study Instance UID; more with commas, or the flag again
    #[arg(long, required = true, value_name = "UID", value_delimiter = ',')]
    pub study: Vec<String>,
    /// Folder of the archive that gets them; made if it is not there
    #[arg(long, value_name = "DIR", env = "FIRSTLIGHT_DATA")]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    pub title: TitleFlag,
}
