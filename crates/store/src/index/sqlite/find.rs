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

const STUDIES: &str = "studies s";
const SERIES: &str = "studies s JOIN series e ON e.study = s.id";
const INSTANCES: &str = "studies s JOIN series e ON e.study = s.id JOIN instances i ON i.series = e.id \
    JOIN objects o ON o.id = i.object";

const OF_STUDY: &str = "s.common, s.more, s.modalities, s.series, s.instances";
const OF_SERIES: &str = "e.common, e.more, e.instances";
const OF_INSTANCE: &str = "i.common, i.more, o.facts";

impl Search for Sqlite {
    fn find(&self, patience: &Patience, level: QueryLevel, query: &Query) -> Result<Matches, Error> {
        let Conditions { all, ignored } = Conditions::of(level, query)?;
        let include = Include::of(query);
        let most = query.limit.unwrap_or(MOST).min(MOST);
        let Where { sql, mut parameters } = Where::of(&all);
        let (columns, from, order) = match level {
            QueryLevel::Study => (OF_STUDY.to_owned(), STUDIES, "s.date DESC, s.id DESC"),
            QueryLevel::Series => {
                (format!("{OF_STUDY}, {OF_SERIES}"), SERIES, "s.date DESC, s.id DESC, e.number, e.id")
            }
            QueryLevel::Instance => (
                format!("{OF_STUDY}, {OF_SERIES}, {OF_INSTANCE}"),
                INSTANCES,
                "s.date DESC, s.id DESC, e.number, e.id, i.number, i.id",
            ),
        };
        let sql = format!("SELECT {columns} FROM {from}{sql} ORDER BY {order} LIMIT ? OFFSET ?");
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
