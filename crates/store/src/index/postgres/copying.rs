//! All rows, read in one snapshot of a connection, and written under the numbers that they have.
//!
//! While rows come, those that name others are not held to it: what they name may come later. The constraints are kept in `about` meanwhile.

use bytes::BytesMut;
use std::error::Error as StdError;
use tokio_postgres::Row;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::checksum::{Raw, Sealed, tables};
use super::engine::Postgres;
use super::pool::{Connection, Connections, PROGRAM};
use super::session::{Beside, Session};
use super::task::Group;
use super::values::{count, get, matched, number};
use crate::Error;
use crate::index::copying::{Begun, COUNTS, Copying, Snapshot, StoredRow, Table, Value, copied, in_order};

/// Tables whose rows get their numbers from a sequence.
const NUMBERED: [&str; 8] = ["studies", "series", "instances", "objects", "evidence", "secrets", "scrubs", "unserved"];
/// The copy that is under way, and the one that has ended.
const MOVING: &str = "moving";
const MOVED: &str = "moved";
/// The constraints that are off meanwhile: statements that make them.
const CONSTRAINTS: &str = "constraints";
/// Tables that begin with rows of their own.
const BEGINS_WITH: [&str; 3] = ["about", "numbers", COUNTS];
/// Columns of texts that are matched, of which an index takes no more than a part.
const MATCHED: [(&str, &[&str]); 4] = [
    ("names", &["text"]),
    ("study_modalities", &["modality"]),
    ("studies", &["date", "time", "accession", "patient_id", "birth_date", "sex", "study_id", "description"]),
    ("series", &["modality", "description", "body_part", "pps_date", "pps_time", "step_id", "procedure_id"]),
];

impl Copying for Postgres {
    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, Error> {
        let (connection, connections) = self.lend()?;
        let moment = Moment { connection, connections };
        moment.with(|session| {
            session.batch("SET idle_in_transaction_session_timeout = 0")?;
            session.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
            // It is of the moment of the first look.
            session.rows("SELECT 1 FROM about", &[])
        })?;
        Ok(Box::new(moment))
    }

    fn is_used_by_others(&self) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() \
            AND starts_with(application_name, $1) AND application_name <> current_setting('application_name')";
        self.ask(|session| session.any(sql, &[&PROGRAM]))
    }

    fn as_kept(&self, table: &Table, values: Vec<Value>) -> Vec<Value> {
        let of = table.name.strip_prefix("removed_").unwrap_or(&table.name);
        let cut = MATCHED.iter().find(|matched| matched.0 == of).map_or(&[][..], |matched| matched.1);
        let kept = |(column, value): (&String, Value)| match value {
            Value::Text(text) => {
                let text = if cut.contains(&column.as_str()) { matched(&text).0.to_owned() } else { text };
                Value::Text(text.replace('\0', "\u{FFFD}"))
            }
            value => value,
        };
        table.columns.iter().zip(values).map(kept).collect()
    }

    fn begin_copy(&self, of: &str) -> Result<Begun, Error> {
        let of = of.to_owned();
        self.alone(move |group| begin(group, &of))
    }

    fn change(&self, table: &Table, gone: Vec<Vec<Value>>, come: Vec<Vec<Value>>) -> Result<(), Error> {
        let (table, key) = (table.clone(), table.key_names().into_iter().map(str::to_owned).collect::<Vec<_>>());
        self.write(move |group| {
            let name = &table.name;
            if !gone.is_empty() {
                let columns = columns(group, name, &key, &gone)?;
                let of = key.iter().map(|k| format!("t.\"{k}\" = g.\"{k}\"")).collect::<Vec<_>>().join(" AND ");
                let sql = format!("DELETE FROM {name} t USING {} WHERE {of}", unnest(&key, &columns));
                execute(group, &sql, &columns)?;
            }
            if !come.is_empty() {
                let columns = columns(group, name, &table.columns, &come)?;
                let list = quoted(&table.columns);
                let sql = format!("INSERT INTO {name} ({list}) SELECT * FROM {}", unnest(&table.columns, &columns));
                execute(group, &sql, &columns)?;
            }
            Ok(())
        })
    }

    fn end_copy(&self, of: &str, highest: &[(String, i64)]) -> Result<(), Error> {
        let (of, highest) = (of.to_owned(), highest.to_vec());
        self.alone(move |group| end(group, &of, &highest))?;
        // The plans of searches are by what is there now.
        self.ask(|session| session.batch("ANALYZE"))
    }
}

impl Postgres {
    /// The copy into this index that is under way.
    pub(in crate::index) fn is_being_copied(&self) -> Result<Option<String>, Error> {
        self.ask(|session| about(session, MOVING))
    }
}

fn begin(group: &Group<'_>, of: &str) -> Result<Begun, Error> {
    let other = |name: String| Error::Query(format!("{name} is being moved there already"));
    match (about(group, MOVING)?, about(group, MOVED)?) {
        (Some(name), _) => return if name == of { Ok(Begun::Open) } else { Err(other(name)) },
        (None, Some(name)) if name == of => return Ok(Begun::Ended),
        _ => {}
    }
    let mut taken = about(group, "objects")?.is_some();
    for table in tables(group)?.iter().filter(|table| !BEGINS_WITH.contains(&table.name.as_str())) {
        taken |= group.any(&format!("SELECT 1 FROM {} LIMIT 1", table.name), &[])?;
    }
    if taken {
        return Err(Error::Query("the database has an archive of its own".into()));
    }
    let found = "SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint \
        WHERE contype = 'f' AND connamespace = to_regnamespace('firstlight') ORDER BY 1, 2";
    let mut again = Vec::new();
    for row in group.rows(found, &[])? {
        let (table, name, what): (String, String, String) = (get(&row, 0)?, get(&row, 1)?, get(&row, 2)?);
        group.batch(&format!("ALTER TABLE {table} DROP CONSTRAINT {name}"))?;
        again.push(format!("ALTER TABLE {table} ADD CONSTRAINT {name} {what}"));
    }
    keep(group, CONSTRAINTS, &again.join(";\n"))?;
    keep(group, MOVING, of)?;
    Ok(Begun::Open)
}

fn end(group: &Group<'_>, of: &str, highest: &[(String, i64)]) -> Result<(), Error> {
    if about(group, MOVED)?.as_deref() == Some(of) {
        return Ok(());
    }
    if let Some(again) = about(group, CONSTRAINTS)? {
        group.batch(&again)?;
    }
    for name in NUMBERED {
        let given = highest.iter().find(|of| of.0 == name).map_or(0, |of| of.1);
        let sql = format!(
            "SELECT setval(pg_get_serial_sequence('{name}', 'id'), n) FROM \
             (SELECT greatest((SELECT coalesce(max(id), 0) FROM {name}), $1) AS n) m WHERE n > 0"
        );
        group.rows(&sql, &[&given])?;
    }
    group.execute("DELETE FROM about WHERE name = ANY($1)", &[&[MOVING, CONSTRAINTS].as_slice()])?;
    keep(group, MOVED, of)
}

fn about(session: &Session<'_>, name: &str) -> Result<Option<String>, Error> {
    let row = session.row("SELECT value FROM about WHERE name = $1", &[&name])?;
    row.map(|row| get(&row, 0)).transpose()
}

fn keep(group: &Group<'_>, name: &str, value: &str) -> Result<(), Error> {
    let sql = "INSERT INTO about (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    group.execute(sql, &[&name, &value]).map(drop)
}

/// A connection on which a snapshot is open. It is closed with it.
struct Moment<'a> {
    connection: Connection,
    connections: &'a Connections,
}

impl Moment<'_> {
    fn with<T>(&self, work: impl FnOnce(&Session<'_>) -> Result<T, Error>) -> Result<T, Error> {
        self.connections.with(&self.connection, None, work)
    }
}

impl Snapshot for Moment<'_> {
    fn tables(&self) -> Result<Vec<Table>, Error> {
        let copied = |table: &Sealed| table.name != "about";
        let tables = self.with(tables)?.into_iter().filter(copied).map(Sealed::into_table);
        Ok(in_order(tables.collect()))
    }

    fn count(&self, table: &Table) -> Result<u64, Error> {
        let sql = format!("SELECT count(*) FROM {} WHERE {}", table.name, copied(&table.name));
        self.with(|session| count(&session.one(&sql, &[])?, 0))
    }

    fn rows(&self, table: &Table, after: Option<&[Value]>, most: usize) -> Result<Vec<StoredRow>, Error> {
        let key: Vec<String> = table.key_names().into_iter().map(str::to_owned).collect();
        let (list, key, name, those) = (quoted(&table.columns), quoted(&key), &table.name, copied(&table.name));
        let after = after.unwrap_or_default();
        let marks = (1..=after.len()).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
        let from = if after.is_empty() { String::new() } else { format!("AND ({key}) > ({marks})") };
        let most_at = after.len() + 1;
        let sql = format!("SELECT {list}, sum FROM {name} WHERE {those} {from} ORDER BY {key} LIMIT ${most_at}");
        let most = number(most as u64);
        let mut beside: Vec<&(dyn ToSql + Sync)> = after.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        beside.push(&most);
        let rows = self.with(|session| session.rows(&sql, &beside))?;
        rows.iter().map(|row| stored(table, row)).collect()
    }

    fn highest(&self) -> Result<Vec<(String, i64)>, Error> {
        let of = |name: &str| {
            let sql = format!(
                "SELECT coalesce(greatest(pg_sequence_last_value(pg_get_serial_sequence('{name}', 'id')::regclass), \
                 (SELECT max(id) FROM {name})), 0)"
            );
            Ok((name.to_owned(), self.with(|session| get(&session.one(&sql, &[])?, 0))?))
        };
        // Those that the other engine numbers for good too.
        NUMBERED[..6].iter().map(|name| of(name)).collect()
    }
}

fn stored(table: &Table, row: &Row) -> Result<StoredRow, Error> {
    let values = (0..table.columns.len()).map(|n| {
        let of = row.columns().get(n).map(tokio_postgres::Column::type_);
        Ok(match (get::<Raw<'_>>(row, n)?.0, of) {
            (None, _) => Value::Null,
            (Some(_), Some(&Type::INT8)) => Value::Integer(get(row, n)?),
            (Some(bytes), Some(&Type::TEXT)) => Value::Text(
                String::from_utf8(bytes.to_vec())
                    .map_err(|_| Error::Damaged(format!("a row of {} holds a text that is none", table.name)))?,
            ),
            (Some(bytes), _) => Value::Blob(bytes.to_vec()),
        })
    });
    let sum = get::<Raw<'_>>(row, table.columns.len())?.0.map(<[u8]>::to_vec);
    Ok(StoredRow { values: values.collect::<Result<_, Error>>()?, sum })
}

/// The values of one column, in the order of rows.
enum Column<'a> {
    Integers(Vec<Option<i64>>),
    Texts(Vec<Option<&'a str>>),
    Blobs(Vec<Option<&'a [u8]>>),
}

impl Column<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Column::Integers(_) => "bigint[]",
            Column::Texts(_) => "text[]",
            Column::Blobs(_) => "bytea[]",
        }
    }

    fn beside(&self) -> &(dyn ToSql + Sync) {
        match self {
            Column::Integers(values) => values,
            Column::Texts(values) => values,
            Column::Blobs(values) => values,
        }
    }
}

/// Rows as columns, each of the kind that the table has.
fn columns<'a>(
    session: &Session<'_>,
    table: &str,
    names: &[String],
    rows: &'a [Vec<Value>],
) -> Result<Vec<Column<'a>>, Error> {
    let sql = "SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = $2";
    let of = |(n, name): (usize, &String)| {
        let kind: String = get(&session.one(sql, &[&table, name])?, 0)?;
        let values = rows.iter().map(|row| row.get(n));
        Ok(match kind.as_str() {
            "bigint" => Column::Integers(
                values
                    .map(|value| match value {
                        Some(Value::Integer(n)) => Some(*n),
                        _ => None,
                    })
                    .collect(),
            ),
            "text" => Column::Texts(
                values
                    .map(|value| match value {
                        Some(Value::Text(text)) => Some(&**text),
                        _ => None,
                    })
                    .collect(),
            ),
            _ => Column::Blobs(
                values
                    .map(|value| match value {
                        Some(Value::Blob(bytes)) => Some(&**bytes),
                        _ => None,
                    })
                    .collect(),
            ),
        })
    };
    names.iter().enumerate().map(of).collect()
}

/// The rows of these columns, as a table `g`.
fn unnest(names: &[String], columns: &[Column<'_>]) -> String {
    let marks = columns.iter().enumerate().map(|(n, column)| format!("${}::{}", n + 1, column.kind()));
    format!("unnest({}) AS g ({})", marks.collect::<Vec<_>>().join(", "), quoted(names))
}

fn execute(group: &Group<'_>, sql: &str, columns: &[Column<'_>]) -> Result<(), Error> {
    let beside: Vec<&(dyn ToSql + Sync)> = columns.iter().map(Column::beside).collect();
    let beside: Beside<'_> = &beside;
    group.execute(sql, beside).map(drop)
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

impl ToSql for Value {
    fn to_sql(&self, of: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Integer(number) => number.to_sql(of, out),
            Value::Text(text) => text.to_sql(of, out),
            Value::Blob(bytes) => bytes.to_sql(of, out),
        }
    }

    fn accepts(of: &Type) -> bool {
        [Type::INT8, Type::TEXT, Type::BYTEA].contains(of)
    }

    to_sql_checked!();
}
