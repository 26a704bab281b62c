//! What somebody was granted: rights, each for some studies.

use crate::error::Error;
use crate::filter::Filter;
use crate::right::{Right, Rights};
use serde::{Deserialize, Serialize};

/// Rights for some studies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// What may be done.
    pub may: Rights,
    /// With which studies.
    pub on: Filter,
}

/// All that somebody was granted. Nothing, unless something was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grants(pub Vec<Grant>);

impl Grants {
    /// Everything.
    pub fn everything() -> Grants {
        Grants::one(Rights::all(), Filter::All)
    }

    /// Rights for some studies, and no others.
    pub fn one(may: Rights, on: Filter) -> Grants {
        Grants(vec![Grant { may, on }])
    }

    /// Is the right among them, for whatever studies?
    pub fn has(&self, right: Right) -> bool {
        self.0.iter().any(|grant| grant.may.has(right))
    }

    /// As it is kept.
    pub fn to_text(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// From what is kept. What can't be read grants nothing, and that is said.
    pub fn of_text(text: &str, whose: &str) -> Result<Grants, Error> {
        serde_json::from_str(text).map_err(|_| Error::Grants { whose: whose.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_or_refused() {
        let grants = Grants(vec![
            Grant { may: "read".parse().unwrap(), on: Filter::All },
            Grant { may: "write,share".parse().unwrap(), on: Filter::Any(vec!["modality=MR".parse().unwrap()]) },
        ]);
        assert_eq!(Grants::of_text(&grants.to_text(), "ana").unwrap(), grants);
        assert!(grants.has(Right::Share) && !grants.has(Right::Delete) && !Grants::default().has(Right::Read));
        for damaged in [
            "",
            "{}",
            r#"[{"may":["read"]}]"#,
            r#"[{"may":["read"],"on":"some"}]"#,
            r#"[{"may":["read"],"on":"all","but":1}]"#,
        ] {
            assert!(Grants::of_text(damaged, "ana").is_err(), "{damaged}");
        }
    }
}
