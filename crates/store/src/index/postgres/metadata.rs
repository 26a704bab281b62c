//! Prepared metadata.

use super::engine::Postgres;
use super::values::{Text, count, get, number};
use crate::Error;
use crate::index::metadata::{Metadata, PreparedRow, SeriesRow};

/// Forms there may be; the version of a series counts in steps of it.
const FORMS: i64 = 1000;

impl Metadata for Postgres {
    fn series_of(&self, study: &str, series: Option<&str>) -> Result<Vec<i64>, Error> {
        let sql = "SELECT e.id FROM studies s JOIN series e ON e.study = s.id \
             WHERE s.uid = $1 AND ($2::text IS NULL OR e.uid = $2) ORDER BY e.number NULLS FIRST, e.id";
        let rows = self.ask(|session| session.rows(sql, &[&study, &series]))?;
        rows.iter().map(|row| get(row, 0)).collect()
    }

    fn series(&self, number: i64) -> Result<SeriesRow, Error> {
        let sql = "SELECT e.version, s.uid, e.uid FROM series e JOIN studies s ON s.id = e.study WHERE e.id = $1";
        let row = self.ask(|session| session.one(sql, &[&number]))?;
        Ok(SeriesRow { version: get(&row, 0)?, study: get(&row, 1)?, uid: get(&row, 2)? })
    }

    fn stale(&self, form: u16) -> Result<Vec<i64>, Error> {
        let sql = "SELECT e.id FROM series e LEFT JOIN prepared p \
             ON p.series = e.id AND p.version = e.version * $1 + $2 WHERE p.series IS NULL ORDER BY e.id";
        let rows = self.ask(|session| session.rows(sql, &[&FORMS, &i64::from(form)]))?;
        rows.iter().map(|row| get(row, 0)).collect()
    }

    fn prepared(&self, series: i64, form: u16) -> Result<Option<PreparedRow>, Error> {
        let sql = "SELECT p.deflate, p.bytes, p.crc, p.sha256, p.root FROM prepared p JOIN series e ON e.id = p.series \
             WHERE e.id = $1 AND p.version = e.version * $2 + $3";
        let Some(row) = self.ask(|session| session.row(sql, &[&series, &FORMS, &i64::from(form)]))? else {
            return Ok(None);
        };
        let damaged =
            || Error::Damaged(format!("what is prepared of series {series} in the index is not what was written"));
        Ok(Some(PreparedRow {
            deflate: get(&row, 0)?,
            bytes: count(&row, 1)?,
            crc: u32::try_from(count(&row, 2)?).map_err(|_| damaged())?,
            sha256: get::<&[u8]>(&row, 3)?.try_into().map_err(|_| damaged())?,
            root: get(&row, 4)?,
        }))
    }

    fn keep_prepared(&self, series: i64, version: i64, form: u16, kept: PreparedRow) -> Result<(), Error> {
        let sql = "INSERT INTO prepared AS p (series, version, bytes, crc, sha256, deflate, root) \
             SELECT $1::bigint, $2::bigint, $3::bigint, $4::bigint, $5::bytea, $6::bytea, $7::text \
             WHERE EXISTS (SELECT 1 FROM series WHERE id = $1) \
             ON CONFLICT (series) DO UPDATE SET version = excluded.version, bytes = excluded.bytes, \
             crc = excluded.crc, sha256 = excluded.sha256, deflate = excluded.deflate, root = excluded.root \
             WHERE excluded.version >= p.version";
        let version = version * FORMS + i64::from(form);
        self.write(move |group| {
            let (bytes, crc, sha256) = (number(kept.bytes), i64::from(kept.crc), kept.sha256.as_slice());
            group.execute(sql, &[&series, &version, &bytes, &crc, &sha256, &kept.deflate, &Text(&kept.root)]).map(drop)
        })
    }

    fn reroot_prepared(&self, series: i64, kept: PreparedRow) -> Result<(), Error> {
        let sql = "UPDATE prepared SET bytes = $1, crc = $2, deflate = $3, root = $4 WHERE series = $5 AND sha256 = $6";
        self.write(move |group| {
            let (bytes, crc, sha256) = (number(kept.bytes), i64::from(kept.crc), kept.sha256.as_slice());
            group.execute(sql, &[&bytes, &crc, &kept.deflate, &Text(&kept.root), &series, &sha256]).map(drop)
        })
    }
}
