//! What goes on with an archive in the background, until the stop: what waits is converted, what may go is released.

use crate::stop::Stop;
use crate::units::{bytes, count, duration, saved};
use archive::{Archive, Event, Release};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use transcode::Policy;

/// Time between two lines about work in the background.
const EVERY: Duration = Duration::from_secs(5);
/// How long the converter waits for new work before it looks for the stop; what comes meanwhile is done together.
const LOOK: Duration = Duration::from_millis(500);

/// How often received objects are looked through that may go.
const RELEASE: Duration = Duration::from_secs(600);

/// Converts what waits, and what comes later, until the stop.
pub fn convert(archive: &Archive, policy: &Policy, jobs: usize, stop: &Stop, imported: &AtomicBool) {
    let (totals, lines) = (Mutex::new(Totals::default()), Lines::new());
    let mut told = 0;
    while !stop.asked() {
        let was_imported = imported.load(Relaxed);
        let progress = |event: Event| {
            let totals = totals.lock().map(|mut totals| totals.add(&event)).unwrap_or_default();
            lines.now_and_then(|elapsed| totals.line(elapsed));
        };
        let worked = match archive.wait_for_work(policy, LOOK) {
            Ok(true) => archive.convert_pending(policy, jobs, stop.flag(), &progress).map(|_| true),
            other => other,
        };
        let worked = match worked {
            Ok(worked) => worked,
            Err(e @ archive::Error::Unreachable(_)) => {
                tracing::warn!(error = %e, "conversion waits for it");
                std::thread::sleep(EVERY);
                continue;
            }
            Err(e) => {
                tracing::error!(error = %e, "conversion stopped; what is stored is served as it was received: start again to go on");
                return;
            }
        };
        let totals = totals.lock().map(|totals| *totals).unwrap_or_default();
        if was_imported && totals.done() > told {
            told = totals.done();
            tracing::info!("{}", totals.line(lines.elapsed()));
        }
        if worked {
            std::thread::sleep(LOOK);
        }
    }
}

/// Lets received objects go that were converted so long ago, each once the way back to it is proven.
pub fn release(archive: &Archive, after: Duration, stop: &Stop) {
    let told = |release: Release| {
        if let Release::Kept { key, error } = release {
            tracing::warn!(instance = %key.sop.escape_debug(), %error, "the received object stays: `firstlight verify` it");
        }
    };
    while !stop.asked() {
        match archive.release_received(after, stop.flag(), &told) {
            Ok(done) if done.objects > 0 => {
                let objects = count(done.objects, "received object");
                tracing::info!("released: {objects}, {} free; each can be restored", bytes(done.bytes));
            }
            Ok(_) => {}
            Err(e) => {
                tracing::error!(error = %e, "received objects were not released; nothing is lost, it is tried again")
            }
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
                tracing::warn!(instance = %key.sop.escape_debug(), %error, "kept as received: the conversion failed");
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
pub struct Lines {
    started: Instant,
    last: Mutex<Instant>,
}

impl Lines {
    pub fn new() -> Lines {
        Lines { started: Instant::now(), last: Mutex::new(Instant::now()) }
    }

    /// Since the work began.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Says it, unless something was said just now.
    pub fn now_and_then(&self, line: impl FnOnce(Duration) -> String) {
        let mut last = self.last.lock().unwrap_or_else(|e| e.into_inner());
        if last.elapsed() >= EVERY {
            *last = Instant::now();
            tracing::info!("{}", line(self.started.elapsed()));
        }
    }
}
