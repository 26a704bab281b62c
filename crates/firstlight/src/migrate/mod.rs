//! `firstlight migrate [SRC]... DST` and `firstlight import SRC... --data DIR`.
//!
//! The order of the work: the census walks the sources into the journal; the plan is shown; then the run, with a live
//! [`view`] on a terminal and plain lines elsewhere. All of it is done by the crate `migrate`; this parses and shows. Whoever
//! does not sit at the screen hears of it by [`watch`].

mod plan;
mod status;
mod view;
mod watch;

use crate::convert::{Report, deidentify};
use crate::failure::{Exit, Failure};
use crate::policy;
use crate::settings::{self, Asked};
use crate::stop::{self, Stop};
use crate::units::{bytes, count};
use crate::words;
use ::migrate::{
    Control, Counts, Deidentified, Ended, Ending, Layout, Limits, Migration, News, Options, Order, ScanEvent,
};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use view::View;
use watch::Watching;

/// What a run needs beside the options of the migration.
struct Way {
    plan_only: bool,
    quiet: bool,
    limits_named: bool,
    report: Option<PathBuf>,
}

/// Runs `migrate`.
pub fn run(asked: Asked) -> Result<Exit, Failure> {
    let set = match asked {
        Asked::Say(destination, said) => return say(&destination, |control| said.over(control)),
        Asked::Status { destination, json } => return status::show(&destination, json),
        Asked::Run(set) => *set,
    };
    if let Some(nice) = set.nice {
        ::migrate::be_nice(nice);
    }
    if set.proving.sampling.is_off() {
        eprintln!("note: the second opinion is off: no other decoder looks at what is written");
    }
    let watching = Watching::start(&set.watch, &set.destination)?;
    let way =
        Way { plan_only: set.plan_only, quiet: set.quiet, limits_named: set.limits_named, report: set.report.clone() };
    watching.over(|watching| {
        let identity = set.deidentify.as_ref();
        let identity = identity.map(|identity| deidentified(identity, &set.destination)).transpose()?;
        let options = Options {
            policy: policy::load(&set.policy)?,
            sources: set.sources,
            destination: set.destination,
            archive: set.archive,
            index: set.index,
            objects: set.objects,
            layout: set.layout,
            convert: true,
            order: set.order,
            limits: set.limits,
            way_back: set.way_back,
            headers: set.headers.0,
            rescan: set.rescan,
            sample: set.sample,
            proving: set.proving,
            deidentify: identity,
        };
        go(options, &way, watching)
    })
}

/// Runs `import`.
pub fn import(set: settings::Import) -> Result<Exit, Failure> {
    let watching = Watching::start(&set.watch, &set.data)?;
    let way = Way { plan_only: false, quiet: set.quiet, limits_named: false, report: set.report };
    watching.over(|watching| {
        let options = Options {
            sources: set.sources,
            destination: set.data,
            archive: true,
            index: set.index,
            objects: set.objects,
            layout: None,
            policy: policy::load(&settings::default_policy())?,
            convert: false,
            order: Order::AsFound,
            limits: Limits { jobs: set.jobs, ..Limits::default() },
            way_back: false,
            headers: set.headers.0,
            rescan: set.rescan,
            sample: Duration::ZERO,
            proving: files::Proving::default(),
            deidentify: None,
        };
        go(options, &way, watching)
    })
}

/// The journal names the sources: it lies beside the key, in a folder for each destination.
fn deidentified(set: &settings::Deidentify, destination: &Path) -> Result<Deidentified, Failure> {
    let by = deidentify::load(set)?;
    let whole = std::path::absolute(destination).map_err(|e| Failure::io("use", destination, &e))?;
    let name = by.key().token("journal", whole.as_os_str().as_encoded_bytes());
    let mut folder = set.key.clone().into_os_string();
    folder.push(".journals");
    Ok(Deidentified { by, folder: Path::new(&folder).join(&name[..16]) })
}

fn go(options: Options, way: &Way, watching: &Watching) -> Result<Exit, Failure> {
    let (limits, convert) = (options.limits, options.convert);
    deidentify::check_journal(options.deidentify.is_some(), &options.destination)?;
    // Before the lock is taken: whoever sees it running may stop it.
    let stop = Stop::on_interrupt();
    let mut report = Report::create(way.report.as_deref())?;
    let mut migration = Migration::open(options)?;
    migration.temporary().into_iter().for_each(stop::remove_at_exit);
    if way.limits_named {
        Control::forget_limits(migration.root())?;
    }
    let troubles = census(&mut migration, &stop, way.quiet)?;
    if stop.asked() {
        return stopped(&mut migration, watching);
    }
    if convert {
        let plan = migration.plan(stop.flag())?;
        let already = migration.counts()?;
        if way.plan_only || !way.quiet {
            plan::show(&plan, &already, &limits);
        }
        if stop.asked() {
            return stopped(&mut migration, watching);
        }
        if way.plan_only {
            ended(&mut migration, Ended::Planned, watching)?;
            return Ok(exit(&already, troubles));
        }
    }
    let (mut view, mut lost) = (View::start(way.quiet, convert), None);
    let ending = migration.run(stop.flag(), &mut |news| match news {
        News::Notice(notice) => view.say(&words::line(notice)),
        News::Record(record) => lost = lost.take().or_else(|| report.write(record).err()),
        News::Look(snapshot) => {
            watching.look(snapshot);
            view.look(snapshot);
        }
    });
    view.finish();
    let ending = ending?;
    let counts = migration.counts()?;
    let to_report = way.report.as_deref().is_some_and(|path| path.as_os_str() == "-");
    for line in view::closing(&counts, convert).iter().filter(|_| !way.quiet) {
        if to_report { eprintln!("{line}") } else { println!("{line}") }
    }
    if let Some(lost) = lost {
        return Err(lost);
    }
    match ending {
        Ending::Stopped => stopped(&mut migration, watching),
        Ending::Finished => {
            ended(&mut migration, Ended::Finished, watching)?;
            Ok(exit(&counts, troubles))
        }
    }
}

/// Says how it ended to whoever asks later.
fn ended(migration: &mut Migration, ending: Ended, watching: &Watching) -> Result<(), Failure> {
    migration.ended(ending)?;
    watching.ended(ending, &migration.counts()?);
    Ok(())
}

/// Walks what is not walked yet; how much of it could not be read.
fn census(migration: &mut Migration, stop: &Stop, quiet: bool) -> Result<u64, Failure> {
    let (mut troubles, mut found, mut told) = (0, 0, Instant::now());
    let walked = migration.scan(stop.flag(), &mut |walked| match walked {
        ScanEvent::Found(more) => {
            found += more;
            if !quiet && told.elapsed() >= Duration::from_secs(5) {
                told = Instant::now();
                eprintln!("census: {} so far", count(found, "file"));
            }
        }
        ScanEvent::Note(notice) => eprintln!("{}", words::line(&notice)),
        ScanEvent::Trouble(notice) => {
            troubles += 1;
            eprintln!("{}", words::line(&notice));
        }
        ScanEvent::Collision(_) => {}
    });
    walked?;
    Ok(troubles)
}

fn say(destination: &Path, change: impl FnOnce(&mut Control)) -> Result<Exit, Failure> {
    let mut control = Control::read(destination);
    change(&mut control);
    control.write(destination)?;
    eprintln!("{}: {}", destination.display(), view::control_line(&control));
    Ok(Exit::Well)
}

fn stopped(migration: &mut Migration, watching: &Watching) -> Result<Exit, Failure> {
    ended(migration, Ended::Stopped, watching)?;
    let (items, size) = migration.counts()?.waiting;
    eprintln!("stopped: {} ({}) left; the same command goes on from here", count(items, "file"), bytes(size));
    Ok(Exit::Stopped)
}

fn exit(counts: &Counts, troubles: u64) -> Exit {
    match (counts.failed + troubles, counts.unreadable) {
        (0, 0) => Exit::Well,
        (0, _) => Exit::Refused,
        _ => Exit::Environment,
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
