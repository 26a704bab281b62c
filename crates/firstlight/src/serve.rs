//! `firstlight serve`.

use crate::failure::{Exit, Failure};
use crate::settings;

/// Runs the command.
pub fn run(_set: settings::Serve) -> Result<Exit, Failure> {
    Err(Failure::new("not yet"))
}
