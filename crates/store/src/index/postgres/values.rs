//! Values as this engine takes and gives them.

use std::error::Error as StdError;

use bytes::BytesMut;
use dicom::Tag;
use tokio_postgres::Row;

use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::Error;
use crate::index::key::InstanceKey;
use crate::objects::Key;

/// Seconds since 1970, by the clock of the database: the same for every program that has it open.
pub(super) const NOW: &str = "floor(extract(epoch FROM now()))::bigint";

/// Characters of a text that is matched which are kept: an index on it takes 2,700 bytes. What is longer is matched by its beginning.
const MATCHED: usize = 600;

/// A text. The database keeps none with a NUL in it: U+FFFD takes its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a>(pub &'a str);

impl ToSql for Text<'_> {
    fn to_sql(&self, of: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self.0.contains('\0') {
            true => self.0.replace('\0', "\u{FFFD}").to_sql(of, out),
            false => self.0.to_sql(of, out),
        }
    }

    fn accepts(of: &Type) -> bool {
        <&str as ToSql>::accepts(of)
    }

    to_sql_checked!();
}

/// A text that is matched, cut to what an index takes.
pub(super) fn matched(text: &str) -> Text<'_> {
    Text(text.char_indices().nth(MATCHED).map_or(text, |(end, _)| &text[..end]))
}

/// A column of a row.
pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, Error> {
    Ok(row.try_get(column)?)
}

/// A number of things.
pub(super) fn count(row: &Row, column: usize) -> Result<u64, Error> {
    let number: i64 = get(row, column)?;
    u64::try_from(number).map_err(|_| Error::Damaged(format!("the index has {number} where a count belongs")))
}

/// A number that is kept without a sign.
pub(super) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Three UIDs, from a column on.
pub(super) fn key(row: &Row, at: usize) -> Result<InstanceKey, Error> {
    Ok(InstanceKey { study: get(row, at)?, series: get(row, at + 1)?, sop: get(row, at + 2)? })
}

/// The name of an object.
pub(super) fn object(row: &Row, column: usize) -> Result<Key, Error> {
    let bytes: &[u8] = get(row, column)?;
    let bytes = bytes.try_into().map_err(|_| Error::Damaged("the name of an object in the index is none".into()))?;
    Ok(Key::new(bytes))
}

/// A tag as the index keeps it.
pub(super) fn tag(tag: Tag) -> i64 {
    crate::index::statement::tag_number(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(matched("short").0, "short");
        let long = "é".repeat(700);
        assert_eq!(matched(&long).0, "é".repeat(600));
    }
}
