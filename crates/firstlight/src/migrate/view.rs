//! How a run stands: a live view on a terminal, plain lines elsewhere; both on standard error.

use crate::log;
use crate::units::{bytes, count, duration, saved};
use ::migrate::{Control, Counts, Hold, Snapshot};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Time between two plain lines.
const EVERY: Duration = Duration::from_secs(10);
/// Lines of the live view below the bar.
const LINES: usize = 6;
const WIDTH: usize = 40;

/// Shows a run.
pub struct View {
    live: Option<Live>,
    plain: Option<Instant>,
    held: Option<Hold>,
    convert: bool,
}

struct Live {
    all: MultiProgress,
    lines: Vec<ProgressBar>,
}

impl View {
    /// A view of a run that converts, or only stores.
    pub fn start(quiet: bool, convert: bool) -> View {
        let terminal = std::io::stderr().is_terminal();
        let live = (terminal && !quiet).then(Live::start);
        log::above(live.as_ref().and_then(|live| live.lines.first().cloned()));
        View { live, plain: (!terminal && !quiet).then(Instant::now), held: None, convert }
    }

    /// A line about one item.
    pub fn say(&self, line: &str) {
        match &self.live {
            Some(live) => live.all.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    /// How it stands now.
    pub fn look(&mut self, snapshot: &Snapshot) {
        if let Some(live) = &self.live {
            let lines = lines(snapshot, self.convert);
            for (bar, line) in live.lines.iter().zip(lines.iter().chain(std::iter::repeat(&String::new()))) {
                bar.set_message(line.clone());
            }
        }
        let Some(last) = &mut self.plain else { return };
        if self.held != snapshot.hold {
            self.held = snapshot.hold;
            eprintln!("{}", state_line(snapshot));
        }
        if last.elapsed() >= EVERY && snapshot.hold.is_none() {
            *last = Instant::now();
            eprintln!(
                "{}; {}; {}",
                progress_line(snapshot),
                rate_line(snapshot),
                outcome_line(&snapshot.counts, self.convert)
            );
        }
    }

    /// Takes the live view away.
    pub fn finish(&self) {
        if let Some(live) = &self.live {
            log::above(None);
            let _ = live.all.clear();
        }
    }
}

impl Live {
    fn start() -> Live {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(4));
        let lines = (0..LINES).map(|_| {
            let line = all.add(ProgressBar::no_length());
            if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
                line.set_style(style);
            }
            line
        });
        Live { lines: lines.collect(), all }
    }
}

/// The live view.
fn lines(snapshot: &Snapshot, convert: bool) -> Vec<String> {
    let counts = &snapshot.counts;
    let share = share(counts);
    let full = (share * WIDTH as f64) as usize;
    let bar = format!("{}{}", "━".repeat(full), "╌".repeat(WIDTH.saturating_sub(full)));
    let reasons = top(&counts.reasons, 2);
    vec![
        format!("{bar} {:.1} %  {}", share * 100.0, state_line(snapshot)),
        format!("  done     {}", progress_line(snapshot)),
        format!("  rate     {}", rate_line(snapshot)),
        format!("  outcome  {}", outcome_line(counts, convert)),
        format!("  saved    {}", saved_line(counts)),
        if reasons.is_empty() { String::new() } else { format!("  kept     {}", reasons.join("; ")) },
    ]
}

pub fn share(counts: &Counts) -> f64 {
    let of = |done: u64, all: u64| if all == 0 { 1.0 } else { done as f64 / all as f64 };
    // Whichever is behind: neither many small files nor few large ones make it look nearly done.
    of(counts.done(), counts.items()).min(of(counts.bytes().saturating_sub(counts.waiting.1), counts.bytes()))
}

fn progress_line(snapshot: &Snapshot) -> String {
    let counts = &snapshot.counts;
    let done = counts.bytes().saturating_sub(counts.waiting.1);
    let of = format!("{} of {}", counts.done(), count(counts.items(), "file"));
    format!("{of}, {} of {}", bytes(done), bytes(counts.bytes()))
}

pub fn rate_line(snapshot: &Snapshot) -> String {
    let left =
        snapshot.left.map_or_else(|| "time left not known yet".to_owned(), |left| format!("{} left", duration(left)));
    let rate = if snapshot.items_rate < 10.0 {
        format!("{:.1}", snapshot.items_rate)
    } else {
        format!("{:.0}", snapshot.items_rate)
    };
    format!("{}/s, {rate} files/s, {left}, {} so far", bytes(snapshot.bytes_rate as u64), duration(snapshot.elapsed))
}

pub fn outcome_line(counts: &Counts, convert: bool) -> String {
    let mut parts = if convert {
        vec![format!("{} converted", counts.converted.0), format!("{} kept", counts.kept.0)]
    } else {
        vec![format!("{} stored", counts.kept.0 + counts.converted.0)]
    };
    parts.push(format!("{} unreadable", counts.unreadable));
    parts.push(format!("{} skipped (not DICOM)", counts.skipped));
    if counts.failed > 0 {
        parts.push(format!("{} failed", counts.failed));
    }
    parts.join(", ")
}

pub fn saved_line(counts: &Counts) -> String {
    let before = counts.done_bytes();
    if before == 0 {
        return "nothing yet".into();
    }
    let after = (before as i64 - counts.saved).max(0) as u64;
    format!("{} became {} ({})", bytes(before), bytes(after), saved(before, after))
}

fn state_line(snapshot: &Snapshot) -> String {
    let limits = &snapshot.limits;
    match snapshot.hold {
        Some(Hold::Paused) => return "paused: `firstlight migrate --resume DST` goes on".into(),
        Some(Hold::Hours(hours)) => return format!("waiting for the hours {hours}"),
        None => {}
    }
    let mut parts = vec![format!("running, {}", count(limits.jobs as u64, "job"))];
    parts.extend(limits.rate.map(|rate| format!("at most {}/s", bytes(rate))));
    parts.extend(limits.hours.map(|hours| format!("hours {hours}")));
    parts.join(", ")
}

/// The reasons most are of.
pub fn top(reasons: &BTreeMap<String, u64>, most: usize) -> Vec<String> {
    let mut reasons: Vec<_> = reasons.iter().filter(|(reason, _)| !reason.is_empty()).collect();
    reasons.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    reasons.into_iter().take(most).map(|(reason, n)| format!("{n} × {reason}")).collect()
}

/// The lines at the end, for standard output.
pub fn closing(counts: &Counts, convert: bool) -> Vec<String> {
    let mut lines = vec![format!("{}: {}", count(counts.done(), "file"), outcome_line(counts, convert))];
    if convert {
        lines.push(saved_line(counts));
        lines.extend(top(&counts.reasons, 8).into_iter().map(|reason| format!("  kept {reason}")));
    }
    lines.extend(top(&counts.troubles, 8).into_iter().map(|reason| format!("  trouble {reason}")));
    lines.extend(crate::convert::way_back_line(counts.ways, counts.one_way));
    lines
}

/// What was said to a migration.
pub fn control_line(control: &Control) -> String {
    let mut parts = vec![if control.paused { "paused".to_owned() } else { "not paused".to_owned() }];
    parts.extend(control.jobs.map(|jobs| count(jobs as u64, "job")));
    parts.extend(
        control.rate.map(|rate| if rate == 0 { "no limit of bytes".into() } else { format!("{}/s", bytes(rate)) }),
    );
    parts.extend(control.hours.map(|hours| format!("hours {hours}")));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::migrate::Limits;

    #[test]
    fn the_view_says_how_it_stands() {
        let counts = Counts {
            waiting: (750, 750_000_000),
            converted: (200, 240_000_000),
            kept: (40, 10_000_000),
            unreadable: 4,
            skipped: 6,
            saved: 150_000_000,
            reasons: [("already lossy".to_owned(), 40)].into(),
            ..Counts::default()
        };
        let limits = Limits { jobs: 2, rate: Some(50_000_000), hours: "20:00-06:00".parse().ok(), paused: false };
        let left = Some(Duration::from_secs(3723));
        let (items_rate, bytes_rate) = (12.4, 3_300_000.0);
        let snapshot = Snapshot { counts, limits, left, items_rate, bytes_rate, ..Snapshot::default() };
        assert_eq!(
            lines(&snapshot, true),
            [
                "━━━━━━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌ 25.0 %  running, 2 jobs, at most 50.0 MB/s, hours 20:00-06:00",
                "  done     250 of 1000 files, 250 MB of 1.00 GB",
                "  rate     3.30 MB/s, 12 files/s, 1 h 02 min left, 0 s so far",
                "  outcome  200 converted, 40 kept, 4 unreadable, 6 skipped (not DICOM)",
                "  saved    250 MB became 100 MB (60.0 %)",
                "  kept     40 × already lossy",
            ]
        );
        let paused = Snapshot { hold: Some(Hold::Paused), ..snapshot };
        assert!(lines(&paused, true)[0].ends_with("paused: `firstlight migrate --resume DST` goes on"));
    }
}
