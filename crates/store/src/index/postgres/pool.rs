//! Connections: made when they are needed, at most so many, given back, and made anew when the database was away.

use std::future::Future;
use std::ops::Deref;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use deadpool_postgres::{ClientWrapper, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime};
use tokio_postgres::Config;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::access::{Access, tls};
use super::address::Address;
use super::session::Session;
use super::unusable::Unusable;
use crate::Error;
use crate::index::patience::Patience;
use crate::runner::Runner;

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// A database that says nothing for so long is looked after, and given up when it does not answer.
const SILENT: Duration = Duration::from_secs(30);
/// What each connection begins with: where the tables are; what is acknowledged is on the storage; what a machine that is gone left open
/// ends; small statements are not compiled. Statements are prepared once, when a table may still be small: they go by indices even then, or
/// they would look through all of it when it is large.
const OPTIONS: &str = "-c search_path=firstlight,public -c synchronous_commit=on -c idle_in_transaction_session_timeout=60s \
    -c client_min_messages=warning -c jit=off -c enable_seqscan=off";

/// What the names begin with under which programs are known to the database.
pub(super) const PROGRAM: &str = "firstlight ";

/// What no other program is called, on no machine.
fn this_program() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("{} {now:x}", std::process::id())
}

/// The connections to a database.
pub(super) struct Connections {
    // Before the runner: connections end on its threads.
    pool: Pool,
    config: Config,
    tls: MakeRustlsConnect,
    runner: Runner,
}

impl Connections {
    /// At most so many at once; none is made yet.
    pub(super) fn new(address: &Address, access: &Access, most: usize) -> Result<Connections, Unusable> {
        let tls = tls(address)?;
        let mut config = address.config.clone();
        config.application_name(format!("{PROGRAM}{}", this_program())).options(OPTIONS);
        config.keepalives_idle(SILENT).keepalives_interval(SILENT / 3).keepalives_retries(3).tcp_user_timeout(SILENT);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if let Some(password) = &access.password {
            config.password(password);
        }
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(config.clone(), tls.clone(), manager);
        let pool = Pool::builder(manager).max_size(most).runtime(Runtime::Tokio1).create_timeout(Some(CONNECT * 2));
        let pool = pool.build().map_err(|error| Unusable::Threads(std::io::Error::other(error)))?;
        let runner = Runner::start("index").map_err(Unusable::Threads)?;
        Ok(Connections { pool, config, tls, runner })
    }

    /// Takes one on loan; waits until one is free.
    pub(super) fn take(&self) -> Result<Connection, Error> {
        Ok(self.try_take()?)
    }

    /// As [`Connections::take`], with what the database said.
    pub(super) fn try_take(&self) -> Result<Connection, PoolError> {
        let pool = self.pool.clone();
        let taken = self.runner.run(async move { pool.get().await }).map_err(|_| PoolError::Closed)?;
        Ok(Connection { object: Some(taken?) })
    }

    /// Runs `work` on a connection; statements on it are interrupted when nobody waits any more.
    pub(super) fn with<T>(
        &self,
        connection: &Connection,
        patience: Option<&Patience>,
        work: impl FnOnce(&Session<'_>) -> T,
    ) -> T {
        let give_up = || {
            let (token, tls) = (connection.cancel_token(), self.tls.clone());
            self.runner.spawn(async move {
                if let Err(error) = token.cancel_query(tls).await {
                    tracing::warn!(%error, "a search of the index that nobody waits for could not be interrupted");
                }
            });
        };
        work(&Session::new(connection, patience, &give_up))
    }

    /// How connections are made, for one that is none of the pool's.
    pub(super) fn config(&self) -> (Config, MakeRustlsConnect) {
        (self.config.clone(), self.tls.clone())
    }

    /// Does something on the threads of the connections.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runner.spawn(work);
    }
}

/// A connection on loan. It is closed unless it is given back: nobody knows what is open on it.
pub(super) struct Connection {
    object: Option<Object>,
}

impl Connection {
    /// Gives it back, with nothing open on it.
    pub(super) fn give_back(mut self) {
        drop(self.object.take());
    }
}

impl Deref for Connection {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        self.object.as_ref().expect("there until it is given back")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            drop(Object::take(object));
        }
    }
}
