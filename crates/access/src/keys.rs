//! Keys of programs: `fl_` and 43 characters, shown once.

use crate::door::Door;
use crate::error::Error;
use crate::grant::Grants;
use crate::secret::Secret;
use crate::time::now;
use archive::{NewSecret, SecretKind};
use std::time::Duration;

/// A key that is to be made.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// What it is called.
    pub name: String,
    /// What it allows.
    pub grants: Grants,
    /// How long it is good for; `None`: until it is revoked.
    pub lasts: Option<Duration>,
}

/// A key, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its number, by which it is revoked.
    pub id: i64,
    /// What it is called.
    pub name: String,
    /// What it allows.
    pub grants: Grants,
    /// When it was made, in seconds since 1970.
    pub made: i64,
    /// When it was used last, to a minute; when it was made, if never.
    pub seen: i64,
    /// When it ends.
    pub expires: Option<i64>,
}

impl Door {
    /// Makes a key; its number, and the key itself, which can't be shown again.
    pub fn add_key(&self, new: NewKey) -> Result<(i64, Secret), Error> {
        let secret = Secret::new()?;
        let id = self.archive.accounts().add_secret(NewSecret {
            kind: SecretKind::Key,
            hash: secret.hash(),
            name: new.name,
            owner: String::new(),
            grants: new.grants.to_text(),
            expires: new.lasts.map(|lasts| now().saturating_add(lasts.as_secs() as i64)),
            uses: None,
        })?;
        self.forget();
        Ok((id, secret))
    }

    /// The keys there are, in the order they were made.
    pub fn keys(&self) -> Result<Vec<Key>, Error> {
        let rows = self.archive.accounts().secrets(SecretKind::Key)?.into_iter();
        rows.map(|row| {
            let kept = row.secret;
            let grants = Grants::of_text(&kept.grants, &kept.name)?;
            Ok(Key { id: row.id, name: kept.name, grants, made: row.made, seen: row.seen, expires: kept.expires })
        })
        .collect()
    }

    /// Takes a key back. `false` where there is none of this number.
    pub fn revoke_key(&self, id: i64) -> Result<bool, Error> {
        let revoked = self.archive.accounts().revoke_secret(SecretKind::Key, id)?;
        self.forget();
        Ok(revoked)
    }
}
