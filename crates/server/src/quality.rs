//! What conversion did and how well it is proven, in the Prometheus text format. Labels are bounded: modalities of the standard,
//! transfer syntaxes, rules of the policy, classes of reasons.

use archive::{Figure, Figures};
use std::collections::BTreeMap;
use std::fmt::Write;
use transcode::{Quarantine, Tally};

/// A counter of the archive: its name there, the metric, its unit, what it tells.
const CONVERSIONS: [(&str, &str, f64, &str); 5] = [
    ("converted", "conversions_total", 1.0, "Instances re-encoded and proven equal."),
    ("bytes_in", "conversion_read_bytes_total", 1.0, "Bytes of the received objects of conversions."),
    ("bytes_out", "conversion_written_bytes_total", 1.0, "Bytes of the objects that conversions wrote."),
    ("frames", "conversion_frames_total", 1.0, "Frames re-encoded and proven equal."),
    ("milliseconds", "conversion_seconds_total", 0.001, "Time that conversions took, on one thread each."),
];

/// Adds the metrics to `out`.
pub fn write(out: &mut String, figures: &Figures, quarantine: &Quarantine) {
    for (name, metric, unit, help) in CONVERSIONS {
        head(out, metric, "counter", help);
        for figure in of(figures, name) {
            let (modality, syntax) = (label(&figure.modality), label(&figure.detail));
            let value = figure.value as f64 * unit;
            line(out, metric, &format!("modality=\"{modality}\",transfer_syntax=\"{syntax}\""), value);
        }
    }
    saved(out, figures);
    kept(out, figures);
    opinions(out, figures);
    held(out, quarantine);
    scrub(out, figures);
}

fn saved(out: &mut String, figures: &Figures) {
    let mut modalities = BTreeMap::<&str, (u64, u64)>::new();
    for figure in &figures.counters {
        let (before, after) = modalities.entry(&figure.modality).or_default();
        match figure.name.as_str() {
            "bytes_in" => *before += figure.value,
            "bytes_out" => *after += figure.value,
            _ => {}
        }
    }
    head(out, "conversion_ratio", "gauge", "Bytes before for each byte after.");
    for (modality, (before, after)) in modalities.into_iter().filter(|(_, sizes)| sizes.1 > 0) {
        line(out, "conversion_ratio", &format!("modality=\"{}\"", label(modality)), before as f64 / after as f64);
    }
    let sum = |name| of(figures, name).map(|figure| figure.value as f64).sum::<f64>();
    head(out, "conversion_saved_bytes", "gauge", "Bytes that conversions saved; less than none where they grew.");
    line(out, "conversion_saved_bytes", "", sum("bytes_in") - sum("bytes_out"));
}

fn kept(out: &mut String, figures: &Figures) {
    head(out, "kept_total", "counter", "Decisions to keep an instance as received, by rule and class of reason.");
    for figure in of(figures, "kept") {
        let (rule, reason) = figure.detail.split_once('\t').unwrap_or(("", &figure.detail));
        let labels = [("modality", figure.modality.as_str()), ("rule", rule), ("reason", reason)];
        let labels = labels.map(|(name, value)| format!("{name}=\"{}\"", label(value))).join(",");
        line(out, "kept_total", &labels, figure.value as f64);
    }
    let failures = |out: &mut String, metric: &str, help: &str, proof: bool| {
        head(out, metric, "counter", help);
        let mut reasons = BTreeMap::<&str, u64>::new();
        let proofs = ["verification", "second-opinion"];
        // Those of proof are always there, so that an alert has something to look at.
        reasons.extend(proofs.iter().filter(|_| proof).map(|check| (*check, 0)));
        for figure in of(figures, "failed").filter(|figure| proofs.contains(&figure.detail.as_str()) == proof) {
            *reasons.entry(&figure.detail).or_default() += figure.value;
        }
        let name = if proof { "check" } else { "reason" };
        for (reason, n) in reasons {
            line(out, metric, &format!("{name}=\"{}\"", label(reason)), n as f64);
        }
    };
    failures(out, "verification_failures_total", "Conversions that failed a check; in quarantine, not stored.", true);
    failures(out, "conversion_failures_total", "Conversions that failed before they were checked.", false);
}

fn opinions(out: &mut String, figures: &Figures) {
    let mut codecs = BTreeMap::<&str, Tally>::new();
    for (class, tally) in &figures.opinions {
        codecs.entry(&class.codec).or_default().add(*tally);
    }
    head(out, "second_opinions_total", "counter", "Frames by what a second decoder said of them.");
    for (codec, tally) in codecs {
        let Tally { agreed, disagreed, without, not_asked } = tally;
        for (said, n) in [("agreed", agreed), ("disagreed", disagreed), ("none", without), ("not_asked", not_asked)] {
            line(out, "second_opinions_total", &format!("codec=\"{}\",said=\"{said}\"", label(codec)), n as f64);
        }
    }
}

fn held(out: &mut String, quarantine: &Quarantine) {
    let entries = quarantine.list().unwrap_or_default();
    head(out, "quarantine_entries", "gauge", "Conversions in quarantine.");
    line(out, "quarantine_entries", "", entries.len() as f64);
    head(out, "quarantine_bytes", "gauge", "Bytes in quarantine.");
    line(out, "quarantine_bytes", "", entries.iter().filter(|e| e.kept).map(|e| e.bytes as f64).sum());
}

fn scrub(out: &mut String, figures: &Figures) {
    head(out, "scrub_faults", "gauge", "Faults that the scrubber found and that are not healed.");
    for (kind, n) in &figures.faults {
        line(out, "scrub_faults", &format!("kind=\"{}\"", kind.name()), *n as f64);
    }
    let Some(pass) = figures.scrub else { return };
    let share = if pass.of_bytes == 0 { 1.0 } else { pass.bytes as f64 / pass.of_bytes as f64 };
    for (metric, help, value) in [
        ("scrub_progress", "Share of the archive that the pass under way has read, or the last one.", share.min(1.0)),
        ("scrub_began_seconds", "When the pass began, in seconds since 1970.", pass.began as f64),
        ("scrub_changed_seconds", "When it last went on, in seconds since 1970.", pass.changed as f64),
        (
            "scrub_ended_seconds",
            "When it ended, in seconds since 1970; 0 while it is under way.",
            pass.ended.unwrap_or(0) as f64,
        ),
    ] {
        head(out, metric, "gauge", help);
        line(out, metric, "", value);
    }
}

fn of<'a>(figures: &'a Figures, name: &'a str) -> impl Iterator<Item = &'a Figure> {
    figures.counters.iter().filter(move |figure| figure.name == name)
}

fn head(out: &mut String, metric: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP firstlight_{metric} {help}\n# TYPE firstlight_{metric} {kind}");
}

fn line(out: &mut String, metric: &str, labels: &str, value: f64) {
    let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    let _ = writeln!(out, "firstlight_{metric}{labels} {value}");
}

/// A label's value: at most 64 characters of what a rule is called, escaped.
fn label(value: &str) -> String {
    let short: String = value.chars().take(64).collect();
    short.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use archive::{FaultKind, Pass};
    use transcode::Class;

    #[test]
    fn every_line_is_of_the_format_and_labels_are_bounded() {
        let figure = |name: &str, detail: &str, value| Figure {
            name: name.into(),
            modality: "CT".into(),
            detail: detail.into(),
            value,
        };
        let class = Class {
            modality: "CT".into(),
            bits: 12,
            signed: true,
            photometric: "MONOCHROME2".into(),
            codec: "htj2k 1".into(),
        };
        let figures = Figures {
            counters: vec![
                figure("converted", "1.2.840.10008.1.2.4.202", 2),
                figure("bytes_in", "1.2.840.10008.1.2.4.202", 900),
                figure("bytes_out", "1.2.840.10008.1.2.4.202", 300),
                figure("milliseconds", "1.2.840.10008.1.2.4.202", 1500),
                figure("kept", "a \"rule\"\tlossy", 3),
                figure("failed", "second-opinion", 1),
            ],
            opinions: vec![(class, Tally { agreed: 5, ..Tally::default() })],
            scrub: Some(Pass { began: 7, of_bytes: 100, bytes: 25, ..Pass::default() }),
            faults: vec![(FaultKind::Missing, 2)],
        };
        let mut text = String::new();
        write(&mut text, &figures, &Quarantine::new("/nowhere/at/all", 0));
        for line in [
            "firstlight_conversions_total{modality=\"CT\",transfer_syntax=\"1.2.840.10008.1.2.4.202\"} 2",
            "firstlight_conversion_ratio{modality=\"CT\"} 3",
            "firstlight_conversion_seconds_total{modality=\"CT\",transfer_syntax=\"1.2.840.10008.1.2.4.202\"} 1.5",
            "firstlight_conversion_saved_bytes 600",
            "firstlight_kept_total{modality=\"CT\",rule=\"a \\\"rule\\\"\",reason=\"lossy\"} 3",
            "firstlight_verification_failures_total{check=\"second-opinion\"} 1",
            "firstlight_verification_failures_total{check=\"verification\"} 0",
            "firstlight_second_opinions_total{codec=\"htj2k 1\",said=\"agreed\"} 5",
            "firstlight_scrub_faults{kind=\"missing\"} 2",
            "firstlight_scrub_progress 0.25",
            "firstlight_quarantine_entries 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }

    /// The alerts that are shipped look at metrics that are there.
    #[test]
    fn alerts_name_metrics_that_exist() {
        let alerts = include_str!("../../../docs/alerts.yml");
        let mut text = String::new();
        let figures = Figures { scrub: Some(Pass::default()), ..Figures::default() };
        write(&mut text, &figures, &Quarantine::new("/nowhere/at/all", 0));
        text += &crate::metrics::Metrics::default().text(Some(archive::Stats::default()), 0);
        let mut named = 0;
        for word in alerts.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
            // Those of a migration are its own, and looked at there.
            if word.starts_with("firstlight_") && !word.starts_with("firstlight_migration_") {
                named += 1;
                assert!(text.contains(&format!("# TYPE {word} ")), "{word} is no metric");
            }
        }
        assert!(named >= 8, "{named}");
    }
}
