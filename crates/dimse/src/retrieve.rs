//! C-MOVE and C-GET, answered (PS3.4 C.4.2, C.4.3): each instance is a C-STORE, on an association to the destination or on the one that
//! asks.

use crate::association::{Association, Context};
use crate::command::{Command, element, field};
use crate::error::Error;
use crate::find::{self, Level};
use crate::identifier::{self, Identifier};
use crate::outgoing::{self, Object, Originator, Sent};
use crate::peers::{self, Peer};
use crate::request::{self, Proposed};
use crate::server::{Config, Shared};
use crate::status;
use ::access::{Reach, Right};
use archive::{Instance, Query, QueryLevel, Tag};
use dicom::{TransferSyntax, Vr};
use std::collections::BTreeSet;
use std::sync::Arc;

/// UIDs that one answer lists as failed: they have to fit in a value of a short length.
const LISTED: usize = 900;
/// Associations to a destination that fail one after another until it is given up.
const GIVEN_UP: u32 = 3;
/// UIDs of a list that are asked of the index at once.
const ASKED: usize = 500;
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
    let bytes = association.short_data(context.id, request)?;
    let config = &shared.config;
    let destination = match request.field() {
        field::MOVE => {
            let title = request.text(element::DESTINATION);
            match peers::named(config.access.peers.iter(), &title) {
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
    let reach = config.access.identity(&association.calling).reach(Right::Read);
    let instances = match wanted(config, &reach, &identifier, &context.abstract_syntax) {
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
fn wanted(
    config: &Config,
    reach: &Reach,
    identifier: &Identifier,
    class: &str,
) -> Result<Vec<Arc<Instance>>, (u16, String)> {
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
    let index_level = of_index(level);
    let mut instances = Vec::new();
    for value in portions(keys[0].0, &keys[0].1) {
        let mut matches = keys.clone();
        matches[0].1 = value;
        read(config, reach, index_level, matches, &mut instances).map_err(|error| match error {
            error @ archive::Error::Query(_) => (status::DOES_NOT_MATCH, error.to_string()),
            error => {
                tracing::warn!(%error, "C-MOVE or C-GET failed");
                (status::CANNOT_COUNT, "the archive cannot be read".into())
            }
        })?;
    }
    Ok(instances)
}

/// A list of UIDs in parts that one query takes, each UID once; any other value as it is.
fn portions(tag: Tag, value: &str) -> Vec<String> {
    if tag == identifier::PATIENT_ID {
        return vec![value.to_owned()];
    }
    let uids: BTreeSet<&str> = value.split(['\\', ',']).map(str::trim).filter(|uid| !uid.is_empty()).collect();
    let uids: Vec<&str> = uids.into_iter().collect();
    uids.chunks(ASKED).map(|part| part.join("\\")).collect()
}

fn read(
    config: &Config,
    reach: &Reach,
    level: QueryLevel,
    matches: Vec<(Tag, String)>,
    instances: &mut Vec<Arc<Instance>>,
) -> Result<(), archive::Error> {
    let mut query = Query { matches, limit: Some(ASKED), within: reach.within(), ..Query::default() };
    loop {
        let matches = config.archive.find(level, &query)?;
        for row in &matches.rows {
            let uid = |tag| find::text(row, tag);
            let (study, series) = (uid(identifier::STUDY), uid(identifier::SERIES));
            match level {
                QueryLevel::Study => instances.extend(config.archive.instances(&study, None)?),
                QueryLevel::Series => instances.extend(config.archive.instances(&study, Some(&series))?),
                QueryLevel::Instance => {
                    instances.extend(config.archive.instance(&study, &series, &uid(identifier::INSTANCE))?);
                }
            }
        }
        if !matches.more || matches.rows.is_empty() {
            return Ok(());
        }
        query.offset += matches.rows.len();
    }
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

/// Sends the instances to another peer. Where it can't be reached, or went away, all that are left failed.
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
    let mut call = config.call(peer, &shared.stop);
    call.limits.times.idle = call.limits.times.pdu;
    let (mut to, mut broken) = (None, 0);
    for instance in instances {
        cancelled |= association.is_cancelled(request.message())?;
        if cancelled {
            break;
        }
        let sent = match to.take() {
            Some(to) => Ok(to),
            // Also after one that broke: the next instance may be a better one.
            None if broken >= GIVEN_UP => Err(Error::Closed),
            None => {
                let proposed = contexts(instances.iter().map(object));
                request::associate(&call, &proposed)
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
        broken = match &sent {
            Err(error) if error.is_of_association() => broken + 1,
            _ => 0,
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_asked_for_in_parts() {
        let list: Vec<String> = (0..1200).map(|n| format!("2.25.{}", n % 1100)).collect();
        let parts = portions(identifier::INSTANCE, &list.join("\\"));
        let asked: Vec<&str> = parts.iter().flat_map(|part| part.split('\\')).collect();
        assert_eq!((parts.len(), asked.len(), asked.iter().collect::<BTreeSet<_>>().len()), (3, 1100, 1100));
        assert_eq!(portions(identifier::PATIENT_ID, "A,1"), ["A,1"]);
    }

    #[test]
    fn what_could_not_be_read_is_not_the_association_s_fault() {
        let broken = Error::Source(std::io::ErrorKind::InvalidData.into());
        assert!(!broken.is_of_association() && !broken.may_pass());
        assert!(Error::Closed.is_of_association() && Error::Closed.may_pass());
    }
}
