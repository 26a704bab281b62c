//! Secrets: 256 random bits, shown once and kept as their SHA-256.

use crate::error::Error;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

/// Characters of the text.
const LENGTH: usize = 43;
/// How the key of a program begins, so that scanners for leaked keys know it.
const KEY: &str = "fl_";

/// A secret in the clear. It goes to whom it is for, and nowhere else.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// A new one.
    pub fn new() -> Result<Secret, Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(Error::Random)?;
        Ok(Secret(bytes))
    }

    /// From its text, as it is in addresses and cookies.
    pub fn parse(text: &str) -> Option<Secret> {
        if text.len() != LENGTH {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Secret)
    }

    /// From the text of a key.
    pub fn parse_key(text: &str) -> Option<Secret> {
        Secret::parse(text.strip_prefix(KEY)?)
    }

    /// Its text: letters, digits, `-` and `_`.
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Its text as a key.
    pub fn key_text(&self) -> String {
        format!("{KEY}{}", self.text())
    }

    /// What is kept of it.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }

    /// Is this what is kept of it? Takes the same time whatever differs.
    pub fn is(&self, hash: &[u8; 32]) -> bool {
        self.hash().ct_eq(hash).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_again_and_nothing_else() {
        let secret = Secret::new().unwrap();
        let text = secret.text();
        assert!(Secret::parse(&text).unwrap().is(&secret.hash()));
        assert!(Secret::parse_key(&secret.key_text()).unwrap().is(&secret.hash()));
        let longer = format!("{text}A");
        for wrong in ["", "fl_", &text[1..], &longer, &text.replace(&text[..1], "."), &secret.key_text()] {
            assert!(Secret::parse(wrong).is_none(), "{wrong}");
        }
        assert!(Secret::parse_key(&text).is_none() && format!("{secret:?}") == "Secret");
    }

    #[test]
    fn no_two_are_the_same_and_one_bit_matters() {
        let all: std::collections::HashSet<_> = (0..1000).map(|_| Secret::new().unwrap().text()).collect();
        assert_eq!(all.len(), 1000);
        let one = Secret([7; 32]);
        let mut other = [7; 32];
        other[31] ^= 1;
        assert!(!Secret(other).is(&one.hash()));
    }
}
