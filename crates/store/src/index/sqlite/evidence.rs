//! Evidence, second opinions and counters.

use rusqlite::{Connection, Params, Row, params};

use super::engine::Sqlite;
use super::instances::key;
use super::register::next_number;
use super::values::now;
use crate::Error;
use crate::index::evidence::{EvidenceOf, EvidenceRow, Figure, ObjectFacts, Opinions, Proofs};
use crate::index::jobs::{Conversion, Job};
use crate::objects::Key;

const SELECT: &str = "SELECT v.id, s.uid, e.uid, i.uid, e.modality, f.key, t.key, f.syntax, t.syntax, f.bytes, t.bytes, \
    v.policy, v.rule, v.codec, v.samples_sha256, v.made, v.host, v.milliseconds, v.frames FROM evidence v \
    JOIN instances i ON i.id = v.instance JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study \
    JOIN objects f ON f.id = v.from_object JOIN objects t ON t.id = v.to_object";

impl Proofs for Sqlite {
    fn evidence(&self, of: EvidenceOf<'_>) -> Result<Vec<EvidenceRow>, Error> {
        match of {
            EvidenceOf::Instance(key) => {
                let sql = format!("{SELECT} WHERE s.uid = ? AND e.uid = ? AND i.uid = ? ORDER BY v.id DESC");
                self.select(&sql, params![key.study, key.series, key.sop])
            }
            EvidenceOf::Sop(uid) => self.select(&format!("{SELECT} WHERE i.uid = ? ORDER BY v.id DESC"), [uid]),
            EvidenceOf::After(after, most) => {
                self.select(&format!("{SELECT} WHERE v.id > ? ORDER BY v.id LIMIT ?"), params![after, most])
            }
        }
    }

    fn opinions(&self) -> Result<Vec<Opinions>, Error> {
        self.read(|snapshot| {
            let mut rows =
                snapshot.prepare_cached("SELECT class, agreed, disagreed, without, not_asked FROM opinions")?;
            let rows = rows.query_map([], |row| {
                Ok(Opinions {
                    class: row.get(0)?,
                    agreed: row.get(1)?,
                    disagreed: row.get(2)?,
                    without: row.get(3)?,
                    not_asked: row.get(4)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn add_opinions(&self, opinions: &Opinions) -> Result<(), Error> {
        let opinions = opinions.clone();
        self.write(move |index| add_opinions(index, &opinions))
    }

    fn figures(&self) -> Result<Vec<Figure>, Error> {
        self.read(|snapshot| {
            let mut rows = snapshot.prepare_cached("SELECT name, modality, detail, value FROM figures")?;
            let rows = rows.query_map([], |row| {
                Ok(Figure { name: row.get(0)?, modality: row.get(1)?, detail: row.get(2)?, value: row.get(3)? })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

impl Sqlite {
    fn select(&self, sql: &str, parameters: impl Params) -> Result<Vec<EvidenceRow>, Error> {
        self.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(sql)?;
            let rows = statement.query_map(parameters, evidence)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

fn evidence(row: &Row<'_>) -> rusqlite::Result<EvidenceRow> {
    Ok(EvidenceRow {
        id: row.get(0)?,
        key: key(row, 1)?,
        modality: row.get(4)?,
        from: ObjectFacts { key: Key::new(row.get(5)?), syntax: row.get(7)?, bytes: row.get(9)? },
        to: ObjectFacts { key: Key::new(row.get(6)?), syntax: row.get(8)?, bytes: row.get(10)? },
        policy: row.get(11)?,
        rule: row.get(12)?,
        codec: row.get(13)?,
        samples_sha256: row.get(14)?,
        made: row.get(15)?,
        host: row.get(16)?,
        milliseconds: row.get(17)?,
        frames: row.get(18)?,
    })
}

/// Adds the evidence of a conversion to an object.
pub(super) fn insert_evidence(
    index: &Connection,
    policy: &str,
    job: &Job,
    object: i64,
    done: &Conversion,
) -> Result<(), Error> {
    let sql = format!(
        "INSERT INTO evidence (id, instance, from_object, to_object, policy, rule, codec, samples_sha256, made, \
         host, milliseconds, frames) VALUES ({}, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        next_number("evidence")
    );
    index.prepare_cached(&sql)?.execute(params![
        job.instance,
        job.object,
        object,
        policy,
        done.rule,
        done.codec,
        done.samples_sha256,
        now(),
        done.host,
        done.milliseconds,
        done.evidence
    ])?;
    Ok(())
}

/// Adds to the second opinions of a class.
pub(super) fn add_opinions(index: &Connection, more: &Opinions) -> Result<(), Error> {
    let sql = "INSERT INTO opinions (class, agreed, disagreed, without, not_asked) VALUES (?, ?, ?, ?, ?) \
        ON CONFLICT DO UPDATE SET agreed = agreed + excluded.agreed, disagreed = disagreed + excluded.disagreed, \
        without = without + excluded.without, not_asked = not_asked + excluded.not_asked";
    let row = params![more.class, more.agreed, more.disagreed, more.without, more.not_asked];
    index.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

/// Adds to counters.
pub(super) fn add_figures(index: &Connection, figures: &[Figure]) -> Result<(), Error> {
    let sql = "INSERT INTO figures (name, modality, detail, value) VALUES (?, ?, ?, ?) \
        ON CONFLICT DO UPDATE SET value = value + excluded.value";
    let mut add = index.prepare_cached(sql)?;
    for figure in figures {
        add.execute(params![figure.name, figure.modality, figure.detail, figure.value])?;
    }
    Ok(())
}
