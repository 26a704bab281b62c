//! `firstlight backup`: an archive into a folder, while it is served.

use crate::failure::{Exit, Failure};
use crate::kept;
use crate::settings::backup::Backup;
use crate::stop::Stop;
use crate::units::{bytes, count};
use archive::{BACKUP_INDEX, BackedUp};
use std::time::{Duration, Instant};

/// Time between two lines about how far it is.
const EVERY: Duration = Duration::from_secs(5);

/// Runs the command.
pub fn run(set: Backup) -> Result<Exit, Failure> {
    let archive = kept::archive(&set.data)?;
    let stop = Stop::on_interrupt();
    let mut last = Instant::now();
    let mut told = |done: &BackedUp| {
        if !set.quiet && last.elapsed() >= EVERY {
            last = Instant::now();
            eprintln!("{}", line(done));
        }
    };
    let done = archive.backup(&set.to, stop.flag(), &mut told).map_err(|error| failed(&set, &error))?;
    let Some(done) = done else {
        eprintln!("stopped: the same command goes on from here; what was backed up before is as it was");
        return Ok(Exit::Stopped);
    };
    for (object, why) in &done.faults {
        eprintln!("not in the backup: object {object}: {why}");
    }
    if !set.quiet {
        eprintln!("backup: {}; the index is {}", line(&done), set.to.join(BACKUP_INDEX).display());
    }
    Ok(if done.faults.is_empty() { Exit::Well } else { Exit::Refused })
}

fn line(done: &BackedUp) -> String {
    let removed = match done.removed {
        0 => String::new(),
        n => format!(", {} of what was deleted removed", count(n, "object")),
    };
    format!("{} copied, {}, {} there before{removed}", count(done.copied, "object"), bytes(done.bytes), done.there)
}

fn failed(set: &Backup, error: &archive::Error) -> Failure {
    let failure = Failure::new(format!("cannot back up into {}: {error}", set.to.display()));
    match error {
        archive::Error::Full => failure.hint("make room there, then run the same command again: it goes on from here"),
        _ => failure.hint("name a new folder, or one with an earlier backup of this archive"),
    }
}
