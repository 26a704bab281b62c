//! `firstlight pull AE@host:port --study UID`: studies are fetched from a peer over DIMSE, into an archive.

use crate::failure::{Exit, Failure};
use crate::kept::cannot_open;
use crate::secured;
use crate::settings::dimse::Pull;
use crate::stop::Stop;
use crate::units::count;
use archive::{Archive, Options};
use dimse::{Call, Error, Limits};

/// Runs the command.
pub fn run(set: Pull) -> Result<Exit, Failure> {
    let stop = Stop::on_interrupt();
    let archive = Archive::open(&set.data, Options::default()).map_err(|e| cannot_open(&set.data, &e))?;
    let tls = secured::call(&set.peer, set.tls)?;
    let call = Call { peer: set.peer, title: set.title, limits: Limits::default(), tls, stop: stop.shared() };
    let mut exit = Exit::Well;
    for study in &set.studies {
        if stop.asked() {
            return Ok(Exit::Stopped);
        }
        let pulled = dimse::pull(&call, &archive, study.as_str());
        if matches!(pulled, Err(Error::Stopped)) {
            return Ok(Exit::Stopped);
        }
        let pulled = pulled.map_err(|error| {
            let failure = Failure::new(format!("{}: {error}", call.peer));
            match error {
                Error::Rejected(_) => failure.hint("the peer has to know our AE title (--ae-title) and address"),
                Error::NotOffered(_) => {
                    failure.hint("have the peer send the study to `firstlight serve --dimse` instead")
                }
                _ => failure,
            }
        })?;
        if pulled.listed == 0 {
            Failure::new(format!("{}: there is no study {study}", call.peer)).print();
            exit = exit.max(Exit::Refused);
            continue;
        }
        println!("{study}: {} of {} in the archive", pulled.there, count(pulled.listed as u64, "instance"));
        if pulled.there < pulled.listed {
            exit = exit.max(Exit::Refused);
        }
    }
    Ok(exit)
}
