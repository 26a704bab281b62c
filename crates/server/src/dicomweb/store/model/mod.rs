//! Instances that come as metadata and bulk data (PS3.18 10.5.1 and 8.7.3.3): written as Explicit VR Little Endian, or around the
//! compressed frames that came.

mod bulk;
mod json;
mod object;
mod sets;
mod xml;

use super::forms::Model;
use super::outcome::{self, Named, Outcome};
use crate::accept;
use crate::media::{self, OCTET_STREAM};
use crate::multipart::{Head, Parts, Trouble};
use archive::{Archive, Candidate, Error, InstanceKey};
use bulk::{Bulk, BulkData};
use dicom::Uid;
use object::Object;
use sets::Set;
use std::io::Read;

/// Bytes of the metadata of one request, all parts together.
const MOST_METADATA: u64 = 16 << 20;
/// Parts of one request: each of bulk data is a file in the spool.
const MOST_PARTS: usize = 10_000;

/// What became of one instance of the metadata.
pub type Made = Result<Result<Candidate, Error>, Outcome>;

/// Reads metadata and bulk data, and hands over each instance as it is written. Metadata that can't be read is one outcome, for all.
pub fn take_in<R: Read>(
    archive: &Archive,
    parts: &mut Parts<R>,
    model: Model,
    made: &mut dyn FnMut(Made),
) -> Result<(), Trouble> {
    let gathered = gather(archive, parts, model)?;
    let gathered = gathered.and_then(|gathered| Ok((gathered, archive.room().map_err(|e| Outcome::refused(&e))?)));
    match gathered {
        Ok(((sets, bulk), mut room)) => sets.iter().for_each(|set| made(instance(archive, set, &bulk, &mut room))),
        Err(refused) => made(Err(refused)),
    }
    Ok(())
}

/// Everything that the body has, or why that is not taken.
fn gather<R: Read>(
    archive: &Archive,
    parts: &mut Parts<R>,
    model: Model,
) -> Result<Result<(Vec<Set>, BulkData), Outcome>, Trouble> {
    let (mut sets, mut bulk, mut count, mut left) = (Vec::new(), BulkData::new(), 0, MOST_METADATA);
    while let Some(head) = parts.next_part()? {
        count += 1;
        if count > MOST_PARTS {
            return Ok(Err(too_much(None, format!("one request has no more than {MOST_PARTS} parts of bulk data"))));
        }
        if is_metadata(&head, model, count == 1) {
            let Some(bytes) = metadata(parts, &mut left)? else {
                return Ok(Err(not_understood(None, "the metadata is too long".into())));
            };
            match data_sets(&bytes, model) {
                Ok(read) => sets.extend(read),
                Err(why) => return Ok(Err(not_understood(None, why))),
            }
            if sets.len() > sets::MOST {
                return Ok(Err(not_understood(None, format!("the metadata has more than {} data sets", sets::MOST))));
            }
        } else if let Err(error) = add(archive, parts, &head, &mut bulk)? {
            return Ok(Err(Outcome::refused(&error)));
        }
    }
    Ok(Ok((sets, bulk)))
}

fn is_metadata(head: &Head, model: Model, is_first: bool) -> bool {
    match (head.get("content-type").and_then(accept::media_type), model) {
        (Some(media), Model::Json) => matches!(media.essence.as_str(), media::DICOM_JSON | "application/json"),
        (Some(media), Model::Xml) => {
            matches!(media.essence.as_str(), media::DICOM_XML | "application/xml" | "text/xml")
        }
        (None, _) => is_first,
    }
}

/// The bytes of a part of metadata; `None` where they are more than are `left`.
fn metadata<R: Read>(parts: &mut Parts<R>, left: &mut u64) -> Result<Option<Vec<u8>>, Trouble> {
    let mut bytes = Vec::new();
    // Whatever ends it before its end, the reader keeps.
    let _ = parts.by_ref().take(*left + 1).read_to_end(&mut bytes);
    parts.check()?;
    let after = left.checked_sub(bytes.len() as u64);
    *left = after.unwrap_or(0);
    Ok(after.map(|_| bytes))
}

/// The data sets of a part: in JSON an array of them or one, in XML one.
fn data_sets(bytes: &[u8], model: Model) -> Result<Vec<Set>, String> {
    match (model, std::str::from_utf8(bytes)) {
        (Model::Json, _) => sets::read(bytes),
        (Model::Xml, Ok(text)) => xml::read(text).map(|set| vec![set]).map_err(str::to_owned),
        (Model::Xml, Err(_)) => Err("the metadata is not UTF-8".into()),
    }
}

/// Takes a part of bulk data into the spool.
fn add<R: Read>(
    archive: &Archive,
    parts: &mut Parts<R>,
    head: &Head,
    bulk: &mut BulkData,
) -> Result<Result<(), Error>, Trouble> {
    let media = head.get("content-type").and_then(accept::media_type);
    let media = media.or_else(|| accept::media_type(OCTET_STREAM));
    let staged = archive.spool(parts);
    parts.check()?;
    let location = head.get("content-location").unwrap_or_default();
    Ok(staged.map(|staged| {
        if let Some(media) = media {
            bulk.entry(location.to_owned()).or_default().push(Bulk { parked: staged.park(), media });
        }
    }))
}

/// Writes an instance, where `room` has its bytes: many may name the same bulk data, and each has it for its own.
fn instance(archive: &Archive, set: &Set, bulk: &BulkData, room: &mut u64) -> Made {
    let object = Object::of(set, bulk).map_err(|wrong| not_understood(named(set), wrong.to_string()))?;
    let left = room.checked_sub(object.size());
    *room = left.ok_or_else(|| too_much(named(set), "the storage has no room for it".into()))?;
    Ok(archive.receive(&mut object.reader()))
}

/// The UIDs that the metadata has.
fn named(set: &Set) -> Option<Named> {
    let uid = |tag: &str| Uid::parse(set.get(tag)?.get("Value")?.get(0)?.as_str()?).map(|uid| uid.as_str().to_owned());
    let key = InstanceKey { study: uid("0020000D")?, series: uid("0020000E")?, sop: uid("00080018")? };
    Some(Named { key, class: uid("00080016")? })
}

fn not_understood(named: Option<Named>, why: String) -> Outcome {
    refused(named, outcome::NOT_UNDERSTOOD, why)
}

fn too_much(named: Option<Named>, why: String) -> Outcome {
    refused(named, outcome::OUT_OF_RESOURCES, why)
}

fn refused(named: Option<Named>, reason: u16, why: String) -> Outcome {
    match named {
        Some(named) => Outcome::Failed { named, reason, why },
        None => Outcome::Other { reason, why },
    }
}
