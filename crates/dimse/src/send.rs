//! C-STORE, requested: objects go to a peer one after another, with new tries where a try may succeed.

use crate::association::Association;
use crate::error::Error;
use crate::outgoing::{self, Object, Sent};
use crate::peers::{AeTitle, Peer};
use crate::request;
use crate::retrieve;
use crate::server::Limits;
use crate::tls::Requester;
use dicom::Source;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often something is tried again, and how long is waited before: twice as long each time.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// Tries after the first one.
    pub times: u32,
    /// The first wait.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

impl Retry {
    /// How long is waited after the first try (0), the second, and so on.
    pub(crate) fn after(&self, tried: u32) -> Duration {
        self.first.saturating_mul(1 << tried.min(16)).min(self.longest)
    }
}

impl Default for Retry {
    fn default() -> Retry {
        Retry { times: 5, first: Duration::from_secs(1), longest: Duration::from_secs(60) }
    }
}

/// Who an association of ours is requested from, and how.
#[derive(Debug, Clone)]
pub struct Call {
    /// The peer.
    pub peer: Peer,
    /// Our AE title.
    pub title: AeTitle,
    /// Bounds.
    pub limits: Limits,
    /// What a peer with TLS is called with.
    pub tls: Option<Requester>,
    /// Set when it is to end.
    pub stop: Arc<AtomicBool>,
}

/// Sends objects to one peer, on one association as long as it carries them.
pub struct Sender {
    call: Call,
    retry: Retry,
    association: Option<Association>,
    /// Classes and transfer syntaxes that were met so far, as many as an association has room for.
    met: BTreeSet<(String, String)>,
}

impl Sender {
    /// A sender; nothing is connected yet.
    pub fn new(call: Call, retry: Retry) -> Sender {
        Sender { call, retry, association: None, met: BTreeSet::new() }
    }

    /// Sends one object, and tries again where the peer was busy, had no room, or went away.
    pub fn send(&mut self, object: &Object, open: &dyn Fn() -> Result<Source, Error>) -> Result<Sent, Error> {
        let mut tried = 0;
        loop {
            let outcome = self.once(object, open);
            let may_pass = match &outcome {
                Ok(Sent::Refused { status, .. }) => status >> 8 == 0xA7,
                Ok(_) => false,
                Err(error) => error.may_pass(),
            };
            let stopped = self.call.stop.load(Ordering::SeqCst);
            if !may_pass || tried == self.retry.times || stopped {
                return if stopped && outcome.is_err() { Err(Error::Stopped) } else { outcome };
            }
            tracing::warn!(peer = %self.call.peer, why = ?outcome, "tried again");
            wait(self.retry.after(tried), &self.call.stop);
            tried += 1;
            if self.call.stop.load(Ordering::SeqCst) {
                return Err(Error::Stopped);
            }
        }
    }

    /// Releases the association.
    pub fn finish(mut self) -> Result<(), Error> {
        self.association.take().map_or(Ok(()), Association::release)
    }

    fn once(&mut self, object: &Object, open: &dyn Fn() -> Result<Source, Error>) -> Result<Sent, Error> {
        let mut association = self.association(object)?;
        let sent = outgoing::send(&mut association, object, open, None, (0, &mut false), false);
        match sent {
            Ok(sent) => {
                self.association = Some(association);
                Ok(sent)
            }
            Err(error) => {
                association.abort(&error);
                match error {
                    // The peer is not at fault, and another try would read the same.
                    Error::Source(_) => Ok(Sent::Impossible(error.to_string())),
                    error => Err(error),
                }
            }
        }
    }

    /// The association at hand, or a new one where none has contexts for such an object.
    fn association(&mut self, object: &Object) -> Result<Association, Error> {
        let new = self.met.insert((object.class.clone(), object.transfer_syntax.clone()));
        if let Some(association) = self.association.take() {
            match new {
                false => return Ok(association),
                true => drop(association.release()),
            }
        }
        let of = |(class, syntax): &(String, String)| Object {
            class: class.clone(),
            instance: String::new(),
            transfer_syntax: syntax.clone(),
        };
        let mut proposed = retrieve::contexts(self.met.iter().map(of));
        if proposed.len() > request::MOST_CONTEXTS {
            self.met = BTreeSet::from([(object.class.clone(), object.transfer_syntax.clone())]);
            proposed = retrieve::contexts(self.met.iter().map(of));
        }
        request::associate(&self.call, &proposed)
    }
}

/// Waits, or until the program is being stopped.
pub(crate) fn wait(time: Duration, stop: &AtomicBool) {
    let started = Instant::now();
    while started.elapsed() < time && !stop.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(100).min(time));
    }
}

/// What a peer must know of a file before it is sent; an error where it is no instance.
pub fn object_of(source: &Source) -> Result<Object, Error> {
    let facts = source.facts();
    if facts.sop_class_uid.is_empty() || facts.sop_instance_uid.is_empty() {
        return Err(dicom::Error::unsupported("it has no SOP Class UID or no SOP Instance UID").into());
    }
    Ok(Object {
        class: facts.sop_class_uid.clone(),
        instance: facts.sop_instance_uid.clone(),
        transfer_syntax: facts.transfer_syntax.uid().to_owned(),
    })
}
