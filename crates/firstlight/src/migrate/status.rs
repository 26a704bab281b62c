//! `firstlight migrate --status DST`: how a migration stands, from outside.

use super::plan::ahead;
use super::view::{control_line, outcome_line, saved_line, share, top};
use crate::convert::way_back_line;
use crate::failure::{Exit, Failure};
use crate::units::{bytes, count, duration};
use ::migrate::{Ended, Phase, Standing, State};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Shows it.
pub fn show(destination: &Path, as_json: bool) -> Result<Exit, Failure> {
    let standing = Standing::of(destination)?;
    match as_json {
        true => println!("{}", object(&standing)),
        false => lines(&standing).iter().for_each(|line| println!("{line}")),
    }
    Ok(Exit::Well)
}

fn lines(standing: &Standing) -> Vec<String> {
    let counts = &standing.counts;
    let mut lines = vec![state_line(standing)];
    let of = format!("{} of {}", counts.done(), count(counts.items(), "file"));
    lines.push(format!("{of}, {:.1} %; {}", share(counts) * 100.0, control_line(&standing.control)));
    lines.push(outcome_line(counts, standing.convert));
    if matches!(standing.state, State::Running) && standing.phase == Phase::Run {
        let left = standing.left.map(|left| format!("{} left", duration(Duration::from_secs_f64(left))));
        let (items, size) = standing.rates;
        let left = left.unwrap_or_else(|| "time left not known yet".into());
        lines.push(format!("{}/s, {items:.1} files/s, {left}", bytes(size as u64)));
    }
    if standing.convert && counts.done() > 0 {
        lines.push(saved_line(counts));
    }
    lines.extend(top(&counts.reasons, 8).into_iter().map(|reason| format!("  kept {reason}")));
    lines.extend(top(&counts.troubles, 8).into_iter().map(|reason| format!("  trouble {reason}")));
    lines.extend(way_back_line(counts.ways, counts.one_way));
    if counts.waiting.0 > 0 {
        lines.extend(ahead(&standing.plan));
    }
    lines
}

fn state_line(standing: &Standing) -> String {
    let phase = match standing.phase {
        Phase::Census => format!("walks the sources, {} so far", count(standing.found, "file")),
        Phase::Plan => "converts a sample to nowhere".into(),
        Phase::Run => "at work".into(),
    };
    let since = |at: i64| duration(Duration::from_secs((now() - at).max(0) as u64));
    let told = standing.told.map(|(_, told)| format!(", last heard of {} ago", since(told))).unwrap_or_default();
    match standing.state {
        State::Running => {
            let began = standing.told.map(|(began, _)| format!(", for {}", since(began))).unwrap_or_default();
            let pid = standing.pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
            format!("running{began}{pid}: {phase}")
        }
        State::Paused => {
            let why = standing.hold.as_deref().filter(|hold| *hold != "paused");
            format!("paused: {}", why.unwrap_or("`firstlight migrate --resume DST` goes on"))
        }
        State::Stopped if standing.ended == Some(Ended::Failed) => {
            format!("stopped by an error{told}: the same command goes on from here")
        }
        State::Stopped if standing.ended == Some(Ended::Planned) => format!("planned, not begun{told}"),
        State::Stopped => format!("stopped{told}: the same command goes on from here"),
        State::Dead => {
            format!(
                "dead: it ended without a word (killed, or the machine went down){told}; the same command goes on from here"
            )
        }
        State::Finished => format!("finished{told}"),
    }
}

fn object(standing: &Standing) -> Value {
    let counts = &standing.counts;
    let expected = |(of_samples, all): (u64, f64)| json!({"of_samples": of_samples, "about": all.round() as u64});
    json!({
        "state": standing.state,
        "phase": standing.phase,
        "ended": standing.ended,
        "hold": standing.hold,
        "pid": standing.pid,
        "began": standing.told.map(|told| told.0),
        "told": standing.told.map(|told| told.1),
        "files": {
            "all": counts.items(),
            "found": standing.found,
            "waiting": counts.waiting.0,
            "converted": counts.converted.0,
            "kept": counts.kept.0,
            "unreadable": counts.unreadable,
            "skipped": counts.skipped,
            "failed": counts.failed,
        },
        "bytes": {
            "all": counts.bytes(),
            "waiting": counts.waiting.1,
            "converted": counts.converted.1,
            "kept": counts.kept.1,
            "saved": counts.saved,
        },
        "files_per_second": standing.rates.0,
        "bytes_per_second": standing.rates.1,
        "seconds_left": standing.left,
        "reasons": {"kept": counts.reasons, "trouble": counts.troubles},
        "way_back": {"files": counts.ways.0, "bytes": counts.ways.1, "none": counts.one_way},
        "expected": {
            "samples": standing.plan.samples,
            "unreadable": expected(standing.plan.unreadable),
            "no_way_back": expected(standing.plan.one_way),
            "saved_bytes": [standing.plan.saved.0 as i64, standing.plan.saved.1 as i64],
        },
        "control": standing.control,
    })
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}
