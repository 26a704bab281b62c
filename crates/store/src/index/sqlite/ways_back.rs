//! Ways back, and the release of received objects.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::engine::Sqlite;
use super::instances::key;
use super::values::now;
use crate::Error;
use crate::index::key::InstanceKey;
use crate::index::ways_back::{Candidate, Way, WayBack, WaysBack};
use crate::objects::Key;

/// Ways back from what is handed out, as [`candidate`] reads them.
const CANDIDATES: &str = "SELECT w.original, r.key, r.bytes, c.key, c.bytes, s.uid, e.uid, i.uid FROM ways_back w \
    JOIN objects r ON r.id = w.original JOIN objects c ON c.id = w.object \
    JOIN instances i ON i.id = r.instance AND i.received = r.id AND i.object = c.id \
    JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study";

impl WaysBack for Sqlite {
    fn way_back(&self, key: &InstanceKey) -> Result<Option<WayBack>, Error> {
        let sql = "SELECT length(w.residue), coalesce(w.reason, ''), w.made, w.released FROM studies s \
             JOIN series e ON e.study = s.id JOIN instances i ON i.series = e.id JOIN ways_back w ON w.original = i.received \
             WHERE s.uid = ? AND e.uid = ? AND i.uid = ?";
        self.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(sql)?;
            let found = statement.query_row([&key.study, &key.series, &key.sop], |row| {
                Ok(WayBack { residue: row.get(0)?, reason: row.get(1)?, made: row.get(2)?, released: row.get(3)? })
            });
            Ok(found.optional()?)
        })
    }

    fn way_to(&self, received: &Key) -> Result<Option<Way>, Error> {
        let sql = "SELECT c.key, c.bytes, w.residue, coalesce(w.reason, '') FROM objects r \
             JOIN ways_back w ON w.original = r.id JOIN objects c ON c.id = w.object WHERE r.key = ?";
        self.read(|snapshot| {
            let found = snapshot.prepare_cached(sql)?.query_row([received.as_bytes()], |row| {
                Ok(Way { object: Key::new(row.get(0)?), bytes: row.get(1)?, residue: row.get(2)?, reason: row.get(3)? })
            });
            Ok(found.optional()?)
        })
    }

    fn is_released(&self, received: &Key) -> Result<bool, Error> {
        let sql = "SELECT w.released IS NOT NULL FROM objects r JOIN ways_back w ON w.original = r.id WHERE r.key = ?";
        self.read(|snapshot| {
            let found = snapshot.prepare_cached(sql)?.query_row([received.as_bytes()], |row| row.get(0));
            Ok(found.optional()?.unwrap_or(false))
        })
    }

    fn residue(&self, original: i64) -> Result<Vec<u8>, Error> {
        let sql = "SELECT residue FROM ways_back WHERE original = ?";
        self.read(|snapshot| Ok(snapshot.prepare_cached(sql)?.query_row([original], |row| row.get(0))?))
    }

    fn release_candidates(&self, made: i64, after: i64, most: u32) -> Result<Vec<Candidate>, Error> {
        let sql = format!(
            "{CANDIDATES} WHERE w.residue IS NOT NULL AND w.released IS NULL AND w.original > ?1 AND w.made <= ?2 \
             AND r.id <> c.id ORDER BY w.original LIMIT ?3"
        );
        self.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(&sql)?;
            let candidates = statement.query_map(params![after, made, most], candidate)?;
            Ok(candidates.collect::<Result<_, _>>()?)
        })
    }

    fn postpone_release(&self, original: i64) -> Result<(), Error> {
        self.write(move |index| {
            index.prepare_cached("UPDATE ways_back SET made = ? WHERE original = ?")?.execute([now(), original])?;
            Ok(())
        })
    }

    fn release(&self, original: i64, converted: &Key) -> Result<bool, Error> {
        let converted = *converted;
        self.write(move |index| {
            // Looked at again: what was proven must still be what is handed out.
            let sql = "UPDATE ways_back SET released = ?1 WHERE original = ?2 AND released IS NULL AND object = \
                 (SELECT i.object FROM instances i JOIN objects c ON c.id = i.object WHERE i.received = ?2 AND c.key = ?3)";
            Ok(index.prepare_cached(sql)?.execute(params![now(), original, converted.as_bytes()])? == 1)
        })
    }

    fn leaving(&self, made: i64, after: i64) -> Result<Option<Candidate>, Error> {
        let sql = format!(
            "{CANDIDATES} JOIN jobs j ON j.instance = i.id WHERE w.released IS NOT NULL AND w.removed IS NULL \
             AND w.original > ?1 AND w.made <= ?2 AND r.id <> c.id AND j.state = 2 AND NOT EXISTS (SELECT 1 FROM faults f \
             WHERE f.kind IN ('object', 'missing', 'samples') AND f.name = lower(hex(c.key))) ORDER BY w.original LIMIT 1"
        );
        self.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(&sql)?;
            Ok(statement.query_row(params![after, made], candidate).optional()?)
        })
    }

    fn removed(&self, original: i64) -> Result<(), Error> {
        self.write(move |index| {
            let sql = "UPDATE ways_back SET removed = ? WHERE original = ?";
            index.prepare_cached(sql)?.execute([now(), original])?;
            Ok(())
        })
    }
}

fn candidate(row: &Row<'_>) -> rusqlite::Result<Candidate> {
    Ok(Candidate {
        original: row.get(0)?,
        received: Key::new(row.get(1)?),
        bytes: row.get(2)?,
        converted: Key::new(row.get(3)?),
        converted_bytes: row.get(4)?,
        key: key(row, 5)?,
    })
}

/// Was it released, so that its way back may be all that is left of it?
pub(super) fn released(index: &Connection, original: i64) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM ways_back WHERE original = ? AND released IS NOT NULL";
    Ok(index.prepare_cached(sql)?.exists([original])?)
}

/// Keeps the way back from `object` to `original`: the residue, or why there is none. One that may be all that is left is never given
/// up for none.
pub(super) fn keep_way(
    index: &Connection,
    original: i64,
    object: i64,
    way: &Result<Vec<u8>, String>,
) -> Result<(), Error> {
    if original == object {
        return Ok(());
    }
    let (residue, reason) = match way {
        Ok(residue) => (Some(residue), None),
        Err(reason) => (None, Some(reason)),
    };
    let sql = "INSERT INTO ways_back (original, object, made, reason, residue) VALUES (?, ?, ?, ?, ?) \
         ON CONFLICT (original) DO UPDATE SET object = excluded.object, made = excluded.made, reason = excluded.reason, \
         residue = excluded.residue";
    index.prepare_cached(sql)?.execute(params![original, object, now(), reason, residue])?;
    Ok(())
}
