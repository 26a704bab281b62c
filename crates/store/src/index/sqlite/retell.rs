//! What is told of a study and a series, by another instance: the one that came first of those that are left.

use rusqlite::{Connection, params};

use super::register::{MODALITIES, insert_names, instance, series, study, touch};
use crate::Error;
use crate::index::register::NewInstance;
use crate::index::search::QueryLevel;

/// Tells of its study, or its series, what an instance says.
pub(super) fn retell(index: &Connection, first: &NewInstance, level: QueryLevel) -> Result<(), Error> {
    let Some(study) = study(index, &first.key.study)? else { return Ok(()) };
    let Some(series) = series(index, study, &first.key.series)? else { return Ok(()) };
    if instance(index, series, &first.key.sop)?.is_none() {
        return Ok(());
    }
    match level {
        QueryLevel::Study => retell_study(index, first, study)?,
        QueryLevel::Series => retell_series(index, first, study, series)?,
        QueryLevel::Instance => return Ok(()),
    }
    touch(index, study, series, 0)
}

fn retell_study(index: &Connection, first: &NewInstance, study: i64) -> Result<(), Error> {
    let (of, shown) = (&first.study, &first.study_shown);
    let sql = "UPDATE studies SET date = ?, time = ?, accession = ?, patient_id = ?, birth_date = ?, sex = ?, study_id = ?, \
         description = ?, common = ?, more = ? WHERE id = ?";
    index.execute(
        sql,
        params![
            of.date,
            of.time,
            of.accession,
            of.patient_id,
            of.birth_date,
            of.sex,
            of.study_id,
            of.description,
            shown.common,
            shown.more,
            study
        ],
    )?;
    index.execute("DELETE FROM names WHERE study = ?", [study])?;
    insert_names(first, index, study)
}

fn retell_series(index: &Connection, first: &NewInstance, study: i64, series: i64) -> Result<(), Error> {
    let (of, shown) = (&first.series, &first.series_shown);
    let before: String = index.query_row("SELECT modality FROM series WHERE id = ?", [series], |row| row.get(0))?;
    let sql = "UPDATE series SET modality = ?, number = ?, description = ?, body_part = ?, pps_date = ?, pps_time = ?, step_id = ?, \
         procedure_id = ?, common = ?, more = ? WHERE id = ?";
    index.execute(
        sql,
        params![
            first.modality,
            first.series_number,
            of.description,
            of.body_part,
            of.pps_date,
            of.pps_time,
            of.step_id,
            of.procedure_id,
            shown.common,
            shown.more,
            series
        ],
    )?;
    let left = "DELETE FROM study_modalities WHERE study = ?1 AND modality = ?2 \
         AND NOT EXISTS (SELECT 1 FROM series e WHERE e.study = ?1 AND e.modality = ?2)";
    index.execute(left, params![study, before])?;
    let sql = "INSERT OR IGNORE INTO study_modalities (modality, study) VALUES (?, ?)";
    index.execute(sql, params![first.modality, study])?;
    index.execute(&format!("UPDATE studies SET {MODALITIES} WHERE id = ?1"), [study])?;
    Ok(())
}
