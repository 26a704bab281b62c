//! Searches (QIDO-RS, PS3.18 10.6).

use super::model::{self, Model};
use super::stored_fields;
use super::target::Target;
use crate::error::{Answered, Problem};
use crate::media::DICOM_JSON;
use crate::query::Parameters;
use crate::reply::Reply;
use crate::state::App;
use archive::{Fields, Matches, Patience, Query, QueryLevel, Rest, StoreError, Tag, TextRow};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Response, header};
use dicom_core::VR;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::StandardDataDictionary;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// How many matches there are; no header of the standard says it.
const TOTAL: HeaderName = HeaderName::from_static("x-total-count");
/// Rows of an answer where the client names no limit.
const PAGE: usize = 200;
/// Request Attributes Sequence, and what of it searches match (PS3.18 Table 10.6.1-5).
const REQUEST_ATTRIBUTES: Tag = Tag(0x0040, 0x0275);
const OF_REQUEST: [Tag; 2] = [Tag(0x0040, 0x0009), Tag(0x0040, 0x1001)];
/// Rows of an answer, whatever the client says.
const LARGEST_PAGE: usize = 1000;

/// Bytes after which an answer takes no more rows: the client is told that there are more.
const LARGEST_ANSWER: usize = 16 << 20;
/// Retrieve URL.
const RETRIEVE_URL: Tag = Tag(0x0008, 0x1190);
/// Rows, Columns, Bits Allocated: required of every instance, also of one without an image (PS3.18 Table 10.6.3-5).
const REQUIRED_OF_INSTANCES: [Tag; 3] = [Tag(0x0028, 0x0010), Tag(0x0028, 0x0011), Tag(0x0028, 0x0100)];

/// Answers every search; the path says for what and below what.
pub async fn search(State(app): State<Arc<App>>, target: Target) -> Answered<Response<Body>> {
    let level = level_of(&target.path);
    let model = Model::of(target.accept().as_deref())?;
    let (mut query, unknown) = parse(&target)?;
    query.limit = Some(query.limit.unwrap_or(PAGE).min(LARGEST_PAGE));
    app.search(move |app, patience| {
        let search = Page { app, patience, level, query: &query, root: &target.root(app) };
        let (reply, rest) = match model {
            Model::Xml => search.xml(),
            // What the index has of a row is JSON already; what only the objects have is added to it.
            Model::Json if level < QueryLevel::Instance || query.include == Fields::Default => search.texts(),
            Model::Json => search.json(),
        }?;
        let mut response = reply.compressed(&target.headers).answer(&target.method, &target.headers);
        if let Some(total) = total(app, level, &query, &rest)? {
            response.headers_mut().insert(TOTAL, total.into());
        }
        for warning in warnings(&rest, &unknown) {
            response.headers_mut().append(header::WARNING, warning);
        }
        Ok(response)
    })
    .await
}

/// A page of an answer in the making.
struct Page<'a> {
    app: &'a App,
    patience: &'a Patience,
    level: QueryLevel,
    query: &'a Query,
    root: &'a str,
}

impl Page<'_> {
    fn texts(&self) -> Answered<(Reply, Rest)> {
        let mut body = vec![b'['];
        let row = |mut row: TextRow<'_>| {
            finish_text(&mut row, self.root, self.level, self.query)?;
            begin_row(&mut body);
            row.write(&mut body);
            Ok(())
        };
        let rest = self.app.archive.find_texts(self.patience, self.level, self.query, row);
        let rest = rest.inspect_err(|error| tracing::warn!(%error, level = ?self.level, "a search failed"))?;
        Ok((reply(body), rest))
    }

    /// Rows with what only the objects have, one after the other.
    fn json(&self) -> Answered<(Reply, Rest)> {
        let Matches { rows, more, ignored } = self.found()?;
        let mut rest = Rest { rows: 0, more, ignored };
        let mut body = vec![b'['];
        for mut row in rows {
            if body.len() > LARGEST_ANSWER {
                rest.more = true;
                break;
            }
            self.complete(&mut row)?;
            begin_row(&mut body);
            serde_json::to_writer(&mut body, &row).map_err(Problem::internal)?;
            rest.rows += 1;
        }
        Ok((reply(body), rest))
    }

    fn xml(&self) -> Answered<(Reply, Rest)> {
        let Matches { mut rows, more, ignored } = self.found()?;
        rows.iter_mut().try_for_each(|row| self.complete(row))?;
        Ok((model::xml(rows.iter(), None), Rest { rows: rows.len(), more, ignored }))
    }

    fn found(&self) -> Answered<Matches> {
        let found = self.app.archive.find_for(self.patience, self.level, self.query);
        Ok(found.inspect_err(|error| tracing::warn!(%error, level = ?self.level, "a search failed"))?)
    }

    fn complete(&self, row: &mut Map<String, Value>) -> Answered<()> {
        if self.level == QueryLevel::Instance {
            stored_fields::add(self.app, self.patience, std::slice::from_mut(row), self.query, self.root)?;
        }
        finish(row, self.root, self.level, self.query);
        Ok(())
    }
}

fn begin_row(body: &mut Vec<u8>) {
    if body.len() > 1 {
        body.push(b',');
    }
}

fn reply(mut body: Vec<u8>) -> Reply {
    body.push(b']');
    let tag = model::hash([&body[..]].into_iter());
    Reply::new(DICOM_JSON, body).tagged(tag)
}

/// How many matches there are, all pages together, where that is known without counting them.
fn total(app: &App, level: QueryLevel, query: &Query, rest: &Rest) -> Answered<Option<u64>> {
    if !rest.more {
        let all = query.offset + rest.rows;
        return Ok((query.offset == 0 || rest.rows > 0).then_some(all as u64));
    }
    if query.within.is_some() || query.study.is_some() || query.matches.iter().any(|(_, value)| !value.is_empty()) {
        return Ok(None);
    }
    let stats = app.archive.stats()?;
    Ok(Some(match level {
        QueryLevel::Study => stats.studies,
        QueryLevel::Series => stats.series,
        QueryLevel::Instance => stats.instances,
    }))
}

/// What a search answers without any wishes: the study, or its series; at most so many as a page holds.
pub fn rows(app: &App, root: &str, level: QueryLevel, study: &str) -> Answered<Vec<Map<String, Value>>> {
    let query = Query { study: Some(study.to_owned()), limit: Some(LARGEST_PAGE), ..Query::default() };
    let mut rows = app.archive.find(level, &query)?.rows;
    rows.iter_mut().for_each(|row| finish(row, root, level, &query));
    Ok(rows)
}

/// The tags that `includefield` names, as the JSON model writes them; `None` where all are asked for, or none is named.
pub fn asked_fields(parameters: &Parameters) -> Option<Vec<String>> {
    let (mut fields, mut unknown) = (Fields::Default, Vec::new());
    for (_, value) in parameters.iter().filter(|(name, _)| *name == "includefield") {
        include(&mut fields, value, &mut unknown);
    }
    match fields {
        Fields::Some(tags) => Some(tags.iter().map(|tag| format!("{:04X}{:04X}", tag.0, tag.1)).collect()),
        _ => None,
    }
}

fn finish(row: &mut Map<String, Value>, root: &str, level: QueryLevel, query: &Query) {
    leave_out_nothing_said(row);
    if level == QueryLevel::Instance {
        for tag in REQUIRED_OF_INSTANCES {
            row.entry(format!("{:04X}{:04X}", tag.0, tag.1)).or_insert_with(|| json!({"vr": "US"}));
        }
    }
    add_retrieve_url(row, root, level, query);
}

fn level_of(path: &str) -> QueryLevel {
    match path.rsplit('/').next() {
        Some("instances") => QueryLevel::Instance,
        Some("series") => QueryLevel::Series,
        _ => QueryLevel::Study,
    }
}

/// The query, and the names in it that mean nothing here.
fn parse(target: &Target) -> Answered<(Query, Vec<String>)> {
    let mut query = Query {
        study: target.study.as_ref().map(|uid| uid.to_string()),
        series: target.series.as_ref().map(|uid| uid.to_string()),
        within: target.reach().within(),
        ..Query::default()
    };
    let mut unknown = Vec::new();
    for (name, value) in target.parameters.iter() {
        match name {
            "limit" => query.limit = Some(count(name, value)?),
            "offset" => query.offset = count(name, value)?,
            "fuzzymatching" => query.fuzzy = value.eq_ignore_ascii_case("true"),
            "includefield" => include(&mut query.include, value, &mut unknown),
            "accept" => {}
            // What is told is UTF-8 (PS3.18 8.3.3.2).
            "charset" if value.eq_ignore_ascii_case("utf-8") => {}
            _ => match key(name) {
                Some(tag) => add_key(&mut query.matches, tag, value),
                None => unknown.push(name.to_owned()),
            },
        }
    }
    Ok((query, unknown))
}

/// Adds a key. UIDs that come in several parameters of one name are a list, as those in one parameter are.
fn add_key(keys: &mut Vec<(Tag, String)>, tag: Tag, value: &str) {
    let uid = StandardDataDictionary.by_tag(tag).is_some_and(|entry| entry.vr().exact() == Some(VR::UI));
    match keys.iter_mut().find(|key| uid && key.0 == tag && !key.1.is_empty()) {
        Some((_, list)) if !value.is_empty() => {
            list.push('\\');
            list.push_str(value);
        }
        _ => keys.push((tag, value.to_owned())),
    }
}

/// What a key means: an attribute, or one in the items of the Request Attributes Sequence (PS3.18 8.3.4.1: names joined by dots).
fn key(name: &str) -> Option<Tag> {
    match name.split_once('.') {
        None => tag(name),
        Some((sequence, nested)) => {
            tag(sequence).filter(|tag| *tag == REQUEST_ATTRIBUTES)?;
            tag(nested).filter(|tag| OF_REQUEST.contains(tag))
        }
    }
}

fn count(name: &str, value: &str) -> Answered<usize> {
    value.parse().map_err(|_| Problem::bad_request(format!("{name} is a number from 0 on")))
}

fn include(fields: &mut Fields, value: &str, unknown: &mut Vec<String>) {
    for name in value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match (name, tag(name), &mut *fields) {
            ("all", ..) => *fields = Fields::All,
            (_, Some(tag), Fields::Default) => *fields = Fields::Some(vec![tag]),
            (_, Some(tag), Fields::Some(tags)) => tags.push(tag),
            (_, Some(_), Fields::All) => {}
            (_, None, _) => unknown.push(name.to_owned()),
        }
    }
}

/// A tag from eight hexadecimal digits or a keyword of PS3.6.
fn tag(name: &str) -> Option<Tag> {
    let digits: String = name.chars().filter(|c| *c != ',').collect();
    if digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        let number = u32::from_str_radix(&digits, 16).ok()?;
        return Some(Tag((number >> 16) as u16, number as u16));
    }
    StandardDataDictionary.by_name(name).map(|entry| entry.tag())
}

/// A value that says nothing (null, or a name without a component) is none: the element is there without `Value` (PS3.18 F.2.5). Archives of earlier versions
/// hold such values, and OHIF's whole list of studies fails on one.
fn leave_out_nothing_said(row: &mut Map<String, Value>) {
    row.values_mut().for_each(leave_out_what_is_empty);
}

fn leave_out_what_is_empty(element: &mut Value) {
    let empty = |value: &Value| value.is_null() || value.as_object().is_some_and(Map::is_empty);
    let values = element.get("Value").and_then(Value::as_array);
    if values.is_some_and(|values| values.iter().all(empty))
        && let Some(element) = element.as_object_mut()
    {
        element.remove("Value");
    }
}

/// As [`finish`].
fn finish_text(row: &mut TextRow<'_>, root: &str, level: QueryLevel, query: &Query) -> Result<(), StoreError> {
    row.change(|_, text| text.contains("null") || text.contains("{}"), leave_out_what_is_empty)?;
    if level == QueryLevel::Instance {
        REQUIRED_OF_INSTANCES.iter().for_each(|tag| row.require(*tag, "US"));
    }
    let own = |tag, asked: &Option<String>| row.value(tag).map(str::to_owned).or_else(|| asked.clone());
    let Some(study) = own(Tag(0x0020, 0x000D), &query.study) else { return Ok(()) };
    let mut url = format!("{root}/studies/{study}");
    if level != QueryLevel::Study {
        let Some(series) = own(Tag(0x0020, 0x000E), &query.series) else { return Ok(()) };
        url = format!("{url}/series/{series}");
    }
    if level == QueryLevel::Instance {
        let Some(instance) = own(Tag(0x0008, 0x0018), &None) else { return Ok(()) };
        url = format!("{url}/instances/{instance}");
    }
    row.put(RETRIEVE_URL, json!({"vr": "UR", "Value": [url]}).to_string());
    Ok(())
}

/// Adds Retrieve URL (0008,1190).
fn add_retrieve_url(row: &mut Map<String, Value>, root: &str, level: QueryLevel, query: &Query) {
    let own = |row: &Map<String, Value>, tag: &str| Some(row.get(tag)?.get("Value")?.get(0)?.as_str()?.to_owned());
    let Some(study) = own(row, "0020000D").or_else(|| query.study.clone()) else { return };
    let mut url = format!("{root}/studies/{study}");
    if level != QueryLevel::Study {
        let Some(series) = own(row, "0020000E").or_else(|| query.series.clone()) else { return };
        url = format!("{url}/series/{series}");
    }
    if level == QueryLevel::Instance {
        let Some(instance) = own(row, "00080018") else { return };
        url = format!("{url}/instances/{instance}");
    }
    row.insert("00081190".to_owned(), json!({"vr": "UR", "Value": [url]}));
}

/// `Warning: 299` where the answer is not all that was asked for.
fn warnings(rest: &Rest, unknown: &[String]) -> Vec<HeaderValue> {
    let mut texts = Vec::new();
    if rest.more {
        texts.push("There are additional results that can be requested".to_owned());
    }
    let ignored: Vec<String> =
        rest.ignored.iter().map(|tag| format!("{:04X}{:04X}", tag.0, tag.1)).chain(unknown.iter().cloned()).collect();
    if !ignored.is_empty() {
        texts.push(format!("These were not understood and were ignored: {}", ignored.join(" ")));
    }
    let quoted = |text: String| {
        let safe: String = text.chars().filter(|c| (' '..='~').contains(c) && !"\"\\".contains(*c)).take(400).collect();
        HeaderValue::try_from(format!("299 firstlight \"{safe}\"")).ok()
    };
    texts.into_iter().filter_map(quoted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_by_number_and_keyword() {
        assert_eq!(tag("00100020"), Some(Tag(0x0010, 0x0020)));
        assert_eq!(tag("0010,0020"), Some(Tag(0x0010, 0x0020)));
        assert_eq!(tag("PatientID"), Some(Tag(0x0010, 0x0020)));
        assert_eq!(tag("ModalitiesInStudy"), Some(Tag(0x0008, 0x0061)));
        assert_eq!(tag("NoSuchThing"), None);
        assert_eq!(tag("orderby"), None);
    }

    #[test]
    fn keys_within_a_request() {
        assert_eq!(key("RequestAttributesSequence.ScheduledProcedureStepID"), Some(Tag(0x0040, 0x0009)));
        assert_eq!(key("00400275.00401001"), Some(Tag(0x0040, 0x1001)));
        assert_eq!(key("RequestAttributesSequence.PatientID"), None);
        assert_eq!(key("ReferencedImageSequence.ReferencedSOPInstanceUID"), None);
        assert_eq!(key("PatientID"), Some(Tag(0x0010, 0x0020)));
    }

    #[test]
    fn uids_of_several_parameters_are_one_list() {
        let (study, patient) = (Tag(0x0020, 0x000D), Tag(0x0010, 0x0020));
        let mut keys = Vec::new();
        for (tag, value) in [(study, "1.2"), (patient, "a"), (study, "1.3"), (study, ""), (patient, "b")] {
            add_key(&mut keys, tag, value);
        }
        let told: Vec<_> = keys.iter().map(|(tag, value)| (*tag, value.as_str())).collect();
        assert_eq!(told, [(study, "1.2\\1.3"), (patient, "a"), (study, ""), (patient, "b")]);
    }

    #[test]
    fn fields() {
        let (mut fields, mut unknown) = (Fields::Default, Vec::new());
        include(&mut fields, "00081030,PatientID", &mut unknown);
        assert_eq!(fields, Fields::Some(vec![Tag(0x0008, 0x1030), Tag(0x0010, 0x0020)]));
        include(&mut fields, "all", &mut unknown);
        include(&mut fields, "00081030,nonsense", &mut unknown);
        assert_eq!((fields, unknown), (Fields::All, vec!["nonsense".to_owned()]));
    }

    #[test]
    fn warnings_cannot_break_out_of_their_header() {
        let rest = Rest { more: true, ..Rest::default() };
        let texts = warnings(&rest, &["x\r\nSet-Cookie: a=\"b\"".to_owned()]);
        assert_eq!(texts[0], "299 firstlight \"There are additional results that can be requested\"");
        assert_eq!(texts[1], "299 firstlight \"These were not understood and were ignored: xSet-Cookie: a=b\"");
    }
}
