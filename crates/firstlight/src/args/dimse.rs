//! Flags for DIMSE: of `serve`, `send` and `pull`.

use ::dimse::Peer;
use clap::{Args, ValueEnum};
use serde::Deserialize;
use std::path::PathBuf;

/// Flags for peers that speak DIMSE.
#[derive(Debug, Default, Args)]
pub struct DimseFlags {
    /// Also answer DICOM's own protocol (C-ECHO, C-STORE, C-FIND, C-MOVE, C-GET) on this port of the address of --listen, or on ADDRESS:PORT
    #[arg(long, value_name = "PORT", env = "FIRSTLIGHT_DIMSE")]
    pub dimse: Option<String>,
    /// The same over TLS, on a port of its own, with the certificate of --tls
    #[arg(long, value_name = "PORT", env = "FIRSTLIGHT_DIMSE_TLS")]
    pub dimse_tls: Option<String>,
    /// What those have to show who call over TLS [default: named, where --dimse-ca says who signs]
    #[arg(long, value_enum, env = "FIRSTLIGHT_DIMSE_CERTIFICATES")]
    pub dimse_certificates: Option<DimseCertificates>,
    #[command(flatten)]
    pub authorities: AuthoritiesFlag,
    #[command(flatten)]
    pub title: TitleFlag,
    /// Who may call over DIMSE, and where it is: AE@host:port, with TLS AE@host:port/tls; more with commas, or the flag again. Without
    /// any, everyone
    #[arg(long, value_name = "AE@HOST:PORT", value_delimiter = ',', env = "FIRSTLIGHT_PEER")]
    pub peer: Vec<String>,
}

/// What callers over TLS have to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DimseCertificates {
    /// A certificate made out for the machine of the peer
    Named,
    /// A certificate that is signed, whoever has it
    Signed,
    /// None; one that is shown is signed
    Optional,
}

/// Who signs the certificates of peers.
#[derive(Debug, Default, Args)]
pub struct AuthoritiesFlag {
    /// Certificates of those who sign the certificates of peers with TLS, in PEM [default for peers that we call: those of the system]
    #[arg(long, value_name = "FILE", env = "FIRSTLIGHT_DIMSE_CA")]
    pub dimse_ca: Option<PathBuf>,
}

/// TLS of who calls.
#[derive(Debug, Default, Args)]
pub struct CallFlags {
    #[command(flatten)]
    pub authorities: AuthoritiesFlag,
    /// Our own certificate and its key in PEM, for a peer with TLS that asks for one
    #[arg(long, value_name = "CERT,KEY", value_delimiter = ',', env = "FIRSTLIGHT_TLS")]
    pub tls: Vec<PathBuf>,
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
    /// Files and folders (with all below them), and last who gets them: AE@host:port, with TLS AE@host:port/tls
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
    #[command(flatten)]
    pub call: CallFlags,
    /// Tries after the first one where the peer is busy or away, with longer and longer waits
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub retries: u32,
}

/// Flags of `pull`.
#[derive(Debug, Args)]
pub struct PullFlags {
    /// Who has the studies: AE@host:port, with TLS AE@host:port/tls
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
    #[command(flatten)]
    pub call: CallFlags,
}
