//! Which image becomes what: rules in TOML, the first that matches wins. [`when`] says which instances, [`target`] what of them.

mod error;
mod hint;
mod target;
mod when;

pub use error::PolicyError;
pub use target::{Bound, Target};

use crate::suitable;
use dicom::facts::Facts;
use dicom::input::hex;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use when::When;

/// A list of rules.
#[derive(Debug, Clone)]
pub struct Policy {
    rules: Vec<Rule>,
    hash: String,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
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
    /// Name of the rule that fired; `none` when no rule matches.
    pub rule: String,
    /// What is to be done.
    pub then: Action,
    /// The new file counts only when it is smaller than the received one, which is kept otherwise.
    pub only_if_smaller: bool,
    /// One line per rule looked at, and why it matched or not.
    pub why: Vec<String>,
}

impl Default for Policy {
    /// `default.toml`.
    fn default() -> Self {
        Policy::parse(DEFAULT).expect("the shipped policy is right: a test parses it")
    }
}

const DEFAULT: &str = include_str!("../../policies/default.toml");
const HTJ2K_ALL: &str = include_str!("../../policies/htj2k-all.toml");
const JXL_COLOUR: &str = include_str!("../../policies/jxl-colour.toml");

impl Policy {
    /// Names of the policies that come with the program, for [`Policy::shipped`].
    pub const SHIPPED: [&str; 3] = ["default", "htj2k-all", "jxl-colour"];

    /// Reads rules in TOML; unknown fields are errors.
    pub fn parse(toml: &str) -> Result<Policy, PolicyError> {
        let file: File = toml::from_str(toml).map_err(|error| unreadable(&error.to_string()))?;
        let mut rules = Vec::with_capacity(file.rule.len());
        for rule in file.rule {
            rules.push(Rule::new(rule)?);
        }
        if rules.is_empty() {
            return Err(PolicyError::new("there are no rules"));
        }
        Ok(Policy { rules, hash: hex(&Sha256::digest(toml)) })
    }

    /// A policy shipped with the program: `default`, `htj2k-all`, `jxl-colour`.
    pub fn shipped(name: &str) -> Option<Policy> {
        Policy::parse(Policy::shipped_text(name)?).ok()
    }

    /// The TOML of a shipped policy.
    pub fn shipped_text(name: &str) -> Option<&'static str> {
        match name {
            "default" => Some(DEFAULT),
            "htj2k-all" => Some(HTJ2K_ALL),
            "jxl-colour" => Some(JXL_COLOUR),
            _ => None,
        }
    }

    /// SHA-256 of the rules, for "done already by this policy?".
    pub fn hash(&self) -> String {
        self.hash.clone()
    }

    /// Names of the rules, in their order.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.name.as_str())
    }

    /// What is allowed and yet hardly meant: rules that no instance reaches, names that are used twice.
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        for (n, rule) in self.rules.iter().enumerate() {
            if self.rules[..n].iter().any(|r| r.name == rule.name) {
                doubts.push(format!("two rules are called \"{}\"", rule.name));
            }
        }
        if let Some(all) = self.rules.iter().position(|rule| rule.when.is_empty()) {
            let unreached = self.rules[all + 1..].iter();
            doubts.extend(unreached.map(|rule| {
                format!(
                    "rule \"{}\" is never reached: \"{}\" before it takes everything",
                    rule.name, self.rules[all].name
                )
            }));
        }
        doubts
    }

    /// What the rules say of an instance. Rules on an `element` look into the data set of an opened
    /// [`Source`](dicom::Source); facts that were stored and read again hold none, and there an element counts as absent.
    pub fn decide(&self, facts: &Facts) -> Decision {
        let mut why = Vec::new();
        for rule in &self.rules {
            match rule.when.mismatch(facts) {
                Some(reason) => why.push(format!("{}: no, {reason}", rule.name)),
                None => {
                    why.push(format!("{}: yes", rule.name));
                    return rule.apply(facts, why);
                }
            }
        }
        let then = Action::Keep { reason: "no rule matches".into() };
        Decision { rule: "none".into(), then, only_if_smaller: false, why }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    rule: Vec<RawRule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    name: String,
    #[serde(default)]
    when: When,
    then: Then,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Then {
    keep: Option<String>,
    transfer_syntax: Option<String>,
    /// Of a lossy target: the largest difference of a sample.
    max_error: Option<u32>,
    /// Of a lossy target: decibels.
    min_psnr: Option<f64>,
    /// Keep what was received where the new file would not be smaller.
    #[serde(default)]
    only_if_smaller: bool,
}

impl Then {
    fn action(self) -> Result<Action, PolicyError> {
        if self.only_if_smaller && self.transfer_syntax.is_none() {
            return Err(PolicyError::new("`only_if_smaller` is of no use with `keep`")
                .hint("`then = { transfer_syntax = \"htj2k-lossless-rpcl\", only_if_smaller = true }`".into()));
        }
        let bound = Bound::new(self.max_error, self.min_psnr)?;
        match (self.keep, self.transfer_syntax, bound) {
            (Some(reason), None, None) => Ok(Action::Keep { reason }),
            (None, Some(name), bound) => Target::parse(&name, bound).map(Action::Convert),
            _ => Err(PolicyError::new("`then` needs either `keep` or `transfer_syntax`")
                .hint("`then = { keep = \"why\" }` or `then = { transfer_syntax = \"htj2k-lossless-rpcl\" }`".into())),
        }
    }
}

#[derive(Debug, Clone)]
struct Rule {
    name: String,
    when: When,
    then: Action,
    only_if_smaller: bool,
}

impl Rule {
    fn new(raw: RawRule) -> Result<Rule, PolicyError> {
        let of_rule = |error: PolicyError| error.of_rule(&raw.name);
        raw.when.check().map_err(of_rule)?;
        let only_if_smaller = raw.then.only_if_smaller;
        let then = raw.then.action().map_err(of_rule)?;
        Ok(Rule { name: raw.name, when: raw.when, then, only_if_smaller })
    }

    /// The rule's word, unless the target can't carry the image without loss.
    fn apply(&self, facts: &Facts, mut why: Vec<String>) -> Decision {
        let mut then = self.then.clone();
        if let Action::Convert(target) = then
            && let Some(reason) = suitable::obstacle(facts, target, self.when.lossy == Some(true))
        {
            why.push(format!("{}: kept, {reason}", self.name));
            then = Action::Keep { reason };
        }
        let only_if_smaller = self.only_if_smaller && matches!(then, Action::Convert(_));
        Decision { rule: self.name.clone(), then, only_if_smaller, why }
    }
}

/// The parser's message without its picture of the line, and the nearest name where one is unknown.
fn unreadable(message: &str) -> PolicyError {
    let place = message.lines().next().unwrap_or_default().trim_start_matches("TOML parse error ").to_owned();
    let what: Vec<&str> =
        message.lines().skip(1).filter(|l| !l.contains('|')).map(str::trim).filter(|l| !l.is_empty()).collect();
    let line = if what.is_empty() { place } else { format!("{place}: {}", what.join(" ")) };
    match hint::of_field(&line) {
        Some((what, hint)) => PolicyError::new(what).hint(hint),
        None => PolicyError::new(line),
    }
}
