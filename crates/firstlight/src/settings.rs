//! Settings: flags over `FIRSTLIGHT_*` over `firstlight.toml` over what is built in.
//!
//! Flags and variables arrive merged in [`args`](crate::args); this fills what both leave open.

pub mod access;
mod audit;
pub mod backup;
pub mod delete;
pub mod dimse;
pub mod look;
mod migrate;
pub mod moving;

pub use migrate::{Asked, Import, Watch};

use crate::args::dimse::DimseCertificates;
use crate::args::{
    BurnedIn, ConversionFlags, ConvertFlags, IdentityFlags, Layout, LogFlags, LogFormat, ObjectsFlags, PaceFlags,
    ProvingFlags, ServeFlags, WorkFlags,
};
use crate::failure::Failure;
use crate::{log, words};
use ::migrate::Limits;
use archive::{IndexKeeping, Keeping};
use deidentify::Profile;
use files::Proving;
use serde::Deserialize;
use server::{Network, Tls};
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

const SEE: &str = "docs/configuration.md lists every setting";

/// The settings file. A name that is not known is an error, so that a typing mistake is not silence.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    policy: Option<String>,
    layout: Option<Layout>,
    report: Option<PathBuf>,
    deidentify: Option<String>,
    key: Option<PathBuf>,
    burned_in: Option<BurnedIn>,
    jobs: Option<NonZeroUsize>,
    data: Option<PathBuf>,
    index: Option<String>,
    objects: Option<String>,
    cache: Option<PathBuf>,
    cache_gib: Option<u32>,
    listen: Option<SocketAddr>,
    insecure: bool,
    sign_in: bool,
    behind_proxy: Vec<String>,
    oidc: Option<access::Oidc>,
    requests_per_second: Option<NonZeroU32>,
    store: bool,
    read_only: bool,
    log: Option<String>,
    log_format: Option<LogFormat>,
    viewer: Option<PathBuf>,
    web: Option<PathBuf>,
    allowed_origins: Vec<String>,
    allowed_hosts: Vec<String>,
    strict_accept: bool,
    for_diagnosis: bool,
    public_url: Option<String>,
    tls: Vec<PathBuf>,
    connections: Option<NonZeroUsize>,
    connections_per_client: Option<usize>,
    access_log: Option<PathBuf>,
    release_received_after: Option<String>,
    grace: Option<String>,
    second_opinion: Option<String>,
    quarantine_gib: Option<u32>,
    metrics_file: Option<PathBuf>,
    metrics_listen: Option<SocketAddr>,
    on_exit: Option<String>,
    scrub_days: Option<f64>,
    dimse: Option<dimse::Listen>,
    dimse_tls: Option<dimse::Listen>,
    dimse_ca: Option<PathBuf>,
    dimse_certificates: Option<DimseCertificates>,
    ae_title: Option<String>,
    peer: Vec<String>,
    peer_grant: Vec<dimse::PeerGrant>,
}

/// What `convert` works with.
#[derive(Debug)]
pub struct Convert {
    pub sources: Vec<PathBuf>,
    pub destination: PathBuf,
    pub policy: String,
    pub layout: Layout,
    pub report: Option<PathBuf>,
    pub deidentify: Option<Deidentify>,
    pub limits: Limits,
    pub nice: Option<u8>,
    pub way_back: bool,
    pub dry_run: bool,
    pub quiet: bool,
    pub proving: Proving,
}

/// How the identity is taken out.
#[derive(Debug)]
pub struct Deidentify {
    pub profile: Profile,
    pub key: PathBuf,
    pub make_key: bool,
    pub burned_in: deidentify::BurnedIn,
}

/// What `serve` works with.
#[derive(Debug)]
pub struct Serve {
    pub data: PathBuf,
    pub index: IndexKeeping,
    pub objects: Keeping,
    pub import: Vec<PathBuf>,
    pub listen: SocketAddr,
    /// Whom it lets in.
    pub entrance: access::Entrance,
    /// Who vouches for others.
    pub provider: Option<::access::ProviderSettings>,
    /// Where it is recorded who saw what.
    pub record: Option<access::Record>,
    /// Proxies that are believed.
    pub behind_proxy: Vec<Network>,
    /// How many requests a second come from one who is known; any number without.
    pub requests_per_second: Option<NonZeroU32>,
    /// Instances can be stored and deleted over HTTP.
    pub store: bool,
    pub viewer: Option<PathBuf>,
    pub web: Option<PathBuf>,
    pub policy: String,
    pub jobs: usize,
    pub allowed_origins: Vec<String>,
    pub allowed_hosts: Vec<String>,
    pub strict_accept: bool,
    pub for_diagnosis: bool,
    pub public_url: Option<String>,
    pub tls: Option<Tls>,
    pub connections: Option<NonZeroUsize>,
    pub connections_per_client: Option<usize>,
    pub access_log: Option<PathBuf>,
    pub convert: bool,
    /// What was received goes so long after its conversion; never without it.
    pub release_after: Option<Duration>,
    /// How long what is deleted over HTTP can come back.
    pub grace: Duration,
    pub proving: Proving,
    pub scrub_days: Option<f64>,
    /// Answers DIMSE too.
    pub dimse: Option<dimse::Dimse>,
}

/// What `work` works with.
#[derive(Debug)]
pub struct Work {
    pub data: PathBuf,
    pub index: IndexKeeping,
    pub objects: Keeping,
    pub policy: String,
    pub jobs: usize,
    /// What was received goes so long after its conversion; never without it.
    pub release_after: Option<Duration>,
    pub proving: Proving,
    pub scrub_days: Option<f64>,
}

impl File {
    /// Reads the named file, or `firstlight.toml` of the current folder if it is there.
    pub fn load(named: Option<&Path>) -> Result<File, Failure> {
        let path = named.unwrap_or(Path::new("firstlight.toml"));
        match std::fs::read_to_string(path) {
            Ok(text) => parse(&text, path),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && named.is_none() => Ok(File::default()),
            Err(e) => Err(Failure::io("read", path, &e)),
        }
    }
}

fn parse(text: &str, path: &Path) -> Result<File, Failure> {
    toml::from_str(text).map_err(|e| {
        let line = e.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        let first = e.message().lines().next().unwrap_or("not valid");
        Failure::new(format!("{} line {line}: {first}", path.display())).hint(SEE)
    })
}

/// What becomes of instances: the same of every command that converts into a folder tree.
struct Conversion {
    policy: String,
    layout: Option<Layout>,
    report: Option<PathBuf>,
    deidentify: Option<Deidentify>,
    way_back: bool,
    proving: Proving,
}

/// Completes the flags of `convert`.
pub fn convert(mut flags: ConvertFlags, mut file: File) -> Result<Convert, Failure> {
    let destination = flags.paths.pop().unwrap_or_default();
    if flags.paths.is_empty() {
        return Err(Failure::new("convert needs the folder that receives the converted files")
            .hint("firstlight convert SRC... DST"));
    }
    let conversion = conversion(flags.conversion, &destination, &mut file)?;
    let (limits, nice) = pace(&flags.pace, &file);
    Ok(Convert {
        sources: flags.paths,
        destination,
        policy: conversion.policy,
        layout: conversion.layout.unwrap_or(Layout::Mirror),
        report: conversion.report,
        deidentify: conversion.deidentify,
        limits,
        nice,
        way_back: conversion.way_back,
        dry_run: flags.dry_run,
        quiet: flags.quiet,
        proving: conversion.proving,
    })
}

fn conversion(flags: ConversionFlags, destination: &Path, file: &mut File) -> Result<Conversion, Failure> {
    let deidentify = deidentify(&flags, destination, file)?;
    let layout = flags.layout.or(file.layout);
    if deidentify.is_some() && layout == Some(Layout::Mirror) {
        return Err(Failure::new("names of files and folders tell whose they are: they can't be mirrored")
            .hint("leave --layout out, or say --layout study"));
    }
    Ok(Conversion {
        policy: flags.policy.or(file.policy.take()).unwrap_or_else(default_policy),
        layout: if deidentify.is_some() { Some(Layout::Study) } else { layout },
        report: flags.report.or(file.report.take()),
        deidentify,
        way_back: !flags.no_way_back,
        proving: proving(flags.proving, &file.second_opinion, file.quarantine_gib)?,
    })
}

fn pace(flags: &PaceFlags, file: &File) -> (Limits, Option<u8>) {
    let rate = flags.rate.map(|rate| rate.0).filter(|rate| *rate > 0);
    (Limits { jobs: jobs(flags.jobs.or(file.jobs)), rate, hours: flags.hours, paused: false }, flags.nice)
}

fn deidentify(flags: &ConversionFlags, destination: &Path, file: &mut File) -> Result<Option<Deidentify>, Failure> {
    let key = flags.key.clone().or(file.key.take());
    let Some(list) = flags.deidentify.clone().or(file.deidentify.take()) else {
        let stray = key.is_some() || flags.make_key || flags.burned_in.or(file.burned_in).is_some();
        let failure = Failure::new("a key (or what to do with burned-in text) is of no use without --deidentify");
        return if stray { Err(failure.hint("say --deidentify basic, or leave the others out")) } else { Ok(None) };
    };
    let profile = Profile::parse(&list).map_err(|error| {
        Failure::new(format!("--deidentify: {error}")).hint(format!("options: {}", Profile::OPTIONS.join(", ")))
    })?;
    let key = key.ok_or_else(|| {
        Failure::new("--deidentify needs a key").hint("say --key FILE; --make-key makes it when it is not there")
    })?;
    let inside = |folder: &Path| {
        let whole = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_default();
        let of_key = whole(key.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")));
        of_key.starts_with(whole(folder))
    };
    if inside(destination) {
        return Err(Failure::new(format!("the key {} lies in the destination", key.display()))
            .hint("whoever has both can tell whose the objects are: keep the key elsewhere"));
    }
    let burned_in = match flags.burned_in.or(file.burned_in) {
        Some(BurnedIn::Flag) => deidentify::BurnedIn::Flag,
        _ => deidentify::BurnedIn::Block,
    };
    Ok(Some(Deidentify { profile, key, make_key: flags.make_key, burned_in }))
}

/// Only `convert` and `migrate` take the identity out. A command that was told to and can't must not write objects that still have it.
pub fn keeps_identity(command: &str, flags: &IdentityFlags, file: &File) -> Result<(), Failure> {
    if flags.deidentify.is_none() && file.deidentify.is_none() {
        return Ok(());
    }
    Err(Failure::new(format!("{command} takes no identity out, and deidentify is set")).hint(
        "`firstlight convert --deidentify` and `firstlight migrate --deidentify` do; for this command unset it in firstlight.toml and FIRSTLIGHT_DEIDENTIFY",
    ))
}

pub use audit::{Audit, audit};
pub use migrate::{import, migrate};

/// Completes the flags of `serve`.
pub fn serve(flags: ServeFlags, mut file: File) -> Result<Serve, Failure> {
    keeps_identity("serve", &flags.identity, &file)?;
    let (index, objects) = places(flags.objects, &mut file)?;
    let listen = flags.listen.or(file.listen).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8042)));
    let insecure = flags.insecure || file.insecure;
    let behind_proxy = access::proxies(&flags.door, &file)?;
    let tls = tls(&or(flags.tls, std::mem::take(&mut file.tls)))?;
    let provider = access::provider(file.oidc.take())?;
    let sign_in = flags.door.sign_in || file.sign_in || provider.is_some();
    let entrance = access::entrance(listen, insecure, sign_in, tls.is_some(), !behind_proxy.is_empty())?;
    // What was said last holds: a flag over the file.
    let (store, read_only) = match flags.store || flags.read_only {
        true => (flags.store, flags.read_only),
        false => (file.store, file.read_only),
    };
    let dimse = dimse::dimse(flags.dimse, &mut file, listen, insecure, !read_only, tls.is_some())?;
    let grace = delete::grace(flags.grace, &file)?;
    let data = flags.data.or(file.data).ok_or_else(|| {
        Failure::new("serve needs the folder of the archive").hint("say --data DIR; it is made if it is not there")
    })?;
    Ok(Serve {
        grace,
        record: access::record(flags.door.record, entrance.mode, &data)?,
        entrance,
        provider,
        behind_proxy,
        requests_per_second: flags.door.requests_per_second.or(file.requests_per_second),
        dimse,
        store: stores(entrance.exposed, store, read_only),
        data,
        index,
        objects,
        import: flags.import,
        listen,
        viewer: flags.viewer.or(file.viewer).or_else(|| installed("viewer")),
        web: flags.web.or(file.web).or_else(|| installed("web")),
        policy: flags.policy.or(file.policy).unwrap_or_else(default_policy),
        jobs: jobs(flags.jobs.or(file.jobs)),
        allowed_origins: or(flags.allowed_origins, file.allowed_origins),
        allowed_hosts: or(flags.allowed_hosts, file.allowed_hosts),
        strict_accept: flags.strict_accept || file.strict_accept,
        for_diagnosis: flags.for_diagnosis || file.for_diagnosis,
        public_url: flags.public_url.or(file.public_url),
        tls,
        connections: flags.connections.or(file.connections),
        connections_per_client: flags.connections_per_client.or(file.connections_per_client),
        access_log: flags.access_log.or(file.access_log),
        convert: !flags.no_convert,
        proving: proving(flags.proving, &file.second_opinion, file.quarantine_gib)?,
        scrub_days: days(flags.scrub_days.or(file.scrub_days))?,
        release_after: match flags.release_received_after.or(file.release_received_after) {
            Some(text) => age("release_received_after", &text)?,
            None => None,
        },
    })
}

/// Completes the flags of `work`.
pub fn work(flags: WorkFlags, mut file: File) -> Result<Work, Failure> {
    keeps_identity("work", &flags.identity, &file)?;
    let (index, objects) = places(flags.objects, &mut file)?;
    Ok(Work {
        data: flags.data.or(file.data).ok_or_else(|| {
            Failure::new("work needs a folder for what is unfinished")
                .hint("say --data DIR; with --index and --objects any empty folder on a local disk will do")
        })?,
        index,
        objects,
        policy: flags.policy.or(file.policy).unwrap_or_else(default_policy),
        jobs: jobs(flags.jobs.or(file.jobs)),
        release_after: flags
            .release_received_after
            .or(file.release_received_after)
            .map_or(Ok(None), |text| age("release_received_after", &text))?,
        proving: proving(flags.proving, &file.second_opinion, file.quarantine_gib)?,
        scrub_days: days(flags.scrub_days.or(file.scrub_days))?,
    })
}

/// What was installed with the program: `share/firstlight/PART` beside the folder that the program is in.
fn installed(part: &str) -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?.canonicalize().ok()?;
    Some(program.parent()?.parent()?.join("share/firstlight").join(part)).filter(|folder| folder.is_dir())
}

/// The certificate that `serve` shows; one of its own making is for the names of the machine itself.
fn tls(named: &[PathBuf]) -> Result<Option<Tls>, Failure> {
    match named {
        [] => Ok(None),
        [word] if word.as_os_str() == "self-signed" => {
            Ok(Some(Tls::SelfSigned(["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec())))
        }
        [certificate, key] => Ok(Some(Tls::Files { certificate: certificate.clone(), key: key.clone() })),
        _ => Err(Failure::new("tls needs the file of a certificate and that of its key")
            .hint("--tls CERT KEY names both; --tls self-signed makes one to try")),
    }
}

/// Where the index and the objects are, and what is kept near of these.
fn places(flags: ObjectsFlags, file: &mut File) -> Result<(IndexKeeping, Keeping), Failure> {
    let gib = flags.cache_gib.or(file.cache_gib);
    let objects = Keeping {
        at: flags.objects.or(file.objects.take()),
        cache: flags.cache.or(file.cache.take()),
        cache_bytes: gib.map(|gib| u64::from(gib) << 30),
        ..archive::Options::default().objects
    };
    let index = IndexKeeping { at: flags.index.or(file.index.take()) };
    let wrong = |error| Failure::new(format!("--index: {error}")).hint(words::hint_for_index(&error));
    index.check().map_err(wrong)?;
    Ok((index, objects))
}

/// Can instances be stored over HTTP? On this machine alone, unless it is said otherwise.
fn stores(exposed: bool, store: bool, read_only: bool) -> bool {
    !read_only && (store || !exposed)
}

/// What decides how much is logged, and how it is written.
pub fn log(flags: LogFlags, file: &File) -> (log::Wanted, LogFormat) {
    let variable = std::env::var("RUST_LOG").ok();
    let wanted = log::Wanted { flag: flags.level, variable, file: file.log.clone() };
    (wanted, flags.format.or(file.log_format).unwrap_or(LogFormat::Text))
}

/// A time as users write it: a number and d, h or m; `None` is never.
fn age(setting: &str, text: &str) -> Result<Option<Duration>, Failure> {
    let text = text.trim();
    let wrong = || {
        Failure::new(format!("{setting}: \"{text}\" is no time"))
            .hint("write days, hours or minutes as 30d, 12h or 90m, or never")
    };
    if text == "never" {
        return Ok(None);
    }
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "d" => 86_400,
        "h" => 3600,
        "m" => 60,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    Ok(Some(Duration::from_secs(number.checked_mul(seconds).ok_or_else(wrong)?)))
}

fn proving(flags: ProvingFlags, sampling: &Option<String>, gib: Option<u32>) -> Result<Proving, Failure> {
    let usual = Proving::default();
    let told = sampling.as_ref().map(|text| text.parse()).transpose();
    let told = told.map_err(|e: String| Failure::new(format!("second_opinion: {e}")).hint(SEE))?;
    Ok(Proving {
        sampling: flags.second_opinion.or(told).unwrap_or(usual.sampling),
        quarantine: flags.quarantine_gib.or(gib).map_or(usual.quarantine, |gib| u64::from(gib) << 30),
    })
}

/// A number of days that something can be spread over.
pub fn days(days: Option<f64>) -> Result<Option<f64>, Failure> {
    match days {
        Some(days) if !(days > 0.0 && days <= 36_500.0) => {
            Err(Failure::new(format!("{days} is no number of days")).hint("say how long one pass may take, as in 30"))
        }
        days => Ok(days),
    }
}

/// The policy used when none is named.
pub fn default_policy() -> String {
    "default".to_owned()
}

fn or<T>(flags: Vec<T>, file: Vec<T>) -> Vec<T> {
    if flags.is_empty() { file } else { flags }
}

/// As many as wanted, or one per core.
pub fn jobs(wanted: Option<NonZeroUsize>) -> usize {
    wanted.map_or_else(|| std::thread::available_parallelism().map_or(1, NonZeroUsize::get), NonZeroUsize::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_is_an_error_with_its_line() {
        let failure = parse("jobs = 2\njbos = 3\n", Path::new("f.toml")).unwrap_err();
        assert!(format!("{failure:?}").contains("f.toml line 2: unknown field `jbos`"), "{failure:?}");
    }

    #[test]
    fn times_are_read_and_others_refused() {
        let seconds = |text| age("grace", text).map(|age| age.map(|age| age.as_secs())).ok();
        assert_eq!(seconds("30d"), Some(Some(30 * 86_400)));
        assert_eq!((seconds("12h"), seconds("0m"), seconds("never")), (Some(Some(43_200)), Some(Some(0)), Some(None)));
        for wrong in ["", "d", "30", "-1d", "1.5h", "30 days", "99999999999999999999d", "é"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn other_machines_store_only_when_it_is_said() {
        assert!(stores(false, false, false) && stores(false, true, false) && stores(true, true, false));
        assert!(!stores(true, false, false) && !stores(false, false, true) && !stores(true, true, true));
    }

    #[test]
    fn identity_is_not_kept_in_silence() {
        let asked = |flag: Option<&str>, file: &str| {
            let flags = IdentityFlags { deidentify: flag.map(Into::into) };
            keeps_identity("serve", &flags, &parse(file, Path::new("f.toml")).unwrap()).is_err()
        };
        assert!(asked(Some("basic"), "") && asked(None, "deidentify = \"basic\"\n") && !asked(None, "key = \"k\"\n"));
    }

    #[test]
    fn flags_win_over_the_file() {
        let file = || parse("jobs = 2\nlayout = \"study\"\n", Path::new("f.toml")).unwrap();
        let flags = |jobs| ConvertFlags {
            paths: vec!["s".into(), "d".into()],
            conversion: ConversionFlags::default(),
            pace: PaceFlags { jobs, ..PaceFlags::default() },
            dry_run: false,
            quiet: false,
        };
        assert_eq!(convert(flags(None), file()).unwrap().limits.jobs, 2);
        let set = convert(flags(NonZeroUsize::new(5)), file()).unwrap();
        assert_eq!((set.limits.jobs, set.layout), (5, Layout::Study));
    }

    /// Each setting, by command: what is typed, its variable, what is in the file, and what it makes of the run.
    #[test]
    fn every_source_of_a_setting_reaches_the_run() {
        use crate::args::{Cli, Command};
        use clap::{CommandFactory, Parser};
        let ready = |command: &str, typed: &[&str], file: &str| {
            let usual: &[&str] = match command {
                "serve" => &["firstlight", "serve", "--data", "d"],
                other => &["firstlight", other, "s", "d"],
            };
            let cli = Cli::try_parse_from(usual.iter().chain(typed)).unwrap();
            let file = parse(file, Path::new("f.toml")).unwrap();

            match cli.command {
                Command::Convert(flags) => format!("{:?}", convert(flags, file).unwrap()),
                Command::Migrate(flags) => format!("{:?}", migrate(flags, file).unwrap()),
                Command::Serve(flags) => format!("{:?}", serve(*flags, file).unwrap()),
                other => panic!("{other:?}"),
            }
        };
        let (all, some) = (["convert", "migrate", "serve"].as_slice(), ["convert", "migrate"].as_slice());
        for (commands, name, typed, variable, line, becomes) in [
            (all, "policy", "p", "POLICY", "policy = \"p\"", "policy: \"p\""),
            (all, "jobs", "7", "JOBS", "jobs = 7", "jobs: 7"),
            (all, "second-opinion", "all", "SECOND_OPINION", "second_opinion = \"all\"", "share: 1.0"),
            (all, "quarantine-gib", "3", "QUARANTINE_GIB", "quarantine_gib = 3", "quarantine: 3221225472"),
            (&all[2..], "access-log", "l", "ACCESS_LOG", "access_log = \"l\"", "access_log: Some(\"l\")"),
            (&all[2..], "connections", "9", "CONNECTIONS", "connections = 9", "connections: Some(9)"),
            (
                &all[2..],
                "requests-per-second",
                "7",
                "REQUESTS_PER_SECOND",
                "requests_per_second = 7",
                "requests_per_second: Some(7)",
            ),
            (&all[2..], "tls", "a,b", "TLS", "tls = [\"a\", \"b\"]", "certificate: \"a\", key: \"b\""),
            (
                &all[2..],
                "connections-per-client",
                "0",
                "CONNECTIONS_PER_CLIENT",
                "connections_per_client = 0",
                "connections_per_client: Some(0)",
            ),
            (some, "layout", "study", "LAYOUT", "layout = \"study\"", "Study"),
            (some, "report", "r", "REPORT", "report = \"r\"", "report: Some(\"r\")"),
            (&all[1..], "objects", "s3://b/c", "OBJECTS", "objects = \"s3://b/c\"", "at: Some(\"s3://b/c\")"),
            (&all[1..], "cache", "c", "CACHE", "cache = \"c\"", "cache: Some(\"c\")"),
            (&all[1..], "cache-gib", "2", "CACHE_GIB", "cache_gib = 2", "cache_bytes: Some(2147483648)"),
            (&all[2..], "dimse", "11112", "DIMSE", "dimse = 11112", "listen: Some(127.0.0.1:11112)"),
            (&all[1..2], "metrics-file", "m", "METRICS_FILE", "metrics_file = \"m\"", "metrics_file: Some(\"m\")"),
            (&all[1..2], "on-exit", "e", "ON_EXIT", "on_exit = \"e\"", "on_exit: Some(\"e\")"),
            (
                &all[1..2],
                "metrics-listen",
                "127.0.0.1:1",
                "METRICS_LISTEN",
                "metrics_listen = \"127.0.0.1:1\"",
                "metrics_listen: Some(127.0.0.1:1)",
            ),
        ] {
            for command in commands {
                let flag = format!("--{name}");
                assert!(!ready(command, &[], "").contains(becomes), "{command} {name}: the usual is another");
                assert!(ready(command, &[&flag, typed], "").contains(becomes), "{command} {flag}");
                assert!(ready(command, &[], line).contains(becomes), "{command} {line}: {}", ready(command, &[], line));
                // What clap finds in the variable takes the place of what is typed.
                let cli = Cli::command();
                let args = cli.find_subcommand(command).unwrap();
                let arg = args.get_arguments().find(|arg| arg.get_long() == Some(name)).unwrap();
                let env = arg.get_env().and_then(|env| env.to_str()).unwrap_or_default();
                assert_eq!(env, format!("FIRSTLIGHT_{variable}"), "{command} {name}");
            }
        }
        // De-identification needs a key.
        for command in some {
            let asked = ready(command, &[], "deidentify = \"basic\"\nkey = \"/elsewhere/k\"\nburned_in = \"flag\"\n");
            assert!(asked.contains("key: \"/elsewhere/k\"") && asked.contains("burned_in: Flag"), "{asked}");
            let typed = ["--deidentify", "basic", "--key", "/elsewhere/k", "--burned-in", "flag"];
            let typed = ready(command, &typed, "");
            assert!(typed.contains("key: \"/elsewhere/k\"") && typed.contains("burned_in: Flag"), "{typed}");
            for (typed, becomes) in
                [("--rate=5kB", "rate: Some(5000)"), ("--hours=1:00-2:00", "from: 60"), ("--nice=3", "nice: Some(3)")]
            {
                assert!(ready(command, &[typed], "").contains(becomes), "{command} {typed}");
            }
        }
    }
}
