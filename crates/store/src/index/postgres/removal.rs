//! Deletion: rows move to tables of the same columns (`removed_…`), and back, or are forgotten there.

use tokio_postgres::Row;

use super::checksum::tables;
use super::engine::Postgres;
use super::moved::{come_back, go};
use super::retell::retell;
use super::session::Session;
use super::task::Group;
use super::values::{NOW, Text, count, get, number, object};
use crate::Error;
use crate::index::changes::{ChangeKind, Changed};
use crate::index::instances::Scope;
use crate::index::jobs::LEASE;
use crate::index::register::NewInstance;
use crate::index::removal::{Hold, Purge, Removal, Removed, Removing, Undone};
use crate::index::search::QueryLevel;
use crate::objects::Key;

/// How long the names of deleted objects are kept: longer than anything that was put waits for its row.
const REMEMBERED: i64 = 24 * 3600;

const COLUMNS: &str = "id, study, series, sop, made, due, purging IS NOT NULL, instances, bytes";

/// The object `n.key` is being deleted, or was since `n.since` purges had ended.
pub(super) const LEAVING: &str =
    "SELECT 1 FROM purged p WHERE p.key = n.key AND (p.number IS NULL OR p.number > n.since)";

/// An object `o.key` of the deletion `$1` is its alone: no row lists it, nobody deletes it already, and no other deletion may bring it
/// back.
const ALONE: &str = "NOT EXISTS (SELECT 1 FROM objects l WHERE l.key = o.key) \
    AND NOT EXISTS (SELECT 1 FROM unserved u WHERE u.key = o.key) \
    AND NOT EXISTS (SELECT 1 FROM purged p WHERE p.key = o.key AND p.number IS NULL) \
    AND NOT EXISTS (SELECT 1 FROM removed_objects b JOIN removals r ON r.id = b.removal \
    WHERE b.key = o.key AND b.removal <> $1 AND r.purging IS NULL)";

/// What a purge that begins does with a name that an earlier one left.
const ANEW: &str =
    "ON CONFLICT (key) DO UPDATE SET removal = excluded.removal, bytes = excluded.bytes, number = NULL, gone = NULL";

impl Removing for Postgres {
    fn remove(&self, scope: Scope<'_>, due: i64) -> Result<Removed, Error> {
        let (study, series, sop) = match scope {
            Scope::Study(study) => (study.to_owned(), None, None),
            Scope::Series(study, series) => (study.to_owned(), Some(series.to_owned()), None),
            Scope::Instance(key) => (key.study.clone(), Some(key.series.clone()), Some(key.sop.clone())),
        };
        self.alone(move |group| {
            if let Some(hold) = held(group, &study)? {
                return Ok(Removed::Held(hold));
            }
            let id = next(group, "removals")?;
            let sql = format!(
                "INSERT INTO removals (id, study, series, sop, made, due, instances, bytes) VALUES ($1, $2, $3, $4, {NOW}, $5, 0, 0)"
            );
            group.execute(&sql, &[&id, &study, &series, &sop, &due])?;
            if go(group, id, (&study, series.as_deref(), sop.as_deref()))? == 0 {
                group.execute("DELETE FROM removals WHERE id = $1", &[&id])?;
                return Ok(Removed::Unknown);
            }
            weigh(group, id)?;
            group.later().tell_of(ChangeKind::Deleted, &Changed { study: study.clone(), series: series.clone(), sop: sop.clone() });
            removal(&group.one(&format!("SELECT {COLUMNS} FROM removals WHERE id = $1"), &[&id])?).map(Removed::Done)
        })
    }

    fn retell(&self, first: NewInstance, level: QueryLevel) -> Result<(), Error> {
        self.alone(move |group| retell(group, &first, level))
    }

    fn undo(&self, removal: i64) -> Result<Option<Undone>, Error> {
        self.alone(move |group| {
            let undoable = "SELECT study, series, sop FROM removals WHERE id = $1 AND purging IS NULL";
            let Some(row) = group.row(undoable, &[&removal])? else { return Ok(None) };
            let instances = come_back(group, removal)?;
            if instances > 0 {
                let of = Changed { study: get(&row, 0)?, series: get(&row, 1)?, sop: get(&row, 2)? };
                group.later().tell_of(ChangeKind::Restored, &of);
            }
            // They may have been decided under another policy than all that stayed.
            group.execute("DELETE FROM settled", &[])?;
            let left = "SELECT count(*) FROM removed_instances WHERE removal = $1";
            let taken = count(&group.one(left, &[&removal])?, 0)?;
            if taken == 0 {
                forget(group, removal)?
            } else {
                weigh(group, removal)?
            }
            Ok(Some(Undone { instances, taken }))
        })
    }

    fn removals(&self) -> Result<Vec<Removal>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM removals WHERE study <> '' ORDER BY id");
        let rows = self.ask(|session| session.rows(&sql, &[]))?;
        rows.iter().map(removal).collect()
    }

    fn begin_purge(&self, run: &str, at: i64) -> Result<Option<Purge>, Error> {
        let run = run.to_owned();
        self.alone(move |group| {
            let sql = format!(
                "SELECT {COLUMNS} FROM removals WHERE (purging IS NOT NULL AND (run IS NULL OR until < {NOW})) \
                 OR (purging IS NULL AND due <= $1 AND study NOT IN (SELECT study FROM holds)) \
                 ORDER BY purging IS NULL, due, id LIMIT 1"
            );
            let Some(row) = group.row(&sql, &[&at])? else { return Ok(None) };
            let removal = removal(&row)?;
            if !removal.purging {
                let leave = format!(
                    "INSERT INTO purged (key, removal, bytes) SELECT key, $1::bigint, max(bytes) FROM removed_objects o \
                     WHERE removal = $1 AND {ALONE} GROUP BY key {ANEW}"
                );
                group.execute(&leave, &[&removal.id])?;
            }
            let lease = format!(
                "UPDATE removals SET purging = coalesce(purging, {NOW}), run = $1, until = {NOW} + {LEASE} WHERE id = $2"
            );
            group.execute(&lease, &[&Text(&run), &removal.id])?;
            purge(group, Removal { purging: true, ..removal }).map(Some)
        })
    }

    fn renew_purge(&self, run: &str, removal: i64) -> Result<bool, Error> {
        let run = run.to_owned();
        let sql = format!("UPDATE removals SET until = {NOW} + {LEASE} WHERE id = $1 AND run = $2");
        self.write(move |group| Ok(group.execute(&sql, &[&removal, &Text(&run)])? == 1))
    }

    fn end_purge(&self, run: &str, removal: i64) -> Result<bool, Error> {
        let run = run.to_owned();
        self.alone(move |group| {
            let mine = "SELECT 1 FROM removals WHERE id = $1 AND run = $2 AND purging IS NOT NULL";
            if !group.any(mine, &[&removal, &Text(&run)])? {
                return Ok(false);
            }
            let number = next(group, "purges")?;
            let gone = format!("UPDATE purged SET number = $1, gone = {NOW} WHERE removal = $2 AND number IS NULL");
            group.execute(&gone, &[&number, &removal])?;
            group.execute(&format!("DELETE FROM purged WHERE gone < {NOW} - {REMEMBERED}"), &[])?;
            // What was being prepared while its instances went was kept after it.
            let stale = "DELETE FROM prepared WHERE series IN (SELECT l.id FROM removed_series e \
                 JOIN removed_studies s ON s.removal = e.removal AND s.id = e.study JOIN studies ls ON ls.uid = s.uid \
                 JOIN series l ON l.study = ls.id AND l.uid = e.uid WHERE e.removal = $1)";
            group.execute(stale, &[&removal])?;
            super::changes::forget(group, removal)?;
            forget(group, removal)?;
            Ok(true)
        })
    }

    fn abandon(&self, run: &str, object: &Key, bytes: u64) -> Result<Option<Purge>, Error> {
        let (run, object) = (run.to_owned(), *object);
        self.alone(move |group| {
            let (key, bytes) = (object.as_bytes().as_slice(), number(bytes));
            let alone = format!("SELECT 1 FROM (SELECT $2::bytea AS key) o WHERE $1::bigint = 0 AND {ALONE}");
            if !group.any(&alone, &[&0_i64, &key])? {
                return Ok(None);
            }
            let id = next(group, "removals")?;
            let sql = format!(
                "INSERT INTO removals (id, study, made, due, purging, run, until, instances, bytes) \
                 VALUES ($1, '', {NOW}, {NOW}, {NOW}, $2, {NOW} + {LEASE}, 0, $3)"
            );
            group.execute(&sql, &[&id, &Text(&run), &bytes])?;
            let leave = format!("INSERT INTO purged (key, removal, bytes) VALUES ($1, $2, $3) {ANEW}");
            group.execute(&leave, &[&key, &id, &bytes])?;
            let sql = format!("SELECT {COLUMNS} FROM removals WHERE id = $1");
            purge(group, removal(&group.one(&sql, &[&id])?)?).map(Some)
        })
    }

    fn purges(&self) -> Result<i64, Error> {
        self.ask(purges)
    }

    fn purged_since(&self, since: i64) -> Result<(i64, Vec<Key>), Error> {
        let sql = "SELECT key FROM purged WHERE number > $1 ORDER BY number, key";
        self.read(|session| {
            let keys = session.rows(sql, &[&since])?;
            Ok((purges(session)?, keys.iter().map(|row| object(row, 0)).collect::<Result<_, _>>()?))
        })
    }

    fn hold(&self, study: &str, reason: &str) -> Result<(), Error> {
        let (study, reason) = (study.to_owned(), reason.to_owned());
        let sql = format!(
            "INSERT INTO holds (study, made, reason) VALUES ($1, {NOW}, $2) \
             ON CONFLICT (study) DO UPDATE SET reason = excluded.reason"
        );
        // Alone: nobody who deletes has looked for holds before it, and deletes after it.
        self.alone(move |group| group.execute(&sql, &[&study, &Text(&reason)]).map(drop))
    }

    fn release_hold(&self, study: &str) -> Result<bool, Error> {
        let study = study.to_owned();
        self.write(move |group| Ok(group.execute("DELETE FROM holds WHERE study = $1", &[&study])? == 1))
    }

    fn holds(&self) -> Result<Vec<Hold>, Error> {
        let rows = self.ask(|session| session.rows("SELECT study, made, reason FROM holds ORDER BY study", &[]))?;
        rows.iter().map(hold).collect()
    }

    fn scour(&self, most: u64) -> Result<bool, Error> {
        self.ask(|session| {
            let size = count(&session.one("SELECT pg_database_size(current_database())", &[])?, 0)?;
            let how = if size <= most { "VACUUM (FULL)" } else { "VACUUM" };
            for table in tables(session)? {
                session.batch(&format!("{how} firstlight.{}", table.name))?;
            }
            Ok(size <= most)
        })
    }
}

/// Is an object being deleted, or was it since so many purges had ended?
pub(super) fn is_leaving(session: &Session<'_>, object: &Key, since: i64) -> Result<bool, Error> {
    let sql = format!("SELECT 1 FROM (SELECT $1::bytea AS key, $2::bigint AS since) n WHERE EXISTS ({LEAVING})");
    session.any(&sql, &[&object.as_bytes().as_slice(), &since])
}

/// Refuses to list an object that is being deleted, or was since so many purges had ended.
pub(super) fn expect_there(session: &Session<'_>, object: &Key, since: i64) -> Result<(), Error> {
    if is_leaving(session, object, since)? { Err(Error::Leaving) } else { Ok(()) }
}

fn purges(session: &Session<'_>) -> Result<i64, Error> {
    get(&session.one("SELECT value FROM numbers WHERE name = 'purges'", &[])?, 0)
}

fn next(group: &Group<'_>, of: &str) -> Result<i64, Error> {
    get(&group.one("UPDATE numbers SET value = value + 1 WHERE name = $1 RETURNING value", &[&of])?, 0)
}

/// Counts what a deletion holds.
fn weigh(group: &Group<'_>, removal: i64) -> Result<(), Error> {
    let sql = "UPDATE removals SET instances = (SELECT count(*) FROM removed_instances WHERE removal = $1), \
         bytes = (SELECT coalesce(sum(bytes), 0) FROM removed_objects WHERE removal = $1) WHERE id = $1";
    group.execute(sql, &[&removal]).map(drop)
}

fn held(group: &Group<'_>, study: &str) -> Result<Option<Hold>, Error> {
    let row = group.row("SELECT study, made, reason FROM holds WHERE study = $1", &[&study])?;
    row.map(|row| hold(&row)).transpose()
}

fn purge(group: &Group<'_>, removal: Removal) -> Result<Purge, Error> {
    let sql = "SELECT key, bytes FROM purged WHERE removal = $1 AND number IS NULL ORDER BY key";
    let rows = group.rows(sql, &[&removal.id])?;
    let objects = rows.iter().map(|row| Ok((object(row, 0)?, count(row, 1)?))).collect::<Result<_, Error>>()?;
    Ok(Purge { removal, objects })
}

fn forget(group: &Group<'_>, removal: i64) -> Result<(), Error> {
    let of = ["ways_back", "evidence", "jobs", "objects", "instances", "series", "names", "studies"];
    for table in of {
        group.execute(&format!("DELETE FROM removed_{table} WHERE removal = $1"), &[&removal])?;
    }
    group.execute("DELETE FROM removals WHERE id = $1", &[&removal]).map(drop)
}

fn removal(row: &Row) -> Result<Removal, Error> {
    Ok(Removal {
        id: get(row, 0)?,
        study: get(row, 1)?,
        series: get(row, 2)?,
        sop: get(row, 3)?,
        made: get(row, 4)?,
        due: get(row, 5)?,
        purging: get(row, 6)?,
        instances: count(row, 7)?,
        bytes: count(row, 8)?,
    })
}

fn hold(row: &Row) -> Result<Hold, Error> {
    Ok(Hold { study: get(row, 0)?, made: get(row, 1)?, reason: get(row, 2)? })
}
