//! Searches: what PostgreSQL says in its own way.

use dicom::Tag;
use tokio_postgres::Row;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::engine::Postgres;
use super::values::{Text, get};
use crate::Error;
use crate::index::attributes::name;
use crate::index::patience::Patience;
use crate::index::query::{Found, FoundInstance, FoundSeries, FoundStudy, Include, answer};
use crate::index::search::{self, Matches, Query, QueryLevel};
use crate::index::statement::{Beside, Dialect, Parameter, Search};

impl search::Search for Postgres {
    fn find(&self, patience: &Patience, level: QueryLevel, query: &Query) -> Result<Matches, Error> {
        let Search { sql, parameters, most, ignored } = Search::of(&Spoken, level, query)?;
        let include = Include::of(query);
        let beside: Vec<(&(dyn ToSql + Sync), Type)> =
            parameters.iter().map(|parameter| (parameter as &(dyn ToSql + Sync), kind(parameter))).collect();
        let rows = self.ask_for(patience, |session| session.rows_once(&sql, &beside))?;
        let mut matches = Matches { ignored, more: rows.len() > most, ..Matches::default() };
        for row in rows.iter().take(most) {
            matches.rows.push(answer(level, query, &include, &found(level, row)?)?);
        }
        Ok(matches)
    }
}

fn found(level: QueryLevel, row: &Row) -> Result<Found<'_>, Error> {
    let text = |at: usize| get::<&str>(row, at);
    let study = FoundStudy {
        common: text(0)?,
        more: text(1)?,
        modalities: text(2)?,
        series: get(row, 3)?,
        instances: get(row, 4)?,
    };
    let series = match level {
        QueryLevel::Study => None,
        _ => Some(FoundSeries { common: text(5)?, more: text(6)?, instances: get(row, 7)? }),
    };
    let instance = match level {
        QueryLevel::Instance => Some(FoundInstance { common: text(8)?, more: text(9)?, facts: text(10)? }),
        _ => None,
    };
    Ok(Found { study, series, instance })
}

/// The dialect of PostgreSQL.
struct Spoken;

impl Dialect for Spoken {
    fn mark(&self, number: usize) -> String {
        format!("${number}")
    }

    fn never(&self) -> &'static str {
        "false"
    }

    fn one_of(&self, column: &str, values: &[String], beside: &mut Beside<'_>) -> String {
        format!("{column} = ANY({})", beside.add(Parameter::Texts(values.to_vec())))
    }

    fn wild(&self, column: &str, pattern: &str, beside: &mut Beside<'_>) -> String {
        format!("{column} LIKE {}", beside.text(&like(pattern)))
    }

    /// A word begins after what separates words. That it is in the text at all is what an index can tell.
    fn words(&self, column: &str, words: &str, beside: &mut Beside<'_>) -> String {
        let mut begins = |word: &str| {
            let (within, begun) = (format!("%{}%", literally(word)), format!("% {}%", literally(word)));
            let (within, begun) = (beside.text(&within), beside.text(&begun));
            format!("{column} LIKE {within} AND ' ' || translate({column}, '^-.,', '    ') LIKE {begun}")
        };
        words.split(' ').map(&mut begins).collect::<Vec<_>>().join(" AND ")
    }

    fn told(&self, column: &str, tag: Tag) -> String {
        format!("coalesce({} -> '{}' -> 'Value' ->> 0, '')", json(column), name(tag))
    }

    fn fact(&self, name: &str) -> String {
        format!("nullif(({} ->> '{name}')::bigint, 0)", json("o.facts"))
    }

    fn ascending(&self, column: &str) -> String {
        format!("{column} NULLS FIRST")
    }

    fn join(&self, _: bool) -> &'static str {
        "JOIN"
    }
}

/// A column of JSON as JSON: the database takes no NUL in it, however it is written.
fn json(column: &str) -> String {
    format!("replace({column}, '\\u0000', '\\ufffd')::jsonb")
}

/// A pattern with wild cards as LIKE has it.
fn like(pattern: &str) -> String {
    literally(pattern).replace('*', "%").replace('?', "_")
}

/// A text within a pattern of LIKE.
fn literally(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

fn kind(parameter: &Parameter) -> Type {
    match parameter {
        Parameter::Text(_) => Type::TEXT,
        Parameter::Texts(_) => Type::TEXT_ARRAY,
        Parameter::Number(_) => Type::INT8,
    }
}

impl ToSql for Parameter {
    fn to_sql(&self, of: &Type, out: &mut bytes::BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Parameter::Text(text) => Text(text).to_sql(of, out),
            Parameter::Texts(texts) => texts.iter().map(|text| Text(text)).collect::<Vec<_>>().to_sql(of, out),
            Parameter::Number(number) => number.to_sql(of, out),
        }
    }

    fn accepts(of: &Type) -> bool {
        [Type::TEXT, Type::TEXT_ARRAY, Type::INT8].contains(of)
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_keep_what_is_no_wild_card() {
        assert_eq!(like("*a_b%c\\d?"), "%a\\_b\\%c\\\\d_");
    }
}
