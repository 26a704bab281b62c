//! Passes of the scrubber, and what it finds.

use super::*;
use crate::index::{Fault, FaultKind, OpenPass, State};

fn fault(kind: FaultKind, name: &str) -> Fault {
    Fault { kind, name: name.into(), instance: None, what: "wrong".into(), found: 7 }
}

pub fn a_pass_goes_on_where_it_was_stopped(bed: Bed) {
    assert!(bed.pass().unwrap().is_none());
    bed.add(new_instance("1.1", "1.2", "1.3"));
    let open = bed.begin_pass(false).unwrap();
    assert_eq!((open.cursor, open.objects, open.bytes), (0, 0, 0));
    let reached = OpenPass { cursor: 17, objects: 3, bytes: 300, ..open };
    bed.save_pass(&reached).unwrap();
    assert_eq!(bed.begin_pass(false).unwrap(), reached);
    let pass = bed.pass().unwrap().unwrap();
    assert_eq!((pass.objects, pass.bytes, pass.of_objects, pass.of_bytes, pass.ended), (3, 300, 1, 1000, None));
    let anew = bed.begin_pass(true).unwrap();
    assert_eq!((anew.cursor, anew.objects), (0, 0));
    let ended = bed.end_pass(anew.id).unwrap();
    assert_eq!(bed.pass().unwrap().unwrap().ended, Some(ended));
    assert!(bed.begin_pass(false).unwrap().id > anew.id);
}

pub fn faults_stay_until_they_heal(bed: Bed) {
    let first = bed.begin_pass(false).unwrap().id;
    let mut found = fault(FaultKind::Samples, "b");
    found.instance = Some(instance_key("1.1", "1.2", "1.3"));
    bed.add_fault(first, &found).unwrap();
    bed.add_fault(first, &fault(FaultKind::Index, "a")).unwrap();
    bed.add_fault(first, &fault(FaultKind::Index, "a")).unwrap();
    bed.end_pass(first).unwrap();
    assert_eq!(bed.faults().unwrap(), [fault(FaultKind::Index, "a"), found.clone()]);
    let counts = bed.fault_counts().unwrap();
    assert_eq!(counts.len(), FaultKind::ALL.len());
    assert!(counts.contains(&(FaultKind::Index, 1)) && counts.contains(&(FaultKind::Missing, 0)));
    let second = bed.begin_pass(false).unwrap().id;
    bed.add_fault(second, &found).unwrap();
    bed.end_pass(second).unwrap();
    assert_eq!(bed.faults().unwrap(), [found]);
}

pub fn whole_bytes_heal(bed: Bed) {
    bed.add(new_instance("1.1", "1.2", "1.3"));
    let job = bed.convert_next("p");
    let pass = bed.begin_pass(false).unwrap().id;
    let (received, converted) = (job.received, key_of("1.3 converted"));
    bed.add_fault(pass, &fault(FaultKind::Missing, &received.to_string())).unwrap();
    bed.add_fault(pass, &fault(FaultKind::Object, &converted.to_string())).unwrap();
    bed.add_fault(pass, &fault(FaultKind::Samples, &converted.to_string())).unwrap();
    assert!(bed.is_faulty(&received).unwrap() && bed.is_faulty(&converted).unwrap());
    assert!(!bed.is_faulty(&key_of("another")).unwrap());
    // The received bytes come again: they are healed, and what was made from them is made once more.
    assert_eq!(bed.add(new_instance("1.1", "1.2", "1.3")), Ingested::Duplicate(job.key.clone()));
    assert!(!bed.is_faulty(&received).unwrap() && bed.is_faulty(&converted).unwrap());
    assert_eq!(bed.became(&job.key).unwrap().unwrap().state, State::Waits);
    bed.convert_next("p");
    assert!(bed.faults().unwrap().is_empty());
    assert_eq!(bed.row(&job.key).unwrap().object, converted);
}

pub fn rows_are_whole_and_agree(bed: Bed) {
    for n in 0..5 {
        let mut new = new_instance("1.1", "1.2", &format!("1.3.{n}"));
        new.names = person(crate::index::attributes::PATIENT_NAME, "A^B=C");
        bed.add(new);
    }
    bed.convert_next("p");
    let tables = bed.sealed_tables().unwrap();
    for table in ["studies", "series", "instances", "objects", "jobs", "evidence", "names", "ways_back"] {
        assert!(tables.iter().any(|name| name == table), "{table}");
    }
    for table in &tables {
        let mut from = Some(0);
        while let Some(after) = from {
            let part = bed.damaged_rows(table, after).unwrap();
            assert!(part.rows.is_empty(), "{table}: {:?}", part.rows);
            from = part.next;
        }
    }
    assert!(bed.contradictions(&[]).unwrap().is_empty());
    assert!(bed.structure(false).unwrap().is_empty());
}

pub fn objects_and_their_evidence(bed: Bed) {
    for n in 0..3 {
        bed.add(new_instance("1.1", "1.2", &format!("1.3.{n}")));
    }
    let job = bed.convert_next("p");
    let all = bed.objects_after(0, 9).unwrap();
    assert_eq!(all.len(), 4);
    assert!(all.iter().all(|object| object.whole && object.instance.is_some()));
    assert!(all.is_sorted_by_key(|object| object.id));
    assert_eq!(all[0].key, Some(job.received));
    let converted = all.iter().find(|object| object.converted).unwrap();
    assert_eq!((converted.bytes, converted.instance.as_ref()), (400, Some(&job.key)));
    assert_eq!(bed.objects_after(all[0].id, 2).unwrap().len(), 2);
    let evidence = bed.newest_evidence(converted.id).unwrap().unwrap();
    assert_eq!((evidence.frames.as_slice(), evidence.samples_sha256.as_str()), (&[1, 2, 3, 0][..], "ab"));
    assert!(bed.newest_evidence(all[0].id).unwrap().is_none());
    assert_eq!(bed.listed_total().unwrap(), (4, 3400));
}
