//! An archive: every row of its index, every object under its hash; and the sources, found again by theirs.

use super::account::Account;
use super::{Audit, Audited, Digest32, Hear, Kind, each, hash, sources};
use crate::Error;
use crate::journal::Journal;
use archive::{Archive, FaultKind, Holding, Keeping, Options, Unservable};
use files::{heads, notice::reason, proofs::digest};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

pub(super) fn look(audit: &Audit, all: &mut Audited, hear: &mut Hear) -> Result<(), Error> {
    let root = std::path::absolute(audit.destination).map_err(Error::io("read", audit.destination))?;
    let archive = Archive::open(&root, Options::default())?;
    let (mut read, mut wrong) = (0, HashSet::new());
    archive.audit(audit.stop, &mut |pass, fault| {
        hear.read(pass.bytes.saturating_sub(read));
        (read, all.read) = (pass.bytes, (pass.objects, pass.bytes));
        let Some(fault) = fault else { return };
        let kind = match fault.kind {
            FaultKind::Missing => Kind::Missing,
            FaultKind::Object | FaultKind::Samples => Kind::Changed,
            FaultKind::Evidence | FaultKind::Index => Kind::Record,
        };
        let of = fault.instance.as_ref().map(|key| format!(" (instance {})", key.sop)).unwrap_or_default();
        let path = match digest(&fault.name) {
            Some(sha256) if kind != Kind::Record => {
                wrong.insert(sha256);
                object(&root, &fault.name)
            }
            _ => archive::index_of(&root),
        };
        let row = if kind == Kind::Record { format!("{}: ", fault.name) } else { String::new() };
        hear.find(kind, &path, format!("{row}{}{of}", fault.what));
    })?;
    unlisted(audit, &archive, &root, all, hear)?;

    let (state, mut waiting) = (Journal::folder(&root), 0);
    if state.is_dir() {
        all.heads = heads(&state).map_err(Error::io("read", &state))?;
        super::tree::lines(&all.heads, hear);
        waiting = super::tree::journals(&state, &all.heads, hear)?;
    }
    if audit.stopped() {
        return Ok(());
    }
    all.account = match audit.sources {
        [] => of_index(&archive)?,
        _ => of_sources(audit, &archive, &root, &wrong, hear)?,
    };
    all.account.waiting += waiting;
    Ok(())
}

fn object(root: &Path, name: &str) -> PathBuf {
    if let Ok(Some(at)) = Keeping::written(root) {
        return format!("{at}/objects/{}/{name}", &name[..2]).into();
    }
    root.join("objects").join(&name[..2]).join(&name[2..])
}

/// Objects that the index does not list. What a run that was killed left is an object under its hash: nothing is wrong with it.
fn unlisted(audit: &Audit, archive: &Archive, root: &Path, all: &mut Audited, hear: &mut Hear) -> Result<(), Error> {
    if let Ok(Some(at)) = Keeping::written(root) {
        hear.note(format!("objects below {at} that the index does not list were not looked for"));
        return Ok(());
    }
    let folder = root.join("objects");
    let mut unlisted = Vec::new();
    for there in super::tree::walk(&folder, None, hear) {
        let below = there.path.strip_prefix(&folder).unwrap_or(&there.path);
        let name: String = below.to_str().unwrap_or_default().chars().filter(|c| *c != '/').collect();
        let sha256 = digest(&name).filter(|_| there.file && object(root, &name) == there.path);
        match sha256 {
            Some(sha256) if archive.lists(sha256)? => {}
            sha256 => unlisted.push((there.path, sha256)),
        }
    }
    let mut left = 0;
    let work = |(path, _): &(PathBuf, Option<Digest32>), buffer: &mut Vec<u8>| hash(path, buffer);
    each(&unlisted, audit.jobs, audit.stop, work, |(path, sha256), looked| match looked {
        Ok((found, bytes)) => {
            all.read = (all.read.0 + 1, all.read.1 + bytes);
            hear.read(bytes);
            if *sha256 == Some(found) {
                left += 1;
            } else {
                hear.find(Kind::Added, path, "nothing tells of it");
            }
        }
        Err(error) => hear.find(Kind::Added, path, format!("nothing tells of it, and {}", reason(&error))),
    });
    if left > 0 {
        hear.note(format!(
            "{left} object(s) are in no row of the index: a run was killed before it said that it had them"
        ));
    }
    Ok(())
}

/// Counts what the index says.
fn of_index(archive: &Archive) -> Result<Account, Error> {
    let holdings = archive.holdings()?;
    let mut account = Account {
        sources: holdings.converted + holdings.kept + holdings.waiting,
        converted: holdings.converted,
        kept: holdings.kept,
        waiting: holdings.waiting,
        ..Account::default()
    };
    for object in archive.unserved()? {
        account.sources += 1;
        match object.why {
            Unservable::Unreadable => account.unreadable(Some(&object.reason)),
            Unservable::NoInstance => account.kept += 1,
        }
    }
    Ok(account)
}

fn of_sources(
    audit: &Audit,
    archive: &Archive,
    root: &Path,
    wrong: &HashSet<Digest32>,
    hear: &mut Hear,
) -> Result<Account, Error> {
    let mut account = Account { looked: true, ..Account::default() };
    let mut lost = Ok(());
    sources::walk(audit, root, hear, &mut |looked, hear| {
        account.sources += 1;
        let source = match looked {
            Ok(source) => source,
            Err((name, why)) => {
                account.failed += 1;
                return hear.note(format!("{}: {why}", name.display()));
            }
        };
        match archive.holding(source.sha256) {
            Err(error) => lost = Err(error),
            Ok(Some(_)) if wrong.contains(&source.sha256) => account.wrong += 1,
            Ok(Some(Holding::Converted { .. })) => account.converted += 1,
            Ok(Some(Holding::Kept { .. } | Holding::NoInstance)) => account.kept += 1,
            Ok(Some(Holding::Waiting)) => account.waiting += 1,
            Ok(Some(Holding::Unreadable { reason })) => account.unreadable(Some(&reason)),
            Ok(None) if !source.dicom => account.skipped += 1,
            Ok(None) => {
                account.missing += 1;
                hear.find(Kind::Lost, &source.name, "its bytes never came into the archive");
            }
        }
    })?;
    lost?;
    Ok(account)
}
