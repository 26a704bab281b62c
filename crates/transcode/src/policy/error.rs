//! Why a policy can't be used, and what would be right.

/// A policy that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("policy: {what}")]
pub struct PolicyError {
    what: String,
    hint: Option<String>,
}

impl PolicyError {
    pub(super) fn new(what: impl Into<String>) -> Self {
        PolicyError { what: what.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: String) -> Self {
        self.hint = Some(hint);
        self
    }

    pub(super) fn of_rule(mut self, name: &str) -> Self {
        self.what = format!("rule \"{name}\": {}", self.what);
        self
    }

    /// What would be right, where it can be told.
    pub fn suggestion(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}
