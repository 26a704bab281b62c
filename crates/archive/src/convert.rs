//! Conversion jobs: leased from the index, done by `transcode`, ended by the swap of one pointer.
//!
//! Only a [`Verified`] becomes a converted object: [`Inner::keep_converted`] takes nothing else, and only
//! [`transcode::convert`] can make one. The received object stays.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, params};
use store::{Key, Spool, objects};
use transcode::{Action, Context, Decision, NoWayBack, Origin, Outcome, Policy, Residue, Verified};
use transcode::{Check, Class, Opinions, Tally};

use crate::archive::Inner;
use crate::evidence::pack;
use crate::figures;
use crate::index::{self, Index, Retry, encode_frames, now, requeue};
use crate::ingest::{CONVERTED, NewObject, healed, touch};
use crate::instance::{facts_json, frame_table};
use crate::{Archive, Error, InstanceKey, levels, way_back};

/// What happened to one instance, told while [`Archive::convert_pending`] runs.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Re-encoded, verified and swapped in.
    Converted {
        /// The instance.
        key: InstanceKey,
        /// The rule that asked for it.
        rule: String,
        /// Transfer syntax UID before.
        from: String,
        /// Transfer syntax UID after.
        to: String,
        /// Bytes of the received object.
        bytes_in: u64,
        /// Bytes of the converted object.
        bytes_out: u64,
        /// Frames.
        frames: u32,
    },
    /// Stays as received.
    Kept {
        /// The instance.
        key: InstanceKey,
        /// The rule that says so.
        rule: String,
        /// Why.
        reason: String,
    },
    /// Could not be converted now; stays as received, and the reason is recorded.
    Failed {
        /// The instance.
        key: InstanceKey,
        /// Why.
        error: Error,
    },
}

/// Counts of one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Instances re-encoded.
    pub converted: u64,
    /// Instances kept as received.
    pub kept: u64,
    /// Instances that failed.
    pub failed: u64,
    /// Received bytes of the instances converted.
    pub bytes_in: u64,
    /// Stored bytes of the instances converted.
    pub bytes_out: u64,
}

/// A lease that is not renewed ends after so many seconds.
const LEASE: i64 = 600;
const RENEW: Duration = Duration::from_secs(60);
/// How long one instance is waited for that another run has.
const PATIENCE: Duration = Duration::from_secs(3);
/// Jobs a thread leases at once.
const BATCH: u32 = 4;

/// A lossy copy has a UID of its own: it can't take the place of what was received.
const LOSSY: &str = "an archive makes no lossy copies: `firstlight convert` writes them to a folder";

// States of a job that a run ends in; 0 waits, 1 is leased.
const DONE: i64 = 2;
const KEPT: i64 = 3;
const FAILED: i64 = 4;

impl Archive {
    /// Converts what waits for conversion with `jobs` threads; returns when nothing waits or `stop` is set.
    ///
    /// `progress` is called in the calling thread. Instances that were kept or that failed under another policy
    /// are looked at again. Those that failed for want of the storage are tried again by the first call on an opened archive, and by
    /// later ones after a pause that grows with every attempt. The error is one of the index; those of instances are events, and
    /// recorded.
    pub fn convert_pending(
        &self,
        policy: &Policy,
        jobs: usize,
        stop: &AtomicBool,
        progress: &dyn Fn(Event),
    ) -> Result<Summary, Error> {
        let retry = if self.inner.retried.swap(true, Ordering::Relaxed) { Retry::Rested } else { Retry::Now };
        let run = Run::begin(self, policy, retry)?;
        let (tell, events) = channel();
        let (mut summary, mut renewed) = (Summary::default(), Instant::now());
        let worked = thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs.max(1))
                .map(|_| {
                    let (run, tell) = (&run, tell.clone());
                    scope.spawn(move || run.work(stop, &tell))
                })
                .collect();
            drop(tell);
            loop {
                match events.recv_timeout(RENEW) {
                    Ok(event) => {
                        summary.count(&event);
                        progress(event);
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                if renewed.elapsed() >= RENEW {
                    renewed = Instant::now();
                    // A lease that could not be renewed now is renewed next time.
                    let _ = run.renew().inspect_err(|error| tracing::warn!(%error, "leases were not renewed"));
                }
            }
            workers.into_iter().try_for_each(|worker| worker.join().unwrap_or(Err(Error::Closed)))
        });
        run.release()?;
        worked?;
        if summary != Summary::default() {
            // What viewers ask for first is ready before they ask. Should it fail, it is made when it is asked for.
            let _ = self.prepare_metadata().inspect_err(|error| tracing::warn!(%error, "preparing metadata"));
        }
        Ok(summary)
    }

    /// Has [`Archive::convert_pending`] something to do under this policy? Should it have nothing now, it is asked again once something
    /// was stored, or so long has passed. What does not wait costs nothing.
    pub fn wait_for_work(&self, policy: &Policy, longest: Duration) -> Result<bool, Error> {
        let Inner { index, retried, .. } = &*self.inner;
        let hash = policy.hash();
        let waits =
            || Ok::<_, Error>(!retried.load(Ordering::Relaxed) || index.read(|s| index::waits(s, &hash, now()))?);
        let seen = index.commits();
        if waits()? {
            return Ok(true);
        }
        index.wait_for_commit(seen, longest);
        waits()
    }
}

impl Summary {
    fn count(&mut self, event: &Event) {
        match event {
            Event::Converted { bytes_in, bytes_out, .. } => {
                self.converted += 1;
                self.bytes_in += bytes_in;
                self.bytes_out += bytes_out;
            }
            Event::Kept { .. } => self.kept += 1,
            Event::Failed { .. } => self.failed += 1,
        }
    }
}

/// Hands on what runs had leased that are no more: whether they died, or ended on a full disk and could not say so.
pub(crate) fn release_dead(index: &Index, spool: &Spool) -> Result<(), Error> {
    let leasing = index.read(|snapshot| {
        let sql = "SELECT DISTINCT substr(run, 1, instr(run, '/') - 1) FROM jobs WHERE state = 1";
        let mut runs = snapshot.prepare(sql)?;
        let runs = runs.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        Ok(runs)
    })?;
    let dead: Vec<String> = leasing.into_iter().filter(|run| !spool.is_alive(run)).collect();
    if dead.is_empty() {
        return Ok(());
    }
    index.write(move |index| {
        let sql = "UPDATE jobs SET state = 0, run = NULL WHERE state = 1 AND substr(run, 1, instr(run, '/') - 1) = ?";
        let mut release = index.prepare_cached(sql)?;
        dead.iter().try_for_each(|run| release.execute([run]).map(drop))?;
        Ok(())
    })
}

/// One call of [`Archive::convert_pending`].
pub(crate) struct Run<'a> {
    inner: &'a Inner,
    policy: &'a Policy,
    hash: String,
    /// Who holds the leases: the run of the program, and the call.
    name: String,
    host: String,
    pub(crate) opinions: Opinions,
}

pub(crate) struct Job {
    instance: i64,
    series: i64,
    study: i64,
    object: i64,
    key: InstanceKey,
    received: Key,
    bytes: u64,
    modality: String,
}

/// What became of a job, ready for the index.
enum End {
    Converted(Box<Done>),
    Kept { rule: String, reason: String, levels: Option<Vec<u8>> },
}

/// A conversion that is done: its object is durable.
struct Done {
    object: Converted,
    evidence: Vec<u8>,
    event: Event,
    class: Class,
    opinions: Tally,
}

/// A converted object that is durable, and what the index will know of it.
struct Converted {
    key: Key,
    bytes: u64,
    syntax: String,
    facts: String,
    frames: Vec<u8>,
    rule: String,
    codec: String,
    samples_sha256: String,
    way_back: Result<Residue, NoWayBack>,
}

impl<'a> Run<'a> {
    pub(crate) fn begin(archive: &'a Archive, policy: &'a Policy, retry: Retry) -> Result<Run<'a>, Error> {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        let inner = &*archive.inner;
        let name = format!("{}/{}", inner.spool.run(), CALLS.fetch_add(1, Ordering::Relaxed));
        let opinions = Opinions::new(inner.sampling, figures::opinions(inner)?);
        let run = Run { inner, policy, hash: policy.hash(), name, host: transcode::host(), opinions };
        let hash = run.hash.clone();
        inner.index.write(move |index| requeue(index, &hash, retry, now()))?;
        Ok(run)
    }

    fn work(&self, stop: &AtomicBool, tell: &Sender<Event>) -> Result<(), Error> {
        let mut context = Context::new(self.opinions.clone());
        while !stop.load(Ordering::Relaxed) {
            let leased = self.lease()?;
            if leased.is_empty() {
                break;
            }
            for job in leased {
                if stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                if let Some(event) = self.one(job, &mut context)? {
                    let _ = tell.send(event);
                }
            }
        }
        Ok(())
    }

    /// Converts what was leased and records its end.
    pub(crate) fn one(&self, job: Job, context: &mut Context) -> Result<Option<Event>, Error> {
        let began = Instant::now();
        let done = catch_unwind(AssertUnwindSafe(|| self.convert(&job, context)));
        let done = done.unwrap_or_else(|panic| {
            *context = Context::new(self.opinions.clone());
            Err(Error::Damaged(format!("the conversion panicked: {}", text(&*panic))))
        });
        self.end(job, done, began.elapsed())
    }

    /// Leases the job of one instance, if it waits, or soon does: a run that has it ends it, or is dead.
    pub(crate) fn lease_one(&self, key: &InstanceKey) -> Result<Option<Job>, Error> {
        let began = Instant::now();
        loop {
            let leased = self.lease_now(key)?;
            if leased.is_some() || began.elapsed() > PATIENCE || !self.is_leased(key)? {
                return Ok(leased);
            }
            release_dead(&self.inner.index, &self.inner.spool)?;
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Has a run the job of this instance?
    fn is_leased(&self, key: &InstanceKey) -> Result<bool, Error> {
        let sql = "SELECT j.state = 1 FROM studies s JOIN series e ON e.study = s.id JOIN instances i ON i.series = e.id \
             JOIN jobs j ON j.instance = i.id WHERE s.uid = ? AND e.uid = ? AND i.uid = ?";
        let leased = self.inner.index.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(sql)?;
            Ok(statement.query_row([&key.study, &key.series, &key.sop], |row| row.get(0)).optional()?)
        })?;
        Ok(leased.unwrap_or(false))
    }

    fn lease_now(&self, key: &InstanceKey) -> Result<Option<Job>, Error> {
        let (name, key) = (self.name.clone(), key.clone());
        self.inner.index.write(move |index| {
            let sql = "UPDATE jobs SET state = 1, run = ?, until = ?, attempts = attempts + 1 WHERE state = 0 AND \
                 instance = (SELECT i.id FROM instances i JOIN series e ON e.id = i.series \
                 JOIN studies s ON s.id = e.study WHERE s.uid = ? AND e.uid = ? AND i.uid = ?) RETURNING instance";
            let mut lease = index.prepare_cached(sql)?;
            let until = now() + LEASE;
            let leased = lease.query_row(params![name, until, key.study, key.series, key.sop], |row| row.get(0));
            leased.optional()?.map(|instance| Job::read(index, instance)).transpose()
        })
    }

    fn lease(&self) -> Result<Vec<Job>, Error> {
        let name = self.name.clone();
        self.inner.index.write(move |index| {
            let sql = "UPDATE jobs SET state = 1, run = ?, until = ?, attempts = attempts + 1 WHERE instance IN \
                 (SELECT instance FROM jobs WHERE state = 0 ORDER BY instance LIMIT ?) RETURNING instance";
            let mut lease = index.prepare_cached(sql)?;
            let leased = lease.query_map(params![name, now() + LEASE, BATCH], |row| row.get::<_, i64>(0))?;
            let leased = leased.collect::<Result<Vec<_>, _>>()?;
            leased.into_iter().map(|instance| Job::read(index, instance)).collect()
        })
    }

    pub(crate) fn renew(&self) -> Result<(), Error> {
        let name = self.name.clone();
        self.inner.index.write(move |index| {
            index.execute("UPDATE jobs SET until = ? WHERE state = 1 AND run = ?", params![now() + LEASE, name])?;
            Ok(())
        })
    }

    /// Gives back what was leased and not begun.
    pub(crate) fn release(&self) -> Result<(), Error> {
        let name = self.name.clone();
        self.inner.index.write(move |index| {
            let sql = "UPDATE jobs SET state = 0, run = NULL, attempts = attempts - 1 WHERE state = 1 AND run = ?";
            index.execute(sql, [name])?;
            Ok(())
        })
    }

    fn convert(&self, job: &Job, context: &mut Context) -> Result<End, Error> {
        match self.try_convert(job, context) {
            // What looks like an instance that can't be read may be one that the storage damaged.
            Err(error) if !error.may_pass() => self.inner.expect_intact(job).and(Err(error)),
            other => other,
        }
    }

    fn try_convert(&self, job: &Job, context: &mut Context) -> Result<End, Error> {
        let mut source = self.inner.source(&job.received, job.bytes)?;
        source.expect_sha256(*job.received.as_bytes());
        if let Decision { rule, then: Action::Convert(target), .. } = self.policy.decide(source.facts())
            && target.is_lossy()
        {
            return Ok(End::Kept { rule, reason: LOSSY.into(), levels: levels::received(&source)? });
        }
        let outcome = transcode::convert(&source, self.policy, context, &self.inner.spool.path())?;
        match outcome {
            Outcome::Converted(verified) => {
                // A way back was proven to lead to the very bytes that were received; without one they are looked at.
                if verified.way_back.is_err() {
                    self.inner.expect_intact(job)?;
                }
                let evidence = pack(verified.frames())?;
                let event = Event::Converted {
                    key: job.key.clone(),
                    rule: verified.rule.clone(),
                    from: verified.source_syntax.uid().to_owned(),
                    to: verified.target_syntax.uid().to_owned(),
                    bytes_in: job.bytes,
                    bytes_out: verified.bytes_out,
                    frames: source.facts().frames,
                };
                let (class, opinions) = (verified.class.clone(), verified.tally());
                let object = self.inner.keep_converted(*verified)?;
                Ok(End::Converted(Box::new(Done { object, evidence, event, class, opinions })))
            }
            Outcome::Kept { reason, rule } => {
                // What looks damaged may be so since it is stored: then it is no reason to keep it, but a fault.
                if source.check_frames().is_err() {
                    self.inner.expect_intact(job)?;
                }
                Ok(End::Kept { rule, reason, levels: levels::received(&source)? })
            }
            Outcome::Disproved(disproved) => {
                self.inner.expect_intact(job)?;
                let (reason, class) = (disproved.reason.clone(), disproved.class.clone());
                if disproved.check == Check::SecondOpinion {
                    let tally = Tally { disagreed: 1, ..Tally::default() };
                    self.inner.index.write(move |index| figures::add_opinions(index, &class, tally))?;
                }
                let sha256 = job.received.to_string();
                let (source, sop_instance_uid) = (String::new(), job.key.sop.clone());
                let origin = Origin { source, source_bytes: None, sha256, sop_instance_uid };
                self.inner.quarantine.take(*disproved, &origin, now())?;
                Err(Error::Disproved(reason))
            }
        }
    }

    /// Records the end of a job; `None` when its lease was lost meanwhile and another did it.
    fn end(&self, job: Job, done: Result<End, Error>, took: Duration) -> Result<Option<Event>, Error> {
        let (name, hash, host, key) = (self.name.clone(), self.hash.clone(), self.host.clone(), job.key.clone());
        let mine = move |index: &Connection, job: &Job, state, policy: Option<&str>, rule: &str, reason: &str| {
            let sql = "UPDATE jobs SET state = ?, run = NULL, policy = ?, rule = ?, reason = ?, changed = ? \
                 WHERE instance = ? AND state = 1 AND run = ?";
            let mut end = index.prepare_cached(sql)?;
            let mine = end.execute(params![state, policy, rule, reason, now(), job.instance, name])? == 1;
            if let (true, KEPT | FAILED, Some(policy)) = (mine, state, policy) {
                index::decided(index, policy)?;
            }
            Ok::<_, Error>(mine)
        };
        let index = &self.inner.index;
        let (mine, event) = match done {
            Ok(End::Converted(done)) => {
                let Done { object, evidence, event, class, opinions } = *done;
                let frames = if let Event::Converted { frames, .. } = &event { u64::from(*frames) } else { 0 };
                let swapped = index.write(move |index| {
                    if !mine(index, &job, DONE, Some(&hash), &object.rule, "")? {
                        return Ok(false);
                    }
                    object.swap_in(index, &job, &hash, &host, took, &evidence)?;
                    figures::add_opinions(index, &class, opinions)?;
                    let (modality, syntax) = (&job.modality, &object.syntax);
                    let (bytes_in, bytes_out, milliseconds) = (job.bytes, object.bytes, took.as_millis() as u64);
                    figures::Converted { modality, syntax, bytes_in, bytes_out, frames, milliseconds }.add(index)?;
                    Ok(true)
                })?;
                (swapped, event)
            }
            Ok(End::Kept { rule, reason, levels }) => {
                let event = Event::Kept { key, rule: rule.clone(), reason: reason.clone() };
                let kept = index.write(move |index| {
                    if !mine(index, &job, KEPT, Some(&hash), &rule, &reason)? {
                        return Ok(false);
                    }
                    figures::add_kept(index, &job.modality, &rule, &reason)?;
                    levels.map_or(Ok(()), |frames| set_levels(index, &job, &frames))?;
                    Ok(true)
                })?;
                (kept, event)
            }
            Err(error) => {
                let (reason, passes) = (error.to_string(), error.may_pass());
                let failed = index.write(move |index| {
                    let mine = mine(index, &job, FAILED, (!passes).then_some(&*hash), "", &reason)?;
                    if mine {
                        figures::add_failed(index, &job.modality, &reason)?;
                    }
                    Ok(mine)
                })?;
                (failed, Event::Failed { key, error })
            }
        };
        Ok(mine.then_some(event))
    }
}

impl Job {
    fn read(index: &Connection, instance: i64) -> Result<Job, Error> {
        let sql = "SELECT i.id, e.id, s.id, o.id, s.uid, e.uid, i.uid, o.key, o.bytes, e.modality FROM instances i \
             JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study JOIN objects o ON o.id = i.received \
             WHERE i.id = ?";
        let job = index.prepare_cached(sql)?.query_row([instance], |row| {
            Ok(Job {
                instance: row.get(0)?,
                series: row.get(1)?,
                study: row.get(2)?,
                object: row.get(3)?,
                key: InstanceKey { study: row.get(4)?, series: row.get(5)?, sop: row.get(6)? },
                received: Key::new(row.get(7)?),
                bytes: row.get(8)?,
                modality: row.get(9)?,
            })
        })?;
        Ok(job)
    }
}

impl Inner {
    /// Is a received object still what was stored? One that was released is proven to be when it is made again.
    fn expect_intact(&self, job: &Job) -> Result<(), Error> {
        match objects::hash(&*self.objects, &job.received, job.bytes) {
            Ok(found) if found == job.received => Ok(()),
            Ok(_) => Err(Error::Damaged("the received object is not what was stored".into())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::io(format!("reading object {}", job.received))(error)),
        }
    }

    /// Makes a verified file an object, synced once, under the hash that verification took. What is in the store is opened again:
    /// its frames must be where they were verified.
    fn keep_converted(&self, verified: Verified) -> Result<Converted, Error> {
        let frames = levels::written(verified.frames());
        let (rule, codec) = (verified.rule.clone(), verified.codec.clone());
        let (samples_sha256, way_back) = (verified.samples_sha256.clone(), verified.way_back.clone());
        let key = Key::parse(&verified.file_sha256);
        let key = key.ok_or_else(|| Error::Damaged("a verified file came without its hash".into()))?;
        let bytes = verified.bytes_out;
        let staged = self.spool.take(verified.into_path(), key, bytes);
        let staged = staged.map_err(Error::io("taking over the converted object"))?;
        self.put_whole(staged)?;
        let source = self.source(&key, bytes)?;
        if !levels::same_places(&frame_table(&source), &frames) {
            return Err(Error::Damaged("the frames of the converted object are not where they were written".into()));
        }
        Ok(Converted {
            key,
            bytes,
            syntax: source.facts().transfer_syntax.uid().to_owned(),
            facts: facts_json(source.facts()),
            frames: encode_frames(&frames),
            rule,
            codec,
            samples_sha256,
            way_back,
        })
    }
}

impl Converted {
    /// Adds the object and its evidence, and makes it the one that is handed out.
    fn swap_in(
        &self,
        index: &Connection,
        job: &Job,
        policy: &str,
        host: &str,
        took: Duration,
        evidence: &[u8],
    ) -> Result<(), Error> {
        let object = match self.known(index, job)? {
            Some(object) => object,
            None => NewObject {
                key: self.key,
                instance: job.instance,
                role: CONVERTED,
                bytes: self.bytes,
                syntax: &self.syntax,
                facts: &self.facts,
                frames: &self.frames,
            }
            .insert(index)?,
        };
        index
            .prepare_cached(
                "INSERT INTO evidence (instance, from_object, to_object, policy, rule, codec, samples_sha256, made, \
                 host, milliseconds, frames) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                job.instance,
                job.object,
                object,
                policy,
                self.rule,
                self.codec,
                self.samples_sha256,
                now(),
                host,
                took.as_millis() as u64,
                evidence
            ])?;
        healed(index, &self.key)?;
        way_back::keep(index, job.object, object, &self.way_back)?;
        index.prepare_cached("UPDATE instances SET object = ? WHERE id = ?")?.execute([object, job.instance])?;
        touch(index, job.study, job.series, 0)
    }
}

impl Converted {
    /// The very bytes may be there: from a run before, or received as they are. Then they gain what is known now.
    fn known(&self, index: &Connection, job: &Job) -> Result<Option<i64>, Error> {
        let find = "UPDATE objects SET facts = ?, frames = ? WHERE key = ? AND instance = ? RETURNING id";
        let mut find = index.prepare_cached(find)?;
        let parameters = params![self.facts, self.frames, self.key.as_bytes(), job.instance];
        Ok(find.query_row(parameters, |row| row.get(0)).optional()?)
    }
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

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}
