//! What is returned of a row that was found, as DICOM JSON (PS3.18 10.6.3.3).

use dicom::{Facts, Tag};
use serde_json::{Map, Value, json};

use crate::Error;
use crate::index::attributes::*;
use crate::index::search::{Fields, Query, QueryLevel};

/// A row that was found: the levels down to the one that is listed.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// Its study.
    pub study: FoundStudy<'a>,
    /// Its series, from series level on.
    pub series: Option<FoundSeries<'a>>,
    /// The instance, at instance level.
    pub instance: Option<FoundInstance<'a>>,
}

/// What is kept of a study.
#[derive(Debug, Clone, Copy)]
pub struct FoundStudy<'a> {
    /// JSON of what is returned always.
    pub common: &'a str,
    /// JSON of what is returned on request.
    pub more: &'a str,
    /// Modalities, sorted, separated by a backslash.
    pub modalities: &'a str,
    /// Its series.
    pub series: i64,
    /// Its instances.
    pub instances: i64,
}

/// What is kept of a series.
#[derive(Debug, Clone, Copy)]
pub struct FoundSeries<'a> {
    /// JSON of what is returned always.
    pub common: &'a str,
    /// JSON of what is returned on request.
    pub more: &'a str,
    /// Its instances.
    pub instances: i64,
}

/// What is kept of an instance.
#[derive(Debug, Clone, Copy)]
pub struct FoundInstance<'a> {
    /// JSON of what is returned always.
    pub common: &'a str,
    /// JSON of what is returned on request.
    pub more: &'a str,
    /// [`Facts`] of the object that is handed out, as JSON.
    pub facts: &'a str,
}

/// What is returned on request: the attributes asked for, and those matched by.
#[derive(Debug, Clone)]
pub struct Include(Fields);

impl Include {
    /// Of a query.
    pub fn of(query: &Query) -> Include {
        let matched = query.matches.iter().map(|(tag, _)| *tag);
        Include(match &query.include {
            Fields::All => Fields::All,
            Fields::Some(tags) => Fields::Some(tags.iter().copied().chain(matched).collect()),
            Fields::Default if query.matches.is_empty() => Fields::Default,
            Fields::Default => Fields::Some(matched.collect()),
        })
    }

    /// What it is.
    pub(super) fn fields(&self) -> &Fields {
        &self.0
    }
}

/// The DICOM JSON of a row.
pub fn answer(
    level: QueryLevel,
    query: &Query,
    include: &Include,
    found: &Found<'_>,
) -> Result<Map<String, Value>, Error> {
    let mut out = Map::new();
    out.insert(name(SPECIFIC_CHARACTER_SET), attribute("CS", vec!["ISO_IR 192".into()]));
    out.insert(name(INSTANCE_AVAILABILITY), attribute("CS", vec!["ONLINE".into()]));
    add_study(&mut out, level, query, include, &found.study)?;
    if let Some(series) = &found.series {
        add_series(&mut out, level, query, include, series)?;
    }
    if let Some(instance) = &found.instance {
        add(&mut out, include, instance.common, instance.more)?;
        require(&mut out, INSTANCE_REQUIRED);
        if let Ok(facts) = serde_json::from_str::<Facts>(instance.facts) {
            image_attributes(&facts, &mut out);
        }
    }
    Ok(out)
}

fn add_study(
    out: &mut Map<String, Value>,
    level: QueryLevel,
    query: &Query,
    include: &Include,
    study: &FoundStudy<'_>,
) -> Result<(), Error> {
    if level == QueryLevel::Study || query.study.is_none() {
        add(out, include, study.common, study.more)?;
        require(out, STUDY_REQUIRED);
        let modalities: Vec<_> = study.modalities.split('\\').filter(|m| !m.is_empty()).map(Value::from).collect();
        if !modalities.is_empty() {
            out.insert(name(MODALITIES_IN_STUDY), attribute("CS", modalities));
        }
        out.insert(name(STUDY_SERIES), count(study.series));
        out.insert(name(STUDY_INSTANCES), count(study.instances));
    } else {
        add_asked(out, include, study.common, study.more)?;
    }
    out.entry(name(STUDY_INSTANCE_UID))
        .or_insert_with(|| attribute("UI", query.study.iter().map(|u| json!(u)).collect()));
    Ok(())
}

fn add_series(
    out: &mut Map<String, Value>,
    level: QueryLevel,
    query: &Query,
    include: &Include,
    series: &FoundSeries<'_>,
) -> Result<(), Error> {
    if level == QueryLevel::Series || query.series.is_none() {
        add(out, include, series.common, series.more)?;
        require(out, SERIES_REQUIRED);
        require_of_request(out);
        out.insert(name(SERIES_INSTANCES), count(series.instances));
    } else {
        add_asked(out, include, series.common, series.more)?;
    }
    out.entry(name(SERIES_INSTANCE_UID))
        .or_insert_with(|| attribute("UI", query.series.iter().map(|u| json!(u)).collect()));
    Ok(())
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
fn add(out: &mut Map<String, Value>, include: &Include, common: &str, more: &str) -> Result<(), Error> {
    out.extend(read(common)?);
    pick(out, include, more)
}

/// Adds only what was asked for.
fn add_asked(out: &mut Map<String, Value>, include: &Include, common: &str, more: &str) -> Result<(), Error> {
    pick(out, include, common)?;
    pick(out, include, more)
}

/// Adds what was asked for from one text.
fn pick(out: &mut Map<String, Value>, include: &Include, text: &str) -> Result<(), Error> {
    match &include.0 {
        Fields::Default => {}
        Fields::All => out.extend(read(text)?),
        Fields::Some(tags) => {
            let names: Vec<String> = tags.iter().map(|tag| name(*tag)).filter(|name| text.contains(name)).collect();
            if !names.is_empty() {
                let mut from = read(text)?;
                out.extend(names.iter().filter_map(|name| from.remove_entry(name)));
            }
        }
    }
    Ok(())
}

fn read(text: &str) -> Result<Map<String, Value>, Error> {
    serde_json::from_str(text).map_err(|e| Error::Damaged(format!("attributes in the index cannot be read: {e}")))
}

fn count(n: i64) -> Value {
    attribute("IS", vec![n.into()])
}
