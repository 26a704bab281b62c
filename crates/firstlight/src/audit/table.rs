//! The table at the end of an audit: what became of the sources, what is wrong, and the heads that a person signs.

use crate::units::{bytes, count, duration, table};
use migrate::audit::{Account, Audited, Kind};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Reasons that are shown of each kind.
const REASONS: usize = 8;

/// For people.
pub fn show(audited: &Audited, destination: &Path, took: Duration) -> String {
    let account = &audited.account;
    let mut text = String::new();
    let how = match account.looked {
        true => "the sources were read",
        false => "by the records: the sources were not read",
    };
    text.push_str(&format!("{}: {} ({how})\n", destination.display(), count(account.sources, "source")));
    let mut rows = Vec::new();
    for (n, what, reasons) in rows_of(account) {
        rows.push(vec![format!("  {what}"), n.to_string()]);
        rows.extend(top(reasons).into_iter().map(|(reason, n)| vec![format!("    {reason}"), n.to_string()]));
    }
    text.push_str(&table(&rows, 1));
    for (n, what) in [(account.changed, "changed since they were taken"), (account.gone, "are not there any more")] {
        if n > 0 {
            text.push_str(&format!("{} {what}: judged by what was recorded\n", count(n, "source")));
        }
    }
    if account.deidentified {
        text.push_str(
            "the destination is de-identified: no way leads back, on purpose, and no source is known by name\n",
        );
    }
    let (files, size) = audited.read;
    let rate = bytes((size as f64 / took.as_secs_f64().max(1e-3)) as u64);
    text.push_str(&format!(
        "read {} of the destination, {} in {} ({rate}/s)\n",
        count(files, "file"),
        bytes(size),
        duration(took)
    ));
    for head in &audited.heads {
        let name = head.file.file_name().unwrap_or_default().to_string_lossy();
        text.push_str(&format!("head of {name} ({}): {}\n", count(head.lines, "line"), head.head));
        if head.unchained > 0 {
            text.push_str(&format!(
                "  {} of an earlier version have no chain of their own\n",
                count(head.unchained, "line")
            ));
        }
    }
    text.push_str(&verdict(audited));
    text.push('\n');
    text
}

fn verdict(audited: &Audited) -> String {
    let found: Vec<String> = Kind::ALL
        .iter()
        .zip(audited.found)
        .filter(|(_, n)| *n > 0)
        .map(|(kind, n)| format!("{n} {}", kind.name()))
        .collect();
    let account = &audited.account;
    let mut parts = found;
    parts.extend((account.waiting > 0).then(|| format!("{} still wait", count(account.waiting, "source"))));
    parts.extend((account.failed > 0).then(|| format!("{} failed", count(account.failed, "source"))));
    if parts.is_empty() {
        return "all is as it was written".into();
    }
    format!("NOT AS IT SHOULD BE: {}", parts.join(", "))
}

type Row<'a> = (u64, &'static str, Option<&'a BTreeMap<String, u64>>);

fn rows_of(account: &Account) -> Vec<Row<'_>> {
    let rows = [
        (account.converted, "converted and proven", None),
        (account.one_way, "of them with no way back", Some(&account.one_way_reasons)),
        (account.kept, "kept and equal", None),
        (account.unreadable, "unreadable, kept and equal", Some(&account.unreadable_reasons)),
        (account.skipped, "skipped (not DICOM)", None),
        (account.failed, "failed", None),
        (account.wrong, "not as they were written", None),
        (account.missing, "missing", None),
        (account.waiting, "waiting", None),
    ];
    // Four are always said, the others where there are some.
    let always = |what: &str| !matches!(what, "failed" | "not as they were written" | "waiting");
    rows.into_iter().filter(|(n, what, _)| *n > 0 || always(what)).collect()
}

fn top(reasons: Option<&BTreeMap<String, u64>>) -> Vec<(&String, &u64)> {
    let mut reasons: Vec<_> = reasons.into_iter().flatten().collect();
    reasons.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    reasons.truncate(REASONS);
    reasons
}

/// For programs.
pub fn object(audited: &Audited) -> Value {
    let account = &audited.account;
    let heads = audited.heads.iter().map(|head| {
        json!({
            "file": head.file.to_string_lossy(),
            "lines": head.lines,
            "unchained": head.unchained,
            "head": head.head,
            "after": head.after,
        })
    });
    let found: serde_json::Map<String, Value> =
        Kind::ALL.iter().zip(audited.found).map(|(kind, n)| (kind.name().to_owned(), n.into())).collect();
    json!({
        "kind": "summary",
        "well": audited.is_well(),
        "sources": account.sources,
        "sources_read": account.looked,
        "converted": account.converted,
        "no_way_back": account.one_way,
        "no_way_back_reasons": account.one_way_reasons,
        "kept": account.kept,
        "unreadable": account.unreadable,
        "unreadable_reasons": account.unreadable_reasons,
        "skipped": account.skipped,
        "failed": account.failed,
        "not_as_written": account.wrong,
        "missing": account.missing,
        "waiting": account.waiting,
        "changed_sources": account.changed,
        "gone_sources": account.gone,
        "deidentified": account.deidentified,
        "found": found,
        "files_read": audited.read.0,
        "bytes_read": audited.read.1,
        "heads": heads.collect::<Vec<_>>(),
        "stopped": audited.stopped,
    })
}
