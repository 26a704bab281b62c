//! Is every row what was written, and do rows agree with each other?

use std::collections::HashMap;

use tokio_postgres::Row;

use super::checksum::{Raw, Sealed, is_whole, table, tables};
use super::failing::Class;
use super::session::Session;
use super::values::{count, get};
use crate::Error;
use crate::index::scrub::{Contradiction, DamagedRows, FaultKind};

/// Rows that are looked at in one snapshot.
const CHUNK: usize = 20_000;
/// Rows that are in memory at once.
const AT_ONCE: i64 = 500;
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

const NO_EVIDENCE: &str = "SELECT 'object ' || encode(o.key, 'hex') FROM objects o \
    WHERE o.role = 1 AND NOT EXISTS (SELECT 1 FROM evidence v WHERE v.to_object = o.id)";
const NO_JOB: &str = "SELECT 'instances ' || i.id FROM instances i \
    WHERE NOT EXISTS (SELECT 1 FROM jobs j WHERE j.instance = i.id)";

/// Columns that name rows: table, column, and the table that has the row.
const NAMED: [(&str, &str, &str); 16] = [
    ("names", "study", "studies"),
    ("study_modalities", "study", "studies"),
    ("series", "study", "studies"),
    ("instances", "series", "series"),
    ("instances", "object", "objects"),
    ("instances", "received", "objects"),
    ("objects", "instance", "instances"),
    ("jobs", "instance", "instances"),
    ("evidence", "instance", "instances"),
    ("evidence", "from_object", "objects"),
    ("evidence", "to_object", "objects"),
    ("prepared", "series", "series"),
    ("ways_back", "original", "objects"),
    ("ways_back", "object", "objects"),
    ("removed_instances", "removal", "removals"),
    ("removed_objects", "removal", "removals"),
];

/// Looks at one thing that rows say of each other, given the tables with damaged rows.
type Part = fn(&Session<'_>, &[&str]) -> Result<Vec<Contradiction>, Error>;

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
pub(super) fn sealed_tables(session: &Session<'_>) -> Result<Vec<String>, Error> {
    let names = tables(session)?.into_iter().map(|table| table.name);
    Ok(names.filter(|name| !OWN.contains(&name.as_str())).collect())
}

/// The damaged rows of a part of a table, and where the next part begins. Pages that the database itself can't read are told as such.
pub(super) fn damaged(session: &Session<'_>, name: &str, after: i64) -> Result<DamagedRows, Error> {
    let Some(table) = table(session, name)? else { return Ok(DamagedRows { rows: Vec::new(), next: None }) };
    let found = if table.numbered { numbered(session, &table, after) } else { all(session, &table) };
    match found {
        Err(Error::Damaged(what)) if session.failed() == Some(Class::Damaged) => {
            Ok(DamagedRows { rows: vec![format!("after {after}: {what}")], next: None })
        }
        found => found,
    }
}

fn numbered(session: &Session<'_>, table: &Sealed, after: i64) -> Result<DamagedRows, Error> {
    let (number, columns, name) = (table.number(), table.columns("t"), &table.name);
    let sql =
        format!("SELECT t.{number}, {columns} FROM {name} t WHERE t.{number} > $1 ORDER BY t.{number} LIMIT {AT_ONCE}");
    let (mut damaged, mut last, mut looked) = (Vec::new(), after, 0);
    while looked < CHUNK {
        let rows = session.rows(&sql, &[&last])?;
        let Some(end) = rows.last() else { return Ok(DamagedRows { rows: damaged, next: None }) };
        last = get(end, 0)?;
        looked += rows.len();
        for row in &rows {
            if !is_whole(row, 1, table.width())? {
                damaged.push(get::<i64>(row, 0)?.to_string());
            }
        }
    }
    Ok(DamagedRows { rows: damaged, next: Some(last) })
}

/// Of a table without numbers, by a cursor.
fn all(session: &Session<'_>, table: &Sealed) -> Result<DamagedRows, Error> {
    let (identity, columns, name) = (table.identity(), table.columns("t"), &table.name);
    session.batch(&format!("DECLARE looked NO SCROLL CURSOR FOR SELECT {identity}, {columns} FROM {name} t"))?;
    let mut damaged = Vec::new();
    loop {
        let rows = session.rows_once(&format!("FETCH {AT_ONCE} FROM looked"), &[])?;
        if rows.is_empty() {
            session.batch("CLOSE looked")?;
            return Ok(DamagedRows { rows: damaged, next: None });
        }
        for row in &rows {
            if !is_whole(row, 1, table.width())? {
                let name = get::<Raw<'_>>(row, 0)?.0.unwrap_or_default();
                damaged.push(String::from_utf8_lossy(name).into_owned());
            }
        }
    }
}

/// Rows that have to be there for others.
fn needed(
    session: &Session<'_>,
    damaged: &[&str],
    kind: FaultKind,
    what: &str,
    sql: &str,
) -> Result<Vec<Contradiction>, Error> {
    if damaged.iter().any(|table| ["objects", "evidence", "instances", "jobs"].contains(table)) {
        return Ok(Vec::new());
    }
    let found = |row: &Row| Ok(Contradiction { kind, name: get(row, 0)?, what: what.to_owned() });
    session.rows(sql, &[])?.iter().map(found).collect()
}

/// Totals that are not the count of rows.
fn miscounted(session: &Session<'_>, damaged: &[&str], of: (&str, &str)) -> Result<Vec<Contradiction>, Error> {
    let (table, sql) = of;
    if damaged.contains(&table) || damaged.contains(&"totals") {
        return Ok(Vec::new());
    }
    let counted = |row: &Row| Ok::<_, Error>((get::<String>(row, 0)?, get::<i64>(row, 1)?));
    let counts = session.rows(sql, &[])?.iter().map(counted).collect::<Result<HashMap<_, _>, _>>()?;
    let told = "SELECT name, value FROM totals WHERE name = $1 OR name ~ ('^' || $1 || '[0-9]$')";
    let told = session.rows(told, &[&table])?.iter().map(counted).collect::<Result<HashMap<_, _>, _>>()?;
    let mut wrong: Vec<&String> = told.keys().chain(counts.keys()).collect();
    wrong.retain(|name| told.get(*name).unwrap_or(&0) != counts.get(*name).unwrap_or(&0));
    wrong.sort();
    wrong.dedup();
    let what = format!("rows of {table} are missing, or too many");
    let found =
        |name: &String| Contradiction { kind: FaultKind::Index, name: format!("totals {name}"), what: what.clone() };
    Ok(wrong.into_iter().map(found).collect())
}

/// Rows that name others that are not there.
fn dangling(session: &Session<'_>, damaged: &[&str]) -> Result<Vec<Contradiction>, Error> {
    if !damaged.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for (child, column, parent) in NAMED {
        let sql = format!(
            "SELECT t.{column} FROM {child} t WHERE NOT EXISTS (SELECT 1 FROM {parent} p WHERE p.id = t.{column}) LIMIT 50"
        );
        for row in session.rows(&sql, &[])? {
            let number: i64 = get(&row, 0)?;
            let (name, what) =
                (format!("{child} {column} {number}"), format!("it names a row of {parent} that is not there"));
            found.push(Contradiction { kind: FaultKind::Index, name, what });
        }
    }
    Ok(found)
}

/// What the database itself counts as wrong: pages whose checksums do not fit, indices that it gave up.
pub(super) fn structure(session: &Session<'_>) -> Result<Vec<String>, Error> {
    let pages = "SELECT coalesce(checksum_failures, 0) FROM pg_stat_database WHERE datname = current_database()";
    let failures = session.row(pages, &[])?.map_or(Ok(0), |row| count(&row, 0))?;
    let indices = "SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
         WHERE c.relnamespace = to_regnamespace('firstlight') AND NOT i.indisvalid ORDER BY 1";
    let mut lines = Vec::new();
    if failures > 0 {
        lines.push(format!("the database met {failures} pages whose checksums do not fit"));
    }
    for row in session.rows(indices, &[])? {
        lines.push(format!("the index {} is not valid", get::<&str>(&row, 0)?));
    }
    Ok(lines)
}
