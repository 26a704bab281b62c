//! Who may come in, as rows: users, secrets by which they are known, and what of a study decides whether they may see it.
//!
//! A secret is never here: only the SHA-256 of it. What the texts of rights mean is their owner's business.

use crate::Error;

/// A user of this archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// The name, as it is typed to sign in.
    pub name: String,
    /// A password as PHC string (Argon2id); `None`: nobody signs in as this user by a password.
    pub password: Option<String>,
    /// What the user may, as JSON.
    pub grants: String,
    /// When it was made, in seconds since 1970.
    pub made: i64,
}

/// What a secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecretKind {
    /// A key of a program.
    Key,
    /// A link that shares studies.
    Share,
    /// A browser that is signed in.
    Session,
    /// A link that makes one user, once.
    Invitation,
    /// A browser that opened a link with a number of uses.
    Opened,
}

impl SecretKind {
    /// As it is kept.
    pub fn number(self) -> i64 {
        match self {
            SecretKind::Key => 0,
            SecretKind::Share => 1,
            SecretKind::Session => 2,
            SecretKind::Invitation => 3,
            SecretKind::Opened => 4,
        }
    }

    /// From what is kept.
    pub fn of(number: i64) -> Option<SecretKind> {
        use SecretKind::*;
        [Key, Share, Session, Invitation, Opened].into_iter().find(|kind| kind.number() == number)
    }
}

/// A secret that is to be known from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSecret {
    /// What it is for.
    pub kind: SecretKind,
    /// SHA-256 of it.
    pub hash: [u8; 32],
    /// What people call it.
    pub name: String,
    /// Whose it is: the name of a user, or empty. It goes with its owner.
    pub owner: String,
    /// What it allows, as JSON; empty: what its owner may.
    pub grants: String,
    /// When it ends, in seconds since 1970.
    pub expires: Option<i64>,
    /// How often it can be used.
    pub uses: Option<u32>,
}

/// A secret that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRow {
    /// Its number, by which it is named to be revoked.
    pub id: i64,
    /// When it was made, in seconds since 1970.
    pub made: i64,
    /// When it was used last, to a minute.
    pub seen: i64,
    /// The rest; `uses` are those that are left.
    pub secret: NewSecret,
}

/// What of a study decides who may see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StudyFacts {
    /// Study Instance UID.
    pub study: String,
    /// Patient ID (0010,0020).
    pub patient: String,
    /// Issuer of Patient ID (0010,0021), or empty.
    pub issuer: String,
    /// Modalities of its series, sorted.
    pub modalities: Vec<String>,
    /// Words that were given to it, sorted.
    pub labels: Vec<String>,
}

/// Users, secrets and labels.
pub trait Accounts {
    /// Makes a user, or replaces password and rights of the one of this name. Whether it is new.
    fn put_user(&self, user: UserRow) -> Result<bool, Error>;

    /// The user of this name.
    fn user(&self, name: &str) -> Result<Option<UserRow>, Error>;

    /// All users, by name.
    fn users(&self) -> Result<Vec<UserRow>, Error>;

    /// Removes a user, with all secrets that it owns. Whether there was one.
    fn remove_user(&self, name: &str) -> Result<bool, Error>;

    /// Keeps a secret; its number.
    fn add_secret(&self, new: NewSecret) -> Result<i64, Error>;

    /// The secret with this hash, used up and expired ones too.
    fn secret(&self, hash: &[u8; 32]) -> Result<Option<SecretRow>, Error>;

    /// The secrets of a kind, in the order they were made.
    fn secrets(&self, kind: SecretKind) -> Result<Vec<SecretRow>, Error>;

    /// Takes one use of a secret that has not ended, and notes the time. Whether there was one left.
    fn use_secret(&self, hash: &[u8; 32]) -> Result<bool, Error>;

    /// Notes that a secret was used, in seconds since 1970. Takes no use.
    fn see_secret(&self, hash: &[u8; 32], now: i64) -> Result<(), Error>;

    /// Forgets a secret by its number, and with a link what was opened by it. Whether there was one.
    fn revoke_secret(&self, kind: SecretKind, id: i64) -> Result<bool, Error>;

    /// Forgets the secrets of a kind that an owner has, but for one of this hash. How many there were.
    fn revoke_secrets_of(&self, kind: SecretKind, owner: &str, but: Option<[u8; 32]>) -> Result<u64, Error>;

    /// Forgets what ended before this time, in seconds since 1970.
    fn forget_ended(&self, before: i64) -> Result<u64, Error>;

    /// Is there a user, or a key? Then not everyone may come in any more.
    fn has_accounts(&self) -> Result<bool, Error>;

    /// What decides who may see a study; `None` where there is no such study.
    fn study_facts(&self, study: &str) -> Result<Option<StudyFacts>, Error>;

    /// Gives a label to a study, or takes it away. `false` where there is no such study.
    fn label_study(&self, study: &str, label: &str, has: bool) -> Result<bool, Error>;
}
