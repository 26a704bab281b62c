//! A checksum in every row: `sum`, kept by triggers, so that no writer can forget it and a flipped bit is found.
//!
//! The sum is the [`Checksum`] of all other columns. Triggers work it out in the language of the database, whoever changes a row; what reads
//! rows again works it out in ours, so each is held against the other.

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use super::session::Session;
use super::values::get;
use crate::Error;
use crate::index::checksum::Checksum;
use crate::index::copying::Table;

/// A table with sums.
#[derive(Debug, Clone)]
pub(super) struct Sealed {
    pub name: String,
    columns: Vec<String>,
    key: Vec<String>,
    /// Its key is one number.
    pub numbered: bool,
}

/// The tables and their columns.
pub(super) fn tables(session: &Session<'_>) -> Result<Vec<Sealed>, Error> {
    let sql = "SELECT c.relname::text, a.attname::text, coalesce(a.attnum = ANY (i.indkey), false), \
            a.atttypid = 'bigint'::regtype FROM pg_class c \
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> 'sum' \
        LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary \
        WHERE c.relnamespace = to_regnamespace('firstlight') AND c.relkind = 'r' AND EXISTS (SELECT 1 FROM pg_attribute s \
            WHERE s.attrelid = c.oid AND s.attname = 'sum' AND s.atttypid = 'bytea'::regtype AND NOT s.attisdropped) \
        ORDER BY c.relname, a.attnum";
    let mut tables: Vec<Sealed> = Vec::new();
    for row in session.rows(sql, &[])? {
        let (name, column): (String, String) = (get(&row, 0)?, get(&row, 1)?);
        if tables.last().is_none_or(|last| last.name != name) {
            tables.push(Sealed { name, columns: Vec::new(), key: Vec::new(), numbered: true });
        }
        let Some(table) = tables.last_mut() else { continue };
        table.columns.push(column.clone());
        if get(&row, 2)? {
            table.key.push(column);
            table.numbered = table.key.len() == 1 && get(&row, 3)?;
        }
    }
    Ok(tables)
}

/// One table.
pub(super) fn table(session: &Session<'_>, name: &str) -> Result<Option<Sealed>, Error> {
    Ok(tables(session)?.into_iter().find(|table| table.name == name))
}

/// Gives every table its triggers, and every row its sum that has none yet.
pub(super) fn seal(session: &Session<'_>) -> Result<(), Error> {
    tables(session)?.iter().try_for_each(|table| session.batch(&table.sql()))
}

impl Sealed {
    /// All columns of a row of `table` (its name or alias), and its sum last: for [`is_whole`].
    pub(super) fn columns(&self, table: &str) -> String {
        let columns = self.columns.iter().map(String::as_str).chain(["sum"]);
        columns.map(|column| format!("{table}.\"{column}\"")).collect::<Vec<_>>().join(", ")
    }

    /// The table as it is copied.
    pub(super) fn into_table(self) -> Table {
        let key = self.columns.iter().enumerate().filter(|(_, column)| self.key.contains(column)).map(|(n, _)| n);
        Table { key: key.collect(), name: self.name, columns: self.columns }
    }

    /// The columns but for the sum, in their order.
    pub(super) fn names(&self) -> Vec<&str> {
        self.columns.iter().map(String::as_str).collect()
    }

    /// How many [`Sealed::columns`] are.
    pub(super) fn width(&self) -> usize {
        self.columns.len() + 1
    }

    /// What a row is called: its key, as an expression.
    pub(super) fn identity(&self) -> String {
        self.key.iter().map(|column| format!("\"{column}\"::text")).collect::<Vec<_>>().join(" || ' ' || ")
    }

    /// The column that numbers its rows.
    pub(super) fn number(&self) -> &str {
        self.key.first().map_or("id", String::as_str)
    }

    fn sql(&self) -> String {
        let name = &self.name;
        let parts: Vec<String> =
            self.columns.iter().map(|column| format!("firstlight.part(new.\"{column}\")")).collect();
        let (parts, first) = (parts.join(" || "), self.number());
        format!(
            "CREATE OR REPLACE FUNCTION firstlight.seal_{name}() RETURNS trigger LANGUAGE plpgsql AS $seal$ BEGIN
                 new.sum := substr(sha256({parts}), 1, 16);
                 RETURN new;
             END $seal$;
             CREATE OR REPLACE TRIGGER sealed BEFORE INSERT OR UPDATE ON firstlight.{name}
                 FOR EACH ROW EXECUTE FUNCTION firstlight.seal_{name}();
             UPDATE firstlight.{name} SET \"{first}\" = \"{first}\" WHERE sum IS NULL;"
        )
    }
}

/// Is the row what was written? Its columns from `at` on are those of [`Sealed::columns`], `width` of them.
pub(super) fn is_whole(row: &Row, at: usize, width: usize) -> Result<bool, Error> {
    let mut sum = Checksum::default();
    let last = at + width - 1;
    for n in at..last {
        let of = row.columns().get(n).map(tokio_postgres::Column::type_);
        match (get::<Raw<'_>>(row, n)?.0, of) {
            (None, _) => sum.null(),
            (Some(bytes), Some(&Type::INT8)) => sum.integer(i64::from_be_bytes(bytes.try_into().unwrap_or_default())),
            (Some(bytes), Some(&Type::TEXT)) => sum.text(bytes),
            (Some(bytes), _) => sum.blob(bytes),
        }
    }
    Ok(get::<Raw<'_>>(row, last)?.0 == Some(&sum.finish()[..]))
}

/// A value as its bytes, whatever they mean: what is damaged may be no text any more.
pub(super) struct Raw<'a>(pub Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Raw<'a>, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Raw(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Raw<'a>, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Raw(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
