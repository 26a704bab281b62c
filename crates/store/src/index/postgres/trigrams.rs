//! Indices by groups of three letters (`pg_trgm`), for patterns such as `*x*`. Where the database has none, all texts are looked through.

use super::failing::Class;
use super::session::Session;
use super::values::get;
use crate::Error;

/// The lock that whoever makes them holds.
const LOCK: i64 = 0x0046_4C49_4E44_0003;

/// Name, table and column of each.
const INDICES: [(&str, &str, &str); 6] = [
    ("names_within", "names", "text"),
    ("studies_patient_within", "studies", "patient_id"),
    ("studies_accession_within", "studies", "accession"),
    ("studies_study_id_within", "studies", "study_id"),
    ("studies_description_within", "studies", "description"),
    ("series_description_within", "series", "description"),
];

/// Makes those that are missing.
pub(super) fn make(session: &Session<'_>) -> Result<(), super::unusable::Unusable> {
    let there =
        "SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('firstlight') AND relname = ANY($1)";
    let names: Vec<&str> = INDICES.iter().map(|(name, ..)| *name).collect();
    let found: i64 = get(&session.one(there, &[&names])?, 0)?;
    if usize::try_from(found) == Ok(INDICES.len()) {
        return Ok(());
    }
    let made = extension(session).and_then(|operators| indices(session, &operators));
    match (made, session.failed()) {
        (Ok(()), _) => Ok(()),
        (Err(error), Some(Class::Lost)) => Err(error.into()),
        (Err(error), _) => {
            tracing::warn!(%error, "the database has no pg_trgm: searches for a part of a text look through all texts");
            Ok(())
        }
    }
}

/// What makes the indices, by its full name; made known to the database where it is not.
fn extension(session: &Session<'_>) -> Result<String, Error> {
    let schema = "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace \
        WHERE e.extname = 'pg_trgm'";
    if session.row(schema, &[])?.is_none() {
        session.batch("CREATE EXTENSION IF NOT EXISTS pg_trgm")?;
    }
    let schema: String = get(&session.one(schema, &[])?, 0)?;
    Ok(format!("{schema}.gin_trgm_ops"))
}

/// Each is made in a transaction of its own: it waits for who writes to its table, and keeps nobody from another.
fn indices(session: &Session<'_>, operators: &str) -> Result<(), Error> {
    session.rows("SELECT pg_advisory_lock($1)", &[&LOCK])?;
    let made = INDICES.iter().try_for_each(|(name, table, column)| {
        session.batch(&format!("CREATE INDEX IF NOT EXISTS {name} ON {table} USING gin ({column} {operators})"))
    });
    session.rows("SELECT pg_advisory_unlock($1)", &[&LOCK])?;
    made
}
