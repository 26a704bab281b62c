//! The engine: a database, who writes to it, and those who read.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use tokio_postgres::error::SqlState;

use super::access::Access;
use super::address::Address;
use super::listen::listen;
use super::pool::{Connection, Connections};
use super::session::Session;
use super::task::Group;
use super::unusable::Unusable;
use super::values::get;
use super::writer::{PAUSE, RESTART, Writer};
use super::{schema, trigrams};
use crate::Error;
use crate::index::commits::Commits;
use crate::index::patience::Patience;
use crate::index::ticket::Ticket;

/// The oldest version that is taken.
const OLDEST: i64 = 150_000;

/// The index of one archive in a database of PostgreSQL; many programs of many machines may have it open.
pub struct Postgres {
    // First: what waits for them needs the rest.
    writer: Writer,
    alone: Writer,
    pub(super) commits: Arc<Commits>,
    connections: Arc<Connections>,
}

impl Postgres {
    /// Opens the index, or makes it, brings its schema up to date, and starts the writer. At most `readers` read at once.
    pub fn open(address: &Address, access: &Access, readers: usize) -> Result<Postgres, Unusable> {
        let connections = Arc::new(Connections::new(address, access, readers.max(1) + 2)?);
        let first = connections.first(address)?;
        connections.with(&first, None, |session| {
            check(session, address)?;
            schema::migrate(session, address)?;
            trigrams::make(session)
        })?;
        first.give_back();
        let commits = Arc::<Commits>::default();
        let (config, tls) = connections.config();
        connections.spawn(listen(config, tls, Arc::downgrade(&commits)));
        let writer = Writer::beside(connections.clone(), commits.clone()).map_err(Unusable::Threads)?;
        let alone = Writer::alone(connections.clone(), commits.clone()).map_err(Unusable::Threads)?;
        Ok(Postgres { writer, alone, commits, connections })
    }

    /// Runs `work` in a transaction with other waiting work, and returns once it is committed and on the storage. When `work` fails, what it
    /// did is undone and the rest goes on. It may be done more than once, each time anew.
    pub(super) fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&Group<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.submit(work).wait()
    }

    /// As [`Postgres::write`], but does not wait.
    pub(super) fn submit<T: Send + 'static>(
        &self,
        work: impl FnMut(&Group<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Ticket<T> {
        self.writer.submit(work)
    }

    /// As [`Postgres::write`], while no program writes beside it.
    pub(super) fn alone<T: Send + 'static>(
        &self,
        work: impl FnMut(&Group<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.alone.submit(work).wait()
    }

    /// Runs `work`, which is one statement: a snapshot by itself. Done again when the connection was lost.
    pub(super) fn ask<T>(&self, mut work: impl FnMut(&Session<'_>) -> Result<T, Error>) -> Result<T, Error> {
        self.again(None, |session| work(session))
    }

    /// Runs `work` on one consistent snapshot. Done again when the connection was lost.
    pub(super) fn read<T>(&self, mut work: impl FnMut(&Session<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        self.again(None, |session| within(session, begin, &mut work))
    }

    /// As [`Postgres::ask`], but ends with [`Error::TooLong`] when nobody waits any more.
    pub(super) fn ask_for<T>(
        &self,
        patience: &Patience,
        mut work: impl FnMut(&Session<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.again(Some(patience), |session| {
            let left = patience.left();
            if left.is_zero() {
                return Err(Error::TooLong);
            }
            // The database gives up by itself, should this program be gone.
            let limit = i32::try_from(left.as_millis()).map_or(0, |ms| ms.max(1));
            let begin =
                format!("BEGIN READ ONLY; SET LOCAL enable_seqscan = on; SET LOCAL statement_timeout = {limit}");
            within(session, &begin, &mut work)
        })
    }

    /// A connection for whoever keeps something open on it, and what statements on it are run by.
    pub(super) fn lend(&self) -> Result<(Connection, &Connections), Error> {
        Ok((self.connections.take()?, &self.connections))
    }

    fn again<T>(
        &self,
        patience: Option<&Patience>,
        mut work: impl FnMut(&Session<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let began = Instant::now();
        let mut tried = false;
        loop {
            let done = self.connections.take().and_then(|connection| {
                let done = self.connections.with(&connection, patience, &mut work);
                // What failed may have left something open: the connection goes with it.
                if done.is_ok() {
                    connection.give_back();
                }
                done
            });
            match done {
                Err(Error::Unreachable(_)) if began.elapsed() < RESTART && !patience.is_some_and(Patience::is_over) => {
                    // Connections of before a restart are noticed when they are used.
                    if tried {
                        thread::sleep(PAUSE);
                    }
                    tried = true;
                }
                done => return done,
            }
        }
    }
}

/// In a transaction that is begun so.
fn within<T>(
    session: &Session<'_>,
    begin: &str,
    work: &mut impl FnMut(&Session<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    session.batch(begin)?;
    let done = work(session)?;
    session.batch("COMMIT")?;
    Ok(done)
}

impl Connections {
    /// The first connection: what is wrong with the address, the password or the database is said by its name.
    fn first(&self, address: &Address) -> Result<Connection, Unusable> {
        self.try_take().map_err(|error| {
            let (at, said) = (address.to_string(), super::failing::pool_said(&error));
            match super::failing::pool_code(&error) {
                Some(code) if code == SqlState::INVALID_CATALOG_NAME => Unusable::NoDatabase(at),
                Some(code) if code.code().starts_with("28") => Unusable::Refused(at, said),
                _ if said.contains("password missing") => Unusable::Refused(at, "it asks for a password".into()),
                _ => Unusable::Unreachable(at, said),
            }
        })
    }
}

/// Is it a database that an index can be in?
fn check(session: &Session<'_>, address: &Address) -> Result<(), Unusable> {
    let asked = "SELECT current_setting('server_version_num')::bigint, current_setting('server_version'), \
        current_setting('server_encoding'), current_setting('fsync')";
    let row = session.one(asked, &[])?;
    let (number, version, encoding, fsync): (i64, String, String, String) =
        (get(&row, 0)?, get(&row, 1)?, get(&row, 2)?, get(&row, 3)?);
    if number < OLDEST {
        return Err(Unusable::Old(address.to_string(), version));
    }
    if encoding != "UTF8" {
        return Err(Unusable::Encoding(address.to_string(), encoding));
    }
    if fsync != "on" {
        tracing::warn!("the database runs with fsync off: what it acknowledges is lost with its machine");
    }
    Ok(())
}
