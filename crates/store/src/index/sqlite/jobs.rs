//! Jobs: leased, ended by the swap of one pointer, listed.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::changes::tell;
use super::engine::Sqlite;
use super::evidence::{add_figures, add_opinions, insert_evidence};
use super::instances::key;
use super::register::{CONVERTED, healed, insert_object, touch};
use super::removal::is_leaving;
use super::requeue::{WAITS_AGAIN, decided, requeue, waits};
use super::values::now;
use super::ways_back::{keep_way, released};
use crate::Error;
use crate::index::changes::ChangeKind;
use crate::index::jobs::{Became, Conversion, Decision, Job, JobEnd, Jobs, LEASE, Retry, State, Waiting};
use crate::index::key::InstanceKey;
use crate::objects::Key;

/// Of an instance by its UIDs.
const OF_INSTANCE: &str = "FROM studies s JOIN series e ON e.study = s.id JOIN instances i ON i.series = e.id \
    JOIN jobs j ON j.instance = i.id";

impl Jobs for Sqlite {
    fn requeue(&self, policy: &str, retry: Retry) -> Result<(), Error> {
        let policy = policy.to_owned();
        self.write(move |index| requeue(index, &policy, retry, now()))
    }

    fn waits(&self, policy: &str) -> Result<bool, Error> {
        self.read(|snapshot| waits(snapshot, policy, now()))
    }

    fn lease(&self, run: &str, most: u32) -> Result<Vec<Job>, Error> {
        let run = run.to_owned();
        self.write(move |index| {
            let sql = "UPDATE jobs SET state = 1, run = ?, until = ?, attempts = attempts + 1 WHERE instance IN \
                 (SELECT instance FROM jobs WHERE state = 0 ORDER BY instance LIMIT ?) RETURNING instance";
            let mut lease = index.prepare_cached(sql)?;
            let leased = lease.query_map(params![run, now() + LEASE, most], |row| row.get::<_, i64>(0))?;
            let leased = leased.collect::<Result<Vec<_>, _>>()?;
            leased.into_iter().map(|instance| job(index, instance)).collect()
        })
    }

    fn lease_one(&self, run: &str, key: &InstanceKey) -> Result<Option<Job>, Error> {
        let (run, key) = (run.to_owned(), key.clone());
        self.write(move |index| {
            let sql = "UPDATE jobs SET state = 1, run = ?, until = ?, attempts = attempts + 1 WHERE state = 0 AND \
                 instance = (SELECT i.id FROM instances i JOIN series e ON e.id = i.series \
                 JOIN studies s ON s.id = e.study WHERE s.uid = ? AND e.uid = ? AND i.uid = ?) RETURNING instance";
            let mut lease = index.prepare_cached(sql)?;
            let until = now() + LEASE;
            let leased = lease.query_row(params![run, until, key.study, key.series, key.sop], |row| row.get(0));
            leased.optional()?.map(|instance| job(index, instance)).transpose()
        })
    }

    fn is_leased(&self, key: &InstanceKey) -> Result<bool, Error> {
        let sql = format!("SELECT j.state = 1 {OF_INSTANCE} WHERE s.uid = ? AND e.uid = ? AND i.uid = ?");
        let leased = self.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(&sql)?;
            Ok(statement.query_row([&key.study, &key.series, &key.sop], |row| row.get(0)).optional()?)
        })?;
        Ok(leased.unwrap_or(false))
    }

    fn renew(&self, run: &str) -> Result<(), Error> {
        let run = run.to_owned();
        self.write(move |index| {
            index.execute("UPDATE jobs SET until = ? WHERE state = 1 AND run = ?", params![now() + LEASE, run])?;
            Ok(())
        })
    }

    fn give_back(&self, run: &str) -> Result<(), Error> {
        let run = run.to_owned();
        self.write(move |index| {
            let sql = "UPDATE jobs SET state = 0, run = NULL, attempts = attempts - 1 WHERE state = 1 AND run = ?";
            index.execute(sql, [run])?;
            Ok(())
        })
    }

    fn lessees(&self) -> Result<Vec<String>, Error> {
        let sql = "SELECT substr(run, 1, instr(run, '/') - 1) FROM jobs WHERE state = 1 \
             UNION SELECT substr(run, 1, instr(run, '/') - 1) FROM removals WHERE run IS NOT NULL";
        self.read(|snapshot| {
            let mut lessees = snapshot.prepare(sql)?;
            Ok(lessees.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
        })
    }

    fn release_dead(&self, lessees: &[String]) -> Result<(), Error> {
        let lessees = lessees.to_vec();
        self.write(move |index| {
            let sql =
                "UPDATE jobs SET state = 0, run = NULL WHERE state = 1 AND substr(run, 1, instr(run, '/') - 1) = ?";
            let mut release = index.prepare_cached(sql)?;
            lessees.iter().try_for_each(|lessee| release.execute([lessee]).map(drop))?;
            let sql = "UPDATE removals SET run = NULL, until = NULL WHERE substr(run, 1, instr(run, '/') - 1) = ?";
            let mut release = index.prepare_cached(sql)?;
            lessees.iter().try_for_each(|lessee| release.execute([lessee]).map(drop))?;
            Ok(())
        })
    }

    fn finish(&self, run: &str, policy: &str, job: &Job, end: JobEnd) -> Result<bool, Error> {
        let (run, policy, job) = (run.to_owned(), policy.to_owned(), job.clone());
        self.write(move |index| match end {
            JobEnd::Converted(done) => converted(index, &run, &policy, &job, &done),
            JobEnd::Kept { rule, reason, levels, figures } => {
                if !ended(index, &run, &job, State::Kept, Some(&policy), &rule, &reason)? {
                    return Ok(false);
                }
                decided(index, &policy)?;
                add_figures(index, &figures)?;
                levels.map_or(Ok(()), |frames| set_levels(index, &job, &frames))?;
                Ok(true)
            }
            JobEnd::Failed { reason, may_pass, figures } => {
                let policy = (!may_pass).then_some(&*policy);
                if !ended(index, &run, &job, State::Failed, policy, "", &reason)? {
                    return Ok(false);
                }
                policy.map_or(Ok(()), |policy| decided(index, policy))?;
                add_figures(index, &figures)?;
                Ok(true)
            }
        })
    }

    fn became(&self, key: &InstanceKey) -> Result<Option<Became>, Error> {
        let sql = format!(
            "SELECT j.state, coalesce(j.rule, ''), coalesce(j.reason, ''), r.bytes, r.syntax, o.bytes, o.syntax, \
             o.facts, j.state = 4 AND j.policy IS NULL {OF_INSTANCE} JOIN objects r ON r.id = i.received \
             JOIN objects o ON o.id = i.object WHERE s.uid = ? AND e.uid = ? AND i.uid = ?"
        );
        self.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(&sql)?;
            let found = statement.query_row([&key.study, &key.series, &key.sop], |row| {
                let facts: String = row.get(7)?;
                Ok(Became {
                    state: State::of(row.get(0)?),
                    rule: row.get(1)?,
                    reason: row.get(2)?,
                    may_pass: row.get(8)?,
                    received: (row.get(3)?, row.get(4)?),
                    current: (row.get(5)?, row.get(6)?),
                    frames: serde_json::from_str::<dicom::Facts>(&facts).map_or(0, |facts| facts.frames),
                })
            });
            Ok(found.optional()?)
        })
    }

    fn backlog(&self, policy: &str, after: i64, most: usize) -> Result<Vec<Waiting>, Error> {
        // By the numbers of jobs alone: through the index on states, each call would sort all that wait.
        let sql = format!(
            "SELECT i.id, s.uid, e.uid, i.uid, o.bytes, o.syntax, e.modality, s.date FROM jobs j NOT INDEXED \
             JOIN instances i ON i.id = j.instance JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study \
             JOIN objects o ON o.id = i.received WHERE (j.state = 0 OR {WAITS_AGAIN}) AND j.instance > ?3 \
             ORDER BY j.instance LIMIT ?4"
        );
        self.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(&sql)?;
            let waiting = statement.query_map(params![policy, now(), after, most], |row| {
                Ok(Waiting {
                    id: row.get(0)?,
                    key: key(row, 1)?,
                    bytes: row.get(4)?,
                    syntax: row.get(5)?,
                    modality: row.get(6)?,
                    study_date: row.get(7)?,
                })
            })?;
            Ok(waiting.collect::<Result<_, _>>()?)
        })
    }

    fn decisions(&self, state: State, offset: usize, most: usize) -> Result<Vec<Decision>, Error> {
        let sql = "SELECT s.uid, e.uid, i.uid, coalesce(j.rule, ''), coalesce(j.reason, ''), j.attempts, j.changed \
             FROM jobs j JOIN instances i ON i.id = j.instance JOIN series e ON e.id = i.series \
             JOIN studies s ON s.id = e.study WHERE j.state = ? ORDER BY j.instance LIMIT ? OFFSET ?";
        self.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(sql)?;
            let decisions = statement.query_map(params![state.number(), most, offset], |row| {
                Ok(Decision {
                    key: key(row, 0)?,
                    state,
                    rule: row.get(3)?,
                    reason: row.get(4)?,
                    attempts: row.get(5)?,
                    changed: row.get(6)?,
                })
            })?;
            Ok(decisions.collect::<Result<_, _>>()?)
        })
    }

    fn commits(&self) -> u64 {
        self.writer.commits().count()
    }

    fn wait_for_commit(&self, seen: u64, longest: Duration) {
        self.writer.commits().wait(seen, longest);
    }
}

fn job(index: &Connection, instance: i64) -> Result<Job, Error> {
    let sql = "SELECT i.id, e.id, s.id, o.id, s.uid, e.uid, i.uid, o.key, o.bytes, e.modality FROM instances i \
         JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study JOIN objects o ON o.id = i.received \
         WHERE i.id = ?";
    let row = |row: &Row<'_>| {
        Ok(Job {
            instance: row.get(0)?,
            series: row.get(1)?,
            study: row.get(2)?,
            object: row.get(3)?,
            key: key(row, 4)?,
            received: Key::new(row.get(7)?),
            bytes: row.get(8)?,
            modality: row.get(9)?,
        })
    };
    Ok(index.prepare_cached(sql)?.query_row([instance], row)?)
}

/// Records how a job ended; false when its lease was lost.
fn ended(
    index: &Connection,
    run: &str,
    job: &Job,
    state: State,
    policy: Option<&str>,
    rule: &str,
    reason: &str,
) -> Result<bool, Error> {
    let sql = "UPDATE jobs SET state = ?, run = NULL, policy = ?, rule = ?, reason = ?, changed = ? \
         WHERE instance = ? AND state = 1 AND run = ?";
    let mut end = index.prepare_cached(sql)?;
    Ok(end.execute(params![state.number(), policy, rule, reason, now(), job.instance, run])? == 1)
}

/// Adds the object and its evidence, and makes it the one that is handed out. One without a way back never takes the place of one that
/// may be all that is left of what was received: the job failed then.
fn converted(index: &Connection, run: &str, policy: &str, job: &Job, done: &Conversion) -> Result<bool, Error> {
    if is_leaving(index, &done.object.key, done.object.since)? {
        return ended(index, run, job, State::Failed, None, "", "its converted object was just being deleted");
    }
    if let Err(reason) = &done.way_back
        && released(index, job.object)?
    {
        let reason = format!("no way back to what was released: {reason}");
        return Ok(ended(index, run, job, State::Failed, Some(policy), &done.rule, &reason)? && {
            decided(index, policy)?;
            true
        });
    }
    if !ended(index, run, job, State::Converted, Some(policy), &done.rule, "")? {
        return Ok(false);
    }
    let object = match known(index, job, done)? {
        Some(object) => object,
        None => insert_object(index, &done.object, job.instance, CONVERTED)?,
    };
    insert_evidence(index, policy, job, object, done)?;
    healed(index, &done.object.key)?;
    keep_way(index, job.object, object, &done.way_back)?;
    index.prepare_cached("UPDATE instances SET object = ? WHERE id = ?")?.execute([object, job.instance])?;
    touch(index, job.study, job.series, 0)?;
    tell(index, ChangeKind::Converted, job.instance)?;
    add_opinions(index, &done.opinions)?;
    add_figures(index, &done.figures)?;
    Ok(true)
}

/// The very bytes may be there: from a run before, or received as they are. Then they gain what is known now.
fn known(index: &Connection, job: &Job, done: &Conversion) -> Result<Option<i64>, Error> {
    let find = "UPDATE objects SET facts = ?, frames = ? WHERE key = ? AND instance = ? RETURNING id";
    let mut find = index.prepare_cached(find)?;
    let object = &done.object;
    let parameters = params![object.facts, object.frames, object.key.as_bytes(), job.instance];
    Ok(find.query_row(parameters, |row| row.get(0)).optional()?)
}

/// Adds levels to the frame table of the object that is handed out, when that is the received one.
fn set_levels(index: &Connection, job: &Job, frames: &[u8]) -> Result<(), Error> {
    let changed = index
        .prepare_cached("UPDATE objects SET frames = ?1 WHERE id = ?2 AND frames <> ?1")?
        .execute(params![frames, job.object])?;
    match changed {
        0 => Ok(()),
        _ => touch(index, job.study, job.series, 0),
    }
}
