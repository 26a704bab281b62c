//! Performed procedure steps (PS3.4 F.7): begun with what is told of them, changed while they are in progress, and ended once for all.

use super::attributes::{Attributes, first};
use super::tags::{INSTANCE, ISSUER, MODALITY, PATIENT_ID, SCHEDULED_ATTRIBUTES, STATUS, STUDY};
use super::worklist::uid_of;
use crate::archive::Archive;
use crate::error::Error;
use dicom::{Uid, Vr};
use serde_json::{Map, Value};
use std::time::{SystemTime, UNIX_EPOCH};
use store::index::StudyFacts;

/// What was not changed for so many days is forgotten.
pub const PERFORMED_DAYS: i64 = 365;
/// A change is tried so often where others change the same.
const TRIES: usize = 8;

/// In what state a step is (PS3.3 C.4.14).
const IN_PROGRESS: &str = "IN PROGRESS";
const ENDS: [&str; 2] = ["COMPLETED", "DISCONTINUED"];

/// Why a step is not begun, or not changed.
#[derive(Debug, thiserror::Error)]
pub enum NotPerformed {
    /// One of this UID is there.
    #[error("it is there already")]
    Duplicate,
    /// None of this UID is there, for whoever asks.
    #[error("there is no such step")]
    NotThere,
    /// An attribute that has to be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// An attribute has a value that it can't have.
    #[error("{0}")]
    Wrong(String),
    /// It has ended.
    #[error("it has ended, and may no longer be updated")]
    Ended,
    /// Whoever asks may not do that.
    #[error("you may not do that")]
    NotAllowed,
    /// The index could not do it.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl Archive {
    /// Begins a step; under a UID of ours where none is given. `may`: who asks may store what is of such a study.
    pub fn begin_performed(
        &self,
        uid: &str,
        told: Attributes,
        may: &dyn Fn(&StudyFacts) -> bool,
    ) -> Result<String, NotPerformed> {
        match told.first(STATUS) {
            IN_PROGRESS => {}
            "" => return Err(NotPerformed::Missing("Performed Procedure Step Status")),
            other => return Err(NotPerformed::Wrong(format!("a step does not begin as {other}"))),
        }
        let facts = facts(&told);
        if facts.study.is_empty() {
            return Err(NotPerformed::Missing("Study Instance UID of the scheduled step"));
        }
        if !may(&facts) {
            return Err(NotPerformed::NotAllowed);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let uid = match uid {
            "" => uid_of(&format!("{}{}", told.text(), now.as_nanos())),
            uid => Uid::check(uid).map_err(|why| NotPerformed::Wrong(format!("its UID {why}")))?.as_str().to_owned(),
        };
        let index = &self.inner.index;
        let oldest = i64::try_from(now.as_secs()).unwrap_or(0) - PERFORMED_DAYS * 86_400;
        index.forget_performed(oldest).map_err(Error::from)?;
        match index.add_performed(&uid, &told.text()).map_err(Error::from)? {
            true => Ok(uid),
            false => Err(NotPerformed::Duplicate),
        }
    }

    /// Changes a step that is in progress, and perhaps ends it.
    pub fn change_performed(
        &self,
        uid: &str,
        change: &Attributes,
        may: &dyn Fn(&StudyFacts) -> bool,
    ) -> Result<(), NotPerformed> {
        let state = change.first(STATUS);
        if !state.is_empty() && state != IN_PROGRESS && !ENDS.contains(&state) {
            return Err(NotPerformed::Wrong(format!("a step does not become {state}")));
        }
        for _ in 0..TRIES {
            let row = self.inner.index.performed(uid).map_err(Error::from)?.ok_or(NotPerformed::NotThere)?;
            let mut step =
                Attributes::stored(&row.item).ok_or_else(|| NotPerformed::Wrong("it cannot be read".into()))?;
            if !may(&facts(&step)) {
                return Err(NotPerformed::NotThere);
            }
            if step.first(STATUS) != IN_PROGRESS {
                return Err(NotPerformed::Ended);
            }
            step.change(change.clone());
            // Nor may it become a step of a study that the same caller could not have begun.
            if !may(&facts(&step)) {
                return Err(NotPerformed::NotAllowed);
            }
            if self.inner.index.change_performed(uid, &row.item, &step.text()).map_err(Error::from)? {
                return Ok(());
            }
        }
        Err(NotPerformed::Failed(Error::Closed))
    }

    /// The steps that were changed last, with their SOP Instance UIDs, as DICOM JSON.
    pub fn performed(&self, most: u32, may: &dyn Fn(&StudyFacts) -> bool) -> Result<Vec<Map<String, Value>>, Error> {
        let rows = self.inner.index.last_performed(most)?;
        let steps = rows.into_iter().filter_map(|row| {
            let mut step = Attributes::stored(&row.item).filter(|step| may(&facts(step)))?;
            step.set(INSTANCE, Vr::UI, &row.uid);
            Some(step.into_json())
        });
        Ok(steps.collect())
    }
}

/// What decides who may see a step.
fn facts(step: &Attributes) -> StudyFacts {
    let study = step.items(SCHEDULED_ATTRIBUTES).map(|item| first(item, STUDY)).find(|uid| !uid.is_empty());
    StudyFacts {
        study: study.unwrap_or_default().to_owned(),
        patient: step.first(PATIENT_ID).to_owned(),
        issuer: step.first(ISSUER).to_owned(),
        modalities: vec![step.first(MODALITY).to_owned()],
        labels: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use serde_json::json;

    fn told(state: &str) -> Attributes {
        let json = json!({
            "00400252": {"vr": "CS", "Value": [state]},
            "00080060": {"vr": "CS", "Value": ["CT"]},
            "00100020": {"vr": "LO", "Value": ["P1"]},
            "00400270": {"vr": "SQ", "Value": [{"0020000D": {"vr": "UI", "Value": ["1.2"]}}]},
        });
        Attributes::read(&json).unwrap()
    }

    fn state(state: &str) -> Attributes {
        Attributes::read(&json!({"00400252": {"vr": "CS", "Value": [state]}})).unwrap()
    }

    #[test]
    fn a_step_begins_once_and_ends_once() {
        let folder = tempfile::tempdir().unwrap();
        let archive = Archive::open(folder.path(), Options::default()).unwrap();
        let anyone = |_: &StudyFacts| true;
        let begin = |uid: &str, set: Attributes| archive.begin_performed(uid, set, &anyone);
        assert!(matches!(begin("1.5", told("COMPLETED")), Err(NotPerformed::Wrong(_))));
        assert!(matches!(begin("1.5", Attributes::default()), Err(NotPerformed::Missing(_))));
        assert!(matches!(begin("1.5", state(IN_PROGRESS)), Err(NotPerformed::Missing(_))));
        assert!(matches!(begin("x", told(IN_PROGRESS)), Err(NotPerformed::Wrong(_))));
        assert_eq!(begin("1.5", told(IN_PROGRESS)).unwrap(), "1.5");
        assert!(matches!(begin("1.5", told(IN_PROGRESS)), Err(NotPerformed::Duplicate)));
        assert_ne!(begin("", told(IN_PROGRESS)).unwrap(), begin("", told(IN_PROGRESS)).unwrap());
        let change = |uid: &str, to: &str| archive.change_performed(uid, &state(to), &anyone);
        assert!(matches!(change("1.6", "COMPLETED"), Err(NotPerformed::NotThere)));
        assert!(matches!(change("1.5", "SCHEDULED"), Err(NotPerformed::Wrong(_))));
        assert!(change("1.5", IN_PROGRESS).is_ok() && change("1.5", "DISCONTINUED").is_ok());
        assert!(matches!(change("1.5", IN_PROGRESS), Err(NotPerformed::Ended)));
        let listed = archive.performed(9, &anyone).unwrap();
        assert_eq!(listed.len(), 3);
        let ended: Vec<_> = listed.iter().filter(|step| first(step, STATUS) == "DISCONTINUED").collect();
        assert_eq!(ended.iter().map(|step| first(step, INSTANCE)).collect::<Vec<_>>(), ["1.5"]);
    }

    #[test]
    fn what_may_not_be_seen_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let archive = Archive::open(folder.path(), Options::default()).unwrap();
        let (own, other) = (|facts: &StudyFacts| facts.patient == "P1", |facts: &StudyFacts| facts.patient == "P2");
        assert!(matches!(archive.begin_performed("1.5", told(IN_PROGRESS), &other), Err(NotPerformed::NotAllowed)));
        archive.begin_performed("1.5", told(IN_PROGRESS), &own).unwrap();
        let ended = state("COMPLETED");
        assert!(matches!(archive.change_performed("1.5", &ended, &other), Err(NotPerformed::NotThere)));
        let moved = Attributes::read(&json!({"00100020": {"vr": "LO", "Value": ["P2"]}})).unwrap();
        assert!(matches!(archive.change_performed("1.5", &moved, &own), Err(NotPerformed::NotAllowed)));
        assert_eq!((archive.performed(9, &other).unwrap().len(), archive.performed(9, &own).unwrap().len()), (0, 1));
    }
}
