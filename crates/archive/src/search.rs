//! Queries, with and without a limit of time.

use std::time::Duration;

use store::index::{Matches, Patience, Query, QueryLevel, Rest, TextRow};

use crate::archive::Archive;
use crate::error::Error;

impl Archive {
    /// Lists studies (newest first), series (by number) or instances (by number).
    ///
    /// The attributes of the levels above the one listed are returned too, but for those the query is scoped to.
    pub fn find(&self, level: QueryLevel, query: &Query) -> Result<Matches, Error> {
        self.find_for(&Patience::of(Duration::MAX), level, query)
    }

    /// As [`Archive::find`], but ends with [`Error::TooLong`] when nobody waits any more.
    pub fn find_for(&self, patience: &Patience, level: QueryLevel, query: &Query) -> Result<Matches, Error> {
        Ok(self.inner.index.find(patience, level, query)?)
    }

    /// As [`Archive::find_for`], each row handed over as texts when it is read.
    pub fn find_texts(
        &self,
        patience: &Patience,
        level: QueryLevel,
        query: &Query,
        mut row: impl FnMut(TextRow<'_>) -> Result<(), store::Error>,
    ) -> Result<Rest, Error> {
        Ok(self.inner.index.find_texts(patience, level, query, &mut row)?)
    }
}
