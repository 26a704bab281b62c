//! Who asks, and how far what they were granted reaches.

use crate::filter::{Filter, Part};
use crate::grant::Grants;
use crate::right::Right;
use archive::{StudyFacts, Within};
use std::fmt;

/// Who it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Who {
    /// Whoever reaches a server that asks nobody.
    Anyone,
    /// A user of this archive.
    User(String),
    /// A program, by its key.
    Key {
        /// Number of the key.
        id: i64,
        /// What it is called.
        name: String,
    },
    /// Somebody whom an identity provider vouches for.
    Token {
        /// Who vouches.
        issuer: String,
        /// Its name for them.
        subject: String,
    },
    /// Whoever has a link.
    Link {
        /// Number of the link.
        id: i64,
        /// What it is called: it stands on the images.
        name: String,
    },
    /// A DIMSE peer, by its AE title.
    Peer(String),
}

impl fmt::Display for Who {
    /// As logs and records have it: one line, never a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Anyone => f.write_str("anyone"),
            Who::User(name) => write!(f, "user {}", name.escape_debug()),
            Who::Key { id, name } => write!(f, "key {id} {}", name.escape_debug()),
            Who::Token { issuer, subject } => write!(f, "token {} {}", issuer.escape_debug(), subject.escape_debug()),
            Who::Link { id, name } => write!(f, "link {id} {}", name.escape_debug()),
            Who::Peer(title) => write!(f, "peer {}", title.escape_debug()),
        }
    }
}

/// Somebody, with what they were granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    who: Who,
    grants: Grants,
}

impl Identity {
    /// Somebody who was granted this.
    pub fn new(who: Who, grants: Grants) -> Identity {
        Identity { who, grants }
    }

    /// Whoever reaches a server that asks nobody: everything is allowed.
    pub fn anyone() -> Identity {
        Identity::new(Who::Anyone, Grants::everything())
    }

    /// Who it is.
    pub fn who(&self) -> &Who {
        &self.who
    }

    /// What was granted.
    pub fn grants(&self) -> &Grants {
        &self.grants
    }

    /// Is the right granted, for whatever studies?
    pub fn has(&self, right: Right) -> bool {
        self.grants.has(right)
    }

    /// The studies that the right is granted for.
    pub fn reach(&self, right: Right) -> Reach {
        let mut parts = Vec::new();
        for grant in self.grants.0.iter().filter(|grant| grant.may.has(right)) {
            match &grant.on {
                Filter::All => return Reach::All,
                Filter::Any(any) => parts.extend(any.iter().cloned()),
            }
        }
        Reach::Only(parts)
    }

    /// May this be done with the study? The one decision, for every door.
    pub fn may(&self, right: Right, facts: &StudyFacts) -> bool {
        self.grants.0.iter().any(|grant| grant.may.has(right) && grant.on.takes(facts))
    }
}

/// How far a right reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Every study.
    All,
    /// Studies that fulfil one of these; of an empty list, none.
    Only(Vec<Part>),
}

impl Reach {
    /// Nothing.
    pub const NOTHING: Reach = Reach::Only(Vec::new());

    /// The same for a search: `None` where nothing is kept back.
    pub fn within(&self) -> Option<Vec<Within>> {
        match self {
            Reach::All => None,
            Reach::Only(parts) => Some(parts.iter().map(Part::within).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::Grant;
    use crate::right::Rights;
    use proptest::prelude::*;

    fn parts() -> impl Strategy<Value = Vec<Part>> {
        let part = prop_oneof![
            ("[ab]", proptest::option::of("[hg]")).prop_map(|(id, issuer)| Part::Patient { id, issuer }),
            "(CT|MR)".prop_map(Part::Modality),
            "[xy]".prop_map(Part::Label),
            proptest::collection::btree_set("1\\.[12]", 0..3).prop_map(Part::Studies),
        ];
        proptest::collection::vec(part, 0..4)
    }

    fn grants() -> impl Strategy<Value = Grants> {
        let on = prop_oneof![1 => Just(Filter::All), 4 => parts().prop_map(Filter::Any)];
        let may = proptest::sample::subsequence(Right::ALL.to_vec(), 0..=5).prop_map(Rights::from);
        proptest::collection::vec((may, on).prop_map(|(may, on)| Grant { may, on }), 0..4).prop_map(Grants)
    }

    fn facts() -> impl Strategy<Value = StudyFacts> {
        let words = |of: &'static [&'static str]| {
            proptest::sample::subsequence(of.to_vec(), 0..=of.len())
                .prop_map(|words| words.into_iter().map(str::to_owned).collect::<Vec<_>>())
        };
        ("1\\.[12]", "[ab]", "[hg]?", words(&["CT", "MR"]), words(&["x", "y"])).prop_map(
            |(study, patient, issuer, modalities, labels)| StudyFacts { study, patient, issuer, modalities, labels },
        )
    }

    proptest! {
        /// The decision on one study, and the reach that searches are kept to, are one.
        #[test]
        fn reach_and_decision_agree(grants in grants(), facts in facts()) {
            let somebody = Identity::new(Who::User("ana".into()), grants);
            for right in Right::ALL {
                let by_reach = match somebody.reach(right) {
                    Reach::All => true,
                    Reach::Only(parts) => Filter::Any(parts).takes(&facts),
                };
                prop_assert_eq!(somebody.may(right, &facts), by_reach);
                prop_assert!(!by_reach || somebody.has(right));
            }
        }
    }

    #[test]
    fn nothing_is_granted_by_itself() {
        let nobody = Identity::new(Who::User("ana".into()), Grants::default());
        assert!(Right::ALL.iter().all(|right| nobody.reach(*right) == Reach::NOTHING && !nobody.has(*right)));
        assert_eq!(Reach::NOTHING.within(), Some(Vec::new()));
        assert_eq!(Identity::anyone().reach(Right::Delete).within(), None);
    }
}
