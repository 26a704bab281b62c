//! `firstlight quarantine`: what failed a check, and where its bytes are.

use crate::args::{QuarantineCommand, QuarantineFlags};
use crate::failure::{Exit, Failure};
use crate::kept::{self, Kept};
use crate::units::{bytes, count, time};
use std::path::PathBuf;
use transcode::{Quarantine, Quarantined, TransferSyntax};

/// Runs the command.
pub fn run(flags: QuarantineFlags, data: Option<PathBuf>) -> Result<Exit, Failure> {
    match flags.command {
        QuarantineCommand::List { data: named, json } => list(&of(named, data)?, json),
        QuarantineCommand::Show { name, data: named } => show(&of(named, data)?, &name),
    }
}

fn of(named: Option<PathBuf>, data: Option<PathBuf>) -> Result<Quarantine, Failure> {
    let dir = kept::folder(named, data)?;
    Ok(match kept::open(&dir)? {
        Kept::Archive(_) => Quarantine::new(dir.join("quarantine"), Quarantine::LIMIT),
        Kept::Folder { state, .. } => migrate::proofs::quarantine(&state),
    })
}

fn entries(quarantine: &Quarantine) -> Result<Vec<Quarantined>, Failure> {
    quarantine.list().map_err(|e| Failure::new(format!("cannot read {}: {e}", quarantine.folder().display())))
}

fn list(quarantine: &Quarantine, json: bool) -> Result<Exit, Failure> {
    let entries = entries(quarantine)?;
    for entry in &entries {
        if json {
            println!("{}", serde_json::to_string(entry).unwrap_or_default());
        } else {
            println!("{}  {}  {:>8}  {}", entry.name, time(entry.made), bytes(entry.bytes), entry.reason);
        }
    }
    if !json {
        eprintln!("{} in quarantine", count(entries.len() as u64, "conversion"));
    }
    Ok(if entries.is_empty() { Exit::Well } else { Exit::Refused })
}

fn show(quarantine: &Quarantine, name: &str) -> Result<Exit, Failure> {
    let entries = entries(quarantine)?;
    let found: Vec<&Quarantined> = entries.iter().filter(|entry| entry.name.starts_with(name)).collect();
    let [entry] = found[..] else {
        let failure = Failure::new(format!("{} entries of the quarantine are called {name}", found.len()));
        return Err(failure.hint("firstlight quarantine list shows their names"));
    };
    let syntax = |uid: &str| TransferSyntax::new(uid).name().to_owned();
    let wrong = match entry.kept {
        true => quarantine.file(entry).display().to_string(),
        false => "not kept: the quarantine was full".to_owned(),
    };
    for (title, value) in [
        ("entry", entry.name.clone()),
        ("when", time(entry.made)),
        ("reason", entry.reason.clone()),
        ("rule", entry.rule.clone()),
        ("codec", entry.codec.clone()),
        ("source", entry.source.clone()),
        ("source SHA-256", entry.source_sha256.clone()),
        ("SOP instance", entry.sop_instance_uid.clone()),
        ("was", syntax(&entry.source_transfer_syntax)),
        ("was to become", syntax(&entry.transfer_syntax)),
        ("wrong file", wrong),
        ("its bytes", entry.bytes.to_string()),
        ("its SHA-256", entry.sha256.clone()),
    ] {
        println!("{title:<15} {value}");
    }
    Ok(Exit::Well)
}
