//! What waits for conversion, for those who choose the order themselves: listed with [`Archive::backlog`], done one by one
//! with a [`Converter`].

use dicom::Facts;
use rusqlite::{OptionalExtension, params};
use transcode::{Context, Policy};

use crate::convert::Run;
use crate::index::{Retry, WAITS_AGAIN, now};
use crate::{Archive, Error, Event, InstanceKey, State};

/// An instance that waits for conversion.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Its number in the index; later ones came later.
    pub id: i64,
    /// Its UIDs.
    pub key: InstanceKey,
    /// Bytes of the received object.
    pub bytes: u64,
    /// Its transfer syntax UID.
    pub syntax: String,
    /// The modality of its series.
    pub modality: String,
    /// Study Date, normalised.
    pub study_date: String,
}

/// What became of an instance.
#[derive(Debug, Clone)]
pub struct Became {
    /// Where it stands.
    pub state: State,
    /// The rule that decided; empty before one did.
    pub rule: String,
    /// Why it was kept, or why it failed; empty otherwise.
    pub reason: String,
    /// It failed for want of the storage: another try may succeed.
    pub may_pass: bool,
    /// Bytes and transfer syntax UID of what was received.
    pub received: (u64, String),
    /// Bytes and transfer syntax UID of what is handed out.
    pub current: (u64, String),
    /// Frames.
    pub frames: u32,
}

impl Archive {
    /// What became of an instance; `None` when there is none.
    pub fn became(&self, key: &InstanceKey) -> Result<Option<Became>, Error> {
        let sql = "SELECT j.state, coalesce(j.rule, ''), coalesce(j.reason, ''), r.bytes, r.syntax, o.bytes, o.syntax, \
             o.facts, j.state = 4 AND j.policy IS NULL FROM studies s JOIN series e ON e.study = s.id JOIN instances i ON i.series = e.id \
             JOIN jobs j ON j.instance = i.id JOIN objects r ON r.id = i.received JOIN objects o ON o.id = i.object \
             WHERE s.uid = ? AND e.uid = ? AND i.uid = ?";
        self.inner.index.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(sql)?;
            let found = statement.query_row([&key.study, &key.series, &key.sop], |row| {
                let facts: String = row.get(7)?;
                Ok(Became {
                    state: State::of(row.get(0)?),
                    rule: row.get(1)?,
                    reason: row.get(2)?,
                    may_pass: row.get(8)?,
                    received: (row.get(3)?, row.get(4)?),
                    current: (row.get(5)?, row.get(6)?),
                    frames: serde_json::from_str::<Facts>(&facts).map_or(0, |facts| facts.frames),
                })
            });
            Ok(found.optional()?)
        })
    }

    /// Instances that a [`Converter`] under the policy would do and whose number is above `after`, in the order of their numbers:
    /// those that wait, and those that it lets wait again.
    pub fn backlog(&self, policy: &Policy, after: i64, limit: usize) -> Result<Vec<Waiting>, Error> {
        // By the numbers of jobs alone: through the index on states, each call would sort all that wait.
        let sql = format!(
            "SELECT i.id, s.uid, e.uid, i.uid, o.bytes, o.syntax, e.modality, s.date FROM jobs j NOT INDEXED \
             JOIN instances i ON i.id = j.instance JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study \
             JOIN objects o ON o.id = i.received WHERE (j.state = 0 OR {WAITS_AGAIN}) AND j.instance > ?3 \
             ORDER BY j.instance LIMIT ?4"
        );
        self.inner.index.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(&sql)?;
            let waiting = statement.query_map(params![policy.hash(), now(), after, limit], |row| {
                Ok(Waiting {
                    id: row.get(0)?,
                    key: InstanceKey { study: row.get(1)?, series: row.get(2)?, sop: row.get(3)? },
                    bytes: row.get(4)?,
                    syntax: row.get(5)?,
                    modality: row.get(6)?,
                    study_date: row.get(7)?,
                })
            })?;
            Ok(waiting.collect::<Result<_, _>>()?)
        })
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

    /// Says that what is under way still is; to be called every few minutes at least.
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
