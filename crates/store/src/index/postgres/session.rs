//! Statements on one connection, for a thread that waits for each.

use std::cell::Cell;
use std::future::Future;

use deadpool_postgres::ClientWrapper;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error as DbError, Row};

use super::failing::{Class, class};
use super::wait::wait_for;
use crate::Error;
use crate::index::patience::Patience;

/// Values that go beside a statement.
pub(super) type Beside<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A connection on loan.
pub(super) struct Session<'a> {
    client: &'a ClientWrapper,
    patience: Option<&'a Patience>,
    give_up: &'a dyn Fn(),
    failed: Cell<Option<Class>>,
}

impl<'a> Session<'a> {
    /// On a connection; when nobody waits any more, `give_up` interrupts what runs on it.
    pub(super) fn new(client: &'a ClientWrapper, patience: Option<&'a Patience>, give_up: &'a dyn Fn()) -> Session<'a> {
        Session { client, patience, give_up, failed: Cell::new(None) }
    }

    /// What kind of failure came last.
    pub(super) fn failed(&self) -> Option<Class> {
        self.failed.get()
    }

    /// The rows of a statement, which is prepared once a connection.
    pub(super) fn rows(&self, sql: &str, beside: Beside<'_>) -> Result<Vec<Row>, Error> {
        self.run(async {
            let statement = self.client.prepare_cached(sql).await?;
            self.client.query(&statement, beside).await
        })
    }

    /// The first of its rows.
    pub(super) fn row(&self, sql: &str, beside: Beside<'_>) -> Result<Option<Row>, Error> {
        Ok(self.rows(sql, beside)?.into_iter().next())
    }

    /// Its only row; an error when there is none.
    pub(super) fn one(&self, sql: &str, beside: Beside<'_>) -> Result<Row, Error> {
        self.row(sql, beside)?.ok_or_else(|| Error::Damaged("a row of the index is not there".into()))
    }

    /// Has it a row?
    pub(super) fn any(&self, sql: &str, beside: Beside<'_>) -> Result<bool, Error> {
        Ok(self.row(sql, beside)?.is_some())
    }

    /// Its rows, of a statement that is not asked again, planned for these very values.
    pub(super) fn rows_once(&self, sql: &str, beside: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>, Error> {
        self.run(self.client.query_typed(sql, beside))
    }

    /// How many rows it changed.
    pub(super) fn execute(&self, sql: &str, beside: Beside<'_>) -> Result<u64, Error> {
        self.run(async {
            let statement = self.client.prepare_cached(sql).await?;
            self.client.execute(&statement, beside).await
        })
    }

    /// Statements without values.
    pub(super) fn batch(&self, sql: &str) -> Result<(), Error> {
        self.run(self.client.batch_execute(sql))
    }

    fn run<T>(&self, work: impl Future<Output = Result<T, DbError>>) -> Result<T, Error> {
        wait_for(self.patience, self.give_up, work).map_err(|error| {
            self.failed.set(Some(class(&error)));
            error.into()
        })
    }
}
