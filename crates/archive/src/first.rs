//! What a study is shown by: its series in the order of a viewer, and the first picture of each.

use dicom::Facts;
use store::index::{IsPicture, Picture as Shown};

use crate::archive::Archive;
use crate::error::Error;

/// Modalities whose pictures, if they have any, are drawn on others: segmentations, marks, plans, doses, documents.
const ON_OTHERS: [&str; 10] = ["SEG", "KO", "PR", "SR", "RTSTRUCT", "RTDOSE", "RTPLAN", "RTRECORD", "REG", "DOC"];
/// Storage classes of segmentations, whatever their modality says.
const SEGMENTATIONS: [&str; 2] = ["1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"];

impl Archive {
    /// The series of a study in the order in which a viewer shows them: those with pictures first, by Series Number.
    /// Never empty; `None` when there is no such study.
    pub fn shown(&self, study: &str) -> Result<Option<Vec<Shown>>, Error> {
        let is_picture = IsPicture { modality: &|modality| !ON_OTHERS.contains(&modality), instance: &is_picture };
        let mut shown = self.inner.index.pictures(study, is_picture)?;
        if let Some(shown) = &mut shown {
            shown.sort_by_key(|shown| shown.picture.is_none());
        }
        Ok(shown)
    }
}

fn is_picture(class: &str, facts: &str) -> bool {
    let has_pixels = |facts: Facts| facts.rows > 0 && facts.columns > 0 && facts.frames > 0;
    !SEGMENTATIONS.contains(&class) && serde_json::from_str(facts).is_ok_and(has_pixels)
}
