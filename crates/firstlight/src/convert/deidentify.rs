//! What `convert --deidentify` needs before it starts: a key that lies elsewhere, and a destination of its own.

use super::state::Known;
use crate::failure::Failure;
use crate::settings::Deidentify;
use deidentify::{Deidentifier, Key, KeyError};
use files::records::{self, LogLine};
use migrate::Journal;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Reads the key, or makes it when that was asked for and it is not there.
pub fn load(set: &Deidentify) -> Result<Deidentifier, Failure> {
    let key = match Key::load(&set.key) {
        Err(KeyError::Io(e)) if e.kind() == io::ErrorKind::NotFound && set.make_key => {
            let folder = set.key.parent().filter(|folder| !folder.as_os_str().is_empty());
            let made = folder.map_or(Ok(()), |folder| DirBuilder::new().recursive(true).mode(0o700).create(folder));
            let key = made.map_err(KeyError::Io).and_then(|()| Key::create(&set.key));
            if key.is_ok() {
                eprintln!("made the key {}: keep it safe and apart from what is written", set.key.display());
            }
            key
        }
        other => other,
    };
    let key = key.map_err(|error| {
        let failure = Failure::new(format!("cannot use the key {}: {error}", set.key.display()));
        match error {
            KeyError::Io(e) if e.kind() == io::ErrorKind::NotFound => failure.hint("--make-key makes a new one there"),
            KeyError::Open => failure.hint("chmod 600 it"),
            KeyError::Malformed => failure.hint("--make-key makes one where no file is yet"),
            _ => failure,
        }
    })?;
    let mut deidentifier = Deidentifier::new(set.profile.clone(), key);
    deidentifier.burned_in = set.burned_in;
    Ok(deidentifier)
}

/// A destination holds de-identified objects alone, or none: neither its files nor what is remembered beside them, be it of sources
/// that can't be read, must tell one from the other.
pub fn check_destination(by: Option<&Deidentifier>, known: &Known, destination: &Path) -> Result<(), Failure> {
    check_journal(by.is_some(), destination)?;
    let (mixed, what) = match by {
        Some(_) => {
            (known.tells_of(false) || Journal::is_in(destination), "or names objects that are not de-identified")
        }
        None => (known.tells_of(true), "de-identified objects"),
    };
    if mixed { Err(other_kind(destination, what)) } else { Ok(()) }
}

/// As [`check_destination`], of a run whose log is that of a migration.
pub fn check_journal(deidentify: bool, destination: &Path) -> Result<(), Failure> {
    let mixed = records::read(&Journal::folder(destination))
        .any(|told| matches!(told, Ok(LogLine::Record { record, .. }) if record.deidentified.is_some() != deidentify));
    if mixed || (deidentify && Journal::is_in(destination)) {
        let what = if deidentify { "or names objects that are not de-identified" } else { "de-identified objects" };
        return Err(other_kind(destination, what));
    }
    Ok(())
}

fn other_kind(destination: &Path, what: &str) -> Failure {
    Failure::new(format!("{} holds {what}", destination.display())).hint("choose another destination")
}
