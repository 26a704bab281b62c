//! Changes to rows that everybody changes (counts, versions of studies and series, counters): collected by the work of a commit, made at its
//! end.
//!
//! So such a row is locked for the moment of a commit, not for as long as its work takes; and since that moment is one lock, which all
//! programs take in turn, no two can wait for each other there.

use std::collections::BTreeMap;

use super::session::Session;
use super::values::{NOW, Text, get, number};
use crate::Error;
use crate::index::changes::{ChangeKind, Changed};
use crate::index::evidence::{Figure, Opinions};

/// The lock that whoever makes such changes holds until its commit.
const LOCK: i64 = 0x0046_4C49_4E44_0002;
/// The channel on which programs tell each other of commits.
pub(super) const CHANNEL: &str = "firstlight";

/// What is added to a study or a series.
#[derive(Debug, Default, Clone, Copy)]
struct Touched {
    instances: i64,
    versions: i64,
    series: i64,
}

/// The changes that are made at the end.
#[derive(Debug, Default)]
pub(super) struct Later {
    studies: BTreeMap<i64, Touched>,
    series: BTreeMap<i64, Touched>,
    totals: BTreeMap<String, i64>,
    figures: BTreeMap<(String, String, String), i64>,
    opinions: BTreeMap<String, [i64; 4]>,
    changes: Vec<Told>,
}

/// A change that is told of: its kind, and an instance by its number, or what has these UIDs.
#[derive(Debug)]
struct Told {
    kind: ChangeKind,
    instance: Option<i64>,
    of: Option<Changed>,
}

impl Later {
    /// Counts `new` instances, and makes what was prepared of the series and the study stale.
    pub(super) fn touch(&mut self, study: i64, series: i64, new: i64) {
        for touched in [self.studies.entry(study).or_default(), self.series.entry(series).or_default()] {
            touched.instances += new;
            touched.versions += 1;
        }
    }

    /// A study got a series: it is counted, and its modalities are listed anew.
    pub(super) fn series_added(&mut self, study: i64) {
        self.studies.entry(study).or_default().series += 1;
    }

    /// Adds to a total.
    pub(super) fn count(&mut self, name: impl Into<String>, by: i64) {
        if by != 0 {
            *self.totals.entry(name.into()).or_default() += by;
        }
    }

    /// So many jobs went from one state into another.
    pub(super) fn moved(&mut self, from: i64, to: i64, jobs: u64) {
        self.count(format!("jobs{from}"), -number(jobs));
        self.count(format!("jobs{to}"), number(jobs));
    }

    /// Adds to counters.
    pub(super) fn figures(&mut self, figures: &[Figure]) {
        for Figure { name, modality, detail, value } in figures {
            *self.figures.entry((name.clone(), modality.clone(), detail.clone())).or_default() += number(*value);
        }
    }

    /// Adds to the second opinions of a class.
    pub(super) fn opinions(&mut self, more: &Opinions) {
        let of = self.opinions.entry(more.class.clone()).or_default();
        for (of, more) in of.iter_mut().zip([more.agreed, more.disagreed, more.without, more.not_asked]) {
            *of += number(more);
        }
    }

    /// Tells of an instance.
    pub(super) fn tell(&mut self, kind: ChangeKind, instance: i64) {
        self.changes.push(Told { kind, instance: Some(instance), of: None });
    }

    /// Tells of what has these UIDs.
    pub(super) fn tell_of(&mut self, kind: ChangeKind, of: &Changed) {
        self.changes.push(Told { kind, instance: None, of: Some(of.clone()) });
    }

    fn is_empty(&self) -> bool {
        let Later { studies, series, totals, figures, opinions, changes } = self;
        let counted = totals.is_empty() && figures.is_empty() && opinions.is_empty();
        studies.is_empty() && series.is_empty() && counted && changes.is_empty()
    }

    /// Makes the changes, and has others told when it is committed. Returns the number of the transaction, where there was a change.
    pub(super) fn settle(&self, session: &Session<'_>) -> Result<Option<String>, Error> {
        if self.is_empty() {
            return Ok(None);
        }
        let lock = "SELECT pg_current_xact_id()::text FROM pg_advisory_xact_lock($1)";
        let transaction = get(&session.one(lock, &[&LOCK])?, 0)?;
        self.settle_studies(session)?;
        self.settle_series(session)?;
        self.settle_totals(session)?;
        self.settle_figures(session)?;
        self.settle_opinions(session)?;
        self.settle_changes(session)?;
        session.rows("SELECT pg_notify($1, '')", &[&CHANNEL])?;
        Ok(Some(transaction))
    }

    fn settle_studies(&self, session: &Session<'_>) -> Result<(), Error> {
        let sql = r"UPDATE studies s SET instances = s.instances + d.instances, version = s.version + d.versions,
             series = s.series + d.series, modalities = CASE WHEN d.series = 0 THEN s.modalities ELSE coalesce(
                 (SELECT string_agg(modality, '\' ORDER BY modality) FROM
                     (SELECT DISTINCT modality FROM series WHERE study = s.id AND modality <> '') m), '') END
             FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS d (id, instances, versions, series)
             WHERE s.id = d.id";
        if !self.studies.is_empty() {
            let [ids, instances, versions, series] = columns(&self.studies);
            session.execute(sql, &[&ids, &instances, &versions, &series])?;
        }
        Ok(())
    }

    fn settle_series(&self, session: &Session<'_>) -> Result<(), Error> {
        let sql = "UPDATE series e SET instances = e.instances + d.instances, version = e.version + d.versions \
             FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS d (id, instances, versions) WHERE e.id = d.id";
        if !self.series.is_empty() {
            let [ids, instances, versions, _] = columns(&self.series);
            session.execute(sql, &[&ids, &instances, &versions])?;
        }
        Ok(())
    }

    fn settle_totals(&self, session: &Session<'_>) -> Result<(), Error> {
        let sql = "INSERT INTO totals (name, value) SELECT * FROM unnest($1::text[], $2::bigint[]) \
             ON CONFLICT (name) DO UPDATE SET value = totals.value + excluded.value";
        let (names, values): (Vec<&str>, Vec<i64>) = self.totals.iter().map(|(name, value)| (&**name, *value)).unzip();
        if !names.is_empty() {
            session.execute(sql, &[&names, &values])?;
        }
        Ok(())
    }

    /// Changes are numbered here, where nobody else commits: none comes later below one that was seen.
    fn settle_changes(&self, session: &Session<'_>) -> Result<(), Error> {
        let sql = format!(
            "INSERT INTO changes (id, at, kind, instance, study, series, sop) \
             SELECT greatest((SELECT coalesce(max(id), 0) FROM changes) + 1, {NOW} * 1000000) + n - 1, {NOW}, kind, instance, study, series, sop \
             FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[]) \
             WITH ORDINALITY AS c (kind, instance, study, series, sop, n)"
        );
        if self.changes.is_empty() {
            return Ok(());
        }
        let kinds: Vec<i64> = self.changes.iter().map(|told| told.kind.number()).collect();
        let instances: Vec<Option<i64>> = self.changes.iter().map(|told| told.instance).collect();
        let uids = |uid: fn(&Changed) -> Option<&str>| -> Vec<Option<&str>> {
            self.changes.iter().map(|told| told.of.as_ref().and_then(uid)).collect()
        };
        let (studies, series) = (uids(|of| Some(&of.study)), uids(|of| of.series.as_deref()));
        let sops = uids(|of| of.sop.as_deref());
        session.execute(&sql, &[&kinds, &instances, &studies, &series, &sops]).map(drop)
    }

    fn settle_figures(&self, session: &Session<'_>) -> Result<(), Error> {
        let sql = "INSERT INTO figures (name, modality, detail, value) \
             SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) \
             ON CONFLICT (name, modality, detail) DO UPDATE SET value = figures.value + excluded.value";
        if self.figures.is_empty() {
            return Ok(());
        }
        let of = |part: fn(&(String, String, String)) -> &String| -> Vec<Text<'_>> {
            self.figures.keys().map(|key| Text(part(key))).collect()
        };
        let (names, modalities, details) = (of(|key| &key.0), of(|key| &key.1), of(|key| &key.2));
        let values: Vec<i64> = self.figures.values().copied().collect();
        session.execute(sql, &[&names, &modalities, &details, &values]).map(drop)
    }

    fn settle_opinions(&self, session: &Session<'_>) -> Result<(), Error> {
        let sql = "INSERT INTO opinions AS o (class, agreed, disagreed, without, not_asked) \
             SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) \
             ON CONFLICT (class) DO UPDATE SET agreed = o.agreed + excluded.agreed, \
             disagreed = o.disagreed + excluded.disagreed, without = o.without + excluded.without, \
             not_asked = o.not_asked + excluded.not_asked";
        if self.opinions.is_empty() {
            return Ok(());
        }
        let classes: Vec<Text<'_>> = self.opinions.keys().map(|class| Text(class)).collect();
        let [agreed, disagreed, without, not_asked] =
            [0, 1, 2, 3].map(|n: usize| self.opinions.values().map(|of| of[n]).collect::<Vec<i64>>());
        session.execute(sql, &[&classes, &agreed, &disagreed, &without, &not_asked]).map(drop)
    }
}

/// Numbers, instances, versions and series, each as a list.
fn columns(of: &BTreeMap<i64, Touched>) -> [Vec<i64>; 4] {
    let column = |value: fn(&Touched) -> i64| of.values().map(value).collect();
    [of.keys().copied().collect(), column(|t| t.instances), column(|t| t.versions), column(|t| t.series)]
}
