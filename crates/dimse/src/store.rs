//! C-STORE, answered (PS3.4 Annex B, PS3.7 9.1.1): the data set goes into the archive as it comes, behind file meta information of ours
//! (PS3.10 7.1), and is durable and listed before the status is sent.

use crate::association::{Association, Context};
use crate::command::{Command, element};
use crate::error::Error;
use crate::peers::AeTitle;
use crate::status;
use crate::uids;
use ::access::{Identity, Reach, Right};
use archive::{Archive, Candidate, Ingested, Ticket};
use dicom::Uid;
use std::io::Read;

/// Takes an object in and answers. An object that can't be stored is an answer, not the end of the association.
pub fn answer(
    association: &mut Association,
    archive: &Archive,
    caller: &Identity,
    context: &Context,
    request: &Command,
) -> Result<(), Error> {
    let (status, comment) = match take(association, archive, caller, context, request)? {
        Ok(()) => (status::SUCCESS, String::new()),
        Err(refused) => refused,
    };
    let mut response = Command::response(request, status);
    if !comment.is_empty() {
        tracing::warn!(calling = ?association.calling, status = format_args!("{status:04X}"), %comment, "C-STORE refused");
        response = response.with_text(element::COMMENT, &comment);
    }
    association.send(context.id, response, None)
}

type Refused = (u16, String);

fn take(
    association: &mut Association,
    archive: &Archive,
    caller: &Identity,
    context: &Context,
    request: &Command,
) -> Result<Result<(), Refused>, Error> {
    if !request.has_data_set() {
        return Ok(Err((status::CANNOT_UNDERSTAND, "no data set follows".into())));
    }
    let instance = request.text(element::AFFECTED_INSTANCE);
    if !uids::is_storage(&context.abstract_syntax) {
        association.skip_data(context.id, request)?;
        return Ok(Err((status::CLASS_NOT_SUPPORTED, "no class of stored objects".into())));
    }
    let class = request.text(element::AFFECTED_CLASS);
    if class != context.abstract_syntax {
        association.skip_data(context.id, request)?;
        return Ok(Err((status::DOES_NOT_MATCH, "Affected SOP Class UID is not the presentation context's".into())));
    }
    let meta = file_meta(association, context, request);
    let mut data = association.data(context.id);
    let received = archive.receive(&mut (&meta[..]).chain(&mut data));
    // What the archive did not want is read over; what was wrong with the association ends it.
    data.finish()?;
    let stored = match received {
        Ok(candidate) if candidate.key().sop != instance => {
            return Ok(Err((status::DOES_NOT_MATCH, "SOP Instance UID of the data set is another".into())));
        }
        Ok(candidate) if candidate.sop_class() != class => {
            return Ok(Err((status::DOES_NOT_MATCH, "SOP Class UID of the data set is another".into())));
        }
        Ok(candidate) => match may_store(archive, caller, &candidate) {
            Ok(true) => archive.submit(candidate).and_then(Ticket::wait),
            Ok(false) => return Ok(Err((status::NOT_AUTHORIZED, "you may not store it".into()))),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    Ok(match stored {
        Ok(stored) => {
            if let Ingested::Conflict(_) = stored {
                tracing::warn!(calling = ?association.calling, "another object has its UIDs: both are kept");
            }
            Ok(())
        }
        Err(error) => Err(refusal(&error)),
    })
}

/// May the caller store it? A study that is there says so itself; of a new one, the instance that begins it.
fn may_store(archive: &Archive, caller: &Identity, candidate: &Candidate) -> Result<bool, archive::Error> {
    if caller.reach(Right::Write) == Reach::All {
        return Ok(true);
    }
    let new = candidate.study_facts();
    let there = archive.accounts().study_facts(&new.study)?;
    Ok(caller.may(Right::Write, there.as_ref().unwrap_or(&new)))
}

/// The status for what an archive does not take, and why in words.
fn refusal(error: &archive::Error) -> Refused {
    let status = match error {
        archive::Error::Refused(_) | archive::Error::Dicom(_) if !error.may_pass() => status::CANNOT_UNDERSTAND,
        archive::Error::NoInstance(_) => status::DOES_NOT_MATCH,
        _ => status::OUT_OF_RESOURCES,
    };
    (status, error.to_string())
}

/// Preamble, prefix and group 0002: what the command and the association say of the object.
fn file_meta(association: &Association, context: &Context, request: &Command) -> Vec<u8> {
    let mut group = Vec::new();
    element_of(&mut group, 0x0001, b"OB", &[0, 1]);
    for (element, uid) in [
        (0x0002, request.text(element::AFFECTED_CLASS)),
        (0x0003, request.text(element::AFFECTED_INSTANCE)),
        (0x0010, context.transfer_syntax.clone()),
        (0x0012, transcode::IMPLEMENTATION_CLASS_UID.to_owned()),
    ] {
        if let Some(uid) = Uid::parse(&uid) {
            element_of(&mut group, element, b"UI", uid.as_str().as_bytes());
        }
    }
    element_of(&mut group, 0x0013, b"SH", transcode::IMPLEMENTATION_VERSION_NAME.as_bytes());
    if let Ok(calling) = association.calling.parse::<AeTitle>() {
        element_of(&mut group, 0x0016, b"AE", calling.as_str().as_bytes());
    }
    let mut meta = vec![0; 128];
    meta.extend_from_slice(b"DICM");
    element_of(&mut meta, 0x0000, b"UL", &(group.len() as u32).to_le_bytes());
    meta.extend(group);
    meta
}

/// An element of group 0002 in Explicit VR Little Endian, padded to even length.
fn element_of(out: &mut Vec<u8>, element: u16, vr: &[u8; 2], value: &[u8]) {
    // Command sets are short, and so are their values.
    let value = &value[..value.len().min(0xFFFE)];
    let even = value.len().next_multiple_of(2);
    out.extend_from_slice(&[2, 0]);
    out.extend_from_slice(&element.to_le_bytes());
    out.extend_from_slice(vr);
    match vr {
        b"OB" => {
            out.extend_from_slice(&[0, 0]);
            out.extend_from_slice(&(even as u32).to_le_bytes());
        }
        _ => out.extend_from_slice(&(even as u16).to_le_bytes()),
    }
    out.extend_from_slice(value);
    if even > value.len() {
        out.push(if vr == b"UI" { 0 } else { b' ' });
    }
}

/// File meta information before a data set that has none (PS3.10 7.1), for readers of files.
pub fn bare_file(transfer_syntax: &str, data: &[u8]) -> Vec<u8> {
    let mut group = Vec::new();
    element_of(&mut group, 0x0010, b"UI", transfer_syntax.as_bytes());
    let mut file = vec![0; 128];
    file.extend_from_slice(b"DICM");
    element_of(&mut file, 0x0000, b"UL", &(group.len() as u32).to_le_bytes());
    file.extend(group);
    file.extend_from_slice(data);
    file
}
