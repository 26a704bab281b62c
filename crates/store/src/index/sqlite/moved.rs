//! Rows that move to the tables of what is deleted, and back.
//!
//! Numbers stay the same on the way, and none is given twice: memory that knows an object by its number never mistakes another for it.

use rusqlite::{Connection, OptionalExtension, params};

use super::register::{MODALITIES, VERSION};
use crate::Error;

/// Tables whose rows are of one instance, in the order in which they come back, and which rows are of those in a query.
const OF_INSTANCES: [(&str, &str); 5] = [
    ("instances", "id"),
    ("objects", "instance"),
    ("jobs", "instance"),
    ("evidence", "instance"),
    ("ways_back", "original"),
];

/// Moves the instances of a study, a series or one of them out; says how many. Counts of what is left follow.
pub(super) fn go(index: &Connection, removal: i64, of: (&str, Option<&str>, Option<&str>)) -> Result<u64, Error> {
    let scope = "SELECT i.id FROM studies s JOIN series e ON e.study = s.id JOIN instances i ON i.series = e.id \
         WHERE s.uid = ?2 AND (?3 IS NULL OR e.uid = ?3) AND (?4 IS NULL OR i.uid = ?4)";
    let all = columns(index, "instances")?;
    let sql =
        format!("INSERT INTO removed_instances (removal, {all}) SELECT ?1, {all} FROM instances WHERE id IN ({scope})");
    let found = index.execute(&sql, params![removal, of.0, of.1, of.2])?;
    if found == 0 {
        return Ok(0);
    }
    let (series, study) = (
        "SELECT series FROM removed_instances WHERE removal = ?1",
        "SELECT study FROM removed_series WHERE removal = ?1",
    );
    for (table, rows) in [
        ("series", format!("id IN ({series})")),
        ("studies", format!("id IN ({study})")),
        ("names", format!("study IN ({study})")),
    ] {
        copy(index, removal, table, &rows)?;
    }
    OF_INSTANCES[1..].iter().try_for_each(|of| copy(index, removal, of.0, &of_removal(*of)))?;
    remember_numbers(index, removal)?;
    let faults = "DELETE FROM faults WHERE name IN (SELECT lower(hex(key)) FROM removed_objects WHERE removal = ?1 \
         UNION SELECT 'object ' || lower(hex(key)) FROM removed_objects WHERE removal = ?1)";
    index.execute(faults, [removal])?;
    for of in OF_INSTANCES.iter().rev() {
        index.execute(&format!("DELETE FROM {} WHERE {}", of.0, of_removal(*of)), [removal])?;
    }
    index.execute(&format!("DELETE FROM prepared WHERE series IN ({series})"), [removal])?;
    recount(index, removal)?;
    let empty = format!("id IN ({series}) AND instances = 0");
    index.execute(&format!("DELETE FROM series WHERE {empty}"), [removal])?;
    recount_study(index, removal)?;
    Ok(found as u64)
}

/// Brings back the instances of a deletion whose UIDs, and whose objects, nobody else has by now; says how many.
pub(super) fn come_back(index: &Connection, removal: i64) -> Result<u64, Error> {
    let back = free(index, removal)?;
    if back.is_empty() {
        return Ok(0);
    }
    let study = study_back(index, removal)?;
    let mut series = None;
    for (instance, of) in &back {
        // They are in the order of their series.
        let series = match series {
            Some((known, series)) if known == *of => series,
            _ => {
                let found = series_back(index, removal, *of, study)?;
                series = Some((*of, found));
                found
            }
        };
        instance_back(index, *instance, series)?;
    }
    recount(index, removal)?;
    recount_study(index, removal)?;
    Ok(back.len() as u64)
}

/// The instances that can come back, and the numbers of their series, series by series.
fn free(index: &Connection, removal: i64) -> Result<Vec<(i64, i64)>, Error> {
    let sql = "SELECT i.id, i.series FROM removed_instances i \
         JOIN removed_series e ON e.removal = i.removal AND e.id = i.series \
         JOIN removed_studies s ON s.removal = i.removal AND s.id = e.study WHERE i.removal = ? \
         AND NOT EXISTS (SELECT 1 FROM studies ls JOIN series le ON le.study = ls.id JOIN instances li ON li.series = le.id \
         WHERE ls.uid = s.uid AND le.uid = e.uid AND li.uid = i.uid) \
         AND NOT EXISTS (SELECT 1 FROM removed_objects o JOIN objects l ON l.key = o.key WHERE o.instance = i.id) \
         ORDER BY i.series, i.id";
    let mut free = index.prepare(sql)?;
    Ok(free.query_map([removal], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
}

/// The number of the study: of the one that is there under its UID, or of the one that comes back.
fn study_back(index: &Connection, removal: i64) -> Result<i64, Error> {
    let there = "SELECT l.id FROM removed_studies s JOIN studies l ON l.uid = s.uid WHERE s.removal = ?";
    if let Some(study) = index.query_row(there, [removal], |row| row.get(0)).optional()? {
        return Ok(study);
    }
    let all = columns(index, "studies")?;
    let values = renumbered(&all, &[("version", VERSION)]);
    let sql =
        format!("INSERT INTO studies ({all}) SELECT {values} FROM removed_studies WHERE removal = ? RETURNING id");
    let study = index.query_row(&sql, [removal], |row| row.get(0))?;
    let all = columns(index, "names")?;
    index
        .execute(&format!("INSERT INTO names ({all}) SELECT {all} FROM removed_names WHERE removal = ?"), [removal])?;
    Ok(study)
}

/// The same of a series, in this study.
fn series_back(index: &Connection, removal: i64, series: i64, study: i64) -> Result<i64, Error> {
    let there = "SELECT l.id FROM removed_series e JOIN series l ON l.study = ?3 AND l.uid = e.uid \
         WHERE e.removal = ?1 AND e.id = ?2";
    if let Some(there) = index.query_row(there, [removal, series, study], |row| row.get(0)).optional()? {
        return Ok(there);
    }
    let all = columns(index, "series")?;
    let values = renumbered(&all, &[("version", VERSION), ("study", "?3")]);
    let sql = format!(
        "INSERT INTO series ({all}) SELECT {values} FROM removed_series WHERE removal = ?1 AND id = ?2 RETURNING id"
    );
    Ok(index.query_row(&sql, [removal, series, study], |row| row.get(0))?)
}

fn instance_back(index: &Connection, instance: i64, series: i64) -> Result<(), Error> {
    for (table, column) in OF_INSTANCES {
        let all = columns(index, table)?;
        let values = if table == "instances" { renumbered(&all, &[("series", "?2")]) } else { all.clone() };
        let sql = format!("INSERT INTO {table} ({all}) SELECT {values} FROM removed_{table} WHERE {}", of_one(column));
        let mut back = index.prepare_cached(&sql)?;
        if table == "instances" {
            back.execute([instance, series])?
        } else {
            back.execute([instance])?
        };
    }
    for (table, column) in OF_INSTANCES.iter().rev() {
        index.prepare_cached(&format!("DELETE FROM removed_{table} WHERE {}", of_one(column)))?.execute([instance])?;
    }
    Ok(())
}

fn copy(index: &Connection, removal: i64, table: &str, rows: &str) -> Result<(), Error> {
    let all = columns(index, table)?;
    let sql = format!("INSERT INTO removed_{table} (removal, {all}) SELECT ?1, {all} FROM {table} WHERE {rows}");
    index.execute(&sql, [removal])?;
    Ok(())
}

/// The rows of a table that go with the instances of the deletion `?1`.
fn of_removal((table, column): (&str, &str)) -> String {
    let of = if table == "ways_back" { "removed_objects" } else { "removed_instances" };
    format!("{column} IN (SELECT id FROM {of} WHERE removal = ?1)")
}

/// Those of the instance `?1` among what is deleted.
fn of_one(column: &str) -> String {
    match column {
        "original" => "original IN (SELECT id FROM removed_objects WHERE instance = ?1)".into(),
        column => format!("{column} = ?1"),
    }
}

/// Keeps the numbers that rows have which are to go.
fn remember_numbers(index: &Connection, removal: i64) -> Result<(), Error> {
    for table in ["studies", "series", "instances", "objects", "evidence"] {
        let sql = format!(
            "UPDATE numbers SET value = max(value, (SELECT coalesce(max(id), 0) FROM {table})) WHERE name = '{table}'"
        );
        index.execute(&sql, [])?;
    }
    let sql = "UPDATE numbers SET value = max(value, (SELECT max(version) FROM removed_series WHERE removal = ?1), \
         (SELECT max(version) FROM removed_studies WHERE removal = ?1)) WHERE name = 'versions'";
    index.execute(sql, [removal])?;
    Ok(())
}

/// Counts the instances of all series that a deletion has a part of, under whatever number they are there.
fn recount(index: &Connection, removal: i64) -> Result<(), Error> {
    let sql = "UPDATE series SET version = version + 1, instances = (SELECT count(*) FROM instances i WHERE i.series = series.id) \
         WHERE id IN (SELECT l.id FROM removed_series e JOIN removed_studies s ON s.removal = e.removal AND s.id = e.study \
         JOIN studies ls ON ls.uid = s.uid JOIN series l ON l.study = ls.id AND l.uid = e.uid WHERE e.removal = ?1)";
    index.execute(sql, [removal])?;
    Ok(())
}

/// The same of its study, which goes when it has no series.
fn recount_study(index: &Connection, removal: i64) -> Result<(), Error> {
    let there = "SELECT l.id FROM removed_studies s JOIN studies l ON l.uid = s.uid WHERE s.removal = ?";
    let Some(study) = index.query_row(there, [removal], |row| row.get::<_, i64>(0)).optional()? else { return Ok(()) };
    let modalities = "DELETE FROM study_modalities WHERE study = ?2 AND modality IN \
         (SELECT modality FROM removed_series WHERE removal = ?1) \
         AND NOT EXISTS (SELECT 1 FROM series e WHERE e.study = ?2 AND e.modality = study_modalities.modality)";
    index.execute(modalities, [removal, study])?;
    let modalities =
        "INSERT OR IGNORE INTO study_modalities (modality, study) SELECT modality, study FROM series WHERE study = ?";
    index.execute(modalities, [study])?;
    let sql = format!(
        "UPDATE studies SET version = version + 1, series = (SELECT count(*) FROM series e WHERE e.study = ?1), \
         instances = (SELECT coalesce(sum(e.instances), 0) FROM series e WHERE e.study = ?1), {MODALITIES} WHERE id = ?1"
    );
    index.execute(&sql, [study])?;
    index.execute("DELETE FROM names WHERE study IN (SELECT id FROM studies WHERE id = ? AND series = 0)", [study])?;
    index.execute("DELETE FROM studies WHERE id = ? AND series = 0", [study])?;
    Ok(())
}

/// The columns of a table but for its sum, in their order.
fn columns(index: &Connection, table: &str) -> Result<String, Error> {
    let mut names = index.prepare_cached("SELECT name FROM pragma_table_info(?) WHERE name <> 'sum'")?;
    let names = names.query_map([table], |row| row.get::<_, String>(0))?;
    Ok(names.collect::<Result<Vec<_>, _>>()?.join(", "))
}

/// The same with other values for some of them.
fn renumbered(columns: &str, values: &[(&str, &str)]) -> String {
    let value = |column: &str| values.iter().find(|value| value.0 == column).map(|value| value.1.to_owned());
    columns.split(", ").map(|column| value(column).unwrap_or_else(|| column.to_owned())).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::sqlite::{checksum, schema};

    #[test]
    fn what_is_deleted_has_the_columns_that_it_had() {
        let mut index = Connection::open_in_memory().unwrap();
        checksum::register(&index).unwrap();
        schema::migrate(&mut index).unwrap();
        let others = ["studies", "names", "series"];
        for table in OF_INSTANCES.iter().map(|of| of.0).chain(others) {
            let removed = columns(&index, &format!("removed_{table}")).unwrap();
            assert_eq!(removed, format!("removal, {}", columns(&index, table).unwrap()), "{table}");
        }
    }
}
