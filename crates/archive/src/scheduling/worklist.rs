//! The worklist of modalities (PS3.4 Annex K): items are kept by study and scheduled step, and found by keys.

use super::attributes::{Attributes, first, values};
use super::tags::{ACCESSION, ISSUER, MODALITY, PATIENT_ID, PROCEDURE_ID, STEP_DATE, STEP_ID, STEPS, STUDY, name};
use super::{matching, tags};
use crate::archive::Archive;
use crate::error::Error;
use dicom::{Uid, Vr};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use store::index::{ScheduledRow, StudyFacts};

/// An item is forgotten so many days after its own.
pub const SCHEDULED_DAYS: i64 = 30;
/// Items of a worklist.
const MOST: u64 = 20_000;

/// An item: a patient, a study that may not be there yet, and one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Scheduled(Attributes);

/// Why items are not kept.
#[derive(Debug, thiserror::Error)]
pub enum NotScheduled {
    /// There are too many.
    #[error("there is room for {MOST} items: remove some")]
    Full,
    /// The index could not do it.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl Scheduled {
    /// Reads an item. One without a Study Instance UID gets one that is made of patient, accession number and procedure: the same for all
    /// steps of a procedure, and whenever it is sent again.
    pub fn read(json: &Value) -> Result<Scheduled, String> {
        let mut set = Attributes::read(json)?;
        let steps: Vec<_> = set.items(STEPS).collect();
        let [step] = steps[..] else {
            return Err("00400100: an item has one scheduled procedure step".to_owned());
        };
        let has = |what: &str, tag, there: bool| match there {
            true => Ok(()),
            false => Err(format!("{}: {what} is missing", name(tag))),
        };
        let day = first(step, STEP_DATE);
        has("the day, as YYYYMMDD,", STEP_DATE, day.len() == 8 && day.bytes().all(|b| b.is_ascii_digit()))?;
        has("Modality", MODALITY, !first(step, MODALITY).is_empty())?;
        has("Scheduled Procedure Step ID", STEP_ID, !first(step, STEP_ID).is_empty())?;
        has("Patient ID", PATIENT_ID, !set.first(PATIENT_ID).is_empty())?;
        let named = [ACCESSION, PROCEDURE_ID].map(|tag| set.first(tag));
        match set.first(STUDY) {
            "" => {
                has("the study, or an accession number or procedure,", STUDY, named.iter().any(|id| !id.is_empty()))?;
                let of = [set.first(ISSUER), set.first(PATIENT_ID), named[0], named[1]].join("\\");
                set.set(STUDY, Vr::UI, &uid_of(&of));
            }
            study => {
                Uid::check(study).map_err(|why| format!("0020000D {why}"))?;
            }
        }
        Ok(Scheduled(set))
    }

    /// What decides who may see it.
    pub fn facts(&self) -> StudyFacts {
        StudyFacts {
            study: self.0.first(STUDY).to_owned(),
            patient: self.0.first(PATIENT_ID).to_owned(),
            issuer: self.0.first(ISSUER).to_owned(),
            modalities: vec![self.step(MODALITY).to_owned()],
            labels: Vec::new(),
        }
    }

    /// All of it, as DICOM JSON.
    pub fn json(&self) -> &Map<String, Value> {
        self.0.json()
    }

    /// As far as it was asked for.
    pub fn answer(&self, keys: &Map<String, Value>) -> Map<String, Value> {
        matching::answer(keys, self.json())
    }

    fn step(&self, tag: dicom::Tag) -> &str {
        self.0.items(STEPS).next().map_or("", |step| first(step, tag))
    }

    fn row(&self) -> ScheduledRow {
        ScheduledRow {
            study: self.0.first(STUDY).to_owned(),
            step: self.step(STEP_ID).to_owned(),
            day: self.step(STEP_DATE).to_owned(),
            item: self.0.text(),
        }
    }
}

/// A UID that is made of a text.
pub fn uid_of(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let number = digest.iter().take(16).fold(0u128, |number, byte| number << 8 | u128::from(*byte));
    format!("2.25.{number}")
}

impl Archive {
    /// Keeps items, all or none, each in the place of the one of the same study and step; those of days before `oldest` (YYYYMMDD) are
    /// forgotten. How many are new.
    pub fn schedule(&self, items: &[Scheduled], oldest: &str) -> Result<u64, NotScheduled> {
        let index = &self.inner.index;
        index.forget_scheduled(oldest).map_err(Error::from)?;
        let rows = items.iter().map(Scheduled::row).collect();
        index.put_scheduled(rows, MOST).map_err(Error::from)?.ok_or(NotScheduled::Full)
    }

    /// The items that fulfil all keys, by day.
    pub fn scheduled(&self, keys: &Map<String, Value>) -> Result<Vec<Scheduled>, Error> {
        let (from, to) = days(keys);
        let rows = self.inner.index.scheduled(&from, &to)?;
        let items = rows.iter().filter_map(|row| {
            let item = Attributes::stored(&row.item);
            if item.is_none() {
                tracing::error!(study = %row.study, "an item of the worklist cannot be read");
            }
            item.map(Scheduled)
        });
        Ok(items.filter(|item| matching::matches(keys, item.json())).collect())
    }

    /// Forgets an item. Whether it was there.
    pub fn unschedule(&self, item: &Scheduled) -> Result<bool, Error> {
        let row = item.row();
        Ok(self.inner.index.remove_scheduled(&row.study, &row.step)?)
    }
}

/// The days that keys ask for, as far as they say so.
fn days(keys: &Map<String, Value>) -> (String, String) {
    let step = values(keys.get(&name(tags::STEPS))).first().and_then(Value::as_object);
    let asked: String = step.map_or("", |step| first(step, STEP_DATE)).chars().filter(|c| *c != '.').collect();
    let is_day = |text: &str| text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit());
    let (from, to) = asked.split_once('-').unwrap_or((&asked, &asked));
    let (from, to) = (from.trim(), to.trim());
    (
        if is_day(from) { from.to_owned() } else { String::new() },
        if is_day(to) { to.to_owned() } else { "9".to_owned() },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn item(study: &str, step: &str) -> Value {
        let step = json!({
            "00400002": {"vr": "DA", "Value": ["20240105"]},
            "00400009": {"vr": "SH", "Value": [step]},
            "00080060": {"vr": "CS", "Value": ["CT"]},
        });
        json!({
            "00100020": {"vr": "LO", "Value": ["P1"]},
            "0020000D": {"vr": "UI", "Value": [study]},
            "00401001": {"vr": "SH", "Value": ["R1"]},
            "00400100": {"vr": "SQ", "Value": [step]},
        })
    }

    #[test]
    fn an_item_has_what_it_is_found_by() {
        let read = Scheduled::read(&item("1.2", "S1")).unwrap();
        let facts = read.facts();
        assert_eq!(
            (facts.study.as_str(), facts.patient.as_str(), &facts.modalities[..]),
            ("1.2", "P1", &["CT".to_owned()][..])
        );
        let (row, made) = (read.row(), Scheduled::read(&item("", "S1")).unwrap());
        assert_eq!((row.step.as_str(), row.day.as_str()), ("S1", "20240105"));
        assert_eq!(
            made.facts().study,
            Scheduled::read(&item("", "S2")).unwrap().facts().study,
            "one procedure is one study"
        );
        for (tag, value) in [
            ("00100020", json!({"vr": "LO"})),
            ("0020000D", json!({"vr": "UI", "Value": ["x"]})),
            ("00400100", json!({"vr": "SQ"})),
            ("00400100", json!({"vr": "SQ", "Value": [{"00400009": {"vr": "SH", "Value": ["S"]}}]})),
        ] {
            let mut wrong = item("1.2", "S1");
            wrong[tag] = value;
            assert!(Scheduled::read(&wrong).unwrap_err().starts_with(|c: char| c.is_ascii_digit()), "{wrong}");
        }
    }

    #[test]
    fn days_are_those_that_are_asked_for() {
        let of = |day: &str| {
            let keys = json!({"00400100": {"vr": "SQ", "Value": [{"00400002": {"vr": "DA", "Value": [day]}}]}});
            days(keys.as_object().unwrap())
        };
        let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        assert_eq!(of("20240105"), pair("20240105", "20240105"));
        assert_eq!(of("2024.01.05-"), pair("20240105", "9"));
        assert_eq!((of("-20240105"), of("*"), of("")), (pair("", "20240105"), pair("", "9"), pair("", "9")));
    }
}
