//! Which image becomes what: rules in TOML, the first that matches wins.

use crate::facts::Facts;

/// A list of rules.
#[derive(Debug, Clone)]
pub struct Policy {
    text: String,
}

/// A policy that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("policy: {0}")]
pub struct PolicyError(pub(crate) String);

/// What a rule asks an instance to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// JPEG-LS Lossless (.80).
    JpegLsLossless,
    /// HTJ2K Lossless RPCL (.202).
    Htj2kLosslessRpcl,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Kept as received, for this reason.
    Keep {
        /// Why.
        reason: String,
    },
    /// Re-encoded.
    Convert(Target),
}

/// What the policy says of one instance.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Name of the rule that fired.
    pub rule: String,
    /// What is to be done.
    pub then: Action,
    /// One line per rule looked at, and why it matched or not.
    pub why: Vec<String>,
}

impl Default for Policy {
    fn default() -> Self {
        Policy { text: String::new() }
    }
}

impl Policy {
    /// Reads rules in TOML; unknown fields are errors.
    pub fn parse(toml: &str) -> Result<Policy, PolicyError> {
        Ok(Policy { text: toml.to_owned() })
    }

    /// A policy shipped with the program: `default`, `htj2k-all`, `jxl-colour`.
    pub fn shipped(_name: &str) -> Option<Policy> {
        None
    }

    /// SHA-256 of the rules, for "done already by this policy?".
    pub fn hash(&self) -> String {
        self.text.clone()
    }

    /// What the rules say of an instance.
    pub fn decide(&self, _facts: &Facts) -> Decision {
        Decision { rule: "none".into(), then: Action::Keep { reason: "no rule matches".into() }, why: Vec::new() }
    }
}
