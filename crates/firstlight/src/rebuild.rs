//! `firstlight rebuild-index`: the index of an archive made anew from its objects, and what could not be told from them.

use crate::failure::{Exit, Failure};
use crate::policy;
use crate::settings::backup::Rebuild;
use crate::stop::Stop;
use crate::units::count;
use archive::{Archive, Event, Options, Rebuilt};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Time between two lines about how far it is.
const EVERY: Duration = Duration::from_secs(5);

/// Runs the command.
pub fn run(set: Rebuild) -> Result<Exit, Failure> {
    let (stop, policy) = (Stop::on_interrupt(), policy::load(&set.policy)?);
    if !set.data.is_dir() {
        return Err(
            Failure::new(format!("{} is not there", set.data.display())).hint("--data names the folder of an archive")
        );
    }
    let options = Options { index: set.index.clone(), objects: set.objects.clone(), ..Options::default() };
    let mut last = Instant::now();
    let mut told = |found: &Rebuilt| {
        if last.elapsed() >= EVERY {
            last = Instant::now();
            eprintln!("{} read, {} listed", count(found.objects, "object"), count(found.instances, "instance"));
        }
    };
    let found = Archive::rebuild(&set.data, &options, stop.flag(), &mut told).map_err(|error| failed(&set, &error))?;
    let Some(found) = found else { return Ok(stopped()) };
    println!("{} read, {} listed", count(found.objects, "object"), count(found.instances, "instance"));
    let mut strange = 0;
    if set.convert {
        let archive = Archive::open(&set.data, options).map_err(|error| failed(&set, &error))?;
        let failures = Cell::new(0);
        let told = |event| {
            if let Event::Failed { key, error } = event {
                failures.set(failures.get() + 1);
                eprintln!("not converted: {}: {error}", key.sop.escape_debug());
            }
        };
        let done =
            archive.convert_pending(&policy, set.jobs, stop.flag(), &told).map_err(|error| failed(&set, &error))?;
        if stop.asked() {
            return Ok(stopped());
        }
        strange = archive.unlisted(stop.flag()).map_err(|error| failed(&set, &error))?;
        println!("{} converted, {} kept as received", count(done.converted, "instance"), done.kept);
    }
    said(&found, strange);
    Ok(if found.damaged == 0 { Exit::Well } else { Exit::Refused })
}

fn stopped() -> Exit {
    eprintln!("stopped: run the same command again; where the index is there by now, `firstlight serve` converts on");
    Exit::Stopped
}

/// What only the index had known.
fn said(found: &Rebuilt, strange: u64) {
    let lines = [
        (found.damaged, "whose bytes are not what their names say: not listed; bring them back from a backup"),
        (found.conflicts, "under the UIDs of others: which of them came first is not known; conflicts are listed"),
        (
            found.only_converted,
            "as Firstlight writes them, with nothing else of their instances: what was received, or all that is left of it",
        ),
        (found.unserved, "that can't be served: where they came from is not known"),
        (strange, "that nothing lists: conversions by another policy or version; they do no harm"),
    ];
    for (n, what) in lines.iter().filter(|line| line.0 > 0) {
        println!("{} {what}", count(*n, "object"));
    }
    println!(
        "what was deleted and not gone yet is there again; holds, ways back to released objects and evidence of before are lost"
    );
}

fn failed(set: &Rebuild, error: &archive::Error) -> Failure {
    Failure::new(format!("cannot make the index of {} anew: {error}", set.data.display()))
        .hint("nobody may serve the archive meanwhile; index.sqlite, if it is there, is moved away by hand")
}
