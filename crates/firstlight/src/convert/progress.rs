//! How far it is: a bar on a terminal, plain lines elsewhere; both on standard error.

use crate::log;
use crate::units;
use files::{Outcome, Record};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Time between two plain lines.
const EVERY: Duration = Duration::from_secs(10);

/// Progress of one run.
pub struct Progress {
    bar: Option<ProgressBar>,
    plain: Option<Mutex<Instant>>,
    started: Instant,
    files: u64,
    bytes: u64,
    files_done: AtomicU64,
    bytes_done: AtomicU64,
    bytes_saved: AtomicU64,
}

impl Progress {
    /// Starts to count towards `files` and `bytes`.
    pub fn start(files: u64, bytes: u64, quiet: bool) -> Progress {
        let terminal = std::io::stderr().is_terminal();
        let now = Instant::now();
        let bar = (terminal && !quiet).then(|| bar(bytes));
        log::above(bar.clone());
        Progress {
            bar,
            plain: (!terminal && !quiet).then(|| Mutex::new(now)),
            started: now,
            files,
            bytes,
            files_done: AtomicU64::new(0),
            bytes_done: AtomicU64::new(0),
            bytes_saved: AtomicU64::new(0),
        }
    }

    /// Prints a line above the bar.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    /// Counts a file that is done.
    pub fn advance(&self, bytes: u64, record: &Record) {
        self.files_done.fetch_add(1, Relaxed);
        self.bytes_done.fetch_add(bytes, Relaxed);
        if record.outcome == Outcome::Converted {
            self.bytes_saved
                .fetch_add(record.bytes_in.saturating_sub(record.bytes_out.unwrap_or(record.bytes_in)), Relaxed);
        }
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
            bar.set_message(self.message());
        }
        if let Some(last) = &self.plain {
            let mut last = last.lock().unwrap_or_else(|e| e.into_inner());
            if last.elapsed() >= EVERY {
                *last = Instant::now();
                eprintln!("{}", self.plain_line());
            }
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            log::above(None);
            bar.finish_and_clear();
        }
    }

    fn message(&self) -> String {
        let saved = units::bytes(self.bytes_saved.load(Relaxed));
        format!("{} of {}, saved {saved}", self.files_done.load(Relaxed), units::count(self.files, "file"))
    }

    fn plain_line(&self) -> String {
        let done = self.bytes_done.load(Relaxed);
        let rate = done as f64 / self.started.elapsed().as_secs_f64().max(1e-3);
        let left = Duration::from_secs_f64((self.bytes.saturating_sub(done)) as f64 / rate.max(1.0));
        let sizes = format!("{} of {}", units::bytes(done), units::bytes(self.bytes));
        format!("{}: {sizes}, {}/s, {} left", self.message(), units::bytes(rate as u64), units::duration(left))
    }
}

fn bar(bytes: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
    let template = "{bar:28.cyan} {percent:>3} %  {decimal_bytes} of {decimal_total_bytes}  {decimal_bytes_per_sec}  {eta} left  {msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}
