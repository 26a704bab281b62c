//! Sessions: a browser that is signed in. They end when they are not used, and in any case after a working day.

use crate::door::Door;
use crate::error::Error;
use crate::grant::Grants;
use crate::identity::Who;
use crate::secret::Secret;
use crate::time::now;
use archive::{NewSecret, SecretKind, SecretRow};
use std::time::Duration;

/// A session that was not used for so long is over.
pub const IDLE: Duration = Duration::from_secs(3600);
/// A session is over after this.
pub const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// Between issuer and subject of somebody whom a provider vouches for.
const BETWEEN: char = '\u{1f}';

/// A session, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its number.
    pub id: i64,
    /// Whose it is.
    pub who: Who,
    /// When it was used last, in seconds since 1970.
    pub seen: i64,
}

impl Door {
    /// Begins a session. A user of this archive has what the user may at any time; somebody else, what is granted here.
    pub fn begin_session(&self, who: &Who, grants: Option<&Grants>) -> Result<Secret, Error> {
        let secret = Secret::new()?;
        let now = now();
        self.archive.accounts().forget_ended(now)?;
        let (name, owner) = match who {
            Who::Token { issuer, subject } => (format!("{issuer}{BETWEEN}{subject}"), String::new()),
            Who::User(name) => (name.clone(), name.clone()),
            other => (other.to_string(), String::new()),
        };
        self.archive.accounts().add_secret(NewSecret {
            kind: SecretKind::Session,
            hash: secret.hash(),
            name,
            owner,
            grants: grants.map(Grants::to_text).unwrap_or_default(),
            expires: Some(now + self.options.longest.as_secs() as i64),
            uses: None,
        })?;
        Ok(secret)
    }

    /// Ends a session. Whether there was one.
    pub fn sign_out(&self, text: &str) -> Result<bool, Error> {
        let Some(secret) = Secret::parse(text) else { return Ok(false) };
        let Some(row) = self.row(&secret, SecretKind::Session)? else { return Ok(false) };
        let ended = self.archive.accounts().revoke_secret(SecretKind::Session, row.id)?;
        self.forget();
        Ok(ended)
    }

    /// The sessions there are.
    pub fn sessions(&self) -> Result<Vec<Session>, Error> {
        let rows = self.archive.accounts().secrets(SecretKind::Session)?;
        Ok(rows.iter().map(|row| Session { id: row.id, who: who(row), seen: row.seen }).collect())
    }
}

/// Whose session it is.
pub(crate) fn who(row: &SecretRow) -> Who {
    match row.secret.name.split_once(BETWEEN) {
        Some((issuer, subject)) => Who::Token { issuer: issuer.to_owned(), subject: subject.to_owned() },
        None => Who::User(row.secret.owner.clone()),
    }
}
