//! Functions that searches use: `wild(pattern, text)` and `words(words, text)`.

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

use crate::index::query::{wild, words};

/// Makes the functions known to a connection.
pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("wild", 2, flags, |args| {
        Ok(wild(args.get_raw(0).as_str()?, args.get_raw(1).as_str()?))
    })?;
    connection.create_scalar_function("words", 2, flags, |args| {
        Ok(words(args.get_raw(0).as_str()?, args.get_raw(1).as_str()?))
    })
}
