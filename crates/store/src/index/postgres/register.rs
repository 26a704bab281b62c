//! What is stored becomes rows.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::engine::Postgres;
use super::removal::{LEAVING, expect_there};
use super::session::Session;
use super::task::Group;
use super::values::{NOW, Text, count, get, matched, number, object, tag};
use crate::Error;
use crate::index::changes::ChangeKind;
use crate::index::register::{Ingested, NewInstance, NewObject, NewUnserved, Register, Unservable, Unserved};
use crate::index::ticket::Ticket;
use crate::objects::Key;

/// Made by conversion.
pub(super) const CONVERTED: i64 = 1;
/// Received under the UIDs of another.
pub(super) const BESIDE: i64 = 2;
/// The same, and somebody has decided about it.
pub(super) const SETTLED: i64 = 3;

impl Register for Postgres {
    fn register(&self, new: NewInstance) -> Ticket<Ingested> {
        self.submit(move |group| insert(&new, group))
    }

    fn keep_unserved(&self, new: NewUnserved) -> Result<bool, Error> {
        let sql = format!(
            "INSERT INTO unserved AS u (key, bytes, kind, source, reason, stored) VALUES ($1, $2, $3, $4, $5, {NOW}) \
             ON CONFLICT (key, source) DO UPDATE SET kind = excluded.kind, reason = excluded.reason RETURNING xmax = 0"
        );
        self.write(move |group| {
            expect_there(group, &new.key, new.since)?;
            healed(group, &new.key)?;
            let (source, bytes) = (new.source.as_os_str().as_bytes(), number(new.bytes));
            let row = group
                .one(&sql, &[&new.key.as_bytes().as_slice(), &bytes, &new.why.number(), &source, &Text(&new.reason)])?;
            let is_new: bool = get(&row, 0)?;
            if is_new {
                count_unserved(group, 1, bytes);
            }
            Ok(is_new)
        })
    }

    fn is_faulty(&self, object: &Key) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM faults WHERE kind IN ('object', 'missing', 'samples') AND name = $1";
        self.ask(|session| session.any(sql, &[&object.to_string()]))
    }

    fn unserved(&self) -> Result<Vec<Unserved>, Error> {
        let sql = "SELECT key, bytes, kind, reason, source, stored FROM unserved ORDER BY id";
        let rows = self.ask(|session| session.rows(sql, &[]))?;
        let unserved = |row| {
            Ok(Unserved {
                object_id: object(row, 0)?.to_string(),
                bytes: count(row, 1)?,
                why: Unservable::of(get(row, 2)?),
                reason: get(row, 3)?,
                source: OsString::from_vec(get(row, 4)?).into(),
                stored: get(row, 5)?,
            })
        };
        rows.iter().map(unserved).collect()
    }
}

fn count_unserved(group: &Group<'_>, more: i64, bytes: i64) {
    group.later().count("unserved", more);
    group.later().count("unserved_bytes", bytes);
}

/// What is known of the UIDs of a new instance.
struct Known {
    study: Option<i64>,
    series: Option<i64>,
    instance: Option<i64>,
    /// The role of these very bytes under them.
    role: Option<i64>,
}

/// The version of what is new: one that nobody has seen of a study or series that had its UIDs and was deleted.
pub(super) const VERSION: &str = "(SELECT value + 1 FROM numbers WHERE name = 'versions')";

fn insert(new: &NewInstance, group: &Group<'_>) -> Result<Ingested, Error> {
    let known = known(new, group)?;
    if let Some(instance) = known.instance {
        return insert_beside(new, group, instance, known.role);
    }
    let study = known.study.map_or_else(|| insert_study(new, group), Ok)?;
    let series = known.series.map_or_else(|| insert_series(new, group, study), Ok)?;
    insert_instance(new, group, series)?;
    group.later().touch(study, series, 1);
    Ok(Ingested::Stored(new.key.clone()))
}

fn known(new: &NewInstance, group: &Group<'_>) -> Result<Known, Error> {
    let sql = format!(
        "SELECT s.id, e.id, i.id, o.role, EXISTS ({LEAVING}) FROM (SELECT $1::bytea AS key, $2::bigint AS since) n \
         LEFT JOIN studies s ON s.uid = $3 LEFT JOIN series e ON e.study = s.id AND e.uid = $4 \
         LEFT JOIN instances i ON i.series = e.id AND i.uid = $5 \
         LEFT JOIN objects o ON o.instance = i.id AND o.key = n.key"
    );
    let (key, object) = (&new.key, &new.object);
    let name = object.key.as_bytes().as_slice();
    let row = group.one(&sql, &[&name, &object.since, &key.study, &key.series, &key.sop])?;
    if get(&row, 4)? {
        return Err(Error::Leaving);
    }
    Ok(Known { study: get(&row, 0)?, series: get(&row, 1)?, instance: get(&row, 2)?, role: get(&row, 3)? })
}

/// The UIDs are taken: by these bytes, or by others.
fn insert_beside(new: &NewInstance, group: &Group<'_>, instance: i64, role: Option<i64>) -> Result<Ingested, Error> {
    let (key, object) = (new.key.clone(), &new.object);
    match role {
        Some(BESIDE | SETTLED) => {
            healed(group, &object.key)?;
            Ok(Ingested::Conflict(key))
        }
        Some(_) => {
            healed(group, &object.key)?;
            convert_anew(group, instance)?;
            came_again(group, &object.key)?;
            Ok(Ingested::Duplicate(key))
        }
        None => {
            insert_object(group, object, instance, BESIDE)?;
            Ok(Ingested::Conflict(key))
        }
    }
}

/// Adds a study, unless another program has just done it; returns its number.
fn insert_study(new: &NewInstance, group: &Group<'_>) -> Result<i64, Error> {
    let (of, shown) = (&new.study, &new.study_shown);
    let sql = format!(
        "INSERT INTO studies (version, uid, date, time, accession, patient_id, birth_date, sex, study_id, description, \
         common, more) VALUES ({VERSION}, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (uid) DO NOTHING RETURNING id"
    );
    let row = group.row(
        &sql,
        &[
            &new.key.study,
            &matched(&of.date),
            &matched(&of.time),
            &matched(&of.accession),
            &matched(&of.patient_id),
            &matched(&of.birth_date),
            &matched(&of.sex),
            &matched(&of.study_id),
            &matched(&of.description),
            &Text(&shown.common),
            &Text(&shown.more),
        ],
    )?;
    let Some(row) = row else {
        return get(&group.one("SELECT id FROM studies WHERE uid = $1", &[&new.key.study])?, 0);
    };
    let study = get(&row, 0)?;
    group.later().count("studies", 1);
    insert_names(new, group, study)?;
    Ok(study)
}

pub(super) fn insert_names(new: &NewInstance, group: &Group<'_>, study: i64) -> Result<(), Error> {
    let sql = "INSERT INTO names (tag, text, place, study) SELECT tag, text, place, $4::bigint \
         FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS n (tag, text, place) ON CONFLICT DO NOTHING";
    let tags: Vec<i64> = new.names.iter().map(|name| tag(name.tag)).collect();
    let texts: Vec<Text<'_>> = new.names.iter().map(|name| matched(&name.text)).collect();
    let places: Vec<i64> = new.names.iter().map(|name| number(name.place as u64)).collect();
    if !tags.is_empty() {
        group.execute(sql, &[&tags, &texts, &places, &study])?;
    }
    Ok(())
}

/// Adds a series, unless another program has just done it; returns its number.
fn insert_series(new: &NewInstance, group: &Group<'_>, study: i64) -> Result<i64, Error> {
    let (of, shown) = (&new.series, &new.series_shown);
    let sql = format!(
        "INSERT INTO series (version, study, uid, modality, number, description, body_part, pps_date, pps_time, \
         step_id, procedure_id, common, more) VALUES ({VERSION}, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
         ON CONFLICT (study, uid) DO NOTHING RETURNING id"
    );
    let row = group.row(
        &sql,
        &[
            &study,
            &new.key.series,
            &matched(&new.modality),
            &new.series_number,
            &matched(&of.description),
            &matched(&of.body_part),
            &matched(&of.pps_date),
            &matched(&of.pps_time),
            &matched(&of.step_id),
            &matched(&of.procedure_id),
            &Text(&shown.common),
            &Text(&shown.more),
        ],
    )?;
    let Some(row) = row else {
        let sql = "SELECT id FROM series WHERE study = $1 AND uid = $2";
        return get(&group.one(sql, &[&study, &new.key.series])?, 0);
    };
    let sql = "INSERT INTO study_modalities (modality, study) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    group.execute(sql, &[&matched(&new.modality), &study])?;
    group.later().count("series", 1);
    group.later().series_added(study);
    get(&row, 0)
}

/// Adds an instance with its object and its job, in one statement. Should its bytes have been kept as not served, they are now: a later
/// version can read them.
fn insert_instance(new: &NewInstance, group: &Group<'_>, series: i64) -> Result<(), Error> {
    let sql = format!(
        "WITH n AS MATERIALIZED (SELECT nextval('instances_id_seq') AS instance, nextval('objects_id_seq') AS object), \
         i AS (INSERT INTO instances (id, series, uid, class, number, object, received, common, more) \
             SELECT instance, $1::bigint, $2::text, $3::text, $4::bigint, object, object, $5::text, $6::text FROM n), \
         o AS (INSERT INTO objects (id, key, instance, role, bytes, syntax, stored, facts, frames) \
             SELECT object, $7::bytea, instance, 0, $8::bigint, $9::text, {NOW}, $10::text, $11::bytea FROM n), \
         j AS (INSERT INTO jobs (instance, changed) SELECT instance, {NOW} FROM n), \
         u AS (DELETE FROM unserved WHERE key = $7 RETURNING bytes) \
         SELECT count(*), coalesce(sum(bytes), 0)::bigint, (SELECT instance FROM n) FROM u"
    );
    let (shown, of, bytes) = (&new.instance_shown, &new.object, number(new.object.bytes));
    let row = group.one(
        &sql,
        &[
            &series,
            &new.key.sop,
            &Text(&new.class),
            &new.instance_number,
            &Text(&shown.common),
            &Text(&shown.more),
            &of.key.as_bytes().as_slice(),
            &bytes,
            &Text(&of.syntax),
            &Text(&of.facts),
            &of.frames,
        ],
    )?;
    let (served, served_bytes): (i64, i64) = (get(&row, 0)?, get(&row, 1)?);
    group.later().tell(ChangeKind::Stored, get(&row, 2)?);
    count_unserved(group, -served, -served_bytes);
    for (name, by) in [("instances", 1), ("objects0", 1), ("bytes0", bytes), ("jobs0", 1)] {
        group.later().count(name, by);
    }
    Ok(())
}

/// Adds an object in a role; returns its number.
pub(super) fn insert_object(group: &Group<'_>, new: &NewObject, instance: i64, role: i64) -> Result<i64, Error> {
    let sql = format!(
        "INSERT INTO objects (key, instance, role, bytes, syntax, stored, facts, frames) \
         VALUES ($1, $2, $3, $4, $5, {NOW}, $6, $7) RETURNING id"
    );
    let (key, bytes) = (new.key.as_bytes().as_slice(), number(new.bytes));
    let row = group.one(&sql, &[&key, &instance, &role, &bytes, &Text(&new.syntax), &Text(&new.facts), &new.frames])?;
    group.later().count(format!("objects{role}"), 1);
    group.later().count(format!("bytes{role}"), bytes);
    get(&row, 0)
}

/// An object was put in its place, whole: what the scrubber found wrong with its bytes, or with what they decode to, is mended.
pub(super) fn healed(session: &Session<'_>, key: &Key) -> Result<(), Error> {
    let heal = "DELETE FROM faults WHERE kind IN ('object', 'missing', 'samples') AND name = $1";
    session.execute(heal, &[&key.to_string()]).map(drop)
}

/// What was converted from it is damaged or missing: it is made once more.
fn convert_anew(group: &Group<'_>, instance: i64) -> Result<(), Error> {
    let sql = format!(
        "UPDATE jobs SET state = 0, run = NULL, changed = {NOW} WHERE instance = $1 AND state = 2 AND EXISTS \
         (SELECT 1 FROM instances i JOIN objects o ON o.id = i.object JOIN faults f ON f.name = encode(o.key, 'hex') \
         WHERE i.id = jobs.instance AND f.kind IN ('object', 'missing'))"
    );
    let again = group.execute(&sql, &[&instance])?;
    group.later().moved(2, 0, again);
    Ok(())
}

/// Bytes that were released came once more: their file goes again, once its time has passed anew.
fn came_again(session: &Session<'_>, key: &Key) -> Result<(), Error> {
    let sql = format!(
        "UPDATE ways_back SET removed = NULL, made = {NOW} WHERE released IS NOT NULL \
         AND original IN (SELECT id FROM objects WHERE key = $1)"
    );
    session.execute(&sql, &[&key.as_bytes().as_slice()]).map(drop)
}
