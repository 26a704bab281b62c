//! Instances that come as metadata and bulk data (PS3.18 10.5.1 and 8.7.3.3): written as Explicit VR Little Endian, or around the
//! compressed frames that came.

mod json;
mod object;
mod xml;

use super::answer::Model;
use super::outcome::{self, Named, Outcome};
use crate::accept::{self, MediaRange};
use crate::media::{self, OCTET_STREAM};
use crate::multipart::{Head, Parts, Trouble};
use archive::Staged;
use archive::{Archive, Candidate, Error, InstanceKey};
use dicom::Uid;
use object::Object;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::io::Read;

/// Bytes of the metadata of one request.
const MOST_METADATA: u64 = 16 << 20;
/// Parts of one request: each of bulk data is a file in the spool.
const MOST_PARTS: usize = 10_000;

/// A data set in DICOM JSON.
type Set = Map<String, Value>;

/// What became of one instance of the metadata.
pub type Made = Result<Result<Candidate, Error>, Outcome>;

/// A part of bulk data, in the spool.
pub struct Bulk {
    /// Its bytes.
    pub staged: Staged,
    /// Its Content-Type.
    pub media: MediaRange,
}

/// Bulk data by Content-Location; several parts of one location are frames in their order.
pub type BulkData = HashMap<String, Vec<Bulk>>;

/// Reads metadata and bulk data, and hands over each instance as it is written. Metadata that can't be read is one outcome, for all.
pub fn take_in<R: Read>(
    archive: &Archive,
    parts: &mut Parts<R>,
    model: Model,
    made: &mut dyn FnMut(Made),
) -> Result<(), Trouble> {
    match gather(archive, parts, model)? {
        Ok((sets, bulk)) => sets.iter().for_each(|set| made(instance(archive, set, &bulk))),
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
    let (mut sets, mut bulk, mut count) = (Vec::new(), BulkData::new(), 0);
    while let Some(head) = parts.next_part()? {
        count += 1;
        if count > MOST_PARTS {
            let why = format!("one request has no more than {MOST_PARTS} parts of bulk data");
            return Ok(Err(Outcome::Other { reason: outcome::OUT_OF_RESOURCES, why }));
        }
        if is_metadata(&head, model, count == 1) {
            match metadata(parts, model)? {
                Ok(read) => sets.extend(read),
                Err(why) => return Ok(Err(not_understood(None, why))),
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

/// The data sets of a part: in JSON an array of them or one, in XML one.
fn metadata<R: Read>(parts: &mut Parts<R>, model: Model) -> Result<Result<Vec<Set>, String>, Trouble> {
    let mut bytes = Vec::new();
    // Whatever ends it before its end, the reader keeps.
    let _ = parts.by_ref().take(MOST_METADATA + 1).read_to_end(&mut bytes);
    parts.check()?;
    if bytes.len() as u64 > MOST_METADATA {
        return Ok(Err("the metadata is too long".into()));
    }
    Ok(match model {
        Model::Json => of_json(&bytes),
        Model::Xml => match std::str::from_utf8(&bytes) {
            Ok(text) => xml::read(text).map(|set| vec![set]).map_err(str::to_owned),
            Err(_) => Err("the metadata is not UTF-8".into()),
        },
    })
}

fn of_json(bytes: &[u8]) -> Result<Vec<Set>, String> {
    let set = |value| if let Value::Object(set) = value { Some(set) } else { None };
    let sets = match serde_json::from_slice(bytes) {
        Ok(Value::Array(sets)) => sets.into_iter().map(set).collect(),
        Ok(one) => set(one).map(|set| vec![set]),
        Err(error) => return Err(format!("the metadata is no JSON: {error}")),
    };
    sets.ok_or_else(|| "the metadata has what is no data set".into())
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
            bulk.entry(location.to_owned()).or_default().push(Bulk { staged, media });
        }
    }))
}

fn instance(archive: &Archive, set: &Set, bulk: &BulkData) -> Made {
    let object = Object::of(set, bulk).map_err(|wrong| not_understood(named(set), wrong.to_string()))?;
    Ok(archive.receive(&mut object.reader()))
}

/// The UIDs that the metadata has.
fn named(set: &Set) -> Option<Named> {
    let uid = |tag: &str| Uid::parse(set.get(tag)?.get("Value")?.get(0)?.as_str()?).map(|uid| uid.as_str().to_owned());
    let key = InstanceKey { study: uid("0020000D")?, series: uid("0020000E")?, sop: uid("00080018")? };
    Some(Named { key, class: uid("00080016")? })
}

fn not_understood(named: Option<Named>, why: String) -> Outcome {
    let reason = outcome::NOT_UNDERSTOOD;
    match named {
        Some(named) => Outcome::Failed { named, reason, why },
        None => Outcome::Other { reason, why },
    }
}
