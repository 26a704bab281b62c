//! What `delete` and `hold` work with.

use super::{File, age};
use crate::args::delete::{DeleteFlags, GraceFlag, HoldFlags};
use crate::failure::Failure;
use std::path::PathBuf;
use std::time::Duration;

/// A deletion.
pub struct Delete {
    pub data: PathBuf,
    pub what: Todo,
}

/// What is to be done about deleted things.
pub enum Todo {
    /// Delete what these UIDs name, and then remove what is due.
    Delete { uids: Vec<String>, grace: Duration, purge: Option<Purge> },
    /// Bring back what these UIDs or numbers name.
    Undo(Vec<String>),
    /// List.
    List { json: bool },
}

/// Removing for good what is due.
#[derive(Clone, Copy)]
pub struct Purge {
    /// The index is written anew, however large it is.
    pub rewrite_index: bool,
}

/// Holds.
pub struct Hold {
    pub data: PathBuf,
    pub what: Held,
}

/// What is to be done about holds.
pub enum Held {
    /// Hold these studies.
    Hold { studies: Vec<String>, reason: String },
    /// Hold them no more.
    Release(Vec<String>),
    /// List.
    List { json: bool },
}

/// Completes the flags of `delete`.
pub fn delete(flags: DeleteFlags, file: File) -> Result<Delete, Failure> {
    let grace = grace(flags.grace, &file)?;
    let data = folder(flags.data, file)?;
    let nothing = flags.what.is_empty();
    let what = match () {
        () if flags.list => Todo::List { json: flags.json },
        () if nothing && !flags.purge => {
            return Err(Failure::new("nothing was named to be deleted")
                .hint("name UIDs of studies, series or instances, or say --list or --purge"));
        }
        () if flags.undo => Todo::Undo(flags.what),
        () => {
            let purge = flags.purge.then_some(Purge { rewrite_index: flags.rewrite_index });
            Todo::Delete { uids: flags.what, grace, purge }
        }
    };
    Ok(Delete { data, what })
}

/// Completes the flags of `hold`.
pub fn hold(flags: HoldFlags, file: File) -> Result<Hold, Failure> {
    let data = folder(flags.data, file)?;
    let what = match (flags.what.is_empty(), flags.release) {
        (true, _) => Held::List { json: flags.json },
        (false, true) => Held::Release(flags.what),
        (false, false) => Held::Hold { studies: flags.what, reason: flags.reason.unwrap_or_default() },
    };
    Ok(Hold { data, what })
}

/// The grace time: of the flag, of the settings, or the usual one.
pub fn grace(flag: GraceFlag, file: &File) -> Result<Duration, Failure> {
    match flag.grace.as_ref().or(file.grace.as_ref()) {
        Some(text) => Ok(age("grace", text)?.unwrap_or(Duration::MAX)),
        None => Ok(archive::GRACE),
    }
}

fn folder(named: Option<PathBuf>, file: File) -> Result<PathBuf, Failure> {
    named.or(file.data).ok_or_else(|| Failure::new("no archive was named").hint("say --data DIR"))
}
