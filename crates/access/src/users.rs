//! Users of this archive: those of a clinic without an identity provider.

use crate::door::Door;
use crate::error::Error;
use crate::grant::Grants;
use crate::identity::Who;
use crate::password;
use crate::secret::Secret;
use crate::time::now;
use archive::{NewSecret, SecretKind, UserRow};
use std::time::Duration;

/// A link that makes the first administrator is good for so long.
pub const FIRST: Duration = Duration::from_secs(24 * 3600);
/// Fewest characters of a password.
const LEAST: usize = 10;
/// Most of them, and of a name.
const MOST: usize = 1024;
const MOST_OF_NAME: usize = 64;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// What the user may.
    pub grants: Grants,
    /// Signs in by a password.
    pub has_password: bool,
    /// When it was made, in seconds since 1970.
    pub made: i64,
}

/// Can a user have this name?
pub fn check_name(name: &str) -> Result<(), Error> {
    let fits = |c: char| c.is_alphanumeric() || "._@-".contains(c);
    let good = !name.is_empty() && name.chars().count() <= MOST_OF_NAME && name.chars().all(fits);
    if good { Ok(()) } else { Err(Error::Name) }
}

/// Can this user have this password?
pub fn check_password(name: &str, password: &str) -> Result<(), Error> {
    let length = password.chars().count();
    let good = (LEAST..=MOST).contains(&length) && !password.to_lowercase().contains(&name.to_lowercase());
    if good { Ok(()) } else { Err(Error::Password { least: LEAST }) }
}

impl Door {
    /// Makes a user, or changes password and rights of the one of this name. Whether it is new. Who is signed in by an old password is signed out.
    pub fn put_user(&self, name: &str, password: &str, grants: &Grants) -> Result<bool, Error> {
        check_name(name)?;
        check_password(name, password)?;
        let row = UserRow {
            name: name.to_owned(),
            password: Some(password::hash(password)?),
            grants: grants.to_text(),
            made: 0,
        };
        self.archive.accounts().revoke_secrets_of(SecretKind::Session, name, None)?;
        let new = self.archive.accounts().put_user(row)?;
        self.forget();
        Ok(new)
    }

    /// Gives a user another password and ends the user's sessions. `false` where there is no such user.
    pub fn set_password(&self, name: &str, password: &str) -> Result<bool, Error> {
        let Some(user) = self.archive.accounts().user(name)? else { return Ok(false) };
        check_password(name, password)?;
        let row = UserRow { password: Some(password::hash(password)?), ..user };
        self.archive.accounts().revoke_secrets_of(SecretKind::Session, name, None)?;
        self.archive.accounts().put_user(row)?;
        self.forget();
        Ok(true)
    }

    /// All users, by name.
    pub fn users(&self) -> Result<Vec<User>, Error> {
        let users = self.archive.accounts().users()?.into_iter();
        users
            .map(|row| {
                let grants = Grants::of_text(&row.grants, &row.name)?;
                Ok(User { grants, has_password: row.password.is_some(), made: row.made, name: row.name })
            })
            .collect()
    }

    /// Removes a user with all sessions and keys. `false` where there is no such user.
    pub fn remove_user(&self, name: &str) -> Result<bool, Error> {
        let removed = self.archive.accounts().remove_user(name)?;
        self.forget();
        Ok(removed)
    }

    /// A session for who knows the password. Takes as long where there is no such user.
    pub fn sign_in(&self, name: &str, password: &str) -> Result<Option<Secret>, Error> {
        let user = if check_name(name).is_ok() { self.archive.accounts().user(name)? } else { None };
        let kept = user.as_ref().and_then(|user| user.password.as_deref());
        if password.len() > 4 * MOST || !password::is(password, kept) {
            return Ok(None);
        }
        self.begin_session(&Who::User(name.to_owned()), None).map(Some)
    }

    /// A secret by which somebody makes the first user, once, within [`FIRST`].
    pub fn invite(&self, grants: &Grants) -> Result<Secret, Error> {
        let secret = Secret::new()?;
        self.archive.accounts().add_secret(NewSecret {
            kind: SecretKind::Invitation,
            hash: secret.hash(),
            name: String::new(),
            owner: String::new(),
            grants: grants.to_text(),
            expires: Some(now() + FIRST.as_secs() as i64),
            uses: Some(1),
        })?;
        Ok(secret)
    }

    /// Is this an invitation that was not used, and is nobody here yet?
    pub fn is_invited(&self, text: &str) -> Result<bool, Error> {
        let Some(secret) = Secret::parse(text) else { return Ok(false) };
        let there = self.row(&secret, SecretKind::Invitation)?.is_some_and(|row| row.secret.uses != Some(0));
        Ok(there && self.archive.accounts().users()?.is_empty())
    }

    /// Makes the user that an invitation is for, and signs in. `None` where it is none, or was used, or there is a user already.
    pub fn accept(&self, invitation: &str, name: &str, password: &str) -> Result<Option<Secret>, Error> {
        let Some(secret) = Secret::parse(invitation) else { return Ok(None) };
        let Some(row) = self.row(&secret, SecretKind::Invitation)? else { return Ok(None) };
        check_name(name)?;
        check_password(name, password)?;
        let late = !self.archive.accounts().users()?.is_empty();
        if late || !self.archive.accounts().use_secret(&secret.hash())? {
            return Ok(None);
        }
        self.put_user(name, password, &Grants::of_text(&row.secret.grants, name)?)?;
        self.begin_session(&Who::User(name.to_owned()), None).map(Some)
    }
}
