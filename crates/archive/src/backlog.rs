//! What waits for conversion, for those who choose the order themselves: listed with [`Archive::backlog`], done one by one
//! with a [`Converter`].

use store::index::{Became, InstanceKey, Retry, Waiting};
use transcode::{Context, Policy};

use crate::archive::Archive;
use crate::error::Error;
use crate::event::Event;
use crate::run::Run;

impl Archive {
    /// What became of an instance; `None` when there is none.
    pub fn became(&self, key: &InstanceKey) -> Result<Option<Became>, Error> {
        Ok(self.inner.index.became(key)?)
    }

    /// Instances that a [`Converter`] under the policy would do and whose number is above `after`, in the order of their numbers:
    /// those that wait, and those that it lets wait again.
    pub fn backlog(&self, policy: &Policy, after: i64, limit: usize) -> Result<Vec<Waiting>, Error> {
        Ok(self.inner.index.backlog(&policy.hash(), after, limit)?)
    }

    /// Begins to convert instances of one's own choice under a policy. Instances that were kept or that failed under
    /// another policy wait again, and those that failed for want of the storage.
    pub fn converter<'a>(&'a self, policy: &'a Policy) -> Result<Converter<'a>, Error> {
        Ok(Converter { archive: self, run: Run::begin(self, policy, Retry::Now)? })
    }
}

/// Converts instances one by one; many threads may share it.
pub struct Converter<'a> {
    archive: &'a Archive,
    run: Run<'a>,
}

impl Converter<'_> {
    /// A context for one thread; all of them count their second opinions together.
    pub fn context(&self) -> Context {
        Context::new(self.run.opinions.clone())
    }

    /// Converts an instance; `None` when it does not wait, for it is done or somebody else is at it.
    pub fn convert(&self, key: &InstanceKey, context: &mut Context) -> Result<Option<Event>, Error> {
        match self.run.lease_one(key)? {
            Some(job) => self.run.one(job, context),
            None => Ok(None),
        }
    }

    /// Says that what is under way still is; to be called every 15 seconds, for after 60 it is taken for dead.
    pub fn renew(&self) -> Result<(), Error> {
        self.run.renew()
    }

    /// Gives back what was not ended, and prepares what viewers ask for first.
    pub fn finish(self) -> Result<(), Error> {
        self.run.release()?;
        // Should it fail, it is made when it is asked for.
        let _ = self.archive.prepare_metadata().inspect_err(|error| tracing::warn!(%error, "preparing metadata"));
        Ok(())
    }
}
