//! The journal: what a migration has found and what became of it, in `DST/.firstlight/migration.sqlite`
//! (`import.sqlite` of an import).
//!
//! Everything a migration knows is here, so that it needs little memory and goes on after any end. Beside it lies
//! `migration.jsonl`, the log of [`Log`](crate::log::Log), whose length the journal records in the same transaction.

mod found;
mod paths;
mod work;

pub use found::{Found, Kind, PathCollision};
pub use work::{Class, Counts, Ended, Mark, Row, Said, Sample, SampledClass, Way};

use crate::error::{Error, Usage};
use files::{dicomdir::MODALITY, lock_soon};
use paths::bytes_of;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

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

    fn rank(self) -> String {
        let rank = match self {
            // Entries of one packed stream stay together, at the end.
            Order::Largest => "CASE kind WHEN 3 THEN 0 ELSE -bytes END",
            Order::Newest => "CASE kind WHEN 3 THEN 0 ELSE -date END",
            Order::AsFound => "0",
        };
        format!("CASE modality WHEN '{MODALITY}' THEN {LAST} ELSE {rank} END")
    }
}

/// Rank of what names others, a DICOMDIR: it comes after them.
pub(crate) const LAST: i64 = i64::MAX;

/// The journal of a destination, held by this run.
pub struct Journal {
    db: Connection,
    order: Order,
    _lock: Option<File>,
}

impl Journal {
    /// The folder of a destination that holds what Firstlight remembers.
    pub fn folder(destination: &Path) -> PathBuf {
        destination.join(files::STATE_DIR)
    }

    /// Did a migration or an import into the destination begin?
    pub fn is_in(destination: &Path) -> bool {
        let folder = Journal::folder(destination);
        ["migration", "import"].iter().any(|name| folder.join(format!("{name}.sqlite")).exists())
    }

    /// Opens the journal called `name`, and makes it when there is none.
    pub fn open(destination: &Path, name: &str, order: Order) -> Result<Journal, Error> {
        Journal::open_in(&Journal::folder(destination), destination, name, order)
    }

    /// Opens a journal that is kept in `folder`, and not beside the destination, which must not hold what it tells.
    pub fn open_in(folder: &Path, destination: &Path, name: &str, order: Order) -> Result<Journal, Error> {
        let beside = Journal::folder(destination);
        make_folder(&beside)?;
        make_folder(folder)?;
        let lock = lock(&beside.join(format!("{name}.lock")), destination)?;
        let db = Connection::open(folder.join(format!("{name}.sqlite")))?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "cache_size", -16_000)?;
        db.pragma_update(None, "foreign_keys", true)?;
        Journal::over(db, order, Some(lock)).and_then(|journal| sync(folder).map(|()| journal))
    }

    /// A journal that is forgotten at the end, for commands that need the walk alone.
    pub fn in_memory() -> Result<Journal, Error> {
        Journal::over(Connection::open_in_memory()?, Order::AsFound, None)
    }

    fn over(db: Connection, order: Order, lock: Option<File>) -> Result<Journal, Error> {
        let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        match version {
            0 => db.execute_batch(concat!(
                "BEGIN; ",
                include_str!("v1.sql"),
                include_str!("v2.sql"),
                " PRAGMA user_version = 2; COMMIT;"
            ))?,
            1 => db.execute_batch(concat!("BEGIN; ", include_str!("v2.sql"), " PRAGMA user_version = 2; COMMIT;"))?,
            2 => {}
            _ => {
                return Err(Usage::NewerJournal.into());
            }
        }
        let mut journal = Journal { db, order, _lock: lock };
        journal.put_in_order()?;
        Ok(journal)
    }

    /// What the journal called `name` counts, and what waits by class; looked at while a run goes on, or not.
    pub fn look(folder: &Path, name: &str) -> Result<Option<(Counts, Vec<SampledClass>)>, Error> {
        let path = folder.join(format!("{name}.sqlite"));
        if !path.is_file() {
            return Ok(None);
        }
        let db = read_only(&path)?;
        let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let counts = work::counts(&db, &[], version)?;
        let classes = if version < 2 { Vec::new() } else { work::classes(&db, &[])? };
        Ok(Some((counts, classes)))
    }

    /// What is wrong with the journal called `name`, and how its log ends; nothing where there is none.
    pub(crate) fn checked(folder: &Path, name: &str) -> Result<Option<Checked>, Error> {
        let path = folder.join(format!("{name}.sqlite"));
        if !path.is_file() {
            return Ok(None);
        }
        let db = read_only(&path)?;
        let whole: String = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if whole != "ok" {
            return Ok(Some(Checked { fault: Some(whole), head: None, waiting: 0 }));
        }
        let sql = "SELECT value FROM meta WHERE name = 'head'";
        let head = db.query_row(sql, [], |row| row.get(0)).optional()?;
        let waiting = db.query_row("SELECT count(*) FROM items WHERE state = 0", [], |row| row.get(0))?;
        Ok(Some(Checked { fault: None, head, waiting }))
    }

    /// Does a process hold the migration (or import) called `name` into the destination? `None` where that can't be told.
    pub fn held(destination: &Path, name: &str) -> Option<bool> {
        let file = File::open(Journal::folder(destination).join(format!("{name}.lock"))).ok()?;
        match file.try_lock_shared() {
            Ok(()) => Some(false),
            Err(TryLockError::WouldBlock) => Some(true),
            Err(TryLockError::Error(_)) => None,
        }
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

    /// The source is to be walked once more; what can't be read or failed is looked at again, and with `all` everything.
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

/// What a journal is found to be.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The first thing that is wrong with it.
    pub fault: Option<String>,
    /// The head of its log.
    pub head: Option<String>,
    /// Items that wait.
    pub waiting: u64,
}

/// Opens a journal to look at it; nothing is written, and the storage may be one that can't be.
fn read_only(path: &Path) -> Result<Connection, Error> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if Path::new(&log).exists() {
        return Ok(Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?);
    }
    // Nobody has it open: it can be read as it lies.
    let text: String = bytes_of(path).iter().map(|byte| format!("%{byte:02X}")).collect();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Ok(Connection::open_with_flags(format!("file:{text}?immutable=1"), flags)?)
}

fn remember(db: &Connection, name: &str, value: &str) -> Result<(), Error> {
    let sql = "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value";
    db.prepare_cached(sql)?.execute([name, value])?;
    Ok(())
}

fn lock(path: &Path, destination: &Path) -> Result<File, Error> {
    let file = File::options().write(true).create(true).truncate(false).open(path).map_err(Error::io("open", path))?;
    match lock_soon(&file) {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Usage::Running(destination.to_owned()).into()),
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
