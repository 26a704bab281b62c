//! Runs of programs that lease jobs, and their end.

use store::{Index, Spool};

use crate::Error;

/// Hands on what runs of this place had leased that are no more: whether they died, or ended on a full disk and could not say so. Those of
/// other places hand on what they had when their leases end.
pub(crate) fn release_dead(index: &dyn Index, spool: &Spool) -> Result<(), Error> {
    let mut dead = index.lessees()?;
    dead.retain(|run| spool.is_dead(run));
    if dead.is_empty() { Ok(()) } else { Ok(index.release_dead(&dead)?) }
}
