//! Which image becomes what: rules in TOML, the first that matches wins.

use crate::data_set::Tag;
use crate::dictionary;
use crate::facts::{Facts, Pixels};
use crate::input::hex;
use crate::suitable;
use crate::syntax::TransferSyntax;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// A list of rules.
#[derive(Debug, Clone)]
pub struct Policy {
    rules: Vec<Rule>,
    hash: String,
}

/// A policy that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("policy: {0}")]
pub struct PolicyError(pub(crate) String);

/// What a rule asks an instance to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Target {
    /// JPEG-LS Lossless (.80).
    JpegLsLossless,
    /// HTJ2K Lossless RPCL (.202).
    Htj2kLosslessRpcl,
    /// JPEG XL Lossless (.110): not written yet.
    JpegXlLossless,
    /// JPEG XL JPEG Recompression (.111): not written yet.
    JpegXlRecompression,
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
    /// Name of the rule that fired; `none` when no rule matches.
    pub rule: String,
    /// What is to be done.
    pub then: Action,
    /// One line per rule looked at, and why it matched or not.
    pub why: Vec<String>,
}

impl Target {
    /// The transfer syntax that is written.
    pub fn transfer_syntax(self) -> TransferSyntax {
        TransferSyntax::new(match self {
            Target::JpegLsLossless => TransferSyntax::JPEG_LS,
            Target::Htj2kLosslessRpcl => TransferSyntax::HTJ2K_RPCL,
            Target::JpegXlLossless => "1.2.840.10008.1.2.4.110",
            Target::JpegXlRecompression => "1.2.840.10008.1.2.4.111",
        })
    }
}

impl Default for Policy {
    /// `default.toml`.
    fn default() -> Self {
        Policy::parse(DEFAULT).expect("the shipped policy is right: a test parses it")
    }
}

const DEFAULT: &str = include_str!("../policies/default.toml");
const HTJ2K_ALL: &str = include_str!("../policies/htj2k-all.toml");
const JXL_COLOUR: &str = include_str!("../policies/jxl-colour.toml");

impl Policy {
    /// Names of the policies that come with the program, for [`Policy::shipped`].
    pub const SHIPPED: [&str; 3] = ["default", "htj2k-all", "jxl-colour"];

    /// Reads rules in TOML; unknown fields are errors.
    pub fn parse(toml: &str) -> Result<Policy, PolicyError> {
        let file: File = toml::from_str(toml).map_err(|error| PolicyError(one_line(&error.to_string())))?;
        let mut rules = Vec::with_capacity(file.rule.len());
        for rule in file.rule {
            rules.push(Rule::new(rule)?);
        }
        if rules.is_empty() {
            return Err(PolicyError("there are no rules".into()));
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

    /// What the rules say of an instance. Rules on an `element` need the facts of an opened [`Source`](crate::Source): facts
    /// that were stored and read again hold no other elements, and such rules do not match them.
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
        Decision { rule: "none".into(), then: Action::Keep { reason: "no rule matches".into() }, why }
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
    transfer_syntax: Option<Target>,
}

#[derive(Debug, Clone)]
struct Rule {
    name: String,
    when: When,
    then: Action,
}

impl Rule {
    fn new(raw: RawRule) -> Result<Rule, PolicyError> {
        let then = match (raw.then.keep, raw.then.transfer_syntax) {
            (Some(reason), None) => Action::Keep { reason },
            (None, Some(target)) => Action::Convert(target),
            _ => {
                return Err(PolicyError(format!(
                    "rule \"{}\": `then` needs either `keep` or `transfer_syntax`",
                    raw.name
                )));
            }
        };
        raw.when.check(&raw.name)?;
        Ok(Rule { name: raw.name, when: raw.when, then })
    }

    /// The rule's word, unless the target can't carry the image without loss.
    fn apply(&self, facts: &Facts, mut why: Vec<String>) -> Decision {
        let mut then = self.then.clone();
        if let Action::Convert(target) = then
            && let Some(reason) = suitable::obstacle(facts, target)
        {
            why.push(format!("{}: kept, {reason}", self.name));
            then = Action::Keep { reason };
        }
        Decision { rule: self.name.clone(), then, why }
    }
}

/// Every field that is given must hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct When {
    samples: Option<Numbers>,
    longest_side: Option<Numbers>,
    rows: Option<Numbers>,
    columns: Option<Numbers>,
    frames: Option<Numbers>,
    bits_allocated: Option<Numbers>,
    bits_stored: Option<Numbers>,
    lossy: Option<bool>,
    signed: Option<bool>,
    photometric: Option<Words>,
    modality: Option<Words>,
    sop_class: Option<Words>,
    transfer_syntax: Option<Words>,
    pixels: Option<Words>,
    ae_title: Option<Words>,
    /// Keyword or `gggg,eeee` to the values that one of its values may have; `*` at the end stands for anything.
    #[serde(default)]
    element: BTreeMap<String, Words>,
}

/// One number, several, or a range.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "a number, a list of numbers, or a range of `over`, `at_least`, `up_to`, `under`")]
enum Numbers {
    One(u64),
    Many(Vec<u64>),
    Range(Range),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    over: Option<u64>,
    at_least: Option<u64>,
    up_to: Option<u64>,
    under: Option<u64>,
}

/// One word or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "a word or a list of words")]
enum Words {
    One(String),
    Many(Vec<String>),
}

impl When {
    fn check(&self, rule: &str) -> Result<(), PolicyError> {
        for key in self.element.keys() {
            if element_tag(key).is_none() {
                return Err(PolicyError(format!(
                    "rule \"{rule}\": no element is called \"{key}\" (write a keyword or gggg,eeee)"
                )));
            }
        }
        let kinds = self.pixels.iter().flat_map(Words::list);
        match kinds.into_iter().find(|kind| !KINDS.iter().any(|k| k.0 == kind.as_str())) {
            Some(kind) => Err(PolicyError(format!(
                "rule \"{rule}\": pixels are none, native, encapsulated, float or video, not \"{kind}\""
            ))),
            None => Ok(()),
        }
    }

    /// Why the rule does not match; `None` when it does.
    fn mismatch(&self, facts: &Facts) -> Option<String> {
        self.numbers(facts).or_else(|| self.words(facts)).or_else(|| self.elements(facts))
    }

    fn numbers(&self, facts: &Facts) -> Option<String> {
        let fields: [(&str, &Option<Numbers>, u64); 7] = [
            ("samples", &self.samples, facts.samples.into()),
            ("longest side", &self.longest_side, facts.longest_side().into()),
            ("rows", &self.rows, facts.rows.into()),
            ("columns", &self.columns, facts.columns.into()),
            ("frames", &self.frames, facts.frames.into()),
            ("bits allocated", &self.bits_allocated, facts.bits_allocated.into()),
            ("bits stored", &self.bits_stored, facts.bits_stored.into()),
        ];
        let number = fields.into_iter().find_map(|(name, want, is)| {
            want.as_ref().filter(|want| !want.holds(is)).map(|want| format!("{name} is {is}, not {}", want.text()))
        });
        let flags = [("lossy", self.lossy, facts.lossy), ("signed", self.signed, facts.signed)];
        number.or_else(|| {
            flags
                .into_iter()
                .find_map(|(name, want, is)| want.filter(|want| *want != is).map(|_| format!("{name} is {is}")))
        })
    }

    fn words(&self, facts: &Facts) -> Option<String> {
        let kind = KINDS.iter().find(|k| k.1 == facts.pixels).map_or("", |k| k.0);
        let fields = [
            ("photometric interpretation", &self.photometric, facts.photometric.as_str()),
            ("modality", &self.modality, &facts.modality),
            ("SOP class", &self.sop_class, &facts.sop_class_uid),
            ("transfer syntax", &self.transfer_syntax, facts.transfer_syntax.uid()),
            ("pixels", &self.pixels, kind),
            ("AE title", &self.ae_title, &facts.source_ae),
        ];
        fields.into_iter().find_map(|(name, want, is)| {
            want.as_ref().filter(|want| !want.holds(is)).map(|want| format!("{name} is \"{is}\", not {}", want.text()))
        })
    }

    fn elements(&self, facts: &Facts) -> Option<String> {
        self.element.iter().find_map(|(key, want)| {
            let values =
                element_tag(key).zip(facts.data_set.as_ref()).map(|(tag, set)| set.strings(tag)).unwrap_or_default();
            (!values.iter().any(|v| want.holds(v)))
                .then(|| format!("{key} is \"{}\", not {}", values.join("\\"), want.text()))
        })
    }
}

const KINDS: [(&str, Pixels); 5] = [
    ("none", Pixels::None),
    ("native", Pixels::Native),
    ("encapsulated", Pixels::Encapsulated),
    ("float", Pixels::Float),
    ("video", Pixels::Video),
];

fn element_tag(key: &str) -> Option<Tag> {
    if let Some((group, element)) = key.split_once(',') {
        return Some(Tag(u16::from_str_radix(group, 16).ok()?, u16::from_str_radix(element, 16).ok()?));
    }
    dictionary::tag_of(key)
}

impl Numbers {
    fn holds(&self, n: u64) -> bool {
        match self {
            Numbers::One(want) => n == *want,
            Numbers::Many(want) => want.contains(&n),
            Numbers::Range(r) => {
                r.over.is_none_or(|m| n > m)
                    && r.at_least.is_none_or(|m| n >= m)
                    && r.up_to.is_none_or(|m| n <= m)
                    && r.under.is_none_or(|m| n < m)
            }
        }
    }

    fn text(&self) -> String {
        match self {
            Numbers::One(n) => n.to_string(),
            Numbers::Many(list) => list.iter().map(u64::to_string).collect::<Vec<_>>().join(" or "),
            Numbers::Range(r) => {
                let parts = [("over", r.over), ("at least", r.at_least), ("up to", r.up_to), ("under", r.under)];
                parts
                    .into_iter()
                    .filter_map(|(word, n)| n.map(|n| format!("{word} {n}")))
                    .collect::<Vec<_>>()
                    .join(" and ")
            }
        }
    }
}

impl Words {
    fn list(&self) -> &[String] {
        match self {
            Words::One(word) => std::slice::from_ref(word),
            Words::Many(words) => words,
        }
    }

    fn holds(&self, is: &str) -> bool {
        self.list().iter().any(|want| match want.strip_suffix('*') {
            Some(start) => is.starts_with(start),
            None => is == want,
        })
    }

    fn text(&self) -> String {
        self.list().iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(" or ")
    }
}

/// The parser's message without its picture of the line.
fn one_line(message: &str) -> String {
    let place = message.lines().next().unwrap_or_default().trim_start_matches("TOML parse error ").to_owned();
    let what: Vec<&str> =
        message.lines().skip(1).filter(|l| !l.contains('|')).map(str::trim).filter(|l| !l.is_empty()).collect();
    if what.is_empty() { place } else { format!("{place}: {}", what.join(" ")) }
}
