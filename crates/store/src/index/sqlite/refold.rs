//! Texts that are matched, folded anew from those that are shown: after a version that folds otherwise.

use rusqlite::{Connection, params};
use serde_json::{Map, Value};

use crate::Error;
use crate::index::attributes::{SERIES_DESCRIPTION, STUDY_DESCRIPTION, STUDY_NAMES, name};
use crate::index::fold::{fold, groups};
use crate::index::statement::tag_number;
use dicom::Tag;

/// Folds names and descriptions of all studies and series.
pub(super) fn refold(connection: &Connection) -> Result<(), Error> {
    connection.execute("DELETE FROM names", [])?;
    let mut insert = connection.prepare("INSERT OR IGNORE INTO names (tag, text, place, study) VALUES (?, ?, ?, ?)")?;
    let mut describe = connection.prepare("UPDATE studies SET description = ?1 WHERE id = ?2 AND description <> ?1")?;
    each(connection, "studies", |study, shown| {
        for tag in STUDY_NAMES {
            for (place, text) in groups(&person_name(shown, tag)) {
                insert.execute(params![tag_number(tag), text, place, study])?;
            }
        }
        describe.execute(params![fold(&first(shown, STUDY_DESCRIPTION)), study]).map(drop)
    })?;
    let mut describe = connection.prepare("UPDATE series SET description = ?1 WHERE id = ?2 AND description <> ?1")?;
    each(connection, "series", |series, shown| {
        describe.execute(params![fold(&first(shown, SERIES_DESCRIPTION)), series]).map(drop)
    })
}

/// Hands on what is shown of each row. What can't be read is the scrubber's to tell.
fn each(
    connection: &Connection,
    table: &str,
    mut with: impl FnMut(i64, &Map<String, Value>) -> rusqlite::Result<()>,
) -> Result<(), Error> {
    let last: i64 = connection.query_row(&format!("SELECT coalesce(max(id), 0) FROM {table}"), [], |row| row.get(0))?;
    let mut next = connection.prepare(&format!("SELECT id, common FROM {table} WHERE id > ? ORDER BY id LIMIT 1"))?;
    let mut at = 0;
    while at < last {
        let (id, common) = next.query_row([at], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
        if let Ok(shown) = serde_json::from_str(&common) {
            with(id, &shown)?;
        }
        at = id;
    }
    Ok(())
}

fn value(shown: &Map<String, Value>, tag: Tag) -> Option<&Value> {
    shown.get(&name(tag))?.get("Value")?.get(0)
}

fn first(shown: &Map<String, Value>, tag: Tag) -> String {
    value(shown, tag).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The person name as it was written.
fn person_name(shown: &Map<String, Value>, tag: Tag) -> String {
    let group = |name| value(shown, tag).and_then(|v| v.get(name)?.as_str()).unwrap_or_default();
    ["Alphabetic", "Ideographic", "Phonetic"].map(group).join("=")
}
