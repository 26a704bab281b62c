//! The scrubber's passes, what it found, and the objects it looks at.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::checksum::tables;
use super::engine::Sqlite;
use super::register::CONVERTED;
use super::sums;
use super::values::now;
use crate::Error;
use crate::index::key::InstanceKey;
use crate::index::scrub::{
    Contradiction, DamagedRows, Fault, FaultKind, ListedObject, NewestEvidence, OpenPass, Pass, Scrubbing,
};
use crate::objects::Key;

impl Scrubbing for Sqlite {
    fn pass(&self) -> Result<Option<Pass>, Error> {
        let sql = "SELECT began, ended, changed, objects, bytes FROM scrubs ORDER BY id DESC LIMIT 1";
        self.read(|snapshot| {
            let (of_objects, of_bytes) = totals(snapshot)?;
            let pass = snapshot.prepare_cached(sql)?.query_row([], |row| {
                Ok(Pass {
                    began: row.get(0)?,
                    ended: row.get(1)?,
                    changed: row.get(2)?,
                    objects: row.get(3)?,
                    bytes: row.get(4)?,
                    of_objects,
                    of_bytes,
                })
            });
            Ok(pass.optional()?)
        })
    }

    fn listed_total(&self) -> Result<(u64, u64), Error> {
        self.read(|snapshot| totals(snapshot))
    }

    fn begin_pass(&self, restart: bool) -> Result<OpenPass, Error> {
        self.write(move |index| match open_pass(index)?.filter(|_| !restart) {
            Some(open) => Ok(open),
            None => {
                index.execute("DELETE FROM scrubs WHERE ended IS NULL", [])?;
                // The number of a pass that was given up may come again: what it found is of none.
                index.execute("UPDATE faults SET scrub = 0", [])?;
                let began = now();
                let sql = "INSERT INTO scrubs (began, changed, cursor, objects, bytes) VALUES (?1, ?1, 0, 0, 0)";
                index.execute(sql, [began])?;
                Ok(OpenPass { id: index.last_insert_rowid(), cursor: 0, began, objects: 0, bytes: 0 })
            }
        })
    }

    fn save_pass(&self, pass: &OpenPass) -> Result<(), Error> {
        let OpenPass { id, cursor, objects, bytes, .. } = *pass;
        self.write(move |index| {
            let sql = "UPDATE scrubs SET cursor = ?, objects = ?, bytes = ?, changed = ? WHERE id = ?";
            index.prepare_cached(sql)?.execute(params![cursor, objects, bytes, now(), id])?;
            Ok(())
        })
    }

    fn end_pass(&self, id: i64) -> Result<i64, Error> {
        self.write(move |index| {
            let ended = now();
            index.execute("UPDATE scrubs SET ended = ? WHERE id = ?", params![ended, id])?;
            index.execute("DELETE FROM faults WHERE scrub < ?", [id])?;
            Ok(ended)
        })
    }

    fn add_fault(&self, pass: i64, fault: &Fault) -> Result<(), Error> {
        let fault = fault.clone();
        self.write(move |index| {
            let sql = "INSERT OR REPLACE INTO faults (kind, name, study, series, sop, what, found, scrub) \
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
            let of = |part: fn(&InstanceKey) -> &String| fault.instance.as_ref().map(part);
            index.prepare_cached(sql)?.execute(params![
                fault.kind.name(),
                fault.name,
                of(|k| &k.study),
                of(|k| &k.series),
                of(|k| &k.sop),
                fault.what,
                fault.found,
                pass
            ])?;
            Ok(())
        })
    }

    fn faults(&self) -> Result<Vec<Fault>, Error> {
        let sql = "SELECT kind, name, study, series, sop, what, found FROM faults ORDER BY kind, name";
        self.read(|snapshot| {
            let mut faults = snapshot.prepare_cached(sql)?;
            let faults = faults.query_map([], |row| {
                Ok(Fault {
                    kind: FaultKind::of(&row.get::<_, String>(0)?),
                    name: row.get(1)?,
                    instance: instance(row.get(2)?, row.get(3)?, row.get(4)?),
                    what: row.get(5)?,
                    found: row.get(6)?,
                })
            })?;
            Ok(faults.collect::<Result<_, _>>()?)
        })
    }

    fn fault_counts(&self) -> Result<Vec<(FaultKind, u64)>, Error> {
        self.read(|snapshot| {
            let mut count = snapshot.prepare_cached("SELECT count(*) FROM faults WHERE kind = ?")?;
            let mut count = |kind: FaultKind| Ok((kind, count.query_row([kind.name()], |row| row.get(0))?));
            FaultKind::ALL.into_iter().map(&mut count).collect()
        })
    }

    fn sealed_tables(&self) -> Result<Vec<String>, Error> {
        self.read(|snapshot| sums::sealed_tables(snapshot))
    }

    fn damaged_rows(&self, table: &str, after: i64) -> Result<DamagedRows, Error> {
        self.read(|snapshot| sums::damaged(snapshot, table, after))
    }

    fn contradictions(&self, damaged: &[&str]) -> Result<Vec<Contradiction>, Error> {
        let mut all = Vec::new();
        // Each in a snapshot of its own: counting takes long, and what is written meanwhile must not wait for it.
        for part in sums::CONTRADICTIONS {
            all.extend(self.read(|snapshot| part(snapshot, damaged))?);
        }
        Ok(all)
    }

    fn structure(&self, damaged: bool) -> Result<Vec<String>, Error> {
        let lines: Vec<String> = self.read(|snapshot| {
            let mut lines = snapshot.prepare("PRAGMA integrity_check(50)")?;
            Ok(lines.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
        })?;
        // A key that is not what it was is also missing where it is looked up: the row is told already.
        let follows = |line: &str| line == "ok" || (damaged && line.contains("from index"));
        Ok(lines.into_iter().filter(|line| !follows(line)).collect())
    }

    fn objects_after(&self, after: i64, most: u32) -> Result<Vec<ListedObject>, Error> {
        self.read(|snapshot| {
            let sealed = tables(snapshot)?;
            let table = sealed.iter().find(|table| table.name == "objects");
            let sum = table.map_or_else(|| "NULL".into(), |table| table.expression("o"));
            let sql = format!(
                "SELECT o.id, o.key, o.bytes, o.role, s.uid, e.uid, i.uid, o.sum IS {sum} FROM objects o \
                 LEFT JOIN instances i ON i.id = o.instance LEFT JOIN series e ON e.id = i.series \
                 LEFT JOIN studies s ON s.id = e.study WHERE o.id > ? ORDER BY o.id LIMIT ?"
            );
            let mut rows = snapshot.prepare(&sql)?;
            Ok(rows.query_map(params![after, most], listed)?.collect::<Result<_, _>>()?)
        })
    }

    fn newest_evidence(&self, object: i64) -> Result<Option<NewestEvidence>, Error> {
        self.read(|snapshot| {
            let sealed = tables(snapshot)?;
            let Some(table) = sealed.iter().find(|table| table.name == "evidence") else { return Ok(None) };
            let sql = format!(
                "SELECT frames, samples_sha256, sum IS {} FROM evidence v WHERE to_object = ? ORDER BY id DESC LIMIT 1",
                table.expression("v")
            );
            let mut find = snapshot.prepare_cached(&sql)?;
            let found = find.query_row([object], |row| {
                let whole: bool = row.get(2)?;
                let evidence = || Ok(NewestEvidence { frames: row.get(0)?, samples_sha256: row.get(1)? });
                whole.then(evidence).transpose()
            });
            Ok(found.optional()?.flatten())
        })
    }

    fn is_released_object(&self, object: i64) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM ways_back WHERE original = ? AND released IS NOT NULL";
        self.read(|snapshot| Ok(snapshot.prepare_cached(sql)?.exists([object])?))
    }
}

/// Objects and their bytes, as they are counted.
fn totals(index: &Connection) -> Result<(u64, u64), Error> {
    let sum = |like: &str| {
        let sql = "SELECT coalesce(sum(value), 0) FROM totals WHERE name GLOB ?";
        index.prepare_cached(sql)?.query_row([like], |row| row.get::<_, u64>(0))
    };
    Ok((sum("objects[012]")? + sum("unserved")?, sum("bytes[012]")? + sum("unserved_bytes")?))
}

fn open_pass(index: &Connection) -> Result<Option<OpenPass>, Error> {
    let sql = "SELECT id, cursor, began, objects, bytes FROM scrubs WHERE ended IS NULL ORDER BY id DESC LIMIT 1";
    let open = index.query_row(sql, [], |row| {
        Ok(OpenPass {
            id: row.get(0)?,
            cursor: row.get(1)?,
            began: row.get(2)?,
            objects: row.get(3)?,
            bytes: row.get(4)?,
        })
    });
    Ok(open.optional()?)
}

fn instance(study: Option<String>, series: Option<String>, sop: Option<String>) -> Option<InstanceKey> {
    Some(InstanceKey { study: study?, series: series?, sop: sop? })
}

/// An object whose row may be damaged.
fn listed(row: &Row<'_>) -> rusqlite::Result<ListedObject> {
    let uid = |n| Ok::<_, rusqlite::Error>(row.get_ref(n)?.as_str().ok().map(str::to_owned));
    let key: Option<[u8; 32]> = row.get_ref(1)?.as_blob().ok().and_then(|bytes| bytes.try_into().ok());
    Ok(ListedObject {
        id: row.get(0)?,
        key: key.map(Key::new),
        bytes: row.get(2).unwrap_or(0),
        converted: row.get(3).unwrap_or(0) == CONVERTED,
        instance: instance(uid(4)?, uid(5)?, uid(6)?),
        whole: row.get(7)?,
    })
}
