//! All rows as they are, for an index of any engine: read from one snapshot, written under the numbers that they have.
//!
//! Both engines have the same tables, with the same columns in the same order, so a row has the same checksum in each. What is one engine's own
//! is left out: where it keeps the highest numbers that it gave, and the count by which it tells that what is handed out has changed.

use super::checksum::Checksum;
use crate::Error;

/// A value of a row. Those of one column compare as the engines order them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// None.
    Null,
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// A table that is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns but for the checksum, in their order.
    pub columns: Vec<String>,
    /// Which of them are its key.
    pub key: Vec<usize>,
}

/// A row as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRow {
    /// Its values, in the order of [`Table::columns`].
    pub values: Vec<Value>,
    /// The checksum that is kept with it.
    pub sum: Option<Vec<u8>>,
}

/// All rows at one moment.
pub trait Snapshot {
    /// The tables. The counts of all others come last: who writes rows may change them.
    fn tables(&self) -> Result<Vec<Table>, Error>;

    /// How many rows of a table there are.
    fn count(&self, table: &Table) -> Result<u64, Error>;

    /// Rows of a table in the order of their keys: at most `most`, after this key.
    fn rows(&self, table: &Table, after: Option<&[Value]>, most: usize) -> Result<Vec<StoredRow>, Error>;

    /// The highest numbers that were given to rows, of the tables that number them for good: none is given twice.
    fn highest(&self) -> Result<Vec<(String, i64)>, Error>;
}

/// How far a copy into an index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// It begins, or goes on.
    Open,
    /// It has ended.
    Ended,
}

/// Copies of all rows.
pub trait Copying {
    /// What is stored now; others read and write on.
    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, Error>;

    /// Does the engine know of another program that has the index open?
    fn is_used_by_others(&self) -> Result<bool, Error>;

    /// A row as this engine would keep it.
    fn as_kept(&self, table: &Table, values: Vec<Value>) -> Vec<Value>;

    /// Makes ready for the rows of another index, named `of`; goes on where that was begun. An index with rows of its own, or of another copy,
    /// takes none. From now on, until the copy has ended, rows may name others that are not there.
    fn begin_copy(&self, of: &str) -> Result<Begun, Error>;

    /// Takes out the rows with the keys `gone`, and puts those that `come`; durable when this returns.
    fn change(&self, table: &Table, gone: Vec<Vec<Value>>, come: Vec<Vec<Value>>) -> Result<(), Error>;

    /// Ends a copy: rows name only such as are there again, and no number is given that the other index gave. Nothing else has the index open.
    fn end_copy(&self, of: &str, highest: &[(String, i64)]) -> Result<(), Error>;
}

impl Table {
    /// The key of a row.
    pub fn key_of(&self, values: &[Value]) -> Vec<Value> {
        self.key.iter().filter_map(|n| values.get(*n).cloned()).collect()
    }

    /// The names of its key.
    pub(super) fn key_names(&self) -> Vec<&str> {
        self.key.iter().filter_map(|n| self.columns.get(*n)).map(String::as_str).collect()
    }
}

impl StoredRow {
    /// Is it what was written?
    pub fn is_whole(&self) -> bool {
        self.sum.as_deref() == Some(&sum_of(&self.values)[..])
    }

    /// Bytes that it takes, about.
    pub fn weight(&self) -> usize {
        self.values.iter().map(Value::weight).sum()
    }
}

impl Value {
    fn weight(&self) -> usize {
        match self {
            Value::Null | Value::Integer(_) => 8,
            Value::Text(text) => text.len(),
            Value::Blob(bytes) => bytes.len(),
        }
    }
}

fn sum_of(values: &[Value]) -> [u8; 16] {
    let mut sum = Checksum::default();
    for value in values {
        match value {
            Value::Null => sum.null(),
            Value::Integer(number) => sum.integer(*number),
            Value::Text(text) => sum.text(text.as_bytes()),
            Value::Blob(bytes) => sum.blob(bytes),
        }
    }
    sum.finish()
}

/// The table of counts: changed by whoever writes to the others.
pub(super) const COUNTS: &str = "totals";

/// Which rows of a table are copied, as a condition.
pub(super) fn copied(table: &str) -> &'static str {
    match table {
        COUNTS => "name <> 'handed_out'",
        "numbers" => "name IN ('versions', 'purges', 'removals')",
        _ => "1 = 1",
    }
}

/// Those of the counts last.
pub(super) fn in_order(mut tables: Vec<Table>) -> Vec<Table> {
    tables.sort_by_key(|table| table.name == COUNTS);
    tables
}
