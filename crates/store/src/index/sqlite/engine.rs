//! The engine: a file, its one writer, and those who read.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use super::handed_out::HandedOut;
use super::readers::{Readers, connect};
use super::writer::Writer;
use super::{checksum, schema};
use crate::Error;
use crate::index::patience::Patience;
use crate::index::ticket::Ticket;

/// Steps of SQLite between two looks at whether somebody still waits.
const STEPS_BETWEEN: i32 = 500;

/// The index of one archive in a file of SQLite; many processes of one machine may have it open.
pub struct Sqlite {
    pub(super) writer: Writer,
    readers: Readers,
    path: PathBuf,
    pub(super) handed_out: HandedOut,
}

impl Sqlite {
    /// Opens the index, or makes it, brings its schema up to date, and starts the writer. At most `readers` read at once.
    pub fn open(path: &Path, readers: usize) -> Result<Sqlite, Error> {
        let mut connection = connect(path, OpenFlags::default())?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        // What is deleted or replaced is written over, not only given free.
        connection.pragma_update(None, "secure_delete", "ON")?;
        checksum::register(&connection)?;
        schema::migrate(&mut connection)?;
        let writer = Writer::start(connection)?;
        let (readers, handed_out) = (Readers::new(path, readers), HandedOut::of(path));
        Ok(Sqlite { writer, readers, path: path.to_owned(), handed_out })
    }

    /// Runs `work` in a transaction with other waiting work, and returns once it is committed and synced.
    /// When `work` fails, what it did is undone and the rest goes on.
    pub(super) fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.submit(work).wait()
    }

    /// As [`Sqlite::write`], but does not wait.
    pub(super) fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Ticket<T> {
        self.writer.submit(work)
    }

    /// Runs `work` in a transaction of its own, in which rows may go that others name: they go with them, or come back. That the engine
    /// looked for these by columns without an index would read whole tables for each row.
    pub(super) fn alone<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let mut connection = self.another()?;
        connection.pragma_update(None, "foreign_keys", "OFF")?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&transaction)?;
        transaction.commit()?;
        self.writer.commits().add();
        Ok(done)
    }

    /// Another connection that writes.
    pub(super) fn another(&self) -> Result<Connection, Error> {
        let connection = connect(&self.path, OpenFlags::default() & !OpenFlags::SQLITE_OPEN_CREATE)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "secure_delete", "ON")?;
        checksum::register(&connection)?;
        Ok(connection)
    }

    /// Runs `work` on one consistent snapshot.
    pub(super) fn read<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let mut reader = self.readers.take()?;
        let snapshot = reader.connection().transaction()?;
        work(&snapshot)
    }

    /// As [`Sqlite::read`], but ends with [`Error::TooLong`] when nobody waits any more.
    pub(super) fn read_for<T>(
        &self,
        patience: &Patience,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut reader = self.readers.take()?;
        let patience = patience.clone();
        // Taken off again when the reader is given back.
        reader.connection().progress_handler(STEPS_BETWEEN, Some(move || patience.is_over()))?;
        let snapshot = reader.connection().transaction()?;
        work(&snapshot)
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Error {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Error::Full,
            // Only those who search can be interrupted, and only because nobody waits.
            Some(ErrorCode::OperationInterrupted) => Error::TooLong,
            _ => Error::Engine(Box::new(error)),
        }
    }
}
