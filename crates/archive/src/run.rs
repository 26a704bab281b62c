//! One call that converts: leases jobs from the index, has `transcode` do them, and ends them by the swap of one pointer.
//!
//! Only a [`Verified`] becomes a converted object: [`Inner::keep_converted`] takes nothing else, and only
//! [`transcode::convert`] can make one. The received object stays.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use store::index::frames::{FrameEntry, encode_frames};
use store::index::{Conversion, InstanceKey, Job, JobEnd, NewObject, Retry};
use store::{Key, objects};
use transcode::{Action, Context, Decision, Origin, Outcome, Policy, Verified};
use transcode::{Check, Opinions, Tally};

use crate::archive::{Archive, Inner, now};
use crate::error::Error;
use crate::event::Event;
use crate::evidence::pack;
use crate::instance::{facts_json, frame_table};
use crate::runs::release_dead;
use crate::{figures, levels};

/// How long one instance is waited for that another run has.
const PATIENCE: Duration = Duration::from_secs(3);
/// Jobs a thread leases at once.
const BATCH: u32 = 4;

/// A lossy copy has a UID of its own: it can't take the place of what was received.
const LOSSY: &str = "an archive makes no lossy copies: `firstlight convert` writes them to a folder";

/// One call of [`Archive::convert_pending`], or one converter.
pub(crate) struct Run<'a> {
    inner: &'a Inner,
    policy: &'a Policy,
    hash: String,
    /// Who holds the leases: the run of the program, and the call.
    name: String,
    host: String,
    pub(crate) opinions: Opinions,
}

/// What became of a job, ready for the index.
enum End {
    Converted(Box<Done>),
    Kept { rule: String, reason: String, levels: Option<Vec<u8>> },
}

/// A conversion that is done: its object is durable.
struct Done {
    conversion: Conversion,
    event: Event,
}

impl<'a> Run<'a> {
    /// Begins a call; jobs that it would do wait again.
    pub(crate) fn begin(archive: &'a Archive, policy: &'a Policy, retry: Retry) -> Result<Run<'a>, Error> {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        let inner = &*archive.inner;
        let name = format!("{}/{}", inner.spool.run(), CALLS.fetch_add(1, Ordering::Relaxed));
        let opinions = Opinions::new(inner.sampling, figures::opinions(&*inner.index)?);
        let run = Run { inner, policy, hash: policy.hash(), name, host: transcode::host(), opinions };
        inner.index.requeue(&run.hash, retry)?;
        Ok(run)
    }

    /// Leases and converts until nothing waits.
    pub(crate) fn work(&self, stop: &AtomicBool, tell: &Sender<Event>) -> Result<(), Error> {
        let mut context = Context::new(self.opinions.clone());
        while !stop.load(Ordering::Relaxed) {
            let leased = self.inner.index.lease(&self.name, BATCH)?;
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
        self.end(&job, done, began.elapsed())
    }

    /// Leases the job of one instance, if it waits, or soon does: a run that has it ends it, or is dead.
    pub(crate) fn lease_one(&self, key: &InstanceKey) -> Result<Option<Job>, Error> {
        let began = Instant::now();
        loop {
            let leased = self.inner.index.lease_one(&self.name, key)?;
            if leased.is_some() || began.elapsed() > PATIENCE || !self.inner.index.is_leased(key)? {
                return Ok(leased);
            }
            release_dead(&*self.inner.index, &self.inner.spool)?;
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Says that what is under way still is.
    pub(crate) fn renew(&self) -> Result<(), Error> {
        Ok(self.inner.index.renew(&self.name)?)
    }

    /// Gives back what was leased and not begun.
    pub(crate) fn release(&self) -> Result<(), Error> {
        Ok(self.inner.index.give_back(&self.name)?)
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
                let event = Event::Converted {
                    key: job.key.clone(),
                    rule: verified.rule.clone(),
                    from: verified.source_syntax.uid().to_owned(),
                    to: verified.target_syntax.uid().to_owned(),
                    bytes_in: job.bytes,
                    bytes_out: verified.bytes_out,
                    frames: source.facts().frames,
                };
                let conversion = self.inner.keep_converted(*verified)?;
                Ok(End::Converted(Box::new(Done { conversion, event })))
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
                    self.inner.index.add_opinions(&figures::opinions_row(&class, tally))?;
                }
                let sha256 = job.received.to_string();
                let (source, sop_instance_uid) = (String::new(), job.key.sop.clone());
                let origin = Origin { source, source_bytes: None, sha256, sop_instance_uid };
                self.inner.quarantine.take(*disproved, &origin, now())?;
                // What was deleted and forgotten meanwhile leaves nothing behind.
                if !self.inner.index.lists(&job.received)? {
                    self.inner.quarantine.forget(&[job.received.to_string()])?;
                }
                Err(Error::Disproved(reason))
            }
        }
    }

    /// Records the end of a job; `None` when its lease was lost meanwhile and another did it.
    fn end(&self, job: &Job, done: Result<End, Error>, took: Duration) -> Result<Option<Event>, Error> {
        let (key, modality) = (job.key.clone(), &job.modality);
        let done = match done {
            Ok(end) => self.inner.expect_way_back(job, &end)?.map_or(Ok(end), Err),
            failed => failed,
        };
        let (end, event) = match done {
            Ok(End::Converted(done)) => self.converted(job, *done, took),
            Ok(End::Kept { rule, reason, levels }) => {
                let event = Event::Kept { key, rule: rule.clone(), reason: reason.clone() };
                let figures = figures::kept(modality, &rule, &reason);
                (JobEnd::Kept { rule, reason, levels, figures }, event)
            }
            Err(error) => {
                let (reason, may_pass) = (error.to_string(), error.may_pass());
                let figures = figures::failed(modality, &reason);
                (JobEnd::Failed { reason, may_pass, figures }, Event::Failed { key, error })
            }
        };
        let made = if let JobEnd::Converted(done) = &end { Some((done.object.key, done.object.bytes)) } else { None };
        let mine = self.inner.index.finish(&self.name, &self.hash, job, end)?;
        if let Some((object, bytes)) = made {
            self.inner.expect_listed(job, mine, &object, bytes)?;
        }
        Ok(mine.then_some(event))
    }

    fn converted(&self, job: &Job, done: Done, took: Duration) -> (JobEnd, Event) {
        let Done { mut conversion, event } = done;
        let milliseconds = took.as_millis() as u64;
        let counted = figures::Converted {
            modality: &job.modality,
            syntax: &conversion.object.syntax,
            bytes_in: job.bytes,
            bytes_out: conversion.object.bytes,
            frames: if let Event::Converted { frames, .. } = &event { u64::from(*frames) } else { 0 },
            milliseconds,
        };
        conversion.figures = counted.figures();
        (conversion.host, conversion.milliseconds) = (self.host.clone(), milliseconds);
        (JobEnd::Converted(Box::new(conversion)), event)
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

    /// Removes a converted object that no row came to list, for its instance or the object itself was being deleted. A job that was lost to
    /// another run is ended by it, with the same bytes.
    fn expect_listed(&self, job: &Job, mine: bool, object: &Key, bytes: u64) -> Result<(), Error> {
        if !self.index.lists(object)? && (mine || self.index.became(&job.key)?.is_none()) {
            self.abandon(object, bytes)?;
        }
        Ok(())
    }

    /// Why an end can't be: the received object was released, and what was converted has no way back to it.
    fn expect_way_back(&self, job: &Job, end: &End) -> Result<Option<Error>, Error> {
        let End::Converted(done) = end else { return Ok(None) };
        let Err(reason) = &done.conversion.way_back else { return Ok(None) };
        let released = self.index.is_released(&job.received)?;
        Ok(released.then(|| Error::NoWayBack(format!("what was received is released, and {reason}"))))
    }

    /// Makes a verified file an object, synced once, under the hash that verification took. What is in the store is opened again:
    /// its frames must be where they were verified.
    fn keep_converted(&self, verified: Verified) -> Result<Conversion, Error> {
        let frames = levels::written(verified.frames());
        let conversion = Conversion {
            object: NewObject {
                key: key_of(&verified)?,
                bytes: verified.bytes_out,
                syntax: String::new(),
                facts: String::new(),
                frames: encode_frames(&frames),
                since: self.since(),
            },
            rule: verified.rule.clone(),
            codec: verified.codec.clone(),
            samples_sha256: verified.samples_sha256.clone(),
            evidence: pack(verified.frames())?,
            way_back: match &verified.way_back {
                Ok(residue) => Ok(residue.as_bytes().to_vec()),
                Err(reason) => Err(reason.to_string()),
            },
            host: String::new(),
            milliseconds: 0,
            opinions: figures::opinions_row(&verified.class, verified.tally()),
            figures: Vec::new(),
        };
        self.put_verified(verified, conversion, &frames)
    }

    fn put_verified(
        &self,
        verified: Verified,
        mut conversion: Conversion,
        frames: &[FrameEntry],
    ) -> Result<Conversion, Error> {
        let object = &mut conversion.object;
        let staged = self.spool.take(verified.into_path(), object.key, object.bytes);
        self.put_whole(staged.map_err(Error::io("taking over the converted object"))?)?;
        let source = self.source(&object.key, object.bytes)?;
        if !levels::same_places(&frame_table(&source), frames) {
            return Err(Error::Damaged("the frames of the converted object are not where they were written".into()));
        }
        source.facts().transfer_syntax.uid().clone_into(&mut object.syntax);
        object.facts = facts_json(source.facts());
        Ok(conversion)
    }
}

fn key_of(verified: &Verified) -> Result<Key, Error> {
    let key = Key::parse(&verified.file_sha256);
    key.ok_or_else(|| Error::Damaged("a verified file came without its hash".into()))
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}
