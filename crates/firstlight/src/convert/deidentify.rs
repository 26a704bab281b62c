//! What `convert --deidentify` needs before it starts: a key that lies elsewhere, and a destination of its own.

use super::state::{Known, records};
use crate::failure::Failure;
use crate::settings::Deidentify;
use migrate::Journal;
use std::io;
use std::path::Path;
use transcode::deidentify::{Deidentifier, Key, KeyError};

/// Reads the key, or makes it when that was asked for and it is not there.
pub fn load(set: &Deidentify) -> Result<Deidentifier, Failure> {
    let key = match Key::load(&set.key) {
        Err(KeyError::Io(e)) if e.kind() == io::ErrorKind::NotFound && set.make_key => {
            let key = Key::create(&set.key);
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
/// that were refused, must tell one from the other.
pub fn check_destination(by: Option<&Deidentifier>, known: &Known, destination: &Path) -> Result<(), Failure> {
    let (mixed, what) = match by {
        Some(_) => {
            (known.tells_of(false) || Journal::is_in(destination), "or names objects that are not de-identified")
        }
        None => (known.tells_of(true), "de-identified objects"),
    };
    if mixed { Err(other_kind(destination, what)) } else { Ok(()) }
}

/// As [`check_destination`], of a run whose journal names its sources.
pub fn check_journal(destination: &Path) -> Result<(), Failure> {
    let told = records(&Journal::folder(destination)).into_iter().flatten().any(|record| record.deidentified.is_some());
    if told { Err(other_kind(destination, "de-identified objects")) } else { Ok(()) }
}

fn other_kind(destination: &Path, what: &str) -> Failure {
    Failure::new(format!("{} holds {what}", destination.display())).hint("choose another destination")
}
