//! `firstlight manual DIR`: the manual pages, one for each command, made from the flags themselves (man(7)).

use crate::args::{Cli, ManualFlags};
use crate::failure::{Exit, Failure};
use clap::CommandFactory;

/// Writes `firstlight.1` and `firstlight-COMMAND.1` into the folder.
pub fn run(flags: &ManualFlags) -> Result<Exit, Failure> {
    let folder = &flags.folder;
    let written = std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Cli::command(), folder));
    written.map_err(|error| Failure::new(format!("cannot write manual pages to {}: {error}", folder.display())))?;
    Ok(Exit::Well)
}
