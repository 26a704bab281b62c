//! Copies of the index, and what they name.

use super::*;

pub fn every_object_is_named_once_in_order(bed: Bed) {
    for n in 0..5 {
        bed.add(new_instance("1.1", "1.2", &format!("1.3.{n}")));
    }
    let job = bed.convert_next("p");
    assert!(bed.release(job.object, &key_of("1.3.0 converted")).unwrap());
    let mut other = new_instance("1.1", "1.2", "1.3.1");
    other.object = object("other", 50);
    bed.add(other);
    bed.keep_unserved(crate::index::NewUnserved {
        key: key_of("unserved"),
        bytes: 7,
        why: crate::index::Unservable::Unreadable,
        reason: String::new(),
        source: "/a".into(),
        since: 0,
    })
    .unwrap();
    let key = instance_key("1.1", "1.2", "1.3.4");
    bed.remove(Scope::Instance(&key), 0).unwrap();
    // What was deleted and came again is one object.
    bed.add(new_instance("1.1", "1.2", "1.3.4"));
    let all = bed.named_objects(None, 99).unwrap();
    assert_eq!(all.len(), 5 + 1 + 1 + 1);
    assert!(all.windows(2).all(|pair| pair[0].key < pair[1].key));
    let of =
        |name: &str| all.iter().find(|object| object.key == key_of(name)).map(|object| (object.bytes, object.released));
    assert_eq!((of("1.1/1.2/1.3.0"), of("1.3.0 converted")), (Some((1000, true)), Some((400, false))));
    assert_eq!(
        (of("other"), of("unserved"), of("1.1/1.2/1.3.4")),
        (Some((50, false)), Some((7, false)), Some((1000, false)))
    );
    let mut paged = Vec::new();
    while let Some(page) =
        Some(bed.named_objects(paged.last().map(|object: &crate::index::NamedObject| object.key), 3).unwrap())
            .filter(|page| !page.is_empty())
    {
        paged.extend(page);
    }
    assert_eq!(paged, all);
}

pub fn a_copy_is_the_index_at_one_moment(bed: Bed) {
    bed.add(new_instance("1.1", "1.2", "1.3.1"));
    bed.convert_next("p");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy");
    if !bed.copy_to(&file).unwrap() {
        return;
    }
    bed.add(new_instance("1.1", "1.2", "1.3.2"));
    let copy = crate::index::sqlite::Sqlite::open(&file, 1).unwrap();
    let copy = Bed { index: Box::new(copy), holds: Box::new(folder) };
    assert_eq!(copy.stats().unwrap().instances, 1);
    assert_eq!(copy.row(&instance_key("1.1", "1.2", "1.3.1")).unwrap().object, key_of("1.3.1 converted"));
    assert!(copy.contradictions(&[]).unwrap().is_empty() && copy.structure(false).unwrap().is_empty());
    assert_eq!(bed.stats().unwrap().instances, 2);
}
