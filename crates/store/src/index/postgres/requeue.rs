//! Which jobs wait again: those whose lease ran out, those that failed and may pass, and, once a policy, those that another one decided.
//!
//! Jobs that stay as they are cost nothing: each statement goes by an index to what it changes. That all of them were decided under one
//! policy is noted in `settled`; whoever ends a job under another one strikes it out.

use super::session::Session;
use super::task::Group;
use super::values::{NOW, Text};
use crate::Error;
use crate::index::jobs::Retry;

/// A failure that may pass (a full disk) is tried again after a pause of 30 seconds, doubled with every attempt up to seven times: a
/// minute after the first, about an hour at most. The index `jobs_next_try` is on this very text.
const NEXT_TRY: &str = "(changed + (30::bigint << least(attempts, 7)::integer))";

/// The condition on a job `j` that [`requeue`] with [`Retry::Now`] lets it wait again, under the policy `$1`.
pub(super) fn waits_again() -> String {
    format!(
        "(j.state = 1 AND j.until < {NOW}) OR (j.state IN (3, 4) AND j.policy <> $1) OR (j.state = 4 AND j.policy IS NULL)"
    )
}

/// Lets jobs wait again that a run under this policy would do.
pub(super) fn requeue(group: &Group<'_>, policy: &str, retry: Retry) -> Result<(), Error> {
    let again = |from: i64, condition: &str| {
        format!("UPDATE jobs SET state = 0, run = NULL WHERE state = {from} AND {condition}")
    };
    let overdue = group.execute(&again(1, &format!("until < {NOW}")), &[])?;
    group.later().moved(1, 0, overdue);
    let rested = match retry {
        Retry::Now => "policy IS NULL".to_owned(),
        Retry::Rested => format!("policy IS NULL AND {NEXT_TRY} <= {NOW}"),
    };
    let may_pass = group.execute(&again(4, &rested), &[])?;
    group.later().moved(4, 0, may_pass);
    if group.any("SELECT 1 FROM settled WHERE policy = $1", &[&Text(policy)])? {
        return Ok(());
    }
    for state in [3, 4] {
        let others = group.execute(&again(state, "policy <> $1"), &[&Text(policy)])?;
        group.later().moved(state, 0, others);
    }
    let settle =
        "INSERT INTO settled (id, policy) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET policy = excluded.policy";
    group.execute(settle, &[&Text(policy)]).map(drop)
}

/// Says that a job was kept, or failed for good, under this policy.
pub(super) fn decided(session: &Session<'_>, policy: &str) -> Result<(), Error> {
    session.execute("DELETE FROM settled WHERE policy <> $1", &[&Text(policy)]).map(drop)
}

/// Does a job wait, or would one after [`requeue`] with [`Retry::Rested`]?
pub(super) fn waits(session: &Session<'_>, policy: &str) -> Result<bool, Error> {
    let sql = format!(
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM jobs WHERE state = 0) \
         OR EXISTS (SELECT 1 FROM jobs WHERE state = 1 AND until < {NOW}) \
         OR EXISTS (SELECT 1 FROM jobs WHERE state = 4 AND policy IS NULL AND {NEXT_TRY} <= {NOW}) \
         OR NOT EXISTS (SELECT 1 FROM settled WHERE policy = $1)"
    );
    session.any(&sql, &[&Text(policy)])
}
