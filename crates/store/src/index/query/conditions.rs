//! A query as conditions on rows, for every engine alike (matching of PS3.4 C.2.2.2).

use dicom::Tag;

use super::wild::Pattern;
use crate::Error;
use crate::index::attributes::*;
use crate::index::fold::{fold, patterns};
use crate::index::search::{Query, QueryLevel, Within};

/// Values longer than this match nothing that could be stored; lists of UIDs may be longer.
const LONGEST: usize = 4096;
/// UIDs of a query: each is a parameter of a statement, of which SQLite takes 32766.
const MOST_UIDS: usize = 30_000;

/// What all rows of an answer fulfil.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// All of them.
    pub all: Vec<Condition>,
    /// Attributes that cannot be matched by at this level.
    pub ignored: Vec<Tag>,
}

/// A condition on a row. Texts are normalised as those that are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// No row fulfils it.
    Never,
    /// One of these values; of none, no row.
    OneOf(Column, Vec<String>),
    /// A text that matches the value; [`Pattern`] tells how.
    Text(Column, String),
    /// Exactly this number.
    Number(Column, i64),
    /// Not empty, at or after the first, and before or at the second or one that begins with it ([`after`]).
    Range(Column, Option<String>, Option<String>),
    /// A component group of a person name of the study matches one of the values. An empty value: the name has no such group.
    Name {
        /// Which name.
        tag: Tag,
        /// Alphabetic 0, ideographic 1, phonetic 2; `None`: any of them.
        place: Option<usize>,
        /// One of these.
        any: Vec<String>,
    },
    /// Each of the words, separated by spaces, begins a word of one component group of a person name of the study
    /// ([`words`](super::words)).
    Words(Tag, String),
    /// The study has a series with one of these modalities.
    Modality(Vec<String>),
    /// The study fulfils one of these; of none, no study does.
    Within(Vec<Within>),
}

/// What a condition is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Column {
    StudyUid,
    StudyDate,
    StudyTime,
    Accession,
    PatientId,
    BirthDate,
    Sex,
    StudyId,
    StudyDescription,
    StudySeries,
    StudyInstances,
    SeriesUid,
    Modality,
    SeriesNumber,
    SeriesDescription,
    BodyPart,
    PpsDate,
    PpsTime,
    StepId,
    ProcedureId,
    SeriesInstances,
    Manufacturer,
    SopInstanceUid,
    SopClassUid,
    InstanceNumber,
    ContentDate,
    Rows,
    Columns,
    TransferSyntax,
}

/// How an attribute is matched.
enum Kind {
    /// UIDs or a list of them.
    Uid(Column),
    /// As it is, with wild cards.
    Text(Column),
    /// Lower case without accents, with wild cards.
    Folded(Column),
    /// A date or a range of dates.
    Date(Column),
    /// A time or a range of times.
    Time(Column),
    Number(Column),
    /// A person name of the study.
    Name,
    /// Any modality of the study.
    Modalities,
}

/// Level at which an attribute can be matched first, and how.
fn kind(tag: Tag) -> Option<(QueryLevel, Kind)> {
    use Kind::*;
    use QueryLevel::*;
    Some(match tag {
        STUDY_INSTANCE_UID => (Study, Uid(Column::StudyUid)),
        STUDY_DATE => (Study, Date(Column::StudyDate)),
        STUDY_TIME => (Study, Time(Column::StudyTime)),
        ACCESSION_NUMBER => (Study, Text(Column::Accession)),
        PATIENT_ID => (Study, Text(Column::PatientId)),
        PATIENT_BIRTH_DATE => (Study, Date(Column::BirthDate)),
        PATIENT_SEX => (Study, Text(Column::Sex)),
        STUDY_ID => (Study, Text(Column::StudyId)),
        STUDY_DESCRIPTION => (Study, Folded(Column::StudyDescription)),
        MODALITIES_IN_STUDY => (Study, Modalities),
        PATIENT_NAME | REFERRING_PHYSICIAN => (Study, Name),
        STUDY_SERIES => (Study, Number(Column::StudySeries)),
        STUDY_INSTANCES => (Study, Number(Column::StudyInstances)),
        SERIES_INSTANCE_UID => (Series, Uid(Column::SeriesUid)),
        MODALITY => (Series, Text(Column::Modality)),
        SERIES_NUMBER => (Series, Number(Column::SeriesNumber)),
        SERIES_DESCRIPTION => (Series, Folded(Column::SeriesDescription)),
        BODY_PART => (Series, Text(Column::BodyPart)),
        PPS_START_DATE => (Series, Date(Column::PpsDate)),
        PPS_START_TIME => (Series, Time(Column::PpsTime)),
        SCHEDULED_STEP_ID => (Series, Text(Column::StepId)),
        REQUESTED_PROCEDURE_ID => (Series, Text(Column::ProcedureId)),
        SERIES_INSTANCES => (Series, Number(Column::SeriesInstances)),
        MANUFACTURER => (Series, Text(Column::Manufacturer)),
        SOP_INSTANCE_UID => (Instance, Uid(Column::SopInstanceUid)),
        SOP_CLASS_UID => (Instance, Uid(Column::SopClassUid)),
        INSTANCE_NUMBER => (Instance, Number(Column::InstanceNumber)),
        CONTENT_DATE => (Instance, Date(Column::ContentDate)),
        ROWS => (Instance, Number(Column::Rows)),
        COLUMNS => (Instance, Number(Column::Columns)),
        AVAILABLE_TRANSFER_SYNTAX => (Instance, Uid(Column::TransferSyntax)),
        _ => return None,
    })
}

impl Conditions {
    /// Of a query.
    pub fn of(level: QueryLevel, query: &Query) -> Result<Conditions, Error> {
        let mut all = Conditions::default();
        if let Some(within) = &query.within {
            all.add(Condition::Within(within.clone()));
        }
        if let Some(study) = &query.study {
            all.add(Condition::OneOf(Column::StudyUid, vec![study.clone()]));
        }
        if let Some(series) = &query.series {
            all.add(Condition::OneOf(Column::SeriesUid, vec![series.clone()]));
        }
        for (tag, value) in &query.matches {
            let is_list = matches!(kind(*tag), Some((_, Kind::Uid(_))));
            if value.len() > LONGEST && !is_list {
                return Err(Error::Query(format!("the value of {} is too long", name(*tag))));
            }
            match kind(*tag) {
                // The character set of the query is settled by HTTP, the availability is the same of all.
                None if matches!(*tag, SPECIFIC_CHARACTER_SET | INSTANCE_AVAILABILITY) => {}
                Some((of, kind)) if of <= level => all.matches(*tag, &kind, value, query.fuzzy),
                _ => all.ignored.push(*tag),
            }
        }
        let uids = all.all.iter().map(|one| match one {
            Condition::OneOf(_, uids) => uids.len(),
            Condition::Within(within) => within.iter().map(Within::parameters).sum(),
            _ => 0,
        });
        if uids.sum::<usize>() > MOST_UIDS {
            return Err(Error::Query(format!("more than {MOST_UIDS} UIDs")));
        }
        Ok(all)
    }

    fn matches(&mut self, tag: Tag, kind: &Kind, value: &str, fuzzy: bool) {
        let value = value.trim_matches([' ', '\0']);
        if value.is_empty() {
            return;
        }
        match kind {
            Kind::Uid(column) => {
                // A longer one is no UID (PS3.5 9.1), so that none of the rows has it.
                let values = value.split(['\\', ',']).map(str::trim).filter(|v| (1..=64).contains(&v.len()));
                self.add(Condition::OneOf(*column, values.map(str::to_owned).collect()));
            }
            Kind::Text(column) => self.text(*column, value),
            Kind::Folded(column) => self.text(*column, &fold(value)),
            Kind::Date(column) => self.range(*column, &date(value)),
            Kind::Time(column) => self.range(*column, &time(value)),
            Kind::Number(column) => self.add(match value.parse() {
                Ok(number) => Condition::Number(*column, number),
                Err(_) => Condition::Never,
            }),
            Kind::Name if fuzzy => self.words(tag, value),
            Kind::Name => self.person(tag, value),
            Kind::Modalities => self.modalities(value),
        }
    }

    /// Wild card and single value matching of a column.
    fn text(&mut self, column: Column, value: &str) {
        if Pattern::of(value) != Pattern::All {
            self.add(Condition::Text(column, value.to_owned()));
        }
    }

    /// `A-B`, `A-`, `-B` or `A`. Texts without a value match no range.
    fn range(&mut self, column: Column, value: &str) {
        let end = |text: &str| Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned);
        match value.split_once('-').filter(|_| !value.contains(['*', '?'])) {
            None => self.text(column, value),
            Some((from, to)) => self.add(Condition::Range(column, end(from), end(to))),
        }
    }

    /// A value of one component group matches any group of the name; of several, each the one in its place.
    fn person(&mut self, tag: Tag, value: &str) {
        let groups: Vec<(usize, &str)> = value.split('=').enumerate().filter(|(_, g)| !g.trim().is_empty()).collect();
        let any_place = matches!(groups[..], [(0, _)]);
        for (place, group) in groups {
            let any = patterns(group);
            if any.iter().all(|pattern| pattern.is_empty() || Pattern::of(pattern) != Pattern::All) {
                self.add(Condition::Name { tag, place: (!any_place).then_some(place), any });
            }
        }
    }

    fn words(&mut self, tag: Tag, value: &str) {
        let folded = fold(value).replace(['*', '?'], "");
        let words: Vec<&str> = folded.split([' ', '^', '=', ',']).filter(|word| !word.is_empty()).collect();
        if !words.is_empty() {
            self.add(Condition::Words(tag, words.join(" ")));
        }
    }

    fn modalities(&mut self, value: &str) {
        let any = value.split(['\\', ',']).map(str::trim).filter(|m| !m.is_empty());
        let any: Vec<String> = any.map(str::to_owned).collect();
        if !any.is_empty() && any.iter().all(|modality| Pattern::of(modality) != Pattern::All) {
            self.add(Condition::Modality(any));
        }
    }

    fn add(&mut self, condition: Condition) {
        self.all.push(condition);
    }
}

/// A text that sorts after all that begin with this one.
pub fn after(prefix: &str) -> String {
    format!("{prefix}\u{10FFFF}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(matches: Vec<(Tag, String)>) -> Result<Conditions, Error> {
        Conditions::of(QueryLevel::Instance, &Query { matches, ..Query::default() })
    }

    fn list(count: usize) -> String {
        (0..count).map(|n| format!("2.25.{n}")).collect::<Vec<_>>().join("\\")
    }

    #[test]
    fn lists_of_uids_are_as_long_as_a_statement_takes() {
        let found = of(vec![(SOP_INSTANCE_UID, list(1000))]).unwrap();
        assert!(matches!(&found.all[..], [Condition::OneOf(Column::SopInstanceUid, uids)] if uids.len() == 1000));
        let together = [STUDY_INSTANCE_UID, SOP_INSTANCE_UID].map(|tag| (tag, list(MOST_UIDS / 2 + 1)));
        assert!(matches!(of(together.to_vec()), Err(Error::Query(_))));
        assert!(matches!(of(vec![(PATIENT_ID, "1".repeat(LONGEST + 1))]), Err(Error::Query(_))));
    }

    #[test]
    fn what_is_too_long_for_a_uid_matches_nothing() {
        let found = of(vec![(STUDY_INSTANCE_UID, format!("{}\\1.2", "1".repeat(65)))]).unwrap();
        assert_eq!(found.all, [Condition::OneOf(Column::StudyUid, vec!["1.2".into()])]);
        let none = of(vec![(STUDY_INSTANCE_UID, "1".repeat(65))]).unwrap();
        assert_eq!(none.all, [Condition::OneOf(Column::StudyUid, Vec::new())]);
    }
}
