//! The scrubber's passes, what it found, and the objects it looks at.

use tokio_postgres::Row;

use super::checksum::{Raw, is_whole, table};
use super::engine::Postgres;
use super::register::CONVERTED;
use super::session::Session;
use super::sums;
use super::values::{NOW, Text, count, get, number};
use crate::Error;
use crate::index::key::InstanceKey;
use crate::index::scrub::{
    Contradiction, DamagedRows, Fault, FaultKind, ListedObject, NewestEvidence, OpenPass, Pass, Scrubbing,
};
use crate::objects::Key;

impl Scrubbing for Postgres {
    fn pass(&self) -> Result<Option<Pass>, Error> {
        let sql = "SELECT began, ended, changed, objects, bytes FROM scrubs ORDER BY id DESC LIMIT 1";
        self.read(|session| {
            let (of_objects, of_bytes) = totals(session)?;
            let pass = |row: Row| {
                Ok(Pass {
                    began: get(&row, 0)?,
                    ended: get(&row, 1)?,
                    changed: get(&row, 2)?,
                    objects: count(&row, 3)?,
                    bytes: count(&row, 4)?,
                    of_objects,
                    of_bytes,
                })
            };
            session.row(sql, &[])?.map(pass).transpose()
        })
    }

    fn listed_total(&self) -> Result<(u64, u64), Error> {
        self.ask(totals)
    }

    fn begin_pass(&self, restart: bool) -> Result<OpenPass, Error> {
        let sql = format!(
            "INSERT INTO scrubs (began, changed, cursor, objects, bytes) VALUES ({NOW}, {NOW}, 0, 0, 0) RETURNING id, began"
        );
        self.write(move |group| match open_pass(group)?.filter(|_| !restart) {
            Some(open) => Ok(open),
            None => {
                group.execute("DELETE FROM scrubs WHERE ended IS NULL", &[])?;
                // What a pass that was given up found is of none.
                group.execute("UPDATE faults SET scrub = 0", &[])?;
                let row = group.one(&sql, &[])?;
                Ok(OpenPass { id: get(&row, 0)?, cursor: 0, began: get(&row, 1)?, objects: 0, bytes: 0 })
            }
        })
    }

    fn save_pass(&self, pass: &OpenPass) -> Result<(), Error> {
        let OpenPass { id, cursor, objects, bytes, .. } = *pass;
        let sql = format!("UPDATE scrubs SET cursor = $1, objects = $2, bytes = $3, changed = {NOW} WHERE id = $4");
        self.write(move |group| group.execute(&sql, &[&cursor, &number(objects), &number(bytes), &id]).map(drop))
    }

    fn end_pass(&self, id: i64) -> Result<i64, Error> {
        let sql = format!("UPDATE scrubs SET ended = {NOW} WHERE id = $1");
        self.write(move |group| {
            group.execute(&sql, &[&id])?;
            group.execute("DELETE FROM faults WHERE scrub < $1", &[&id])?;
            get(&group.one(&format!("SELECT {NOW}"), &[])?, 0)
        })
    }

    fn add_fault(&self, pass: i64, fault: &Fault) -> Result<(), Error> {
        let fault = fault.clone();
        let sql = "INSERT INTO faults (kind, name, study, series, sop, what, found, scrub) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (kind, name) DO UPDATE SET study = excluded.study, \
             series = excluded.series, sop = excluded.sop, what = excluded.what, found = excluded.found, \
             scrub = excluded.scrub";
        self.write(move |group| {
            let of = |part: fn(&InstanceKey) -> &String| fault.instance.as_ref().map(|key| Text(part(key)));
            let (study, series, sop) = (of(|key| &key.study), of(|key| &key.series), of(|key| &key.sop));
            let (name, what) = (Text(&fault.name), Text(&fault.what));
            group
                .execute(sql, &[&fault.kind.name(), &name, &study, &series, &sop, &what, &fault.found, &pass])
                .map(drop)
        })
    }

    fn faults(&self) -> Result<Vec<Fault>, Error> {
        let sql = "SELECT kind, name, study, series, sop, what, found FROM faults ORDER BY kind, name";
        let rows = self.ask(|session| session.rows(sql, &[]))?;
        let fault = |row| {
            Ok(Fault {
                kind: FaultKind::of(get(row, 0)?),
                name: get(row, 1)?,
                instance: instance(get(row, 2)?, get(row, 3)?, get(row, 4)?),
                what: get(row, 5)?,
                found: get(row, 6)?,
            })
        };
        rows.iter().map(fault).collect()
    }

    fn fault_counts(&self) -> Result<Vec<(FaultKind, u64)>, Error> {
        let sql = "SELECT count(*) FILTER (WHERE kind = $1) FROM faults";
        self.read(|session| {
            let counted = |kind: FaultKind| Ok((kind, count(&session.one(sql, &[&kind.name()])?, 0)?));
            FaultKind::ALL.into_iter().map(counted).collect()
        })
    }

    fn sealed_tables(&self) -> Result<Vec<String>, Error> {
        self.ask(sums::sealed_tables)
    }

    fn damaged_rows(&self, table: &str, after: i64) -> Result<DamagedRows, Error> {
        self.read(|session| sums::damaged(session, table, after))
    }

    fn contradictions(&self, damaged: &[&str]) -> Result<Vec<Contradiction>, Error> {
        let mut all = Vec::new();
        // Each in a snapshot of its own: a long one keeps the database from clearing what is left behind.
        for part in sums::CONTRADICTIONS {
            all.extend(self.read(|session| {
                session.batch("SET LOCAL enable_seqscan = on")?;
                part(session, damaged)
            })?);
        }
        Ok(all)
    }

    fn structure(&self, _: bool) -> Result<Vec<String>, Error> {
        self.ask(sums::structure)
    }

    fn objects_after(&self, after: i64, most: u32) -> Result<Vec<ListedObject>, Error> {
        self.read(|session| {
            let Some(table) = table(session, "objects")? else { return Ok(Vec::new()) };
            let sql = format!(
                "SELECT o.id, o.key, o.bytes, o.role, s.uid, e.uid, i.uid, {} FROM objects o \
                 LEFT JOIN instances i ON i.id = o.instance LEFT JOIN series e ON e.id = i.series \
                 LEFT JOIN studies s ON s.id = e.study WHERE o.id > $1 ORDER BY o.id LIMIT $2",
                table.columns("o")
            );
            let rows = session.rows(&sql, &[&after, &i64::from(most)])?;
            rows.iter().map(|row| listed(row, table.width())).collect()
        })
    }

    fn newest_evidence(&self, object: i64) -> Result<Option<NewestEvidence>, Error> {
        self.read(|session| {
            let Some(table) = table(session, "evidence")? else { return Ok(None) };
            let sql = format!(
                "SELECT frames, samples_sha256, {} FROM evidence v WHERE to_object = $1 ORDER BY id DESC LIMIT 1",
                table.columns("v")
            );
            let Some(row) = session.row(&sql, &[&object])? else { return Ok(None) };
            let evidence = || Ok(NewestEvidence { frames: get(&row, 0)?, samples_sha256: get(&row, 1)? });
            is_whole(&row, 2, table.width())?.then(evidence).transpose()
        })
    }

    fn is_released_object(&self, object: i64) -> Result<bool, Error> {
        self.ask(|session| super::ways_back::released(session, object))
    }
}

/// Objects and their bytes, as they are counted.
fn totals(session: &Session<'_>) -> Result<(u64, u64), Error> {
    let sql = "SELECT coalesce(sum(value) FILTER (WHERE name IN ('objects0', 'objects1', 'objects2', 'unserved')), 0)::bigint, \
         coalesce(sum(value) FILTER (WHERE name IN ('bytes0', 'bytes1', 'bytes2', 'unserved_bytes')), 0)::bigint FROM totals";
    let row = session.one(sql, &[])?;
    Ok((count(&row, 0)?, count(&row, 1)?))
}

fn open_pass(session: &Session<'_>) -> Result<Option<OpenPass>, Error> {
    let sql = "SELECT id, cursor, began, objects, bytes FROM scrubs WHERE ended IS NULL ORDER BY id DESC LIMIT 1";
    let open = |row: Row| {
        Ok(OpenPass {
            id: get(&row, 0)?,
            cursor: get(&row, 1)?,
            began: get(&row, 2)?,
            objects: count(&row, 3)?,
            bytes: count(&row, 4)?,
        })
    };
    session.row(sql, &[])?.map(open).transpose()
}

fn instance(study: Option<String>, series: Option<String>, sop: Option<String>) -> Option<InstanceKey> {
    Some(InstanceKey { study: study?, series: series?, sop: sop? })
}

/// An object whose row may be damaged.
fn listed(row: &Row, width: usize) -> Result<ListedObject, Error> {
    let raw = |n| get::<Raw<'_>>(row, n).map(|raw| raw.0);
    let uid = |n| raw(n).map(|bytes| bytes.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok()));
    let key: Option<[u8; 32]> = raw(1)?.and_then(|bytes| bytes.try_into().ok());
    Ok(ListedObject {
        id: get(row, 0)?,
        key: key.map(Key::new),
        bytes: count(row, 2).unwrap_or(0),
        converted: get::<i64>(row, 3)? == CONVERTED,
        instance: instance(uid(4)?, uid(5)?, uid(6)?),
        whole: is_whole(row, 7, width)?,
    })
}
