//! Passwords: Argon2id (RFC 9106) with the parameters of its authors for servers: 19 MiB, two passes.

use crate::error::Error;
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use std::sync::LazyLock;

/// A PHC string of a password.
pub fn hash(password: &str) -> Result<String, Error> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|e| Error::Hash(e.to_string()))
}

/// Is it the password? Where there is none to compare with, it takes as long and is not.
pub fn is(password: &str, kept: Option<&str>) -> bool {
    /// Of a password that nobody has.
    static NOBODY: LazyLock<Option<String>> = LazyLock::new(|| {
        let unknown = crate::secret::Secret::new().ok()?;
        hash(&unknown.text()).ok()
    });
    let Some(text) = kept.or(NOBODY.as_deref()) else { return false };
    let Ok(parsed) = PasswordHash::new(text) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok() && kept.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_and_no_other() {
        let kept = hash("correct horse").unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_ne!(kept, hash("correct horse").unwrap(), "each has its salt");
        assert!(is("correct horse", Some(&kept)));
        for wrong in ["", "Correct horse", "correct horse ", &kept] {
            assert!(!is(wrong, Some(&kept)), "{wrong}");
        }
        assert!(!is("x", None) && !is("x", Some("")) && !is("x", Some("$argon2id$damaged")));
    }
}
