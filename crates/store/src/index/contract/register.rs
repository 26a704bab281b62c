//! What comes is listed, once, and what came first stays.

use std::thread;

use super::*;
use crate::index::{Holding, IsPicture, NewUnserved, Unservable};

pub fn what_is_new_is_listed(bed: Bed) {
    let key = instance_key("1.1", "1.2", "1.3");
    assert!(bed.row(&key).is_none());
    assert_eq!(bed.version("1.1", None).unwrap(), None);
    assert_eq!(bed.add(new_instance("1.1", "1.2", "1.3")), Ingested::Stored(key.clone()));
    let (row, new) = (bed.row(&key).unwrap(), new_instance("1.1", "1.2", "1.3"));
    assert_eq!((&row.key, &row.class, &row.modality, row.number), (&key, &new.class, &new.modality, Some(1)));
    assert_eq!((row.object, row.bytes, &row.syntax), (new.object.key, 1000, &new.object.syntax));
    assert_eq!((&row.facts, &row.frames), (&new.object.facts, &new.object.frames));
    assert_eq!(bed.received(&key).unwrap(), Some((new.object.key, 1000)));
    assert_eq!(bed.shown(&key).unwrap().unwrap()[4], new.instance_shown.common);
    assert_eq!(bed.holding(&new.object.key).unwrap(), Some(Holding::Waiting));
    assert!(bed.lists(&new.object.key).unwrap() && !bed.lists(&key_of("never came")).unwrap());
    let stats = bed.stats().unwrap();
    assert_eq!((stats.studies, stats.series, stats.instances, stats.pending, stats.received_bytes), (1, 1, 1, 1, 1000));
    assert!(bed.version("1.1", None).unwrap().is_some() && bed.version("1.1", Some("1.2")).unwrap().is_some());
    assert_eq!(bed.version("1.1", Some("1.3")).unwrap(), None);
    assert!(bed.row(&instance_key("1.1", "1.3", "1.2")).is_none());
}

pub fn the_same_bytes_are_a_duplicate(bed: Bed) {
    let key = instance_key("1.1", "1.2", "1.3");
    bed.add(new_instance("1.1", "1.2", "1.3"));
    let version = bed.version("1.1", None).unwrap();
    assert_eq!(bed.add(new_instance("1.1", "1.2", "1.3")), Ingested::Duplicate(key));
    assert_eq!(bed.stats().unwrap().instances, 1);
    assert_eq!(bed.version("1.1", None).unwrap(), version);
}

pub fn other_bytes_are_kept_beside(bed: Bed) {
    let key = instance_key("1.1", "1.2", "1.3");
    bed.add(new_instance("1.1", "1.2", "1.3"));
    let mut other = new_instance("1.1", "1.2", "1.3");
    other.object = object("other", 50);
    for _ in 0..2 {
        assert_eq!(bed.add(other.clone()), Ingested::Conflict(key.clone()));
    }
    assert_eq!(bed.add(new_instance("1.1", "1.2", "1.3")), Ingested::Duplicate(key.clone()));
    let beside = bed.conflicts().unwrap();
    assert_eq!(beside.len(), 1);
    assert_eq!((&beside[0].key, beside[0].size), (&key, 50));
    assert_eq!(beside[0].object_id, key_of("other").to_string());
    assert_eq!(bed.row(&key).unwrap().bytes, 1000);
    assert_eq!(bed.holding(&key_of("other")).unwrap(), Some(Holding::beside()));
    let stats = bed.stats().unwrap();
    assert_eq!((stats.instances, stats.conflicts, stats.received_bytes), (1, 1, 1050));
}

pub fn what_came_first_stays_shown(bed: Bed) {
    bed.add(new_instance("1.1", "1.2", "1.3"));
    let versions = |bed: &Bed| (bed.version("1.1", None).unwrap(), bed.version("1.1", Some("1.2")).unwrap());
    let before = versions(&bed);
    let mut second = new_instance("1.1", "1.2", "1.4");
    second.study_shown.common = "{\"00100020\":{\"vr\":\"LO\",\"Value\":[\"later\"]}}".into();
    second.instance_number = Some(2);
    bed.add(second);
    let after = versions(&bed);
    assert!(before.0 != after.0 && before.1 != after.1);
    let shown = bed.shown(&instance_key("1.1", "1.2", "1.4")).unwrap().unwrap();
    assert_eq!(shown[0], new_instance("1.1", "1.2", "1.3").study_shown.common);
    assert_eq!(bed.instances(Scope::Series("1.1", "1.2"), &mut |_| false).unwrap().len(), 2);
}

pub fn many_come_at_once(bed: Bed) {
    let bed = &*bed.index;
    thread::scope(|scope| {
        for worker in 0..4 {
            scope.spawn(move || {
                let new = |n: u32| new_instance("1.1", &format!("1.2.{worker}"), &format!("1.3.{n}"));
                let tickets: Vec<_> = (0..60).map(|n| bed.register(new(n % 50))).collect();
                let answers: Vec<Ingested> = tickets.into_iter().map(|ticket| ticket.wait().unwrap()).collect();
                let stored = answers.iter().filter(|answer| matches!(answer, Ingested::Stored(_))).count();
                assert_eq!(stored, 50);
            });
        }
    });
    let stats = bed.stats().unwrap();
    assert_eq!((stats.studies, stats.series, stats.instances), (1, 4, 200));
    assert!(bed.contradictions(&[]).unwrap().is_empty());
}

pub fn what_is_not_served_is_listed_until_it_is(bed: Bed) {
    let new = |why, source: &str| NewUnserved {
        key: new_instance("1.1", "1.2", "1.3").object.key,
        bytes: 1000,
        why,
        reason: "cut".into(),
        source: source.into(),
        since: 0,
    };
    assert!(bed.keep_unserved(new(Unservable::Unreadable, "/a")).unwrap());
    assert!(bed.keep_unserved(new(Unservable::Unreadable, "/b")).unwrap());
    assert!(!bed.keep_unserved(new(Unservable::Unreadable, "/a")).unwrap());
    let listed = bed.unserved().unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!((listed[1].source.to_str(), listed[1].why, listed[1].bytes), (Some("/b"), Unservable::Unreadable, 1000));
    assert_eq!(bed.holding(&listed_key()).unwrap(), Some(Holding::Unreadable { reason: "cut".into() }));
    assert!(!bed.keep_unserved(new(Unservable::NoInstance, "/a")).unwrap());
    assert_eq!(bed.unserved().unwrap()[0].why, Unservable::NoInstance);
    assert_eq!(bed.listed_total().unwrap(), (2, 2000));
    bed.add(new_instance("1.1", "1.2", "1.3"));
    assert!(bed.unserved().unwrap().is_empty());
    assert_eq!(bed.listed_total().unwrap(), (1, 1000));
    assert_eq!(bed.holding(&listed_key()).unwrap(), Some(Holding::Waiting));
}

fn listed_key() -> Key {
    new_instance("1.1", "1.2", "1.3").object.key
}

pub fn a_study_is_shown_by_its_pictures(bed: Bed) {
    let add = |series: &str, modality: &str, number, sop: &str, instance, class: &str| {
        let mut new = new_instance("1.1", series, sop);
        (new.modality, new.series_number, new.instance_number) = (modality.into(), number, instance);
        new.class = class.into();
        bed.add(new);
    };
    add("1.2.2", "CT", Some(2), "1.3.9", Some(2), "picture");
    add("1.2.2", "CT", Some(2), "1.3.8", Some(1), "none");
    add("1.2.1", "SR", Some(1), "1.3.7", Some(1), "picture");
    let is_picture = IsPicture { modality: &|modality| modality == "CT", instance: &|class, _| class == "picture" };
    let pictures = bed.pictures("1.1", is_picture).unwrap().unwrap();
    let told: Vec<_> = pictures.iter().map(|p| (p.series.as_str(), p.picture.as_deref())).collect();
    assert_eq!(told, [("1.2.1", None), ("1.2.2", Some("1.3.9"))]);
    assert!(bed.pictures("1.9", is_picture).unwrap().is_none());
}

pub fn instances_that_the_caller_has_are_not_read(bed: Bed) {
    for (n, sop) in [(3, "1.3.3"), (1, "1.3.1"), (2, "1.3.2")] {
        let mut new = new_instance("1.1", "1.2", sop);
        new.instance_number = Some(n);
        bed.add(new);
    }
    bed.add(new_instance("1.1", "1.1", "1.3.4"));
    let mut versions = Vec::new();
    let all = bed.instances(Scope::Study("1.1"), &mut |version| {
        versions.push(version);
        versions.len() == 2
    });
    let all = all.unwrap();
    assert_eq!(all.iter().map(|current| current.version).collect::<Vec<_>>(), versions);
    let sops: Vec<_> = all.iter().map(|current| current.row.as_ref().map(|row| row.key.sop.as_str())).collect();
    assert_eq!(sops, [Some("1.3.1"), None, Some("1.3.3"), Some("1.3.4")]);
    let series = bed.instances(Scope::Series("1.1", "1.1"), &mut |_| false).unwrap();
    assert_eq!(series.len(), 1);
    assert!(bed.instances(Scope::Study("1.9"), &mut |_| false).unwrap().is_empty());
}

pub fn uids_name_instances(bed: Bed) {
    for (study, series, sop) in [("1.1", "1.2", "1.3"), ("1.1", "1.4", "1.5"), ("1.6", "1.2", "1.7")] {
        bed.add(new_instance(study, series, sop));
    }
    let named = |uid| bed.named(uid).unwrap().into_iter().map(|key| key.sop).collect::<Vec<_>>();
    assert_eq!(named("1.1"), ["1.3", "1.5"]);
    assert_eq!(named("1.2"), ["1.3", "1.7"]);
    assert_eq!(named("1.7"), ["1.7"]);
    assert!(named("1.9").is_empty());
}
