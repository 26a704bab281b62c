//! What became of each instance, and why: the record that conversion jobs leave.

use rusqlite::params;

use crate::{Archive, Error, InstanceKey};

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

impl State {
    const ALL: [State; 5] = [State::Waits, State::Leased, State::Converted, State::Kept, State::Failed];

    /// From what the index has.
    pub(crate) fn of(number: usize) -> State {
        State::ALL.get(number).copied().unwrap_or(State::Waits)
    }

    /// As the index has it.
    fn number(self) -> usize {
        State::ALL.iter().position(|state| *state == self).expect("all are listed")
    }
}

impl Archive {
    /// The instances in a state, in the order they came: at most `limit`, after the first `offset`.
    pub fn decisions(&self, state: State, offset: usize, limit: usize) -> Result<Vec<Decision>, Error> {
        let sql = "SELECT s.uid, e.uid, i.uid, coalesce(j.rule, ''), coalesce(j.reason, ''), j.attempts, j.changed \
             FROM jobs j JOIN instances i ON i.id = j.instance JOIN series e ON e.id = i.series \
             JOIN studies s ON s.id = e.study WHERE j.state = ? ORDER BY j.instance LIMIT ? OFFSET ?";
        self.inner.index.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(sql)?;
            let decisions = statement.query_map(params![state.number(), limit, offset], |row| {
                Ok(Decision {
                    key: InstanceKey { study: row.get(0)?, series: row.get(1)?, sop: row.get(2)? },
                    state,
                    rule: row.get(3)?,
                    reason: row.get(4)?,
                    attempts: row.get(5)?,
                    changed: row.get(6)?,
                })
            })?;
            Ok(decisions.collect::<Result<_, _>>()?)
        })
    }
}
