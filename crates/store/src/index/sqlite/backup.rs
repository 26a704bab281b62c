//! Copies of the file, and what it names.

use std::fs::File;
use std::path::Path;

use rusqlite::params;

use super::engine::Sqlite;
use crate::Error;
use crate::index::backup::{BackingUp, NamedObject};
use crate::objects::Key;
use crate::sync::sync_folder;

/// Each kind of row goes by its own index on keys: no more is read of any than is answered.
const NAMED: &str = "SELECT key, max(bytes), max(released) FROM ( \
    SELECT * FROM (SELECT o.key, o.bytes, w.released IS NOT NULL AS released FROM objects o LEFT JOIN ways_back w ON w.original = o.id \
    WHERE o.key > ?1 ORDER BY o.key LIMIT ?2) \
    UNION ALL SELECT * FROM (SELECT key, bytes, 0 FROM unserved WHERE key > ?1 ORDER BY key LIMIT ?2) \
    UNION ALL SELECT * FROM (SELECT o.key, o.bytes, w.released IS NOT NULL FROM removed_objects o \
    LEFT JOIN removed_ways_back w ON w.original = o.id WHERE o.key > ?1 ORDER BY o.key LIMIT ?2) \
    ) GROUP BY key ORDER BY key LIMIT ?2";

impl BackingUp for Sqlite {
    fn copy_to(&self, file: &Path) -> Result<bool, Error> {
        let path = file.to_str().ok_or_else(|| Error::Query("the path of the copy is not UTF-8".into()))?;
        // In one snapshot, which keeps nobody from writing.
        self.another()?.execute("VACUUM INTO ?", [path])?;
        let what = || format!("writing {}", file.display());
        File::open(file).and_then(|file| file.sync_all()).map_err(Error::io(what()))?;
        file.parent().map_or(Ok(()), sync_folder).map_err(Error::io(what()))?;
        Ok(true)
    }

    fn named_objects(&self, after: Option<Key>, most: usize) -> Result<Vec<NamedObject>, Error> {
        self.read(|snapshot| {
            let mut named = snapshot.prepare_cached(NAMED)?;
            let after = after.map_or(Vec::new(), |key| key.as_bytes().to_vec());
            let named = named.query_map(params![after, most as i64], |row| {
                Ok(NamedObject { key: Key::new(row.get(0)?), bytes: row.get(1)?, released: row.get(2)? })
            })?;
            Ok(named.collect::<Result<_, _>>()?)
        })
    }
}
