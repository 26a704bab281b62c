//! Rows that move to the tables of what is deleted, and back.
//!
//! Numbers stay the same on the way, and none is given twice: memory that knows an object by its number never mistakes another for it.

use super::checksum::table;
use super::register::VERSION;
use super::task::Group;
use super::values::{get, number};
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
pub(super) fn go(group: &Group<'_>, removal: i64, of: (&str, Option<&str>, Option<&str>)) -> Result<u64, Error> {
    let scope = "SELECT i.id FROM studies s JOIN series e ON e.study = s.id JOIN instances i ON i.series = e.id \
         WHERE s.uid = $2 AND ($3::text IS NULL OR e.uid = $3) AND ($4::text IS NULL OR i.uid = $4)";
    let all = columns(group, "instances")?;
    let sql = format!(
        "INSERT INTO removed_instances (removal, {all}) SELECT $1::bigint, {all} FROM instances WHERE id IN ({scope}) RETURNING id"
    );
    let rows = group.rows(&sql, &[&removal, &of.0, &of.1, &of.2])?;
    let instances = rows.iter().map(|row| get(row, 0)).collect::<Result<Vec<i64>, _>>()?;
    if instances.is_empty() {
        return Ok(0);
    }
    let series = "SELECT series FROM removed_instances WHERE removal = $1";
    let study = "SELECT study FROM removed_series WHERE removal = $1";
    for (table, rows) in [
        ("series", format!("id IN ({series})")),
        ("studies", format!("id IN ({study})")),
        ("names", format!("study IN ({study})")),
    ] {
        copy(group, removal, table, &rows)?;
    }
    OF_INSTANCES[1..].iter().try_for_each(|of| copy(group, removal, of.0, &of_removal(*of)))?;
    count(group, &instances, -1)?;
    let versions = "UPDATE numbers SET value = greatest(value, (SELECT max(version) FROM removed_series WHERE removal = $1), \
         (SELECT max(version) FROM removed_studies WHERE removal = $1)) WHERE name = 'versions'";
    group.execute(versions, &[&removal])?;
    let faults = "DELETE FROM faults WHERE name IN (SELECT encode(key, 'hex') FROM removed_objects WHERE removal = $1 \
         UNION SELECT 'object ' || encode(key, 'hex') FROM removed_objects WHERE removal = $1)";
    group.execute(faults, &[&removal])?;
    for of in OF_INSTANCES.iter().rev() {
        group.execute(&format!("DELETE FROM {} WHERE {}", of.0, of_removal(*of)), &[&removal])?;
    }
    group.execute(&format!("DELETE FROM prepared WHERE series IN ({series})"), &[&removal])?;
    recount(group, removal)?;
    let empty = format!("DELETE FROM series WHERE id IN ({series}) AND instances = 0");
    let gone = group.execute(&empty, &[&removal])?;
    group.later().count("series", -number(gone));
    recount_study(group, removal)?;
    Ok(instances.len() as u64)
}

/// Brings back the instances of a deletion whose UIDs, and whose objects, nobody else has by now; says how many.
pub(super) fn come_back(group: &Group<'_>, removal: i64) -> Result<u64, Error> {
    let back = free(group, removal)?;
    if back.is_empty() {
        return Ok(0);
    }
    let study = study_back(group, removal)?;
    let mut number = 0;
    for (series, instances) in back {
        let there = series_back(group, removal, series, study)?;
        count(group, &instances, 1)?;
        instances_back(group, &instances, there)?;
        number += instances.len() as u64;
    }
    recount(group, removal)?;
    recount_study(group, removal)?;
    Ok(number)
}

/// The instances that can come back, series by series, under the numbers that these had.
fn free(group: &Group<'_>, removal: i64) -> Result<Vec<(i64, Vec<i64>)>, Error> {
    let sql = "SELECT i.series, array_agg(i.id ORDER BY i.id) FROM removed_instances i \
         JOIN removed_series e ON e.removal = i.removal AND e.id = i.series \
         JOIN removed_studies s ON s.removal = i.removal AND s.id = e.study WHERE i.removal = $1 \
         AND NOT EXISTS (SELECT 1 FROM studies ls JOIN series le ON le.study = ls.id JOIN instances li ON li.series = le.id \
         WHERE ls.uid = s.uid AND le.uid = e.uid AND li.uid = i.uid) \
         AND NOT EXISTS (SELECT 1 FROM removed_objects o JOIN objects l ON l.key = o.key WHERE o.instance = i.id) \
         GROUP BY i.series ORDER BY i.series";
    let rows = group.rows(sql, &[&removal])?;
    rows.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?))).collect()
}

/// The number of the study: of the one that is there under its UID, or of the one that comes back.
fn study_back(group: &Group<'_>, removal: i64) -> Result<i64, Error> {
    let there = "SELECT l.id FROM removed_studies s JOIN studies l ON l.uid = s.uid WHERE s.removal = $1";
    if let Some(row) = group.row(there, &[&removal])? {
        return get(&row, 0);
    }
    let all = columns(group, "studies")?;
    let values = renumbered(&all, &[("version", VERSION)]);
    let sql =
        format!("INSERT INTO studies ({all}) SELECT {values} FROM removed_studies WHERE removal = $1 RETURNING id");
    let study = get(&group.one(&sql, &[&removal])?, 0)?;
    group.later().count("studies", 1);
    let all = columns(group, "names")?;
    let sql = format!("INSERT INTO names ({all}) SELECT {all} FROM removed_names WHERE removal = $1");
    group.execute(&sql, &[&removal])?;
    Ok(study)
}

/// The same of a series, in this study.
fn series_back(group: &Group<'_>, removal: i64, series: i64, study: i64) -> Result<i64, Error> {
    let there = "SELECT l.id FROM removed_series e JOIN series l ON l.study = $3 AND l.uid = e.uid \
         WHERE e.removal = $1 AND e.id = $2";
    if let Some(row) = group.row(there, &[&removal, &series, &study])? {
        return get(&row, 0);
    }
    let all = columns(group, "series")?;
    let values = renumbered(&all, &[("version", VERSION), ("study", "$3::bigint")]);
    let sql = format!(
        "INSERT INTO series ({all}) SELECT {values} FROM removed_series WHERE removal = $1 AND id = $2 RETURNING id"
    );
    let there = get(&group.one(&sql, &[&removal, &series, &study])?, 0)?;
    group.later().count("series", 1);
    Ok(there)
}

fn instances_back(group: &Group<'_>, instances: &[i64], series: i64) -> Result<(), Error> {
    for (table, column) in OF_INSTANCES {
        let all = columns(group, table)?;
        if table == "instances" {
            let values = renumbered(&all, &[("series", "$2::bigint")]);
            let sql =
                format!("INSERT INTO instances ({all}) SELECT {values} FROM removed_instances WHERE id = ANY($1)");
            group.execute(&sql, &[&instances, &series])?;
        } else {
            let sql =
                format!("INSERT INTO {table} ({all}) SELECT {all} FROM removed_{table} WHERE {}", of_these(column));
            group.execute(&sql, &[&instances])?;
        }
    }
    for (table, column) in OF_INSTANCES.iter().rev() {
        group.execute(&format!("DELETE FROM removed_{table} WHERE {}", of_these(column)), &[&instances])?;
    }
    Ok(())
}

fn copy(group: &Group<'_>, removal: i64, table: &str, rows: &str) -> Result<(), Error> {
    let all = columns(group, table)?;
    let sql =
        format!("INSERT INTO removed_{table} (removal, {all}) SELECT $1::bigint, {all} FROM {table} WHERE {rows}");
    group.execute(&sql, &[&removal]).map(drop)
}

/// Counts instances that lie in the tables of what is deleted, with all that is of them: as gone (-1) or as back (1).
fn count(group: &Group<'_>, instances: &[i64], by: i64) -> Result<(), Error> {
    let objects =
        "SELECT role, count(*), sum(bytes)::bigint FROM removed_objects WHERE instance = ANY($1) GROUP BY role";
    let jobs = "SELECT state, count(*) FROM removed_jobs WHERE instance = ANY($1) GROUP BY state";
    let ways = "SELECT count(w.residue), coalesce(sum(octet_length(w.residue)), 0)::bigint, count(w.released), \
         coalesce(sum(o.bytes) FILTER (WHERE w.released IS NOT NULL), 0)::bigint FROM removed_ways_back w \
         JOIN removed_objects o ON o.id = w.original WHERE o.instance = ANY($1)";
    group.later().count("instances", by * number(instances.len() as u64));
    for row in group.rows(objects, &[&instances])? {
        let (role, objects, bytes): (i64, i64, i64) = (get(&row, 0)?, get(&row, 1)?, get(&row, 2)?);
        group.later().count(format!("objects{role}"), by * objects);
        group.later().count(format!("bytes{role}"), by * bytes);
    }
    for row in group.rows(jobs, &[&instances])? {
        let (state, jobs): (i64, i64) = (get(&row, 0)?, get(&row, 1)?);
        group.later().count(format!("jobs{state}"), by * jobs);
    }
    let row = group.one(ways, &[&instances])?;
    for (n, name) in ["ways_back", "residue_bytes", "released", "released_bytes"].into_iter().enumerate() {
        group.later().count(name, by * get::<i64>(&row, n)?);
    }
    Ok(())
}

/// The rows of a table that go with the instances of the deletion `$1`.
fn of_removal((table, column): (&str, &str)) -> String {
    let of = if table == "ways_back" { "removed_objects" } else { "removed_instances" };
    format!("{column} IN (SELECT id FROM {of} WHERE removal = $1)")
}

/// Those of the instances `$1` among what is deleted.
fn of_these(column: &str) -> String {
    match column {
        "original" => "original IN (SELECT id FROM removed_objects WHERE instance = ANY($1))".into(),
        column => format!("{column} = ANY($1)"),
    }
}

/// Counts the instances of all series that a deletion has a part of, under whatever number they are there.
fn recount(group: &Group<'_>, removal: i64) -> Result<(), Error> {
    let sql = "UPDATE series SET version = version + 1, instances = (SELECT count(*) FROM instances i WHERE i.series = series.id) \
         WHERE id IN (SELECT l.id FROM removed_series e JOIN removed_studies s ON s.removal = e.removal AND s.id = e.study \
         JOIN studies ls ON ls.uid = s.uid JOIN series l ON l.study = ls.id AND l.uid = e.uid WHERE e.removal = $1)";
    group.execute(sql, &[&removal]).map(drop)
}

/// The same of its study, which goes when it has no series.
fn recount_study(group: &Group<'_>, removal: i64) -> Result<(), Error> {
    let there = "SELECT l.id FROM removed_studies s JOIN studies l ON l.uid = s.uid WHERE s.removal = $1";
    let Some(row) = group.row(there, &[&removal])? else { return Ok(()) };
    let study: i64 = get(&row, 0)?;
    let modalities = "DELETE FROM study_modalities m WHERE study = $2 AND modality IN \
         (SELECT modality FROM removed_series WHERE removal = $1) \
         AND NOT EXISTS (SELECT 1 FROM series e WHERE e.study = $2 AND e.modality = m.modality)";
    group.execute(modalities, &[&removal, &study])?;
    let modalities = "INSERT INTO study_modalities (modality, study) SELECT DISTINCT modality, study FROM series \
         WHERE study = $1 ON CONFLICT DO NOTHING";
    group.execute(modalities, &[&study])?;
    let sql = r"UPDATE studies s SET version = version + 1, series = (SELECT count(*) FROM series e WHERE e.study = $1),
         instances = (SELECT coalesce(sum(e.instances), 0) FROM series e WHERE e.study = $1),
         modalities = (SELECT coalesce(string_agg(modality, '\' ORDER BY modality), '') FROM
         (SELECT DISTINCT modality FROM series e WHERE e.study = $1 AND modality <> '') m) WHERE id = $1";
    group.execute(sql, &[&study])?;
    group
        .execute("DELETE FROM names WHERE study IN (SELECT id FROM studies WHERE id = $1 AND series = 0)", &[&study])?;
    let gone = group.execute("DELETE FROM studies WHERE id = $1 AND series = 0", &[&study])?;
    group.later().count("studies", -number(gone));
    Ok(())
}

/// The columns of a table but for its sum, in their order.
fn columns(group: &Group<'_>, name: &str) -> Result<String, Error> {
    let table = table(group, name)?.ok_or_else(|| Error::Damaged(format!("the index has no table {name}")))?;
    Ok(table.names().join(", "))
}

/// The same with other values for some of them.
fn renumbered(columns: &str, values: &[(&str, &str)]) -> String {
    let value = |column: &str| values.iter().find(|value| value.0 == column).map(|value| value.1.to_owned());
    columns.split(", ").map(|column| value(column).unwrap_or_else(|| column.to_owned())).collect::<Vec<_>>().join(", ")
}
