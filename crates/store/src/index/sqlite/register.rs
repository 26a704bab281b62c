//! What is stored becomes rows.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rusqlite::{Connection, OptionalExtension, params};

use super::changes::tell;
use super::engine::Sqlite;
use super::removal::expect_there;
use super::values::now;
use crate::Error;
use crate::index::changes::ChangeKind;
use crate::index::register::{Ingested, NewInstance, NewObject, NewUnserved, Register, Unservable, Unserved};
use crate::index::statement::tag_number;
use crate::index::ticket::Ticket;
use crate::objects::Key;

/// As an object came in.
pub(super) const RECEIVED: i64 = 0;
/// Made by conversion.
pub(super) const CONVERTED: i64 = 1;
/// Received under the UIDs of another.
pub(super) const BESIDE: i64 = 2;
/// The same, and somebody has decided about it.
pub(super) const SETTLED: i64 = 3;

impl Register for Sqlite {
    fn register(&self, new: NewInstance) -> Ticket<Ingested> {
        self.submit(move |index| insert(&new, index))
    }

    fn keep_unserved(&self, new: NewUnserved) -> Result<bool, Error> {
        self.write(move |index| {
            expect_there(index, &new.key, new.since)?;
            healed(index, &new.key)?;
            let source = new.source.as_os_str().as_bytes();
            let known = "SELECT count(*) FROM unserved WHERE key = ? AND source = ?";
            let known: i64 =
                index.prepare_cached(known)?.query_row(params![new.key.as_bytes(), source], |row| row.get(0))?;
            let sql = "INSERT INTO unserved (key, bytes, kind, source, reason, stored) VALUES (?, ?, ?, ?, ?, ?) \
                 ON CONFLICT DO UPDATE SET kind = excluded.kind, reason = excluded.reason";
            let row = params![new.key.as_bytes(), new.bytes, new.why.number(), source, new.reason, now()];
            index.prepare_cached(sql)?.execute(row)?;
            Ok(known == 0)
        })
    }

    fn is_faulty(&self, object: &Key) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM faults WHERE kind IN ('object', 'missing', 'samples') AND name = ?";
        self.read(|snapshot| Ok(snapshot.prepare_cached(sql)?.exists([object.to_string()])?))
    }

    fn unserved(&self) -> Result<Vec<Unserved>, Error> {
        let sql = "SELECT key, bytes, kind, reason, source, stored FROM unserved ORDER BY id";
        self.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(sql)?;
            let unserved = statement.query_map([], |row| {
                Ok(Unserved {
                    object_id: Key::new(row.get(0)?).to_string(),
                    bytes: row.get(1)?,
                    why: Unservable::of(row.get(2)?),
                    reason: row.get(3)?,
                    source: OsString::from_vec(row.get(4)?).into(),
                    stored: row.get(5)?,
                })
            })?;
            Ok(unserved.collect::<Result<_, _>>()?)
        })
    }
}

/// The version of what is new: one that nobody has seen of a study or series that had its UIDs and was deleted.
pub(super) const VERSION: &str = "(SELECT value + 1 FROM numbers WHERE name = 'versions')";

/// The modalities of the study `?1`, written into its row.
pub(super) const MODALITIES: &str = "modalities = (SELECT coalesce(group_concat(modality, '\\'), '') \
    FROM (SELECT DISTINCT modality FROM series WHERE study = ?1 AND modality <> '' ORDER BY modality))";

/// The number of a new row, as an expression: above all that there are, and all that there were before they were deleted.
pub(super) fn next_number(table: &str) -> String {
    format!(
        "(SELECT 1 + max(coalesce((SELECT max(id) FROM {table}), 0), (SELECT value FROM numbers WHERE name = '{table}')))"
    )
}

fn insert(new: &NewInstance, index: &Connection) -> Result<Ingested, Error> {
    expect_there(index, &new.object.key, new.object.since)?;
    let study = match study(index, &new.key.study)? {
        Some(study) => study,
        None => insert_study(new, index)?,
    };
    let series = match series(index, study, &new.key.series)? {
        Some(series) => series,
        None => insert_series(new, index, study)?,
    };
    match instance(index, series, &new.key.sop)? {
        Some(instance) => insert_beside(new, index, instance),
        None => {
            insert_instance(new, index, series)?;
            // The bytes became an instance after all: a later version can read them.
            index.prepare_cached("DELETE FROM unserved WHERE key = ?")?.execute([new.object.key.as_bytes()])?;
            touch(index, study, series, 1)?;
            Ok(Ingested::Stored(new.key.clone()))
        }
    }
}

/// The UIDs are taken: by these bytes, or by others.
fn insert_beside(new: &NewInstance, index: &Connection, instance: i64) -> Result<Ingested, Error> {
    let (key, object) = (new.key.clone(), &new.object);
    let mut known = index.prepare_cached("SELECT role FROM objects WHERE key = ? AND instance = ?")?;
    let known: Option<i64> = known.query_row(params![object.key.as_bytes(), instance], |row| row.get(0)).optional()?;
    match known {
        Some(BESIDE | SETTLED) => {
            healed(index, &object.key)?;
            Ok(Ingested::Conflict(key))
        }
        Some(_) => {
            healed(index, &object.key)?;
            convert_anew(index, instance)?;
            came_again(index, &object.key)?;
            Ok(Ingested::Duplicate(key))
        }
        None => {
            insert_object(index, object, instance, BESIDE)?;
            Ok(Ingested::Conflict(key))
        }
    }
}

pub(super) fn study(index: &Connection, uid: &str) -> Result<Option<i64>, Error> {
    let mut find = index.prepare_cached("SELECT id FROM studies WHERE uid = ?")?;
    Ok(find.query_row([uid], |row| row.get(0)).optional()?)
}

fn insert_study(new: &NewInstance, index: &Connection) -> Result<i64, Error> {
    let of = &new.study;
    let sql = format!(
        "INSERT INTO studies (id, version, uid, date, time, accession, patient_id, birth_date, sex, study_id, description, \
         common, more) VALUES ({}, {VERSION}, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        next_number("studies")
    );
    index.prepare_cached(&sql)?.execute(params![
        new.key.study,
        of.date,
        of.time,
        of.accession,
        of.patient_id,
        of.birth_date,
        of.sex,
        of.study_id,
        of.description,
        new.study_shown.common,
        new.study_shown.more
    ])?;
    let study = index.last_insert_rowid();
    insert_names(new, index, study)?;
    Ok(study)
}

pub(super) fn insert_names(new: &NewInstance, index: &Connection, study: i64) -> Result<(), Error> {
    let mut insert =
        index.prepare_cached("INSERT OR IGNORE INTO names (tag, text, place, study) VALUES (?, ?, ?, ?)")?;
    for name in &new.names {
        insert.execute(params![tag_number(name.tag), name.text, name.place, study])?;
    }
    Ok(())
}

pub(super) fn series(index: &Connection, study: i64, uid: &str) -> Result<Option<i64>, Error> {
    let mut find = index.prepare_cached("SELECT id FROM series WHERE study = ? AND uid = ?")?;
    Ok(find.query_row(params![study, uid], |row| row.get(0)).optional()?)
}

fn insert_series(new: &NewInstance, index: &Connection, study: i64) -> Result<i64, Error> {
    let of = &new.series;
    let sql = format!(
        "INSERT INTO series (id, version, study, uid, modality, number, description, body_part, pps_date, pps_time, \
         step_id, procedure_id, common, more) VALUES ({}, {VERSION}, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        next_number("series")
    );
    index.prepare_cached(&sql)?.execute(params![
        study,
        new.key.series,
        new.modality,
        new.series_number,
        of.description,
        of.body_part,
        of.pps_date,
        of.pps_time,
        of.step_id,
        of.procedure_id,
        new.series_shown.common,
        new.series_shown.more
    ])?;
    let series = index.last_insert_rowid();
    index
        .prepare_cached("INSERT OR IGNORE INTO study_modalities (modality, study) VALUES (?, ?)")?
        .execute(params![new.modality, study])?;
    let sql = format!("UPDATE studies SET series = series + 1, {MODALITIES} WHERE id = ?1");
    index.prepare_cached(&sql)?.execute([study])?;
    Ok(series)
}

pub(super) fn instance(index: &Connection, series: i64, uid: &str) -> Result<Option<i64>, Error> {
    let mut find = index.prepare_cached("SELECT id FROM instances WHERE series = ? AND uid = ?")?;
    Ok(find.query_row(params![series, uid], |row| row.get(0)).optional()?)
}

fn insert_instance(new: &NewInstance, index: &Connection, series: i64) -> Result<(), Error> {
    let shown = &new.instance_shown;
    let sql = format!(
        "INSERT INTO instances (id, series, uid, class, number, object, received, common, more) \
         VALUES ({}, ?, ?, ?, ?, 0, 0, ?, ?)",
        next_number("instances")
    );
    let row = params![series, new.key.sop, new.class, new.instance_number, shown.common, shown.more];
    index.prepare_cached(&sql)?.execute(row)?;
    let instance = index.last_insert_rowid();
    let object = insert_object(index, &new.object, instance, RECEIVED)?;
    index
        .prepare_cached("UPDATE instances SET object = ?1, received = ?1 WHERE id = ?2")?
        .execute([object, instance])?;
    index.prepare_cached("INSERT INTO jobs (instance, changed) VALUES (?, ?)")?.execute([instance, now()])?;
    tell(index, ChangeKind::Stored, instance)
}

/// Adds an object in a role; returns its number.
pub(super) fn insert_object(index: &Connection, new: &NewObject, instance: i64, role: i64) -> Result<i64, Error> {
    let sql = format!(
        "INSERT INTO objects (id, key, instance, role, bytes, syntax, stored, facts, frames) \
         VALUES ({}, ?, ?, ?, ?, ?, ?, ?, ?)",
        next_number("objects")
    );
    let row = params![new.key.as_bytes(), instance, role, new.bytes, new.syntax, now(), new.facts, new.frames];
    index.prepare_cached(&sql)?.execute(row)?;
    Ok(index.last_insert_rowid())
}

/// Counts `new` instances, and makes what was prepared of the series and the study stale.
pub(super) fn touch(index: &Connection, study: i64, series: i64, new: i64) -> Result<(), Error> {
    index
        .prepare_cached("UPDATE studies SET instances = instances + ?, version = version + 1 WHERE id = ?")?
        .execute([new, study])?;
    index
        .prepare_cached("UPDATE series SET instances = instances + ?, version = version + 1 WHERE id = ?")?
        .execute([new, series])?;
    Ok(())
}

/// An object was put in its place, whole: what the scrubber found wrong with its bytes, or with what they decode to, is mended.
pub(super) fn healed(index: &Connection, key: &Key) -> Result<(), Error> {
    let heal = "DELETE FROM faults WHERE kind IN ('object', 'missing', 'samples') AND name = ?";
    let mut heal = index.prepare_cached(heal)?;
    heal.execute([key.to_string()])?;
    Ok(())
}

/// What was converted from it is damaged or missing: it is made once more.
fn convert_anew(index: &Connection, instance: i64) -> Result<(), Error> {
    let sql = "UPDATE jobs SET state = 0, run = NULL, changed = ? WHERE instance = ? AND state = 2 AND EXISTS \
         (SELECT 1 FROM instances i JOIN objects o ON o.id = i.object JOIN faults f ON f.name = lower(hex(o.key)) \
         WHERE i.id = jobs.instance AND f.kind IN ('object', 'missing'))";
    index.prepare_cached(sql)?.execute(params![now(), instance])?;
    Ok(())
}

/// Bytes that were released came once more: their file goes again, once its time has passed anew.
fn came_again(index: &Connection, key: &Key) -> Result<(), Error> {
    let sql = "UPDATE ways_back SET removed = NULL, made = ?1 WHERE released IS NOT NULL \
         AND original IN (SELECT id FROM objects WHERE key = ?2)";
    index.prepare_cached(sql)?.execute(params![now(), key.as_bytes()])?;
    Ok(())
}
