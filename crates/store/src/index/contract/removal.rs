//! Deletion: what goes, what comes back, what is forgotten.

use super::*;
use crate::Error;
use crate::index::{Fault, FaultKind, Hold, Holding, Purge, Query, QueryLevel, Removal, Removed, State, Unservable};
use crate::index::{NewUnserved, Patience};

const LATER: i64 = i64::MAX / 2;

fn delete(bed: &Bed, scope: Scope<'_>) -> Removal {
    match bed.remove(scope, 0).unwrap() {
        Removed::Done(removal) => removal,
        other => panic!("{other:?}"),
    }
}

fn found(bed: &Bed, level: QueryLevel) -> usize {
    bed.find(&Patience::of(std::time::Duration::from_secs(60)), level, &Query::default()).unwrap().rows.len()
}

/// Every row is what was written, and rows agree with each other.
fn whole(bed: &Bed) {
    for table in bed.sealed_tables().unwrap() {
        assert!(bed.damaged_rows(&table, 0).unwrap().rows.is_empty(), "{table}");
    }
    let found = bed.contradictions(&[]).unwrap();
    assert!(found.is_empty(), "{found:?}");
}

fn purge(bed: &Bed) -> Option<Purge> {
    let purge = bed.begin_purge("run/1", LATER).unwrap()?;
    assert!(bed.end_purge("run/1", purge.removal.id).unwrap());
    Some(purge)
}

/// Three instances in two series of a study, all converted, with a conflict and a fault of the first.
fn filled(bed: &Bed) -> Vec<InstanceKey> {
    for (series, sop, modality) in [("1.2", "1.3.1", "CT"), ("1.2", "1.3.2", "CT"), ("1.4", "1.5", "MR")] {
        let mut new = new_instance("1.1", series, sop);
        new.modality = modality.into();
        new.names = person(crate::index::attributes::PATIENT_NAME, "A^B");
        bed.add(new);
        bed.convert_next("p");
    }
    let mut other = new_instance("1.1", "1.2", "1.3.1");
    other.object = object("other", 50);
    assert!(matches!(bed.add(other), Ingested::Conflict(_)));
    let pass = bed.begin_pass(false).unwrap().id;
    let (name, instance) = (key_of("1.3.1 converted").to_string(), Some(instance_key("1.1", "1.2", "1.3.1")));
    bed.add_fault(pass, &Fault { kind: FaultKind::Samples, name, instance, what: "wrong".into(), found: 0 }).unwrap();
    vec![instance_key("1.1", "1.2", "1.3.1"), instance_key("1.1", "1.2", "1.3.2"), instance_key("1.1", "1.4", "1.5")]
}

pub fn what_is_deleted_is_out_of_every_list(bed: Bed) {
    let all = filled(&bed);
    bed.add(new_instance("2.1", "2.2", "2.3"));
    assert_eq!(bed.remove(Scope::Study("9.9"), 0).unwrap(), Removed::Unknown);
    assert_eq!(bed.remove(Scope::Series("1.1", "2.2"), 0).unwrap(), Removed::Unknown);
    let removal = delete(&bed, Scope::Study("1.1"));
    assert_eq!((removal.study.as_str(), &removal.series, &removal.sop), ("1.1", &None, &None));
    assert_eq!((removal.instances, removal.bytes, removal.purging), (3, 3 * 1400 + 50, false));
    assert_eq!(bed.removals().unwrap(), [removal]);
    assert_eq!(
        [QueryLevel::Study, QueryLevel::Series, QueryLevel::Instance].map(|level| found(&bed, level)),
        [1, 1, 1]
    );
    for key in &all {
        assert!(bed.row(key).is_none() && bed.received(key).unwrap().is_none() && bed.shown(key).unwrap().is_none());
        assert!(bed.became(key).unwrap().is_none() && bed.way_back(key).unwrap().is_none());
        assert!(bed.named(&key.sop).unwrap().is_empty() && bed.named(&key.study).unwrap().is_empty());
        assert!(bed.lease_one("run/9", key).unwrap().is_none());
    }
    assert_eq!(bed.version("1.1", None).unwrap(), None);
    assert!(bed.conflicts().unwrap().is_empty() && bed.faults().unwrap().is_empty());
    assert!(bed.series_of("1.1", None).unwrap().is_empty());
    assert_eq!(bed.evidence(crate::index::EvidenceOf::After(0, 9)).unwrap().len(), 0);
    assert_eq!(bed.objects_after(0, 99).unwrap().len(), 1);
    assert_eq!(bed.holding(&key_of("1.1/1.2/1.3.1")).unwrap(), None);
    // Their objects are not strange: they may be needed again.
    assert!(bed.lists(&key_of("1.1/1.2/1.3.1")).unwrap() && bed.lists(&key_of("other")).unwrap());
    let stats = bed.stats().unwrap();
    assert_eq!((stats.studies, stats.series, stats.instances, stats.converted, stats.conflicts), (1, 1, 1, 0, 0));
    assert_eq!((stats.received_bytes, stats.converted_bytes, stats.ways_back, stats.residue_bytes), (1000, 0, 0, 0));
    assert_eq!(bed.lease_next("run/9").key.study, "2.1");
    whole(&bed);
}

pub fn what_is_left_is_counted_anew(bed: Bed) {
    let all = filled(&bed);
    let before = (bed.version("1.1", None).unwrap(), bed.version("1.1", Some("1.2")).unwrap());
    assert_eq!(delete(&bed, Scope::Instance(&all[0])).instances, 1);
    assert!(bed.version("1.1", None).unwrap() > before.0 && bed.version("1.1", Some("1.2")).unwrap() > before.1);
    assert_eq!(bed.instances(Scope::Study("1.1"), &mut |_| false).unwrap().len(), 2);
    let stats = bed.stats().unwrap();
    assert_eq!((stats.studies, stats.series, stats.instances, stats.converted), (1, 2, 2, 2));
    whole(&bed);
    // The last of a series takes it along, and its modality.
    delete(&bed, Scope::Series("1.1", "1.4"));
    assert_eq!((bed.version("1.1", Some("1.4")).unwrap(), bed.stats().unwrap().series), (None, 1));
    let by = |modality: &str| {
        let matches = vec![(crate::index::attributes::MODALITIES_IN_STUDY, modality.to_owned())];
        let query = Query { matches, ..Query::default() };
        let patience = Patience::of(std::time::Duration::from_secs(60));
        bed.find(&patience, QueryLevel::Study, &query).unwrap().rows.len()
    };
    assert_eq!((by("MR"), by("CT")), (0, 1));
    delete(&bed, Scope::Instance(&all[1]));
    assert_eq!((found(&bed, QueryLevel::Study), bed.stats().unwrap().studies), (0, 0));
    assert_eq!(bed.removals().unwrap().len(), 3);
    whole(&bed);
}

pub fn what_was_deleted_comes_back(bed: Bed) {
    let all = filled(&bed);
    let stats = bed.stats().unwrap();
    let rows: Vec<_> = all.iter().map(|key| bed.row(key).unwrap().object).collect();
    let versions = bed.instances(Scope::Study("1.1"), &mut |_| false).unwrap();
    let removal = delete(&bed, Scope::Study("1.1"));
    assert_eq!(bed.undo(removal.id + 7).unwrap(), None);
    let undone = bed.undo(removal.id).unwrap().unwrap();
    assert_eq!((undone.instances, undone.taken), (3, 0));
    assert!(bed.removals().unwrap().is_empty() && bed.undo(removal.id).unwrap().is_none());
    assert_eq!(all.iter().map(|key| bed.row(key).unwrap().object).collect::<Vec<_>>(), rows);
    let again = bed.instances(Scope::Study("1.1"), &mut |_| false).unwrap();
    let of = |all: &[crate::index::Current]| all.iter().map(|current| current.version).collect::<Vec<_>>();
    assert_eq!(of(&again), of(&versions));
    assert_eq!(bed.stats().unwrap(), stats);
    assert_eq!(bed.conflicts().unwrap().len(), 1);
    assert_eq!(bed.became(&all[2]).unwrap().unwrap().state, State::Converted);
    assert_eq!(bed.way_back(&all[0]).unwrap().unwrap().residue, Some(3));
    assert_eq!(bed.evidence(crate::index::EvidenceOf::Instance(&all[0])).unwrap().len(), 1);
    assert_eq!(found(&bed, QueryLevel::Instance), 3);
    // It can go once more, and what is told of it is told anew.
    assert_eq!(bed.add(new_instance("1.1", "1.2", "1.3.1")), Ingested::Duplicate(all[0].clone()));
    whole(&bed);
    delete(&bed, Scope::Study("1.1"));
    whole(&bed);
}

pub fn what_is_told_is_of_the_first_that_is_left(bed: Bed) {
    let all = filled(&bed);
    let later = |name: &str, modality: &str| {
        let mut later = new_instance("1.1", "1.2", "1.3.2");
        later.names = person(crate::index::attributes::PATIENT_NAME, name);
        (later.modality, later.study.patient_id, later.series.description) =
            (modality.into(), "P2".into(), "second".into());
        later.study_shown.common = "{\"00100020\":{\"vr\":\"LO\",\"Value\":[\"P2\"]}}".into();
        later
    };
    let by = |level, tag, value: &str| {
        let query = Query { matches: vec![(tag, value.to_owned())], ..Query::default() };
        bed.find(&Patience::of(std::time::Duration::from_secs(60)), level, &query).unwrap().rows.len()
    };
    use crate::index::attributes::{MODALITIES_IN_STUDY, PATIENT_ID, PATIENT_NAME, SERIES_DESCRIPTION};
    let version = bed.version("1.1", None).unwrap();
    bed.retell(later("C^D", "PT"), QueryLevel::Study).unwrap();
    assert!(bed.version("1.1", None).unwrap() > version);
    assert_eq!((by(QueryLevel::Study, PATIENT_NAME, "C^D"), by(QueryLevel::Study, PATIENT_NAME, "A^B")), (1, 0));
    assert_eq!((by(QueryLevel::Study, PATIENT_ID, "P2"), by(QueryLevel::Study, MODALITIES_IN_STUDY, "CT")), (1, 1));
    assert!(bed.shown(&all[2]).unwrap().unwrap()[0].contains("P2"));
    bed.retell(later("E^F", "PT"), QueryLevel::Series).unwrap();
    assert_eq!(
        (by(QueryLevel::Series, SERIES_DESCRIPTION, "second"), by(QueryLevel::Study, PATIENT_NAME, "C^D")),
        (1, 1)
    );
    let modalities = ["CT", "MR", "PT"].map(|modality| by(QueryLevel::Study, MODALITIES_IN_STUDY, modality));
    assert_eq!(modalities, [0, 1, 1]);
    let mut strange = later("G^H", "US");
    strange.key.sop = "1.3.9".into();
    bed.retell(strange, QueryLevel::Study).unwrap();
    bed.retell(later("G^H", "US"), QueryLevel::Instance).unwrap();
    assert_eq!(by(QueryLevel::Study, PATIENT_NAME, "G^H"), 0);
    whole(&bed);
}

pub fn parts_come_back_in_any_order(bed: Bed) {
    let all = filled(&bed);
    let first = delete(&bed, Scope::Instance(&all[0]));
    let series = delete(&bed, Scope::Series("1.1", "1.2"));
    let rest = delete(&bed, Scope::Study("1.1"));
    for (removal, there) in [(&first, 1), (&rest, 2), (&series, 3)] {
        assert_eq!(bed.undo(removal.id).unwrap().unwrap().taken, 0);
        assert_eq!(bed.instances(Scope::Study("1.1"), &mut |_| false).unwrap().len(), there);
        assert_eq!(found(&bed, QueryLevel::Instance), there);
        whole(&bed);
    }
    let stats = bed.stats().unwrap();
    assert_eq!((stats.studies, stats.series, stats.instances), (1, 2, 3));
}

pub fn what_came_again_stays(bed: Bed) {
    let all = filled(&bed);
    let removal = delete(&bed, Scope::Study("1.1"));
    assert_eq!(bed.add(new_instance("1.1", "1.2", "1.3.1")), Ingested::Stored(all[0].clone()));
    assert_eq!(bed.became(&all[0]).unwrap().unwrap().state, State::Waits);
    let undone = bed.undo(removal.id).unwrap().unwrap();
    assert_eq!((undone.instances, undone.taken), (2, 1));
    whole(&bed);
    let left = &bed.removals().unwrap()[0];
    assert_eq!((left.instances, left.bytes), (1, 1450));
    let gone = purge(&bed).unwrap();
    let keys: Vec<Key> = gone.objects.iter().map(|object| object.0).collect();
    assert!(!keys.contains(&key_of("1.1/1.2/1.3.1")), "what came again needs it");
    assert!(keys.contains(&key_of("1.3.1 converted")) && keys.contains(&key_of("other")) && keys.len() == 2);
    assert_eq!(bed.row(&all[0]).unwrap().object, key_of("1.1/1.2/1.3.1"));
    assert_eq!(found(&bed, QueryLevel::Instance), 3);
    whole(&bed);
}

pub fn numbers_and_versions_never_come_again(bed: Bed) {
    bed.add(new_instance("1.1", "1.2", "1.3"));
    bed.convert_next("p");
    let versions = || bed.instances(Scope::Study("1.1"), &mut |_| false).unwrap()[0].version.object;
    let (number, version) = (versions(), bed.version("1.1", None).unwrap());
    delete(&bed, Scope::Study("1.1"));
    purge(&bed).unwrap();
    let mut again = new_instance("1.1", "1.2", "1.3");
    again.object.since = bed.purges().unwrap();
    bed.add(again);
    assert!(versions() > number);
    assert!(bed.version("1.1", None).unwrap() > version);
}

pub fn a_purge_forgets_what_nobody_needs(bed: Bed) {
    let all = filled(&bed);
    bed.add(new_instance("2.1", "2.2", "2.3"));
    let before = bed.purges().unwrap();
    delete(&bed, Scope::Instance(&all[0]));
    let due = bed.remove(Scope::Study("2.1"), 1_000_000_000_000).unwrap();
    assert!(matches!(due, Removed::Done(_)));
    let begun = bed.begin_purge("run/1", 1).unwrap().unwrap();
    assert!(begun.removal.purging && bed.removals().unwrap()[0].purging);
    let mut keys: Vec<_> = begun.objects.clone();
    keys.sort();
    let mut expected = [("1.1/1.2/1.3.1", 1000), ("1.3.1 converted", 400), ("other", 50)].map(|(n, b)| (key_of(n), b));
    expected.sort();
    assert_eq!(keys, expected);
    assert_eq!(bed.undo(begun.removal.id).unwrap(), None, "there is no way back");
    assert!(bed.begin_purge("run/2", 1).unwrap().is_none(), "it is leased, and nothing else is due");
    assert!(bed.end_purge("run/1", begun.removal.id).unwrap());
    assert_eq!(bed.removals().unwrap().len(), 1);
    assert!(!bed.lists(&key_of("other")).unwrap());
    let (now, mut gone) = bed.purged_since(before).unwrap();
    gone.sort();
    assert_eq!(gone, expected.map(|object| object.0));
    assert!(now > before && bed.purged_since(now).unwrap().1.is_empty());
    assert!(bed.begin_purge("run/1", 1).unwrap().is_none());
    whole(&bed);
}

pub fn a_purge_is_ended_by_who_has_it(bed: Bed) {
    bed.add(new_instance("1.1", "1.2", "1.3"));
    let removal = delete(&bed, Scope::Study("1.1"));
    let begun = bed.begin_purge("run/1", LATER).unwrap().unwrap();
    assert!(bed.renew_purge("run/1", removal.id).unwrap());
    assert!(!bed.renew_purge("run/2", removal.id).unwrap() && !bed.end_purge("run/2", removal.id).unwrap());
    assert_eq!(begun.objects, [(key_of("1.1/1.2/1.3"), 1000)]);
    assert!(bed.end_purge("run/1", removal.id).unwrap() && !bed.end_purge("run/1", removal.id).unwrap());
}

pub fn what_is_being_deleted_is_not_listed(bed: Bed) {
    let new = |since| {
        let mut new = new_instance("1.1", "1.2", "1.3");
        new.object.since = since;
        new
    };
    bed.add(new(0));
    let before = bed.purges().unwrap();
    let removal = delete(&bed, Scope::Study("1.1"));
    bed.begin_purge("run/1", LATER).unwrap().unwrap();
    assert!(matches!(bed.register(new(before)).wait(), Err(Error::Leaving)));
    let unserved = |since| NewUnserved {
        key: key_of("1.1/1.2/1.3"),
        bytes: 1000,
        why: Unservable::Unreadable,
        reason: String::new(),
        source: "/a".into(),
        since,
    };
    assert!(matches!(bed.keep_unserved(unserved(before)), Err(Error::Leaving)));
    bed.end_purge("run/1", removal.id).unwrap();
    // Who put the bytes before the purge ended may have put them where they went.
    assert!(matches!(bed.register(new(before)).wait(), Err(Error::Leaving)));
    assert!(matches!(bed.keep_unserved(unserved(before)), Err(Error::Leaving)));
    assert_eq!(found(&bed, QueryLevel::Study), 0);
    assert!(matches!(bed.register(new(bed.purges().unwrap())).wait(), Ok(Ingested::Stored(_))));
    assert_eq!(bed.holding(&key_of("1.1/1.2/1.3")).unwrap(), Some(Holding::Waiting));
    whole(&bed);
}

pub fn what_was_never_listed_goes(bed: Bed) {
    bed.add(new_instance("1.1", "1.2", "1.3"));
    let job = bed.lease_next("run/1");
    let removal = delete(&bed, Scope::Study("1.1"));
    assert!(!bed.finish("run/1", "p", &job, conversion("late")).unwrap(), "its instance went meanwhile");
    assert!(bed.abandon("run/2", &key_of("1.1/1.2/1.3"), 1000).unwrap().is_none(), "it may come back");
    let begun = bed.abandon("run/2", &key_of("late"), 400).unwrap().unwrap();
    assert_eq!(begun.objects, [(key_of("late"), 400)]);
    assert_eq!(bed.removals().unwrap(), std::slice::from_ref(&removal), "nobody deleted it");
    assert!(bed.abandon("run/3", &key_of("late"), 400).unwrap().is_none(), "somebody is at it");
    assert!(bed.end_purge("run/2", begun.removal.id).unwrap());
    bed.undo(removal.id).unwrap().unwrap();
    // A conversion whose object was put before that is tried again.
    bed.requeue("p", crate::index::Retry::Now).unwrap();
    bed.release_dead(&["run".into()]).unwrap();
    let job = bed.lease_next("run/4");
    assert!(bed.finish("run/4", "p", &job, conversion("late")).unwrap());
    let became = bed.became(&job.key).unwrap().unwrap();
    assert_eq!((became.state, became.may_pass), (State::Failed, true));
    whole(&bed);
}

pub fn a_held_study_stays(bed: Bed) {
    let all = filled(&bed);
    let removal = delete(&bed, Scope::Instance(&all[0]));
    bed.hold("1.1", "a trial").unwrap();
    bed.hold("1.1", "another trial").unwrap();
    let holds = bed.holds().unwrap();
    assert!(matches!(&holds[..], [Hold { study, reason, .. }] if study == "1.1" && reason == "another trial"));
    for scope in [Scope::Study("1.1"), Scope::Series("1.1", "1.2"), Scope::Instance(&all[1])] {
        assert_eq!(bed.remove(scope, 0).unwrap(), Removed::Held(holds[0].clone()));
    }
    assert!(bed.begin_purge("run/1", LATER).unwrap().is_none(), "what was deleted before is held too");
    assert_eq!(bed.undo(removal.id).unwrap().unwrap().instances, 1);
    assert!(bed.release_hold("1.1").unwrap() && !bed.release_hold("1.1").unwrap());
    assert!(bed.holds().unwrap().is_empty());
    assert_eq!(delete(&bed, Scope::Study("1.1")).instances, 3);
}

pub fn lessees_of_purges_may_die(bed: Bed) {
    bed.add(new_instance("1.1", "1.2", "1.3"));
    let removal = delete(&bed, Scope::Study("1.1"));
    let begun = bed.begin_purge("dead/1", LATER).unwrap().unwrap();
    assert_eq!(bed.lessees().unwrap(), ["dead"]);
    assert!(bed.begin_purge("run/1", LATER).unwrap().is_none());
    bed.release_dead(&["dead".into()]).unwrap();
    assert!(!bed.end_purge("dead/1", removal.id).unwrap());
    assert_eq!(bed.begin_purge("run/1", 0).unwrap().unwrap(), begun, "where it was, the same is to be done");
    assert!(bed.end_purge("run/1", removal.id).unwrap());
}

pub fn the_engine_is_made_anew(bed: Bed) {
    filled(&bed);
    delete(&bed, Scope::Study("1.1"));
    purge(&bed).unwrap();
    assert!(!bed.scour(0).unwrap());
    assert!(bed.scour(1 << 30).unwrap());
    whole(&bed);
    assert!(matches!(bed.register(new_instance("2.1", "2.2", "2.3")).wait(), Ok(Ingested::Stored(_))));
}
