//! What is told of a study and a series, by another instance: the one that came first of those that are left.

use super::register::insert_names;
use super::task::Group;
use super::values::{Text, get, matched};
use crate::Error;
use crate::index::register::NewInstance;
use crate::index::search::QueryLevel;

/// Tells of its study, or its series, what an instance says.
pub(super) fn retell(group: &Group<'_>, first: &NewInstance, level: QueryLevel) -> Result<(), Error> {
    let key = &first.key;
    let sql = "SELECT s.id, e.id FROM studies s JOIN series e ON e.study = s.id JOIN instances i ON i.series = e.id \
         WHERE s.uid = $1 AND e.uid = $2 AND i.uid = $3";
    let Some(row) = group.row(sql, &[&key.study, &key.series, &key.sop])? else { return Ok(()) };
    let (study, series): (i64, i64) = (get(&row, 0)?, get(&row, 1)?);
    match level {
        QueryLevel::Study => retell_study(group, first, study)?,
        QueryLevel::Series => retell_series(group, first, study, series)?,
        QueryLevel::Instance => return Ok(()),
    }
    group.later().touch(study, series, 0);
    Ok(())
}

fn retell_study(group: &Group<'_>, first: &NewInstance, study: i64) -> Result<(), Error> {
    let (of, shown) = (&first.study, &first.study_shown);
    let sql = "UPDATE studies SET date = $2, time = $3, accession = $4, patient_id = $5, birth_date = $6, sex = $7, study_id = $8, \
         description = $9, common = $10, more = $11 WHERE id = $1";
    group.execute(
        sql,
        &[
            &study,
            &matched(&of.date),
            &matched(&of.time),
            &matched(&of.accession),
            &matched(&of.patient_id),
            &matched(&of.birth_date),
            &matched(&of.sex),
            &matched(&of.study_id),
            &matched(&of.description),
            &Text(&shown.common),
            &Text(&shown.more),
        ],
    )?;
    group.execute("DELETE FROM names WHERE study = $1", &[&study])?;
    insert_names(first, group, study)
}

fn retell_series(group: &Group<'_>, first: &NewInstance, study: i64, series: i64) -> Result<(), Error> {
    let (of, shown) = (&first.series, &first.series_shown);
    let before: String = get(&group.one("SELECT modality FROM series WHERE id = $1", &[&series])?, 0)?;
    let sql = "UPDATE series SET modality = $2, number = $3, description = $4, body_part = $5, pps_date = $6, pps_time = $7, \
         step_id = $8, procedure_id = $9, common = $10, more = $11 WHERE id = $1";
    group.execute(
        sql,
        &[
            &series,
            &matched(&first.modality),
            &first.series_number,
            &matched(&of.description),
            &matched(&of.body_part),
            &matched(&of.pps_date),
            &matched(&of.pps_time),
            &matched(&of.step_id),
            &matched(&of.procedure_id),
            &Text(&shown.common),
            &Text(&shown.more),
        ],
    )?;
    let left = "DELETE FROM study_modalities WHERE study = $1 AND modality = $2 \
         AND NOT EXISTS (SELECT 1 FROM series e WHERE e.study = $1 AND e.modality = $2)";
    group.execute(left, &[&study, &before])?;
    let sql = "INSERT INTO study_modalities (modality, study) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    group.execute(sql, &[&matched(&first.modality), &study])?;
    let sql = r"UPDATE studies SET modalities = (SELECT coalesce(string_agg(modality, '\' ORDER BY modality), '') FROM
         (SELECT DISTINCT modality FROM series e WHERE e.study = $1 AND modality <> '') m) WHERE id = $1";
    group.execute(sql, &[&study])?;
    Ok(())
}
