//! Plots as SVG within the page: colours come from its style, so that they follow light and dark.

use super::gather::Facts;
use super::page::escape;
use crate::units::{bytes, time};
use std::fmt::Write;

/// Rows of a plot by modality.
const MOST: usize = 12;
const WIDTH: f64 = 880.0;

/// Bytes before and after, by modality, the largest first.
pub fn sizes(facts: &Facts) -> String {
    let mut rows: Vec<_> = facts.modalities.iter().collect();
    rows.sort_by_key(|(_, of)| std::cmp::Reverse(of.bytes_in.max(of.bytes_out)));
    rows.truncate(MOST);
    let most = rows.iter().map(|(_, of)| of.bytes_in.max(of.bytes_out)).max().unwrap_or(1).max(1) as f64;
    let (left, right, step) = (92.0, 210.0, 46.0);
    let scale = (WIDTH - left - right) / most;
    let mut svg = open(rows.len() as f64 * step + 6.0, "Bytes before and after by modality");
    for (n, (name, of)) in rows.iter().enumerate() {
        let y = n as f64 * step + 6.0;
        let (before, after) = ((of.bytes_in as f64 * scale).max(1.5), (of.bytes_out as f64 * scale).max(1.5));
        let ratio = of.bytes_in as f64 / of.bytes_out.max(1) as f64;
        let _ = write!(
            svg,
            "<text class=\"label\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
             <rect class=\"before\" x=\"{left}\" y=\"{y}\" width=\"{before:.1}\" height=\"14\" rx=\"3\"/>\
             <rect class=\"after\" x=\"{left}\" y=\"{}\" width=\"{after:.1}\" height=\"14\" rx=\"3\"/>\
             <text class=\"small\" x=\"{:.1}\" y=\"{}\">{}</text>\
             <text class=\"small strong\" x=\"{:.1}\" y=\"{}\">{}, {ratio:.2} : 1</text>",
            left - 12.0,
            y + 20.0,
            escape(name),
            y + 16.0,
            left + before + 8.0,
            y + 11.5,
            bytes(of.bytes_in),
            left + after + 8.0,
            y + 27.5,
            bytes(of.bytes_out),
        );
    }
    svg + "</svg>"
}

/// Instances a minute and bytes a second over the time in which something was converted.
pub fn speed(facts: &Facts) -> Option<String> {
    let first = facts.done.iter().map(|done| done.0).min()?;
    let last = facts.done.iter().map(|done| done.0).max()?;
    let span = (last - first + 1).max(1);
    let bins = usize::try_from(span).unwrap_or(1).clamp(1, 96);
    let seconds = span as f64 / bins as f64;
    let (mut counts, mut sizes) = (vec![0u64; bins], vec![0u64; bins]);
    for (at, size) in &facts.done {
        let bin = (((at - first) as f64 / seconds) as usize).min(bins - 1);
        counts[bin] += 1;
        sizes[bin] += size;
    }
    let rates: Vec<f64> = sizes.iter().map(|size| *size as f64 / seconds).collect();
    let (left, top, height) = (92.0, 12.0, 170.0);
    let width = WIDTH - left - 16.0;
    let most = nice(rates.iter().copied().fold(1.0, f64::max));
    let mut svg = open(top + height + 30.0, "Speed over time");
    for quarter in 0..=4 {
        let y = top + height - height * f64::from(quarter) / 4.0;
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{left}\" y1=\"{y}\" x2=\"{}\" y2=\"{y}\"/>\
             <text class=\"small\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}/s</text>",
            left + width,
            left - 12.0,
            y + 4.0,
            bytes((most * f64::from(quarter) / 4.0) as u64)
        );
    }
    let step = width / bins as f64;
    for (n, rate) in rates.iter().enumerate().filter(|(_, rate)| **rate > 0.0) {
        let bar = (rate / most * height).max(1.0);
        let _ = write!(
            svg,
            "<rect class=\"after\" x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{bar:.2}\" rx=\"1.5\"><title>{}: {} instances, \
             {}/s</title></rect>",
            left + n as f64 * step + step * 0.1,
            top + height - bar,
            (step * 0.8).max(0.8),
            time(first + (n as f64 * seconds) as i64),
            counts[n],
            bytes(*rate as u64)
        );
    }
    let y = top + height + 20.0;
    let _ = write!(
        svg,
        "<text class=\"small\" x=\"{left}\" y=\"{y}\">{}</text><text class=\"small\" x=\"{}\" y=\"{y}\" text-anchor=\"end\">{}</text>",
        time(first),
        left + width,
        time(last)
    );
    Some(svg + "</svg>")
}

/// What became of everything, in one bar.
pub fn outcomes(facts: &Facts) -> String {
    let parts = [
        ("after", "converted", facts.converted),
        ("kept", "kept", facts.kept),
        ("pending", "waiting", facts.pending),
        ("bad", "failed or unreadable", facts.failed + facts.unreadable),
    ];
    let total = parts.iter().map(|part| part.2).sum::<u64>().max(1) as f64;
    let mut svg = open(22.0, "Converted, kept, waiting, failed or unreadable");
    let mut x = 0.0;
    for (class, name, n) in parts.iter().filter(|part| part.2 > 0) {
        let width = (*n as f64 / total * WIDTH).max(3.0);
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"0\" width=\"{:.1}\" height=\"22\" rx=\"4\"><title>{n} {name}</title></rect>",
            (width - 3.0).max(1.0)
        );
        x += width;
    }
    svg + "</svg>"
}

fn open(height: f64, title: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"100%\" role=\"img\" aria-label=\"{}\">", escape(title))
}

/// The next number that reads well: 1, 2 or 5 with zeros.
fn nice(most: f64) -> f64 {
    let power = 10f64.powf(most.log10().floor());
    [1.0, 2.0, 4.0, 5.0, 10.0].into_iter().map(|n| n * power).find(|n| *n >= most).unwrap_or(most)
}
