//! What somebody decides of instances.

use super::*;
use crate::index::attributes::name;
use crate::index::{ChangeKind, Chosen, Holding, Patience, Query, QueryLevel, State};

/// The same UIDs with other bytes of so many.
fn other(bytes: u64) -> NewInstance {
    let mut other = new_instance("1", "2", "3");
    other.object = object("other", bytes);
    other.instance_number = Some(7);
    other.instance_shown.common = "{\"00080018\":{\"vr\":\"UI\",\"Value\":[\"3\"]}}".into();
    other.instance_shown.more = "{\"00080008\":{\"vr\":\"CS\",\"Value\":[\"OTHER\"]}}".into();
    other
}

fn whole(bed: &Bed) {
    for table in bed.sealed_tables().unwrap() {
        assert!(bed.damaged_rows(&table, 0).unwrap().rows.is_empty(), "{table}");
    }
    let found = bed.contradictions(&[]).unwrap();
    assert!(found.is_empty(), "{found:?}");
}

pub fn what_failed_is_tried_again(bed: Bed) {
    let key = bed.add(new_instance("1", "2", "3")).key().clone();
    assert!(!bed.try_again(&key).unwrap(), "it waits already");
    let job = bed.lease_next("run/1");
    let failed = JobEnd::Failed { reason: "x".into(), may_pass: false, figures: Vec::new() };
    assert!(bed.finish("run/1", "p", &job, failed).unwrap());
    assert!(!bed.try_again(&instance_key("1", "2", "4")).unwrap());
    assert!(bed.try_again(&key).unwrap());
    assert_eq!(bed.became(&key).unwrap().unwrap().state, State::Waits);
    assert_eq!((bed.stats().unwrap().failed, bed.stats().unwrap().pending), (0, 1));
    assert_eq!(bed.lease_next("run/2").key, key);
    whole(&bed);
}

pub fn a_conflict_is_settled_and_loses_neither(bed: Bed) {
    bed.add(new_instance("1", "2", "3"));
    assert!(!bed.settle(&key_of("other")).unwrap());
    bed.add(other(30));
    assert_eq!((bed.conflicts().unwrap().len(), bed.stats().unwrap().conflicts), (1, 1));
    assert!(bed.settle(&key_of("other")).unwrap() && !bed.settle(&key_of("other")).unwrap());
    assert_eq!((bed.conflicts().unwrap().len(), bed.stats().unwrap().conflicts), (0, 0));
    assert_eq!(bed.settled().unwrap()[0].object_id, key_of("other").to_string());
    assert_eq!(bed.row(&instance_key("1", "2", "3")).unwrap().object, key_of("1/2/3"));
    // It is there, and when it comes again nobody is asked again.
    assert!(bed.lists(&key_of("other")).unwrap());
    assert!(matches!(bed.add(other(30)), Ingested::Conflict(_)));
    assert_eq!(bed.conflicts().unwrap().len(), 0);
    assert!(matches!(bed.holding(&key_of("other")).unwrap(), Some(held) if held == Holding::beside()));
    whole(&bed);
}

pub fn the_other_object_is_handed_out(bed: Bed) {
    let key = bed.add(new_instance("1", "2", "3")).key().clone();
    assert_eq!(bed.hand_out(other(30)).unwrap(), Chosen::Unknown);
    bed.add(other(30));
    bed.convert_next("p");
    let (counted, told) = (bed.handed_out().unwrap(), bed.last_change().unwrap());
    assert_eq!(bed.hand_out(other(30)).unwrap(), Chosen::Done);
    assert!(counted.is_none() || bed.handed_out().unwrap() != counted);
    let change = bed.changes(told, 9).unwrap().pop().unwrap();
    assert_eq!((change.kind, change.of.unwrap().sop.as_deref()), (ChangeKind::Corrected, Some("3")));
    let row = bed.row(&key).unwrap();
    assert_eq!((row.object, row.number), (key_of("other"), Some(7)));
    assert_eq!(bed.received(&key).unwrap(), Some((key_of("other"), 30)));
    assert_eq!(bed.settled().unwrap()[0].object_id, key_of("1/2/3").to_string());
    let query = Query { include: crate::index::Fields::All, ..Query::default() };
    let found = bed.find(&Patience::of(std::time::Duration::from_secs(60)), QueryLevel::Instance, &query).unwrap();
    assert_eq!(found.rows[0][&name(Tag(0x0008, 0x0008))]["Value"][0], "OTHER");
    assert_eq!((bed.conflicts().unwrap().len(), bed.stats().unwrap().pending), (0, 1));
    whole(&bed);
    // It is converted as if it had just come, and the first can be handed out again.
    let job = bed.lease_next("run/1");
    assert_eq!(job.received, key_of("other"));
    assert_eq!(bed.hand_out(new_instance("1", "2", "3")).unwrap(), Chosen::Done);
    assert!(!bed.finish("run/1", "p", &job, conversion("other converted")).unwrap(), "its lease is lost");
    assert_eq!(bed.row(&key).unwrap().object, key_of("1/2/3"));
    bed.convert_next("p");
    assert_eq!(bed.row(&key).unwrap().object, key_of("3 converted"));
    whole(&bed);
    // Both go with their instance, and come back.
    let crate::index::Removed::Done(removal) = bed.remove(Scope::Study("1"), 0).unwrap() else { panic!() };
    whole(&bed);
    bed.undo(removal.id).unwrap().unwrap();
    whole(&bed);
    assert_eq!(bed.hand_out(other(30)).unwrap(), Chosen::Done);
}
