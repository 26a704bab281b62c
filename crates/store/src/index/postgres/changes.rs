//! The feed of changes. What tells of one is put down at the end of its transaction ([`Later`](super::later::Later)).

use tokio_postgres::Row;

use super::engine::Postgres;
use super::session::Session;
use super::values::{get, number};
use crate::Error;
use crate::index::changes::{Change, ChangeKind, Changed, Changes};

impl Changes for Postgres {
    fn changes(&self, after: i64, most: usize) -> Result<Vec<Change>, Error> {
        let sql = "SELECT c.id, c.at, c.kind, coalesce(c.study, s.uid), coalesce(c.series, e.uid), coalesce(c.sop, i.uid) \
             FROM (SELECT * FROM changes WHERE id > $1 ORDER BY id LIMIT $2) c LEFT JOIN instances i ON i.id = c.instance \
             LEFT JOIN series e ON e.id = i.series LEFT JOIN studies s ON s.id = e.study ORDER BY c.id";
        let rows = self.ask(|session| session.rows(sql, &[&after, &number(most as u64)]))?;
        rows.iter().map(change).collect()
    }

    fn last_change(&self) -> Result<i64, Error> {
        let row = self.ask(|session| session.one("SELECT coalesce(max(id), 0) FROM changes", &[]))?;
        get(&row, 0)
    }
}

/// What is forgotten for good is in no change either: that it went is told no more.
pub(super) fn forget(session: &Session<'_>, removal: i64) -> Result<(), Error> {
    let sql = "UPDATE changes c SET study = NULL, series = NULL, sop = NULL FROM removals r WHERE r.id = $1 AND c.study = r.study \
         AND c.series IS NOT DISTINCT FROM r.series AND c.sop IS NOT DISTINCT FROM r.sop";
    session.execute(sql, &[&removal]).map(drop)
}

fn change(row: &Row) -> Result<Change, Error> {
    let (kind, study): (i64, Option<String>) = (get(row, 2)?, get(row, 3)?);
    let (series, sop) = (get(row, 4)?, get(row, 5)?);
    Ok(Change {
        number: get(row, 0)?,
        at: get(row, 1)?,
        kind: ChangeKind::of(kind).ok_or_else(|| Error::Damaged(format!("a change of kind {kind}")))?,
        of: study.map(|study| Changed { study, series, sop }),
    })
}
