//! Which jobs wait again: those whose lease ran out, those that failed and may pass, and, once a policy, those that another one decided.
//!
//! Jobs that stay as they are cost nothing: each statement goes by an index to what it changes. That all of them were decided under one
//! policy is noted in `settled`; whoever ends a job under another one strikes it out.

use rusqlite::{Connection, OptionalExtension, params};

use crate::Error;
use crate::index::jobs::Retry;

/// A failure that may pass (a full disk) is tried again after a pause of 30 seconds, doubled with every attempt up to seven times: a
/// minute after the first, about an hour at most. The index `jobs_next_try` is on this very text.
const NEXT_TRY: &str = "changed + (30 << min(attempts, 7))";

/// The condition on a job `j` that [`requeue`] with [`Retry::Now`] lets it wait again, under the policy `?1` at the time `?2`.
pub(super) const WAITS_AGAIN: &str =
    "(j.state = 1 AND j.until < ?2) OR (j.state IN (3, 4) AND j.policy <> ?1) OR (j.state = 4 AND j.policy IS NULL)";

/// Lets jobs wait again that a run under this policy would do.
pub(super) fn requeue(index: &Connection, policy: &str, retry: Retry, now: i64) -> Result<(), Error> {
    let tried = if retry == Retry::Now { i64::MAX } else { now };
    let again = "SET state = 0, run = NULL WHERE";
    let overdue = format!("UPDATE jobs {again} state = 1 AND until < ?");
    index.prepare_cached(&overdue)?.execute([now])?;
    let may_pass =
        format!("UPDATE jobs INDEXED BY jobs_next_try {again} state = 4 AND policy IS NULL AND {NEXT_TRY} <= ?");
    index.prepare_cached(&may_pass)?.execute([tried])?;
    let settled = index.prepare_cached("SELECT 1 FROM settled WHERE policy = ?")?.exists([policy])?;
    if !settled {
        let others = format!("UPDATE jobs {again} state IN (3, 4) AND policy <> ?");
        index.prepare_cached(&others)?.execute([policy])?;
        let settle =
            "INSERT INTO settled (id, policy) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET policy = excluded.policy";
        index.prepare_cached(settle)?.execute([policy])?;
    }
    Ok(())
}

/// Says that a job was kept, or failed for good, under this policy.
pub(super) fn decided(index: &Connection, policy: &str) -> Result<(), Error> {
    index.prepare_cached("DELETE FROM settled WHERE policy <> ?")?.execute([policy])?;
    Ok(())
}

/// Does a job wait, or would one after [`requeue`] with [`Retry::Rested`]?
pub(super) fn waits(index: &Connection, policy: &str, now: i64) -> Result<bool, Error> {
    let sql = format!(
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM jobs WHERE state = 0) \
         OR EXISTS (SELECT 1 FROM jobs WHERE state = 1 AND until < ?2) \
         OR EXISTS (SELECT 1 FROM jobs INDEXED BY jobs_next_try WHERE state = 4 AND policy IS NULL AND {NEXT_TRY} <= ?2) \
         OR NOT EXISTS (SELECT 1 FROM settled WHERE policy = ?1)"
    );
    Ok(index.prepare_cached(&sql)?.query_row(params![policy, now], |_| Ok(())).optional()?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::sqlite::{checksum, schema};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    const NOW: i64 = 1_000_000;

    /// An index with so many jobs of each kind that stays as it is under the policy `p`.
    fn index(each: i64) -> Connection {
        let mut index = Connection::open_in_memory().unwrap();
        checksum::register(&index).unwrap();
        schema::migrate(&mut index).unwrap();
        index.execute_batch("PRAGMA foreign_keys = OFF; INSERT INTO settled (id, policy) VALUES (1, 'p')").unwrap();
        let kinds = "WITH RECURSIVE n (n) AS (SELECT 0 WHERE ?1 > 0 UNION ALL SELECT n + 1 FROM n WHERE n + 1 < ?1) \
             INSERT INTO jobs (instance, state, policy, attempts, changed) \
             SELECT n * 4 + k.column1, k.column2, k.column3, 1, k.column4 FROM n, \
             (VALUES (1, 2, 'o', 0), (2, 3, 'p', 0), (3, 4, 'p', 0), (4, 4, NULL, ?2)) k";
        index.execute(kinds, params![each, NOW - 10]).unwrap();
        index
    }

    fn add(index: &Connection, instance: i64, values: &str) {
        let columns = "instance, state, policy, attempts, until, changed";
        index.execute(&format!("INSERT INTO jobs ({columns}) VALUES ({instance}, {values})"), []).unwrap();
    }

    fn waiting(index: &Connection) -> Vec<i64> {
        let mut waiting = index.prepare("SELECT instance FROM jobs WHERE state = 0 ORDER BY instance").unwrap();
        waiting.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// Steps of SQLite's machine.
    fn steps(index: &Connection, work: impl Fn(&Connection)) -> u64 {
        work(index); // statements are prepared once
        let count = Arc::new(AtomicU64::new(0));
        let counted = count.clone();
        let each = move || {
            counted.fetch_add(1, Relaxed);
            false
        };
        index.progress_handler(1, Some(each)).unwrap();
        work(index);
        index.progress_handler(0, None::<fn() -> bool>).unwrap();
        count.load(Relaxed)
    }

    #[test]
    fn what_stays_as_it_is_costs_nothing() {
        let (few, many) = (index(10), index(5_000));
        let asked = |index: &Connection| assert!(!waits(index, "p", NOW).unwrap());
        let begun = |index: &Connection| requeue(index, "p", Retry::Rested, NOW).unwrap();
        assert_eq!(steps(&few, asked), steps(&many, asked));
        assert_eq!(steps(&few, begun), steps(&many, begun));
        assert!(waiting(&many).is_empty());
        // The first run under another policy looks at all, the second at none.
        requeue(&many, "q", Retry::Rested, NOW).unwrap();
        assert_eq!(waiting(&many).len(), 10_000);
        many.execute("UPDATE jobs SET state = 3, policy = 'q' WHERE state = 0", []).unwrap();
        let again = |index: &Connection| requeue(index, "q", Retry::Rested, NOW).unwrap();
        assert_eq!(steps(&many, again), steps(&few, begun));
    }

    #[test]
    fn what_may_be_done_waits_again() {
        for (values, asked, rested, at_once) in [
            ("0, NULL, 0, NULL, 0", true, true, true),
            ("1, NULL, 1, 999999, 0", true, true, true),
            ("1, NULL, 1, 1000001, 0", false, false, false),
            ("4, NULL, 1, NULL, 999940", true, true, true),
            ("4, NULL, 1, NULL, 999941", false, false, true),
            ("4, NULL, 60, NULL, 996159", true, true, true),
            ("4, NULL, 60, NULL, 996161", false, false, true),
        ] {
            for (retry, again) in [(Retry::Rested, rested), (Retry::Now, at_once)] {
                let index = index(0);
                add(&index, 7, values);
                assert_eq!(waits(&index, "p", NOW).unwrap(), asked, "{values}");
                requeue(&index, "p", retry, NOW).unwrap();
                assert_eq!(waiting(&index) == [7], again, "{values} {retry:?}");
            }
        }
    }

    #[test]
    fn what_another_policy_decides_is_noticed() {
        let index = index(1);
        decided(&index, "p").unwrap();
        assert!(!waits(&index, "p", NOW).unwrap() && waits(&index, "q", NOW).unwrap());
        // A run under `q` ends a job that it leased before.
        add(&index, 9, "3, 'q', 1, NULL, 0");
        decided(&index, "q").unwrap();
        assert!(waits(&index, "p", NOW).unwrap());
        requeue(&index, "p", Retry::Rested, NOW).unwrap();
        assert_eq!(waiting(&index), [9]);
    }
}
