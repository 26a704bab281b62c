//! What `move` works with.

use super::File;
use crate::args::moving::MoveFlags;
use crate::failure::Failure;
use crate::words;
use archive::{Destination, IndexKeeping, Keeping, Options};
use std::path::PathBuf;

/// A move.
pub struct Move {
    pub data: PathBuf,
    pub to: Destination,
    pub dry_run: bool,
    pub quiet: bool,
}

/// Completes the flags. The settings of the file are of the archive that is moved.
pub fn moving(flags: MoveFlags, file: File) -> Result<Move, Failure> {
    let none = || Failure::new("no archive was named").hint("say --data DIR: the archive that is moved");
    let data = flags.data.or(file.data).ok_or_else(none)?;
    let index = IndexKeeping { at: flags.to_index };
    let wrong = |error| Failure::new(format!("--to-index: {error}")).hint(words::hint_for_index(&error));
    index.check().map_err(wrong)?;
    let objects = Keeping { at: flags.to_objects, ..Options::default().objects };
    Ok(Move { data, to: Destination { folder: flags.to, index, objects }, dry_run: flags.dry_run, quiet: flags.quiet })
}
