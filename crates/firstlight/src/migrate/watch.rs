//! How a run tells of itself to those who do not sit at its screen: figures for Prometheus, in a file or on a port of the machine
//! itself, and a command that is run at its end.

use crate::failure::{Exit, Failure};
use crate::settings::Watch;
use ::migrate::{Counts, Ended, Hold, Snapshot};
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often the file is written.
const EVERY: Duration = Duration::from_secs(5);
/// A request is read for so long, and so far.
const PATIENCE: Duration = Duration::from_secs(2);
const REQUEST: usize = 8 << 10;
/// What a migration can be.
const STATES: [&str; 5] = ["running", "paused", "finished", "stopped", "failed"];

/// What watches a run.
pub struct Watching {
    set: Watch,
    destination: PathBuf,
    figures: Arc<Mutex<Figures>>,
}

#[derive(Default)]
struct Figures {
    snapshot: Snapshot,
    state: &'static str,
    text: String,
    written: Option<Instant>,
    warned: bool,
}

impl Watching {
    /// Opens the port; nothing where nothing was asked for.
    pub fn start(set: &Watch, destination: &Path) -> Result<Watching, Failure> {
        let watching = Watching {
            set: set.clone(),
            destination: destination.to_owned(),
            figures: Arc::new(Mutex::new(Figures { state: "running", ..Figures::default() })),
        };
        if let Some(address) = set.metrics_listen {
            let listener = TcpListener::bind(address)
                .map_err(|e| Failure::new(format!("cannot listen on {address}: {}", crate::failure::reason(&e))))?;
            if let Ok(address) = listener.local_addr() {
                eprintln!("metrics: http://{address}/metrics");
            }
            let figures = Arc::clone(&watching.figures);
            // It goes with the process.
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let text = figures.lock().unwrap_or_else(PoisonError::into_inner).text.clone();
                    let _ = answer(stream, &text);
                }
            });
        }
        watching.tell(true);
        Ok(watching)
    }

    /// Does the run, then what is to be done at its end, whatever that is; its exit code stays what it is.
    pub fn over(self, run: impl FnOnce(&Watching) -> Result<Exit, Failure>) -> Result<Exit, Failure> {
        let ending = run(&self);
        if ending.is_err() {
            self.figures().state = "failed";
        }
        self.tell(true);
        if let Some(command) = &self.set.on_exit {
            self.run(command, ending.as_ref().map_or(Exit::Environment, |exit| *exit));
        }
        ending
    }

    /// How it stands; told several times a second.
    pub fn look(&self, snapshot: &Snapshot) {
        if self.set.metrics_file.is_none() && self.set.metrics_listen.is_none() && self.set.on_exit.is_none() {
            return;
        }
        let mut figures = self.figures();
        figures.snapshot = snapshot.clone();
        figures.state = match snapshot.hold {
            Some(Hold::Paused | Hold::Hours(_)) => "paused",
            None => "running",
        };
        drop(figures);
        self.tell(false);
    }

    /// How it ended.
    pub fn ended(&self, ended: Ended, counts: &Counts) {
        let mut figures = self.figures();
        figures.state = if matches!(ended, Ended::Finished | Ended::Planned) { "finished" } else { "stopped" };
        figures.snapshot = Snapshot { counts: counts.clone(), ..Snapshot::default() };
    }

    fn figures(&self) -> std::sync::MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, now: bool) {
        let mut figures = self.figures();
        if !now && figures.written.is_some_and(|written| written.elapsed() < EVERY) {
            return;
        }
        figures.written = Some(Instant::now());
        figures.text = text(figures.state, &figures.snapshot);
        let Some(path) = &self.set.metrics_file else { return };
        if let Err(error) = replace(path, &figures.text)
            && !std::mem::replace(&mut figures.warned, true)
        {
            // It must not end a migration.
            eprintln!("warning: cannot write the metrics {}: {}", path.display(), crate::failure::reason(&error));
        }
    }

    fn run(&self, command: &str, exit: Exit) {
        let figures = self.figures();
        let counts = &figures.snapshot.counts;
        let numbers = [
            ("EXIT_CODE", exit as u64),
            ("CONVERTED", counts.converted.0),
            ("KEPT", counts.kept.0),
            ("UNREADABLE", counts.unreadable),
            ("SKIPPED", counts.skipped),
            ("FAILED", counts.failed),
            ("WAITING", counts.waiting.0),
            ("NO_WAY_BACK", counts.one_way),
        ];
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).stdin(Stdio::null());
        shell.env("FIRSTLIGHT_OUTCOME", figures.state).env("FIRSTLIGHT_DESTINATION", &self.destination);
        shell.env("FIRSTLIGHT_SAVED_BYTES", counts.saved.to_string());
        for (name, number) in numbers {
            shell.env(format!("FIRSTLIGHT_{name}"), number.to_string());
        }
        drop(figures);
        match shell.status() {
            Ok(status) if status.success() => {}
            Ok(status) => eprintln!("warning: --on-exit ended with {status}"),
            Err(error) => eprintln!("warning: --on-exit could not be run: {}", crate::failure::reason(&error)),
        }
    }
}

/// A reader sees the old file or the new one.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // The collector reads what ends in .prom.
    let new = path.with_file_name(format!(".{name}.new"));
    fs::write(&new, text)?;
    fs::rename(&new, path)
}

/// The figures in the text format of Prometheus.
fn text(state: &str, snapshot: &Snapshot) -> String {
    let (counts, mut text) = (&snapshot.counts, String::new());
    let mut family = |name: &str, help: &str, rows: &[(String, f64)]| {
        let _ = writeln!(text, "# HELP firstlight_migration_{name} {help}\n# TYPE firstlight_migration_{name} gauge");
        for (labels, value) in rows {
            let _ = writeln!(text, "firstlight_migration_{name}{labels} {value}");
        }
    };
    let label = |name: &str, value: &str| format!("{{{name}=\"{value}\"}}");
    let states = STATES.map(|one| (label("state", one), f64::from(u8::from(one == state))));
    family("state", "1 for what the migration is.", &states);
    let items = [
        ("waiting", counts.waiting.0),
        ("converted", counts.converted.0),
        ("kept", counts.kept.0),
        ("unreadable", counts.unreadable),
        ("skipped", counts.skipped),
        ("failed", counts.failed),
    ];
    family("files", "Files, by what became of them.", &items.map(|(name, n)| (label("outcome", name), n as f64)));
    let sizes = [("waiting", counts.waiting.1), ("converted", counts.converted.1), ("kept", counts.kept.1)];
    family("bytes", "Bytes of sources.", &sizes.map(|(name, n)| (label("outcome", name), n as f64)));
    let reasons = |of: &std::collections::BTreeMap<String, u64>, outcome: &str| {
        let mut classes = std::collections::BTreeMap::<&str, u64>::new();
        of.iter().for_each(|(reason, n)| *classes.entry(transcode::reason_class(reason)).or_default() += n);
        let row = |(class, n): (&str, u64)| (format!("{{outcome=\"{outcome}\",reason=\"{class}\"}}"), n as f64);
        classes.into_iter().map(row).collect::<Vec<_>>()
    };
    let mut because = reasons(&counts.reasons, "kept");
    because.extend(reasons(&counts.troubles, "trouble"));
    family("reasons", "Files kept or not read, by class of the reason.", &because);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    for (name, help, value) in [
        ("saved_bytes", "Bytes of sources less those of what was written.", counts.saved as f64),
        ("no_way_back_files", "Converted files that nothing leads back from.", counts.one_way as f64),
        ("files_per_second", "Over the last minute.", snapshot.items_rate),
        ("bytes_per_second", "Over the last minute.", snapshot.bytes_rate),
        (
            "seconds_left",
            "At that rate; not a number where it is not known.",
            snapshot.left.map_or(f64::NAN, |left| left.as_secs_f64()),
        ),
        ("told_seconds", "When this was told, in seconds since 1970.", now.floor()),
    ] {
        family(name, help, &[(String::new(), value)]);
    }
    text
}

/// Answers one request; a browser that was led here under another name gets nothing.
fn answer(mut stream: TcpStream, text: &str) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let (mut request, mut buffer, began) = (Vec::new(), [0; 1024], Instant::now());
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let n = stream.read(&mut buffer)?;
        request.extend_from_slice(&buffer[..n]);
        if n == 0 || request.len() > REQUEST || began.elapsed() > PATIENCE {
            return Ok(());
        }
    }
    let request = String::from_utf8_lossy(&request);
    let mut lines = request.lines();
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let host = lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("host"));
    let (status, body) = match (method, path) {
        _ if !host.is_some_and(|(_, host)| is_here(host.trim())) => ("403 Forbidden", ""),
        ("GET" | "HEAD", "/metrics") => ("200 OK", if method == "GET" { text } else { "" }),
        ("GET" | "HEAD", _) => ("404 Not Found", ""),
        _ => ("405 Method Not Allowed", ""),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

/// A name of the machine itself, with or without a port.
fn is_here(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_says_what_it_is_and_how_many() {
        let counts = Counts {
            waiting: (7, 700),
            converted: (3, 300),
            reasons: [("already lossy: x".to_owned(), 2), ("lossy too".to_owned(), 1)].into(),
            one_way: 1,
            ..Counts::default()
        };
        let text = text("paused", &Snapshot { counts, ..Snapshot::default() });
        for line in [
            "firstlight_migration_state{state=\"running\"} 0",
            "firstlight_migration_state{state=\"paused\"} 1",
            "firstlight_migration_files{outcome=\"waiting\"} 7",
            "firstlight_migration_bytes{outcome=\"converted\"} 300",
            "firstlight_migration_reasons{outcome=\"kept\",reason=\"lossy\"} 3",
            "firstlight_migration_no_way_back_files 1",
            "firstlight_migration_seconds_left NaN",
        ] {
            assert!(text.lines().any(|has| has == line), "{line} is not in\n{text}");
        }
    }

    /// The alerts that are shipped look at metrics that are there.
    #[test]
    fn alerts_name_metrics_that_exist() {
        let text = text("running", &Snapshot::default());
        let words =
            include_str!("../../../../docs/alerts.yml").split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let named: Vec<&str> = words.filter(|word| word.starts_with("firstlight_migration_")).collect();
        assert!(named.len() >= 4, "{named:?}");
        for word in named {
            assert!(text.contains(&format!("# TYPE {word} ")), "{word} is no metric");
        }
    }

    #[test]
    fn only_names_of_the_machine_itself_are_answered() {
        for host in ["localhost", "localhost:9109", "127.0.0.1:9109", "[::1]:9109", "127.0.0.1"] {
            assert!(is_here(host), "{host}");
        }
        for host in ["", "example.org", "example.org:9109", "10.0.0.1:9109", "localhost.example.org"] {
            assert!(!is_here(host), "{host}");
        }
    }
}
