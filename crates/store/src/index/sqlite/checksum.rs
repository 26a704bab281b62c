//! A checksum in every row: `sum`, kept by triggers, so that no writer can forget it and a flipped bit is found.
//!
//! The sum is the [`Checksum`] of all other columns. Triggers run in the transaction of the change, whoever makes it.

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};

use crate::Error;
use crate::index::checksum::Checksum;
use crate::index::copying::Table;

/// A table with sums.
#[derive(Debug, Clone)]
pub(super) struct Sealed {
    pub name: String,
    columns: Vec<String>,
    key: Vec<String>,
    /// Rows have a number of their own.
    pub numbered: bool,
}

/// Lets a connection compute sums.
pub(super) fn register(connection: &Connection) -> Result<(), Error> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("row_sum", -1, flags, |values| Ok(sum(values)))?;
    Ok(())
}

fn sum(values: &Context<'_>) -> [u8; 16] {
    let mut sum = Checksum::default();
    for n in 0..values.len() {
        match values.get_raw(n) {
            ValueRef::Null => sum.null(),
            ValueRef::Integer(v) => sum.integer(v),
            ValueRef::Real(v) => sum.real(v),
            ValueRef::Text(v) => sum.text(v),
            ValueRef::Blob(v) => sum.blob(v),
        }
    }
    sum.finish()
}

/// Gives every table its sums that has none yet.
pub(super) fn seal(connection: &Connection) -> Result<(), Error> {
    for table in tables(connection)? {
        let has = "SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND name = ?";
        let trigger = format!("{}_sealed_when_new", table.name);
        if connection.query_row(has, [&trigger], |_| Ok(())).optional()?.is_none() {
            connection.execute_batch(&table.sql())?;
        }
    }
    Ok(())
}

/// The tables and their columns.
pub(super) fn tables(connection: &Connection) -> Result<Vec<Sealed>, Error> {
    let sql = "SELECT name, wr = 0 FROM pragma_table_list WHERE schema = 'main' AND type = 'table' \
        AND name NOT LIKE 'sqlite%' ORDER BY name";
    let mut list = connection.prepare(sql)?;
    let list = list.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    list.map(|table| {
        let (name, numbered) = table?;
        let mut info = connection.prepare("SELECT name, pk FROM pragma_table_info(?) WHERE name <> 'sum'")?;
        let info = info.query_map([&name], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)? > 0)))?;
        let info = info.collect::<Result<Vec<_>, _>>()?;
        let key = info.iter().filter(|column| column.1).map(|column| column.0.clone()).collect();
        Ok(Sealed { name, columns: info.into_iter().map(|column| column.0).collect(), key, numbered })
    })
    .collect()
}

impl Sealed {
    /// The sum as it should be, as an expression on a row of `table` (its name or alias).
    pub(super) fn expression(&self, table: &str) -> String {
        let columns: Vec<String> = self.columns.iter().map(|column| format!("{table}.\"{column}\"")).collect();
        format!("row_sum({})", columns.join(", "))
    }

    /// The table as it is copied.
    pub(super) fn into_table(self) -> Table {
        let key = self.columns.iter().enumerate().filter(|(_, column)| self.key.contains(column)).map(|(n, _)| n);
        Table { key: key.collect(), name: self.name, columns: self.columns }
    }

    /// What a row is called: its number, or its key.
    pub(super) fn identity(&self) -> String {
        if self.numbered {
            return "rowid".into();
        }
        self.key.iter().map(|column| format!("\"{column}\"")).collect::<Vec<_>>().join(" || ' ' || ")
    }

    fn sql(&self) -> String {
        let (name, sum) = (&self.name, self.expression(&self.name));
        let columns = self.columns.iter().map(|column| format!("\"{column}\"")).collect::<Vec<_>>().join(", ");
        let this = match self.numbered {
            true => "rowid = new.rowid".to_owned(),
            false => self.key.iter().map(|c| format!("\"{c}\" = new.\"{c}\"")).collect::<Vec<_>>().join(" AND "),
        };
        format!(
            "ALTER TABLE {name} ADD COLUMN sum BLOB;
             UPDATE {name} SET sum = {sum};
             CREATE TRIGGER {name}_sealed_when_new AFTER INSERT ON {name} BEGIN
                 UPDATE {name} SET sum = {sum} WHERE {this};
             END;
             CREATE TRIGGER {name}_sealed_when_changed AFTER UPDATE OF {columns} ON {name} BEGIN
                 UPDATE {name} SET sum = {sum} WHERE {this};
             END;"
        )
    }
}
