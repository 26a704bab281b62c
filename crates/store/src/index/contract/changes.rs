//! The feed of changes.

use std::time::{SystemTime, UNIX_EPOCH};

use super::*;
use crate::index::{Change, Changed, Removed};

fn all(bed: &Bed, after: i64) -> Vec<Change> {
    bed.changes(after, 1000).unwrap()
}

/// Kinds and UIDs, a line each.
fn lines(changes: &[Change]) -> Vec<String> {
    let uids = |of: &Changed| {
        let below = [&of.series, &of.sop].map(|uid| uid.clone().unwrap_or("-".into()));
        format!("{} {} {}", of.study, below[0], below[1])
    };
    changes.iter().map(|c| format!("{} {}", c.kind.name(), c.of.as_ref().map_or("gone".into(), uids))).collect()
}

fn microseconds() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_micros()).unwrap()
}

pub fn each_is_told_in_its_commit(bed: Bed) {
    assert_eq!((bed.last_change().unwrap(), all(&bed, 0)), (0, Vec::new()));
    bed.add(new_instance("1", "2", "3"));
    // What is there already, and what is kept beside it, changes nothing that is served.
    bed.add(new_instance("1", "2", "3"));
    let mut beside = new_instance("1", "2", "3");
    beside.object = object("other", 7);
    bed.add(beside);
    let stored = all(&bed, 0);
    assert_eq!(lines(&stored), ["stored 1 2 3"]);
    assert_eq!(bed.last_change().unwrap(), stored[0].number);
    bed.convert_next("p");
    assert_eq!(lines(&all(&bed, stored[0].number)), ["converted 1 2 3"]);
    // Work that fails tells nothing.
    let job = bed.add_and_lease("4");
    assert!(!bed.finish("another/1", "p", &job, conversion("x")).unwrap());
    assert_eq!(lines(&all(&bed, 0)), ["stored 1 2 3", "converted 1 2 3", "stored 1 2 4"]);
}

pub fn what_is_gone_is_told_as_gone(bed: Bed) {
    for (study, sop) in [("1", "3"), ("1", "4"), ("5", "6")] {
        bed.add(new_instance(study, "2", sop));
    }
    let one = instance_key("1", "2", "3");
    let delete = |scope: Scope<'_>| match bed.remove(scope, 0).unwrap() {
        Removed::Done(removal) => removal.id,
        other => panic!("{other:?}"),
    };
    let (first, second) = (delete(Scope::Instance(&one)), delete(Scope::Study("5")));
    assert!(matches!(bed.remove(Scope::Study("7"), 0).unwrap(), Removed::Unknown));
    assert_eq!(lines(&all(&bed, 0)), ["stored gone", "stored 1 2 4", "stored gone", "deleted 1 2 3", "deleted 5 - -"]);
    bed.undo(first).unwrap().unwrap();
    assert!(bed.undo(first).unwrap().is_none());
    let told = all(&bed, 0);
    assert_eq!(lines(&told)[..1], ["stored 1 2 3"]);
    assert_eq!(lines(&told)[5..], ["restored 1 2 3"]);
    // What is forgotten with its bytes is named nowhere, here neither.
    let purge = bed.begin_purge("run/1", i64::MAX / 2).unwrap().unwrap();
    assert_eq!(purge.removal.id, second);
    assert!(bed.end_purge("run/1", second).unwrap());
    let forgotten = lines(&all(&bed, 0));
    assert_eq!((forgotten[..4].as_ref(), forgotten[4].as_str()), (lines(&told)[..4].as_ref(), "deleted gone"));
    assert_eq!(forgotten[5..], lines(&told)[5..]);
}

pub fn numbers_only_grow(bed: Bed) {
    let before = microseconds() - 1_000_000;
    for n in 0..300 {
        drop(bed.register(new_instance("1", "2", &format!("3.{n}"))));
    }
    bed.add(new_instance("1", "2", "4"));
    let numbers: Vec<i64> = all(&bed, 0).iter().map(|change| change.number).collect();
    assert_eq!(numbers.len(), 301);
    assert!(numbers.is_sorted_by(|a, b| a < b) && numbers[0] >= before, "above what any index told before");
    // A page goes on where the one before it stopped.
    let mut paged = Vec::new();
    loop {
        let page = bed.changes(paged.last().copied().unwrap_or(0), 7).unwrap();
        assert!(page.len() <= 7);
        if page.is_empty() {
            break;
        }
        paged.extend(page.iter().map(|change| change.number));
    }
    assert_eq!(paged, numbers);
}

impl Bed {
    /// Adds an instance to the series and leases its job.
    fn add_and_lease(&self, sop: &str) -> Job {
        self.add(new_instance("1", "2", sop));
        self.lease_next("run/1")
    }
}
