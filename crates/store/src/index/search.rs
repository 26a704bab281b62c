//! Queries (QIDO-RS, PS3.18 10.6; C-FIND, PS3.4 C.4.1): what is asked and what is answered.

use dicom::Tag;
use serde_json::{Map, Value};

use super::patience::Patience;
use super::text_row::TextRow;
use crate::Error;

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
    /// Only studies that fulfil one of these; `None`: whatever is asked for. Of an empty list, no study.
    pub within: Option<Vec<Within>>,
}

/// What a study is kept apart by: who asks may see those that fulfil it. Texts are compared as they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Within {
    /// Of this patient.
    Patient {
        /// Patient ID.
        id: String,
        /// Issuer of Patient ID; `None`: whoever issued it.
        issuer: Option<String>,
    },
    /// With a series of this modality.
    Modality(String),
    /// With this label.
    Label(String),
    /// One of these, by Study Instance UID.
    Studies(Vec<String>),
}

impl Within {
    /// Values that it brings into a statement.
    pub(super) fn parameters(&self) -> usize {
        match self {
            Within::Patient { .. } => 2,
            Within::Modality(_) | Within::Label(_) => 1,
            Within::Studies(uids) => uids.len(),
        }
    }
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

/// What is told of an answer when its rows are out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rest {
    /// Rows that were handed over.
    pub rows: usize,
    /// There are more.
    pub more: bool,
    /// Attributes the archive cannot match by; they were ignored.
    pub ignored: Vec<Tag>,
}

/// Queries.
pub trait Search {
    /// Lists studies (newest first), series (by number) or instances (by number). Ends with [`Error::TooLong`] when nobody waits any more.
    ///
    /// The attributes of the levels above the one listed are returned too, but for those the query is scoped to. An engine turns
    /// [`Conditions`](super::query::Conditions) into its own language, reads [`Found`](super::query::Found) rows and lets
    /// [`query::answer`](super::query::answer) write them.
    fn find(&self, patience: &Patience, level: QueryLevel, query: &Query) -> Result<Matches, Error>;

    /// As [`Search::find`], each row handed over as texts when it is read; none is kept. What `row` fails with ends the search.
    fn find_texts(
        &self,
        patience: &Patience,
        level: QueryLevel,
        query: &Query,
        row: &mut dyn FnMut(TextRow<'_>) -> Result<(), Error>,
    ) -> Result<Rest, Error> {
        let Matches { rows, more, ignored } = self.find(patience, level, query)?;
        rows.iter().try_for_each(|found| row(TextRow::of(found)))?;
        Ok(Rest { rows: rows.len(), more, ignored })
    }
}
