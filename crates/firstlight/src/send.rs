//! `firstlight send SRC... AE@host:port`: files, folders and studies of an archive go to a peer over DIMSE.

use crate::failure::{Exit, Failure};
use crate::inputs;
use crate::inspect::refuse;
use crate::kept;
use crate::secured;
use crate::settings::dimse::Send;
use crate::stop::Stop;
use crate::units::count;
use archive::Archive;
use dicom::Source;
use dimse::{Call, Error, Limits, Object, Retry, Sender, Sent, object_of};
use files::dicomdir;
use std::path::Path;

/// What became of what was to be sent.
#[derive(Default)]
struct Outcome {
    sent: u64,
    refused: u64,
    skipped: u64,
    /// The peer can't be reached, or the command was stopped: nothing more is tried.
    ended: Option<Failure>,
}

/// Runs the command. Goes on after an object that the peer does not take, not after a peer that is not there.
pub fn run(set: Send) -> Result<Exit, Failure> {
    let stop = Stop::on_interrupt();
    let tls = secured::call(&set.peer, set.tls)?;
    let call = Call { peer: set.peer.clone(), title: set.title, limits: Limits::default(), tls, stop: stop.shared() };
    let mut sender = Sender::new(call, Retry { times: set.retries, ..Retry::default() });
    let mut outcome = Outcome::default();
    let mut exit = inputs::each(&set.sources, |file| {
        if outcome.ended.is_some() || stop.asked() {
            return Ok(Exit::Well);
        }
        match Source::open(file.path) {
            // It names other files, which are sent themselves.
            Ok(source) if file.found && dicomdir::is_one(&source) => {
                outcome.skipped += 1;
                Ok(Exit::Well)
            }
            Ok(source) => {
                let again = || Ok(Source::open(file.path)?);
                Ok(outcome.add(file.name, object_of(&source).and_then(|object| sender.send(&object, &again))))
            }
            Err(dicom::Error::NotDicom) if file.found => {
                outcome.skipped += 1;
                Ok(Exit::Well)
            }
            Err(error) => refuse(file.name, &error),
        }
    })?;
    if let Some((data, studies)) = &set.studies {
        let archive = kept::archive(data)?;
        for study in studies {
            exit = exit.max(of_archive(&archive, study.as_str(), &mut sender, &mut outcome, &stop)?);
        }
    }
    // Everything was answered: how the association ends changes nothing.
    let _ = sender.finish();
    println!("{}", outcome.line(&set.peer.to_string()));
    match outcome.ended {
        Some(failure) => Err(failure),
        None if stop.asked() => Ok(Exit::Stopped),
        None => Ok(exit),
    }
}

/// Sends a study of the archive.
fn of_archive(
    archive: &Archive,
    study: &str,
    sender: &mut Sender,
    outcome: &mut Outcome,
    stop: &Stop,
) -> Result<Exit, Failure> {
    let failed = |error: archive::Error| Failure::new(format!("study {study}: {error}"));
    let instances = archive.instances(study, None).map_err(failed)?;
    if instances.is_empty() {
        Failure::new(format!("study {study} is not in the archive")).print();
        return Ok(Exit::Refused);
    }
    let mut exit = Exit::Well;
    for instance in instances {
        if outcome.ended.is_some() || stop.asked() {
            break;
        }
        let object = Object {
            class: instance.facts.sop_class_uid.clone(),
            instance: instance.sop.clone(),
            transfer_syntax: instance.transfer_syntax.clone(),
        };
        let sent = sender.send(&object, &|| Ok(archive.source(&instance)?));
        exit = exit.max(outcome.add(Path::new(&instance.sop), sent));
    }
    Ok(exit)
}

impl Outcome {
    fn add(&mut self, name: &Path, sent: Result<Sent, Error>) -> Exit {
        let why = match sent {
            Ok(Sent::Stored { .. }) => {
                self.sent += 1;
                return Exit::Well;
            }
            Ok(Sent::Refused { status, comment }) if comment.is_empty() => format!("the peer answered {status:04X}"),
            Ok(Sent::Refused { status, comment }) => {
                format!("the peer answered {status:04X}: {}", comment.escape_debug())
            }
            Ok(Sent::Impossible(why)) => why,
            Err(Error::Stopped) => return Exit::Stopped,
            Err(Error::Dicom(error)) => error.to_string(),
            Err(error) => {
                let what = format!("{}: {error}", name.display());
                self.ended =
                    Some(Failure::new(what).hint("what was acknowledged is there; the same command sends the rest"));
                return Exit::Environment;
            }
        };
        self.refused += 1;
        Failure::new(format!("{}: {why}", name.display())).print();
        Exit::Refused
    }

    fn line(&self, peer: &str) -> String {
        let mut parts = vec![format!("{} sent to {peer}", count(self.sent, "object"))];
        if self.refused > 0 {
            parts.push(format!("{} not taken", self.refused));
        }
        if self.skipped > 0 {
            parts.push(format!("{} skipped (no instance)", self.skipped));
        }
        parts.join(", ")
    }
}
