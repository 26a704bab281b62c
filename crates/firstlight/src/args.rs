//! The command line, as typed. Every setting can also come from `FIRSTLIGHT_*`; what is left open is filled by
//! [`settings`](crate::settings).

pub mod access;
pub mod backup;
pub mod delete;
pub mod dimse;
pub mod migrate;
pub mod moving;

use access::{DoorFlags, KeyFlags, LabelFlags, ShareFlags, UserFlags};
use backup::{BackupFlags, RebuildFlags};
use delete::{DeleteFlags, GraceFlag, HoldFlags};
use dimse::{DimseFlags, PullFlags, SendFlags};
use migrate::{ImportFlags, MigrateFlags, Rate};
use moving::MoveFlags;

use ::migrate::Hours;
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use transcode::Sampling;

/// Turns a DICOM archive into one that opens at once.
#[derive(Debug, Parser)]
#[command(name = "firstlight", version, max_term_width = 100, disable_help_subcommand = true)]
pub struct Cli {
    /// Settings file; without it, firstlight.toml of the current folder is read if there is one
    #[arg(long, global = true, value_name = "FILE", env = "FIRSTLIGHT_CONFIG")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub log: LogFlags,
    #[command(subcommand)]
    pub command: Command,
}

/// The log, on standard error.
#[derive(Debug, Default, Args)]
pub struct LogFlags {
    /// How much is logged: off, error, warn, info, debug or trace; without it, RUST_LOG says so
    #[arg(long = "log", global = true, value_name = "LEVEL", env = "FIRSTLIGHT_LOG")]
    pub level: Option<String>,
    /// How a line of the log is written [default: text]
    #[arg(long = "log-format", global = true, value_enum, value_name = "FORMAT", env = "FIRSTLIGHT_LOG_FORMAT")]
    pub format: Option<LogFormat>,
}

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line, for programs
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Convert files, folders or a DICOMDIR, every frame proven equal
    Convert(ConvertFlags),
    /// Move an archive: folders, DICOMDIRs, zip and tar files or DICOMweb servers, for as long as it takes
    Migrate(MigrateFlags),
    /// Store files in an archive as they are
    Import(ImportFlags),
    /// Show the frames of a file and where each resolution level ends
    Inspect(InspectFlags),
    /// Say what a policy does, list the shipped ones, show one
    Policy(PolicyFlags),
    /// Decode every frame of files and print the hash of the samples
    Verify(VerifyFlags),
    /// Give back the file that came in, byte for byte, from what it was converted to
    Restore(RestoreFlags),
    /// Keep an archive and serve it: DICOMweb, OHIF, start page
    Serve(Box<ServeFlags>),
    /// Convert, release and scrub what other programs take into an archive, and serve nothing
    Work(WorkFlags),
    /// Send files, folders or studies of an archive to a PACS over DIMSE
    Send(SendFlags),
    /// Fetch studies from a PACS over DIMSE into an archive
    Pull(PullFlags),
    /// Delete studies, series or instances of an archive, or bring them back
    Delete(DeleteFlags),
    /// Let nothing of a study be deleted
    Hold(HoldFlags),
    /// Copy an archive into a folder, while it is served
    Backup(BackupFlags),
    /// Bring an archive to another place: its index to PostgreSQL, its objects to S3, or back
    Move(MoveFlags),
    /// Make the index of an archive anew, from its objects alone
    RebuildIndex(RebuildFlags),
    /// List what proves that converted instances are what their sources were
    Evidence(EvidenceFlags),
    /// Show conversions that failed a check, and where their bytes are
    Quarantine(QuarantineFlags),
    /// Read and decode a whole archive again, and name what is not as it was
    Scrub(ScrubFlags),
    /// Account for every source, read every byte of a destination, and name what is not as it was
    Audit(AuditFlags),
    /// Write a page about what was converted, saved and kept, and why
    Report(ReportFlags),
    /// Make, list and remove users, and say what they may
    User(UserFlags),
    /// Make, list and revoke keys of programs
    Key(KeyFlags),
    /// Share studies by a link, list and revoke links
    Share(ShareFlags),
    /// Give words to a study that say who may see it
    Label(LabelFlags),
    /// Write the manual pages
    #[command(hide = true)]
    Manual(ManualFlags),
}

#[derive(Debug, Args)]
pub struct ManualFlags {
    /// The folder that receives them
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

#[derive(Debug, Args)]
#[command(override_usage = "firstlight convert [OPTIONS] <SRC>... <DST>")]
pub struct ConvertFlags {
    /// Files, folders (with all below them), DICOMDIRs, zip or tar files; last, the folder that receives what they become
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub conversion: ConversionFlags,
    #[command(flatten)]
    pub pace: PaceFlags,
    /// Say what would be done and write nothing
    #[arg(long, short = 'n')]
    pub dry_run: bool,
    /// Print nothing but what goes wrong
    #[arg(long, short)]
    pub quiet: bool,
}

/// What becomes of instances: the same of every command that converts.
#[derive(Debug, Default, Args)]
pub struct ConversionFlags {
    /// Rules in TOML: a file, or the name of a shipped policy
    #[arg(long, value_name = "FILE|NAME", env = "FIRSTLIGHT_POLICY")]
    pub policy: Option<String>,
    /// How files are named below DST
    #[arg(long, value_enum, env = "FIRSTLIGHT_LAYOUT")]
    pub layout: Option<Layout>,
    /// Write one JSON line per file here ("-": standard output)
    #[arg(long, value_name = "FILE", env = "FIRSTLIGHT_REPORT")]
    pub report: Option<PathBuf>,
    /// Take the identity out first (PS3.15 Annex E): "basic", or "basic,OPTION,..."
    #[arg(long, value_name = "PROFILE", env = "FIRSTLIGHT_DEIDENTIFY")]
    pub deidentify: Option<String>,
    /// The key that new UIDs are made with; keep it outside of DST
    #[arg(long, value_name = "FILE", env = "FIRSTLIGHT_KEY")]
    pub key: Option<PathBuf>,
    /// Make the key when it is not there
    #[arg(long)]
    pub make_key: bool,
    /// What to do with images that may show text, when the identity is taken out
    #[arg(long, value_enum, env = "FIRSTLIGHT_BURNED_IN")]
    pub burned_in: Option<BurnedIn>,
    /// Keep nothing by which the sources could be restored
    #[arg(long)]
    pub no_way_back: bool,
    #[command(flatten)]
    pub proving: ProvingFlags,
}

/// What a run may take.
#[derive(Debug, Default, Args)]
pub struct PaceFlags {
    /// Files worked on at the same time; without it, one per core
    #[arg(long, short, value_name = "N", env = "FIRSTLIGHT_JOBS", value_parser = at_least_one)]
    pub jobs: Option<std::num::NonZeroUsize>,
    /// Read at most so many bytes a second, such as 50MB (0: no limit)
    #[arg(long, value_name = "BYTES")]
    pub rate: Option<Rate>,
    /// Begin new files only in these hours, such as 20:00-06:00
    #[arg(long, value_name = "HH:MM-HH:MM")]
    pub hours: Option<Hours>,
    /// Give way to other programs by so much (1 to 19)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=19))]
    pub nice: Option<u8>,
}

/// How a run tells of itself: a migration, which goes on for weeks, and an import.
#[derive(Debug, Default, Args)]
pub struct WatchFlags {
    /// Keep a file for Prometheus here, for the textfile collector of node_exporter (NAME.prom)
    #[arg(long, value_name = "FILE", env = "FIRSTLIGHT_METRICS_FILE")]
    pub metrics_file: Option<PathBuf>,
    /// Answer /metrics on this address of the machine itself, such as 127.0.0.1:9109
    #[arg(long, value_name = "ADDRESS", env = "FIRSTLIGHT_METRICS_LISTEN")]
    pub metrics_listen: Option<SocketAddr>,
    /// Run this by the shell when the run has ended; FIRSTLIGHT_OUTCOME says how, FIRSTLIGHT_EXIT_CODE with which code
    #[arg(long, value_name = "CMD", env = "FIRSTLIGHT_ON_EXIT")]
    pub on_exit: Option<String>,
}

/// A number that is not 0.
pub fn at_least_one(text: &str) -> Result<std::num::NonZeroUsize, String> {
    text.parse().map_err(|_| "it is a number, 1 or more".to_owned())
}

/// What happens to images that may show burned-in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BurnedIn {
    /// Do not write them
    Block,
    /// Write them, and name each
    Flag,
}

/// How what is written is proven.
#[derive(Debug, Default, Args)]
pub struct ProvingFlags {
    /// Frames that a second decoder looks at: "off", "all", or so many of each class, then a share
    /// [default: 1000, 1%]
    #[arg(long, value_name = "N,SHARE", env = "FIRSTLIGHT_SECOND_OPINION")]
    pub second_opinion: Option<Sampling>,
    /// Gibibytes that the quarantine of what failed a check may hold [default: 10]
    #[arg(long, value_name = "GIB", env = "FIRSTLIGHT_QUARANTINE_GIB")]
    pub quarantine_gib: Option<u32>,
}

/// Where the index and the objects of an archive are.
#[derive(Debug, Default, Args)]
pub struct ObjectsFlags {
    /// Keep the index of a new archive in PostgreSQL, as postgres://user@host/database; the archive remembers it. The password comes
    /// from the environment or a file (docs/deployment.md) [default: in the folder of the archive]
    #[arg(long, value_name = "ADDRESS", env = "FIRSTLIGHT_INDEX", hide_env_values = true)]
    pub index: Option<String>,
    /// Keep the objects of a new archive in S3, as s3://bucket/prefix; the archive remembers it. Credentials come from the
    /// environment or a file (docs/deployment.md) [default: in the folder of the archive]
    #[arg(long, value_name = "ADDRESS", env = "FIRSTLIGHT_OBJECTS")]
    pub objects: Option<String>,
    /// Folder of what is kept near of objects in S3, on a fast local disk [default: cache in the folder of the archive]
    #[arg(long, value_name = "DIR", env = "FIRSTLIGHT_CACHE")]
    pub cache: Option<PathBuf>,
    /// Gibibytes that it may hold [default: 10]
    #[arg(long, value_name = "GIB", env = "FIRSTLIGHT_CACHE_GIB")]
    pub cache_gib: Option<u32>,
}

/// What commands that only store are told of de-identification: they refuse, rather than leave it out.
#[derive(Debug, Default, Args)]
pub struct IdentityFlags {
    /// Not done by this command: `firstlight convert` and `firstlight migrate` do it
    #[arg(long, value_name = "PROFILE", env = "FIRSTLIGHT_DEIDENTIFY", hide = true)]
    pub deidentify: Option<String>,
}

/// How converted files are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// As in SRC
    Mirror,
    /// study/series/instance.dcm, under generated names
    Study,
}

#[derive(Debug, Args)]
pub struct InspectFlags {
    /// DICOM files, folders, or bare JPEG 2000 codestreams
    #[arg(required = true, value_name = "FILE|DIR")]
    pub files: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct PolicyFlags {
    #[command(subcommand)]
    pub command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Say which rule fires for a file, and why
    Explain {
        /// DICOM files or folders
        #[arg(required = true, value_name = "FILE|DIR")]
        files: Vec<PathBuf>,
        /// Rules in TOML: a file, or the name of a shipped policy
        #[arg(long, value_name = "FILE|NAME", env = "FIRSTLIGHT_POLICY")]
        policy: Option<String>,
    },
    /// Read a policy and say what is wrong with it
    Check {
        /// Rules in TOML: a file, or the name of a shipped policy
        #[arg(value_name = "FILE|NAME")]
        file: String,
    },
    /// Try a sample of a folder under each shipped policy: bytes, CPU time, time to the first image
    Compare(CompareFlags),
    /// List the shipped policies
    List,
    /// Print a shipped policy as TOML, to start one's own from
    Show {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
pub struct CompareFlags {
    /// A folder, a file or a DICOMDIR; nothing in it is changed
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Files that are tried, spread evenly over the folder
    #[arg(long, value_name = "N", default_value = "200", value_parser = at_least_one)]
    pub sample: std::num::NonZeroUsize,
    /// Speed of the line for the time to the first image
    #[arg(long, value_name = "SPEED", default_value = "30mbit", value_parser = parse_line)]
    pub line: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct VerifyFlags {
    /// DICOM files or folders
    #[arg(required = true, value_name = "FILE|DIR")]
    pub files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct RestoreFlags {
    /// A file that `convert` or `migrate` wrote; with --data, the UID of an instance, a series or a study
    #[arg(value_name = "FILE|UID")]
    pub what: PathBuf,
    /// Where it goes: a file; of a series or study, a folder. Without it the way back is tried and nothing written
    #[arg(long = "output", short = 'o', alias = "out", value_name = "OUT")]
    pub out: Option<PathBuf>,
    /// The residue of FILE, where it is not found by itself
    #[arg(long, value_name = "FILE")]
    pub residue: Option<PathBuf>,
    /// Folder of the archive that holds UID
    #[arg(long, value_name = "DIR", env = "FIRSTLIGHT_DATA")]
    pub data: Option<PathBuf>,
    /// Replace OUT if it is there
    #[arg(long, short)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct ServeFlags {
    /// Folder of the archive; made if it is not there
    #[arg(long, value_name = "DIR", env = "FIRSTLIGHT_DATA")]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    pub objects: ObjectsFlags,
    /// Take in these files, folders or DICOMDIR while serving
    #[arg(long, value_name = "SRC")]
    pub import: Vec<PathBuf>,
    /// Address and port [default: 127.0.0.1:8042]
    #[arg(long, value_name = "ADDRESS", env = "FIRSTLIGHT_LISTEN")]
    pub listen: Option<SocketAddr>,
    #[command(flatten)]
    pub dimse: DimseFlags,
    #[command(flatten)]
    pub door: DoorFlags,
    /// Listen beyond this machine without TLS, and let in everyone as long as there is no user and no key: everyone
    /// who reaches the port reads every image and every name
    #[arg(long, env = "FIRSTLIGHT_INSECURE")]
    pub insecure: bool,
    /// Take and delete instances over HTTP (STOW-RS) beyond this machine too; on this machine alone it is done without it
    #[arg(long, env = "FIRSTLIGHT_STORE")]
    pub store: bool,
    /// Take no instances over HTTP, and delete none
    #[arg(long, conflicts_with = "store", env = "FIRSTLIGHT_READ_ONLY")]
    pub read_only: bool,
    /// Unpacked OHIF (the folder with index.html), shown at /viewer
    #[arg(long, value_name = "DIR", env = "FIRSTLIGHT_VIEWER")]
    pub viewer: Option<PathBuf>,
    /// Built web assets: the start page, OHIF's settings and extension
    #[arg(long, value_name = "DIR", env = "FIRSTLIGHT_WEB")]
    pub web: Option<PathBuf>,
    /// Rules in TOML: a file, or the name of a shipped policy
    #[arg(long, value_name = "FILE|NAME", env = "FIRSTLIGHT_POLICY")]
    pub policy: Option<String>,
    /// Files converted at the same time; without it, one per core
    #[arg(long, short, value_name = "N", env = "FIRSTLIGHT_JOBS", value_parser = at_least_one)]
    pub jobs: Option<std::num::NonZeroUsize>,
    /// Origins of other sites whose pages may read (CORS); none without it
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',', env = "FIRSTLIGHT_ALLOWED_ORIGINS")]
    pub allowed_origins: Vec<String>,
    /// Host names this server answers to, beside its own address and localhost
    #[arg(long, value_name = "HOST", value_delimiter = ',', env = "FIRSTLIGHT_ALLOWED_HOSTS")]
    pub allowed_hosts: Vec<String>,
    /// Read the viewer's default Accept as the standard does: uncompressed only
    #[arg(long, env = "FIRSTLIGHT_STRICT_ACCEPT")]
    pub strict_accept: bool,
    /// Leave "Not for diagnosis" off the light page: you answer for what it is used for
    #[arg(long, env = "FIRSTLIGHT_FOR_DIAGNOSIS")]
    pub for_diagnosis: bool,
    /// The address clients see, where a proxy stands in front
    #[arg(long, value_name = "URL", env = "FIRSTLIGHT_PUBLIC_URL")]
    pub public_url: Option<String>,
    /// Speak TLS: the files of the certificate and its key in PEM, read anew when they change; or "self-signed", to try
    #[arg(long, value_names = ["CERT", "KEY"], num_args = 1..=2, value_delimiter = ',', env = "FIRSTLIGHT_TLS")]
    pub tls: Vec<PathBuf>,
    /// Connections at once; beyond that the least needed is closed for a new one [default: 1024]
    #[arg(long, value_name = "N", env = "FIRSTLIGHT_CONNECTIONS", value_parser = at_least_one)]
    pub connections: Option<std::num::NonZeroUsize>,
    /// Connections of one client address at once; 0 for no limit, as behind a proxy [default: 512]
    #[arg(long, value_name = "N", env = "FIRSTLIGHT_CONNECTIONS_PER_CLIENT")]
    pub connections_per_client: Option<usize>,
    /// Add a line for each request to this file, "-" for standard output: time, request, client, method, path, status, bytes and
    /// milliseconds; no names, no values of queries
    #[arg(long, value_name = "FILE|-", env = "FIRSTLIGHT_ACCESS_LOG")]
    pub access_log: Option<PathBuf>,
    /// Remove what was received so long after its conversion ("30d", "12h"), once the way back to it is proven
    #[arg(long, value_name = "TIME", env = "FIRSTLIGHT_RELEASE_RECEIVED_AFTER")]
    pub release_received_after: Option<String>,
    #[command(flatten)]
    pub grace: GraceFlag,
    /// Keep what is received as it is; convert nothing
    #[arg(long)]
    pub no_convert: bool,
    #[command(flatten)]
    pub proving: ProvingFlags,
    #[command(flatten)]
    pub identity: IdentityFlags,
    /// Read and decode the whole archive again within so many days, over and over; without it, not at all
    #[arg(long, value_name = "DAYS", env = "FIRSTLIGHT_SCRUB_DAYS")]
    pub scrub_days: Option<f64>,
}

#[derive(Debug, Args)]
pub struct WorkFlags {
    /// Folder for what is unfinished; that of the archive, or with --index and --objects one of its own
    #[arg(long, value_name = "DIR", env = "FIRSTLIGHT_DATA")]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    pub objects: ObjectsFlags,
    /// Rules in TOML: a file, or the name of a shipped policy
    #[arg(long, value_name = "FILE|NAME", env = "FIRSTLIGHT_POLICY")]
    pub policy: Option<String>,
    /// Files converted at the same time; without it, one per core
    #[arg(long, short, value_name = "N", env = "FIRSTLIGHT_JOBS", value_parser = at_least_one)]
    pub jobs: Option<std::num::NonZeroUsize>,
    /// Remove what was received so long after its conversion ("30d", "12h"), once the way back to it is proven
    #[arg(long, value_name = "TIME", env = "FIRSTLIGHT_RELEASE_RECEIVED_AFTER")]
    pub release_received_after: Option<String>,
    /// Read and decode the whole archive again within so many days, over and over; without it, not at all
    #[arg(long, value_name = "DAYS", env = "FIRSTLIGHT_SCRUB_DAYS")]
    pub scrub_days: Option<f64>,
    #[command(flatten)]
    pub proving: ProvingFlags,
    #[command(flatten)]
    pub identity: IdentityFlags,
}

#[derive(Debug, Args)]
pub struct EvidenceFlags {
    /// SOP Instance UIDs, files that convert or migrate wrote, or folders; without any, all of DIR
    #[arg(value_name = "UID|FILE|DIR")]
    pub what: Vec<PathBuf>,
    /// An archive, or a folder that convert or migrate wrote
    #[arg(long, value_name = "DIR", env = "FIRSTLIGHT_DATA")]
    pub data: Option<PathBuf>,
    /// One JSON line per instance, with its frames
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// One row per frame
    #[arg(long)]
    pub csv: bool,
}

#[derive(Debug, Args)]
pub struct QuarantineFlags {
    #[command(subcommand)]
    pub command: QuarantineCommand,
}

#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// List what is in it
    List {
        /// An archive, or a folder that convert or migrate wrote
        #[arg(long, value_name = "DIR", env = "FIRSTLIGHT_DATA")]
        data: Option<PathBuf>,
        /// One JSON line per entry
        #[arg(long)]
        json: bool,
    },
    /// Tell all about one entry
    Show {
        /// Its name, or how it begins
        name: String,
        /// An archive, or a folder that convert or migrate wrote
        #[arg(long, value_name = "DIR", env = "FIRSTLIGHT_DATA")]
        data: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub struct ScrubFlags {
    /// Folder of the archive
    #[arg(long, value_name = "DIR", env = "FIRSTLIGHT_DATA")]
    pub data: Option<PathBuf>,
    /// Spread it over so many days; without it, and without scrub_days in the settings, as fast as it goes
    #[arg(long, value_name = "DAYS", env = "FIRSTLIGHT_SCRUB_DAYS")]
    pub days: Option<f64>,
    /// As fast as it goes, whatever the settings say
    #[arg(long, conflicts_with = "days")]
    pub now: bool,
    /// Begin anew instead of going on with a pass that was stopped
    #[arg(long)]
    pub restart: bool,
    /// One JSON line per fault
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ReportFlags {
    /// A folder that convert or migrate wrote
    #[arg(value_name = "DIR", conflicts_with = "data")]
    pub folder: Option<PathBuf>,
    /// An archive, or a folder that convert or migrate wrote
    #[arg(long, value_name = "DIR", env = "FIRSTLIGHT_DATA")]
    pub data: Option<PathBuf>,
    /// The page
    #[arg(long, short, value_name = "FILE", default_value = "report.html")]
    pub output: PathBuf,
}

#[derive(Debug, Args)]
#[command(override_usage = "firstlight audit [OPTIONS] [SRC]... <DST>")]
pub struct AuditFlags {
    /// What the destination was made from, to be read too; last, the destination: a folder that convert or migrate wrote, or an
    /// archive
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The destination, where it is not the last argument
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Check the record of who saw what, and nothing else: DST is its folder, or that of the archive
    #[arg(long)]
    pub access: bool,
    /// A head that was signed: a chain of lines must hold it
    #[arg(long, value_name = "SHA-256")]
    pub head: Vec<String>,
    /// Files read at the same time; without it, one per core
    #[arg(long, short, value_name = "N", env = "FIRSTLIGHT_JOBS")]
    pub jobs: Option<std::num::NonZeroUsize>,
    /// Header for DICOMweb servers that are sources, such as "Authorization: Bearer ..."
    #[arg(long, value_name = "NAME: VALUE", env = "FIRSTLIGHT_SOURCE_HEADER", hide_env_values = true)]
    pub header: Vec<migrate::Header>,
    /// One JSON line per finding, and one of the whole
    #[arg(long)]
    pub json: bool,
    /// Print nothing but what goes wrong
    #[arg(long, short)]
    pub quiet: bool,
}

/// A line: `30mbit`, `1gbit`, `512kbit`.
fn parse_line(text: &str) -> Result<u64, String> {
    let lower = text.to_lowercase();
    let (number, unit) = lower.split_at(lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len()));
    let factor = match unit {
        "bit" => 1.0,
        "kbit" => 1e3,
        "mbit" => 1e6,
        "gbit" => 1e9,
        _ => return Err("write a speed such as 30mbit, 512kbit or 1gbit".into()),
    };
    let bits = number.parse::<f64>().map_err(|_| "write a speed such as 30mbit".to_owned())? * factor;
    if bits >= 1.0 { Ok(bits as u64) } else { Err("a line of less than a bit a second".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        assert_eq!(parse_line("30mbit"), Ok(30_000_000));
        assert_eq!(parse_line("1.5Gbit"), Ok(1_500_000_000));
        assert!(parse_line("30").is_err() && parse_line("mbit").is_err());
    }
}
