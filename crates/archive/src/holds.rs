//! What an archive holds of a file, asked by the SHA-256 of its bytes; and what it holds in all.

use rusqlite::OptionalExtension;

use crate::unserved::Unservable;
use crate::{Archive, Error};

/// What became of received bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holding {
    /// A converted object is served in their place.
    Converted {
        /// They were removed, for there is a way back to them.
        released: bool,
    },
    /// They are served as they came.
    Kept {
        /// Why.
        reason: String,
    },
    /// They wait for their conversion.
    Waiting,
    /// They can't be read: kept, and not served.
    Unreadable {
        /// Why.
        reason: String,
    },
    /// They are of no study: kept, and not served.
    NoInstance,
}

/// Counts over an archive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Converted instances.
    pub converted: u64,
    /// Of those, with received objects that were removed.
    pub released: u64,
    /// Instances that are served as they came.
    pub kept: u64,
    /// Instances that wait for their conversion.
    pub waiting: u64,
}

impl Archive {
    /// What became of these bytes; `None` where they never came.
    pub fn holding(&self, sha256: [u8; 32]) -> Result<Option<Holding>, Error> {
        self.inner.index.read(|snapshot| {
            let sql = "SELECT j.state, j.reason, w.released IS NOT NULL, o.role FROM objects o \
                 JOIN jobs j ON j.instance = o.instance LEFT JOIN ways_back w ON w.original = o.id \
                 WHERE o.key = ? AND o.role <> 1";
            let found = snapshot.prepare_cached(sql)?.query_row([&sha256[..]], |row| {
                if row.get::<_, i64>(3)? != 0 {
                    return Ok(Holding::Kept { reason: "another object has its UIDs: both are kept".into() });
                }
                Ok(match row.get::<_, i64>(0)? {
                    0 | 1 => Holding::Waiting,
                    2 => Holding::Converted { released: row.get(2)? },
                    _ => Holding::Kept { reason: row.get(1)? },
                })
            });
            if let Some(found) = found.optional()? {
                return Ok(Some(found));
            }
            let sql = "SELECT kind, reason FROM unserved WHERE key = ? LIMIT 1";
            let found = snapshot.prepare_cached(sql)?.query_row([&sha256[..]], |row| {
                let unreadable = row.get::<_, i64>(0)? == Unservable::Unreadable as i64;
                Ok(if unreadable { Holding::Unreadable { reason: row.get(1)? } } else { Holding::NoInstance })
            });
            Ok(found.optional()?)
        })
    }

    /// Counts of what is served.
    pub fn holdings(&self) -> Result<Holdings, Error> {
        self.inner.index.read(|snapshot| {
            let count = |sql: &str| snapshot.query_row(sql, [], |row| row.get::<_, u64>(0));
            Ok(Holdings {
                converted: count("SELECT count(*) FROM jobs WHERE state = 2")?,
                released: count("SELECT count(*) FROM ways_back WHERE released IS NOT NULL")?,
                kept: count("SELECT count(*) FROM jobs WHERE state IN (3, 4)")?,
                waiting: count("SELECT count(*) FROM jobs WHERE state IN (0, 1)")?,
            })
        })
    }

    /// Does the index list an object of this name?
    pub fn lists(&self, sha256: [u8; 32]) -> Result<bool, Error> {
        self.inner.index.read(|snapshot| {
            let sql = "SELECT EXISTS (SELECT 1 FROM objects WHERE key = ?1) OR EXISTS (SELECT 1 FROM unserved WHERE key = ?1)";
            Ok(snapshot.prepare_cached(sql)?.query_row([&sha256[..]], |row| row.get(0))?)
        })
    }
}
