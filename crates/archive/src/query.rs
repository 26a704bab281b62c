//! Queries (QIDO-RS, PS3.18 10.6; matching of PS3.4 C.2.2.2).

use serde_json::{Map, Value};
use transcode::Tag;

/// What a query lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
