//! What is stored, looked up.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::engine::Postgres;
use super::register::{BESIDE, SETTLED};
use super::session::Session;
use super::values::{count, get, key, object};
use crate::Error;
use crate::index::instances::{
    Beside, Current, Holding, Holdings, InstanceRow, Instances, IsPicture, ObjectVersion, Picture, Scope, Stats,
};
use crate::index::key::InstanceKey;
use crate::index::register::Unservable;
use crate::objects::Key;

const COLUMNS: &str =
    "o.id, s.uid, e.uid, i.uid, i.class, i.number, e.modality, o.key, o.bytes, o.syntax, o.facts, o.frames, o.stored";
const FROM: &str = "FROM studies s JOIN series e ON e.study = s.id JOIN instances i ON i.series = e.id \
    JOIN objects o ON o.id = i.object";
/// Of an instance by its three UIDs.
const BY_KEY: &str = "WHERE s.uid = $1 AND e.uid = $2 AND i.uid = $3";

/// Instances of a series that are looked at for a picture at once; more are only where none of these is one.
const FIRST: i64 = 4;
/// Instances that are looked at after those.
const NEXT: i64 = 200;

impl Instances for Postgres {
    fn instances(&self, scope: Scope<'_>, have: &mut dyn FnMut(ObjectVersion) -> bool) -> Result<Vec<Current>, Error> {
        let mut asked = HashMap::new();
        // Asked once, even where all of this is done again.
        let mut lacks = |versions: &[ObjectVersion]| -> Vec<i64> {
            let lacks = versions.iter().filter(|version| !*asked.entry(**version).or_insert_with(|| have(**version)));
            lacks.map(|version| version.object).collect()
        };
        // Mostly the caller has them all: that is one question.
        let now = self.ask(|session| versions(session, scope))?;
        if lacks(&now).is_empty() {
            return Ok(now.into_iter().map(|version| Current { version, row: None }).collect());
        }
        self.read(|session| {
            let versions = versions(session, scope)?;
            let lacks = lacks(&versions);
            let mut rows = instance_rows(session, &lacks)?;
            let current = |version: ObjectVersion| Current { version, row: rows.remove(&version.object) };
            Ok(versions.into_iter().map(current).collect())
        })
    }

    fn received(&self, key: &InstanceKey) -> Result<Option<(Key, u64)>, Error> {
        let sql = format!(
            "SELECT o.key, o.bytes FROM studies s JOIN series e ON e.study = s.id \
             JOIN instances i ON i.series = e.id JOIN objects o ON o.id = i.received {BY_KEY}"
        );
        let row = self.ask(|session| session.row(&sql, &[&key.study, &key.series, &key.sop]))?;
        row.map(|row| Ok((object(&row, 0)?, count(&row, 1)?))).transpose()
    }

    fn named(&self, uid: &str) -> Result<Vec<InstanceKey>, Error> {
        let sql = "SELECT s.uid, e.uid, i.uid FROM instances i JOIN series e ON e.id = i.series \
             JOIN studies s ON s.id = e.study WHERE i.id IN (SELECT id FROM instances WHERE uid = $1 \
             UNION SELECT i.id FROM instances i JOIN series e ON e.id = i.series WHERE e.uid = $1 \
             UNION SELECT i.id FROM instances i JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study \
             WHERE s.uid = $1) ORDER BY i.id";
        let rows = self.ask(|session| session.rows(sql, &[&uid]))?;
        rows.iter().map(|row| key(row, 0)).collect()
    }

    fn shown(&self, key: &InstanceKey) -> Result<Option<[String; 6]>, Error> {
        let sql = format!(
            "SELECT s.common, s.more, e.common, e.more, i.common, i.more FROM studies s \
             JOIN series e ON e.study = s.id JOIN instances i ON i.series = e.id {BY_KEY}"
        );
        let row = self.ask(|session| session.row(&sql, &[&key.study, &key.series, &key.sop]))?;
        let text = |row: &Row, n| get::<String>(row, n);
        row.map(|r| Ok([text(&r, 0)?, text(&r, 1)?, text(&r, 2)?, text(&r, 3)?, text(&r, 4)?, text(&r, 5)?]))
            .transpose()
    }

    fn pictures(&self, study: &str, is_picture: IsPicture<'_>) -> Result<Option<Vec<Picture>>, Error> {
        self.read(|session| {
            let Some(row) = session.row("SELECT id FROM studies WHERE uid = $1", &[&study])? else { return Ok(None) };
            let study: i64 = get(&row, 0)?;
            let series = "SELECT id, uid, modality FROM series WHERE study = $1 ORDER BY number NULLS FIRST, id";
            let firsts = first_instances(session, study)?;
            let picture = |row: &Row| {
                let (id, series, modality): (i64, String, &str) = (get(row, 0)?, get(row, 1)?, get(row, 2)?);
                let may = (is_picture.modality)(modality);
                let firsts = firsts.get(&id).map(Vec::as_slice).unwrap_or_default();
                let picture = if may { first_picture(session, id, firsts, is_picture.instance)? } else { None };
                Ok(Picture { series, picture })
            };
            session.rows(series, &[&study])?.iter().map(picture).collect::<Result<_, _>>().map(Some)
        })
    }

    fn version(&self, study: &str, series: Option<&str>) -> Result<Option<u64>, Error> {
        let of_study = "SELECT version FROM studies WHERE uid = $1";
        let of_series =
            "SELECT e.version FROM studies s JOIN series e ON e.study = s.id WHERE s.uid = $1 AND e.uid = $2";
        let row = self.ask(|session| match series {
            None => session.row(of_study, &[&study]),
            Some(series) => session.row(of_series, &[&study, &series]),
        })?;
        row.map(|row| count(&row, 0)).transpose()
    }

    fn stats(&self) -> Result<Stats, Error> {
        let rows = self.ask(|session| session.rows("SELECT name, value FROM totals", &[]))?;
        let total = |row: &Row| Ok::<_, Error>((get::<String>(row, 0)?, count(row, 1)?));
        let totals = rows.iter().map(total).collect::<Result<HashMap<_, _>, _>>()?;
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
    }

    fn conflicts(&self) -> Result<Vec<Beside>, Error> {
        self.ask(|session| beside(session, BESIDE))
    }

    fn settled(&self) -> Result<Vec<Beside>, Error> {
        self.ask(|session| beside(session, SETTLED))
    }

    fn holding(&self, object: &Key) -> Result<Option<Holding>, Error> {
        let served = "SELECT j.state, coalesce(j.reason, ''), w.released IS NOT NULL, o.role FROM objects o \
             JOIN jobs j ON j.instance = o.instance LEFT JOIN ways_back w ON w.original = o.id \
             WHERE o.key = $1 AND o.role <> 1";
        let unserved = "SELECT kind, reason FROM unserved WHERE key = $1 LIMIT 1";
        let name = object.as_bytes().as_slice();
        self.read(|session| {
            if let Some(row) = session.row(served, &[&name])? {
                return holding(&row).map(Some);
            }
            let row = session.row(unserved, &[&name])?;
            row.map(|row| Ok(Holding::unserved(Unservable::of(get(&row, 0)?), get(&row, 1)?))).transpose()
        })
    }

    fn holdings(&self) -> Result<Holdings, Error> {
        let sql = "SELECT (SELECT count(*) FROM jobs WHERE state = 2), \
             (SELECT count(*) FROM ways_back WHERE released IS NOT NULL), \
             (SELECT count(*) FROM jobs WHERE state IN (3, 4)), (SELECT count(*) FROM jobs WHERE state IN (0, 1))";
        let row = self.ask(|session| session.one(sql, &[]))?;
        let [converted, released, kept, waiting] = [count(&row, 0)?, count(&row, 1)?, count(&row, 2)?, count(&row, 3)?];
        Ok(Holdings { converted, released, kept, waiting })
    }

    fn lists(&self, object: &Key) -> Result<bool, Error> {
        let sql = "SELECT 1 WHERE EXISTS (SELECT 1 FROM objects WHERE key = $1) OR EXISTS (SELECT 1 FROM unserved WHERE key = $1) \
             OR EXISTS (SELECT 1 FROM removed_objects WHERE key = $1) \
             OR EXISTS (SELECT 1 FROM purged WHERE key = $1 AND number IS NULL)";
        self.ask(|session| session.any(sql, &[&object.as_bytes().as_slice()]))
    }
}

/// The states of the objects that are handed out, in order.
fn versions(session: &Session<'_>, scope: Scope<'_>) -> Result<Vec<ObjectVersion>, Error> {
    let select = format!("SELECT o.id, octet_length(o.frames)::bigint {FROM}");
    let order = "ORDER BY e.number NULLS FIRST, e.id, i.number NULLS FIRST, i.id";
    let rows = match scope {
        Scope::Instance(key) => session.rows(&format!("{select} {BY_KEY}"), &[&key.study, &key.series, &key.sop]),
        Scope::Series(study, series) => {
            session.rows(&format!("{select} WHERE s.uid = $1 AND e.uid = $2 {order}"), &[&study, &series])
        }
        Scope::Study(study) => session.rows(&format!("{select} WHERE s.uid = $1 {order}"), &[&study]),
    };
    rows?.iter().map(|row| Ok(ObjectVersion { object: get(row, 0)?, frames: get(row, 1)? })).collect()
}

/// The rows of instances by the numbers of their objects.
fn instance_rows(session: &Session<'_>, objects: &[i64]) -> Result<HashMap<i64, Box<InstanceRow>>, Error> {
    if objects.is_empty() {
        return Ok(HashMap::new());
    }
    let row = |row: &Row| {
        let found = InstanceRow {
            key: key(row, 1)?,
            class: get(row, 4)?,
            number: get(row, 5)?,
            modality: get(row, 6)?,
            object: object(row, 7)?,
            bytes: count(row, 8)?,
            syntax: get(row, 9)?,
            facts: get(row, 10)?,
            frames: get(row, 11)?,
            stored: get(row, 12)?,
        };
        Ok((get(row, 0)?, Box::new(found)))
    };
    // By the instances of the objects: an object knows its instance.
    let sql = format!(
        "SELECT {COLUMNS} FROM objects o JOIN instances i ON i.id = o.instance AND i.object = o.id \
         JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study WHERE o.id = ANY($1)"
    );
    session.rows(&sql, &[&objects])?.iter().map(row).collect()
}

/// Class, facts and UID of an instance.
type Seen = (String, String, String);

fn seen(row: &Row, at: usize) -> Result<Seen, Error> {
    Ok((get(row, at)?, get(row, at + 1)?, get(row, at + 2)?))
}

/// The first few instances of each series of a study.
fn first_instances(session: &Session<'_>, study: i64) -> Result<HashMap<i64, Vec<Seen>>, Error> {
    let sql = "SELECT e.id, i.class, o.facts, i.uid FROM series e CROSS JOIN LATERAL \
         (SELECT * FROM instances WHERE series = e.id ORDER BY number NULLS FIRST, id LIMIT $2) i \
         JOIN objects o ON o.id = i.object WHERE e.study = $1 ORDER BY e.id, i.number NULLS FIRST, i.id";
    let mut firsts: HashMap<i64, Vec<Seen>> = HashMap::new();
    for row in session.rows(sql, &[&study, &FIRST])? {
        firsts.entry(get(&row, 0)?).or_default().push(seen(&row, 1)?);
    }
    Ok(firsts)
}

fn first_picture(
    session: &Session<'_>,
    series: i64,
    firsts: &[Seen],
    is_picture: &dyn Fn(&str, &str) -> bool,
) -> Result<Option<String>, Error> {
    let sql = "SELECT i.class, o.facts, i.uid FROM instances i JOIN objects o ON o.id = i.object \
         WHERE i.series = $1 ORDER BY i.number NULLS FIRST, i.id LIMIT $2 OFFSET $3";
    let find = |seen: &[Seen]| seen.iter().find(|of| is_picture(&of.0, &of.1)).map(|of| of.2.clone());
    let (mut found, mut looked, mut last) = (find(firsts), FIRST, firsts.len() < FIRST as usize);
    while found.is_none() && !last {
        let rows = session.rows(sql, &[&series, &NEXT, &looked])?;
        let next = rows.iter().map(|row| seen(row, 0)).collect::<Result<Vec<_>, _>>()?;
        (found, last) = (find(&next), next.len() < NEXT as usize);
        looked += NEXT;
    }
    Ok(found)
}

/// The objects of a role, in the order they came.
fn beside(session: &Session<'_>, role: i64) -> Result<Vec<Beside>, Error> {
    // The number stands in the statement: the indices are of one role each.
    let sql = format!(
        "SELECT s.uid, e.uid, i.uid, o.key, o.bytes, o.stored FROM objects o \
         JOIN instances i ON i.id = o.instance JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study \
         WHERE o.role = {role} ORDER BY o.id"
    );
    let beside = |row| {
        let object_id = object(row, 3)?.to_string();
        Ok(Beside { key: key(row, 0)?, object_id, size: count(row, 4)?, stored: get(row, 5)? })
    };
    session.rows(&sql, &[])?.iter().map(beside).collect()
}

fn holding(row: &Row) -> Result<Holding, Error> {
    if get::<i64>(row, 3)? != 0 {
        return Ok(Holding::beside());
    }
    Ok(match get::<i64>(row, 0)? {
        0 | 1 => Holding::Waiting,
        2 => Holding::Converted { released: get(row, 2)? },
        _ => Holding::Kept { reason: get(row, 1)? },
    })
}
