//! What is scheduled, and what is performed.

use tokio_postgres::Row;

use super::engine::Postgres;
use super::values::{NOW, Text, get};
use crate::Error;
use crate::index::scheduling::{PerformedRow, ScheduledRow, Scheduling};

impl Scheduling for Postgres {
    fn put_scheduled(&self, steps: Vec<ScheduledRow>, most: u64) -> Result<Option<u64>, Error> {
        self.write(move |group| {
            let mut new = 0;
            for (n, row) in steps.iter().enumerate() {
                let before = steps[..n].iter().any(|one| (&one.study, &one.step) == (&row.study, &row.step));
                let sql = "SELECT 1 FROM scheduled WHERE study = $1 AND step = $2";
                new += u64::from(!before && !group.any(sql, &[&Text(&row.study), &Text(&row.step)])?);
            }
            let known: i64 = get(&group.one("SELECT count(*) FROM scheduled", &[])?, 0)?;
            if u64::try_from(known).unwrap_or(0) + new > most {
                return Ok(None);
            }
            let sql = "INSERT INTO scheduled (study, step, day, item) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (study, step) DO UPDATE SET day = excluded.day, item = excluded.item";
            for row in &steps {
                let row = [&row.study, &row.step, &row.day, &row.item].map(|text| Text(text));
                group.execute(sql, &[&row[0], &row[1], &row[2], &row[3]])?;
            }
            Ok(Some(new))
        })
    }

    fn scheduled(&self, from: &str, to: &str) -> Result<Vec<ScheduledRow>, Error> {
        let sql =
            "SELECT study, step, day, item FROM scheduled WHERE day >= $1 AND day <= $2 ORDER BY day, study, step";
        self.ask(|session| session.rows(sql, &[&Text(from), &Text(to)]))?.iter().map(scheduled).collect()
    }

    fn remove_scheduled(&self, study: &str, step: &str) -> Result<bool, Error> {
        let (study, step) = (study.to_owned(), step.to_owned());
        let sql = "DELETE FROM scheduled WHERE study = $1 AND step = $2";
        self.write(move |group| Ok(group.execute(sql, &[&Text(&study), &Text(&step)])? > 0))
    }

    fn forget_scheduled(&self, before: &str) -> Result<u64, Error> {
        let before = before.to_owned();
        self.write(move |group| group.execute("DELETE FROM scheduled WHERE day < $1", &[&Text(&before)]))
    }

    fn add_performed(&self, uid: &str, item: &str) -> Result<bool, Error> {
        let (uid, item) = (uid.to_owned(), item.to_owned());
        let sql =
            format!("INSERT INTO performed (uid, changed, item) VALUES ($1, {NOW}, $2) ON CONFLICT (uid) DO NOTHING");
        self.write(move |group| Ok(group.execute(&sql, &[&Text(&uid), &Text(&item)])? > 0))
    }

    fn performed(&self, uid: &str) -> Result<Option<PerformedRow>, Error> {
        let sql = "SELECT uid, changed, item FROM performed WHERE uid = $1";
        let row = self.ask(|session| session.row(sql, &[&Text(uid)]))?;
        row.as_ref().map(performed).transpose()
    }

    fn last_performed(&self, most: u32) -> Result<Vec<PerformedRow>, Error> {
        let sql = "SELECT uid, changed, item FROM performed ORDER BY changed DESC, uid LIMIT $1";
        let most = i64::from(most);
        self.ask(|session| session.rows(sql, &[&most]))?.iter().map(performed).collect()
    }

    fn change_performed(&self, uid: &str, was: &str, item: &str) -> Result<bool, Error> {
        let (uid, was, item) = (uid.to_owned(), was.to_owned(), item.to_owned());
        let sql = format!("UPDATE performed SET changed = {NOW}, item = $1 WHERE uid = $2 AND item = $3");
        self.write(move |group| Ok(group.execute(&sql, &[&Text(&item), &Text(&uid), &Text(&was)])? > 0))
    }

    fn forget_performed(&self, before: i64) -> Result<u64, Error> {
        self.write(move |group| group.execute("DELETE FROM performed WHERE changed < $1", &[&before]))
    }
}

fn scheduled(row: &Row) -> Result<ScheduledRow, Error> {
    Ok(ScheduledRow { study: get(row, 0)?, step: get(row, 1)?, day: get(row, 2)?, item: get(row, 3)? })
}

fn performed(row: &Row) -> Result<PerformedRow, Error> {
    Ok(PerformedRow { uid: get(row, 0)?, changed: get(row, 1)?, item: get(row, 2)? })
}
