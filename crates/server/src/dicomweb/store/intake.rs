//! From the parts of a body to stored instances: each into the spool as it comes, many into the index by one commit.

use super::body::BodyReader;
use super::forms::{Content, Framing};
use super::model;
use super::outcome::{self, Named, Outcome};
use crate::accept;
use crate::access::For;
use crate::media::{DICOM, OCTET_STREAM};
use crate::multipart::{Head, Parts, Trouble};
use crate::state::App;
use ::access::{Door, Reach, Right};
use archive::{Archive, Candidate, Error, Ingested, Ticket};
use std::io::Read;

/// Instances that are committed together.
const TOGETHER: usize = 64;
/// Bytes of them; what is larger is stored at once, while the next comes.
const TOGETHER_BYTES: u64 = 64 << 20;
/// Parts of one request.
const MOST_PARTS: usize = 100_000;

/// What became of a body.
pub struct Taken {
    /// What became of each part, in their order.
    pub outcomes: Vec<Outcome>,
    /// Why what follows could not be read.
    pub trouble: Option<Trouble>,
}

/// Takes in all that the body holds and who asks may store; what is stored when this returns is durable. With `study`, only instances of it.
pub fn take_in(app: &App, asker: &For, mut body: BodyReader, framing: Framing, study: Option<&str>) -> Taken {
    let mut intake = Intake::new(app, asker, study);
    let trouble = match framing {
        Framing::Single => single(&mut intake, &mut body),
        Framing::Parts { boundary, content } => Parts::new(body, &boundary).and_then(|mut parts| match content {
            Content::Dicom => all(&mut intake, &mut parts),
            Content::Model(kind) => model::take_in(&app.archive, &mut parts, kind, &mut |made| match made {
                Ok(received) => intake.add(received),
                Err(outcome) => intake.outcomes.push(Slot::Done(outcome)),
            }),
        }),
    };
    Taken { outcomes: intake.finish(), trouble: trouble.err() }
}

fn single(intake: &mut Intake, body: &mut BodyReader) -> Result<(), Trouble> {
    let mut watched = Watched { inner: body, count: 0, failed: None };
    let received = intake.archive.receive(&mut watched);
    match (watched.failed, watched.count) {
        (Some(why), _) => return Err(Trouble::Gone(why)),
        (None, 0) => return Ok(()),
        _ => intake.add(received),
    }
    Ok(())
}

fn all(intake: &mut Intake, parts: &mut Parts<BodyReader>) -> Result<(), Trouble> {
    while let Some(head) = parts.next_part()? {
        if intake.outcomes.len() == MOST_PARTS {
            let why = format!("one request stores no more than {MOST_PARTS} instances");
            intake.outcomes.push(Slot::Done(Outcome::Other { reason: outcome::OUT_OF_RESOURCES, why }));
            return Ok(());
        }
        if let Some(refused) = refused(&head) {
            intake.outcomes.push(Slot::Done(refused));
            continue;
        }
        let received = intake.archive.receive(parts);
        // A part that did not come whole is none: that is said of the body.
        parts.check()?;
        intake.add(received);
    }
    Ok(())
}

/// A part that says it is something else.
fn refused(head: &Head) -> Option<Outcome> {
    let other = |why: String| Some(Outcome::Other { reason: outcome::SYNTAX_NOT_SUPPORTED, why });
    let coding = head.get("content-transfer-encoding").unwrap_or("binary").to_ascii_lowercase();
    if !matches!(coding.as_str(), "binary" | "8bit" | "7bit") {
        return other("parts are binary".into());
    }
    let told = head.get("content-type").map(accept::media_type);
    match told {
        None => None,
        Some(Some(media)) if matches!(media.essence.as_str(), DICOM | OCTET_STREAM) => None,
        Some(_) => other("the part is not application/dicom".into()),
    }
}

/// Sees what a reader fails with.
struct Watched<R> {
    inner: R,
    count: u64,
    failed: Option<String>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buf);
        match &read {
            Ok(count) => self.count += *count as u64,
            Err(e) => self.failed = Some(e.to_string()),
        }
        read
    }
}

/// The place of an outcome in their order.
enum Slot {
    Done(Outcome),
    Waiting,
}

/// An instance whose row waits for a commit.
type Pending = (usize, Named, Result<Ticket<Ingested>, Error>);

struct Intake<'a> {
    archive: &'a Archive,
    door: &'a Door,
    asker: &'a For,
    study: Option<&'a str>,
    outcomes: Vec<Slot>,
    /// In the spool, not durable yet.
    held: Vec<(usize, Candidate)>,
    /// Durable, not committed yet.
    pending: Vec<Pending>,
}

impl<'a> Intake<'a> {
    fn new(app: &'a App, asker: &'a For, study: Option<&'a str>) -> Intake<'a> {
        Intake {
            archive: &app.archive,
            door: &app.door,
            asker,
            study,
            outcomes: Vec::new(),
            held: Vec::new(),
            pending: Vec::new(),
        }
    }

    fn add(&mut self, received: Result<Candidate, Error>) {
        let candidate = match received {
            Ok(candidate) => candidate,
            Err(error) => return self.outcomes.push(Slot::Done(Outcome::refused(&error))),
        };
        if self.study.is_some_and(|study| study != candidate.key().study) {
            let why = "it is of another study than the one it was sent to".into();
            let failed = Outcome::Failed { named: named(&candidate), reason: outcome::OTHER_STUDY, why };
            return self.outcomes.push(Slot::Done(failed));
        }
        match may_store(self.door, self.asker, &candidate) {
            Ok(true) => {}
            Ok(false) => {
                let why = "you may not store it".into();
                let failed = Outcome::Failed { named: named(&candidate), reason: outcome::NOT_AUTHORIZED, why };
                return self.outcomes.push(Slot::Done(failed));
            }
            Err(error) => {
                tracing::error!(%error, "nobody could be asked who may store");
                let why = "storing it failed; the server's log says why".into();
                let failed = Outcome::Failed { named: named(&candidate), reason: outcome::PROCESSING_FAILURE, why };
                return self.outcomes.push(Slot::Done(failed));
            }
        }
        self.held.push((self.outcomes.len(), candidate));
        self.outcomes.push(Slot::Waiting);
        let bytes: u64 = self.held.iter().map(|(_, candidate)| candidate.size()).sum();
        if self.held.len() >= TOGETHER || bytes >= TOGETHER_BYTES {
            self.commit();
        }
    }

    /// Makes what is held durable and hands it to the index; waits for what was handed over before.
    fn commit(&mut self) {
        let held = std::mem::take(&mut self.held);
        let places: Vec<_> = held.iter().map(|(at, candidate)| (*at, named(candidate))).collect();
        let tickets = self.archive.submit_all(held.into_iter().map(|(_, candidate)| candidate).collect());
        let before = std::mem::take(&mut self.pending);
        self.pending = places.into_iter().zip(tickets).map(|((at, named), ticket)| (at, named, ticket)).collect();
        self.settle(before);
    }

    fn settle(&mut self, pending: Vec<Pending>) {
        for (at, named, ticket) in pending {
            let ended = ticket.and_then(Ticket::wait);
            self.outcomes[at] = Slot::Done(outcome(named, ended));
        }
    }

    fn finish(mut self) -> Vec<Outcome> {
        self.commit();
        let last = std::mem::take(&mut self.pending);
        self.settle(last);
        let done = |slot| if let Slot::Done(outcome) = slot { Some(outcome) } else { None };
        self.outcomes.into_iter().filter_map(done).collect()
    }
}

/// May who asks store it? A study that is there says so itself; of a new one, the instance that begins it.
fn may_store(door: &Door, asker: &For, candidate: &Candidate) -> Result<bool, ::access::Error> {
    let identity = &asker.0;
    if identity.reach(Right::Write) == Reach::All {
        return Ok(true);
    }
    let new = candidate.study_facts();
    let there = door.facts(&new.study)?;
    Ok(identity.may(Right::Write, there.as_deref().unwrap_or(&new)))
}

fn named(candidate: &Candidate) -> Named {
    Named { key: candidate.key().clone(), class: candidate.sop_class().to_owned() }
}

fn outcome(named: Named, ended: Result<Ingested, Error>) -> Outcome {
    match ended {
        Ok(Ingested::Stored(_)) => Outcome::Stored { named, again: false },
        Ok(Ingested::Duplicate(_)) => Outcome::Stored { named, again: true },
        Ok(Ingested::Conflict(_)) => {
            let why = "other bytes have these UIDs and are served; both are kept".into();
            Outcome::Failed { named, reason: outcome::DUPLICATE_INSTANCE, why }
        }
        Err(error) => Outcome::failed(named, &error),
    }
}
