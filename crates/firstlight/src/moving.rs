//! `firstlight move`: an archive into a new place, whatever its index and its objects are kept in.

use crate::failure::{Exit, Failure};
use crate::kept;
use crate::settings::moving::Move;
use crate::stop::Stop;
use crate::units::{bytes, count};
use crate::words;
use archive::{Archive, Arrival, Moved, Stage};
use std::time::{Duration, Instant};

/// Time between two lines about how far it is.
const EVERY: Duration = Duration::from_secs(5);

/// Runs the command.
pub fn run(set: Move) -> Result<Exit, Failure> {
    let archive = kept::archive(&set.data)?;
    if set.dry_run {
        return dry(&set, &archive);
    }
    let stop = Stop::on_interrupt();
    let mut last = Instant::now();
    let mut told = |done: &Moved| {
        if !set.quiet && last.elapsed() >= EVERY {
            last = Instant::now();
            eprintln!("{}", progress(done));
        }
    };
    let moved = archive.move_to(&set.data, &set.to, stop.flag(), &mut told).map_err(|error| failed(&set, &error))?;
    let Some(moved) = moved else {
        eprintln!("stopped: the same command goes on from here; the old archive is as it was");
        return Ok(Exit::Stopped);
    };
    for (object, why) in &moved.faults {
        eprintln!("not moved: object {object}: {why}");
    }
    Ok(ended(&set, &moved))
}

fn dry(set: &Move, archive: &Archive) -> Result<Exit, Failure> {
    let what = archive.to_move().map_err(|error| failed(set, &error))?;
    println!(
        "would move {}, {}, and {} in {}: {} to {}",
        count(what.objects, "object"),
        bytes(what.bytes),
        count(what.rows, "row"),
        count(what.tables, "table"),
        set.data.display(),
        set.to.folder.display()
    );
    println!("index: {}", set.to.index.at.as_deref().unwrap_or("in that folder"));
    println!("objects: {}", set.to.objects.at.as_deref().unwrap_or("in that folder"));
    if what.in_use {
        println!("the archive is in use: the last run needs it at rest");
    }
    Ok(Exit::Well)
}

fn progress(done: &Moved) -> String {
    match done.stage {
        Stage::Objects => {
            let all = done.listed.max(done.copied + done.there);
            format!("objects: {} of {all}, {} copied", done.copied + done.there, bytes(done.bytes))
        }
        Stage::Rows => format!("rows: {} written", done.written),
        Stage::Comparing => format!("{} compared", count(done.compared, "row")),
    }
}

/// Says how it ended.
fn ended(set: &Move, done: &Moved) -> Exit {
    let place = set.to.folder.display();
    let what = format!(
        "{} copied, {}, each compared with its hash, {} there before; {} compared",
        count(done.copied, "object"),
        bytes(done.bytes),
        done.there,
        count(done.compared, "row")
    );
    match done.arrival {
        Arrival::Complete if set.quiet => Exit::Well,
        Arrival::Complete => {
            println!("moved: {what}; the archive is in {place}, and {} is as it was", set.data.display());
            Exit::Well
        }
        Arrival::Earlier => {
            println!("the archive was moved to {place} before; nothing is left to do");
            Exit::Well
        }
        Arrival::InUse => {
            eprintln!("so far: {what}");
            eprintln!("the archive is in use, and {place} cannot be opened yet");
            eprintln!("hint: stop what has it open, then run the same command again: it takes what came since");
            Exit::Refused
        }
        Arrival::Incomplete => {
            eprintln!(
                "so far: {what}; {} not moved, and {place} cannot be opened yet",
                count(done.faults.len() as u64, "object")
            );
            eprintln!(
                "hint: bring them back from a backup, or delete their instances for good, then run the same command again"
            );
            Exit::Refused
        }
    }
}

fn failed(set: &Move, error: &archive::Error) -> Failure {
    let failure = Failure::new(format!("cannot move to {}: {error}", set.to.folder.display()));
    match error {
        archive::Error::Full => failure.hint("make room there, then run the same command again: it goes on from here"),
        archive::Error::Destination(_) => {
            failure.hint("a new place is an empty folder, an empty database, and a prefix with nothing below it; one that was begun is gone on with by the same command")
        }
        archive::Error::Damaged(_) => failure.hint("`firstlight scrub` names what is damaged in the archive"),
        archive::Error::IndexAt(wrong) => failure.hint(words::hint_for_index(wrong)),
        archive::Error::Objects(_) => failure.hint("docs/deployment.md says how objects in S3 are set up"),
        _ => failure.hint("the same command goes on from here"),
    }
}
