//! Prepared metadata.

use rusqlite::{OptionalExtension, Row, params};

use super::engine::Sqlite;
use crate::Error;
use crate::index::metadata::{Metadata, PreparedRow, SeriesRow};

/// Forms there may be; the version of a series counts in steps of it.
const FORMS: i64 = 1000;

impl Metadata for Sqlite {
    fn series_of(&self, study: &str, series: Option<&str>) -> Result<Vec<i64>, Error> {
        let sql = "SELECT e.id FROM studies s JOIN series e ON e.study = s.id \
             WHERE s.uid = ?1 AND (?2 IS NULL OR e.uid = ?2) ORDER BY e.number, e.id";
        self.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(sql)?;
            let all = statement.query_map(params![study, series], |row| row.get(0))?;
            Ok(all.collect::<Result<_, _>>()?)
        })
    }

    fn series(&self, number: i64) -> Result<SeriesRow, Error> {
        let sql = "SELECT e.version, s.uid, e.uid FROM series e JOIN studies s ON s.id = e.study WHERE e.id = ?";
        let row = |row: &Row<'_>| Ok(SeriesRow { version: row.get(0)?, study: row.get(1)?, uid: row.get(2)? });
        self.read(|snapshot| Ok(snapshot.prepare_cached(sql)?.query_row([number], row)?))
    }

    fn stale(&self, form: u16) -> Result<Vec<i64>, Error> {
        let sql = "SELECT e.id FROM series e LEFT JOIN prepared p \
             ON p.series = e.id AND p.version = e.version * ?1 + ?2 WHERE p.series IS NULL ORDER BY e.id";
        self.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(sql)?;
            let stale = statement.query_map([FORMS, form.into()], |row| row.get(0))?;
            Ok(stale.collect::<Result<_, _>>()?)
        })
    }

    fn prepared(&self, series: i64, form: u16) -> Result<Option<PreparedRow>, Error> {
        let sql = "SELECT p.deflate, p.bytes, p.crc, p.sha256, p.root FROM prepared p JOIN series e ON e.id = p.series \
             WHERE e.id = ?1 AND p.version = e.version * ?2 + ?3";
        let row = |row: &Row<'_>| {
            Ok(PreparedRow {
                deflate: row.get(0)?,
                bytes: row.get(1)?,
                crc: row.get(2)?,
                sha256: row.get(3)?,
                root: row.get(4)?,
            })
        };
        self.read(|snapshot| {
            Ok(snapshot.prepare_cached(sql)?.query_row([series, FORMS, form.into()], row).optional()?)
        })
    }

    fn keep_prepared(&self, series: i64, version: i64, form: u16, kept: PreparedRow) -> Result<(), Error> {
        let sql = "INSERT INTO prepared (series, version, bytes, crc, sha256, deflate, root) \
             SELECT ?, ?, ?, ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM series WHERE id = ?1) \
             ON CONFLICT (series) DO UPDATE SET version = excluded.version, bytes = excluded.bytes, \
             crc = excluded.crc, sha256 = excluded.sha256, deflate = excluded.deflate, root = excluded.root \
             WHERE excluded.version >= version";
        self.write(move |index| {
            let version = version * FORMS + i64::from(form);
            let row = params![series, version, kept.bytes, kept.crc, kept.sha256, kept.deflate, kept.root];
            index.prepare_cached(sql)?.execute(row)?;
            Ok(())
        })
    }

    fn reroot_prepared(&self, series: i64, kept: PreparedRow) -> Result<(), Error> {
        let sql = "UPDATE prepared SET bytes = ?, crc = ?, deflate = ?, root = ? WHERE series = ? AND sha256 = ?";
        self.write(move |index| {
            let row = params![kept.bytes, kept.crc, kept.deflate, kept.root, series, kept.sha256];
            index.prepare_cached(sql)?.execute(row)?;
            Ok(())
        })
    }
}
