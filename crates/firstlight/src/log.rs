//! The log: one line a failure, with its cause and the file, UID or request it is about; on standard error, as text or JSON.
//!
//! `--log`, else `RUST_LOG`, else the settings file say how much. Libraries are silent unless `RUST_LOG` names them. No line has a
//! patient's name or identifier, a value that was searched for, or a secret.

use crate::args::LogFormat;
use crate::failure::Failure;
use indicatif::ProgressBar;
use std::io::{self, Write};
use std::sync::{Mutex, OnceLock, PoisonError};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The crates whose lines are ours.
const OURS: [&str; 9] =
    ["firstlight", "server", "access", "dimse", "archive", "store", "migrate", "transcode", "htj2k"];

static FORMAT: OnceLock<LogFormat> = OnceLock::new();
/// What is drawn at the foot of the terminal.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// What decides how much is logged; the first that is there.
#[derive(Debug, Default)]
pub struct Wanted {
    /// `--log`, `FIRSTLIGHT_LOG`.
    pub flag: Option<String>,
    /// `RUST_LOG`.
    pub variable: Option<String>,
    /// `log` of the settings file.
    pub file: Option<String>,
}

/// Starts the log; `usual` is the level when nobody says one.
pub fn start(wanted: Wanted, usual: &str, format: LogFormat) -> Result<(), Failure> {
    let text = [wanted.flag, wanted.variable, wanted.file].into_iter().flatten().find(|text| !text.trim().is_empty());
    let filter = directives(text.as_deref().unwrap_or_default(), usual);
    let filter = EnvFilter::try_new(filter).map_err(|_| {
        Failure::new(format!("\"{}\" says no level of the log", text.unwrap_or_default()))
            .hint("say off, error, warn, info, debug or trace, or one for each part, as in warn,server=debug")
    })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(AboveBar);
    let started = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).try_init(),
    };
    started.map_err(|e| Failure::new(format!("cannot start the log: {e}")))?;
    FORMAT.get_or_init(|| format);
    Ok(())
}

/// A bare level is that of our own crates; what others say is heard only when they are named.
fn directives(wanted: &str, usual: &str) -> String {
    let pieces: Vec<&str> = wanted.split(',').map(str::trim).filter(|piece| !piece.is_empty()).collect();
    let is_level =
        |piece: &&&str| !piece.contains(['=', '[']) && piece.parse::<tracing::level_filters::LevelFilter>().is_ok();
    let level = pieces.iter().rfind(is_level).unwrap_or(&usual);
    let ours = OURS.map(|name| format!("{name}={level}"));
    let others = pieces.iter().filter(|piece| !is_level(piece)).map(|piece| (*piece).to_owned());
    [String::from("off")].into_iter().chain(ours).chain(others).collect::<Vec<_>>().join(",")
}

/// Says a line to whoever started the command; as JSON where all of the log is.
pub fn say(line: &str) {
    match FORMAT.get() {
        Some(LogFormat::Json) => tracing::warn!("{line}"),
        _ => above_bar(|| eprintln!("{line}")),
    }
}

/// From now on lines go above this bar; `None`: there is none any more.
pub fn above(bar: Option<ProgressBar>) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = bar;
}

fn above_bar<T>(write: impl FnOnce() -> T) -> T {
    let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

struct AboveBar;

impl Write for AboveBar {
    /// A log that nobody reads any more is no failure.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = above_bar(|| io::stderr().lock().write_all(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for AboveBar {
    type Writer = AboveBar;

    fn make_writer(&self) -> AboveBar {
        AboveBar
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A crate that is not in the list would be silent.
    #[test]
    fn every_crate_that_logs_is_ours() {
        let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut logging = 0;
        for folder in std::fs::read_dir(crates).unwrap().map(|entry| entry.unwrap().path()) {
            let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
            if manifest.lines().any(|line| line.starts_with("tracing")) {
                logging += 1;
                assert!(OURS.iter().any(|name| folder.ends_with(name)), "{}", folder.display());
            }
        }
        assert!(logging > 5);
    }

    #[test]
    fn libraries_are_heard_only_when_they_are_named() {
        let ours = |level: &str| OURS.map(|name| format!("{name}={level}")).join(",");
        assert_eq!(directives("", "warn"), format!("off,{}", ours("warn")));
        assert_eq!(directives("debug", "warn"), format!("off,{}", ours("debug")));
        assert_eq!(
            directives("server=trace, hyper=debug", "info"),
            format!("off,{},server=trace,hyper=debug", ours("info"))
        );
        assert_eq!(directives("error,h2=warn", "info"), format!("off,{},h2=warn", ours("error")));
        for (good, text) in [(true, "debug"), (true, "warn,server=debug"), (false, "server=loud"), (false, "=")] {
            assert_eq!(EnvFilter::try_new(directives(text, "info")).is_ok(), good, "{text}");
        }
        assert!(EnvFilter::try_new(directives("loud", "info")).is_ok(), "the name of a part");
    }
}
