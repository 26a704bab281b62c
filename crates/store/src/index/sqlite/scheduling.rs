//! What is scheduled, and what is performed.

use rusqlite::{OptionalExtension, Row, params};

use super::engine::Sqlite;
use super::values::now;
use crate::Error;
use crate::index::scheduling::{PerformedRow, ScheduledRow, Scheduling};

impl Scheduling for Sqlite {
    fn put_scheduled(&self, steps: Vec<ScheduledRow>, most: u64) -> Result<Option<u64>, Error> {
        self.write(move |index| {
            let mut there = index.prepare_cached("SELECT 1 FROM scheduled WHERE study = ? AND step = ?")?;
            let mut new = 0;
            for (n, row) in steps.iter().enumerate() {
                let before = steps[..n].iter().any(|one| (&one.study, &one.step) == (&row.study, &row.step));
                new += u64::from(!before && !there.exists(params![row.study, row.step])?);
            }
            let count = |row: &Row<'_>| row.get::<_, i64>(0);
            let known = index.prepare_cached("SELECT count(*) FROM scheduled")?.query_row([], count)?;
            if known as u64 + new > most {
                return Ok(None);
            }
            let sql = "INSERT INTO scheduled (study, step, day, item) VALUES (?, ?, ?, ?) \
                 ON CONFLICT (study, step) DO UPDATE SET day = excluded.day, item = excluded.item";
            for row in &steps {
                index.prepare_cached(sql)?.execute(params![row.study, row.step, row.day, row.item])?;
            }
            Ok(Some(new))
        })
    }

    fn scheduled(&self, from: &str, to: &str) -> Result<Vec<ScheduledRow>, Error> {
        let sql = "SELECT study, step, day, item FROM scheduled WHERE day >= ? AND day <= ? ORDER BY day, study, step";
        self.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(sql)?;
            Ok(statement.query_map([from, to], scheduled)?.collect::<Result<_, _>>()?)
        })
    }

    fn remove_scheduled(&self, study: &str, step: &str) -> Result<bool, Error> {
        let (study, step) = (study.to_owned(), step.to_owned());
        let sql = "DELETE FROM scheduled WHERE study = ? AND step = ?";
        self.write(move |index| Ok(index.prepare_cached(sql)?.execute([&study, &step])? > 0))
    }

    fn forget_scheduled(&self, before: &str) -> Result<u64, Error> {
        let before = before.to_owned();
        let sql = "DELETE FROM scheduled WHERE day < ?";
        self.write(move |index| Ok(index.prepare_cached(sql)?.execute([&before])? as u64))
    }

    fn add_performed(&self, uid: &str, item: &str) -> Result<bool, Error> {
        let (uid, item) = (uid.to_owned(), item.to_owned());
        let sql = "INSERT OR IGNORE INTO performed (uid, changed, item) VALUES (?, ?, ?)";
        self.write(move |index| Ok(index.prepare_cached(sql)?.execute(params![uid, now(), item])? > 0))
    }

    fn performed(&self, uid: &str) -> Result<Option<PerformedRow>, Error> {
        let sql = "SELECT uid, changed, item FROM performed WHERE uid = ?";
        self.read(|snapshot| Ok(snapshot.prepare_cached(sql)?.query_row([uid], performed).optional()?))
    }

    fn last_performed(&self, most: u32) -> Result<Vec<PerformedRow>, Error> {
        let sql = "SELECT uid, changed, item FROM performed ORDER BY changed DESC, uid LIMIT ?";
        self.read(|snapshot| {
            Ok(snapshot.prepare_cached(sql)?.query_map([most], performed)?.collect::<Result<_, _>>()?)
        })
    }

    fn change_performed(&self, uid: &str, was: &str, item: &str) -> Result<bool, Error> {
        let (uid, was, item) = (uid.to_owned(), was.to_owned(), item.to_owned());
        let sql = "UPDATE performed SET changed = ?, item = ? WHERE uid = ? AND item = ?";
        self.write(move |index| Ok(index.prepare_cached(sql)?.execute(params![now(), item, uid, was])? > 0))
    }

    fn forget_performed(&self, before: i64) -> Result<u64, Error> {
        let sql = "DELETE FROM performed WHERE changed < ?";
        self.write(move |index| Ok(index.prepare_cached(sql)?.execute([before])? as u64))
    }
}

fn scheduled(row: &Row<'_>) -> rusqlite::Result<ScheduledRow> {
    Ok(ScheduledRow { study: row.get(0)?, step: row.get(1)?, day: row.get(2)?, item: row.get(3)? })
}

fn performed(row: &Row<'_>) -> rusqlite::Result<PerformedRow> {
    Ok(PerformedRow { uid: row.get(0)?, changed: row.get(1)?, item: row.get(2)? })
}
