//! The index: is it whole, is every row what was written, do rows agree with each other?

use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, params};

use super::{Fault, FaultKind, Pass, Run};
use crate::Error;
use crate::index::{Sealed, now, tables};

/// Rows that are looked at in one snapshot.
const CHUNK: i64 = 20_000;
/// Tables whose rows the scrubber itself writes.
const OWN: [&str; 2] = ["scrubs", "faults"];

/// What each kind of object or job is counted by, and the count itself.
const COUNTS: [(&str, &str); 6] = [
    ("studies", "SELECT 'studies', count(*) FROM studies"),
    ("series", "SELECT 'series', count(*) FROM series"),
    ("instances", "SELECT 'instances', count(*) FROM instances"),
    ("objects", "SELECT 'objects' || role, count(*) FROM objects GROUP BY role"),
    ("unserved", "SELECT 'unserved', count(*) FROM unserved"),
    ("jobs", "SELECT 'jobs' || state, count(*) FROM jobs GROUP BY state"),
];

/// Rows that have to be there for others: what is missing, of whom.
const NEEDED: [(FaultKind, &str, &str); 2] = [
    (
        FaultKind::Evidence,
        "a converted object has no evidence",
        "SELECT 'object ' || lower(hex(o.key)) FROM objects o LEFT JOIN evidence v ON v.to_object = o.id \
         WHERE o.role = 1 AND v.id IS NULL",
    ),
    (
        FaultKind::Index,
        "an instance has no job",
        "SELECT 'instances ' || i.id FROM instances i LEFT JOIN jobs j ON j.instance = i.id WHERE j.instance IS NULL",
    ),
];

impl Run<'_> {
    pub(super) fn rows(&mut self, stop: &AtomicBool, told: &mut dyn FnMut(Pass, Option<&Fault>)) -> Result<(), Error> {
        let list = self.archive.inner.index.read(|snapshot| tables(snapshot))?;
        for table in list.iter().filter(|table| !OWN.contains(&table.name.as_str())) {
            let mut from = Some(0);
            while let Some(after) = from {
                if stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let damaged = self.archive.inner.index.read(|snapshot| damaged(snapshot, table, after));
                let (rows, next) = match damaged {
                    Ok(found) => found,
                    Err(error) => (vec![format!("(all): {error}")], None),
                };
                for row in rows {
                    self.damaged.insert((table.name.clone(), row.clone()));
                    self.row_fault(&table.name, row, told)?;
                }
                from = next;
            }
        }
        self.agreement(told)?;
        self.structure(told)
    }

    fn row_fault(&mut self, table: &str, row: String, told: &mut dyn FnMut(Pass, Option<&Fault>)) -> Result<(), Error> {
        let kind = if table == "evidence" { FaultKind::Evidence } else { FaultKind::Index };
        let what = "the row is not what was written".to_owned();
        self.found(Fault { kind, name: format!("{table} {row}"), instance: None, what, found: now() }, told)
    }

    /// What rows say of each other. Where rows are damaged, what follows from that is not told again.
    fn agreement(&mut self, told: &mut dyn FnMut(Pass, Option<&Fault>)) -> Result<(), Error> {
        let whole =
            |run: &Self, tables: &[&str]| !run.damaged.iter().any(|(table, _)| tables.contains(&table.as_str()));
        let mut faults = Vec::new();
        for (kind, what, sql) in NEEDED {
            if whole(self, &["objects", "evidence", "instances", "jobs"]) {
                let names = self.archive.inner.index.read(|snapshot| {
                    let mut rows = snapshot.prepare(sql)?;
                    Ok(rows.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?)
                })?;
                faults.extend(names.into_iter().map(|name| (kind, name, what.to_owned())));
            }
        }
        for (table, sql) in COUNTS {
            if whole(self, &[table, "totals"]) {
                let wrong = self.archive.inner.index.read(|snapshot| miscounted(snapshot, table, sql))?;
                faults.extend(wrong.into_iter().map(|name| {
                    (FaultKind::Index, format!("totals {name}"), format!("rows of {table} are missing, or too many"))
                }));
            }
        }
        if self.damaged.is_empty() {
            let dangling = self.archive.inner.index.read(|snapshot| {
                let mut rows = snapshot.prepare("SELECT \"table\", rowid, parent FROM pragma_foreign_key_check")?;
                let rows = rows.query_map([], |row| {
                    let row_id = row.get::<_, Option<i64>>(1)?.unwrap_or_default();
                    Ok((format!("{} {row_id}", row.get::<_, String>(0)?), row.get::<_, String>(2)?))
                })?;
                Ok(rows.collect::<Result<Vec<_>, _>>()?)
            })?;
            faults.extend(dangling.into_iter().map(|(name, parent)| {
                (FaultKind::Index, name, format!("it names a row of {parent} that is not there"))
            }));
        }
        for (kind, name, what) in faults {
            self.found(Fault { kind, name, instance: None, what, found: now() }, told)?;
        }
        Ok(())
    }

    /// Pages, trees and the order of keys.
    fn structure(&mut self, told: &mut dyn FnMut(Pass, Option<&Fault>)) -> Result<(), Error> {
        let lines = self.archive.inner.index.read(|snapshot| {
            let mut lines = snapshot.prepare("PRAGMA integrity_check(50)")?;
            Ok(lines.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?)
        });
        let lines = lines.unwrap_or_else(|error| vec![error.to_string()]);
        // A key that is not what it was is also missing where it is looked up: the row is told already.
        let follows = |line: &str| line == "ok" || (!self.damaged.is_empty() && line.contains("from index"));
        let lines: Vec<String> = lines.into_iter().filter(|line| !follows(line)).collect();
        for (n, what) in lines.into_iter().enumerate() {
            let name = format!("structure {}", n + 1);
            self.found(Fault { kind: FaultKind::Index, name, instance: None, what, found: now() }, told)?;
        }
        Ok(())
    }
}

/// The damaged rows of a part of a table, and where the next part begins.
fn damaged(index: &Connection, table: &Sealed, after: i64) -> Result<(Vec<String>, Option<i64>), Error> {
    let (name, identity, sum) = (&table.name, table.identity(), table.expression("t"));
    if !table.numbered {
        let sql = format!("SELECT CAST({identity} AS TEXT) FROM \"{name}\" t WHERE sum IS NOT {sum}");
        let mut rows = index.prepare(&sql)?;
        let rows = rows.query_map([], |row| row.get_ref(0).map(text))?.collect::<Result<Vec<_>, _>>()?;
        return Ok((rows, None));
    }
    let last = format!("SELECT max(rowid) FROM (SELECT rowid FROM \"{name}\" WHERE rowid > ? ORDER BY rowid LIMIT ?)");
    let last: Option<i64> = index.prepare_cached(&last)?.query_row(params![after, CHUNK], |row| row.get(0))?;
    let Some(last) = last else { return Ok((Vec::new(), None)) };
    let sql = format!(
        "SELECT CAST({identity} AS TEXT) FROM \"{name}\" t WHERE rowid > ? AND rowid <= ? AND sum IS NOT {sum}"
    );
    let mut rows = index.prepare_cached(&sql)?;
    let rows = rows.query_map([after, last], |row| row.get_ref(0).map(text))?.collect::<Result<Vec<_>, _>>()?;
    Ok((rows, Some(last)))
}

/// A damaged key may be no text any more.
fn text(value: rusqlite::types::ValueRef<'_>) -> String {
    value.as_bytes().map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// Names of totals that are not the count of rows.
fn miscounted(index: &Connection, table: &str, sql: &str) -> Result<Vec<String>, Error> {
    let mut counts = index.prepare(sql)?;
    let counts = counts.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
    let counts = counts.collect::<Result<std::collections::HashMap<_, _>, _>>()?;
    let mut told = index.prepare("SELECT name, value FROM totals WHERE name = ?1 OR name GLOB ?1 || '[0-9]'")?;
    let told = told.query_map([table], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
    let told = told.collect::<Result<Vec<_>, _>>()?;
    Ok(told
        .into_iter()
        .filter(|(name, n)| counts.get(name).copied().unwrap_or(0) != *n)
        .map(|(name, _)| name)
        .collect())
}
