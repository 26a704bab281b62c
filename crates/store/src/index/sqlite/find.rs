//! Searches: conditions as fixed texts and parameters; no text of a query ever becomes SQL.

use rusqlite::types::Value;
use rusqlite::{Row, params_from_iter};

use super::engine::Sqlite;
use super::values::tag_number;
use crate::Error;
use crate::index::patience::Patience;
use crate::index::query::{
    Column, Condition, Conditions, Found, FoundInstance, FoundSeries, FoundStudy, Include, MOST, Pattern, after, answer,
};
use crate::index::search::{Matches, Query, QueryLevel, Search};

const OF_STUDY: &str = "s.common, s.more, s.modalities, s.series, s.instances";
const OF_SERIES: &str = "e.common, e.more, e.instances";
const OF_INSTANCE: &str = "i.common, i.more, o.facts";

const BY_STUDY: &str = "s.date DESC, s.id DESC";
const BY_SERIES: &str = "e.number, e.id";
const BY_INSTANCE: &str = "i.number, i.id";

impl Search for Sqlite {
    fn find(&self, patience: &Patience, level: QueryLevel, query: &Query) -> Result<Matches, Error> {
        let Conditions { all, ignored } = Conditions::of(level, query)?;
        let include = Include::of(query);
        let most = query.limit.unwrap_or(MOST).min(MOST);
        let Where { sql, mut parameters } = Where::of(&all);
        let sql = select(level, joins(&all), &sql);
        // One more than is returned tells whether there are more.
        parameters.extend([most + 1, query.offset].map(|n| Value::Integer(n as i64)));
        self.read_for(patience, |snapshot| {
            let mut statement = snapshot.prepare_cached(&sql)?;
            let mut rows = statement.query(params_from_iter(parameters))?;
            let mut matches = Matches { ignored, ..Matches::default() };
            while let Some(row) = rows.next()? {
                if matches.rows.len() == most {
                    matches.more = true;
                    break;
                }
                matches.rows.push(answer(level, query, &include, &found(level, row)?)?);
            }
            Ok(matches)
        })
    }
}

fn select(level: QueryLevel, join: &str, conditions: &str) -> String {
    let (mut columns, mut from, mut order) = (OF_STUDY.to_owned(), "studies s".to_owned(), BY_STUDY.to_owned());
    if level >= QueryLevel::Series {
        columns += &format!(", {OF_SERIES}");
        from += &format!(" {join} series e ON e.study = s.id");
        order += &format!(", {BY_SERIES}");
    }
    if level == QueryLevel::Instance {
        columns += &format!(", {OF_INSTANCE}");
        from += &format!(" {join} instances i ON i.series = e.id {join} objects o ON o.id = i.object");
        order += &format!(", {BY_INSTANCE}");
    }
    format!("SELECT {columns} FROM {from}{conditions} ORDER BY {order} LIMIT ? OFFSET ?")
}

/// How tables are joined. Where nothing below the study is asked for, studies come first: by an index on what is asked of them, or in the
/// order of the answer, so that a page is all that is read. Left to itself SQLite begins with the largest table, and sorts it.
fn joins(conditions: &[Condition]) -> &'static str {
    let below = |condition: &Condition| match condition {
        Condition::OneOf(of, _) | Condition::Text(of, _) | Condition::Number(of, _) | Condition::Range(of, ..) => {
            !column(*of).starts_with("s.")
        }
        Condition::Never | Condition::Name { .. } | Condition::Words(..) | Condition::Modality(_) => false,
    };
    if conditions.iter().any(below) { "JOIN" } else { "CROSS JOIN" }
}

fn found<'a>(level: QueryLevel, row: &'a Row<'_>) -> rusqlite::Result<Found<'a>> {
    let text = |at: usize| Ok::<_, rusqlite::Error>(row.get_ref(at)?.as_str()?);
    let study = FoundStudy {
        common: text(0)?,
        more: text(1)?,
        modalities: text(2)?,
        series: row.get(3)?,
        instances: row.get(4)?,
    };
    let series = match level {
        QueryLevel::Study => None,
        _ => Some(FoundSeries { common: text(5)?, more: text(6)?, instances: row.get(7)? }),
    };
    let instance = match level {
        QueryLevel::Instance => Some(FoundInstance { common: text(8)?, more: text(9)?, facts: text(10)? }),
        _ => None,
    };
    Ok(Found { study, series, instance })
}

/// Conditions as SQL, with their parameters.
#[derive(Debug, Default)]
struct Where {
    sql: String,
    parameters: Vec<Value>,
}

impl Where {
    fn of(conditions: &[Condition]) -> Where {
        let mut all = Where::default();
        conditions.iter().for_each(|condition| all.condition(condition));
        all
    }

    fn condition(&mut self, condition: &Condition) {
        match condition {
            Condition::Never => self.add("0", Vec::new()),
            Condition::OneOf(of, values) => {
                let marks = vec!["?"; values.len()].join(", ");
                self.add(&format!("{} IN ({marks})", column(*of)), values.iter().map(|v| text(v)).collect());
            }
            Condition::Text(of, value) => self.text(column(*of), value),
            Condition::Number(of, number) => {
                self.add(&format!("{} = ?", column(*of)), vec![Value::Integer(*number)]);
            }
            Condition::Range(of, from, to) => self.range(column(*of), from.as_deref(), to.as_deref()),
            Condition::Name { tag, place, any } => {
                let place = place.map_or_else(String::new, |place| format!(" AND place = {place}"));
                self.name(&format!("SELECT study FROM names WHERE tag = {}{place}", tag_number(*tag)), any);
            }
            Condition::Words(tag, words) => {
                let of = tag_number(*tag);
                let sql = format!("s.id IN (SELECT study FROM names WHERE tag = {of} AND words(?, text))");
                self.add(&sql, vec![text(words)]);
            }
            Condition::Modality(any) => {
                let (any, parameters) = alternatives("modality", any);
                let sql = format!("EXISTS (SELECT 1 FROM study_modalities WHERE study = s.id AND ({any}))");
                self.add(&sql, parameters);
            }
        }
    }

    fn text(&mut self, column: &str, value: &str) {
        let (sql, parameters) = matching(column, value);
        match column.strip_prefix("s.") {
            // Looks through the narrow index of the column instead of the wide rows.
            Some(bare) if matches!(Pattern::of(value), Pattern::Wild(_)) => {
                self.add(&format!("s.id IN (SELECT id FROM studies WHERE wild(?, {bare}))"), parameters);
            }
            _ => self.add(&sql, parameters),
        }
    }

    fn range(&mut self, column: &str, from: Option<&str>, to: Option<&str>) {
        self.add(&format!("{column} > ''"), Vec::new());
        if let Some(from) = from {
            self.add(&format!("{column} >= ?"), vec![text(from)]);
        }
        if let Some(to) = to {
            // What the end says to the hour includes all of that hour.
            self.add(&format!("{column} < ?"), vec![text(&after(to))]);
        }
    }

    fn name(&mut self, of: &str, patterns: &[String]) {
        let (mut any, mut parameters) = (Vec::new(), Vec::new());
        for pattern in patterns {
            if pattern.is_empty() {
                any.push(format!("s.id NOT IN ({of})"));
                continue;
            }
            let (sql, more) = matching("text", pattern);
            any.push(format!("s.id IN ({of} AND {sql})"));
            parameters.extend(more);
        }
        self.add(&format!("({})", any.join(" OR ")), parameters);
    }

    fn add(&mut self, condition: &str, parameters: Vec<Value>) {
        self.sql.push_str(if self.sql.is_empty() { " WHERE " } else { " AND " });
        self.sql.push_str(condition);
        self.parameters.extend(parameters);
    }
}

/// Any of the values matches.
fn alternatives(column: &str, values: &[String]) -> (String, Vec<Value>) {
    let (sql, parameters): (Vec<_>, Vec<_>) = values.iter().map(|value| matching(column, value)).unzip();
    (sql.join(" OR "), parameters.concat())
}

/// The condition that a column matches a value.
fn matching(column: &str, value: &str) -> (String, Vec<Value>) {
    match Pattern::of(value) {
        Pattern::All => ("1".into(), Vec::new()),
        Pattern::Exact(value) => (format!("{column} = ?"), vec![text(value)]),
        Pattern::Prefix(value) => (format!("({column} >= ? AND {column} < ?)"), vec![text(value), text(&after(value))]),
        Pattern::Wild(value) => (format!("wild(?, {column})"), vec![text(value)]),
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn column(column: Column) -> &'static str {
    match column {
        Column::StudyUid => "s.uid",
        Column::StudyDate => "s.date",
        Column::StudyTime => "s.time",
        Column::Accession => "s.accession",
        Column::PatientId => "s.patient_id",
        Column::BirthDate => "s.birth_date",
        Column::Sex => "s.sex",
        Column::StudyId => "s.study_id",
        Column::StudyDescription => "s.description",
        Column::StudySeries => "s.series",
        Column::StudyInstances => "s.instances",
        Column::SeriesUid => "e.uid",
        Column::Modality => "e.modality",
        Column::SeriesNumber => "e.number",
        Column::SeriesDescription => "e.description",
        Column::BodyPart => "e.body_part",
        Column::PpsDate => "e.pps_date",
        Column::PpsTime => "e.pps_time",
        Column::StepId => "e.step_id",
        Column::ProcedureId => "e.procedure_id",
        Column::SeriesInstances => "e.instances",
        Column::SopInstanceUid => "i.uid",
        Column::SopClassUid => "i.class",
        Column::InstanceNumber => "i.number",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use dicom::Tag;
    use rusqlite::Connection;

    use super::*;
    use crate::index::attributes::*;
    use crate::index::sqlite::{checksum, functions, schema};

    /// An index of so many studies, each with three series of two instances.
    fn index(studies: u32) -> Connection {
        let mut index = Connection::open_in_memory().unwrap();
        checksum::register(&index).unwrap();
        functions::register(&index).unwrap();
        schema::migrate(&mut index).unwrap();
        let fill = "PRAGMA foreign_keys = OFF;
            CREATE TEMP TABLE n AS WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < @) SELECT n FROM n;
            CREATE TEMP TABLE k (k); INSERT INTO k VALUES (0), (1), (2);
            INSERT INTO studies (id, uid, date, time, accession, patient_id, birth_date, sex, study_id, description, common, more)
                SELECT n, '1.' || n, 20000000 + n % 997, '', 'A' || n, 'P' || n, 19000000 + n, '', 'S' || n, 'd' || n, '{}', '{}' FROM n;
            INSERT INTO names (tag, text, place, study) SELECT 1048592, 'name' || n, 0, n FROM n;
            INSERT INTO series (id, study, uid, modality, number, description, body_part, pps_date, pps_time, step_id, procedure_id,
                common, more) SELECT n * 3 + k, n, '2.' || n || '.' || k, 'CT', k, 'd' || n, '', '', '', 's' || n, 'p' || n, '{}', '{}' FROM n, k;
            INSERT INTO instances (series, uid, class, number, object, received, common, more)
                SELECT n * 3 + k, '3.' || n || '.' || k, 'c', 1, 1, 1, '{}', '{}' FROM n, k;
            INSERT INTO objects (id, key, instance, role, bytes, syntax, stored, facts, frames) VALUES (1, x'00', 1, 0, 1, '', 0, '{}', x'')";
        index.execute_batch(&fill.replace('@', &studies.to_string())).unwrap();
        index
    }

    /// Steps of SQLite's machine for a page of 20, and its rows.
    fn steps(index: &Connection, level: QueryLevel, matches: &[(Tag, &str)]) -> (u64, usize) {
        let matches = matches.iter().map(|(tag, value)| (*tag, (*value).to_owned())).collect();
        let all = Conditions::of(level, &Query { matches, ..Query::default() }).unwrap().all;
        let Where { sql, mut parameters } = Where::of(&all);
        parameters.extend([20, 0].map(Value::Integer));
        let mut statement = index.prepare(&select(level, joins(&all), &sql)).unwrap();
        let count = Arc::new(AtomicU64::new(0));
        let counted = count.clone();
        let each = move || {
            counted.fetch_add(1, Relaxed);
            false
        };
        index.progress_handler(1, Some(each)).unwrap();
        let rows = statement.query_map(params_from_iter(parameters), |_| Ok(())).unwrap().count();
        index.progress_handler(0, None::<fn() -> bool>).unwrap();
        (count.load(Relaxed), rows)
    }

    #[test]
    fn searches_do_not_grow_with_the_archive() {
        use QueryLevel::*;
        let (few, many) = (index(100), index(3_000));
        for (level, matches, rows) in [
            (Study, &[][..], 20),
            (Series, &[], 20),
            (Instance, &[], 20),
            (Instance, &[(PATIENT_ID, "P7")], 3),
            (Instance, &[(STUDY_INSTANCE_UID, "1.7")], 3),
            (Study, &[(ACCESSION_NUMBER, "A7")], 1),
            (Study, &[(STUDY_ID, "S7")], 1),
            (Study, &[(PATIENT_BIRTH_DATE, "19000007")], 1),
            (Study, &[(STUDY_DESCRIPTION, "d7")], 1),
            (Study, &[(PATIENT_NAME, "NAME7")], 1),
            (Series, &[(SERIES_INSTANCE_UID, "2.7.1")], 1),
            (Series, &[(SERIES_DESCRIPTION, "d7")], 3),
            (Series, &[(SCHEDULED_STEP_ID, "s7")], 3),
            (Series, &[(REQUESTED_PROCEDURE_ID, "p7")], 3),
            (Instance, &[(SOP_INSTANCE_UID, "3.7.1")], 1),
        ] {
            let (small, found) = steps(&few, level, matches);
            let (large, found_in_many) = steps(&many, level, matches);
            assert_eq!((found, found_in_many), (rows, rows), "{level:?} {matches:?}");
            assert!(
                large <= small + small / 2,
                "{level:?} {matches:?}: {small} steps, {large} with thirty times the studies"
            );
        }
    }
}
