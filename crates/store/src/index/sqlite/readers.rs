//! Connections that read.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{checksum, functions};
use crate::Error;

/// How long a connection waits for another process that writes.
const BUSY: Duration = Duration::from_secs(60);

/// A connection to the file, set up.
pub(super) fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "cache_size", -4096)?; // KiB; there are many connections
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

/// Connections that only read; made when they are needed, at most so many.
pub(super) struct Readers {
    path: PathBuf,
    most: usize,
    state: Mutex<(Vec<Connection>, usize)>,
    free: Condvar,
}

impl Readers {
    pub(super) fn new(path: &Path, most: usize) -> Readers {
        Readers { path: path.to_owned(), most: most.max(1), state: Mutex::default(), free: Condvar::new() }
    }

    pub(super) fn take(&self) -> Result<Reader<'_>, Error> {
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
        functions::register(&connection)?;
        checksum::register(&connection)?;
        Ok(connection)
    }
}

/// A connection on loan; given back when dropped, also by a panic.
pub(super) struct Reader<'a> {
    connection: Option<Connection>,
    readers: &'a Readers,
}

impl Reader<'_> {
    pub(super) fn connection(&mut self) -> &mut Connection {
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
