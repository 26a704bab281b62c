//! The feed of changes.

use rusqlite::{Connection, params};

use super::engine::Sqlite;
use super::values::now;
use crate::Error;
use crate::index::changes::{Change, ChangeKind, Changed, Changes};

/// Microseconds of a second: numbers are not below the time.
const NUMBERS: i64 = 1_000_000;

const LAST: &str = "SELECT coalesce(max(id), 0) FROM changes";

impl Changes for Sqlite {
    fn changes(&self, after: i64, most: usize) -> Result<Vec<Change>, Error> {
        let sql = "SELECT c.id, c.at, c.kind, coalesce(c.study, s.uid), coalesce(c.series, e.uid), coalesce(c.sop, i.uid) \
             FROM changes c LEFT JOIN instances i ON i.id = c.instance LEFT JOIN series e ON e.id = i.series \
             LEFT JOIN studies s ON s.id = e.study WHERE c.id > ? ORDER BY c.id LIMIT ?";
        self.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(sql)?;
            let mut rows = statement.query(params![after, most])?;
            let mut changes = Vec::new();
            while let Some(row) = rows.next()? {
                let study: Option<String> = row.get(3)?;
                let (series, sop) = (row.get(4)?, row.get(5)?);
                let kind = row.get(2)?;
                changes.push(Change {
                    number: row.get(0)?,
                    at: row.get(1)?,
                    kind: ChangeKind::of(kind).ok_or_else(|| Error::Damaged(format!("a change of kind {kind}")))?,
                    of: study.map(|study| Changed { study, series, sop }),
                });
            }
            Ok(changes)
        })
    }

    fn last_change(&self) -> Result<i64, Error> {
        self.read(|snapshot| Ok(snapshot.prepare_cached(LAST)?.query_row([], |row| row.get(0))?))
    }
}

/// Tells of an instance.
pub(super) fn tell(index: &Connection, kind: ChangeKind, instance: i64) -> Result<(), Error> {
    let sql =
        format!("INSERT INTO changes (id, at, kind, instance) VALUES (max(({LAST}) + 1, ?1 * {NUMBERS}), ?1, ?2, ?3)");
    index.prepare_cached(&sql)?.execute(params![now(), kind.number(), instance])?;
    Ok(())
}

/// What is forgotten for good is in no change either: that it went is told no more.
pub(super) fn forget(index: &Connection, removal: i64) -> Result<(), Error> {
    let sql = "UPDATE changes SET study = NULL, series = NULL, sop = NULL WHERE id IN (SELECT c.id FROM changes c JOIN removals r \
         ON c.study = r.study AND c.series IS r.series AND c.sop IS r.sop WHERE r.id = ?)";
    index.execute(sql, [removal])?;
    Ok(())
}

/// Tells of what the deletion of this number is of.
pub(super) fn tell_removal(index: &Connection, kind: ChangeKind, removal: i64) -> Result<(), Error> {
    let sql = format!(
        "INSERT INTO changes (id, at, kind, study, series, sop) \
         SELECT max(({LAST}) + 1, ?1 * {NUMBERS}), ?1, ?2, study, series, sop FROM removals WHERE id = ?3"
    );
    index.prepare_cached(&sql)?.execute(params![now(), kind.number(), removal])?;
    Ok(())
}
