//! `firstlight serve`: the archive behind HTTP, while import and conversion go on in the background.
//!
//! Three things run beside each other until Ctrl-C: the server, the import of what `--import` names, and the conversion
//! of what waits for it.

use crate::convert::{Found, Walk, walk};
use crate::failure::{Exit, Failure, file_line, reason};
use crate::policy;
use crate::settings;
use crate::stop::Stop;
use crate::units::{bytes, count, duration, saved};
use archive::{Archive, Event, Ingested, Options, Release};
use migrate::dicomdir;
use server::{Config, Server};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use transcode::Policy;

/// Time between two lines about work in the background.
const EVERY: Duration = Duration::from_secs(5);
/// How often the converter looks for new work.
const LOOK: Duration = Duration::from_millis(500);

/// How often received objects are looked through that may go.
const RELEASE: Duration = Duration::from_secs(600);

/// Runs the command.
pub fn run(set: settings::Serve) -> Result<Exit, Failure> {
    let policy = policy::load(&set.policy)?;
    check_folders(&set)?;
    let archive = Archive::open(&set.data, options(&set)).map_err(|e| cannot_open(&set.data, &e))?;
    let mut import = Walk::default();
    for source in &set.import {
        walk(source, Some(&set.data), &mut import)?;
    }
    let stop = Stop::on_interrupt();
    let runtime = tokio::runtime::Runtime::new().map_err(|e| Failure::new(format!("cannot start threads: {e}")))?;
    let bound = runtime.block_on(Server::bind(config(&set, archive.clone())));
    let bound = bound.map_err(|e| cannot_listen(set.listen, &e))?;
    println!("{}", greeting(&set, bound.address().unwrap_or(set.listen)));

    let imported = AtomicBool::new(import.found.is_empty());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            take_in(&archive, &import, set.jobs, &stop);
            imported.store(true, Relaxed);
        });
        if set.convert {
            scope.spawn(|| convert(&archive, &policy, set.jobs, &stop, &imported));
        }
        if let Some(after) = set.release_after {
            scope.spawn({
                let (archive, stop) = (&archive, &stop);
                move || release(archive, after, stop)
            });
        }
        if let Some(days) = set.scrub_days {
            let (archive, stop) = (&archive, &stop);
            scope.spawn(move || crate::scrub::forever(archive, days, stop));
        }
        let asked = stop.clone();
        let shutdown = async move {
            while !asked.asked() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        runtime.block_on(bound.run(shutdown));
    });
    Ok(Exit::Well)
}

fn options(set: &settings::Serve) -> Options {
    Options { quarantine: set.proving.quarantine, sampling: set.proving.sampling, ..Options::default() }
}

fn config(set: &settings::Serve, archive: Archive) -> Config {
    let mut config = Config::new(archive);
    config.address = set.listen;
    config.allowed_origins.clone_from(&set.allowed_origins);
    config.allowed_hosts.clone_from(&set.allowed_hosts);
    config.viewer_dir.clone_from(&set.viewer);
    config.web_dir.clone_from(&set.web);
    config.strict_accept = set.strict_accept;
    config.public_url.clone_from(&set.public_url);
    config
}

fn check_folders(set: &settings::Serve) -> Result<(), Failure> {
    let folder = |path: &Path, file: &str, hint: &str| {
        let there = path.join(file).is_file() || (file.is_empty() && path.is_dir());
        let line = format!("{} is not there", path.join(file).display());
        if there { Ok(()) } else { Err(Failure::new(line).hint(hint)) }
    };
    if let Some(viewer) = &set.viewer {
        folder(viewer, "index.html", "--viewer names the unpacked OHIF: `npm run fetch-viewer` in web/ fetches it")?;
    }
    if let Some(web) = &set.web {
        folder(web, "", "--web names the built web side: `npm run build` in web/ makes web/dist")?;
    }
    Ok(())
}

fn cannot_listen(address: SocketAddr, error: &server::Error) -> Failure {
    let failure = Failure::new(error.to_string());
    let server::Error::Listen { source, .. } = error else { return failure };
    let failure = Failure::new(format!("cannot listen on {address}: {}", reason(source)));
    match source.kind() {
        ErrorKind::AddrInUse => failure.hint("another program has the port: choose one with --listen 127.0.0.1:PORT"),
        ErrorKind::PermissionDenied => failure.hint("ports below 1024 need rights: choose a higher one"),
        _ => failure.hint("--listen takes an address of this machine and a port"),
    }
}

fn greeting(set: &settings::Serve, address: SocketAddr) -> String {
    let viewer = if set.viewer.is_some() { format!("\n  viewer    http://{address}/viewer") } else { String::new() };
    format!(
        "Firstlight serves {} at http://{address}/{viewer}\n  DICOMweb  http://{address}/dicom-web",
        set.data.display()
    )
}

pub fn cannot_open(data: &Path, error: &archive::Error) -> Failure {
    let failure = Failure::new(format!("cannot open the archive {}: {error}", data.display()));
    match error {
        archive::Error::Newer { .. } => failure.hint("use the version of firstlight that wrote it, or a newer one"),
        archive::Error::Full => failure.hint("make room on its disk"),
        _ => failure.hint("--data names a folder that this user can write, on a local disk"),
    }
}

/// Stores every file of the walk; each is durable and listed before the next is taken.
fn take_in(archive: &Archive, import: &Walk, jobs: usize, stop: &Stop) {
    for trouble in &import.troubles {
        eprintln!("{}", trouble.line());
    }
    if import.found.is_empty() {
        return;
    }
    let files: Vec<&Found> = import.found.iter().filter(|found| !dicomdir::named_so(&found.path)).collect();
    let total = files.len() as u64;
    eprintln!("import: {}", count(total, "file"));
    let (next, counts, lines) = (AtomicUsize::new(0), Imported::default(), Lines::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(found) = files.get(next.fetch_add(1, Relaxed)).filter(|_| !stop.asked()) {
                    counts.add(found, archive.ingest(&found.path));
                    lines.now_and_then(|elapsed| counts.line(total, elapsed));
                }
            });
        }
    });
    eprintln!("{}", counts.line(total, lines.started.elapsed()));
}

#[derive(Default)]
struct Imported {
    stored: AtomicU64,
    there: AtomicU64,
    conflicts: AtomicU64,
    skipped: AtomicU64,
    refused: AtomicU64,
    bytes: AtomicU64,
}

impl Imported {
    fn add(&self, found: &Found, result: Result<Ingested, archive::Error>) {
        self.bytes.fetch_add(found.bytes, Relaxed);
        let counter = match result {
            Ok(Ingested::Stored(_)) => &self.stored,
            Ok(Ingested::Duplicate(_)) => &self.there,
            Ok(Ingested::Conflict(_)) => {
                eprintln!("{}", file_line("note", &found.path, &"another object has its UIDs: both are kept", None));
                &self.conflicts
            }
            Err(archive::Error::Transcode(transcode::Error::NotDicom)) => &self.skipped,
            Err(e) => {
                let hint =
                    matches!(e, archive::Error::Full).then_some("make room on the archive's disk and start again");
                eprintln!("{}", file_line("refused", &found.path, &e, hint));
                &self.refused
            }
        };
        counter.fetch_add(1, Relaxed);
    }

    fn line(&self, total: u64, elapsed: Duration) -> String {
        let of = |counter: &AtomicU64| counter.load(Relaxed);
        let done = [&self.stored, &self.there, &self.conflicts, &self.skipped, &self.refused].map(of);
        let [stored, there, conflicts, skipped, refused] = done;
        let size = bytes(of(&self.bytes));
        let named = [
            ("stored", stored),
            ("there before", there),
            ("in conflict", conflicts),
            ("skipped (not DICOM)", skipped),
            ("refused", refused),
        ];
        let named: Vec<String> = named.iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!("{n} {name}")).collect();
        format!(
            "import: {} of {}, {size}, {}: {}",
            done.iter().sum::<u64>(),
            count(total, "file"),
            duration(elapsed),
            named.join(", ")
        )
    }
}

/// Converts what waits, and what comes later, until the stop.
fn convert(archive: &Archive, policy: &Policy, jobs: usize, stop: &Stop, imported: &AtomicBool) {
    let (totals, lines) = (Mutex::new(Totals::default()), Lines::new());
    let mut told = 0;
    while !stop.asked() {
        let was_imported = imported.load(Relaxed);
        let progress = |event: Event| {
            let totals = totals.lock().map(|mut totals| totals.add(&event)).unwrap_or_default();
            lines.now_and_then(|elapsed| totals.line(elapsed));
        };
        if let Err(e) = archive.convert_pending(policy, jobs, stop.flag(), &progress) {
            eprintln!(
                "error: conversion stopped: {e}\nhint: what is stored is served as it was received; start again to go on"
            );
            return;
        }
        let totals = totals.lock().map(|totals| *totals).unwrap_or_default();
        if was_imported && totals.done() > told {
            told = totals.done();
            eprintln!("{}", totals.line(lines.started.elapsed()));
        }
        std::thread::sleep(LOOK);
    }
}

/// Lets received objects go that were converted so long ago, each once the way back to it is proven.
fn release(archive: &Archive, after: Duration, stop: &Stop) {
    let told = |release: Release| {
        if let Release::Kept { key, error } = release {
            let line = file_line("received object kept", Path::new(&key.sop), &error, Some("`firstlight verify` it"));
            eprintln!("{line}");
        }
    };
    while !stop.asked() {
        match archive.release_received(after, stop.flag(), &told) {
            Ok(done) if done.objects > 0 => {
                let objects = count(done.objects, "received object");
                eprintln!("released: {objects}, {} free; each can be restored", bytes(done.bytes));
            }
            Ok(_) => {}
            Err(e) => eprintln!("error: releasing received objects: {e}\nhint: nothing is lost; it is tried again"),
        }
        let waited = Instant::now();
        while waited.elapsed() < RELEASE && !stop.asked() {
            std::thread::sleep(LOOK);
        }
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Totals {
    converted: u64,
    kept: u64,
    failed: u64,
    bytes_in: u64,
    bytes_out: u64,
}

impl Totals {
    fn add(&mut self, event: &Event) -> Totals {
        match event {
            Event::Converted { bytes_in, bytes_out, .. } => {
                self.converted += 1;
                self.bytes_in += bytes_in;
                self.bytes_out += bytes_out;
            }
            Event::Kept { .. } => self.kept += 1,
            Event::Failed { key, error } => {
                eprintln!("kept as received: {}: {error}", key.sop.escape_debug());
                self.failed += 1;
            }
            _ => {}
        }
        *self
    }

    fn done(&self) -> u64 {
        self.converted + self.kept + self.failed
    }

    fn line(&self, elapsed: Duration) -> String {
        let sizes = format!(
            "{} became {} (saved {})",
            bytes(self.bytes_in),
            bytes(self.bytes_out),
            saved(self.bytes_in, self.bytes_out)
        );
        let failed = if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
        let sizes = if self.converted > 0 { format!(": {sizes}") } else { String::new() };
        format!("conversion: {} converted, {} kept{failed}, {}{sizes}", self.converted, self.kept, duration(elapsed))
    }
}

/// Lets a line through now and then.
struct Lines {
    started: Instant,
    last: Mutex<Instant>,
}

impl Lines {
    fn new() -> Lines {
        Lines { started: Instant::now(), last: Mutex::new(Instant::now()) }
    }

    fn now_and_then(&self, line: impl FnOnce(Duration) -> String) {
        let mut last = self.last.lock().unwrap_or_else(|e| e.into_inner());
        if last.elapsed() >= EVERY {
            *last = Instant::now();
            eprintln!("{}", line(self.started.elapsed()));
        }
    }
}
