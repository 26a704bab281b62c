//! Evidence, second opinions and counters.

use tokio_postgres::Row;

use super::engine::Postgres;
use super::task::Group;
use super::values::{NOW, Text, count, get, key, number, object};
use crate::Error;
use crate::index::evidence::{EvidenceOf, EvidenceRow, Figure, ObjectFacts, Opinions, Proofs};
use crate::index::jobs::{Conversion, Job};

const SELECT: &str = "SELECT v.id, s.uid, e.uid, i.uid, e.modality, f.key, t.key, f.syntax, t.syntax, f.bytes, t.bytes, \
    v.policy, v.rule, v.codec, v.samples_sha256, v.made, v.host, v.milliseconds, v.frames FROM evidence v \
    JOIN instances i ON i.id = v.instance JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study \
    JOIN objects f ON f.id = v.from_object JOIN objects t ON t.id = v.to_object";

impl Proofs for Postgres {
    fn evidence(&self, of: EvidenceOf<'_>) -> Result<Vec<EvidenceRow>, Error> {
        let rows = self.ask(|session| match of {
            EvidenceOf::Instance(key) => {
                let sql = format!("{SELECT} WHERE s.uid = $1 AND e.uid = $2 AND i.uid = $3 ORDER BY v.id DESC");
                session.rows(&sql, &[&key.study, &key.series, &key.sop])
            }
            EvidenceOf::Sop(uid) => session.rows(&format!("{SELECT} WHERE i.uid = $1 ORDER BY v.id DESC"), &[&uid]),
            EvidenceOf::After(after, most) => {
                let sql = format!("{SELECT} WHERE v.id > $1 ORDER BY v.id LIMIT $2");
                session.rows(&sql, &[&after, &number(most as u64)])
            }
        })?;
        rows.iter().map(evidence).collect()
    }

    fn opinions(&self) -> Result<Vec<Opinions>, Error> {
        let sql = "SELECT class, agreed, disagreed, without, not_asked FROM opinions ORDER BY class";
        let rows = self.ask(|session| session.rows(sql, &[]))?;
        let opinions = |row| {
            Ok(Opinions {
                class: get(row, 0)?,
                agreed: count(row, 1)?,
                disagreed: count(row, 2)?,
                without: count(row, 3)?,
                not_asked: count(row, 4)?,
            })
        };
        rows.iter().map(opinions).collect()
    }

    fn add_opinions(&self, opinions: &Opinions) -> Result<(), Error> {
        let opinions = opinions.clone();
        self.write(move |group| {
            group.later().opinions(&opinions);
            Ok(())
        })
    }

    fn figures(&self) -> Result<Vec<Figure>, Error> {
        let sql = "SELECT name, modality, detail, value FROM figures ORDER BY name, modality, detail";
        let rows = self.ask(|session| session.rows(sql, &[]))?;
        let figure = |row| {
            Ok(Figure { name: get(row, 0)?, modality: get(row, 1)?, detail: get(row, 2)?, value: count(row, 3)? })
        };
        rows.iter().map(figure).collect()
    }
}

fn evidence(row: &Row) -> Result<EvidenceRow, Error> {
    Ok(EvidenceRow {
        id: get(row, 0)?,
        key: key(row, 1)?,
        modality: get(row, 4)?,
        from: ObjectFacts { key: object(row, 5)?, syntax: get(row, 7)?, bytes: count(row, 9)? },
        to: ObjectFacts { key: object(row, 6)?, syntax: get(row, 8)?, bytes: count(row, 10)? },
        policy: get(row, 11)?,
        rule: get(row, 12)?,
        codec: get(row, 13)?,
        samples_sha256: get(row, 14)?,
        made: get(row, 15)?,
        host: get(row, 16)?,
        milliseconds: count(row, 17)?,
        frames: get(row, 18)?,
    })
}

/// Adds the evidence of a conversion to an object.
pub(super) fn insert_evidence(
    group: &Group<'_>,
    policy: &str,
    job: &Job,
    object: i64,
    done: &Conversion,
) -> Result<(), Error> {
    let sql = format!(
        "INSERT INTO evidence (instance, from_object, to_object, policy, rule, codec, samples_sha256, made, \
         host, milliseconds, frames) VALUES ($1, $2, $3, $4, $5, $6, $7, {NOW}, $8, $9, $10)"
    );
    group
        .execute(
            &sql,
            &[
                &job.instance,
                &job.object,
                &object,
                &Text(policy),
                &Text(&done.rule),
                &Text(&done.codec),
                &Text(&done.samples_sha256),
                &Text(&done.host),
                &number(done.milliseconds),
                &done.evidence,
            ],
        )
        .map(drop)
}
