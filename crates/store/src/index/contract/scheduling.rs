//! What is scheduled, and what is performed.

use super::*;
use crate::index::ScheduledRow;

fn step(study: &str, step: &str, day: &str) -> ScheduledRow {
    ScheduledRow { study: study.into(), step: step.into(), day: day.into(), item: format!("[{day:?}]") }
}

pub fn steps_are_scheduled_and_removed(bed: Bed) {
    let put = |steps: &[(&str, &str, &str)], most| {
        bed.put_scheduled(steps.iter().map(|(study, id, day)| step(study, id, day)).collect(), most).unwrap()
    };
    let days = |from: &str, to: &str| -> Vec<String> {
        let rows = bed.scheduled(from, to).unwrap();
        rows.iter().map(|row| format!("{} {} {}", row.study, row.step, row.day)).collect()
    };
    assert_eq!(put(&[("1.2", "B", "20240105"), ("1.2", "A", "20240105"), ("1.1", "A", "20240106")], 10), Some(3));
    assert_eq!(days("20240105", "20240105"), ["1.2 A 20240105", "1.2 B 20240105"]);
    assert_eq!(put(&[("1.2", "A", "20240107"), ("1.2", "C", "20240101"), ("1.2", "C", "20240102")], 10), Some(1));
    assert_eq!(days("", "9"), ["1.2 C 20240102", "1.2 B 20240105", "1.1 A 20240106", "1.2 A 20240107"]);
    assert_eq!(put(&[("1.2", "A", "20240108"), ("1.3", "A", "20240108")], 4), None, "there is no room for it");
    assert!(days("20240108", "20240108").is_empty(), "all or none");
    assert_eq!(put(&[("1.2", "A", "20240108")], 4), Some(0));
    assert!(bed.remove_scheduled("1.2", "A").unwrap() && !bed.remove_scheduled("1.2", "A").unwrap());
    assert_eq!((bed.forget_scheduled("20240106").unwrap(), days("", "9")), (2, vec!["1.1 A 20240106".to_owned()]));
}

pub fn what_is_performed_is_changed_by_one_at_a_time(bed: Bed) {
    assert!(bed.add_performed("1.5", "a").unwrap() && !bed.add_performed("1.5", "b").unwrap());
    assert!(bed.add_performed("1.6", "c").unwrap());
    let item = |uid: &str| bed.performed(uid).unwrap().map(|row| row.item);
    assert_eq!((item("1.5"), item("1.7")), (Some("a".into()), None));
    assert!(bed.change_performed("1.5", "a", "d").unwrap());
    assert!(!bed.change_performed("1.5", "a", "e").unwrap(), "somebody else was first");
    assert!(!bed.change_performed("1.7", "", "e").unwrap());
    let listed: Vec<_> = bed.last_performed(9).unwrap().into_iter().map(|row| (row.uid, row.item)).collect();
    assert!(listed.contains(&("1.5".into(), "d".into())) && listed.len() == 2, "{listed:?}");
    assert_eq!(bed.last_performed(1).unwrap().len(), 1);
    assert_eq!((bed.forget_performed(5).unwrap(), bed.forget_performed(i64::MAX).unwrap()), (0, 2));
    assert!(bed.last_performed(9).unwrap().is_empty());
}
