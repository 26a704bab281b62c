//! What somebody shows at the door. Whoever holds one holds something that has the form of a secret.

use crate::secret::Secret;
use sha2::{Digest, Sha256};

/// A key, a session or a link.
#[derive(Debug, Clone)]
pub struct Shown(pub(crate) Kind);

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Key(Secret),
    Session(Secret),
    /// A link, and what its browser was given when it was opened.
    Link(Secret, Option<Secret>),
    /// What an identity provider signed.
    Token(String),
}

impl Shown {
    /// A key.
    pub fn key(text: &str) -> Option<Shown> {
        Secret::parse_key(text).map(|key| Shown(Kind::Key(key)))
    }

    /// A session.
    pub fn session(text: &str) -> Option<Shown> {
        Secret::parse(text).map(|session| Shown(Kind::Session(session)))
    }

    /// A link, and the mark of a browser that opened it.
    pub fn link(text: &str, opened: Option<&str>) -> Option<Shown> {
        Secret::parse(text).map(|link| Shown(Kind::Link(link, opened.and_then(Secret::parse))))
    }

    /// What a provider signed, not yet believed.
    pub fn token(text: &str) -> Shown {
        Shown(Kind::Token(text.to_owned()))
    }

    /// By what it is remembered.
    pub(crate) fn name(&self) -> [u8; 32] {
        match &self.0 {
            Kind::Key(secret) => name(b'k', secret.hash(), None),
            Kind::Session(secret) => name(b's', secret.hash(), None),
            Kind::Link(secret, opened) => name(b'l', secret.hash(), opened.as_ref().map(Secret::hash)),
            Kind::Token(text) => name(b't', Sha256::digest(text).into(), None),
        }
    }
}

fn name(kind: u8, hash: [u8; 32], opened: Option<[u8; 32]>) -> [u8; 32] {
    let name = Sha256::new().chain_update([kind]).chain_update(hash);
    opened.into_iter().fold(name, |name, opened| name.chain_update(opened)).finalize().into()
}
