//! Is every row what was written, and do rows agree with each other?

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::checksum::tables;
use crate::Error;
use crate::index::scrub::{Contradiction, DamagedRows, FaultKind};

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

const NO_EVIDENCE: &str = "SELECT 'object ' || lower(hex(o.key)) FROM objects o \
    LEFT JOIN evidence v ON v.to_object = o.id WHERE o.role = 1 AND v.id IS NULL";
const NO_JOB: &str =
    "SELECT 'instances ' || i.id FROM instances i LEFT JOIN jobs j ON j.instance = i.id WHERE j.instance IS NULL";

/// Looks at one thing that rows say of each other, given the tables with damaged rows.
type Part = fn(&Connection, &[&str]) -> Result<Vec<Contradiction>, Error>;

/// All that rows say of each other.
pub(super) const CONTRADICTIONS: [Part; 9] = [
    |index, damaged| needed(index, damaged, FaultKind::Evidence, "a converted object has no evidence", NO_EVIDENCE),
    |index, damaged| needed(index, damaged, FaultKind::Index, "an instance has no job", NO_JOB),
    |index, damaged| miscounted(index, damaged, COUNTS[0]),
    |index, damaged| miscounted(index, damaged, COUNTS[1]),
    |index, damaged| miscounted(index, damaged, COUNTS[2]),
    |index, damaged| miscounted(index, damaged, COUNTS[3]),
    |index, damaged| miscounted(index, damaged, COUNTS[4]),
    |index, damaged| miscounted(index, damaged, COUNTS[5]),
    dangling,
];

/// The tables that are looked at.
pub(super) fn sealed_tables(index: &Connection) -> Result<Vec<String>, Error> {
    let names = tables(index)?.into_iter().map(|table| table.name);
    Ok(names.filter(|name| !OWN.contains(&name.as_str())).collect())
}

/// The damaged rows of a part of a table, and where the next part begins.
pub(super) fn damaged(index: &Connection, table: &str, after: i64) -> Result<DamagedRows, Error> {
    let sealed = tables(index)?.into_iter().find(|sealed| sealed.name == table);
    let Some(table) = sealed else { return Ok(DamagedRows { rows: Vec::new(), next: None }) };
    let (name, identity, sum) = (&table.name, table.identity(), table.expression("t"));
    if !table.numbered {
        let sql = format!("SELECT CAST({identity} AS TEXT) FROM \"{name}\" t WHERE sum IS NOT {sum}");
        let mut rows = index.prepare(&sql)?;
        let rows = rows.query_map([], |row| row.get_ref(0).map(text))?.collect::<Result<_, _>>()?;
        return Ok(DamagedRows { rows, next: None });
    }
    let last = format!("SELECT max(rowid) FROM (SELECT rowid FROM \"{name}\" WHERE rowid > ? ORDER BY rowid LIMIT ?)");
    let next: Option<i64> = index.prepare_cached(&last)?.query_row(params![after, CHUNK], |row| row.get(0))?;
    let Some(last) = next else { return Ok(DamagedRows { rows: Vec::new(), next }) };
    let sql = format!(
        "SELECT CAST({identity} AS TEXT) FROM \"{name}\" t WHERE rowid > ? AND rowid <= ? AND sum IS NOT {sum}"
    );
    let mut rows = index.prepare_cached(&sql)?;
    let rows = rows.query_map([after, last], |row| row.get_ref(0).map(text))?.collect::<Result<_, _>>()?;
    Ok(DamagedRows { rows, next })
}

/// A damaged key may be no text any more.
fn text(value: rusqlite::types::ValueRef<'_>) -> String {
    value.as_bytes().map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// Rows that have to be there for others.
fn needed(
    index: &Connection,
    damaged: &[&str],
    kind: FaultKind,
    what: &str,
    sql: &str,
) -> Result<Vec<Contradiction>, Error> {
    if damaged.iter().any(|table| ["objects", "evidence", "instances", "jobs"].contains(table)) {
        return Ok(Vec::new());
    }
    let mut rows = index.prepare(sql)?;
    let rows = rows.query_map([], |row| Ok(Contradiction { kind, name: row.get(0)?, what: what.to_owned() }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Totals that are not the count of rows.
fn miscounted(index: &Connection, damaged: &[&str], of: (&str, &str)) -> Result<Vec<Contradiction>, Error> {
    let (table, sql) = of;
    if damaged.contains(&table) || damaged.contains(&"totals") {
        return Ok(Vec::new());
    }
    let mut counts = index.prepare(sql)?;
    let counts = counts.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
    let counts = counts.collect::<Result<HashMap<_, _>, _>>()?;
    let mut told = index.prepare("SELECT name, value FROM totals WHERE name = ?1 OR name GLOB ?1 || '[0-9]'")?;
    let told = told.query_map([table], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
    let told = told.collect::<Result<Vec<_>, _>>()?;
    let wrong = told.into_iter().filter(|(name, n)| counts.get(name).copied().unwrap_or(0) != *n);
    Ok(wrong
        .map(|(name, _)| Contradiction {
            kind: FaultKind::Index,
            name: format!("totals {name}"),
            what: format!("rows of {table} are missing, or too many"),
        })
        .collect())
}

/// Rows that name others that are not there.
fn dangling(index: &Connection, damaged: &[&str]) -> Result<Vec<Contradiction>, Error> {
    if !damaged.is_empty() {
        return Ok(Vec::new());
    }
    let mut rows = index.prepare("SELECT \"table\", rowid, parent FROM pragma_foreign_key_check")?;
    let rows = rows.query_map([], |row| {
        let (table, row_id, parent) =
            (row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?, row.get::<_, String>(2)?);
        Ok(Contradiction {
            kind: FaultKind::Index,
            name: format!("{table} {}", row_id.unwrap_or_default()),
            what: format!("it names a row of {parent} that is not there"),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
