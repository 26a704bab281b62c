//! The flags of `migrate` and `import`, as typed.

use super::{ConversionFlags, IdentityFlags, ObjectsFlags, PaceFlags, WatchFlags};
use ::migrate::Order;
use clap::{Args, ValueEnum};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

#[derive(Debug, Args)]
#[command(
    override_usage = "firstlight migrate [OPTIONS] [SRC]... <DST>",
    after_help = "DST is a folder tree like that of `convert` (--layout), or an archive: the folder of one that is there, or \
with --archive a new one. Without SRC, what waits in the archive DST is converted. Ctrl-C stops; the same command goes on."
)]
pub struct MigrateFlags {
    /// Folders, DICOMDIRs, zip and tar files, or addresses of DICOMweb servers; last, the folder that receives
    #[arg(required_unless_present_any = ["pause", "resume", "adjust", "status"], value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Make DST an archive, to be served by `firstlight serve --data DST`
    #[arg(long)]
    pub archive: bool,
    #[command(flatten)]
    pub objects: ObjectsFlags,
    /// What comes first
    #[arg(long, value_enum, default_value = "as-found")]
    pub order: OrderFlag,
    /// Show the plan and convert nothing but its sample
    #[arg(long)]
    pub plan: bool,
    /// Seconds to spend on the sample of the plan
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    pub sample: u64,
    #[command(flatten)]
    pub conversion: ConversionFlags,
    #[command(flatten)]
    pub pace: PaceFlags,
    #[command(flatten)]
    pub run: RunFlags,
    /// Begin nothing new in the migration into DST, until --resume
    #[arg(long, value_name = "DST", conflicts_with = "paths")]
    pub pause: Option<PathBuf>,
    /// Let a paused migration go on
    #[arg(long, value_name = "DST", conflicts_with = "paths")]
    pub resume: Option<PathBuf>,
    /// Give the migration into DST other --jobs, --rate or --hours while it runs
    #[arg(long, value_name = "DST", conflicts_with = "paths")]
    pub adjust: Option<PathBuf>,
    /// Show how far the migration into DST is
    #[arg(long, value_name = "DST", conflicts_with = "paths")]
    pub status: Option<PathBuf>,
    /// Of --status: print JSON
    #[arg(long, requires = "status")]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ImportFlags {
    /// Folders, DICOMDIRs, zip and tar files, or addresses of DICOMweb servers
    #[arg(required = true, value_name = "SRC")]
    pub sources: Vec<PathBuf>,
    /// Folder of the archive; made if it is not there
    #[arg(long, value_name = "DIR", env = "FIRSTLIGHT_DATA")]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    pub objects: ObjectsFlags,
    /// Write one JSON line per file here ("-": standard output)
    #[arg(long, value_name = "FILE", env = "FIRSTLIGHT_REPORT")]
    pub report: Option<PathBuf>,
    /// Files worked on at the same time; without it, one per core
    #[arg(long, short, value_name = "N", env = "FIRSTLIGHT_JOBS")]
    pub jobs: Option<NonZeroUsize>,
    #[command(flatten)]
    pub run: RunFlags,
    #[command(flatten)]
    pub identity: IdentityFlags,
}

/// What both take.
#[derive(Debug, Args)]
pub struct RunFlags {
    /// Header for DICOMweb servers, such as "Authorization: Bearer ..."
    #[arg(long, value_name = "NAME: VALUE", env = "FIRSTLIGHT_SOURCE_HEADER", hide_env_values = true)]
    pub header: Vec<Header>,
    /// Walk the sources once more; do again what could not be read, or was done under another policy
    #[arg(long)]
    pub rescan: bool,
    /// Print nothing but what goes wrong
    #[arg(long, short)]
    pub quiet: bool,
    #[command(flatten)]
    pub watch: WatchFlags,
}

/// What comes first.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum OrderFlag {
    /// The largest files
    Largest,
    /// The newest studies
    Newest,
    /// As the walk finds them
    AsFound,
}

/// Bytes a second.
#[derive(Debug, Clone, Copy)]
pub struct Rate(pub u64);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Rate, String> {
        let wrong = || format!("{text:?} is not like 50MB");
        let text = text.trim().trim_end_matches("/s");
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let number: f64 = text[..digits].parse().map_err(|_| wrong())?;
        let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1.0,
            "k" | "kb" => 1e3,
            "m" | "mb" => 1e6,
            "g" | "gb" => 1e9,
            _ => return Err(wrong()),
        };
        Ok(Rate((number * unit) as u64))
    }
}

/// A header of requests. It may be a secret: it is never printed.
#[derive(Clone)]
pub struct Header(String, String);

impl FromStr for Header {
    type Err = String;

    fn from_str(text: &str) -> Result<Header, String> {
        let (name, value) = text.split_once(':').ok_or("it is not like \"Name: value\"")?;
        Ok(Header(name.trim().to_owned(), value.trim().to_owned()))
    }
}

impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ...", self.0)
    }
}

/// Headers as requests take them.
pub fn pairs(headers: Vec<Header>) -> Vec<(String, String)> {
    headers.into_iter().map(|Header(name, value)| (name, value)).collect()
}

impl From<OrderFlag> for Order {
    fn from(order: OrderFlag) -> Order {
        match order {
            OrderFlag::Largest => Order::Largest,
            OrderFlag::Newest => Order::Newest,
            OrderFlag::AsFound => Order::AsFound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        let rate = |text: &str| text.parse::<Rate>().map(|rate| rate.0);
        assert_eq!(rate("50MB"), Ok(50_000_000));
        assert_eq!(rate("1.5 GB/s"), Ok(1_500_000_000));
        assert_eq!(rate("0"), Ok(0));
        assert!(rate("fast").is_err() && rate("5 miles").is_err());
    }
}
