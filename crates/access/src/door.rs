//! The door: from what somebody shows to who it is, with a short memory so that who is known is let in quickly.
//!
//! What is withdrawn here acts at once; what another process withdraws, when the memory of it is over.

use crate::error::Error;
use crate::grant::Grants;
use crate::identity::{Identity, Reach, Who};
use crate::pace::Pace;
use crate::right::Right;
use crate::secret::Secret;
use crate::sessions;
use crate::shown::{Kind, Shown};
use crate::time::now;
use crate::token::Provider;
use archive::{Archive, SecretKind, SecretRow, StudyFacts};
use sha2::{Digest, Sha256};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use store::Cache;

/// Identities that are remembered, and as many studies.
const REMEMBERED: usize = 10_000;
/// A secret that is in use is noted as seen no more often than this, in seconds.
const NOTED: i64 = 60;

/// Whom the server lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Anyone, until there is a user or a key.
    OpenUntilAccounts,
    /// Who signs in, and nobody else.
    SignIn,
}

/// How a door works.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whom it lets in.
    pub mode: Mode,
    /// How long is remembered who somebody is, and what a study is.
    pub life: Duration,
    /// A session that was not used for so long is over.
    pub idle: Duration,
    /// A session is over after this.
    pub longest: Duration,
    /// How many requests a second come from one whom we know; `None`: as many as they like.
    pub requests_per_second: Option<NonZeroU32>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            mode: Mode::OpenUntilAccounts,
            life: Duration::from_secs(5),
            idle: sessions::IDLE,
            longest: sessions::LONGEST,
            requests_per_second: None,
        }
    }
}

/// Decides who comes in, and to what.
pub struct Door {
    pub(crate) archive: Archive,
    pub(crate) options: Options,
    /// How often may be tried.
    pub pace: Pace,
    /// Who vouches for others.
    pub provider: Option<Arc<Provider>>,
    known: Cache<[u8; 32], Remembered<Arc<Identity>>>,
    studies: Cache<[u8; 32], Remembered<Arc<StudyFacts>>>,
    open: Mutex<Option<Remembered<bool>>>,
    /// What was remembered in another era is forgotten.
    era: AtomicU64,
}

#[derive(Clone)]
struct Remembered<T> {
    value: T,
    since: Instant,
    era: u64,
}

impl Door {
    /// The door of an archive.
    pub fn new(archive: Archive, options: Options) -> Door {
        Door {
            archive,
            options,
            pace: Pace::new(options.requests_per_second),
            provider: None,
            known: Cache::new(REMEMBERED),
            studies: Cache::new(REMEMBERED),
            open: Mutex::default(),
            era: AtomicU64::new(0),
        }
    }

    /// The same, where somebody vouches for others: then it is shut.
    pub fn with_provider(mut self, provider: Arc<Provider>) -> Door {
        self.options.mode = Mode::SignIn;
        self.provider = Some(provider);
        self
    }

    /// Is everyone let in?
    pub fn is_open(&self) -> Result<bool, Error> {
        if self.options.mode == Mode::SignIn {
            return Ok(false);
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = open.as_ref().and_then(|open| self.fresh(open)) {
            return Ok(open);
        }
        let is = !self.archive.accounts().has_accounts()?;
        *open = Some(self.remembered(is));
        Ok(is)
    }

    /// The same, from memory alone; `None`: it has to be looked up.
    pub fn recall_open(&self) -> Option<bool> {
        if self.options.mode == Mode::SignIn {
            return Some(false);
        }
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().and_then(|open| self.fresh(open))
    }

    /// Who shows this.
    pub fn identify(&self, shown: &Shown) -> Result<Option<Arc<Identity>>, Error> {
        let name = shown.name();
        if let Some(identity) = self.recalled(&name) {
            return Ok(Some(identity));
        }
        // Begun before it is read: what is withdrawn meanwhile is read again.
        let era = self.era.load(Ordering::Relaxed);
        let identity = match &shown.0 {
            Kind::Key(secret) => self.by_key(secret)?,
            Kind::Session(secret) => self.by_session(secret)?,
            Kind::Link(secret, opened) => self.by_link(secret, opened.as_ref())?,
            Kind::Token(token) => self.by_token(token),
        };
        let identity = identity.map(Arc::new);
        if let Some(identity) = &identity {
            self.known.insert(name, Remembered { value: identity.clone(), since: Instant::now(), era });
        }
        Ok(identity)
    }

    /// The same, from memory alone; `None`: it has to be looked up.
    pub fn recall(&self, shown: &Shown) -> Option<Arc<Identity>> {
        self.recalled(&shown.name())
    }

    fn recalled(&self, name: &[u8; 32]) -> Option<Arc<Identity>> {
        self.known.get(name).and_then(|known| self.fresh(&known))
    }

    fn by_key(&self, secret: &Secret) -> Result<Option<Identity>, Error> {
        let Some(row) = self.row(secret, SecretKind::Key)? else { return Ok(None) };
        self.note(secret, &row)?;
        let who = Who::Key { id: row.id, name: row.secret.name.clone() };
        Ok(self.grants_of(&row)?.map(|grants| Identity::new(who, grants)))
    }

    fn by_session(&self, secret: &Secret) -> Result<Option<Identity>, Error> {
        let Some(row) = self.row(secret, SecretKind::Session)? else { return Ok(None) };
        if row.seen.saturating_add(self.options.idle.as_secs() as i64) <= now() {
            return Ok(None);
        }
        self.note(secret, &row)?;
        Ok(self.grants_of(&row)?.map(|grants| Identity::new(sessions::who(&row), grants)))
    }

    fn by_token(&self, token: &str) -> Option<Identity> {
        let found = self.provider.as_ref()?.identify(token);
        found.inspect_err(|why| tracing::info!(%why, "a token was refused")).ok()
    }

    /// Where the uses of a link are counted, it is good for a browser that opened it.
    fn by_link(&self, secret: &Secret, opened: Option<&Secret>) -> Result<Option<Identity>, Error> {
        let Some(row) = self.row(secret, SecretKind::Share)? else { return Ok(None) };
        if row.secret.uses.is_some() {
            let Some(opened) = opened else { return Ok(None) };
            let mark = self.row(opened, SecretKind::Opened)?;
            if mark.is_none_or(|mark| mark.secret.owner != row.id.to_string()) {
                return Ok(None);
            }
        }
        let who = Who::Link { id: row.id, name: row.secret.name.clone() };
        Ok(self.grants_of(&row)?.map(|grants| Identity::new(who, grants)))
    }

    /// What decides who may see a study, from memory alone.
    pub fn recall_facts(&self, study: &str) -> Option<Arc<StudyFacts>> {
        self.studies.get(&Sha256::digest(study).into()).and_then(|facts| self.fresh(&facts))
    }

    /// What decides who may see a study; `None` where there is none.
    pub fn facts(&self, study: &str) -> Result<Option<Arc<StudyFacts>>, Error> {
        if let Some(facts) = self.recall_facts(study) {
            return Ok(Some(facts));
        }
        let key = Sha256::digest(study).into();
        let facts = self.archive.accounts().study_facts(study)?.map(Arc::new);
        if let Some(facts) = &facts {
            self.studies.insert(key, self.remembered(facts.clone()));
        }
        Ok(facts)
    }

    /// May this be done with this study? Of one that is not there, no; but who may do it with every study is not told apart there.
    pub fn may(&self, identity: &Identity, right: Right, study: &str) -> Result<bool, Error> {
        if identity.reach(right) == Reach::All {
            return Ok(true);
        }
        Ok(self.facts(study)?.is_some_and(|facts| identity.may(right, &facts)))
    }

    /// Gives a label to a study, or takes it away. `false` where there is no such study.
    pub fn label(&self, study: &str, label: &str, has: bool) -> Result<bool, Error> {
        let known = self.archive.accounts().label_study(study, label, has)?;
        self.forget();
        Ok(known)
    }

    /// Forgets all that is remembered: something was changed.
    pub fn forget(&self) {
        self.era.fetch_add(1, Ordering::Relaxed);
    }

    fn remembered<T>(&self, value: T) -> Remembered<T> {
        Remembered { value, since: Instant::now(), era: self.era.load(Ordering::Relaxed) }
    }

    fn fresh<T: Clone>(&self, remembered: &Remembered<T>) -> Option<T> {
        let fresh =
            remembered.era == self.era.load(Ordering::Relaxed) && remembered.since.elapsed() < self.options.life;
        fresh.then(|| remembered.value.clone())
    }

    /// The secret as it is kept, if it is one of this kind that has not ended.
    pub(crate) fn row(&self, secret: &Secret, kind: SecretKind) -> Result<Option<SecretRow>, Error> {
        let row = self.archive.accounts().secret(&secret.hash())?;
        let valid = |row: &SecretRow| {
            let kept = &row.secret;
            kept.kind == kind && secret.is(&kept.hash) && kept.expires.is_none_or(|expires| expires > now())
        };
        Ok(row.filter(valid))
    }

    /// What a secret allows: what stands with it, or what its owner may. `None` where the owner is gone.
    fn grants_of(&self, row: &SecretRow) -> Result<Option<Grants>, Error> {
        if !row.secret.grants.is_empty() {
            return Grants::of_text(&row.secret.grants, &row.secret.name).map(Some);
        }
        let owner = self.archive.accounts().user(&row.secret.owner)?;
        owner.map(|user| Grants::of_text(&user.grants, &user.name)).transpose()
    }

    /// Notes that it is in use, now and then.
    fn note(&self, secret: &Secret, row: &SecretRow) -> Result<(), Error> {
        let now = now();
        if now - row.seen >= NOTED {
            self.archive.accounts().see_secret(&secret.hash(), now)?;
        }
        Ok(())
    }
}
