//! What a study is shown by: its series in the order of a viewer, and the first picture of each.

use dicom::Facts;
use rusqlite::OptionalExtension;

use crate::{Archive, Error};

/// Modalities whose pictures, if they have any, are drawn on others: segmentations, marks, plans, doses, documents.
const ON_OTHERS: [&str; 10] = ["SEG", "KO", "PR", "SR", "RTSTRUCT", "RTDOSE", "RTPLAN", "RTRECORD", "REG", "DOC"];
/// Storage classes of segmentations, whatever their modality says.
const SEGMENTATIONS: [&str; 2] = ["1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"];

/// A series, and the picture that it is shown by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Series Instance UID.
    pub series: String,
    /// SOP Instance UID of its first instance, by Instance Number, that is a picture of its own.
    pub picture: Option<String>,
}

impl Archive {
    /// The series of a study in the order in which a viewer shows them: those with pictures first, by Series Number.
    /// Never empty; `None` when there is no such study.
    pub fn shown(&self, study: &str) -> Result<Option<Vec<Shown>>, Error> {
        self.inner.index.read(|snapshot| {
            let find = "SELECT id FROM studies WHERE uid = ?";
            let found: Option<i64> = snapshot.prepare_cached(find)?.query_row([study], |row| row.get(0)).optional()?;
            let Some(study) = found else { return Ok(None) };
            let mut series =
                snapshot.prepare_cached("SELECT id, uid, modality FROM series WHERE study = ? ORDER BY number, id")?;
            let mut pictures = snapshot.prepare_cached(
                "SELECT i.uid, i.class, o.facts FROM instances i JOIN objects o ON o.id = i.object \
                 WHERE i.series = ? ORDER BY i.number, i.id",
            )?;
            let (mut shown, mut all) = (Vec::new(), series.query([study])?);
            while let Some(row) = all.next()? {
                let (id, series, modality): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let mut picture = None;
                // No more is read than up to the first picture.
                let mut instances = pictures.query([id])?;
                while let Some(row) = instances.next()?.filter(|_| !ON_OTHERS.contains(&modality.as_str())) {
                    let (class, facts): (String, String) = (row.get(1)?, row.get(2)?);
                    if is_picture(&class, &facts) {
                        picture = Some(row.get(0)?);
                        break;
                    }
                }
                shown.push(Shown { series, picture });
            }
            shown.sort_by_key(|shown| shown.picture.is_none());
            Ok(Some(shown))
        })
    }
}

fn is_picture(class: &str, facts: &str) -> bool {
    let has_pixels = |facts: Facts| facts.rows > 0 && facts.columns > 0 && facts.frames > 0;
    !SEGMENTATIONS.contains(&class) && serde_json::from_str(facts).is_ok_and(has_pixels)
}
