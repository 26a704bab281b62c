//! How often what is handed out has changed, asked of the file now and then and not with each request.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::readers::connect;
use crate::Error;

/// Another process may have changed something that long ago.
const FRESH: Duration = Duration::from_millis(20);

/// The count, and a connection that asks for nothing else: it never waits for those who search.
pub(super) struct HandedOut {
    path: PathBuf,
    seen: Mutex<Option<Seen>>,
}

struct Seen {
    connection: Connection,
    count: u64,
    at: Instant,
    /// Commits of this process before it was asked.
    commits: u64,
}

impl HandedOut {
    pub(super) fn of(path: &Path) -> HandedOut {
        HandedOut { path: path.to_owned(), seen: Mutex::default() }
    }

    /// The count after so many commits of this process.
    pub(super) fn count(&self, commits: u64) -> Result<u64, Error> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(seen) = seen.as_ref().filter(|s| s.commits == commits && now.duration_since(s.at) < FRESH) {
            return Ok(seen.count);
        }
        let connection = match seen.take() {
            Some(seen) => seen.connection,
            None => self.connect()?,
        };
        let sql = "SELECT value FROM totals WHERE name = 'handed_out'";
        let count = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        *seen = Some(Seen { connection, count, at: now, commits });
        Ok(count)
    }

    fn connect(&self) -> Result<Connection, Error> {
        let connection = connect(&self.path, OpenFlags::default() & !OpenFlags::SQLITE_OPEN_CREATE)?;
        connection.pragma_update(None, "query_only", "ON")?;
        Ok(connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::contract::{Bed, new_instance};
    use crate::index::sqlite::Sqlite;
    use std::thread::sleep;

    #[test]
    fn what_another_process_changed_shows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index.sqlite");
        let [ours, theirs] = [(); 2].map(|()| Sqlite::open(&path, 2).unwrap());
        let bed = |index| Bed { index: Box::new(index), holds: Box::new(()) };
        let (ours, theirs) = (bed(ours), bed(theirs));
        theirs.add(new_instance("1.1", "1.2", "1.3"));
        let before = ours.handed_out().unwrap();
        assert_eq!(before, theirs.handed_out().unwrap());
        theirs.convert_next("p");
        assert_ne!(theirs.handed_out().unwrap(), before, "its own at once");
        sleep(FRESH);
        assert_ne!(ours.handed_out().unwrap(), before);
    }
}
