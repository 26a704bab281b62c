//! C-MOVE and C-GET, answered (PS3.4 C.4.2, C.4.3): each instance is a C-STORE, on an association to the destination or on the one that
//! asks.

use crate::association::{Association, Context};
use crate::command::{Command, element, field};
use crate::error::Error;
use crate::find::{self, Level};
use crate::identifier::{self, Identifier};
use crate::outgoing::{self, Object, Originator, Sent};
use crate::peers::Peer;
use crate::request::{self, Proposed};
use crate::server::{Config, Shared};
use crate::status;
use archive::{Instance, Query, QueryLevel, Tag};
use dicom::{TransferSyntax, Vr};
use std::sync::Arc;

/// UIDs that one answer lists as failed: they have to fit in a value of a short length.
const LISTED: usize = 900;
/// Failed SOP Instance UID List.
const FAILED_LIST: Tag = Tag(0x0008, 0x0058);

/// How the sub-operations stand.
#[derive(Default)]
struct Count {
    remaining: usize,
    completed: usize,
    warning: usize,
    failed: Vec<String>,
}

/// Answers a request, with an answer after each instance and one at the end.
pub fn answer(
    association: &mut Association,
    shared: &Shared,
    context: &Context,
    request: &Command,
) -> Result<(), Error> {
    let bytes = match request.has_data_set() {
        true => association.short_data(context.id)?,
        false => Vec::new(),
    };
    let config = &shared.config;
    let destination = match request.field() {
        field::MOVE => {
            let title = request.text(element::DESTINATION);
            match config.access.peers.iter().find(|peer| peer.title.is(&title)) {
                Some(peer) => Some(peer.clone()),
                None => {
                    return refuse(association, context, request, status::UNKNOWN_DESTINATION, "no such destination");
                }
            }
        }
        _ => None,
    };
    let identifier = match Identifier::read(&bytes, &context.transfer_syntax) {
        Ok(identifier) => identifier,
        Err(error) => return refuse(association, context, request, status::CANNOT_UNDERSTAND, &error.to_string()),
    };
    let instances = match wanted(config, &identifier, &context.abstract_syntax) {
        Ok(instances) => instances,
        Err((status, why)) => return refuse(association, context, request, status, &why),
    };
    match destination {
        None => get(association, config, context, request, &instances),
        Some(peer) => move_to(association, shared, context, request, &instances, &peer),
    }
}

fn refuse(
    association: &mut Association,
    context: &Context,
    request: &Command,
    status: u16,
    why: &str,
) -> Result<(), Error> {
    association.send(context.id, Command::response(request, status).with_text(element::COMMENT, why), None)
}

/// The instances that the unique keys name; wildcards match nothing here (PS3.4 C.4.2.1.4).
fn wanted(config: &Config, identifier: &Identifier, class: &str) -> Result<Vec<Arc<Instance>>, (u16, String)> {
    let level = Level::of(identifier, class)
        .ok_or_else(|| (status::DOES_NOT_MATCH, format!("no level {} in this model", identifier.level)))?;
    let unique: &[Tag] = match level {
        Level::Patient => &[identifier::PATIENT_ID],
        Level::Of(QueryLevel::Study) => &[identifier::STUDY],
        Level::Of(QueryLevel::Series) => &[identifier::SERIES],
        Level::Of(QueryLevel::Instance) => &[identifier::INSTANCE],
    };
    let above = [identifier::PATIENT_ID, identifier::STUDY, identifier::SERIES];
    let keys = unique.iter().chain(above.iter().filter(|tag| !unique.contains(tag)));
    let keys: Vec<(Tag, String)> =
        keys.map(|tag| (*tag, identifier.value(*tag).to_owned())).filter(|(_, value)| !value.is_empty()).collect();
    if keys.first().is_none_or(|(tag, value)| *tag != unique[0] || value.contains(['*', '?'])) {
        return Err((status::DOES_NOT_MATCH, "the unique key of the level has no value".into()));
    }
    let read = || -> Result<Vec<Arc<Instance>>, archive::Error> {
        let index_level = if level == Level::Patient { QueryLevel::Study } else { of_index(level) };
        let mut query = Query { matches: keys.clone(), limit: Some(500), ..Query::default() };
        let mut instances = Vec::new();
        loop {
            let matches = config.archive.find(index_level, &query)?;
            for row in &matches.rows {
                let uid = |tag| find::text(row, tag);
                let (study, series) = (uid(identifier::STUDY), uid(identifier::SERIES));
                match index_level {
                    QueryLevel::Study => instances.extend(config.archive.instances(&study, None)?),
                    QueryLevel::Series => instances.extend(config.archive.instances(&study, Some(&series))?),
                    QueryLevel::Instance => {
                        instances.extend(config.archive.instance(&study, &series, &uid(identifier::INSTANCE))?);
                    }
                }
            }
            if !matches.more || matches.rows.is_empty() {
                return Ok(instances);
            }
            query.offset += matches.rows.len();
        }
    };
    read().map_err(|error| {
        tracing::warn!(%error, "C-MOVE or C-GET failed");
        (status::CANNOT_COUNT, "the archive cannot be read".into())
    })
}

fn of_index(level: Level) -> QueryLevel {
    match level {
        Level::Patient => QueryLevel::Study,
        Level::Of(level) => level,
    }
}

/// Sends the instances on the association that asks for them.
fn get(
    association: &mut Association,
    config: &Config,
    context: &Context,
    request: &Command,
    instances: &[Arc<Instance>],
) -> Result<(), Error> {
    let mut count = Count { remaining: instances.len(), ..Count::default() };
    let mut cancelled = false;
    for instance in instances {
        cancelled |= association.is_cancelled(request.message())?;
        if cancelled {
            break;
        }
        let note = (request.message(), &mut cancelled);
        let sent = outgoing::send(association, &object(instance), &open(config, instance), None, note, true)?;
        count.add(instance, Ok(sent));
        if count.remaining > 0 {
            association.send(context.id, count.pending(request), None)?;
        }
    }
    ended(association, context, request, &count, cancelled)
}

/// Sends the instances to another peer. Where it can't be reached, all of them failed.
fn move_to(
    association: &mut Association,
    shared: &Shared,
    context: &Context,
    request: &Command,
    instances: &[Arc<Instance>],
    peer: &Peer,
) -> Result<(), Error> {
    let config = &shared.config;
    let mut count = Count { remaining: instances.len(), ..Count::default() };
    let mut cancelled = false;
    let originator = Originator { title: association.calling.clone(), message: request.message() };
    let mut to = None;
    for instance in instances {
        cancelled |= association.is_cancelled(request.message())?;
        if cancelled {
            break;
        }
        let sent = match to.take() {
            Some(to) => Ok(to),
            // Also after one that broke: the next instance may be a better one.
            None if count.failed.len() > 2 && count.completed == 0 => Err(Error::Closed),
            None => {
                let proposed = contexts(instances.iter().map(object));
                request::associate(peer, &config.access.title, &proposed, &config.limits, &shared.stop)
            }
        };
        let sent = sent.and_then(|mut open_to| {
            let nobody = &mut false;
            let sent = outgoing::send(
                &mut open_to,
                &object(instance),
                &open(config, instance),
                Some(&originator),
                (0, nobody),
                false,
            );
            match sent {
                Ok(sent) => {
                    to = Some(open_to);
                    Ok(sent)
                }
                Err(error) => {
                    open_to.abort(&error);
                    Err(error)
                }
            }
        });
        if let Err(error) = &sent {
            tracing::warn!(%peer, %error, "C-MOVE: an instance was not sent");
        }
        count.add(instance, sent);
        if count.remaining > 0 {
            association.send(context.id, count.pending(request), None)?;
        }
    }
    if let Some(to) = to {
        let _ = to.release();
    }
    ended(association, context, request, &count, cancelled)
}

/// The contexts for these objects: each class in each syntax that objects of it have, then what each can be decoded to.
pub fn contexts(objects: impl Iterator<Item = Object>) -> Vec<Proposed> {
    let mut stored: Vec<(String, String)> = objects.map(|object| (object.class, object.transfer_syntax)).collect();
    stored.sort();
    stored.dedup();
    let mut proposed: Vec<Proposed> =
        stored.iter().map(|(class, syntax)| Proposed::new(class, &[syntax.as_str()])).collect();
    for (class, syntax) in &stored {
        for (other, _) in outgoing::ways(syntax) {
            let way = Proposed::new(class, &[other]);
            if !proposed.contains(&way) {
                proposed.push(way);
            }
        }
    }
    // Where there is no room for all, what any peer takes comes first.
    if proposed.len() > request::MOST_CONTEXTS {
        proposed.sort_by_key(|p| p.syntaxes[0] != TransferSyntax::IMPLICIT_LITTLE);
    }
    proposed
}

fn object(instance: &Arc<Instance>) -> Object {
    Object {
        class: instance.facts.sop_class_uid.clone(),
        instance: instance.sop.clone(),
        transfer_syntax: instance.transfer_syntax.clone(),
    }
}

fn open(config: &Config, instance: &Arc<Instance>) -> impl Fn() -> Result<dicom::Source, Error> {
    let (archive, instance) = (config.archive.clone(), instance.clone());
    move || Ok(archive.source(&instance)?)
}

/// The last answer: how many of each, and which failed.
fn ended(
    association: &mut Association,
    context: &Context,
    request: &Command,
    count: &Count,
    cancelled: bool,
) -> Result<(), Error> {
    let status = match (cancelled, count.failed.is_empty() && count.warning == 0) {
        (true, _) => status::CANCELLED,
        (false, true) => status::SUCCESS,
        (false, false) if count.completed == 0 && count.warning == 0 => status::OUT_OF_RESOURCES + 2,
        (false, false) => status::SOME_FAILED,
    };
    let mut last = count.told(Command::response(request, status));
    if cancelled {
        last = last.with(element::REMAINING, clamp(count.remaining));
    }
    if count.failed.is_empty() {
        return association.send(context.id, last, None);
    }
    let failed = count.failed[..count.failed.len().min(LISTED)].join("\\");
    let list = identifier::plain(&[(FAILED_LIST, Vr::UI, &failed)], &context.transfer_syntax);
    association.send(context.id, last, Some(&list))
}

impl Count {
    fn add(&mut self, instance: &Instance, sent: Result<Sent, Error>) {
        self.remaining -= 1;
        match sent {
            Ok(Sent::Stored { warning: false }) => self.completed += 1,
            Ok(Sent::Stored { warning: true }) => self.warning += 1,
            other => {
                if let Ok(Sent::Refused { .. } | Sent::Impossible(_)) = &other {
                    tracing::warn!(sop = %instance.sop.escape_debug(), why = ?other, "an instance was not sent");
                }
                self.failed.push(instance.sop.clone());
            }
        }
    }

    fn pending(&self, request: &Command) -> Command {
        self.told(Command::response(request, status::PENDING)).with(element::REMAINING, clamp(self.remaining))
    }

    fn told(&self, response: Command) -> Command {
        response
            .with(element::COMPLETED, clamp(self.completed))
            .with(element::FAILED, clamp(self.failed.len()))
            .with(element::WARNING, clamp(self.warning))
    }
}

/// The numbers of a command set have 16 bits.
fn clamp(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}
