//! Which studies a right is for.

use archive::{StudyFacts, Within};
use dicom::Uid;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Which studies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// All there are.
    All,
    /// Those that fulfil one of these; of an empty list, none.
    Any(Vec<Part>),
}

/// What studies are told apart by. Texts are compared as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Part {
    /// Of this patient.
    Patient {
        /// Patient ID.
        id: String,
        /// Issuer of Patient ID; without it, whoever issued it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        issuer: Option<String>,
    },
    /// With a series of this modality: the whole study.
    Modality(String),
    /// With this label.
    Label(String),
    /// One of these, by Study Instance UID.
    Studies(BTreeSet<String>),
}

impl Filter {
    /// Does the study fulfil it?
    pub fn takes(&self, facts: &StudyFacts) -> bool {
        match self {
            Filter::All => true,
            Filter::Any(parts) => parts.iter().any(|part| part.takes(facts)),
        }
    }
}

impl Part {
    /// Does the study fulfil it?
    pub fn takes(&self, facts: &StudyFacts) -> bool {
        match self {
            Part::Patient { id, issuer } => {
                *id == facts.patient && issuer.as_ref().is_none_or(|issuer| *issuer == facts.issuer)
            }
            Part::Modality(modality) => facts.modalities.contains(modality),
            Part::Label(label) => facts.labels.contains(label),
            Part::Studies(uids) => uids.contains(&facts.study),
        }
    }

    /// The same, as searches of the index know it.
    pub fn within(&self) -> Within {
        match self.clone() {
            Part::Patient { id, issuer } => Within::Patient { id, issuer },
            Part::Modality(modality) => Within::Modality(modality),
            Part::Label(label) => Within::Label(label),
            Part::Studies(uids) => Within::Studies(uids.into_iter().collect()),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Patient { id, issuer: None } => write!(f, "patient={id}"),
            Part::Patient { id, issuer: Some(issuer) } => write!(f, "patient={id}^^^{issuer}"),
            Part::Modality(modality) => write!(f, "modality={modality}"),
            Part::Label(label) => write!(f, "label={label}"),
            Part::Studies(uids) => write!(f, "study={}", uids.iter().cloned().collect::<Vec<_>>().join("\\")),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Filter::All => f.write_str("all studies"),
            Filter::Any(parts) if parts.is_empty() => f.write_str("no study"),
            Filter::Any(parts) => f.write_str(&parts.iter().map(Part::to_string).collect::<Vec<_>>().join(" or ")),
        }
    }
}

impl FromStr for Part {
    type Err = String;

    /// `patient=ID`, `patient=ID^^^ISSUER` (as HL7 writes it), `modality=MR`, `label=WORD`, `study=UID`.
    fn from_str(text: &str) -> Result<Part, String> {
        let wrong = || {
            format!(
                "\"{}\" names no studies: write patient=ID, modality=MR, label=WORD or study=UID",
                text.escape_debug()
            )
        };
        let (kind, value) = text.split_once('=').ok_or_else(wrong)?;
        // An empty value would take all studies that have none.
        let value = Some(value.trim()).filter(|value| !value.is_empty()).ok_or_else(wrong)?;
        Ok(match kind.trim() {
            "patient" => match value.split_once("^^^") {
                Some((id, issuer)) if !id.is_empty() && !issuer.is_empty() => {
                    Part::Patient { id: id.to_owned(), issuer: Some(issuer.to_owned()) }
                }
                Some(_) => return Err(wrong()),
                None => Part::Patient { id: value.to_owned(), issuer: None },
            },
            "modality" => Part::Modality(value.to_owned()),
            "label" if !value.contains('\\') => Part::Label(value.to_owned()),
            "study" => {
                let uid = |text: &str| Uid::check(text).map(String::from).map_err(|why| format!("study={text} {why}"));
                Part::Studies(value.split(['\\', ',']).map(uid).collect::<Result<_, _>>()?)
            }
            _ => return Err(wrong()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> StudyFacts {
        StudyFacts {
            study: "1.2".into(),
            patient: "P".into(),
            issuer: "H".into(),
            modalities: vec!["CT".into(), "SR".into()],
            labels: vec!["ward 3".into()],
        }
    }

    #[test]
    fn each_part_takes_what_it_names() {
        for (text, takes) in [
            ("patient=P", true),
            ("patient=P^^^H", true),
            ("patient=P^^^G", false),
            ("patient=p", false),
            ("modality=SR", true),
            ("modality=C", false),
            ("label=ward 3", true),
            ("label=ward", false),
            ("study=1.2", true),
            ("study=1.3\\1.2", true),
            ("study=1.20", false),
        ] {
            let part: Part = text.parse().unwrap();
            assert_eq!(part.takes(&facts()), takes, "{text}");
            let json = serde_json::to_string(&part).unwrap();
            assert_eq!(serde_json::from_str::<Part>(&json).unwrap(), part, "{json}");
        }
        assert!(Filter::All.takes(&facts()) && !Filter::Any(Vec::new()).takes(&facts()));
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for wrong in ["", "patient", "patient=", "patient= ", "patient=^^^H", "name=X", "study=x", "label=a\\b"] {
            assert!(wrong.parse::<Part>().is_err(), "{wrong}");
        }
        for wrong in [r#"{"patient":{"id":"1","name":"x"}}"#, r#"{"institution":"x"}"#, r#"{"patient":{}}"#] {
            assert!(serde_json::from_str::<Part>(wrong).is_err(), "{wrong}");
        }
    }
}
