//! The schema of the index, and the steps from each version to the next.
//!
//! Of many programs that open an index at once one makes the steps; the others wait for it.

use super::address::Address;
use super::checksum;
use super::failing::Class;
use super::session::Session;
use super::unusable::Unusable;
use super::values::get;
use crate::Error;

/// Step `n` brings a database of version n to n + 1. Steps are never changed once released. One that gives a table another column takes
/// the sums of its rows away (`UPDATE ... SET sum = NULL`): they are worked out anew.
const STEPS: &[&str] = &[
    concat!(include_str!("sums.sql"), include_str!("v1.sql")),
    include_str!("v2.sql"),
    include_str!("v3.sql"),
    include_str!("v4.sql"),
    include_str!("v5.sql"),
];

/// The lock that whoever makes steps holds.
const LOCK: i64 = 0x0046_4C49_4E44_0001;

/// Brings the schema up to date in one transaction.
pub(super) fn migrate(session: &Session<'_>, address: &Address) -> Result<(), Unusable> {
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if version(session)? == known {
        return Ok(());
    }
    session.batch("BEGIN")?;
    steps(session, known).map_err(|error| match session.failed() {
        Some(Class::Denied) => Unusable::Rights(address.to_string(), error.to_string()),
        _ => error.into(),
    })?;
    Ok(session.batch("COMMIT")?)
}

fn steps(session: &Session<'_>, known: i64) -> Result<(), Error> {
    session.rows("SELECT pg_advisory_xact_lock($1)", &[&LOCK])?;
    // Read again: another program may have been faster.
    let found = version(session)?;
    let Some(steps) = usize::try_from(found).ok().and_then(|done| STEPS.get(done..)) else {
        return Err(Error::Newer { found, known });
    };
    if steps.is_empty() {
        // Nothing is touched: others may be writing already.
        return Ok(());
    }
    if found == 0 {
        begin(session)?;
    }
    steps.iter().try_for_each(|step| session.batch(step))?;
    checksum::seal(session)?;
    let keep =
        "INSERT INTO about (name, value) VALUES ('schema', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    session.execute(keep, &[&known.to_string()])?;
    Ok(())
}

/// Makes the place for the tables, and the table that says what the index is.
fn begin(session: &Session<'_>) -> Result<(), Error> {
    if !session.any("SELECT 1 FROM pg_namespace WHERE nspname = 'firstlight'", &[])? {
        session.batch("CREATE SCHEMA firstlight")?;
    }
    session.batch(
        "CREATE TABLE firstlight.about (name text COLLATE \"C\" PRIMARY KEY, value text COLLATE \"C\" NOT NULL, sum bytea)",
    )
}

/// The version of what is there; 0 where nothing is.
fn version(session: &Session<'_>) -> Result<i64, Error> {
    if !session.any("SELECT 1 WHERE to_regclass('firstlight.about') IS NOT NULL", &[])? {
        return Ok(0);
    }
    let Some(row) = session.row("SELECT value FROM firstlight.about WHERE name = 'schema'", &[])? else { return Ok(0) };
    let text: String = get(&row, 0)?;
    text.parse().map_err(|_| Error::Damaged(format!("the version of the index is {text:?}")))
}
