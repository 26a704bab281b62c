//! What is stored, looked up.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::engine::Sqlite;
use super::register::{BESIDE, SETTLED};
use crate::Error;
use crate::index::instances::{
    Beside, Current, Holding, Holdings, InstanceRow, Instances, IsPicture, ObjectVersion, Picture, Scope, Stats,
};
use crate::index::key::InstanceKey;
use crate::index::register::Unservable;
use crate::objects::Key;

const COLUMNS: &str = "s.uid, e.uid, i.uid, i.class, i.number, e.modality, o.key, o.bytes, o.syntax, o.facts, o.frames, \
    o.stored";
const FROM: &str = "FROM studies s JOIN series e ON e.study = s.id JOIN instances i ON i.series = e.id \
    JOIN objects o ON o.id = i.object";

impl Instances for Sqlite {
    fn instances(&self, scope: Scope<'_>, have: &mut dyn FnMut(ObjectVersion) -> bool) -> Result<Vec<Current>, Error> {
        self.read(|snapshot| {
            let current = |version| {
                let row = if have(version) { None } else { Some(Box::new(instance_row(snapshot, version.object)?)) };
                Ok(Current { version, row })
            };
            versions(snapshot, scope)?.into_iter().map(current).collect()
        })
    }

    fn received(&self, key: &InstanceKey) -> Result<Option<(Key, u64)>, Error> {
        let sql = "SELECT o.key, o.bytes FROM studies s JOIN series e ON e.study = s.id \
             JOIN instances i ON i.series = e.id JOIN objects o ON o.id = i.received \
             WHERE s.uid = ? AND e.uid = ? AND i.uid = ?";
        self.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(sql)?;
            let row = |row: &Row<'_>| Ok((Key::new(row.get(0)?), row.get(1)?));
            Ok(statement.query_row([&key.study, &key.series, &key.sop], row).optional()?)
        })
    }

    fn named(&self, uid: &str) -> Result<Vec<InstanceKey>, Error> {
        let sql = "SELECT s.uid, e.uid, i.uid FROM instances i JOIN series e ON e.id = i.series \
             JOIN studies s ON s.id = e.study WHERE i.id IN (SELECT id FROM instances WHERE uid = ?1 \
             UNION SELECT i.id FROM instances i JOIN series e ON e.id = i.series WHERE e.uid = ?1 \
             UNION SELECT i.id FROM instances i JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study \
             WHERE s.uid = ?1) ORDER BY i.id";
        self.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(sql)?;
            let keys = statement.query_map([uid], |row| key(row, 0))?;
            Ok(keys.collect::<Result<_, _>>()?)
        })
    }

    fn shown(&self, key: &InstanceKey) -> Result<Option<[String; 6]>, Error> {
        let sql = "SELECT s.common, s.more, e.common, e.more, i.common, i.more FROM studies s \
             JOIN series e ON e.study = s.id JOIN instances i ON i.series = e.id \
             WHERE s.uid = ? AND e.uid = ? AND i.uid = ?";
        self.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(sql)?;
            let row = |r: &Row<'_>| Ok([r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?]);
            Ok(statement.query_row([&key.study, &key.series, &key.sop], row).optional()?)
        })
    }

    fn pictures(&self, study: &str, is_picture: IsPicture<'_>) -> Result<Option<Vec<Picture>>, Error> {
        self.read(|snapshot| {
            let find = "SELECT id FROM studies WHERE uid = ?";
            let found: Option<i64> = snapshot.prepare_cached(find)?.query_row([study], |row| row.get(0)).optional()?;
            let Some(study) = found else { return Ok(None) };
            let mut series =
                snapshot.prepare_cached("SELECT id, uid, modality FROM series WHERE study = ? ORDER BY number, id")?;
            let (mut pictures, mut all) = (Vec::new(), series.query([study])?);
            while let Some(row) = all.next()? {
                let (id, series, modality): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let may = (is_picture.modality)(&modality);
                let picture = if may { first_picture(snapshot, id, is_picture.instance)? } else { None };
                pictures.push(Picture { series, picture });
            }
            Ok(Some(pictures))
        })
    }

    fn version(&self, study: &str, series: Option<&str>) -> Result<Option<u64>, Error> {
        let of_study = "SELECT version FROM studies WHERE uid = ?";
        let of_series = "SELECT e.version FROM studies s JOIN series e ON e.study = s.id WHERE s.uid = ? AND e.uid = ?";
        self.read(|snapshot| {
            let found = match series {
                None => snapshot.prepare_cached(of_study)?.query_row([study], |row| row.get(0)),
                Some(series) => snapshot.prepare_cached(of_series)?.query_row([study, series], |row| row.get(0)),
            };
            Ok(found.optional()?)
        })
    }

    fn stats(&self) -> Result<Stats, Error> {
        self.read(|snapshot| {
            let mut statement = snapshot.prepare_cached("SELECT name, value FROM totals")?;
            let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u64>(1)?)))?;
            let totals = rows.collect::<Result<HashMap<_, _>, _>>()?;
            let of = |names: &[&str]| names.iter().filter_map(|name| totals.get(*name)).sum();
            Ok(Stats {
                studies: of(&["studies"]),
                series: of(&["series"]),
                instances: of(&["instances"]),
                converted: of(&["jobs2"]),
                kept: of(&["jobs3"]),
                pending: of(&["jobs0", "jobs1"]),
                failed: of(&["jobs4"]),
                conflicts: of(&["objects2"]),
                received_bytes: of(&["bytes0", "bytes2"]),
                converted_bytes: of(&["bytes1"]),
                ways_back: of(&["ways_back"]),
                residue_bytes: of(&["residue_bytes"]),
                released: of(&["released"]),
                released_bytes: of(&["released_bytes"]),
            })
        })
    }

    fn conflicts(&self) -> Result<Vec<Beside>, Error> {
        self.read(|snapshot| beside(snapshot, BESIDE))
    }

    fn settled(&self) -> Result<Vec<Beside>, Error> {
        self.read(|snapshot| beside(snapshot, SETTLED))
    }

    fn holding(&self, object: &Key) -> Result<Option<Holding>, Error> {
        let served = "SELECT j.state, j.reason, w.released IS NOT NULL, o.role FROM objects o \
             JOIN jobs j ON j.instance = o.instance LEFT JOIN ways_back w ON w.original = o.id \
             WHERE o.key = ? AND o.role <> 1";
        let unserved = "SELECT kind, reason FROM unserved WHERE key = ? LIMIT 1";
        self.read(|snapshot| {
            let found = snapshot.prepare_cached(served)?.query_row([object.as_bytes()], holding).optional()?;
            if found.is_some() {
                return Ok(found);
            }
            let row = |row: &Row<'_>| Ok(Holding::unserved(Unservable::of(row.get(0)?), row.get(1)?));
            Ok(snapshot.prepare_cached(unserved)?.query_row([object.as_bytes()], row).optional()?)
        })
    }

    fn holdings(&self) -> Result<Holdings, Error> {
        self.read(|snapshot| {
            let count = |sql: &str| snapshot.query_row(sql, [], |row| row.get::<_, u64>(0));
            Ok(Holdings {
                converted: count("SELECT count(*) FROM jobs WHERE state = 2")?,
                released: count("SELECT count(*) FROM ways_back WHERE released IS NOT NULL")?,
                kept: count("SELECT count(*) FROM jobs WHERE state IN (3, 4)")?,
                waiting: count("SELECT count(*) FROM jobs WHERE state IN (0, 1)")?,
            })
        })
    }

    fn handed_out(&self) -> Result<Option<u64>, Error> {
        self.handed_out.count(self.writer.commits().count()).map(Some)
    }

    fn lists(&self, object: &Key) -> Result<bool, Error> {
        let sql = "SELECT EXISTS (SELECT 1 FROM objects WHERE key = ?1) OR EXISTS (SELECT 1 FROM unserved WHERE key = ?1) \
             OR EXISTS (SELECT 1 FROM removed_objects WHERE key = ?1) \
             OR EXISTS (SELECT 1 FROM purged WHERE key = ?1 AND number IS NULL)";
        self.read(|snapshot| Ok(snapshot.prepare_cached(sql)?.query_row([object.as_bytes()], |row| row.get(0))?))
    }
}

/// The states of the objects that are handed out, in order.
fn versions(snapshot: &Transaction<'_>, scope: Scope<'_>) -> Result<Vec<ObjectVersion>, Error> {
    let select = format!("SELECT o.id, length(o.frames) {FROM}");
    let row = |row: &Row<'_>| Ok(ObjectVersion { object: row.get(0)?, frames: row.get(1)? });
    let (study, series) = match scope {
        Scope::Instance(key) => {
            let sql = format!("{select} WHERE s.uid = ? AND e.uid = ? AND i.uid = ?");
            let mut statement = snapshot.prepare_cached(&sql)?;
            let found = statement.query_row([&key.study, &key.series, &key.sop], row).optional()?;
            return Ok(found.into_iter().collect());
        }
        Scope::Series(study, series) => (study, Some(series)),
        Scope::Study(study) => (study, None),
    };
    let sql =
        format!("{select} WHERE s.uid = ?1 AND (?2 IS NULL OR e.uid = ?2) ORDER BY e.number, e.id, i.number, i.id");
    let mut statement = snapshot.prepare_cached(&sql)?;
    let versions = statement.query_map(params![study, series], row)?;
    Ok(versions.collect::<Result<_, _>>()?)
}

fn instance_row(snapshot: &Connection, object: i64) -> Result<InstanceRow, Error> {
    let mut statement = snapshot.prepare_cached(&format!("SELECT {COLUMNS} {FROM} WHERE o.id = ?"))?;
    let row = statement.query_row([object], |row| {
        Ok(InstanceRow {
            key: key(row, 0)?,
            class: row.get(3)?,
            number: row.get(4)?,
            modality: row.get(5)?,
            object: Key::new(row.get(6)?),
            bytes: row.get(7)?,
            syntax: row.get(8)?,
            facts: row.get(9)?,
            frames: row.get(10)?,
            stored: row.get(11)?,
        })
    })?;
    Ok(row)
}

fn first_picture(
    snapshot: &Connection,
    series: i64,
    is_picture: &dyn Fn(&str, &str) -> bool,
) -> Result<Option<String>, Error> {
    let sql = "SELECT i.uid, i.class, o.facts FROM instances i JOIN objects o ON o.id = i.object \
         WHERE i.series = ? ORDER BY i.number, i.id";
    let mut statement = snapshot.prepare_cached(sql)?;
    let mut instances = statement.query([series])?;
    while let Some(row) = instances.next()? {
        let (class, facts): (String, String) = (row.get(1)?, row.get(2)?);
        if is_picture(&class, &facts) {
            return Ok(Some(row.get(0)?));
        }
    }
    Ok(None)
}

/// The objects of a role, in the order they came.
fn beside(index: &Connection, role: i64) -> Result<Vec<Beside>, Error> {
    let sql = "SELECT s.uid, e.uid, i.uid, o.key, o.bytes, o.stored FROM objects o \
         JOIN instances i ON i.id = o.instance JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study \
         WHERE o.role = ? ORDER BY o.id";
    let mut statement = index.prepare_cached(sql)?;
    let beside = statement.query_map([role], |row| {
        let object_id = Key::new(row.get(3)?).to_string();
        Ok(Beside { key: key(row, 0)?, object_id, size: row.get(4)?, stored: row.get(5)? })
    })?;
    Ok(beside.collect::<Result<_, _>>()?)
}

fn holding(row: &Row<'_>) -> rusqlite::Result<Holding> {
    if row.get::<_, i64>(3)? != 0 {
        return Ok(Holding::beside());
    }
    Ok(match row.get::<_, i64>(0)? {
        0 | 1 => Holding::Waiting,
        2 => Holding::Converted { released: row.get(2)? },
        _ => Holding::Kept { reason: row.get(1)? },
    })
}

/// Three UIDs, from a column on.
pub(super) fn key(row: &Row<'_>, at: usize) -> rusqlite::Result<InstanceKey> {
    Ok(InstanceKey { study: row.get(at)?, series: row.get(at + 1)?, sop: row.get(at + 2)? })
}
