//! Ways back, and the release of received objects.

use tokio_postgres::Row;

use super::engine::Postgres;
use super::session::Session;
use super::task::Group;
use super::values::{NOW, Text, count, get, key, number, object};
use crate::Error;
use crate::index::key::InstanceKey;
use crate::index::ways_back::{Candidate, Way, WayBack, WaysBack};
use crate::objects::Key;

/// Ways back from what is handed out, as [`candidate`] reads them.
const CANDIDATES: &str = "SELECT w.original, r.key, r.bytes, c.key, c.bytes, s.uid, e.uid, i.uid FROM ways_back w \
    JOIN objects r ON r.id = w.original JOIN objects c ON c.id = w.object \
    JOIN instances i ON i.id = r.instance AND i.received = r.id AND i.object = c.id \
    JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study";

impl WaysBack for Postgres {
    fn way_back(&self, key: &InstanceKey) -> Result<Option<WayBack>, Error> {
        let sql = "SELECT octet_length(w.residue)::bigint, coalesce(w.reason, ''), w.made, w.released FROM studies s \
             JOIN series e ON e.study = s.id JOIN instances i ON i.series = e.id JOIN ways_back w ON w.original = i.received \
             WHERE s.uid = $1 AND e.uid = $2 AND i.uid = $3";
        let row = self.ask(|session| session.row(sql, &[&key.study, &key.series, &key.sop]))?;
        let way = |row: Row| {
            let residue: Option<i64> = get(&row, 0)?;
            Ok(WayBack {
                residue: residue.and_then(|bytes| u64::try_from(bytes).ok()),
                reason: get(&row, 1)?,
                made: get(&row, 2)?,
                released: get(&row, 3)?,
            })
        };
        row.map(way).transpose()
    }

    fn way_to(&self, received: &Key) -> Result<Option<Way>, Error> {
        let sql = "SELECT c.key, c.bytes, w.residue, coalesce(w.reason, '') FROM objects r \
             JOIN ways_back w ON w.original = r.id JOIN objects c ON c.id = w.object WHERE r.key = $1";
        let row = self.ask(|session| session.row(sql, &[&received.as_bytes().as_slice()]))?;
        let way = |row: Row| {
            Ok(Way { object: object(&row, 0)?, bytes: count(&row, 1)?, residue: get(&row, 2)?, reason: get(&row, 3)? })
        };
        row.map(way).transpose()
    }

    fn is_released(&self, received: &Key) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM objects r JOIN ways_back w ON w.original = r.id \
             WHERE r.key = $1 AND w.released IS NOT NULL";
        self.ask(|session| session.any(sql, &[&received.as_bytes().as_slice()]))
    }

    fn residue(&self, original: i64) -> Result<Vec<u8>, Error> {
        let sql = "SELECT residue FROM ways_back WHERE original = $1";
        get(&self.ask(|session| session.one(sql, &[&original]))?, 0)
    }

    fn release_candidates(&self, made: i64, after: i64, most: u32) -> Result<Vec<Candidate>, Error> {
        let sql = format!(
            "{CANDIDATES} WHERE w.residue IS NOT NULL AND w.released IS NULL AND w.original > $1 AND w.made <= $2 \
             AND r.id <> c.id ORDER BY w.original LIMIT $3"
        );
        let rows = self.ask(|session| session.rows(&sql, &[&after, &made, &i64::from(most)]))?;
        rows.iter().map(candidate).collect()
    }

    fn postpone_release(&self, original: i64) -> Result<(), Error> {
        let sql = format!("UPDATE ways_back SET made = {NOW} WHERE original = $1");
        self.write(move |group| group.execute(&sql, &[&original]).map(drop))
    }

    fn release(&self, original: i64, converted: &Key) -> Result<bool, Error> {
        let converted = *converted;
        // Looked at again: what was proven must still be what is handed out.
        let sql = format!(
            "UPDATE ways_back w SET released = {NOW} WHERE original = $1 AND released IS NULL AND object = \
             (SELECT i.object FROM objects r JOIN instances i ON i.id = r.instance AND i.received = r.id \
             JOIN objects c ON c.id = i.object WHERE r.id = $1 AND c.key = $2) \
             RETURNING (SELECT bytes FROM objects WHERE id = w.original)"
        );
        self.write(move |group| {
            let Some(row) = group.row(&sql, &[&original, &converted.as_bytes().as_slice()])? else { return Ok(false) };
            let bytes: i64 = get(&row, 0)?;
            group.later().count("released", 1);
            group.later().count("released_bytes", bytes);
            Ok(true)
        })
    }

    fn leaving(&self, made: i64, after: i64) -> Result<Option<Candidate>, Error> {
        let sql = format!(
            "{CANDIDATES} JOIN jobs j ON j.instance = i.id WHERE w.released IS NOT NULL AND w.removed IS NULL \
             AND w.original > $1 AND w.made <= $2 AND r.id <> c.id AND j.state = 2 AND NOT EXISTS (SELECT 1 FROM faults f \
             WHERE f.kind IN ('object', 'missing', 'samples') AND f.name = encode(c.key, 'hex')) ORDER BY w.original LIMIT 1"
        );
        let row = self.ask(|session| session.row(&sql, &[&after, &made]))?;
        row.map(|row| candidate(&row)).transpose()
    }

    fn removed(&self, original: i64) -> Result<(), Error> {
        let sql = format!("UPDATE ways_back SET removed = {NOW} WHERE original = $1");
        self.write(move |group| group.execute(&sql, &[&original]).map(drop))
    }
}

fn candidate(row: &Row) -> Result<Candidate, Error> {
    Ok(Candidate {
        original: get(row, 0)?,
        received: object(row, 1)?,
        bytes: count(row, 2)?,
        converted: object(row, 3)?,
        converted_bytes: count(row, 4)?,
        key: key(row, 5)?,
    })
}

/// Was it released, so that its way back may be all that is left of it?
pub(super) fn released(session: &Session<'_>, original: i64) -> Result<bool, Error> {
    session.any("SELECT 1 FROM ways_back WHERE original = $1 AND released IS NOT NULL", &[&original])
}

/// Keeps the way back from `object` to `original`: the residue, or why there is none. One that may be all that is left is never given
/// up for none.
pub(super) fn keep_way(
    group: &Group<'_>,
    original: i64,
    object: i64,
    way: &Result<Vec<u8>, String>,
) -> Result<(), Error> {
    if original == object {
        return Ok(());
    }
    let (residue, reason) = match way {
        Ok(residue) => (Some(residue), None),
        Err(reason) => (None, Some(Text(reason))),
    };
    let sql = format!(
        "WITH kept AS (INSERT INTO ways_back (original, object, made, reason, residue) VALUES ($1, $2, {NOW}, $3, $4) \
             ON CONFLICT (original) DO UPDATE SET object = excluded.object, made = excluded.made, \
             reason = excluded.reason, residue = excluded.residue) \
         SELECT octet_length(residue)::bigint FROM ways_back WHERE original = $1"
    );
    // What there was before: a statement does not see what it changes.
    let row = group.row(&sql, &[&original, &object, &reason, &residue])?;
    let before: Option<i64> = row.map_or(Ok(None), |row| get(&row, 0))?;
    let after = residue.map(|residue| number(residue.len() as u64));
    let mut later = group.later();
    later.count("ways_back", i64::from(after.is_some()) - i64::from(before.is_some()));
    later.count("residue_bytes", after.unwrap_or(0) - before.unwrap_or(0));
    Ok(())
}
