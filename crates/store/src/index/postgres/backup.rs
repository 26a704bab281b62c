//! What a backup needs: the objects that are named. The tables are copied by the tools of the database.

use std::path::Path;

use tokio_postgres::Row;

use super::engine::Postgres;
use super::values::{count, get, number, object};
use crate::Error;
use crate::index::backup::{BackingUp, NamedObject};
use crate::objects::Key;

/// Each kind of row goes by its own index on keys: no more is read of any than is answered.
const NAMED: &str = "SELECT key, max(bytes), bool_or(released) FROM ( \
    (SELECT o.key, o.bytes, w.released IS NOT NULL AS released FROM objects o LEFT JOIN ways_back w ON w.original = o.id \
    WHERE o.key > $1 ORDER BY o.key LIMIT $2) \
    UNION ALL (SELECT key, bytes, false FROM unserved WHERE key > $1 ORDER BY key LIMIT $2) \
    UNION ALL (SELECT o.key, o.bytes, w.released IS NOT NULL FROM removed_objects o \
    LEFT JOIN removed_ways_back w ON w.original = o.id WHERE o.key > $1 ORDER BY o.key LIMIT $2) \
    ) n GROUP BY key ORDER BY key LIMIT $2";

impl BackingUp for Postgres {
    fn copy_to(&self, _: &Path) -> Result<bool, Error> {
        Ok(false)
    }

    fn named_objects(&self, after: Option<Key>, most: usize) -> Result<Vec<NamedObject>, Error> {
        let after = after.map_or(Vec::new(), |key| key.as_bytes().to_vec());
        let rows = self.ask(|session| session.rows(NAMED, &[&after, &number(most as u64)]))?;
        let named = |row: &Row| Ok(NamedObject { key: object(row, 0)?, bytes: count(row, 1)?, released: get(row, 2)? });
        rows.iter().map(named).collect()
    }
}
