//! What somebody with certain claims may.

use crate::filter::{Filter, Part};
use crate::grant::{Grant, Grants};
use crate::right::Rights;
use serde_json::{Map, Value};

/// Whose claim holds a value has these rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Name of the claim; within an object, names joined by dots (`realm_access.roles`).
    pub claim: String,
    /// What it is, or one of what it lists. `None`: it is enough that it is there.
    pub value: Option<String>,
    /// What may be done.
    pub may: Rights,
    /// With which studies.
    pub only: Option<Vec<Part>>,
}

impl Rule {
    /// What all rules together grant.
    pub fn grants(rules: &[Rule], subject: &str, claims: &Map<String, Value>) -> Grants {
        let holds = |rule: &&Rule| match rule.claim.as_str() {
            "sub" => rule.value.as_deref().is_none_or(|value| value == subject),
            name => claim(claims, name).is_some_and(|claim| rule.is_in(claim)),
        };
        let grant = |rule: &Rule| Grant { may: rule.may, on: rule.only.clone().map_or(Filter::All, Filter::Any) };
        Grants(rules.iter().filter(holds).map(grant).collect())
    }

    fn is_in(&self, claim: &Value) -> bool {
        let Some(wanted) = &self.value else { return !claim.is_null() };
        match claim {
            // Scopes come as words in one text (RFC 8693 4.2).
            Value::String(text) => {
                text == wanted || (self.claim == "scope" && text.split(' ').any(|word| word == wanted))
            }
            Value::Array(all) => all.iter().any(|one| one.as_str() == Some(wanted)),
            Value::Bool(is) => wanted == &is.to_string(),
            _ => false,
        }
    }
}

/// A claim by its whole name, or by names within names.
fn claim<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    claims.get(name).or_else(|| {
        let (first, rest) = name.split_once('.')?;
        claim(claims.get(first)?.as_object()?, rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::right::Right;
    use serde_json::json;

    #[test]
    fn rules_grant_what_claims_hold() {
        let rule = |claim: &str, value: Option<&str>| Rule {
            claim: claim.into(),
            value: value.map(Into::into),
            may: [Right::Read].into_iter().collect(),
            only: Some(vec!["modality=MR".parse().unwrap()]),
        };
        let claims = json!({"groups": ["mr", "ct"], "realm_access": {"roles": ["reader"]}, "scope": "openid dicom", "email_verified": true, "x.y": "z"});
        let claims = claims.as_object().unwrap();
        for (claim, value, holds) in [
            ("groups", Some("mr"), true),
            ("groups", Some("m"), false),
            ("groups", None, true),
            ("realm_access.roles", Some("reader"), true),
            ("realm_access", Some("reader"), false),
            ("scope", Some("dicom"), true),
            ("scope", Some("dico"), false),
            ("email_verified", Some("true"), true),
            ("x.y", Some("z"), true),
            ("sub", Some("7"), true),
            ("sub", Some("8"), false),
            ("absent", None, false),
        ] {
            let granted = Rule::grants(&[rule(claim, value)], "7", claims);
            assert_eq!(granted.0.len(), usize::from(holds), "{claim} {value:?}");
        }
        assert_eq!(Rule::grants(&[], "7", claims), Grants::default(), "nothing by itself");
    }
}
