//! `firstlight report`: one page that tells what was converted, what that saved, what was kept and why, and how to get to what failed.
//!
//! [`gather`] takes the facts from a folder or an archive, [`plots`] draws them, [`page`] writes one file that loads nothing.

mod gather;
mod page;
mod plots;

use crate::failure::{Exit, Failure};
use crate::kept::{self, Kept};
use crate::settings::look::Report;
use gather::Facts;

/// Runs the command.
pub fn run(set: &Report) -> Result<Exit, Failure> {
    let dir = &set.folder;
    migrate::apart::check_file(&set.output)?;
    let facts = match kept::open(dir)? {
        Kept::Archive(archive) => Facts::of_archive(&archive, dir)?,
        Kept::Folder { root, state } => Facts::of_folder(&root, &state)?,
    };
    let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |d| d.as_secs() as i64);
    let page = page::page(&facts, now);
    std::fs::write(&set.output, page).map_err(|e| Failure::io("write", &set.output, &e))?;
    eprintln!("report: {}", set.output.display());
    Ok(Exit::Well)
}
