//! The `firstlight` command: converts DICOM with proof, looks into it, serves it.

#[macro_use]
mod output;

mod access;
mod args;
mod audit;
mod background;
mod backup;
mod compare;
mod convert;
mod delete;
mod evidence;
mod failure;
mod inputs;
mod inspect;
mod kept;
mod log;
mod manual;
mod migrate;
mod moving;
mod policy;
mod pull;
mod quarantine;
mod rebuild;
mod report;
mod restore;
mod scrub;
mod secured;
mod send;
mod serve;
mod settings;
mod stop;
mod units;
mod verify;
mod words;
mod work;

use args::{Cli, Command};
use clap::Parser;
use failure::{Exit, Failure};
use std::process::ExitCode;

fn main() -> ExitCode {
    failure::quiet_caught_panics();
    let exit = run(Cli::parse()).and_then(|exit| output::end().map(|()| exit)).unwrap_or_else(|failure| {
        failure.print();
        Exit::Environment
    });
    exit.into()
}

/// Flags are parsed, settings of the file fill what they leave open, the log starts, then one command does its work.
fn run(cli: Cli) -> Result<Exit, Failure> {
    let file = settings::File::load(cli.config.as_deref())?;
    let usual = if matches!(cli.command, Command::Serve(_) | Command::Work(_)) { "info" } else { "warn" };
    let (wanted, format) = settings::log(cli.log, &file);
    log::start(wanted, usual, format)?;
    match cli.command {
        Command::Convert(flags) => convert::run(settings::convert(flags, file)?),
        Command::Migrate(flags) => migrate::run(settings::migrate(flags, file)?),
        Command::Import(flags) => migrate::import(settings::import(flags, file)?),
        Command::Inspect(flags) => inspect::run(&flags),
        Command::Policy(flags) => policy::run(settings::look::policy(flags, file)),
        Command::Verify(flags) => verify::run(&flags),
        Command::Restore(flags) => restore::run(&settings::look::restore(flags, file)),
        Command::Serve(flags) => serve::run(settings::serve(*flags, file)?),
        Command::Work(flags) => work::run(settings::work(flags, file)?),
        Command::Send(flags) => send::run(settings::dimse::send(flags, file)?),
        Command::Pull(flags) => pull::run(settings::dimse::pull(flags, file)?),
        Command::Delete(flags) => delete::run(settings::delete::delete(flags, file)?),
        Command::Hold(flags) => delete::hold(settings::delete::hold(flags, file)?),
        Command::Backup(flags) => backup::run(settings::backup::backup(flags, file)?),
        Command::Move(flags) => moving::run(settings::moving::moving(flags, file)?),
        Command::RebuildIndex(flags) => rebuild::run(settings::backup::rebuild(flags, file)?),
        Command::Evidence(flags) => evidence::run(settings::look::evidence(flags, file)),
        Command::Quarantine(flags) => quarantine::run(settings::look::quarantine(flags, file)?),
        Command::Scrub(flags) => scrub::run(settings::look::scrub(flags, file)?),
        Command::Audit(flags) => match settings::audit(flags, file)? {
            set if set.access => access::check_record(&set),
            set => audit::run(set),
        },
        Command::Report(flags) => report::run(&settings::look::report(flags, file)?),
        Command::User(flags) => access::users::run(settings::access::user(flags, file)?),
        Command::Key(flags) => access::keys::run(settings::access::key(flags, file)?),
        Command::Share(flags) => access::shares::run(settings::access::share(flags, file)?),
        Command::Label(flags) => access::label(settings::access::label(flags, file)?),
        Command::Manual(flags) => manual::run(&flags),
    }
}
