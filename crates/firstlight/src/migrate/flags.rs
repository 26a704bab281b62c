//! The flags of `migrate` and `import`, and what they become.

use crate::args::{IdentityFlags, Layout};
use crate::failure::Failure;
use crate::settings::{self, File};
use ::migrate::{Hours, Limits, Order};
use clap::{Args, ValueEnum};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

#[derive(Debug, Args)]
#[command(
    after_help = "DST is a folder tree like that of `convert` (--layout), or an archive: the folder of one that is there, or \
with --archive a new one. Without SRC, what waits in the archive DST is converted. Ctrl-C stops; the same command goes on."
)]
pub struct MigrateFlags {
    /// Folders, DICOMDIRs, zip and tar files, or addresses of DICOMweb servers; last, the folder that receives
    #[arg(required_unless_present_any = ["pause", "resume", "adjust", "status"], value_name = "[SRC]... DST")]
    pub paths: Vec<PathBuf>,
    /// Rules in TOML: a file, or the name of a shipped policy
    #[arg(long, value_name = "FILE|NAME", env = "FIRSTLIGHT_POLICY")]
    pub policy: Option<String>,
    /// How files are named below DST
    #[arg(long, value_enum, conflicts_with = "archive")]
    pub layout: Option<Layout>,
    /// Make DST an archive, to be served by `firstlight serve --data DST`
    #[arg(long)]
    pub archive: bool,
    /// What comes first
    #[arg(long, value_enum, default_value = "as-found")]
    pub order: OrderFlag,
    /// Show the plan and convert nothing but its sample
    #[arg(long)]
    pub plan: bool,
    /// Keep nothing that leads back to the very files that came in
    #[arg(long)]
    pub no_way_back: bool,
    /// Seconds to spend on the sample of the plan
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    pub sample: u64,
    /// Read at most so many bytes a second, such as 50MB (0: no limit)
    #[arg(long, value_name = "BYTES")]
    pub rate: Option<Rate>,
    /// Begin new files only in these hours, such as 20:00-06:00
    #[arg(long, value_name = "HH:MM-HH:MM")]
    pub hours: Option<Hours>,
    /// Give way to other programs by so much (1 to 19)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=19))]
    pub nice: Option<u8>,
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
    pub run: RunFlags,
}

/// What both take.
#[derive(Debug, Args)]
pub struct RunFlags {
    /// Files worked on at the same time; without it, one per core
    #[arg(long, short, value_name = "N", env = "FIRSTLIGHT_JOBS")]
    pub jobs: Option<NonZeroUsize>,
    /// Header for DICOMweb servers, such as "Authorization: Bearer ..."
    #[arg(long, value_name = "NAME: VALUE", env = "FIRSTLIGHT_SOURCE_HEADER", hide_env_values = true)]
    pub header: Vec<Header>,
    /// Walk the sources once more; do again what was refused, or done under another policy
    #[arg(long)]
    pub rescan: bool,
    /// Print no progress
    #[arg(long, short)]
    pub quiet: bool,
    #[command(flatten)]
    pub identity: IdentityFlags,
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

/// What `migrate` works with.
pub struct Migrate {
    pub sources: Vec<PathBuf>,
    pub destination: PathBuf,
    pub archive: bool,
    pub layout: Option<::migrate::Layout>,
    pub policy: String,
    pub order: Order,
    pub limits: Limits,
    /// The user named limits: what was said to an earlier run is forgotten.
    pub limits_named: bool,
    pub way_back: bool,
    pub headers: Vec<(String, String)>,
    pub rescan: bool,
    pub sample: Duration,
    pub plan_only: bool,
    pub nice: Option<u8>,
    pub quiet: bool,
}

/// What `import` works with.
pub struct Import {
    pub sources: Vec<PathBuf>,
    pub data: PathBuf,
    pub jobs: usize,
    pub headers: Vec<(String, String)>,
    pub rescan: bool,
    pub quiet: bool,
}

/// Completes the flags of `migrate`.
pub fn migrate(flags: MigrateFlags, file: File) -> Result<Migrate, Failure> {
    settings::keeps_identity("migrate", &flags.run.identity, &file)?;
    let mut sources = flags.paths;
    let destination = sources
        .pop()
        .ok_or_else(|| Failure::new("migrate needs the folder that receives").hint("firstlight migrate SRC DST"))?;
    let limits_named = flags.run.jobs.is_some() || flags.rate.is_some() || flags.hours.is_some();
    let rate = flags.rate.map(|rate| rate.0).filter(|rate| *rate > 0);
    Ok(Migrate {
        sources,
        destination,
        archive: flags.archive,
        layout: flags.layout.map(Into::into),
        policy: flags.policy.or(file.policy).unwrap_or_else(settings::default_policy),
        order: flags.order.into(),
        limits: Limits { jobs: settings::jobs(flags.run.jobs.or(file.jobs)), rate, hours: flags.hours, paused: false },
        limits_named,
        way_back: !flags.no_way_back,
        headers: pairs(flags.run.header),
        rescan: flags.run.rescan,
        sample: Duration::from_secs(flags.sample),
        plan_only: flags.plan,
        nice: flags.nice,
        quiet: flags.run.quiet,
    })
}

/// Completes the flags of `import`.
pub fn import(flags: ImportFlags, file: File) -> Result<Import, Failure> {
    settings::keeps_identity("import", &flags.run.identity, &file)?;
    let data = flags.data.or(file.data);
    Ok(Import {
        sources: flags.sources,
        data: data.ok_or_else(|| {
            Failure::new("import needs the folder of the archive").hint("say --data DIR; it is made if it is not there")
        })?,
        jobs: settings::jobs(flags.run.jobs.or(file.jobs)),
        headers: pairs(flags.run.header),
        rescan: flags.run.rescan,
        quiet: flags.run.quiet,
    })
}

fn pairs(headers: Vec<Header>) -> Vec<(String, String)> {
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
