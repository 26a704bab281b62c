//! The index: SQLite in WAL mode, one writer with group commit, a pool of readers.

mod frames;
mod refold;
mod requeue;
mod schema;
mod seal;
mod writer;

pub(crate) use frames::{decode_frames, encode_frames};
pub(crate) use requeue::{Retry, WAITS_AGAIN, decided, requeue, waits};
pub(crate) use seal::{Sealed, tables};
pub use writer::Ticket;

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction};

use crate::{Error, Patience};
use writer::Writer;

/// How long a connection waits for another process that writes.
const BUSY: Duration = Duration::from_secs(60);

/// Steps of SQLite between two looks at whether somebody still waits.
const STEPS_BETWEEN: i32 = 500;

/// The index of one archive.
pub(crate) struct Index {
    writer: Writer,
    readers: Readers,
}

impl Index {
    /// Opens the index, brings its schema up to date, and starts the writer.
    pub(crate) fn open(path: &Path, readers: usize) -> Result<Index, Error> {
        let mut connection = connect(path, OpenFlags::default())?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        seal::register(&connection)?;
        schema::migrate(&mut connection)?;
        let writer = Writer::start(connection)?;
        Ok(Index { writer, readers: Readers::new(path, readers) })
    }

    /// Runs `work` in a transaction with other waiting work, and returns once it is committed and synced.
    /// When `work` fails, what it did is undone and the rest goes on.
    pub(crate) fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.writer.submit(work).wait()
    }

    /// As [`Index::write`], but does not wait.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Ticket<T> {
        self.writer.submit(work)
    }

    /// How often this program has committed to the index.
    pub(crate) fn commits(&self) -> u64 {
        self.writer.commits().count()
    }

    /// Waits until it has committed more often than `seen`, at most so long.
    pub(crate) fn wait_for_commit(&self, seen: u64, longest: Duration) {
        self.writer.commits().wait(seen, longest);
    }

    /// Runs `work` on one consistent snapshot.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let mut reader = self.readers.take()?;
        let snapshot = reader.connection().transaction()?;
        work(&snapshot)
    }

    /// As [`Index::read`], but ends with [`Error::TooLong`] when nobody waits any more.
    pub(crate) fn read_for<T>(
        &self,
        patience: &Patience,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut reader = self.readers.take()?;
        let patience = patience.clone();
        // Taken off again when the reader is given back.
        reader.connection().progress_handler(STEPS_BETWEEN, Some(move || patience.is_over()))?;
        let snapshot = reader.connection().transaction()?;
        work(&snapshot).map_err(|e| match e {
            Error::Index(e) if e.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => Error::TooLong,
            other => other,
        })
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64)
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "cache_size", -4096)?; // KiB; there are many connections
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

/// Connections that only read; made when they are needed, at most so many.
struct Readers {
    path: PathBuf,
    most: usize,
    state: Mutex<(Vec<Connection>, usize)>,
    free: Condvar,
}

impl Readers {
    fn new(path: &Path, most: usize) -> Readers {
        Readers { path: path.to_owned(), most: most.max(1), state: Mutex::default(), free: Condvar::new() }
    }

    fn take(&self) -> Result<Reader<'_>, Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(connection) = state.0.pop() {
                return Ok(Reader { connection: Some(connection), readers: self });
            }
            if state.1 < self.most {
                state.1 += 1;
                drop(state);
                // Should making one fail, dropping this reader makes room for another.
                let mut reader = Reader { connection: None, readers: self };
                reader.connection = Some(self.make()?);
                return Ok(reader);
            }
            state = self.free.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn make(&self) -> Result<Connection, Error> {
        let connection = connect(&self.path, OpenFlags::default() & !OpenFlags::SQLITE_OPEN_CREATE)?;
        connection.pragma_update(None, "query_only", "ON")?;
        crate::query::register(&connection)?;
        seal::register(&connection)?;
        Ok(connection)
    }
}

/// A connection on loan; given back when dropped, also by a panic.
struct Reader<'a> {
    connection: Option<Connection>,
    readers: &'a Readers,
}

impl Reader<'_> {
    fn connection(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("there until it is dropped")
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            let off = connection.progress_handler(0, None::<fn() -> bool>);
            off.unwrap_or_else(|error| tracing::error!(%error, "a reader of the index keeps its time limit"));
        }
        let mut state = self.readers.state.lock().unwrap_or_else(PoisonError::into_inner);
        match self.connection.take() {
            Some(connection) => state.0.push(connection),
            None => state.1 -= 1,
        }
        drop(state);
        self.readers.free.notify_one();
    }
}
