//! `firstlight migrate [SRC]... DST` and `firstlight import SRC... --data DIR`.
//!
//! The order of the work: the census walks the sources into the journal; the plan is shown; then the run, with a live
//! [`view`] on a terminal and plain lines elsewhere. All of it is done by the crate `migrate`; this parses and shows.

pub mod flags;
mod plan;
mod view;

use crate::convert::deidentify;
use crate::failure::{Exit, Failure};
use crate::policy;
use crate::settings;
use crate::stop::{self, Stop};
use crate::units::{bytes, count};
use ::migrate::{Control, Counts, Ending, Journal, Layout, Limits, Migration, News, Options, Order, Walked};
use flags::{ImportFlags, MigrateFlags};
use std::path::Path;
use std::time::{Duration, Instant};
use view::View;

/// Runs `migrate`.
pub fn run(flags: MigrateFlags, file: settings::File) -> Result<Exit, Failure> {
    if let Some(destination) = flags.pause.as_deref().or(flags.resume.as_deref()) {
        return say(destination, |control| control.paused = flags.pause.is_some());
    }
    if let Some(destination) = &flags.adjust {
        return say(destination, |control| {
            control.jobs = flags.run.jobs.map(usize::from).or(control.jobs);
            control.rate = flags.rate.map(|rate| rate.0).or(control.rate);
            control.hours = flags.hours.or(control.hours);
        });
    }
    if let Some(destination) = &flags.status {
        let counts = Journal::look(destination).map_err(failure)?;
        view::standing(&counts, &Control::read(destination)).iter().for_each(|line| println!("{line}"));
        return Ok(Exit::Well);
    }
    let set = flags::migrate(flags, file)?;
    let (plan_only, quiet) = (set.plan_only, set.quiet);
    if let Some(nice) = set.nice {
        ::migrate::be_nice(nice);
    }
    let options = Options {
        policy: policy::load(&set.policy)?,
        sources: set.sources,
        destination: set.destination,
        archive: set.archive,
        layout: set.layout,
        convert: true,
        order: set.order,
        limits: set.limits,
        way_back: set.way_back,
        headers: set.headers,
        rescan: set.rescan,
        sample: set.sample,
    };
    go(options, plan_only, quiet, set.limits_named)
}

/// Runs `import`.
pub fn import(flags: ImportFlags, file: settings::File) -> Result<Exit, Failure> {
    let set = flags::import(flags, file)?;
    let options = Options {
        sources: set.sources,
        destination: set.data,
        archive: true,
        layout: None,
        policy: policy::load(&settings::default_policy())?,
        convert: false,
        order: Order::AsFound,
        limits: Limits { jobs: set.jobs, ..Limits::default() },
        way_back: false,
        headers: set.headers,
        rescan: set.rescan,
        sample: Duration::ZERO,
    };
    go(options, false, set.quiet, false)
}

fn go(options: Options, plan_only: bool, quiet: bool, limits_named: bool) -> Result<Exit, Failure> {
    let (limits, convert) = (options.limits, options.convert);
    deidentify::check_journal(&options.destination)?;
    let mut migration = Migration::open(options).map_err(failure)?;
    stop::remove_at_exit(migration.scratch().to_owned());
    if limits_named {
        Control::forget_limits(migration.root()).map_err(failure)?;
    }
    let stop = Stop::on_interrupt();
    let troubles = census(&mut migration, &stop, quiet)?;
    if stop.asked() {
        return stopped(&migration);
    }
    if convert {
        let plan = migration.plan(stop.flag()).map_err(failure)?;
        let already = migration.counts().map_err(failure)?;
        plan::show(&plan, &already, &limits);
        if plan_only || stop.asked() {
            return if stop.asked() { stopped(&migration) } else { Ok(exit(&already, troubles)) };
        }
    }
    let mut view = View::start(quiet, convert);
    let ending = migration.run(stop.flag(), &mut |news| match news {
        News::Line(line) => view.say(line),
        News::Look(snapshot) => view.look(snapshot),
    });
    view.finish();
    let ending = ending.map_err(failure)?;
    let counts = migration.counts().map_err(failure)?;
    view::closing(&counts, convert).iter().for_each(|line| println!("{line}"));
    match ending {
        Ending::Stopped => stopped(&migration),
        Ending::Finished => Ok(exit(&counts, troubles)),
    }
}

/// Walks what is not walked yet; how much of it could not be read.
fn census(migration: &mut Migration, stop: &Stop, quiet: bool) -> Result<u64, Failure> {
    let (mut troubles, mut found, mut told) = (0, 0, Instant::now());
    let walked = migration.census(stop.flag(), &mut |walked| match walked {
        Walked::Found(more) => {
            found += more;
            if !quiet && told.elapsed() >= Duration::from_secs(5) {
                told = Instant::now();
                eprintln!("census: {} so far", count(found, "file"));
            }
        }
        Walked::Note(line) => eprintln!("{line}"),
        Walked::Trouble(line) => {
            troubles += 1;
            eprintln!("{line}");
        }
        Walked::Clash(_) => {}
    });
    walked.map_err(failure)?;
    Ok(troubles)
}

fn say(destination: &Path, change: impl FnOnce(&mut Control)) -> Result<Exit, Failure> {
    let mut control = Control::read(destination);
    change(&mut control);
    control.write(destination).map_err(failure)?;
    eprintln!("{}: {}", destination.display(), view::control_line(&control));
    Ok(Exit::Well)
}

fn stopped(migration: &Migration) -> Result<Exit, Failure> {
    let (items, size) = migration.counts().map_err(failure)?.waiting;
    eprintln!("stopped: {} ({}) left; the same command goes on from here", count(items, "file"), bytes(size));
    Ok(Exit::Stopped)
}

fn exit(counts: &Counts, troubles: u64) -> Exit {
    match (counts.failed + troubles, counts.refused) {
        (0, 0) => Exit::Well,
        (0, _) => Exit::Refused,
        _ => Exit::Environment,
    }
}

fn failure(error: ::migrate::Error) -> Failure {
    let failure = Failure::new(error.to_string());
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

impl From<crate::args::Layout> for Layout {
    fn from(layout: crate::args::Layout) -> Layout {
        match layout {
            crate::args::Layout::Mirror => Layout::Mirror,
            crate::args::Layout::Study => Layout::Study,
        }
    }
}
