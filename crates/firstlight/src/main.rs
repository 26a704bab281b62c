//! The `firstlight` command: converts DICOM with proof, looks into it, serves it.

mod args;
mod compare;
mod convert;
mod evidence;
mod failure;
mod inspect;
mod kept;
mod migrate;
mod policy;
mod quarantine;
mod report;
mod restore;
mod scrub;
mod serve;
mod settings;
mod stop;
mod units;
mod verify;

use args::{Cli, Command};
use clap::Parser;
use failure::{Exit, Failure};
use std::process::ExitCode;

fn main() -> ExitCode {
    failure::quiet_caught_panics();
    let exit = run(Cli::parse()).unwrap_or_else(|failure| {
        failure.print();
        Exit::Environment
    });
    exit.into()
}

/// Flags are parsed, settings of the file fill what they leave open, then one command does its work.
fn run(cli: Cli) -> Result<Exit, Failure> {
    let file = settings::File::load(cli.config.as_deref())?;
    match cli.command {
        Command::Convert(flags) => convert::run(settings::convert(flags, file)?),
        Command::Migrate(flags) => migrate::run(flags, file),
        Command::Import(flags) => migrate::import(flags, file),
        Command::Inspect(flags) => inspect::run(&flags),
        Command::Policy(flags) => policy::run(flags, file),
        Command::Verify(flags) => verify::run(&flags),
        Command::Restore(flags) => restore::run(&settings::restore(flags, file)),
        Command::Serve(flags) => serve::run(settings::serve(flags, file)?),
        Command::Evidence(flags) => evidence::run(flags, file.data),
        Command::Quarantine(flags) => quarantine::run(flags, file.data),
        Command::Scrub(flags) => scrub::run(flags, file.data, file.scrub_days),
        Command::Report(flags) => report::run(flags, file.data),
    }
}
