//! The plan, as shown before a run: what waits, what it will save and how long it will take.

use crate::inspect::syntax_name;
use crate::units::{bytes, count, table};
use ::migrate::{Counts, Limits, Plan, PlanClass};

/// Prints the plan.
pub fn show(plan: &Plan, already: &Counts, limits: &Limits) {
    if plan.items == 0 {
        println!("nothing waits: {} done before", count(already.done(), "file"));
        return;
    }
    print!("{}", table(&rows(plan), 3));
    println!("{}", saved_line(plan));
    println!("{}", hours_line(plan, limits));
    ahead(plan).iter().for_each(|line| println!("{line}"));
    if already.done() > 0 {
        println!("done before: {}", count(already.done(), "file"));
    }
}

/// What the samples tell of what can't be read, and of ways back.
pub fn ahead(plan: &Plan) -> Option<String> {
    if plan.samples == 0 {
        return None;
    }
    let about = |(of_samples, all): (u64, f64), what: &str| match of_samples {
        0 => format!("none {what}"),
        _ => format!("about {:.0} {what} ({of_samples} of {})", all.max(1.0), count(plan.samples, "sample")),
    };
    let (unreadable, one_way) = (about(plan.unreadable, "can't be read"), about(plan.one_way, "will have no way back"));
    Some(format!("estimate: of {}, {unreadable}, {one_way}", count(plan.items, "file")))
}

fn rows(plan: &Plan) -> Vec<Vec<String>> {
    let mut rows = vec![["modality", "syntax", "size", "files", "bytes", "saved"].map(str::to_owned).to_vec()];
    rows.extend(plan.classes.iter().map(row));
    if plan.classes.len() > 1 {
        let total = ["total", "", "", &plan.items.to_string(), &bytes(plan.bytes), ""].map(str::to_owned).to_vec();
        rows.push(total);
    }
    rows
}

fn row(class: &PlanClass) -> Vec<String> {
    let modality = if class.class.modality == "-" { "unknown" } else { &class.class.modality };
    let syntax = if class.class.syntax == "-" { "unknown".to_owned() } else { syntax_name(&class.class.syntax) };
    let saved = match class.saved {
        Some((from, to)) if (to - from) * 100.0 < 1.0 => format!("{:.0} %", to * 100.0 + 0.0),
        Some((from, to)) => format!("{:.0} to {:.0} %", from.max(-1.0) * 100.0 + 0.0, to * 100.0 + 0.0),
        None => "not sampled".into(),
    };
    let (files, size) = (class.items.to_string(), bytes(class.bytes));
    vec![modality.to_owned(), syntax, class.class.size_name().to_owned(), files, size, saved]
}

fn saved_line(plan: &Plan) -> String {
    let size = |bytes_: f64| bytes(bytes_.max(0.0) as u64);
    let (from, to) = plan.saved;
    let unsampled = if plan.unsampled > 0 {
        format!("; {} in classes without a sample", bytes(plan.unsampled))
    } else {
        String::new()
    };
    format!(
        "estimate: saves {} to {} of {} (from {} converted to nowhere{unsampled})",
        size(from),
        size(to),
        bytes(plan.bytes),
        count(plan.samples, "sample")
    )
}

fn hours_line(plan: &Plan, limits: &Limits) -> String {
    let (from, to) = plan.hours(limits);
    let mut with = vec![count(limits.jobs as u64, "job")];
    with.extend(limits.rate.map(|rate| format!("at most {}/s", bytes(rate))));
    with.extend(limits.hours.filter(|hours| hours.minutes() < 24 * 60).map(|hours| format!("from {hours}")));
    let (from, to) = (hours_text(from), hours_text(to));
    let time = if from == to { from } else { format!("{from} to {to}") };
    format!("estimate: takes {time} with {}", with.join(", "))
}

fn hours_text(hours: f64) -> String {
    match hours {
        h if h * 60.0 < 1.0 => format!("{:.0} s", (h * 3600.0).max(1.0)),
        h if h < 2.0 => format!("{:.0} min", h * 60.0),
        h if h < 48.0 => format!("{h:.0} h"),
        h => format!("{:.0} days", h / 24.0),
    }
}
