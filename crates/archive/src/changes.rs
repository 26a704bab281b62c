//! The feed of changes.

use std::time::Duration;

use store::index::Change;

use crate::archive::Archive;
use crate::error::Error;

impl Archive {
    /// The changes above a number, in their order, at most so many.
    pub fn changes(&self, after: i64, most: usize) -> Result<Vec<Change>, Error> {
        Ok(self.inner.index.changes(after, most)?)
    }

    /// The number of the last change; 0 before there is one.
    pub fn last_change(&self) -> Result<i64, Error> {
        Ok(self.inner.index.last_change()?)
    }

    /// How often something was committed, as far as this program knows.
    pub fn commits(&self) -> u64 {
        self.inner.index.commits()
    }

    /// Waits until there were more commits than `seen`, at most so long. It may end too early, and, where others commit, too late.
    pub fn wait_for_commit(&self, seen: u64, longest: Duration) {
        self.inner.index.wait_for_commit(seen, longest);
    }
}
