//! Deletion: out of every list at once, back within a grace time, then gone with all bytes.
//!
//! The order is: rows are moved aside, in one transaction, and can be moved back. When the grace time is over the deletion is marked, and from
//! then on nothing comes back of it; the objects that nothing else needs are removed; then its rows are forgotten. A crash at any moment
//! leaves rows that say what is still to be done, and the next run does it.
//!
//! The same bytes may be stored at the very moment when they are removed, by another program too. So whoever puts bytes first asks how
//! many purges have ended, and the index lists nothing whose bytes went after that ([`Error::Leaving`]).

use std::collections::HashSet;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use store::Key;
use store::index::{Hold, InstanceKey, LEASE, Purge, QueryLevel, Removal, Removed, Scope, Undone};

use crate::archive::{Archive, Inner, now};
use crate::error::Error;
use crate::ingest::row;
use crate::runs::release_dead;

/// How long what is deleted can come back where nothing else is said: 30 days.
pub const GRACE: Duration = Duration::from_secs(30 * 24 * 3600);
/// An index of more bytes is not made anew after a purge: nobody could write for too long.
const SCOUR: u64 = 256 << 20;
/// Objects that are listed at once.
const PAGE: usize = 512;
/// Between two renewals of a lease.
const RENEW: Duration = Duration::from_secs(LEASE as u64 / 4);

/// Counts of one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purged {
    /// Deletions that were made final.
    pub removals: u64,
    /// Instances in them.
    pub instances: u64,
    /// Objects that were removed.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The index was made anew, so that nothing of what is forgotten is left in its files.
    pub scoured: bool,
}

impl Archive {
    /// Deletes a study, a series or an instance: it is in no list and behind no address when this returns. For so long it can come back.
    /// What is stored again under its UIDs meanwhile is new.
    pub fn delete(&self, scope: Scope<'_>, grace: Duration) -> Result<Removed, Error> {
        let before = match scope {
            Scope::Study(_) => Vec::new(),
            Scope::Series(study, _) => self.inner.firsts(study)?,
            Scope::Instance(key) => self.inner.firsts(&key.study)?,
        };
        let removed = self.inner.index.remove(scope, now().saturating_add_unsigned(grace.as_secs()))?;
        if let (Removed::Done(removal), false) = (&removed, before.is_empty()) {
            self.inner.retell(&removal.study, &before);
        }
        Ok(removed)
    }

    /// Brings back what was deleted; `None` when there is no such deletion any more. Instances whose UIDs others have by now stay deleted.
    pub fn undelete(&self, removal: i64) -> Result<Option<Undone>, Error> {
        let of = self.inner.index.removals()?.into_iter().find(|one| one.id == removal);
        let Some(of) = of else { return Ok(None) };
        let before = self.inner.firsts(&of.study)?;
        let undone = self.inner.index.undo(removal)?;
        self.inner.retell(&of.study, &before);
        Ok(undone)
    }

    /// The deletions that are not forgotten, in their order.
    pub fn deletions(&self) -> Result<Vec<Removal>, Error> {
        Ok(self.inner.index.removals()?)
    }

    /// Lets nothing of a study be deleted, nor forgotten of what was.
    pub fn hold(&self, study: &str, reason: &str) -> Result<(), Error> {
        Ok(self.inner.index.hold(study, reason)?)
    }

    /// Ends a hold; false when there was none.
    pub fn release_hold(&self, study: &str) -> Result<bool, Error> {
        Ok(self.inner.index.release_hold(study)?)
    }

    /// The studies that are held, by UID.
    pub fn holds(&self) -> Result<Vec<Hold>, Error> {
        Ok(self.inner.index.holds()?)
    }

    /// Makes the deletions final whose grace time is over, and those that a run began which died. Returns when none is left or `stop` is
    /// set. `told` is called for each.
    pub fn purge(&self, stop: &AtomicBool, told: &mut dyn FnMut(&Removal)) -> Result<Purged, Error> {
        let inner = &*self.inner;
        let (run, mut done, mut gone) = (inner.call(), Purged::default(), Vec::new());
        release_dead(&*inner.index, &inner.spool)?;
        while !stop.load(Ordering::Relaxed)
            && let Some(purge) = inner.index.begin_purge(&run, now())?
        {
            let Some((objects, bytes)) = inner.finish_purge(&run, &purge, stop)? else { break };
            (done.objects, done.bytes) = (done.objects + objects, done.bytes + bytes);
            if !purge.removal.study.is_empty() {
                (done.removals, done.instances) = (done.removals + 1, done.instances + purge.removal.instances);
                told(&purge.removal);
                gone.push(purge.removal);
            }
        }
        if !gone.is_empty() {
            inner.collect(&gone, stop)?;
            done.scoured = inner.index.scour(SCOUR)?;
        }
        Ok(done)
    }

    /// Makes the files of the index anew, however large, so that nothing of what is forgotten is left in them. Nobody can write meanwhile.
    pub fn scour(&self) -> Result<(), Error> {
        self.inner.index.scour(u64::MAX)?;
        Ok(())
    }

    /// Drops what is kept near of objects that were purged since the last call, by whatever program: open files, blocks, frame tables. True
    /// when there were some.
    pub fn forget_purged(&self) -> Result<bool, Error> {
        let inner = &*self.inner;
        let mut purges = inner.purges.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, gone) = inner.index.purged_since(*purges)?;
        *purges = now;
        gone.iter().for_each(|key| inner.objects.forget(key));
        let gone: HashSet<Key> = gone.into_iter().collect();
        if !gone.is_empty() {
            inner.instances.retain(|_, instance| !gone.contains(&instance.key));
        }
        Ok(!gone.is_empty())
    }
}

/// An instance by which a study, or one of its series, is told of.
type First = (QueryLevel, InstanceKey);

impl Inner {
    /// The instances that came first in a study and in each of its series.
    fn firsts(&self, study: &str) -> Result<Vec<First>, Error> {
        let (mut firsts, mut seen) = (Vec::new(), HashSet::new());
        for key in self.index.named(study)?.into_iter().filter(|key| key.study == study) {
            if seen.insert(key.series.clone()) {
                if firsts.is_empty() {
                    firsts.push((QueryLevel::Study, key.clone()));
                }
                firsts.push((QueryLevel::Series, key));
            }
        }
        Ok(firsts)
    }

    /// Where others came first than before, the study and its series are told of by these. What can't be read tells nothing.
    fn retell(&self, study: &str, before: &[First]) {
        let told = self.firsts(study).and_then(|now| {
            let mut others = now.into_iter().filter(|first| !before.contains(first));
            others.try_for_each(|(level, key)| self.retell_by(&key, level))
        });
        if let Err(error) = told {
            tracing::warn!(%error, "a study is told of by what is deleted");
        }
    }

    /// What is told by an instance is told by it anew.
    pub(crate) fn retell_of(&self, key: &InstanceKey) -> Result<(), Error> {
        let mut told = self.firsts(&key.study)?.into_iter().filter(|(_, first)| first == key);
        told.try_for_each(|(level, key)| self.retell_by(&key, level))
    }

    fn retell_by(&self, key: &InstanceKey, level: QueryLevel) -> Result<(), Error> {
        let Some((received, bytes)) = self.index.received(key)? else { return Ok(()) };
        let source = self.source(&received, bytes)?;
        Ok(self.index.retell(row(&source, received, bytes)?, level)?)
    }

    /// A name for one call that leases purges.
    fn call(&self) -> String {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        format!("{}/purge-{}", self.spool.run(), CALLS.fetch_add(1, Ordering::Relaxed))
    }

    /// Removes the objects of a purge and forgets it; how many there were, and their bytes. `None` when it was stopped, or its lease lost.
    fn finish_purge(&self, run: &str, purge: &Purge, stop: &AtomicBool) -> Result<Option<(u64, u64)>, Error> {
        let Some(removed) = self.remove_objects(run, purge, stop)? else { return Ok(None) };
        if !self.index.end_purge(run, purge.removal.id)? {
            return Ok(None);
        }
        // What was put again meanwhile was refused, and is in nobody's list.
        for (key, size) in &purge.objects {
            if self.objects.size(key).map_err(Error::io("looking for an object"))?.is_some()
                && !self.index.lists(key)?
            {
                self.abandon(key, *size)?;
            }
        }
        Ok(Some(removed))
    }

    /// Removes the objects of a purge, and what is in quarantine of them.
    fn remove_objects(&self, run: &str, purge: &Purge, stop: &AtomicBool) -> Result<Option<(u64, u64)>, Error> {
        let (mut renewed, mut objects, mut bytes) = (Instant::now(), 0, 0);
        for (key, size) in &purge.objects {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            if renewed.elapsed() >= RENEW {
                renewed = Instant::now();
                if !self.index.renew_purge(run, purge.removal.id)? {
                    return Ok(None);
                }
            }
            if self.objects.remove(key).map_err(Error::io(format!("removing object {key}")))? {
                (objects, bytes) = (objects + 1, bytes + size);
            }
            self.objects.forget(key);
        }
        let sources: Vec<String> = purge.objects.iter().map(|(key, _)| key.to_string()).collect();
        self.quarantine.forget(&sources)?;
        Ok(Some((objects, bytes)))
    }

    /// Removes what a crash left of deleted instances, between putting an object and listing it. Other objects that no row lists stay: the index may
    /// be an older one, brought back from a backup.
    fn collect(&self, gone: &[Removal], stop: &AtomicBool) -> Result<(), Error> {
        let mut after = None;
        while !stop.load(Ordering::Relaxed) {
            let page = self.objects.list(after, PAGE).map_err(Error::io("listing the objects"))?;
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            for (key, bytes) in page {
                if !self.index.lists(&key)? && self.is_of(&key, bytes, gone) {
                    self.abandon(&key, bytes)?;
                }
            }
        }
        Ok(())
    }

    /// Is an object of something that is gone? What can't be read is of nothing.
    fn is_of(&self, key: &Key, bytes: u64, gone: &[Removal]) -> bool {
        let Ok(source) = self.stored_source(key, bytes) else { return false };
        let facts = source.facts();
        let same = |uid: &Option<String>, of: &str| uid.as_deref().is_none_or(|uid| uid == of);
        gone.iter().any(|removal| {
            removal.study == facts.study_uid
                && same(&removal.series, &facts.series_uid)
                && same(&removal.sop, &facts.sop_instance_uid)
        })
    }

    /// Removes an object that was put, and that no row lists or will.
    pub(crate) fn abandon(&self, object: &Key, bytes: u64) -> Result<(), Error> {
        let run = self.call();
        let begun = self.index.abandon(&run, object, bytes)?;
        begun.map_or(Ok(None), |purge| self.finish_purge(&run, &purge, &AtomicBool::new(false))).map(drop)
    }
}
