//! Storage commitment, answered (PS3.4 Annex J): the request is taken at once, its result goes to the caller on an association of its own.

use crate::association::{Association, Context};
use crate::command::{Command, element, field};
use crate::error::Error;
use crate::find::text;
use crate::identifier;
use crate::peers::{self, Peer};
use crate::request::{self, Proposed};
use crate::send::{Call, Retry, wait};
use crate::server::{Config, Shared};
use crate::status;
use crate::store::bare_file;
use crate::uids;
use ::access::Right;
use archive::{Query, QueryLevel, Tag, Within};
use dicom::{Source, TransferSyntax, Vr};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

const TRANSACTION: Tag = Tag(0x0008, 0x1195);
const FAILED: Tag = Tag(0x0008, 0x1198);
const REFERENCED: Tag = Tag(0x0008, 0x1199);
const REFERENCED_CLASS: Tag = Tag(0x0008, 0x1150);
const REFERENCED_INSTANCE: Tag = Tag(0x0008, 0x1155);
/// Request Storage Commitment (PS3.4 J.3.2).
const REQUEST_COMMITMENT: u16 = 1;
/// Failure reasons (PS3.3 C.14.1.1).
const NO_SUCH_INSTANCE: u16 = 0x0112;
const CANNOT_TELL: u16 = 0x0110;
const ANOTHER_CLASS: u16 = 0x0119;
/// Results that are on their way at once.
const MOST: usize = 16;
static ON_THE_WAY: AtomicUsize = AtomicUsize::new(0);

/// One of the results that are on their way, as long as this lives.
struct OnTheWay;

impl OnTheWay {
    fn begin() -> Option<OnTheWay> {
        let before = ON_THE_WAY.fetch_add(1, Ordering::SeqCst);
        let begun = OnTheWay;
        (before < MOST).then_some(begun)
    }
}

impl Drop for OnTheWay {
    fn drop(&mut self) {
        ON_THE_WAY.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What is to be committed.
#[derive(Debug, Default)]
struct Transaction {
    uid: String,
    /// Class and instance of each object.
    objects: Vec<(String, String)>,
}

/// Takes a request and answers; the result follows.
pub fn answer(
    association: &mut Association,
    shared: &Shared,
    context: &Context,
    request: &Command,
) -> Result<(), Error> {
    let bytes = association.short_data(context.id, request)?;
    let (status, why) = match taken(association, shared, context, request, &bytes) {
        Ok((transaction, peer, on_the_way)) => {
            association.send(context.id, Command::response(request, status::SUCCESS), None)?;
            report_later(shared, transaction, peer, on_the_way);
            return Ok(());
        }
        Err(refused) => refused,
    };
    tracing::warn!(calling = ?association.calling, status = format_args!("{status:04X}"), why, "storage commitment refused");
    association.send(context.id, Command::response(request, status).with_text(element::COMMENT, why), None)
}

fn taken(
    association: &Association,
    shared: &Shared,
    context: &Context,
    request: &Command,
    bytes: &[u8],
) -> Result<(Transaction, Peer, OnTheWay), (u16, &'static str)> {
    if request.number(element::ACTION_TYPE) != Some(REQUEST_COMMITMENT) {
        return Err((status::NO_SUCH_ACTION, "no such action"));
    }
    let transaction =
        read(bytes, &context.transfer_syntax).ok_or((status::INVALID_ARGUMENT, "no transaction and objects"))?;
    let peers = &shared.config.access.peers;
    let peer = caller(peers, &association.calling, association.peer_address());
    let peer = peer.ok_or((status::PROCESSING_FAILURE, "no address is known for the calling AE title"))?;
    let on_the_way = OnTheWay::begin().ok_or((status::RESOURCE_LIMITATION, "too many results are on their way"))?;
    Ok((transaction, peer.clone(), on_the_way))
}

/// The peer that calls by this title from this address; where none is there, the one of this title.
fn caller<'a>(peers: &'a [Peer], title: &str, from: Option<IpAddr>) -> Option<&'a Peer> {
    let there = peers.iter().filter(|peer| peer.title.is(title) && from.is_some_and(|from| peer.is_at(from)));
    peers::named(there, title).or_else(|| peers::named(peers.iter(), title))
}

fn read(bytes: &[u8], transfer_syntax: &str) -> Option<Transaction> {
    let source = Source::from_bytes(bare_file(transfer_syntax, bytes)).ok()?;
    let set = source.data_set();
    let uid = set.strings(TRANSACTION).into_iter().next().filter(|uid| !uid.is_empty())?;
    let items = set.get(REFERENCED)?.items()?;
    let of = |item: &dicom::Item, tag| item.get(tag).map(|e| set.text(e).concat()).unwrap_or_default();
    let objects = items.iter().map(|item| (of(item, REFERENCED_CLASS), of(item, REFERENCED_INSTANCE))).collect();
    Some(Transaction { uid, objects })
}

/// Looks for the objects and tells the peer, with new tries where it is away; in a thread, for the peer may release first.
fn report_later(shared: &Shared, transaction: Transaction, peer: Peer, on_the_way: OnTheWay) {
    let (config, stop) = (shared.config.clone(), shared.stop.clone());
    let work = move || {
        if let Err(error) = report(&config, &stop, &transaction, &peer) {
            tracing::warn!(%peer, %error, "the result of a storage commitment was not delivered");
        }
        drop(on_the_way);
    };
    if let Err(error) = thread::Builder::new().name("commitment".into()).spawn(work) {
        tracing::error!(%error, "cannot start a thread for the result of a storage commitment");
    }
}

fn report(config: &Config, stop: &Arc<AtomicBool>, transaction: &Transaction, peer: &Peer) -> Result<(), Error> {
    let (mut there, mut failed) = (Vec::new(), Vec::new());
    for (class, instance) in &transaction.objects {
        let mut item =
            json!({"00081150": {"vr": "UI", "Value": [class]}, "00081155": {"vr": "UI", "Value": [instance]}});
        let reason = why_not(config, peer, class, instance).unwrap_or_else(|error| {
            tracing::warn!(sop = %instance.escape_debug(), %error, "storage commitment: an instance cannot be looked for");
            Some(CANNOT_TELL)
        });
        match reason {
            None => there.push(item),
            Some(reason) => {
                item["00081197"] = json!({"vr": "US", "Value": [reason]});
                failed.push(item);
            }
        }
    }
    let event = if failed.is_empty() { 1 } else { 2 };
    let mut elements = vec![
        (identifier::RETRIEVE_TITLE, Vr::AE, vec![Value::from(config.access.title.as_str())]),
        (TRANSACTION, Vr::UI, vec![Value::from(transaction.uid.as_str())]),
    ];
    let lists = [(FAILED, failed), (REFERENCED, there)];
    elements.extend(lists.into_iter().filter(|(_, items)| !items.is_empty()).map(|(tag, items)| (tag, Vr::SQ, items)));
    let call = config.call(peer, stop);
    let retry = Retry::default();
    let mut tried = 0;
    loop {
        match tell(&call, event, &elements) {
            Err(error) if error.may_pass() && tried < retry.times && !stop.load(Ordering::SeqCst) => {
                wait(retry.after(tried), stop);
                tried += 1;
            }
            other => return other,
        }
    }
}

/// Why an object is not committed; `None` when it is in the archive, whole as far as the store can tell.
fn why_not(config: &Config, peer: &Peer, class: &str, instance: &str) -> Result<Option<u16>, Error> {
    let archive = &config.archive;
    let matches = vec![(identifier::INSTANCE, instance.to_owned())];
    let query = Query { matches, limit: Some(8), within: known(config, peer), ..Query::default() };
    let mut reason = NO_SUCH_INSTANCE;
    // A list of UIDs would match too.
    if instance.contains(['\\', ',']) {
        return Ok(Some(reason));
    }
    for row in archive.find(QueryLevel::Instance, &query)?.rows {
        let (study, series) = (text(&row, identifier::STUDY), text(&row, identifier::SERIES));
        let Some(found) = archive.instance(&study, &series, instance)? else { continue };
        if found.facts.sop_class_uid != class {
            reason = ANOTHER_CLASS;
        } else if archive.object(&found).is_ok() {
            return Ok(None);
        }
    }
    Ok(Some(reason))
}

/// What the peer may know of: what it may read, and what it may have stored.
fn known(config: &Config, peer: &Peer) -> Option<Vec<Within>> {
    let identity = config.access.identity(peer.title.as_str());
    let (read, write) = (identity.reach(Right::Read).within()?, identity.reach(Right::Write).within()?);
    Some([read, write].concat())
}

/// N-EVENT-REPORT on an association of its own, in the role that the caller does not have.
fn tell(call: &Call, event: u16, elements: &[(Tag, Vr, Vec<Value>)]) -> Result<(), Error> {
    let syntaxes = [TransferSyntax::EXPLICIT_LITTLE, TransferSyntax::IMPLICIT_LITTLE];
    let proposed = [Proposed { receive: true, ..Proposed::new(uids::STORAGE_COMMITMENT, &syntaxes) }];
    let mut association = request::associate(call, &proposed)?;
    let told = tell_on(&mut association, event, elements);
    match &told {
        // It was told: how the association ends changes nothing.
        Ok(()) => drop(association.release()),
        Err(error) => association.abort(error),
    }
    told
}

fn tell_on(association: &mut Association, event: u16, elements: &[(Tag, Vr, Vec<Value>)]) -> Result<(), Error> {
    let context = association.contexts.first().cloned().ok_or(Error::NotOffered("storage commitment"))?;
    let message = association.next_message();
    let request = Command::request(field::EVENT_REPORT, uids::STORAGE_COMMITMENT, message)
        .with_uid(element::AFFECTED_INSTANCE, uids::STORAGE_COMMITMENT_INSTANCE)
        .with(element::EVENT_TYPE, event);
    association.send(context.id, request, Some(&identifier::write(elements, &context.transfer_syntax)))?;
    let (answered, response) = association.response(message, (0, &mut false), false)?;
    association.skip_data(answered.id, &response)?;
    match response.status() {
        status if status::is_done(status) => Ok(()),
        status => Err(Error::Status { status, comment: None }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_goes_where_the_request_came_from() {
        let peers = ["ct@127.0.0.1:1", "CT@127.0.0.2:2", "MR@127.0.0.3:3"].map(|text| text.parse::<Peer>().unwrap());
        let port = |title, from: &str| caller(&peers, title, from.parse().ok()).map(|peer| peer.port);
        assert_eq!(port("CT", "127.0.0.1"), Some(1), "the address goes before the letters");
        assert_eq!(port("CT", "127.0.0.2"), Some(2));
        assert_eq!(port("CT", "127.0.0.9"), Some(2));
        assert_eq!(port("US", "127.0.0.1"), None);
    }

    #[test]
    fn results_on_their_way_are_counted_until_they_end() {
        let most: Vec<OnTheWay> = (0..MOST).map(|_| OnTheWay::begin().unwrap()).collect();
        assert!(OnTheWay::begin().is_none());
        drop(most);
        let fails = std::panic::catch_unwind(|| {
            let _on_the_way = OnTheWay::begin();
            panic!("a thread that ends so");
        });
        assert!(fails.is_err() && ON_THE_WAY.load(Ordering::SeqCst) == 0);
    }

    #[test]
    fn a_request_is_read() {
        let item = |n: u8| json!({"00081150": {"vr": "UI", "Value": ["1.2"]}, "00081155": {"vr": "UI", "Value": [format!("1.2.{n}")]}});
        let uid = (TRANSACTION, Vr::UI, vec![Value::from("2.25.7")]);
        for syntax in [TransferSyntax::EXPLICIT_LITTLE, TransferSyntax::IMPLICIT_LITTLE] {
            let bytes = identifier::write(&[uid.clone(), (REFERENCED, Vr::SQ, vec![item(1), item(2)])], syntax);
            let read_back = read(&bytes, syntax).unwrap();
            assert_eq!(read_back.uid, "2.25.7");
            assert_eq!(read_back.objects, [("1.2".into(), "1.2.1".into()), ("1.2".into(), "1.2.2".into())]);
            assert!(read(&identifier::write(std::slice::from_ref(&uid), syntax), syntax).is_none());
            assert!(read(b"", syntax).is_none());
        }
    }
}
