//! A study fetched from a peer: C-FIND tells what there is, C-GET brings it into the archive (PS3.4 C.4.1, C.4.3).

use crate::association::{Association, Context};
use crate::command::{Command, element, field};
use crate::error::Error;
use crate::identifier::{self, Identifier};
use crate::request::{self, MOST_CONTEXTS, Proposed};
use crate::send::Call;
use crate::status;
use crate::store;
use crate::uids;
use ::access::Identity;
use archive::{Archive, Query, QueryLevel, Tag};
use dicom::{TransferSyntax, Vr};
use std::collections::{BTreeMap, BTreeSet};

const SOP_CLASS: Tag = Tag(0x0008, 0x0016);
/// Answers of one query that are taken.
const MOST_ANSWERS: usize = 200_000;
/// What services are spoken in.
const SPOKEN: [&str; 2] = [TransferSyntax::EXPLICIT_LITTLE, TransferSyntax::IMPLICIT_LITTLE];
/// Transfer syntaxes in which objects are fetched, best first: as they are stored before uncompressed.
const TAKEN: [&str; 20] = [
    TransferSyntax::HTJ2K_RPCL,
    TransferSyntax::HTJ2K,
    TransferSyntax::HTJ2K_LOSSY,
    TransferSyntax::JPEG_XL_LOSSLESS,
    TransferSyntax::JPEG_XL_RECOMPRESSION,
    TransferSyntax::JPEG_XL,
    TransferSyntax::JPEG_LS,
    TransferSyntax::JPEG_LS_NEAR,
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.57",
    TransferSyntax::JPEG_BASELINE,
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.102",
    TransferSyntax::DEFLATED,
    TransferSyntax::EXPLICIT_LITTLE,
    TransferSyntax::EXPLICIT_BIG,
    TransferSyntax::IMPLICIT_LITTLE,
];

/// How a pull ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pulled {
    /// Instances that the peer says it has of the study.
    pub listed: usize,
    /// Of these, how many are in the archive now.
    pub there: usize,
    /// Sub-operations that the peer says failed.
    pub failed: u16,
}

/// Fetches a study into the archive; what is there already is sent again and counts as there.
pub fn pull(call: &Call, archive: &Archive, study: &str) -> Result<Pulled, Error> {
    let listed = list(call, study)?;
    if listed.is_empty() {
        return Ok(Pulled::default());
    }
    let failed = get(call, archive, study, &listed)?;
    let mut there = 0;
    for uid in listed.keys() {
        let matches = vec![(identifier::INSTANCE, uid.clone())];
        let query = Query { study: Some(study.to_owned()), matches, limit: Some(1), ..Query::default() };
        there += archive.find(QueryLevel::Instance, &query)?.rows.len();
    }
    Ok(Pulled { listed: listed.len(), there, failed })
}

/// The study's instances by SOP Instance UID, with their classes.
fn list(call: &Call, study: &str) -> Result<BTreeMap<String, String>, Error> {
    let proposed = [Proposed::new(uids::STUDY_FIND, &SPOKEN)];
    let mut association = request::associate(call, &proposed)?;
    let listed = list_on(&mut association, study);
    match &listed {
        // All was answered: how the association ends changes nothing.
        Ok(_) => drop(association.release()),
        Err(error) => association.abort(error),
    }
    listed
}

fn list_on(association: &mut Association, study: &str) -> Result<BTreeMap<String, String>, Error> {
    let mut listed = BTreeMap::new();
    let of_study =
        [(identifier::LEVEL, Vr::CS, "SERIES"), (identifier::STUDY, Vr::UI, study), (identifier::SERIES, Vr::UI, "")];
    for series in find(association, &of_study)? {
        let of_series = [
            (identifier::LEVEL, Vr::CS, "IMAGE"),
            (SOP_CLASS, Vr::UI, ""),
            (identifier::INSTANCE, Vr::UI, ""),
            (identifier::STUDY, Vr::UI, study),
            (identifier::SERIES, Vr::UI, series.value(identifier::SERIES)),
        ];
        let mut sorted = of_series;
        sorted.sort_by_key(|(tag, ..)| *tag);
        for instance in find(association, &sorted)? {
            listed.insert(instance.value(identifier::INSTANCE).to_owned(), instance.value(SOP_CLASS).to_owned());
        }
    }
    Ok(listed)
}

/// The answers to a C-FIND.
fn find(association: &mut Association, keys: &[(Tag, Vr, &str)]) -> Result<Vec<Identifier>, Error> {
    let context = context(association, uids::STUDY_FIND, "C-FIND")?;
    let message = association.next_message();
    let request = Command::request(field::FIND, uids::STUDY_FIND, message).with(element::PRIORITY, 0);
    let data = identifier::plain(keys, &context.transfer_syntax);
    association.send(context.id, request, Some(&data))?;
    let mut answers = Vec::new();
    loop {
        let (_, response) = association.response(message, (0, &mut false), false)?;
        if !status::is_pending(response.status()) {
            return ended(association, &context, &response).map(|_| answers);
        }
        let bytes = association.short_data(context.id, &response)?;
        answers.push(Identifier::read(&bytes, &context.transfer_syntax)?);
        if answers.len() > MOST_ANSWERS {
            return Err(Error::TooLong { what: "a list", len: answers.len() as u64, most: MOST_ANSWERS as u64 });
        }
    }
}

/// Brings the study in; returns how many sub-operations failed.
fn get(call: &Call, archive: &Archive, study: &str, listed: &BTreeMap<String, String>) -> Result<u16, Error> {
    let proposed = contexts(listed);
    let mut association = request::associate(call, &proposed)?;
    let got = get_on(&mut association, archive, study);
    match &got {
        Ok(_) => drop(association.release()),
        Err(error) => association.abort(error),
    }
    got
}

/// C-GET, and for each class a context for each transfer syntax, so that objects come as they are stored there; where that is more
/// than there is room for, one for each class in what any object can be made, and as far as there is room one more in which the peer
/// chooses how it is compressed. Some peers do not tell the classes: then it is the usual ones.
fn contexts(listed: &BTreeMap<String, String>) -> Vec<Proposed> {
    let mut classes: BTreeSet<String> = listed.values().filter(|class| uids::is_storage(class)).cloned().collect();
    if listed.values().any(|class| !uids::is_storage(class)) {
        classes.extend(uids::usual_storage());
    }
    let receive = |class: &str, syntaxes: &[&str]| Proposed { receive: true, ..Proposed::new(class, syntaxes) };
    let mut proposed = vec![Proposed::new(uids::STUDY_GET, &SPOKEN)];
    if classes.len() * TAKEN.len() < MOST_CONTEXTS {
        proposed.extend(classes.iter().flat_map(|class| TAKEN.iter().map(|syntax| receive(class, &[syntax]))));
    } else {
        let compressed: Vec<&str> = TAKEN.into_iter().filter(|syntax| !SPOKEN.contains(syntax)).collect();
        proposed.extend(classes.iter().map(|class| receive(class, &SPOKEN)));
        proposed.extend(classes.iter().map(|class| receive(class, &compressed)));
        proposed.truncate(MOST_CONTEXTS);
    }
    proposed
}

fn get_on(association: &mut Association, archive: &Archive, study: &str) -> Result<u16, Error> {
    let context = context(association, uids::STUDY_GET, "C-GET")?;
    let message = association.next_message();
    let request = Command::request(field::GET, uids::STUDY_GET, message).with(element::PRIORITY, 0);
    let keys = [(identifier::LEVEL, Vr::CS, "STUDY"), (identifier::STUDY, Vr::UI, study)];
    association.send(context.id, request, Some(&identifier::plain(&keys, &context.transfer_syntax)))?;
    loop {
        let Some((context, command)) = association.next()? else { return Err(Error::Closed) };
        match command.field() {
            field::STORE => store::answer(association, archive, &Identity::anyone(), &context, &command)?,
            kind if kind == field::GET | field::RESPONSE => {
                if status::is_pending(command.status()) {
                    association.skip_data(context.id, &command)?;
                    continue;
                }
                let failed = command.number(element::FAILED).unwrap_or(0);
                let some = command.status() == status::SOME_FAILED || failed > 0;
                association.skip_data(context.id, &command)?;
                return match some {
                    true => Ok(failed),
                    false => check(&command).map(|()| 0),
                };
            }
            _ => return Err(Error::Protocol("something else than the answers to C-GET")),
        }
    }
}

fn context(association: &Association, class: &str, service: &'static str) -> Result<Context, Error> {
    let found = association.contexts.iter().find(|context| context.abstract_syntax == class);
    found.cloned().ok_or(Error::NotOffered(service))
}

fn ended(association: &mut Association, context: &Context, response: &Command) -> Result<(), Error> {
    association.skip_data(context.id, response)?;
    check(response)
}

fn check(response: &Command) -> Result<(), Error> {
    let status = response.status();
    let comment = Some(response.text(element::COMMENT)).filter(|comment| !comment.is_empty());
    if status::is_done(status) { Ok(()) } else { Err(Error::Status { status, comment }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(classes: usize) -> BTreeMap<String, String> {
        (0..classes).map(|n| (format!("2.25.{n}"), format!("1.2.840.10008.5.1.4.1.1.{n}"))).collect()
    }

    #[test]
    fn every_class_has_a_context_in_what_any_object_can_be_made() {
        let spoken: Vec<String> = SPOKEN.map(str::to_owned).to_vec();
        for classes in [7, 60, 100] {
            let proposed = contexts(&listed(classes));
            assert!(proposed.len() <= MOST_CONTEXTS);
            assert_eq!(proposed.iter().filter(|p| p.receive && p.syntaxes == spoken).count(), classes);
            let compressed = proposed.iter().filter(|p| p.receive && p.syntaxes != spoken).count();
            assert_eq!(compressed, classes.min(MOST_CONTEXTS - 1 - classes));
        }
        let few = contexts(&listed(2));
        assert_eq!(few.len(), 1 + 2 * TAKEN.len());
        assert!(few[1..].iter().all(|p| p.syntaxes.len() == 1));
    }
}
