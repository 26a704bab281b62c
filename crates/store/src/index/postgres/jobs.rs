//! Jobs: leased by many programs without waiting for each other, ended by the swap of one pointer, listed.

use std::time::Duration;

use tokio_postgres::Row;

use super::engine::Postgres;
use super::evidence::insert_evidence;
use super::register::{CONVERTED, healed, insert_object};
use super::removal::is_leaving;
use super::requeue::{decided, requeue, waits, waits_again};
use super::task::Group;
use super::values::{NOW, Text, count, get, key, number, object};
use super::ways_back::{keep_way, released};
use crate::Error;
use crate::index::changes::ChangeKind;
use crate::index::jobs::{Became, Conversion, Decision, Job, JobEnd, Jobs, LEASE, Retry, State, Waiting};
use crate::index::key::InstanceKey;

/// Of an instance by its UIDs.
const OF_INSTANCE: &str = "FROM studies s JOIN series e ON e.study = s.id JOIN instances i ON i.series = e.id \
    JOIN jobs j ON j.instance = i.id";
const BY_KEY: &str = "WHERE s.uid = $1 AND e.uid = $2 AND i.uid = $3";
/// What is said of leased instances, as [`job`] reads it.
const LEASED: &str = "SELECT i.id, e.id, s.id, o.id, s.uid, e.uid, i.uid, o.key, o.bytes, e.modality FROM leased l \
    JOIN instances i ON i.id = l.instance JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study \
    JOIN objects o ON o.id = i.received ORDER BY i.id";

/// Leases the jobs that `next` finds, and reads them: the run is `$1`.
fn leasing(next: &str) -> String {
    format!(
        "WITH next AS MATERIALIZED ({next} FOR UPDATE OF j SKIP LOCKED), \
         leased AS (UPDATE jobs j SET state = 1, run = $1, until = {NOW} + {LEASE}, attempts = attempts + 1 FROM next n \
             WHERE j.instance = n.instance RETURNING j.instance) {LEASED}"
    )
}

impl Jobs for Postgres {
    fn requeue(&self, policy: &str, retry: Retry) -> Result<(), Error> {
        let policy = policy.to_owned();
        self.write(move |group| requeue(group, &policy, retry))
    }

    fn waits(&self, policy: &str) -> Result<bool, Error> {
        self.ask(|session| waits(session, policy))
    }

    fn lease(&self, run: &str, most: u32) -> Result<Vec<Job>, Error> {
        let run = run.to_owned();
        let sql = leasing("SELECT j.instance FROM jobs j WHERE j.state = 0 ORDER BY j.instance LIMIT $2");
        self.write(move |group| {
            let rows = group.rows(&sql, &[&Text(&run), &i64::from(most)])?;
            group.later().moved(0, 1, rows.len() as u64);
            rows.iter().map(job).collect()
        })
    }

    fn lease_one(&self, run: &str, key: &InstanceKey) -> Result<Option<Job>, Error> {
        let (run, key) = (run.to_owned(), key.clone());
        let sql = leasing(&format!(
            "SELECT j.instance {OF_INSTANCE} WHERE s.uid = $2 AND e.uid = $3 AND i.uid = $4 AND j.state = 0"
        ));
        self.write(move |group| {
            let row = group.row(&sql, &[&Text(&run), &key.study, &key.series, &key.sop])?;
            group.later().moved(0, 1, row.is_some().into());
            row.map(|row| job(&row)).transpose()
        })
    }

    fn is_leased(&self, key: &InstanceKey) -> Result<bool, Error> {
        let sql = format!("SELECT 1 {OF_INSTANCE} {BY_KEY} AND j.state = 1");
        self.ask(|session| session.any(&sql, &[&key.study, &key.series, &key.sop]))
    }

    fn renew(&self, run: &str) -> Result<(), Error> {
        let run = run.to_owned();
        let sql = format!("UPDATE jobs SET until = {NOW} + {LEASE} WHERE state = 1 AND run = $1");
        self.write(move |group| group.execute(&sql, &[&Text(&run)]).map(drop))
    }

    fn give_back(&self, run: &str) -> Result<(), Error> {
        let run = run.to_owned();
        let sql = "UPDATE jobs SET state = 0, run = NULL, attempts = attempts - 1 WHERE state = 1 AND run = $1";
        self.write(move |group| {
            let back = group.execute(sql, &[&Text(&run)])?;
            group.later().moved(1, 0, back);
            Ok(())
        })
    }

    fn lessees(&self) -> Result<Vec<String>, Error> {
        let sql = "SELECT split_part(run, '/', 1) FROM jobs WHERE state = 1 \
             UNION SELECT split_part(run, '/', 1) FROM removals WHERE run IS NOT NULL";
        let rows = self.ask(|session| session.rows(sql, &[]))?;
        rows.iter().map(|row| get(row, 0)).collect()
    }

    fn release_dead(&self, lessees: &[String]) -> Result<(), Error> {
        let lessees = lessees.to_vec();
        let sql = "UPDATE jobs SET state = 0, run = NULL WHERE state = 1 AND split_part(run, '/', 1) = ANY($1)";
        self.write(move |group| {
            let released = group.execute(sql, &[&lessees])?;
            group.later().moved(1, 0, released);
            let purges = "UPDATE removals SET run = NULL, until = NULL WHERE split_part(run, '/', 1) = ANY($1)";
            group.execute(purges, &[&lessees]).map(drop)
        })
    }

    fn finish(&self, run: &str, policy: &str, job: &Job, end: JobEnd) -> Result<bool, Error> {
        let (run, policy, job) = (run.to_owned(), policy.to_owned(), job.clone());
        self.write(move |group| match &end {
            JobEnd::Converted(done) => converted(group, &run, &policy, &job, done),
            JobEnd::Kept { rule, reason, levels, figures } => {
                if !ended(group, &run, &job, State::Kept, Some(&policy), rule, reason)? {
                    return Ok(false);
                }
                decided(group, &policy)?;
                group.later().figures(figures);
                levels.as_ref().map_or(Ok(()), |frames| set_levels(group, &job, frames))?;
                Ok(true)
            }
            JobEnd::Failed { reason, may_pass, figures } => {
                let policy = (!may_pass).then_some(&*policy);
                if !ended(group, &run, &job, State::Failed, policy, "", reason)? {
                    return Ok(false);
                }
                policy.map_or(Ok(()), |policy| decided(group, policy))?;
                group.later().figures(figures);
                Ok(true)
            }
        })
    }

    fn became(&self, key: &InstanceKey) -> Result<Option<Became>, Error> {
        let sql = format!(
            "SELECT j.state, coalesce(j.rule, ''), coalesce(j.reason, ''), r.bytes, r.syntax, o.bytes, o.syntax, \
             o.facts, j.state = 4 AND j.policy IS NULL {OF_INSTANCE} JOIN objects r ON r.id = i.received \
             JOIN objects o ON o.id = i.object {BY_KEY}"
        );
        let row = self.ask(|session| session.row(&sql, &[&key.study, &key.series, &key.sop]))?;
        let became = |row: Row| {
            let facts: &str = get(&row, 7)?;
            Ok(Became {
                state: State::of(get(&row, 0)?),
                rule: get(&row, 1)?,
                reason: get(&row, 2)?,
                may_pass: get(&row, 8)?,
                received: (count(&row, 3)?, get(&row, 4)?),
                current: (count(&row, 5)?, get(&row, 6)?),
                frames: serde_json::from_str::<dicom::Facts>(facts).map_or(0, |facts| facts.frames),
            })
        };
        row.map(became).transpose()
    }

    fn backlog(&self, policy: &str, after: i64, most: usize) -> Result<Vec<Waiting>, Error> {
        let sql = format!(
            "SELECT i.id, s.uid, e.uid, i.uid, o.bytes, o.syntax, e.modality, s.date FROM jobs j \
             JOIN instances i ON i.id = j.instance JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study \
             JOIN objects o ON o.id = i.received WHERE (j.state = 0 OR {}) AND j.instance > $2 \
             ORDER BY j.instance LIMIT $3",
            waits_again()
        );
        let rows = self.ask(|session| session.rows(&sql, &[&Text(policy), &after, &number(most as u64)]))?;
        let waiting = |row: &Row| {
            Ok(Waiting {
                id: get(row, 0)?,
                key: key(row, 1)?,
                bytes: count(row, 4)?,
                syntax: get(row, 5)?,
                modality: get(row, 6)?,
                study_date: get(row, 7)?,
            })
        };
        rows.iter().map(waiting).collect()
    }

    fn decisions(&self, state: State, offset: usize, most: usize) -> Result<Vec<Decision>, Error> {
        let sql = "SELECT s.uid, e.uid, i.uid, coalesce(j.rule, ''), coalesce(j.reason, ''), j.attempts, j.changed \
             FROM jobs j JOIN instances i ON i.id = j.instance JOIN series e ON e.id = i.series \
             JOIN studies s ON s.id = e.study WHERE j.state = $1 ORDER BY j.instance LIMIT $2 OFFSET $3";
        let (most, offset) = (number(most as u64), number(offset as u64));
        let rows = self.ask(|session| session.rows(sql, &[&state.number(), &most, &offset]))?;
        let decision = |row: &Row| {
            Ok(Decision {
                key: key(row, 0)?,
                state,
                rule: get(row, 3)?,
                reason: get(row, 4)?,
                attempts: u32::try_from(count(row, 5)?).unwrap_or(u32::MAX),
                changed: get(row, 6)?,
            })
        };
        rows.iter().map(decision).collect()
    }

    fn commits(&self) -> u64 {
        self.commits.count()
    }

    fn wait_for_commit(&self, seen: u64, longest: Duration) {
        self.commits.wait(seen, longest);
    }
}

fn job(row: &Row) -> Result<Job, Error> {
    Ok(Job {
        instance: get(row, 0)?,
        series: get(row, 1)?,
        study: get(row, 2)?,
        object: get(row, 3)?,
        key: key(row, 4)?,
        received: object(row, 7)?,
        bytes: count(row, 8)?,
        modality: get(row, 9)?,
    })
}

/// Records how a job ended; false when its lease was lost.
fn ended(
    group: &Group<'_>,
    run: &str,
    job: &Job,
    state: State,
    policy: Option<&str>,
    rule: &str,
    reason: &str,
) -> Result<bool, Error> {
    let sql = format!(
        "UPDATE jobs SET state = $1, run = NULL, policy = $2, rule = $3, reason = $4, changed = {NOW} \
         WHERE instance = $5 AND state = 1 AND run = $6"
    );
    let policy = policy.map(Text);
    let ended =
        group.execute(&sql, &[&state.number(), &policy, &Text(rule), &Text(reason), &job.instance, &Text(run)])?;
    group.later().moved(State::Leased.number(), state.number(), ended);
    Ok(ended == 1)
}

/// Adds the object and its evidence, and makes it the one that is handed out. One without a way back never takes the place of one that
/// may be all that is left of what was received: the job failed then.
fn converted(group: &Group<'_>, run: &str, policy: &str, job: &Job, done: &Conversion) -> Result<bool, Error> {
    if is_leaving(group, &done.object.key, done.object.since)? {
        return ended(group, run, job, State::Failed, None, "", "its converted object was just being deleted");
    }
    if let Err(reason) = &done.way_back
        && released(group, job.object)?
    {
        let reason = format!("no way back to what was released: {reason}");
        return Ok(ended(group, run, job, State::Failed, Some(policy), &done.rule, &reason)? && {
            decided(group, policy)?;
            true
        });
    }
    if !ended(group, run, job, State::Converted, Some(policy), &done.rule, "")? {
        return Ok(false);
    }
    let object = match known(group, job, done)? {
        Some(object) => object,
        None => insert_object(group, &done.object, job.instance, CONVERTED)?,
    };
    insert_evidence(group, policy, job, object, done)?;
    healed(group, &done.object.key)?;
    keep_way(group, job.object, object, &done.way_back)?;
    group.execute("UPDATE instances SET object = $1 WHERE id = $2", &[&object, &job.instance])?;
    let mut later = group.later();
    later.touch(job.study, job.series, 0);
    later.tell(ChangeKind::Converted, job.instance);
    later.opinions(&done.opinions);
    later.figures(&done.figures);
    Ok(true)
}

/// The very bytes may be there: from a run before, or received as they are. Then they gain what is known now.
fn known(group: &Group<'_>, job: &Job, done: &Conversion) -> Result<Option<i64>, Error> {
    let find = "UPDATE objects SET facts = $1, frames = $2 WHERE key = $3 AND instance = $4 RETURNING id";
    let of = &done.object;
    let row = group.row(find, &[&Text(&of.facts), &of.frames, &of.key.as_bytes().as_slice(), &job.instance])?;
    row.map(|row| get(&row, 0)).transpose()
}

/// Adds levels to the frame table of the object that is handed out, when that is the received one.
fn set_levels(group: &Group<'_>, job: &Job, frames: &[u8]) -> Result<(), Error> {
    let sql = "UPDATE objects SET frames = $1 WHERE id = $2 AND frames <> $1";
    if group.execute(sql, &[&frames, &job.object])? > 0 {
        group.later().touch(job.study, job.series, 0);
    }
    Ok(())
}
