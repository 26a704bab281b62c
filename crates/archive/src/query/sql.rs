//! A query as SQL: fixed texts and parameters; no text of the query ever becomes SQL.

use dicom::Tag;
use rusqlite::types::Value;

use super::wild::Pattern;
use super::{Query, QueryLevel};
use crate::Error;
use crate::attributes::*;
use crate::fold::{fold, patterns};
use crate::ingest::tag_number;

/// Values longer than this match nothing that could be stored.
const LONGEST: usize = 4096;

/// Conditions and their parameters.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    pub sql: String,
    pub parameters: Vec<Value>,
    /// Attributes that cannot be matched by at this level.
    pub ignored: Vec<Tag>,
}

/// How an attribute is matched.
enum Kind {
    /// UIDs or a list of them.
    Uid,
    /// As it is, with wild cards.
    Text,
    /// Lower case without accents, with wild cards.
    Folded,
    /// A date or a range of dates.
    Date,
    /// A time or a range of times.
    Time,
    Number,
    /// A person name of the study, in its own table.
    Name,
    /// Any modality of the study.
    Modalities,
}

/// Level at which an attribute can be matched first, its column, and how.
fn column(tag: Tag) -> Option<(QueryLevel, &'static str, Kind)> {
    use Kind::*;
    use QueryLevel::*;
    Some(match tag {
        STUDY_INSTANCE_UID => (Study, "s.uid", Uid),
        STUDY_DATE => (Study, "s.date", Date),
        STUDY_TIME => (Study, "s.time", Time),
        ACCESSION_NUMBER => (Study, "s.accession", Text),
        PATIENT_ID => (Study, "s.patient_id", Text),
        PATIENT_BIRTH_DATE => (Study, "s.birth_date", Date),
        PATIENT_SEX => (Study, "s.sex", Text),
        STUDY_ID => (Study, "s.study_id", Text),
        STUDY_DESCRIPTION => (Study, "s.description", Folded),
        MODALITIES_IN_STUDY => (Study, "s.id", Modalities),
        PATIENT_NAME | REFERRING_PHYSICIAN => (Study, "s.id", Name),
        STUDY_SERIES => (Study, "s.series", Number),
        STUDY_INSTANCES => (Study, "s.instances", Number),
        SERIES_INSTANCE_UID => (Series, "e.uid", Uid),
        MODALITY => (Series, "e.modality", Text),
        SERIES_NUMBER => (Series, "e.number", Number),
        SERIES_DESCRIPTION => (Series, "e.description", Folded),
        BODY_PART => (Series, "e.body_part", Text),
        PPS_START_DATE => (Series, "e.pps_date", Date),
        PPS_START_TIME => (Series, "e.pps_time", Time),
        SCHEDULED_STEP_ID => (Series, "e.step_id", Text),
        REQUESTED_PROCEDURE_ID => (Series, "e.procedure_id", Text),
        SERIES_INSTANCES => (Series, "e.instances", Number),
        SOP_INSTANCE_UID => (Instance, "i.uid", Uid),
        SOP_CLASS_UID => (Instance, "i.class", Uid),
        INSTANCE_NUMBER => (Instance, "i.number", Number),
        _ => return None,
    })
}

impl Conditions {
    pub(super) fn of(level: QueryLevel, query: &Query) -> Result<Conditions, Error> {
        let mut all = Conditions::default();
        if let Some(study) = &query.study {
            all.add("s.uid = ?", vec![text(study)]);
        }
        if let Some(series) = &query.series {
            all.add("e.uid = ?", vec![text(series)]);
        }
        for (tag, value) in &query.matches {
            if value.len() > LONGEST {
                return Err(Error::Query(format!("the value of {} is too long", name(*tag))));
            }
            match column(*tag) {
                // The character set of the query is settled by HTTP, the availability is the same of all.
                None if matches!(*tag, SPECIFIC_CHARACTER_SET | INSTANCE_AVAILABILITY) => {}
                Some((of, column, kind)) if of <= level => all.matches(*tag, column, &kind, value, query.fuzzy),
                _ => all.ignored.push(*tag),
            }
        }
        Ok(all)
    }

    fn matches(&mut self, tag: Tag, column: &str, kind: &Kind, value: &str, fuzzy: bool) {
        let value = value.trim_matches([' ', '\0']);
        if value.is_empty() {
            return;
        }
        match kind {
            Kind::Uid => self.one_of(column, value.split(['\\', ',']).map(str::trim)),
            Kind::Text => self.text(column, value),
            Kind::Folded => self.text(column, &fold(value)),
            Kind::Date => self.range(column, &date(value)),
            Kind::Time => self.range(column, &time(value)),
            Kind::Number => match value.parse::<i64>() {
                Ok(number) => self.add(&format!("{column} = ?"), vec![Value::Integer(number)]),
                Err(_) => self.never(),
            },
            Kind::Name if fuzzy => self.words(tag, value),
            Kind::Name => self.person(tag, value),
            Kind::Modalities => self.modalities(value),
        }
    }

    /// Wild card and single value matching of a column.
    fn text(&mut self, column: &str, value: &str) {
        let (sql, parameters) = condition(column, value);
        match column.strip_prefix("s.") {
            // Looks through the narrow index of the column instead of the wide rows.
            Some(bare) if matches!(Pattern::of(value), Pattern::Wild(_)) => {
                self.add(&format!("s.id IN (SELECT id FROM studies WHERE wild(?, {bare}))"), parameters);
            }
            _ => self.add(&sql, parameters),
        }
    }

    fn one_of<'a>(&mut self, column: &str, values: impl Iterator<Item = &'a str>) {
        let values: Vec<Value> = values.filter(|v| !v.is_empty()).map(text).collect();
        let marks = vec!["?"; values.len()].join(", ");
        self.add(&format!("{column} IN ({marks})"), values);
    }

    /// `A-B`, `A-`, `-B` or `A`. Texts without a value match no range.
    fn range(&mut self, column: &str, value: &str) {
        if value.contains(['*', '?']) {
            return self.text(column, value);
        }
        match value.split_once('-') {
            None => self.add(&format!("{column} = ?"), vec![text(value)]),
            Some((from, to)) => {
                self.add(&format!("{column} > ''"), Vec::new());
                if !from.trim().is_empty() {
                    self.add(&format!("{column} >= ?"), vec![text(from.trim())]);
                }
                if !to.trim().is_empty() {
                    // What the end says to the hour includes all of that hour.
                    self.add(&format!("{column} < ?"), vec![text(&after(to.trim()))]);
                }
            }
        }
    }

    /// A person name. A value of one component group matches any group of the name; of several, each the one in its place.
    fn person(&mut self, tag: Tag, value: &str) {
        let groups: Vec<(usize, &str)> = value.split('=').enumerate().filter(|(_, g)| !g.trim().is_empty()).collect();
        let any_place = matches!(groups[..], [(0, _)]);
        for (place, group) in groups {
            let place = if any_place { String::new() } else { format!(" AND place = {place}") };
            self.group(tag, &place, &patterns(group));
        }
    }

    fn group(&mut self, tag: Tag, place: &str, patterns: &[String]) {
        let of = format!("SELECT study FROM names WHERE tag = {}{place}", tag_number(tag));
        let (mut any, mut parameters) = (Vec::new(), Vec::new());
        for pattern in patterns {
            if pattern.is_empty() {
                any.push(format!("s.id NOT IN ({of})"));
                continue;
            }
            let (sql, more) = condition("text", pattern);
            if sql.is_empty() {
                return;
            }
            any.push(format!("s.id IN ({of} AND {sql})"));
            parameters.extend(more);
        }
        self.add(&format!("({})", any.join(" OR ")), parameters);
    }

    fn words(&mut self, tag: Tag, value: &str) {
        let folded = fold(value).replace(['*', '?'], "");
        let words: Vec<&str> = folded.split([' ', '^', '=', ',']).filter(|word| !word.is_empty()).collect();
        if !words.is_empty() {
            let sql = format!("s.id IN (SELECT study FROM names WHERE tag = {} AND words(?, text))", tag_number(tag));
            self.add(&sql, vec![text(&words.join(" "))]);
        }
    }

    fn modalities(&mut self, value: &str) {
        let (mut any, mut parameters) = (Vec::new(), Vec::new());
        for modality in value.split(['\\', ',']).map(str::trim).filter(|m| !m.is_empty()) {
            let (sql, more) = condition("modality", modality);
            if sql.is_empty() {
                return;
            }
            any.push(sql);
            parameters.extend(more);
        }
        if !any.is_empty() {
            let any = any.join(" OR ");
            let sql = format!("EXISTS (SELECT 1 FROM study_modalities WHERE study = s.id AND ({any}))");
            self.add(&sql, parameters);
        }
    }

    fn never(&mut self) {
        self.add("0", Vec::new());
    }

    fn add(&mut self, condition: &str, parameters: Vec<Value>) {
        if condition.is_empty() {
            return;
        }
        self.sql.push_str(if self.sql.is_empty() { " WHERE " } else { " AND " });
        self.sql.push_str(condition);
        self.parameters.extend(parameters);
    }
}

/// The condition that a column matches a value, empty when everything does.
fn condition(column: &str, value: &str) -> (String, Vec<Value>) {
    match Pattern::of(value) {
        Pattern::All => (String::new(), Vec::new()),
        Pattern::Exact(value) => (format!("{column} = ?"), vec![text(value)]),
        Pattern::Prefix(value) => (format!("({column} >= ? AND {column} < ?)"), vec![text(value), text(&after(value))]),
        Pattern::Wild(value) => (format!("wild(?, {column})"), vec![text(value)]),
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// A text that sorts after all that begin with this one.
fn after(prefix: &str) -> String {
    format!("{prefix}\u{10FFFF}")
}
