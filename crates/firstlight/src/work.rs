//! `firstlight work`: what a server does in the background, without one. Any number of workers and servers may have the same archive open, each
//! with a folder of its own: the index leases every job to one of them.

use crate::background;
use crate::failure::{Exit, Failure};
use crate::kept;
use crate::policy;
use crate::settings;
use crate::stop::Stop;
use archive::{Archive, Options};
use migrate::apart;
use std::sync::atomic::AtomicBool;

/// Runs the command.
pub fn run(set: settings::Work) -> Result<Exit, Failure> {
    let stop = Stop::on_interrupt();
    let policy = policy::load(&set.policy)?;
    apart::check_destination(&set.data)?;
    let options = Options {
        index: set.index.clone(),
        objects: set.objects.clone(),
        quarantine: set.proving.quarantine,
        sampling: set.proving.sampling,
        ..Options::default()
    };
    let archive = Archive::open(&set.data, options).map_err(|e| kept::cannot_open(&set.data, &e))?;
    println!("Firstlight works on {}, {} at a time", archive::index_of(&set.data).display(), set.jobs);
    let nothing_comes = AtomicBool::new(true);
    std::thread::scope(|scope| {
        let (archive, policy, stop) = (&archive, &policy, &stop);
        scope.spawn(move || crate::delete::forever(archive, stop));
        if let Some(after) = set.release_after {
            scope.spawn(move || background::release(archive, after, stop));
        }
        if let Some(days) = set.scrub_days {
            scope.spawn(move || crate::scrub::forever(archive, days, stop));
        }
        background::convert(archive, policy, set.jobs, stop, &nothing_comes);
    });
    Ok(Exit::Well)
}
