//! Ways back, and what is released because of them.

use super::*;

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
    assert!(bed.leaving().unwrap().is_none() && !bed.is_released(&first.received).unwrap());
    assert!(bed.release(first.original, &first.converted).unwrap());
    assert!(!bed.release(first.original, &first.converted).unwrap());
    assert!(bed.is_released(&first.received).unwrap() && bed.is_released_object(first.original).unwrap());
    assert!(!bed.is_released_object(all[1].original).unwrap());
    assert_eq!(bed.leaving().unwrap(), Some((first.original, first.received)));
    bed.removed(first.original).unwrap();
    assert!(bed.leaving().unwrap().is_none());
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
    assert_eq!(bed.add(new_instance("1.1", "1.2", "1.3")), Ingested::Duplicate(job.key));
    assert_eq!(bed.leaving().unwrap(), Some((job.object, job.received)));
}
