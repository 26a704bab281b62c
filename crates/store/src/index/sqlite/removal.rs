//! Deletion: rows move to tables of the same columns (`removed_…`), and back, or are forgotten there.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::changes::tell_removal;
use super::engine::Sqlite;
use super::moved::{come_back, go};
use super::retell::retell;
use super::values::now;
use crate::Error;
use crate::index::changes::ChangeKind;
use crate::index::instances::Scope;
use crate::index::jobs::LEASE;
use crate::index::register::NewInstance;
use crate::index::removal::{Hold, Purge, Removal, Removed, Removing, Undone};
use crate::index::search::QueryLevel;
use crate::objects::Key;

/// How long the names of deleted objects are kept: longer than anything that was put waits for its row.
const REMEMBERED: i64 = 24 * 3600;

const COLUMNS: &str = "id, study, series, sop, made, due, purging IS NOT NULL, instances, bytes";

/// An object of the deletion `?1` is its alone: no row lists it, nobody deletes it already, and no other deletion may bring it back.
const ALONE: &str = "NOT EXISTS (SELECT 1 FROM objects l WHERE l.key = o.key) \
    AND NOT EXISTS (SELECT 1 FROM unserved u WHERE u.key = o.key) \
    AND NOT EXISTS (SELECT 1 FROM purged p WHERE p.key = o.key AND p.number IS NULL) \
    AND NOT EXISTS (SELECT 1 FROM removed_objects b JOIN removals r ON r.id = b.removal \
    WHERE b.key = o.key AND b.removal <> ?1 AND r.purging IS NULL)";

impl Removing for Sqlite {
    fn remove(&self, scope: Scope<'_>, due: i64) -> Result<Removed, Error> {
        let (study, series, sop) = match scope {
            Scope::Study(study) => (study, None, None),
            Scope::Series(study, series) => (study, Some(series), None),
            Scope::Instance(key) => (&*key.study, Some(&*key.series), Some(&*key.sop)),
        };
        self.alone(|index| {
            if let Some(hold) = held(index, study)? {
                return Ok(Removed::Held(hold));
            }
            let id = next(index, "removals")?;
            let sql = "INSERT INTO removals (id, study, series, sop, made, due, instances, bytes) VALUES (?, ?, ?, ?, ?, ?, 0, 0)";
            index.execute(sql, params![id, study, series, sop, now(), due])?;
            if go(index, id, (study, series, sop))? == 0 {
                index.execute("DELETE FROM removals WHERE id = ?", [id])?;
                return Ok(Removed::Unknown);
            }
            weigh(index, id)?;
            tell_removal(index, ChangeKind::Deleted, id)?;
            Ok(Removed::Done(index.query_row(&format!("SELECT {COLUMNS} FROM removals WHERE id = ?"), [id], removal)?))
        })
    }

    fn retell(&self, first: NewInstance, level: QueryLevel) -> Result<(), Error> {
        self.write(move |index| retell(index, &first, level))
    }

    fn undo(&self, removal: i64) -> Result<Option<Undone>, Error> {
        self.alone(|index| {
            let undoable = "SELECT 1 FROM removals WHERE id = ? AND purging IS NULL";
            if !index.prepare(undoable)?.exists([removal])? {
                return Ok(None);
            }
            let instances = come_back(index, removal)?;
            // They may have been decided under another policy than all that stayed.
            index.execute("DELETE FROM settled", [])?;
            let left = "SELECT count(*) FROM removed_instances WHERE removal = ?";
            let taken = index.query_row(left, [removal], |row| row.get(0))?;
            if instances > 0 {
                tell_removal(index, ChangeKind::Restored, removal)?;
            }
            if taken == 0 {
                forget(index, removal)?
            } else {
                weigh(index, removal)?
            }
            Ok(Some(Undone { instances, taken }))
        })
    }

    fn removals(&self) -> Result<Vec<Removal>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM removals WHERE study <> '' ORDER BY id");
        self.read(|snapshot| {
            let mut all = snapshot.prepare_cached(&sql)?;
            Ok(all.query_map([], removal)?.collect::<Result<_, _>>()?)
        })
    }

    fn begin_purge(&self, run: &str, at: i64) -> Result<Option<Purge>, Error> {
        self.alone(|index| {
            let sql = format!(
                "SELECT {COLUMNS} FROM removals WHERE (purging IS NOT NULL AND (run IS NULL OR until < ?1)) \
                 OR (purging IS NULL AND due <= ?2 AND study NOT IN (SELECT study FROM holds)) \
                 ORDER BY purging IS NULL, due, id LIMIT 1"
            );
            let Some(removal) = index.query_row(&sql, [now(), at], removal).optional()? else { return Ok(None) };
            if !removal.purging {
                let leave = format!(
                    "INSERT OR REPLACE INTO purged (key, removal, bytes) SELECT key, removal, max(bytes) FROM removed_objects o \
                     WHERE removal = ?1 AND {ALONE} GROUP BY key"
                );
                index.execute(&leave, [removal.id])?;
            }
            let lease = "UPDATE removals SET purging = coalesce(purging, ?1), run = ?2, until = ?3 WHERE id = ?4";
            index.execute(lease, params![now(), run, now() + LEASE, removal.id])?;
            purge(index, Removal { purging: true, ..removal }).map(Some)
        })
    }

    fn renew_purge(&self, run: &str, removal: i64) -> Result<bool, Error> {
        let run = run.to_owned();
        self.write(move |index| {
            let sql = "UPDATE removals SET until = ? WHERE id = ? AND run = ?";
            Ok(index.prepare_cached(sql)?.execute(params![now() + LEASE, removal, run])? == 1)
        })
    }

    fn end_purge(&self, run: &str, removal: i64) -> Result<bool, Error> {
        self.alone(|index| {
            let mine = "SELECT 1 FROM removals WHERE id = ? AND run = ? AND purging IS NOT NULL";
            if !index.prepare(mine)?.exists(params![removal, run])? {
                return Ok(false);
            }
            let number = next(index, "purges")?;
            let gone = "UPDATE purged SET number = ?, gone = ? WHERE removal = ? AND number IS NULL";
            index.execute(gone, params![number, now(), removal])?;
            index.execute("DELETE FROM purged WHERE gone < ?", [now() - REMEMBERED])?;
            // What was being prepared while its instances went was kept after it.
            let stale = "DELETE FROM prepared WHERE series IN (SELECT l.id FROM removed_series e \
                 JOIN removed_studies s ON s.removal = e.removal AND s.id = e.study JOIN studies ls ON ls.uid = s.uid \
                 JOIN series l ON l.study = ls.id AND l.uid = e.uid WHERE e.removal = ?)";
            index.execute(stale, [removal])?;
            super::changes::forget(index, removal)?;
            forget(index, removal)?;
            Ok(true)
        })
    }

    fn abandon(&self, run: &str, object: &Key, bytes: u64) -> Result<Option<Purge>, Error> {
        self.alone(|index| {
            let alone = format!("SELECT 1 FROM (SELECT ?2 AS key) o WHERE {ALONE}");
            if !index.prepare(&alone)?.exists(params![0, object.as_bytes()])? {
                return Ok(None);
            }
            let id = next(index, "removals")?;
            let sql = "INSERT INTO removals (id, study, made, due, purging, run, until, instances, bytes) \
                 VALUES (?1, '', ?2, ?2, ?2, ?3, ?4, 0, ?5)";
            index.execute(sql, params![id, now(), run, now() + LEASE, bytes])?;
            let leave = "INSERT OR REPLACE INTO purged (key, removal, bytes) VALUES (?, ?, ?)";
            index.execute(leave, params![object.as_bytes(), id, bytes])?;
            let sql = format!("SELECT {COLUMNS} FROM removals WHERE id = ?");
            purge(index, index.query_row(&sql, [id], removal)?).map(Some)
        })
    }

    fn purges(&self) -> Result<i64, Error> {
        self.read(|snapshot| purges(snapshot))
    }

    fn purged_since(&self, since: i64) -> Result<(i64, Vec<Key>), Error> {
        self.read(|snapshot| {
            let mut keys = snapshot.prepare_cached("SELECT key FROM purged WHERE number > ? ORDER BY number")?;
            let keys = keys.query_map([since], |row| row.get(0).map(Key::new))?;
            Ok((purges(snapshot)?, keys.collect::<Result<_, _>>()?))
        })
    }

    fn hold(&self, study: &str, reason: &str) -> Result<(), Error> {
        let (study, reason) = (study.to_owned(), reason.to_owned());
        self.write(move |index| {
            let sql = "INSERT INTO holds (study, made, reason) VALUES (?, ?, ?) \
                 ON CONFLICT (study) DO UPDATE SET reason = excluded.reason";
            index.execute(sql, params![study, now(), reason])?;
            Ok(())
        })
    }

    fn release_hold(&self, study: &str) -> Result<bool, Error> {
        let study = study.to_owned();
        self.write(move |index| Ok(index.execute("DELETE FROM holds WHERE study = ?", [study])? == 1))
    }

    fn holds(&self) -> Result<Vec<Hold>, Error> {
        self.read(|snapshot| {
            let mut all = snapshot.prepare_cached("SELECT study, made, reason FROM holds ORDER BY study")?;
            Ok(all.query_map([], hold)?.collect::<Result<_, _>>()?)
        })
    }

    fn scour(&self, most: u64) -> Result<bool, Error> {
        let connection = self.another()?;
        let of = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, u64>(0));
        let is_small = of("PRAGMA page_count")?.saturating_mul(of("PRAGMA page_size")?) <= most;
        if is_small {
            connection.execute_batch("VACUUM")?;
        }
        // What readers still have open stays in the log until the next time.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(is_small)
    }
}

/// Is an object being deleted, or was it since so many purges had ended?
pub(super) fn is_leaving(index: &Connection, object: &Key, since: i64) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM purged WHERE key = ? AND (number IS NULL OR number > ?)";
    Ok(index.prepare_cached(sql)?.exists(params![object.as_bytes(), since])?)
}

/// Refuses to list an object that is being deleted, or was since so many purges had ended.
pub(super) fn expect_there(index: &Connection, object: &Key, since: i64) -> Result<(), Error> {
    if is_leaving(index, object, since)? { Err(Error::Leaving) } else { Ok(()) }
}

fn purges(index: &Connection) -> Result<i64, Error> {
    let sql = "SELECT value FROM numbers WHERE name = 'purges'";
    Ok(index.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

fn next(index: &Connection, of: &str) -> Result<i64, Error> {
    let sql = "UPDATE numbers SET value = value + 1 WHERE name = ? RETURNING value";
    Ok(index.prepare_cached(sql)?.query_row([of], |row| row.get(0))?)
}

/// Counts what a deletion holds.
fn weigh(index: &Connection, removal: i64) -> Result<(), Error> {
    let sql = "UPDATE removals SET instances = (SELECT count(*) FROM removed_instances WHERE removal = ?1), \
         bytes = (SELECT coalesce(sum(bytes), 0) FROM removed_objects WHERE removal = ?1) WHERE id = ?1";
    index.execute(sql, [removal])?;
    Ok(())
}

fn held(index: &Connection, study: &str) -> Result<Option<Hold>, Error> {
    let sql = "SELECT study, made, reason FROM holds WHERE study = ?";
    Ok(index.prepare_cached(sql)?.query_row([study], hold).optional()?)
}

fn purge(index: &Connection, removal: Removal) -> Result<Purge, Error> {
    let mut objects = index.prepare("SELECT key, bytes FROM purged WHERE removal = ? AND number IS NULL")?;
    let objects = objects.query_map([removal.id], |row| Ok((Key::new(row.get(0)?), row.get(1)?)))?;
    let objects = objects.collect::<Result<_, _>>()?;
    Ok(Purge { removal, objects })
}

fn forget(index: &Connection, removal: i64) -> Result<(), Error> {
    let of = ["ways_back", "evidence", "jobs", "objects", "instances", "series", "names", "studies"];
    for table in of {
        index.execute(&format!("DELETE FROM removed_{table} WHERE removal = ?"), [removal])?;
    }
    index.execute("DELETE FROM removals WHERE id = ?", [removal])?;
    Ok(())
}

fn removal(row: &Row<'_>) -> rusqlite::Result<Removal> {
    Ok(Removal {
        id: row.get(0)?,
        study: row.get(1)?,
        series: row.get(2)?,
        sop: row.get(3)?,
        made: row.get(4)?,
        due: row.get(5)?,
        purging: row.get(6)?,
        instances: row.get(7)?,
        bytes: row.get(8)?,
    })
}

fn hold(row: &Row<'_>) -> rusqlite::Result<Hold> {
    Ok(Hold { study: row.get(0)?, made: row.get(1)?, reason: row.get(2)? })
}
