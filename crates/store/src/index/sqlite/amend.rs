//! What somebody decides of instances.

use rusqlite::{Connection, OptionalExtension, params};

use super::changes::tell;
use super::engine::Sqlite;
use super::register::{BESIDE, RECEIVED, SETTLED, touch};
use super::values::now;
use crate::Error;
use crate::index::amend::{Amending, Chosen};
use crate::index::changes::ChangeKind;
use crate::index::key::InstanceKey;
use crate::index::register::NewInstance;
use crate::objects::Key;

impl Amending for Sqlite {
    fn try_again(&self, key: &InstanceKey) -> Result<bool, Error> {
        let key = key.clone();
        let sql = "UPDATE jobs SET state = 0, run = NULL, attempts = 0, changed = ?4 WHERE state = 4 AND instance IN \
             (SELECT i.id FROM studies s JOIN series e ON e.study = s.id JOIN instances i ON i.series = e.id \
             WHERE s.uid = ?1 AND e.uid = ?2 AND i.uid = ?3)";
        self.write(move |index| {
            Ok(index.prepare_cached(sql)?.execute(params![key.study, key.series, key.sop, now()])? == 1)
        })
    }

    fn settle(&self, object: &Key) -> Result<bool, Error> {
        let object = *object;
        self.write(move |index| {
            let sql = "SELECT id FROM objects WHERE key = ? AND role = ?";
            let found = index.prepare_cached(sql)?.query_row(params![object.as_bytes(), BESIDE], |row| row.get(0));
            let found: Option<i64> = found.optional()?;
            found.map(|object| give_role(index, object, SETTLED)).transpose().map(|settled| settled.is_some())
        })
    }

    fn hand_out(&self, new: NewInstance) -> Result<Chosen, Error> {
        self.write(move |index| hand_out(index, &new))
    }
}

fn hand_out(index: &Connection, new: &NewInstance) -> Result<Chosen, Error> {
    let sql = "SELECT o.id, o.instance, i.received, i.series, e.study, w.released IS NOT NULL FROM objects o \
         JOIN instances i ON i.id = o.instance JOIN series e ON e.id = i.series LEFT JOIN ways_back w ON w.original = o.id \
         WHERE o.key = ? AND o.role IN (2, 3)";
    let found = index.prepare_cached(sql)?.query_row([new.object.key.as_bytes()], |row| {
        let numbers: [i64; 5] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
        Ok((numbers, row.get::<_, bool>(5)?))
    });
    let Some(([object, instance, before, series, study], released)) = found.optional()? else {
        return Ok(Chosen::Unknown);
    };
    if released {
        return Ok(Chosen::Released);
    }
    give_role(index, before, SETTLED)?;
    give_role(index, object, RECEIVED)?;
    // What is told of the time is never earlier than before.
    index.execute("UPDATE objects SET stored = ? WHERE id = ?", [now(), object])?;
    let sql = "UPDATE instances SET object = ?1, received = ?1, class = ?2, number = ?3, common = ?4, more = ?5 WHERE id = ?6";
    let shown = &new.instance_shown;
    index.execute(sql, params![object, new.class, new.instance_number, shown.common, shown.more, instance])?;
    let sql = "UPDATE jobs SET state = 0, run = NULL, until = NULL, attempts = 0, policy = NULL, rule = NULL, reason = NULL, \
         changed = ? WHERE instance = ?";
    index.execute(sql, [now(), instance])?;
    touch(index, study, series, 0)?;
    tell(index, ChangeKind::Corrected, instance)?;
    Ok(Chosen::Done)
}

/// Gives an object another role, and counts it there.
fn give_role(index: &Connection, object: i64, role: i64) -> Result<(), Error> {
    let count = "UPDATE totals SET value = value + ?1 * (SELECT bytes FROM objects WHERE id = ?2) \
         WHERE name = 'bytes' || (SELECT role FROM objects WHERE id = ?2)";
    let number =
        "UPDATE totals SET value = value + ?1 WHERE name = 'objects' || (SELECT role FROM objects WHERE id = ?2)";
    let counted = |by: i64| {
        [count, number].into_iter().try_for_each(|sql| index.prepare_cached(sql)?.execute([by, object]).map(drop))
    };
    counted(-1)?;
    index.prepare_cached("UPDATE objects SET role = ? WHERE id = ?")?.execute([role, object])?;
    Ok(counted(1)?)
}
