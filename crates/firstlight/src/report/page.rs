//! The page: one file, nothing loaded from elsewhere, every value escaped.

use super::gather::{Case, Facts};
use super::plots;
use crate::units::{bytes, count, duration, time};
use std::fmt::Write;
use std::time::Duration;
use transcode::Tally;

const STYLE: &str = include_str!("page.css");

/// The whole page, made at `now`.
pub fn page(facts: &Facts, now: i64) -> String {
    let mut out = String::with_capacity(64 << 10);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <title>Firstlight report</title><style>{STYLE}</style></head><body><main>"
    );
    head(&mut out, facts, now);
    tiles(&mut out, facts);
    if !facts.modalities.is_empty() {
        let key = "<p class=\"key\"><i class=\"before\"></i>before <i class=\"after\"></i>after</p>";
        section(&mut out, "Sizes by modality", &(key.to_owned() + &plots::sizes(facts) + &speeds(facts)));
    }
    if let Some(plot) = plots::speed(facts) {
        section(&mut out, "Speed over time", &plot);
    }
    section(&mut out, "Kept as received, and why", &reasons(facts));
    section(
        &mut out,
        "What needs a look",
        &failures(&facts.failures, facts.to_look_at() as usize + facts.quarantine.len()),
    );
    section(&mut out, "Proof", &proof(facts));
    if !facts.heads.is_empty() {
        section(&mut out, "Records", &heads(facts));
    }
    let _ = writeln!(
        out,
        "<footer>Made by Firstlight {} on {} UTC. This file loads nothing and holds no patient's name.</footer></main></body></html>",
        env!("CARGO_PKG_VERSION"),
        time(now)
    );
    out
}

/// Text that is safe between tags and in attributes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

fn section(out: &mut String, title: &str, body: &str) {
    let _ = write!(out, "<section><h2>{title}</h2>{body}</section>");
}

fn head(out: &mut String, facts: &Facts, now: i64) {
    let well = facts.failures.is_empty() && facts.to_look_at() == 0 && facts.quarantine.is_empty();
    let (class, word) = if well { ("good", "All is well") } else { ("warn", "Needs a look") };
    let what = if facts.archive { "Archive" } else { "Folder" };
    let _ = write!(
        out,
        "<header><div><p class=\"over\">Firstlight conversion report</p><h1>{what} <span>{}</span></h1><p class=\"when\">{} UTC</p></div>\
         <p class=\"chip {class}\">{word}</p></header>",
        escape(&facts.place),
        time(now)
    );
}

fn tiles(out: &mut String, facts: &Facts) {
    let total = facts.converted + facts.kept + facts.pending + facts.failed + facts.unreadable;
    let saved = facts.bytes_in.saturating_sub(facts.bytes_out);
    let each = if facts.converted == 0 { 0.0 } else { 1000.0 * facts.seconds / facts.converted as f64 };
    let tiles = [
        ("Saved", bytes(saved), format!("{:.1} % of what was converted", facts.saved_percent()), "lead"),
        ("Converted", grouped(facts.converted), format!("of {}, {each:.0} ms each", count(total, "instance")), ""),
        ("Kept as received", grouped(facts.kept), bytes(facts.bytes_kept), ""),
        (
            "Need a look",
            grouped(facts.to_look_at()),
            format!("{} unreadable, {} in quarantine", grouped(facts.unreadable), facts.quarantine.len()),
            if facts.to_look_at() == 0 { "" } else { "bad" },
        ),
    ];
    out.push_str("<div class=\"tiles\">");
    for (title, value, below, class) in tiles {
        let _ = write!(out, "<div class=\"tile {class}\"><h3>{title}</h3><b>{value}</b><p>{below}</p></div>");
    }
    let _ = write!(out, "</div><div class=\"bar\">{}</div>", plots::outcomes(facts));
    out.push_str(
        "<p class=\"key\"><i class=\"after\"></i>converted <i class=\"kept\"></i>kept <i class=\"pending\"></i>waiting <i class=\"bad\"></i>failed or unreadable</p>",
    );
}

/// Speed and ratio of each modality, as a table.
fn speeds(facts: &Facts) -> String {
    let rows = facts.modalities.iter().map(|(name, of)| {
        let rate = if of.seconds > 0.0 { bytes((of.bytes_in as f64 / of.seconds) as u64) + "/s" } else { "-".into() };
        let saved = 100.0 * (of.bytes_in as f64 - of.bytes_out as f64) / of.bytes_in.max(1) as f64;
        [
            escape(name),
            grouped(of.converted),
            bytes(of.bytes_in),
            bytes(of.bytes_out),
            format!("{saved:.1} %"),
            rate,
            duration(Duration::from_secs_f64(of.seconds.max(0.0))),
        ]
    });
    let titles = ["modality", "instances", "before", "after", "saved", "read, one thread", "time"];
    table(&titles, 1, rows.map(Vec::from))
}

fn reasons(facts: &Facts) -> String {
    if facts.reasons.is_empty() {
        return "<p class=\"none\">Nothing was kept as received.</p>".into();
    }
    let mut rows: Vec<_> = facts.reasons.iter().collect();
    rows.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    let most = rows.first().map_or(1, |(_, n)| **n).max(1) as f64;
    let rows = rows.into_iter().take(40).map(|((rule, reason), n)| {
        let bar = format!("<i class=\"meter\"><i style=\"width:{:.1}%\"></i></i>", 100.0 * *n as f64 / most);
        vec![escape(reason), format!("<code>{}</code>", escape(rule)), bar, grouped(*n)]
    });
    table(&["reason", "rule", "", "instances"], 3, rows)
}

fn failures(cases: &[Case], all: usize) -> String {
    if cases.is_empty() {
        return "<p class=\"none\">Nothing failed.</p>".into();
    }
    let rows = cases.iter().map(|case| {
        vec![
            format!("<span class=\"chip bad\">{}</span>", case.kind),
            escape(&case.what),
            format!("<code>{}</code>", escape(&case.place)),
            format!("<code>{}</code>", escape(&case.next)),
        ]
    });
    let left = all.saturating_sub(cases.len());
    let more = if left > 0 { format!("<p class=\"none\">and {left} more</p>") } else { String::new() };
    table(&["", "what happened", "where", "the way to it"], 9, rows) + &more
}

fn proof(facts: &Facts) -> String {
    let mut all = Tally::default();
    facts.opinions.values().for_each(|tally| all.add(*tally));
    let frames = all.agreed + all.disagreed + all.without + all.not_asked;
    let mut out = format!(
        "<p>Every frame that was re-encoded was read back, decoded and compared with its source before it counted. \
         A decoder of other authors looked at {} of {} too; it disagreed on {}.</p>",
        grouped(all.agreed + all.disagreed),
        count(frames, "frame"),
        grouped(all.disagreed)
    );
    if let Some(pass) = facts.scrub {
        let state = match pass.ended {
            Some(ended) => format!("ended {} UTC", time(ended)),
            None => format!("under way since {} UTC", time(pass.began)),
        };
        let _ = write!(
            out,
            "<p>The last scrub read and decoded {} of {} again ({}), {state}; {}.</p>",
            grouped(pass.objects),
            count(pass.of_objects, "object"),
            bytes(pass.bytes),
            if facts.faults.is_empty() {
                "no fault is known".into()
            } else {
                count(facts.faults.len() as u64, "fault")
            }
        );
    } else if facts.archive {
        out.push_str("<p>The archive was not scrubbed yet: <code>firstlight scrub</code>, or <code>scrub_days</code> in the settings.</p>");
    }
    let rows = facts.opinions.iter().map(|(class, tally)| {
        vec![
            escape(&class.to_string()),
            grouped(tally.agreed),
            grouped(tally.disagreed),
            grouped(tally.without),
            grouped(tally.not_asked),
        ]
    });
    if !facts.opinions.is_empty() {
        out += &table(&["second opinions", "agreed", "disagreed", "no decoder here", "not asked"], 1, rows);
    }
    out
}

/// Whoever signs the page signs the heads, and each head stands for every line before it.
fn heads(facts: &Facts) -> String {
    let rows = facts.heads.iter().map(|head| {
        let name = head.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut state = vec![match head.troubles.len() as u64 {
            0 => "whole".to_owned(),
            n => count(n, "wrong line"),
        }];
        state.extend((head.unchained > 0).then(|| format!("{} of an earlier version", count(head.unchained, "line"))));
        state.extend(head.after.as_ref().map(|after| format!("goes on from {}", &after[..16])));
        let head_of =
            if head.lines == head.unchained { "none yet".into() } else { format!("<code>{}</code>", head.head) };
        vec![escape(&name), head_of, escape(&state.join(", ")), grouped(head.lines)]
    });
    "<p>Each line of these files holds the one before it. The head, which is the last, stands for all of them: a line that is \
     changed, added, moved or missing gives another head.</p>"
        .to_owned()
        + &table(&["file", "head", "", "lines"], 3, rows)
}

/// Cells are HTML; from column `numbers` on they stand to the right.
fn table(titles: &[&str], numbers: usize, rows: impl Iterator<Item = Vec<String>>) -> String {
    let class = |n: usize| if n >= numbers { " class=\"n\"" } else { "" };
    let mut out = "<div class=\"scroll\"><table><thead><tr>".to_owned();
    for (n, title) in titles.iter().enumerate() {
        let _ = write!(out, "<th{}>{title}</th>", class(n));
    }
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        out.push_str("<tr>");
        for (n, cell) in row.iter().enumerate() {
            let _ = write!(out, "<td{}>{cell}</td>", class(n));
        }
        out.push_str("</tr>");
    }
    out + "</tbody></table></div>"
}

/// Thousands apart: `12 345`.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{2009}');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_values_stay_text_and_nothing_is_loaded() {
        let evil = "<script>alert('x')</script>\" onload=\"y";
        let mut facts = Facts { place: evil.into(), failed: 1, kept: 1, ..Facts::default() };
        facts.reasons.insert((evil.into(), evil.into()), 1);
        let (what, place, next) = (evil.to_owned(), evil.to_owned(), evil.to_owned());
        facts.failures.push(Case { kind: "failed", what, place, next });
        facts.modalities.entry("<b>".into()).or_default().bytes_in = 5;
        let page = page(&facts, 0);
        assert!(!page.contains("<script") && !page.contains("onload=\"y"), "{page}");
        assert!(!page.contains("<b></text>"));
        for outside in ["http://", "https://", "src=", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1\u{2009}000", "1\u{2009}234\u{2009}567"]);
    }
}
