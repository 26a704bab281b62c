//! Queries (QIDO-RS, PS3.18 10.6; matching of PS3.4 C.2.2.2).

mod sql;
mod wild;

pub(crate) use wild::register;
#[cfg(test)]
pub(crate) use wild::wild;

use std::time::Duration;

use dicom::{Facts, Tag};
use rusqlite::{Row, params_from_iter, types};
use serde_json::{Map, Value, json};

use crate::attributes::*;
use crate::{Archive, Error, Patience};
use sql::Conditions;

/// What a query lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum QueryLevel {
    /// Studies.
    Study,
    /// Series.
    Series,
    /// Instances.
    Instance,
}

/// Attributes to return beside those that are always returned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Fields {
    /// None.
    #[default]
    Default,
    /// These.
    Some(Vec<Tag>),
    /// All that the index has.
    All,
}

/// A query.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Only below this study.
    pub study: Option<String>,
    /// Only below this series.
    pub series: Option<String>,
    /// Attribute and value as sent: wildcards, UID lists (`\` or `,`) and ranges as PS3.4 has them.
    pub matches: Vec<(Tag, String)>,
    /// Attributes to return beside those that are always returned.
    pub include: Fields,
    /// At most so many; `None`: as many as the archive allows at once.
    pub limit: Option<usize>,
    /// Skip so many.
    pub offset: usize,
    /// Person names match by the beginnings of their words.
    pub fuzzy: bool,
}

/// The answer to a query.
#[derive(Debug, Clone, Default)]
pub struct Matches {
    /// DICOM JSON objects, in a stable order. Retrieve URL (0008,1190) is the caller's to add.
    pub rows: Vec<Map<String, Value>>,
    /// There are more than were returned.
    pub more: bool,
    /// Attributes the archive cannot match by; they were ignored.
    pub ignored: Vec<Tag>,
}

/// Rows of one answer, unless the query asks for fewer.
const MOST: usize = 20_000;

const STUDIES: &str = "studies s";
const SERIES: &str = "studies s JOIN series e ON e.study = s.id";
const INSTANCES: &str = "studies s JOIN series e ON e.study = s.id JOIN instances i ON i.series = e.id \
    JOIN objects o ON o.id = i.object";

const OF_STUDY: &str = "s.common, s.more, s.modalities, s.series, s.instances";
const OF_SERIES: &str = "e.common, e.more, e.instances";
const OF_INSTANCE: &str = "i.common, i.more, o.facts";

impl Archive {
    /// Lists studies (newest first), series (by number) or instances (by number).
    ///
    /// The attributes of the levels above the one listed are returned too, but for those the query is scoped to.
    pub fn find(&self, level: QueryLevel, query: &Query) -> Result<Matches, Error> {
        self.find_for(&Patience::of(Duration::MAX), level, query)
    }

    /// As [`Archive::find`], but ends with [`Error::TooLong`] when nobody waits any more.
    pub fn find_for(&self, patience: &Patience, level: QueryLevel, query: &Query) -> Result<Matches, Error> {
        let Conditions { sql, mut parameters, ignored } = Conditions::of(level, query)?;
        let include = included(query);
        let most = query.limit.unwrap_or(MOST).min(MOST);
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
        parameters.extend([most + 1, query.offset].map(|n| types::Value::Integer(n as i64)));
        self.inner.index.read_for(patience, |snapshot| {
            let mut statement = snapshot.prepare_cached(&sql)?;
            let mut found = statement.query(params_from_iter(parameters))?;
            let mut matches = Matches { ignored, ..Matches::default() };
            while let Some(row) = found.next()? {
                if matches.rows.len() == most {
                    matches.more = true;
                    break;
                }
                matches.rows.push(shown(level, query, &include, row)?);
            }
            Ok(matches)
        })
    }
}

/// What is returned on request: the attributes asked for, and those matched by.
fn included(query: &Query) -> Fields {
    let matched = query.matches.iter().map(|(tag, _)| *tag);
    match &query.include {
        Fields::All => Fields::All,
        Fields::Some(tags) => Fields::Some(tags.iter().copied().chain(matched).collect()),
        Fields::Default if query.matches.is_empty() => Fields::Default,
        Fields::Default => Fields::Some(matched.collect()),
    }
}

/// The DICOM JSON of a row.
fn shown(level: QueryLevel, query: &Query, include: &Fields, row: &Row<'_>) -> Result<Map<String, Value>, Error> {
    let mut out = Map::new();
    out.insert(name(SPECIFIC_CHARACTER_SET), attribute("CS", vec!["ISO_IR 192".into()]));
    out.insert(name(INSTANCE_AVAILABILITY), attribute("CS", vec!["ONLINE".into()]));
    if level == QueryLevel::Study || query.study.is_none() {
        add(&mut out, include, row, 0)?;
        require(&mut out, STUDY_REQUIRED);
        let modalities: String = row.get(2)?;
        let modalities: Vec<_> = modalities.split('\\').filter(|m| !m.is_empty()).map(Value::from).collect();
        if !modalities.is_empty() {
            out.insert(name(MODALITIES_IN_STUDY), attribute("CS", modalities));
        }
        out.insert(name(STUDY_SERIES), count(row, 3)?);
        out.insert(name(STUDY_INSTANCES), count(row, 4)?);
    } else {
        add_asked(&mut out, include, row, 0)?;
    }
    out.entry(name(STUDY_INSTANCE_UID))
        .or_insert_with(|| attribute("UI", query.study.iter().map(|u| json!(u)).collect()));
    if level >= QueryLevel::Series {
        if level == QueryLevel::Series || query.series.is_none() {
            add(&mut out, include, row, 5)?;
            require(&mut out, SERIES_REQUIRED);
            require_of_request(&mut out);
            out.insert(name(SERIES_INSTANCES), count(row, 7)?);
        } else {
            add_asked(&mut out, include, row, 5)?;
        }
        out.entry(name(SERIES_INSTANCE_UID))
            .or_insert_with(|| attribute("UI", query.series.iter().map(|u| json!(u)).collect()));
    }
    if level == QueryLevel::Instance {
        add(&mut out, include, row, 8)?;
        require(&mut out, INSTANCE_REQUIRED);
        if let Ok(facts) = serde_json::from_str::<Facts>(text(row, 10)?) {
            image_attributes(&facts, &mut out);
        }
    }
    Ok(out)
}

/// Adds, empty, what an answer has even where the instance has not.
fn require(out: &mut Map<String, Value>, tags: &[(Tag, &str)]) {
    for (tag, vr) in tags {
        out.entry(name(*tag)).or_insert_with(|| attribute(vr, Vec::new()));
    }
}

/// The same for the item of the Request Attributes Sequence, where there is one.
fn require_of_request(out: &mut Map<String, Value>) {
    let item =
        out.get_mut(&name(REQUEST_ATTRIBUTES)).and_then(|request| request.pointer_mut("/Value/0")?.as_object_mut());
    if let Some(item) = item {
        require(item, REQUEST_REQUIRED);
    }
}

/// Adds what is returned always, and what was asked for.
fn add(out: &mut Map<String, Value>, include: &Fields, row: &Row<'_>, at: usize) -> Result<(), Error> {
    out.extend(read(row, at)?);
    pick(out, include, row, at + 1)
}

/// Adds only what was asked for.
fn add_asked(out: &mut Map<String, Value>, include: &Fields, row: &Row<'_>, at: usize) -> Result<(), Error> {
    pick(out, include, row, at)?;
    pick(out, include, row, at + 1)
}

/// Adds what was asked for from one column.
fn pick(out: &mut Map<String, Value>, include: &Fields, row: &Row<'_>, at: usize) -> Result<(), Error> {
    match include {
        Fields::Default => {}
        Fields::All => out.extend(read(row, at)?),
        Fields::Some(tags) => {
            let text = text(row, at)?;
            let names: Vec<String> = tags.iter().map(|tag| name(*tag)).filter(|name| text.contains(name)).collect();
            if !names.is_empty() {
                let mut from = read(row, at)?;
                out.extend(names.iter().filter_map(|name| from.remove_entry(name)));
            }
        }
    }
    Ok(())
}

fn text<'a>(row: &'a Row<'_>, at: usize) -> Result<&'a str, Error> {
    Ok(row.get_ref(at)?.as_str().map_err(rusqlite::Error::from)?)
}

fn read(row: &Row<'_>, at: usize) -> Result<Map<String, Value>, Error> {
    serde_json::from_str(text(row, at)?)
        .map_err(|e| Error::Damaged(format!("attributes in the index cannot be read: {e}")))
}

fn count(row: &Row<'_>, at: usize) -> Result<Value, Error> {
    Ok(attribute("IS", vec![row.get::<_, i64>(at)?.into()]))
}
