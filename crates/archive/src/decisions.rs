//! What became of each instance, and why: the record that conversion jobs leave.

use store::index::{Decision, State};

use crate::archive::Archive;
use crate::error::Error;

impl Archive {
    /// The instances in a state, in the order they came: at most `limit`, after the first `offset`.
    pub fn decisions(&self, state: State, offset: usize, limit: usize) -> Result<Vec<Decision>, Error> {
        Ok(self.inner.index.decisions(state, offset, limit)?)
    }
}
