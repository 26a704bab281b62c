//! `firstlight convert SRC... DST`.
//!
//! The order of the work: [`deidentify`] gets the key when identity is to be taken out; [`plan`] walks the sources and finds collisions before anything is written; [`work`] converts
//! file by file on a few threads ([`Worker`]); what they made is put in its place, a few files together ([`Publisher`]); each result goes to
//! the memory of the destination ([`state`]), to the report
//! ([`record`]), to the screen ([`progress`]) and into the table at the end ([`summary`]).

pub mod deidentify;
mod plan;
mod progress;
mod record;
pub mod state;
mod summary;

use crate::failure::{Exit, Failure};
use crate::policy;
use crate::settings;
use crate::stop::{self, Stop};
use crate::words;
use ::deidentify::Deidentifier;
use files::{Proofs, Publisher, Settings, StagedOutput, Worker, together};
use migrate::{Fetch, Row, Throttle, make_row, with_each};
use plan::Plan;
use progress::Progress;
use state::State;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use summary::Summary;
use transcode::Policy;

pub use record::Report;
pub use summary::way_back_line;

/// Files that are put in their place together: at most so many, or those of so long.
const TOGETHER: usize = 32;
const LONGEST: Duration = Duration::from_millis(200);

/// Runs the command.
pub fn run(set: settings::Convert) -> Result<Exit, Failure> {
    if let Some(nice) = set.nice {
        migrate::be_nice(nice);
    }
    let policy = policy::load(&set.policy)?;
    let deidentifier = set.deidentify.as_ref().map(deidentify::load).transpose()?;
    let stop = Stop::on_interrupt();
    let plan = Plan::make(&set, stop.flag())?;
    let report = Report::create(set.report.as_deref())?;
    let state = if set.dry_run { State::none(&plan.destination) } else { State::open(&plan.destination)? };
    deidentify::check_destination(deidentifier.as_ref(), &state.known(), &plan.destination)?;
    stop::remove_at_exit(state.scratch().to_owned());
    let proofs = if set.dry_run { None } else { Some(open_proofs(&state, &set)?) };
    let progress = Progress::start(plan.files(), plan.bytes(), set.quiet);

    let mut summary = Summary::new(set.dry_run);
    for (line, counts) in &plan.troubles {
        progress.say(line);
        summary.environment(*counts);
    }
    let by = deidentifier.as_ref();
    let told = work(&set, &policy, by, &plan, proofs.as_ref(), state, report, &progress, &stop, &mut summary);
    progress.finish();
    told?;

    if set.report.as_deref().is_some_and(|path| path.as_os_str() == "-") {
        eprint!("{summary}");
    } else if !set.quiet {
        print!("{summary}");
    }
    if stop.asked() {
        let left = plan.files().saturating_sub(summary.files());
        eprintln!("stopped: {} left; the same command goes on from here", crate::units::count(left, "file"));
        return Ok(Exit::Stopped);
    }
    Ok(summary.exit())
}

fn open_proofs(state: &State, set: &settings::Convert) -> Result<Proofs, Failure> {
    if set.proving.sampling.is_off() {
        eprintln!("note: the second opinion is off: no other decoder looks at what is written");
    }
    Proofs::open(state.folder(), set.proving).map_err(|e| Failure::io("open the evidence in", state.folder(), &e))
}

/// Threads take the next file from the plan; this thread takes what they made, a few files at a time.
#[allow(clippy::too_many_arguments)]
fn work(
    set: &settings::Convert,
    policy: &Policy,
    deidentify: Option<&Deidentifier>,
    plan: &Plan,
    proofs: Option<&Proofs>,
    mut state: State,
    mut report: Report,
    progress: &Progress,
    stop: &Stop,
    summary: &mut Summary,
) -> Result<(), Failure> {
    let known = state.known();
    let scratch = state.scratch().to_owned();
    let residues = state.residues();
    let residues = residues.as_deref().filter(|_| set.way_back);
    let mut publisher = Publisher::new(&plan.destination, residues, proofs);
    let throttle = Throttle::new(set.limits);
    std::thread::scope(|scope| {
        let (over, ended) = mpsc::channel::<()>();
        let throttle = &throttle;
        scope.spawn(move || {
            // Who waits for the hours, or for bytes, hears of a stop.
            while !stop.asked() && ended.recv_timeout(LONGEST) == Err(RecvTimeoutError::Timeout) {}
            throttle.close();
        });
        let _over = over;
        // What names other files comes when those have their places.
        for portions in [&plan.portions, &plan.indexes] {
            let next = AtomicUsize::new(0);
            let take = || if stop.asked() { None } else { portions.get(next.fetch_add(1, Ordering::Relaxed)) };
            std::thread::scope(|scope| {
                let (results, inbox) = mpsc::sync_channel::<(u64, StagedOutput)>(TOGETHER);
                for name in 0..set.limits.jobs.min(portions.len()) {
                    let (results, take, known, scratch) = (results.clone(), &take, &known, &scratch);
                    scope.spawn(move || {
                        let destination = &plan.destination;
                        let (known, dry_run) = (&**known, set.dry_run);
                        let shared =
                            Settings { policy, destination, known, scratch, residues, proofs, dry_run, deidentify };
                        let mut worker = Worker::new(shared, name);
                        let mut fetch = Fetch::new(scratch, &[], stop.flag(), name);
                        while let Some(leave) = throttle.admit() {
                            let Some(rows) = take() else { return };
                            leave.spend(rows.iter().map(|row| row.bytes).sum());
                            with_each(rows, &mut fetch, |row: &Row, fetched| {
                                // Nobody listens only when the run has ended with an error.
                                let _ = results.send((row.bytes, make_row(&mut worker, row, fetched)));
                            });
                        }
                    });
                }
                drop(results);
                while let Some(made) = together(&inbox, TOGETHER, LONGEST) {
                    let (bytes, made): (Vec<_>, Vec<_>) = made.into_iter().unzip();
                    for (bytes, done) in bytes.into_iter().zip(publisher.publish(made)) {
                        state.remember(&done.record)?;
                        report.write(&done.record)?;
                        if let Some(notice) = &done.notice {
                            progress.say(&words::line(notice));
                        }
                        progress.advance(bytes, &done.record);
                        summary.add(&done);
                    }
                }
                Ok::<_, Failure>(())
            })?;
        }
        Ok(())
    })
}
