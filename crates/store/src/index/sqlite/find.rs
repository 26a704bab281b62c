//! Searches: what SQLite says in its own way.

use dicom::Tag;
use rusqlite::types::{ToSqlOutput, Value};
use rusqlite::{Row, ToSql, params_from_iter};

use super::engine::Sqlite;
use crate::Error;
use crate::index::attributes::name;
use crate::index::patience::Patience;
use crate::index::query::{Found, FoundInstance, FoundSeries, FoundStudy, Include, answer, text_row};
use crate::index::search::{self, Matches, Query, QueryLevel, Rest};
use crate::index::statement::{Beside, Dialect, Parameter, Search};
use crate::index::text_row::TextRow;

impl search::Search for Sqlite {
    fn find(&self, patience: &Patience, level: QueryLevel, query: &Query) -> Result<Matches, Error> {
        let (include, mut rows) = (Include::of(query), Vec::new());
        let rest = self.each_found(patience, level, query, &mut |found| {
            rows.push(answer(level, query, &include, found)?);
            Ok(())
        })?;
        Ok(Matches { rows, more: rest.more, ignored: rest.ignored })
    }

    fn find_texts(
        &self,
        patience: &Patience,
        level: QueryLevel,
        query: &Query,
        row: &mut dyn FnMut(TextRow<'_>) -> Result<(), Error>,
    ) -> Result<Rest, Error> {
        let include = Include::of(query);
        self.each_found(patience, level, query, &mut |found| row(text_row(level, query, &include, found)?))
    }
}

impl Sqlite {
    /// Calls `each` with every row of an answer.
    fn each_found(
        &self,
        patience: &Patience,
        level: QueryLevel,
        query: &Query,
        each: &mut dyn FnMut(&Found<'_>) -> Result<(), Error>,
    ) -> Result<Rest, Error> {
        let Search { sql, parameters, most, ignored } = Search::of(&Spoken, level, query)?;
        self.read_for(patience, |snapshot| {
            let mut statement = snapshot.prepare_cached(&sql)?;
            let mut rows = statement.query(params_from_iter(parameters))?;
            let mut rest = Rest { ignored, ..Rest::default() };
            while let Some(row) = rows.next()? {
                if rest.rows == most {
                    rest.more = true;
                    break;
                }
                each(&found(level, row)?)?;
                rest.rows += 1;
            }
            Ok(rest)
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

/// The dialect of SQLite, with the functions `wild` and `words` of ours.
struct Spoken;

impl Dialect for Spoken {
    fn mark(&self, number: usize) -> String {
        format!("?{number}")
    }

    fn never(&self) -> &'static str {
        "0"
    }

    fn one_of(&self, column: &str, values: &[String], beside: &mut Beside<'_>) -> String {
        let marks: Vec<String> = values.iter().map(|value| beside.text(value)).collect();
        format!("{column} IN ({})", marks.join(", "))
    }

    fn wild(&self, column: &str, pattern: &str, beside: &mut Beside<'_>) -> String {
        let pattern = beside.text(pattern);
        match column.strip_prefix("s.") {
            // Looks through the narrow index of the column instead of the wide rows.
            Some(bare) => format!("s.id IN (SELECT id FROM studies WHERE wild({pattern}, {bare}))"),
            None => format!("wild({pattern}, {column})"),
        }
    }

    fn words(&self, column: &str, words: &str, beside: &mut Beside<'_>) -> String {
        format!("words({}, {column})", beside.text(words))
    }

    fn told(&self, column: &str, tag: Tag) -> String {
        let value = format!("coalesce(json_extract({column}, '$.\"{}\".Value[0]'), '')", name(tag));
        format!("CASE WHEN json_valid({column}) THEN {value} ELSE '' END")
    }

    fn fact(&self, name: &str) -> String {
        format!("CASE WHEN json_valid(o.facts) THEN nullif(json_extract(o.facts, '$.{name}'), 0) END")
    }

    fn ascending(&self, column: &str) -> String {
        column.to_owned()
    }

    /// Where nothing below the study is asked for, studies come first: by an index on what is asked of them, or in the order of the
    /// answer, so that a page is all that is read. Left to itself SQLite begins with the largest table, and sorts it.
    fn join(&self, studies: bool) -> &'static str {
        if studies { "CROSS JOIN" } else { "JOIN" }
    }
}

impl ToSql for Parameter {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Parameter::Text(text) => text.as_str().into(),
            Parameter::Number(number) => (*number).into(),
            // Lists are spelt out value by value.
            Parameter::Texts(_) => ToSqlOutput::Owned(Value::Null),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

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
                common, more) SELECT n * 3 + k, n, '2.' || n || '.' || k, 'CT', k, 'd' || n, '', '', '', 's' || n, 'p' || n, '{}',
                    '{\"00080070\": {\"vr\": \"LO\", \"Value\": [\"m' || n || '\"]}}' FROM n, k;
            INSERT INTO instances (series, uid, class, number, object, received, common, more)
                SELECT n * 3 + k, '3.' || n || '.' || k, 'c', 1, 1, 1, '{}',
                    '{\"00080023\": {\"vr\": \"DA\", \"Value\": [\"' || (19000000 + n) || '\"]}}' FROM n, k;
            INSERT INTO objects (id, key, instance, role, bytes, syntax, stored, facts, frames) VALUES (1, x'00', 1, 0, 1, '', 0, '{}', x'')";
        index.execute_batch(&fill.replace('@', &studies.to_string())).unwrap();
        index
    }

    /// Steps of SQLite's machine for a page of 20, and its rows.
    fn steps(index: &Connection, level: QueryLevel, matches: &[(Tag, &str)]) -> (u64, usize) {
        let matches = matches.iter().map(|(tag, value)| (*tag, (*value).to_owned())).collect();
        // One more is asked for than is returned.
        let query = Query { matches, limit: Some(19), ..Query::default() };
        let Search { sql, parameters, .. } = Search::of(&Spoken, level, &query).unwrap();
        let mut statement = index.prepare(&sql).unwrap();
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
            (Series, &[(MANUFACTURER, "m7")], 3),
            (Instance, &[(SOP_INSTANCE_UID, "3.7.1")], 1),
            (Instance, &[(CONTENT_DATE, "19000007")], 3),
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
