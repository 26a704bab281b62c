//! `firstlight serve`: the archive behind HTTP, while import and conversion go on in the background.
//!
//! Three things run beside each other until Ctrl-C: the server, the import of what `--import` names, and the conversion
//! of what waits for it.

use crate::access;
use crate::background::{self, Lines};
use crate::failure::{Exit, Failure, reason};
use crate::kept;
use crate::policy;
use crate::secured;
use crate::settings;
use crate::stop::Stop;
use crate::units::{bytes, count, duration};
use crate::words;
use ::access::{Door, Grants, Mode, Provider, Secret};
use archive::{Archive, Ingested, Options, Taken, Unservable};
use dimse::Acceptor;
use files::dicomdir;
use migrate::{Fetch, FetchError, Listed, Listing, Row, ScanEvent, apart, with_each};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use server::{AccessLog, Certificate, Config, Line, Server, Tls};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// Runs the command.
pub fn run(set: settings::Serve) -> Result<Exit, Failure> {
    // Before the archive is opened: whoever sees it open may stop it.
    let stop = Stop::on_interrupt();
    let policy = policy::load(&set.policy)?;
    check_folders(&set)?;
    apart::check(&set.import, &set.data)?;
    apart::check_destination(&set.data)?;
    let archive = Archive::open(&set.data, options(&set)).map_err(|e| kept::cannot_open(&set.data, &e))?;
    let (sources, outside) = (&*set.import, Some(&*set.data));
    let import = Listing::make(&Listed { sources, mirror: false, outside, jobs: set.jobs, stop: stop.flag() })?;
    let runtime = tokio::runtime::Runtime::new().map_err(|e| Failure::new(format!("cannot start threads: {e}")))?;
    let mut config = config(&set, archive.clone());
    config.record = set.record.as_ref().map(access::begin_record).transpose()?;
    if let Some(provider) = set.provider.clone() {
        let line = Line::new(runtime.handle().clone());
        let line = line.map_err(|e| Failure::new(format!("no line to the identity provider can be made: {e}")))?;
        config.provider = Some(Arc::new(Provider::new(provider, Box::new(line))));
    }
    config.access_log = set.access_log.as_deref().map(access_log).transpose()?;
    let bound = runtime.block_on(Server::bind(config));
    let bound = bound.map_err(|e| cannot_listen(set.listen, &e))?;
    let dimse = match &set.dimse {
        Some(dimse) => runtime.block_on(dimse_servers(dimse, &archive, bound.certificate().as_deref()))?,
        None => Vec::new(),
    };
    raise_limit_of_files();
    println!("{}", greeting(&set, bound.address().unwrap_or(set.listen), bound.fingerprint(), &dimse));
    if let Some(invitation) = first_administrator(&set, &archive)? {
        let (address, secure) = (bound.address().unwrap_or(set.listen), set.tls.is_some());
        let here = format!("{}://{address}", if secure { "https" } else { "http" });
        let place = set.public_url.as_deref().map_or(here, |url| url.trim_end_matches('/').to_owned());
        println!("  sign-in   {place}/welcome/{} makes the first administrator, once, within a day", invitation.text());
    }

    let imported = AtomicBool::new(import.rows.is_empty());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            take_in(&archive, import, &set, &stop);
            imported.store(true, Relaxed);
        });
        if set.convert {
            scope.spawn(|| background::convert(&archive, &policy, set.jobs, &stop, &imported));
        }
        if let Some(after) = set.release_after {
            scope.spawn({
                let (archive, stop) = (&archive, &stop);
                move || background::release(archive, after, stop)
            });
        }
        scope.spawn(|| crate::delete::forever(&archive, &stop));
        if let Some(days) = set.scrub_days {
            let (archive, stop) = (&archive, &stop);
            scope.spawn(move || crate::scrub::forever(archive, days, stop));
        }
        let dimse: Vec<_> = dimse.into_iter().map(|one| runtime.spawn(one.run(until(stop.clone())))).collect();
        runtime.block_on(bound.run(until(stop.clone())));
        for one in dimse {
            let _ = runtime.block_on(one);
        }
    });
    Ok(Exit::Well)
}

/// Where only who signs in is let in and there is nobody yet: what makes the first one.
fn first_administrator(set: &settings::Serve, archive: &Archive) -> Result<Option<Secret>, Failure> {
    let door =
        Door::new(archive.clone(), ::access::Options { mode: set.entrance.mode, ..::access::Options::default() });
    let others = set.provider.as_ref().is_some_and(|provider| provider.client.is_some());
    if set.entrance.mode != Mode::SignIn || others || !door.users()?.is_empty() {
        return Ok(None);
    }
    Ok(Some(door.invite(&Grants::everything())?))
}

async fn until(stop: Stop) {
    while !stop.asked() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Those that answer DIMSE: without TLS, and with it.
async fn dimse_servers(
    set: &settings::dimse::Dimse,
    archive: &Archive,
    certificate: Option<&Certificate>,
) -> Result<Vec<dimse::Server>, Failure> {
    let access = dimse::Access {
        title: set.title.clone(),
        peers: set.peers.clone(),
        may_store: set.store,
        grants: set.grants.clone(),
    };
    let calls = match set.peers.iter().any(|peer| peer.tls) {
        true => Some(secured::requester(set.authorities.as_deref(), certificate)?),
        false => None,
    };
    let limits = dimse::Limits::default();
    let plain = dimse::Config { archive: archive.clone(), access, limits, tls: None, calls };
    let mut ports = Vec::new();
    if let Some((secured, certificate)) = set.secured.as_ref().zip(certificate) {
        let callers = secured.callers.as_ref().map(|(path, asked)| (path.as_path(), *asked));
        let tls = Acceptor::new(certificate.when_called(), callers).map_err(|error| secured::failed(&error))?;
        ports.push((secured.listen, dimse::Config { tls: Some(tls), ..plain.clone() }));
    }
    ports.extend(set.listen.map(|listen| (listen, plain)));
    let mut servers = Vec::new();
    for (listen, config) in ports {
        servers.push(dimse::Server::bind(listen, config).await.map_err(|error| {
            Failure::new(error.to_string()).hint("--dimse takes a port of this machine that no other program has")
        })?);
    }
    Ok(servers)
}

fn options(set: &settings::Serve) -> Options {
    Options {
        index: set.index.clone(),
        objects: set.objects.clone(),
        quarantine: set.proving.quarantine,
        sampling: set.proving.sampling,
        ..Options::default()
    }
}

fn config(set: &settings::Serve, archive: Archive) -> Config {
    let mut config = Config::new(archive);
    config.data_dir = Some(set.data.clone());
    config.address = set.listen;
    config.allowed_origins.clone_from(&set.allowed_origins);
    config.allowed_hosts.clone_from(&set.allowed_hosts);
    config.viewer_dir.clone_from(&set.viewer);
    config.web_dir.clone_from(&set.web);
    config.store = set.store;
    config.door.mode = set.entrance.mode;
    config.door.requests_per_second = set.requests_per_second;
    config.behind_proxy.clone_from(&set.behind_proxy);
    config.strict_accept = set.strict_accept;
    config.for_diagnosis = set.for_diagnosis;
    config.public_url.clone_from(&set.public_url);
    config.tls.clone_from(&set.tls);
    if let Some(Tls::SelfSigned(names)) = &mut config.tls {
        names.extend(set.allowed_hosts.iter().cloned());
    }
    config.delete_grace = set.grace;
    config.connections = set.connections.map_or(config.connections, usize::from);
    config.connections_of_client = set.connections_per_client.unwrap_or(config.connections_of_client);
    config
}

fn access_log(path: &Path) -> Result<AccessLog, Failure> {
    let failure = |error| Failure::io("write", path, &error);
    AccessLog::open(path).map_err(|error| {
        failure(error).hint("--access-log names a file that lines are added to, or - for standard output")
    })
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
    let source = match error {
        server::Error::Listen { source, .. } => source,
        server::Error::Tls(_) => {
            return failure.hint("--tls CERT KEY names two PEM files; --tls self-signed makes one to try");
        }
        _ => return failure,
    };
    let failure = Failure::new(format!("cannot listen on {address}: {}", reason(source)));
    match source.kind() {
        ErrorKind::AddrInUse => failure.hint("another program has the port: choose one with --listen 127.0.0.1:PORT"),
        ErrorKind::PermissionDenied => failure.hint("ports below 1024 need rights: choose a higher one"),
        _ => failure.hint("--listen takes an address of this machine and a port"),
    }
}

fn greeting(
    set: &settings::Serve,
    address: SocketAddr,
    fingerprint: Option<String>,
    dimse: &[dimse::Server],
) -> String {
    let exposed = match (set.entrance.exposed, set.store) {
        (false, _) => "",
        (true, false) => "\n  insecure  everyone who reaches this port reads every image and every name",
        (true, true) => {
            "\n  insecure  everyone who reaches this port reads every image and every name, and can store and delete"
        }
    };
    let scheme = if fingerprint.is_some() { "https" } else { "http" };
    let viewer =
        if set.viewer.is_some() { format!("\n  viewer    {scheme}://{address}/viewer") } else { String::new() };
    let shown = fingerprint.map_or(String::new(), |digits| format!("\n  SHA-256 of the certificate {digits}"));
    let dimse = set.dimse.iter().flat_map(|set| {
        let line = |server: &dimse::Server| {
            let tls = if server.is_secured() { "/tls" } else { "" };
            Some(format!("\n  DIMSE     {}@{}{tls}", set.title, server.address()?))
        };
        let open = set.exposed.then(|| "\n  insecure  everyone who reaches this port too".to_owned());
        dimse.iter().filter_map(line).chain(open)
    });
    let dimse: String = dimse.collect();
    format!(
        "Firstlight serves {} at {scheme}://{address}/{viewer}\n  DICOMweb  {scheme}://{address}/dicom-web{shown}{exposed}{dimse}",
        set.data.display()
    )
}

/// Each connection, each object that is read and each reader of the index takes a descriptor: as many as the system lets us have.
fn raise_limit_of_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Stores every file of the walk; each is durable and listed before the next is taken.
fn take_in(archive: &Archive, import: Listing, set: &settings::Serve, stop: &Stop) {
    for told in &import.told {
        if let ScanEvent::Note(notice) | ScanEvent::Trouble(notice) = told {
            tracing::warn!("{}", words::line(notice));
        }
    }
    if import.rows.is_empty() {
        return;
    }
    let index = |row: &Row| row.is_index() || (row.is_file() && dicomdir::named_so(&row.path));
    let rows: Vec<Row> = import.rows.into_iter().filter(|row| !index(row)).collect();
    let total = rows.len() as u64;
    let scratch = set.data.join(files::STATE_DIR).join("serve-tmp");
    if rows.iter().any(|row| !row.is_file())
        && let Err(e) = std::fs::create_dir_all(&scratch)
    {
        return tracing::error!("cannot make {}: {}", scratch.display(), reason(&e));
    }
    let portions = Listing::portions(rows);
    tracing::info!("import: {}", count(total, "file"));
    let (next, counts, lines) = (AtomicUsize::new(0), Imported::default(), Lines::new());
    std::thread::scope(|scope| {
        for name in 0..set.jobs {
            let (counts, lines, next, portions, scratch) = (&counts, &lines, &next, &portions, &scratch);
            scope.spawn(move || {
                let mut fetch = Fetch::new(scratch, &[], stop.flag(), name);
                while let Some(rows) = portions.get(next.fetch_add(1, Relaxed)).filter(|_| !stop.asked()) {
                    with_each(rows, &mut fetch, |row, fetched| {
                        match fetched {
                            Ok(copy) => {
                                let file = copy.as_ref().map_or(&*row.path, |copy| copy.path());
                                counts.add(row, archive.ingest_or_keep(file, &row.shown(), row.is_listed()));
                            }
                            Err(trouble) => counts.not_had(row, &trouble),
                        }
                        lines.now_and_then(|elapsed| counts.line(total, elapsed));
                    });
                }
            });
        }
    });
    let _ = std::fs::remove_dir_all(&scratch);
    tracing::info!("{}", counts.line(total, lines.elapsed()));
}

/// A path as a line can have it.
fn shown(path: &Path) -> String {
    path.display().to_string().escape_debug().to_string()
}

#[derive(Default)]
struct Imported {
    stored: AtomicU64,
    there: AtomicU64,
    conflicts: AtomicU64,
    skipped: AtomicU64,
    unserved: AtomicU64,
    unreadable: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
}

impl Imported {
    fn add(&self, row: &Row, result: Result<Taken, archive::Error>) {
        self.bytes.fetch_add(row.bytes, Relaxed);
        let path = shown(&row.shown());
        let counter = match result {
            Ok(Taken::Ingested(Ingested::Stored(_))) => &self.stored,
            Ok(Taken::Ingested(Ingested::Duplicate(_))) => &self.there,
            Ok(Taken::Unserved { why: Unservable::NoInstance, reason, .. }) => {
                tracing::warn!(file = %path, %reason, "kept, not served");
                &self.unserved
            }
            Ok(Taken::Unserved { why: Unservable::Unreadable, reason, .. }) => {
                tracing::warn!(file = %path, %reason, "unreadable");
                &self.unreadable
            }
            Ok(Taken::Ingested(Ingested::Conflict(_))) => {
                tracing::warn!(file = %path, "another object has its UIDs: both are kept");
                &self.conflicts
            }
            Err(archive::Error::Dicom(dicom::Error::NotDicom)) => &self.skipped,
            Err(e) => {
                tracing::warn!(file = %path, error = %e, "not imported");
                &self.failed
            }
        };
        counter.fetch_add(1, Relaxed);
    }

    fn not_had(&self, row: &Row, trouble: &FetchError) {
        let why = match trouble {
            FetchError::Refused(why) | FetchError::Failed(why, _) => why,
            FetchError::Full => "no space left on the archive's disk",
        };
        tracing::warn!(file = %shown(&row.shown()), error = %why, "not imported");
        self.failed.fetch_add(1, Relaxed);
    }

    fn line(&self, total: u64, elapsed: Duration) -> String {
        let of = |counter: &AtomicU64| counter.load(Relaxed);
        let done =
            [&self.stored, &self.there, &self.conflicts, &self.skipped, &self.unserved, &self.unreadable, &self.failed]
                .map(of);
        let [stored, there, conflicts, skipped, unserved, unreadable, failed] = done;
        let size = bytes(of(&self.bytes));
        let named = [
            ("stored", stored),
            ("there before", there),
            ("in conflict", conflicts),
            ("skipped (not DICOM)", skipped),
            ("kept, not served", unserved),
            ("unreadable", unreadable),
            ("failed", failed),
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
