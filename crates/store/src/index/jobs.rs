//! Conversion jobs: one for each instance, leased to a run, ended by it.

use std::time::Duration;

use super::evidence::{Figure, Opinions};
use super::key::InstanceKey;
use super::register::NewObject;
use crate::Error;
use crate::objects::Key;

/// A lease that is not renewed ends after so many seconds: whoever has it is dead, on whatever machine. Renew it four times as often.
pub const LEASE: i64 = 60;

/// Where an instance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It waits for conversion.
    Waits,
    /// It is being converted.
    Leased,
    /// Its current object is a converted one.
    Converted,
    /// It stays as received, by a rule.
    Kept,
    /// It could not be converted, and stays as received.
    Failed,
}

impl State {
    const ALL: [State; 5] = [State::Waits, State::Leased, State::Converted, State::Kept, State::Failed];

    /// From what the index has.
    pub fn of(number: i64) -> State {
        usize::try_from(number).ok().and_then(|n| State::ALL.get(n).copied()).unwrap_or(State::Waits)
    }

    /// As the index has it.
    pub fn number(self) -> i64 {
        match self {
            State::Waits => 0,
            State::Leased => 1,
            State::Converted => 2,
            State::Kept => 3,
            State::Failed => 4,
        }
    }
}

/// What was decided of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The instance.
    pub key: InstanceKey,
    /// Where it stands.
    pub state: State,
    /// The rule that decided; empty before one did, and of failures.
    pub rule: String,
    /// Why it was kept, or why it failed; empty otherwise.
    pub reason: String,
    /// How often its conversion was begun.
    pub attempts: u32,
    /// Since when, in seconds since 1970.
    pub changed: i64,
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

/// When a failure that may pass is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Now: somebody has asked for it.
    Now,
    /// After a pause: 30 seconds, doubled with every attempt up to seven times.
    Rested,
}

/// A leased job.
#[derive(Debug, Clone)]
pub struct Job {
    /// Number of the instance.
    pub instance: i64,
    /// Number of its series.
    pub series: i64,
    /// Number of its study.
    pub study: i64,
    /// Number of the received object.
    pub object: i64,
    /// Its UIDs.
    pub key: InstanceKey,
    /// The received object.
    pub received: Key,
    /// Its bytes.
    pub bytes: u64,
    /// Modality.
    pub modality: String,
}

/// How a job ends.
#[derive(Debug)]
pub enum JobEnd {
    /// A converted object takes the place of the received one as what is handed out.
    Converted(Box<Conversion>),
    /// It stays as received, by a rule.
    Kept {
        /// The rule.
        rule: String,
        /// Why.
        reason: String,
        /// The frame table of the received object with the ends of its levels, where it has some.
        levels: Option<Vec<u8>>,
        /// What it adds to the counters.
        figures: Vec<Figure>,
    },
    /// It could not be converted.
    Failed {
        /// Why.
        reason: String,
        /// It is the storage's fault: it is tried again after a pause, whatever the policy.
        may_pass: bool,
        /// What it adds to the counters.
        figures: Vec<Figure>,
    },
}

/// A conversion that is proven, and whose object is durable.
#[derive(Debug)]
pub struct Conversion {
    /// The converted object.
    pub object: NewObject,
    /// The rule that asked for it.
    pub rule: String,
    /// What wrote it.
    pub codec: String,
    /// SHA-256 over all samples, hexadecimal.
    pub samples_sha256: String,
    /// Evidence of each frame: JSON, gzip.
    pub evidence: Vec<u8>,
    /// The residue, or why there is no way back.
    pub way_back: Result<Vec<u8>, String>,
    /// The machine that did it.
    pub host: String,
    /// How long it took.
    pub milliseconds: u64,
    /// What a second decoder said.
    pub opinions: Opinions,
    /// What it adds to the counters.
    pub figures: Vec<Figure>,
}

/// Conversion jobs.
///
/// A `run` is the name of who holds leases: `RUN/CALL`, where `RUN` is of one life of a program. No two have the same, so it is the token that
/// fences off who lost its lease. A `policy` is the hash of one.
pub trait Jobs {
    /// Lets jobs wait again that a run under this policy would do: those whose lease ran out, failures that may pass, and what another
    /// policy kept or failed. Jobs that stay as they are cost nothing.
    fn requeue(&self, policy: &str, retry: Retry) -> Result<(), Error>;

    /// Does a job wait, or would one after [`Jobs::requeue`] with [`Retry::Rested`]? Costs nothing where none does.
    fn waits(&self, policy: &str) -> Result<bool, Error>;

    /// Leases jobs that wait, the oldest first.
    fn lease(&self, run: &str, most: u32) -> Result<Vec<Job>, Error>;

    /// Leases the job of one instance; `None` when it does not wait.
    fn lease_one(&self, run: &str, key: &InstanceKey) -> Result<Option<Job>, Error>;

    /// Is the job of this instance leased?
    fn is_leased(&self, key: &InstanceKey) -> Result<bool, Error>;

    /// Prolongs all leases of a run by [`LEASE`].
    fn renew(&self, run: &str) -> Result<(), Error>;

    /// Takes back what a run leased and did not begin: as if it had never been leased.
    fn give_back(&self, run: &str) -> Result<(), Error>;

    /// The programs (`RUN`) that hold leases, of jobs or of [purges](super::Removing::begin_purge): for who can tell that one is dead before its leases end.
    fn lessees(&self) -> Result<Vec<String>, Error>;

    /// Lets wait again what these programs (`RUN`) had leased: they are no more.
    fn release_dead(&self, lessees: &[String]) -> Result<(), Error>;

    /// Ends a job; false, and nothing is changed, when its lease was lost meanwhile. All that belongs to the end is one commit: the state,
    /// and of a conversion the object (one with the same bytes gains what is known now), its evidence, the way back, what is handed
    /// out, faults that are healed, opinions and counters, and versions of study and series. A residue is never given up for none.
    fn finish(&self, run: &str, policy: &str, job: &Job, end: JobEnd) -> Result<bool, Error>;

    /// What became of an instance; `None` when there is none.
    fn became(&self, key: &InstanceKey) -> Result<Option<Became>, Error>;

    /// Instances that a run under the policy would do and whose number is above `after`, in the order of their numbers: those that wait,
    /// and those that [`Jobs::requeue`] with [`Retry::Now`] would let wait.
    fn backlog(&self, policy: &str, after: i64, most: usize) -> Result<Vec<Waiting>, Error>;

    /// The instances in a state, in the order they came: at most `most`, after the first `offset`.
    fn decisions(&self, state: State, offset: usize, most: usize) -> Result<Vec<Decision>, Error>;

    /// How often something was committed, as far as this program knows.
    fn commits(&self) -> u64;

    /// Waits until there were more commits than `seen`, at most so long. It may end too early, and, where others commit, too late.
    fn wait_for_commit(&self, seen: u64, longest: Duration);
}
