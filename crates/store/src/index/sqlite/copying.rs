//! All rows, read in one snapshot of a connection, and written under the numbers that they have.

use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql, params, params_from_iter};

use super::checksum::{Sealed, tables};
use super::engine::Sqlite;
use crate::Error;
use crate::index::copying::{Begun, Copying, Snapshot, StoredRow, Table, Value, copied, in_order};

/// Tables whose highest numbers are kept in `numbers`.
const NUMBERED: [&str; 5] = ["studies", "series", "instances", "objects", "evidence"];
/// The table whose highest number SQLite keeps.
const COUNTED: &str = "secrets";
/// How long the end of a copy waits for those who read.
const BUSY: Duration = Duration::from_secs(10);

impl Copying for Sqlite {
    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, Error> {
        let connection = self.another()?;
        connection.pragma_update(None, "query_only", "ON")?;
        connection.execute_batch("BEGIN")?;
        // It is of the moment of the first look.
        connection.query_row("SELECT count(*) FROM totals", [], |_| Ok(()))?;
        Ok(Box::new(Moment(connection)))
    }

    /// Who has it open on this machine is told by the spool beside it.
    fn is_used_by_others(&self) -> Result<bool, Error> {
        Ok(false)
    }

    fn as_kept(&self, _: &Table, values: Vec<Value>) -> Vec<Value> {
        values
    }

    /// A new file is a place of its own.
    fn begin_copy(&self, _: &str) -> Result<Begun, Error> {
        Ok(Begun::Open)
    }

    fn change(&self, table: &Table, gone: Vec<Vec<Value>>, come: Vec<Vec<Value>>) -> Result<(), Error> {
        let (name, key) = (&table.name, table.key_names());
        let of = key.iter().map(|column| format!("\"{column}\" = ?")).collect::<Vec<_>>().join(" AND ");
        let columns = table.columns.iter().map(|column| format!("\"{column}\"")).collect::<Vec<_>>().join(", ");
        let marks = vec!["?"; table.columns.len()].join(", ");
        self.alone(|index| {
            let mut remove = index.prepare(&format!("DELETE FROM \"{name}\" WHERE {of}"))?;
            for key in &gone {
                remove.execute(params_from_iter(key))?;
            }
            let mut put = index.prepare(&format!("INSERT INTO \"{name}\" ({columns}) VALUES ({marks})"))?;
            for row in &come {
                put.execute(params_from_iter(row))?;
            }
            Ok(())
        })
    }

    fn end_copy(&self, _: &str, highest: &[(String, i64)]) -> Result<(), Error> {
        self.alone(|index| {
            for (name, number) in highest {
                match name.as_str() {
                    COUNTED => at_least(index, *number)?,
                    name => {
                        let sql = "UPDATE numbers SET value = max(value, ?2) WHERE name = ?1";
                        index.execute(sql, params![name, number]).map(drop)?;
                    }
                }
            }
            let dangling = "SELECT \"table\" FROM pragma_foreign_key_check LIMIT 1";
            let mut dangling = index.prepare(dangling)?;
            match dangling.query([])?.next()? {
                Some(row) => {
                    Err(Error::Damaged(format!("a row of {} names one that is not there", row.get::<_, String>(0)?)))
                }
                None => Ok(()),
            }
        })?;
        // All of it is in the file itself, which gets another name now.
        let connection = self.another()?;
        connection.busy_timeout(BUSY)?;
        let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy != 0 {
            return Err(Error::Damaged("somebody else has the new index open".into()));
        }
        Ok(())
    }
}

/// No secret gets a number up to this.
fn at_least(index: &Connection, number: i64) -> Result<(), Error> {
    let raised = "UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1";
    if index.execute(raised, params![COUNTED, number])? == 0 {
        index.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", params![COUNTED, number])?;
    }
    Ok(())
}

/// A connection on which a snapshot is open.
struct Moment(Connection);

impl Snapshot for Moment {
    fn tables(&self) -> Result<Vec<Table>, Error> {
        Ok(in_order(tables(&self.0)?.into_iter().map(Sealed::into_table).collect()))
    }

    fn count(&self, table: &Table) -> Result<u64, Error> {
        let sql = format!("SELECT count(*) FROM \"{}\" WHERE {}", table.name, copied(&table.name));
        Ok(self.0.query_row(&sql, [], |row| row.get(0))?)
    }

    fn rows(&self, table: &Table, after: Option<&[Value]>, most: usize) -> Result<Vec<StoredRow>, Error> {
        let list = |names: &[&str]| names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        let key = list(&table.key_names());
        let columns = list(&table.columns.iter().map(String::as_str).collect::<Vec<_>>());
        let from =
            after.map_or_else(String::new, |after| format!("AND ({key}) > ({})", vec!["?"; after.len()].join(", ")));
        let (name, those) = (&table.name, copied(&table.name));
        let sql = format!("SELECT {columns}, sum FROM \"{name}\" WHERE {those} {from} ORDER BY {key} LIMIT {most}");
        let (mut rows, mut found) = (self.0.prepare_cached(&sql)?, Vec::new());
        let mut rows = rows.query(params_from_iter(after.unwrap_or_default()))?;
        while let Some(row) = rows.next()? {
            let values = (0..table.columns.len()).map(|n| value(table, row.get_ref(n)?));
            let values = values.collect::<Result<_, Error>>()?;
            let sum = match row.get_ref(table.columns.len())? {
                ValueRef::Blob(sum) => Some(sum.to_vec()),
                _ => None,
            };
            found.push(StoredRow { values, sum });
        }
        Ok(found)
    }

    fn highest(&self) -> Result<Vec<(String, i64)>, Error> {
        let mut highest = Vec::new();
        for name in NUMBERED {
            let sql = format!(
                "SELECT max(coalesce((SELECT max(id) FROM {name}), 0), (SELECT value FROM numbers WHERE name = '{name}'))"
            );
            highest.push((name.to_owned(), self.0.query_row(&sql, [], |row| row.get(0))?));
        }
        let sql = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?";
        highest.push((COUNTED.to_owned(), self.0.query_row(sql, [COUNTED], |row| row.get(0))?));
        Ok(highest)
    }
}

fn value(table: &Table, value: ValueRef<'_>) -> Result<Value, Error> {
    let damaged = || Error::Damaged(format!("a row of {} holds what no row of it can", table.name));
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(_) => return Err(damaged()),
        ValueRef::Text(text) => Value::Text(String::from_utf8(text.to_vec()).map_err(|_| damaged())?),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    })
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Integer(number) => ValueRef::Integer(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
