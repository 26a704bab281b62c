//! The journal: what a migration has found and what became of it, in `DST/.firstlight/migration.sqlite`
//! (`import.sqlite` of an import).
//!
//! Everything a migration knows is here, so that it needs little memory and goes on after any end. Beside it lies
//! `migration.jsonl`, the log of [`Log`](crate::log::Log), whose length the journal records in the same transaction.

mod found;
mod work;

pub use found::{Clash, Found, Kind};
pub use work::{Class, Counts, Ended, Row};

use crate::Error;
use rusqlite::{Connection, OptionalExtension, params};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Which items are taken first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The largest files.
    Largest,
    /// The newest studies; files without a study date by the day they were written.
    Newest,
    /// As the walk finds them.
    #[default]
    AsFound,
}

impl Order {
    fn name(self) -> &'static str {
        match self {
            Order::Largest => "largest",
            Order::Newest => "newest",
            Order::AsFound => "as-found",
        }
    }

    fn rank(self) -> &'static str {
        match self {
            // Entries of one packed stream stay together, at the end.
            Order::Largest => "CASE kind WHEN 3 THEN 0 ELSE -bytes END",
            Order::Newest => "CASE kind WHEN 3 THEN 0 ELSE -date END",
            Order::AsFound => "0",
        }
    }
}

/// The journal of a destination, held by this run.
pub struct Journal {
    db: Connection,
    order: Order,
    _lock: File,
}

impl Journal {
    /// The folder of a destination that holds what Firstlight remembers.
    pub fn folder(destination: &Path) -> PathBuf {
        destination.join(crate::KEPT)
    }

    /// Did a migration or an import into the destination begin?
    pub fn is_in(destination: &Path) -> bool {
        let folder = Journal::folder(destination);
        ["migration", "import"].iter().any(|name| folder.join(format!("{name}.sqlite")).exists())
    }

    /// Opens the journal called `name`, and makes it when there is none.
    pub fn open(destination: &Path, name: &str, order: Order) -> Result<Journal, Error> {
        let folder = Journal::folder(destination);
        make_folder(&folder)?;
        let lock = lock(&folder.join(format!("{name}.lock")), destination)?;
        let db = Connection::open(folder.join(format!("{name}.sqlite")))?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "cache_size", -16_000)?;
        db.pragma_update(None, "foreign_keys", true)?;
        let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        match version {
            0 => db.execute_batch(concat!("BEGIN; ", include_str!("v1.sql"), " PRAGMA user_version = 1; COMMIT;"))?,
            1 => {}
            _ => {
                return Err(Error::usage(
                    "the journal was made by a newer version",
                    "use that version of firstlight, or a newer one",
                ));
            }
        }
        sync(&folder)?;
        let mut journal = Journal { db, order, _lock: lock };
        journal.put_in_order()?;
        Ok(journal)
    }

    /// Opens the journal of a migration to look at it, while it runs or not.
    pub fn look(destination: &Path) -> Result<Counts, Error> {
        let path = Journal::folder(destination).join("migration.sqlite");
        if !path.is_file() {
            let what = format!("{} has no migration", destination.display());
            return Err(Error::usage(what, "name the destination of one"));
        }
        let db = Connection::open(&path)?;
        work::counts(&db, &[])
    }

    /// A remembered word.
    pub fn word(&self, name: &str) -> Result<Option<String>, Error> {
        let sql = "SELECT value FROM meta WHERE name = ?";
        Ok(self.db.prepare_cached(sql)?.query_row([name], |row| row.get(0)).optional()?)
    }

    /// Remembers a word.
    pub fn remember(&self, name: &str, value: &str) -> Result<(), Error> {
        remember(&self.db, name, value)
    }

    /// The number of a source, and whether it was walked to its end.
    pub fn source(&self, name: &str) -> Result<(i64, bool), Error> {
        self.db.execute("INSERT INTO sources (name) VALUES (?) ON CONFLICT DO NOTHING", [name])?;
        let sql = "SELECT id, walked FROM sources WHERE name = ?";
        Ok(self.db.query_row(sql, [name], |row| Ok((row.get(0)?, row.get(1)?)))?)
    }

    /// A source has been walked to its end.
    pub fn walked(&self, source: i64) -> Result<(), Error> {
        self.db.execute("UPDATE sources SET walked = 1 WHERE id = ?", [source])?;
        Ok(())
    }

    /// Forgets everything, where nothing was done yet.
    pub fn restart(&mut self) -> Result<(), Error> {
        let transaction = self.db.transaction()?;
        transaction.execute_batch(
            "DELETE FROM samples; DELETE FROM items; DELETE FROM folders; UPDATE sources SET walked = 0;",
        )?;
        transaction.commit()?;
        Ok(())
    }

    /// The source is to be walked once more; what was refused or failed is looked at again, and with `all` everything.
    pub fn again(&mut self, source: i64, all: bool) -> Result<(), Error> {
        let transaction = self.db.transaction()?;
        transaction.execute("UPDATE sources SET walked = 0 WHERE id = ?", [source])?;
        transaction.execute("DELETE FROM folders WHERE source = ?", [source])?;
        let sql = "UPDATE items SET state = 0 WHERE source = ?1 AND (state IN (3, 5) OR (?2 AND state <> 0))";
        transaction.execute(sql, params![source, all])?;
        transaction.commit()?;
        Ok(())
    }

    fn put_in_order(&mut self) -> Result<(), Error> {
        if self.word("order")?.as_deref() == Some(self.order.name()) {
            return Ok(());
        }
        let transaction = self.db.transaction()?;
        transaction.execute(&format!("UPDATE items SET rank = {}", self.order.rank()), [])?;
        remember(&transaction, "order", self.order.name())?;
        transaction.commit()?;
        Ok(())
    }
}

fn remember(db: &Connection, name: &str, value: &str) -> Result<(), Error> {
    let sql = "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value";
    db.prepare_cached(sql)?.execute([name, value])?;
    Ok(())
}

/// Locks a file for as long as it is open. One that is held is tried again for a second: a program that was killed while it began
/// another has left that one with the lock, until it is another.
pub fn lock_soon(file: &File) -> Result<(), TryLockError> {
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if began.elapsed() < Duration::from_secs(1) => {
                thread::sleep(Duration::from_millis(20));
            }
            done => return done,
        }
    }
}

fn lock(path: &Path, destination: &Path) -> Result<File, Error> {
    let file = File::options().write(true).create(true).truncate(false).open(path).map_err(Error::io("open", path))?;
    match lock_soon(&file) {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let what = format!("a migration into {} is running", destination.display());
            Err(Error::usage(what, "`firstlight migrate --status DST` shows how far it is"))
        }
        // Not every file system has locks.
        Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(e)) => Err(Error::io("lock", path)(e)),
    }
}

/// Makes a folder and those above it, each durable in the one that holds it.
fn make_folder(folder: &Path) -> Result<(), Error> {
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty() && !parent.is_dir()) {
        make_folder(parent)?;
    }
    match fs::create_dir(folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(Error::io("make", folder)(e)),
        _ => {}
    }
    folder.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), sync)
}

/// Waits until the names in a folder are on the storage.
pub(crate) fn sync(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io("sync", folder))
}
