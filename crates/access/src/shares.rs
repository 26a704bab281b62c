//! Links that share studies with who has no account: to read, for a time, as often as was said.

use crate::door::Door;
use crate::error::Error;
use crate::filter::{Filter, Part};
use crate::grant::Grants;
use crate::right::{Right, Rights};
use crate::secret::Secret;
use crate::shown::Shown;
use crate::time::now;
use archive::{NewSecret, SecretKind};
use std::collections::BTreeSet;
use std::time::Duration;

/// Studies of one link.
const MOST: usize = 100;

/// A link that is to be made.
#[derive(Debug, Clone)]
pub struct NewShare {
    /// What it is called: it stands on the images, so that who passes them on is known.
    pub name: String,
    /// What it shares, by Study Instance UID.
    pub studies: BTreeSet<String>,
    /// How long it is good for.
    pub lasts: Duration,
    /// How often it can be opened; `None`: as often as one likes.
    pub uses: Option<u32>,
}

/// A link, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Its number, by which it is revoked.
    pub id: i64,
    /// What it is called.
    pub name: String,
    /// What it shares.
    pub grants: Grants,
    /// When it was made, in seconds since 1970.
    pub made: i64,
    /// When it was opened last; when it was made, if never.
    pub seen: i64,
    /// When it ends.
    pub expires: Option<i64>,
    /// How often it can still be opened.
    pub uses: Option<u32>,
}

/// A link that was opened.
#[derive(Debug)]
pub struct Opened {
    /// Its number.
    pub id: i64,
    /// What it is called.
    pub name: String,
    /// The studies it shares.
    pub studies: Vec<String>,
    /// What its browser shows from now on, where uses are counted.
    pub secret: Option<Secret>,
}

/// A link, as its page is told of it before it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peek {
    /// What it is called.
    pub name: String,
    /// The studies it shares.
    pub studies: Vec<String>,
    /// Its uses are counted.
    pub is_counted: bool,
    /// How often it can still be opened.
    pub uses: Option<u32>,
    /// This browser opened it.
    pub is_opened: bool,
}

impl Door {
    /// Looks at a link and takes no use of it; `None` where there is none, or nobody can open it any more.
    pub fn peek_share(&self, text: &str, opened: Option<&str>) -> Result<Option<Peek>, Error> {
        let Some(secret) = Secret::parse(text) else { return Ok(None) };
        let Some(row) = self.row(&secret, SecretKind::Share)? else { return Ok(None) };
        let kept = row.secret;
        let shown = Shown::link(text, opened).filter(|_| kept.uses.is_some() && opened.is_some());
        let is_opened = shown.map_or(Ok(None), |shown| self.identify(&shown))?.is_some();
        if kept.uses == Some(0) && !is_opened {
            return Ok(None);
        }
        let studies = studies(&Grants::of_text(&kept.grants, &kept.name)?);
        Ok(Some(Peek { name: kept.name, studies, is_counted: kept.uses.is_some(), uses: kept.uses, is_opened }))
    }

    /// Makes a link; its number, and the secret in its address.
    pub fn add_share(&self, new: NewShare) -> Result<(i64, Secret), Error> {
        if new.studies.is_empty() || new.studies.len() > MOST {
            return Err(Error::Studies { most: MOST });
        }
        for study in &new.studies {
            self.archive.accounts().study_facts(study)?.ok_or_else(|| Error::NoStudy(study.clone()))?;
        }
        let secret = Secret::new()?;
        let read: Rights = [Right::Read].into_iter().collect();
        let id = self.archive.accounts().add_secret(NewSecret {
            kind: SecretKind::Share,
            hash: secret.hash(),
            name: new.name,
            owner: String::new(),
            grants: Grants::one(read, Filter::Any(vec![Part::Studies(new.studies)])).to_text(),
            expires: Some(now().saturating_add(new.lasts.as_secs() as i64)),
            uses: new.uses,
        })?;
        Ok((id, secret))
    }

    /// Opens a link and takes one of its uses; a browser that opened it before shows what it was given, and takes none.
    /// `None` where there is no such link, or it has ended.
    pub fn open_share(&self, text: &str, opened: Option<&str>) -> Result<Option<Opened>, Error> {
        let Some(secret) = Secret::parse(text) else { return Ok(None) };
        let Some(row) = self.row(&secret, SecretKind::Share)? else { return Ok(None) };
        let kept = row.secret;
        let grants = Grants::of_text(&kept.grants, &kept.name)?;
        let studies = studies(&grants);
        let shown = Shown::link(text, opened).filter(|_| kept.uses.is_some() && opened.is_some());
        if shown.map_or(Ok(None), |shown| self.identify(&shown))?.is_some() {
            return Ok(Some(Opened { id: row.id, name: kept.name, studies, secret: None }));
        }
        if !self.archive.accounts().use_secret(&secret.hash())? {
            return Ok(None);
        }
        let mark = if kept.uses.is_some() { Some(self.mark_opened(row.id, kept.expires)?) } else { None };
        Ok(Some(Opened { id: row.id, name: kept.name, studies, secret: mark }))
    }

    fn mark_opened(&self, share: i64, expires: Option<i64>) -> Result<Secret, Error> {
        let mark = Secret::new()?;
        self.archive.accounts().add_secret(NewSecret {
            kind: SecretKind::Opened,
            hash: mark.hash(),
            name: String::new(),
            owner: share.to_string(),
            grants: String::new(),
            expires,
            uses: None,
        })?;
        Ok(mark)
    }

    /// The links there are, in the order they were made.
    pub fn shares(&self) -> Result<Vec<Share>, Error> {
        let rows = self.archive.accounts().secrets(SecretKind::Share)?.into_iter();
        rows.map(|row| {
            let kept = row.secret;
            Ok(Share {
                id: row.id,
                grants: Grants::of_text(&kept.grants, &kept.name)?,
                name: kept.name,
                made: row.made,
                seen: row.seen,
                expires: kept.expires,
                uses: kept.uses,
            })
        })
        .collect()
    }

    /// Takes a link back. `false` where there is none of this number.
    pub fn revoke_share(&self, id: i64) -> Result<bool, Error> {
        let revoked = self.archive.accounts().revoke_secret(SecretKind::Share, id)?;
        self.forget();
        Ok(revoked)
    }
}

/// The studies that rights name one by one.
fn studies(grants: &Grants) -> Vec<String> {
    let parts = grants.0.iter().filter_map(|grant| match &grant.on {
        Filter::Any(parts) => Some(parts),
        Filter::All => None,
    });
    let uids = parts.flatten().filter_map(|part| match part {
        Part::Studies(uids) => Some(uids.iter().cloned()),
        _ => None,
    });
    uids.flatten().collect()
}
