//! Ways back, and what is released because of them.

use super::*;
use crate::index::{Fault, FaultKind, State};

const NEVER: i64 = i64::MAX;

pub fn the_way_back_is_kept(bed: Bed) {
    bed.add(new_instance("1.1", "1.2", "1.3.1"));
    bed.add(new_instance("1.1", "1.2", "1.3.2"));
    let key = instance_key("1.1", "1.2", "1.3.1");
    assert!(bed.way_back(&key).unwrap().is_none());
    let job = bed.convert_next("p");
    let way = bed.way_back(&key).unwrap().unwrap();
    assert_eq!((way.residue, way.reason.as_str(), way.released), (Some(3), "", None));
    let way = bed.way_to(&job.received).unwrap().unwrap();
    assert_eq!((way.object, way.bytes, way.residue), (key_of("1.3.1 converted"), 400, Some(vec![7, 0, 7])));
    assert_eq!(bed.residue(job.object).unwrap(), [7, 0, 7]);
    let job = bed.lease_next("run/1");
    let JobEnd::Converted(mut without) = conversion("1.3.2 converted") else { unreachable!() };
    without.way_back = Err("it has none".into());
    assert!(bed.finish("run/1", "p", &job, JobEnd::Converted(without)).unwrap());
    let way = bed.way_to(&job.received).unwrap().unwrap();
    assert_eq!((way.residue, way.reason.as_str()), (None, "it has none"));
    assert_eq!(bed.stats().unwrap().ways_back, 1);
    assert_eq!(bed.release_candidates(NEVER, 0, 9).unwrap().len(), 1);
    assert!(bed.way_to(&key_of("never came")).unwrap().is_none());
}

pub fn released_once_and_for_all(bed: Bed) {
    for n in 1..=3 {
        bed.add(new_instance("1.1", "1.2", &format!("1.3.{n}")));
        bed.convert_next("p");
    }
    assert!(bed.release_candidates(0, 0, 9).unwrap().is_empty(), "made after 1970");
    let all = bed.release_candidates(NEVER, 0, 9).unwrap();
    assert_eq!(all.iter().map(|c| c.key.sop.as_str()).collect::<Vec<_>>(), ["1.3.1", "1.3.2", "1.3.3"]);
    assert_eq!((all[0].bytes, all[0].converted, all[0].converted_bytes), (1000, key_of("1.3.1 converted"), 400));
    assert_eq!(bed.release_candidates(NEVER, all[0].original, 1).unwrap()[0].original, all[1].original);
    bed.postpone_release(all[2].original).unwrap();
    let first = &all[0];
    assert!(!bed.release(first.original, &key_of("another")).unwrap());
    assert!(leaving(&bed).is_none() && !bed.is_released(&first.received).unwrap());
    assert!(bed.release(first.original, &first.converted).unwrap());
    assert!(!bed.release(first.original, &first.converted).unwrap());
    assert!(bed.is_released(&first.received).unwrap() && bed.is_released_object(first.original).unwrap());
    assert!(!bed.is_released_object(all[1].original).unwrap());
    assert_eq!(leaving(&bed), Some((first.original, first.received)));
    assert!(bed.leaving(NEVER, first.original).unwrap().is_none());
    assert!(bed.leaving(0, 0).unwrap().is_none(), "made after 1970");
    bed.removed(first.original).unwrap();
    assert!(leaving(&bed).is_none());
    assert!(bed.way_back(&first.key).unwrap().unwrap().released.is_some());
    let stats = bed.stats().unwrap();
    assert_eq!((stats.released, stats.released_bytes, stats.ways_back), (1, 1000, 3));
    assert_eq!(bed.holdings().unwrap().released, 1);
    assert_eq!(bed.release_candidates(NEVER, 0, 9).unwrap().len(), 2);
}

pub fn what_comes_again_leaves_again(bed: Bed) {
    bed.add(new_instance("1.1", "1.2", "1.3"));
    let job = bed.convert_next("p");
    assert!(bed.release(job.object, &key_of("1.3 converted")).unwrap());
    bed.removed(job.object).unwrap();
    assert_eq!(bed.add(new_instance("1.1", "1.2", "1.3")), Ingested::Duplicate(job.key.clone()));
    assert_eq!(leaving(&bed), Some((job.object, job.received)));
    let found = bed.leaving(NEVER, 0).unwrap().unwrap();
    assert_eq!((found.converted, found.converted_bytes, found.key), (key_of("1.3 converted"), 400, job.key));
}

pub fn what_may_be_all_that_is_left_stays(bed: Bed) {
    let job = released_and_damaged(&bed);
    assert!(leaving(&bed).is_none(), "a fault is known");
    bed.add(new_instance("1.1", "1.2", "1.3"));
    assert!(leaving(&bed).is_none(), "it is to be converted once more");
    bed.convert_next("p");
    assert_eq!(leaving(&bed), Some((job.object, job.received)));
}

pub fn a_way_back_is_never_given_up_for_none(bed: Bed) {
    let job = released_and_damaged(&bed);
    bed.add(new_instance("1.1", "1.2", "1.3"));
    let again = bed.lease_next("run/2");
    let JobEnd::Converted(mut without) = conversion("1.3 converted otherwise") else { unreachable!() };
    without.way_back = Err("it has none".into());
    assert!(bed.finish("run/2", "p", &again, JobEnd::Converted(without)).unwrap());
    let became = bed.became(&job.key).unwrap().unwrap();
    assert_eq!((became.state, became.may_pass), (State::Failed, false));
    assert_eq!(became.reason, "no way back to what was released: it has none");
    assert_eq!(bed.row(&job.key).unwrap().object, key_of("1.3 converted"));
    assert_eq!(bed.residue(job.object).unwrap(), [7, 0, 7]);
    assert!(leaving(&bed).is_none(), "what came again is all that is whole");
}

/// One that was released and removed; what was converted from it is damaged.
fn released_and_damaged(bed: &Bed) -> Job {
    bed.add(new_instance("1.1", "1.2", "1.3"));
    let job = bed.convert_next("p");
    let converted = key_of("1.3 converted");
    assert!(bed.release(job.object, &converted).unwrap());
    let pass = bed.begin_pass(false).unwrap().id;
    let (kind, what) = (FaultKind::Object, "damaged".to_owned());
    bed.add_fault(pass, &Fault { kind, name: converted.to_string(), instance: None, what, found: 0 }).unwrap();
    job
}

fn leaving(bed: &Bed) -> Option<(i64, Key)> {
    bed.leaving(NEVER, 0).unwrap().map(|found| (found.original, found.received))
}
