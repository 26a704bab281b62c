//! All rows into an index of the same engine or of another.

use super::*;
use crate::index::sqlite::Sqlite;
use crate::index::{Begun, NewSecret, SecretKind, StoredRow, Table, UserRow, Value};

/// Rows of every kind.
fn fill(index: &Bed) {
    for n in 0..4 {
        let mut new = new_instance("1.1", &format!("1.2.{}", n % 2), &format!("1.3.{n}"));
        new.names = person(dicom::Tag(0x0010, 0x0010), "Ångström^Ann=山田^太郎");
        new.study.patient_id = "P\u{10FFFF}".into();
        new.instance_number = (n > 0).then_some(i64::from(n));
        index.add(new);
    }
    index.add(new_instance("1.9", "1.9.2", "1.9.3"));
    let job = index.convert_next("p");
    assert!(index.release(job.object, &key_of("1.3.0 converted")).unwrap());
    let key = instance_key("1.1", "1.2.1", "1.3.3");
    index.remove(Scope::Instance(&key), 99).unwrap();
    index.hold("1.9", "a reason").unwrap();
    index.begin_pass(false).unwrap();
    index.put_user(UserRow { name: "ann".into(), password: None, grants: "all".into(), made: 0 }).unwrap();
    index.add_secret(secret("a key")).unwrap();
}

fn secret(name: &str) -> NewSecret {
    NewSecret {
        kind: SecretKind::Key,
        hash: *key_of(name).as_bytes(),
        name: name.into(),
        owner: "ann".into(),
        grants: "all".into(),
        expires: None,
        uses: None,
    }
}

fn sqlite() -> Bed {
    let folder = tempfile::tempdir().unwrap();
    let index = Sqlite::open(&folder.path().join("index.sqlite"), 2).unwrap();
    Bed { index: Box::new(index), holds: Box::new(folder) }
}

/// All rows, table by table, a few at a time.
fn rows(index: &Bed) -> Vec<(Table, Vec<StoredRow>)> {
    let moment = index.snapshot().unwrap();
    let tables = moment.tables().unwrap();
    let of = |table: Table| {
        let mut rows: Vec<StoredRow> = Vec::new();
        loop {
            let after = rows.last().map(|row| table.key_of(&row.values));
            let page = moment.rows(&table, after.as_deref(), 2).unwrap();
            let ended = page.len() < 2;
            rows.extend(page);
            if ended {
                assert_eq!(moment.count(&table).unwrap(), rows.len() as u64, "{}", table.name);
                return (table, rows);
            }
        }
    };
    tables.into_iter().map(of).collect()
}

fn copy(from: &Bed, to: &Bed) {
    assert_eq!(to.begin_copy("one").unwrap(), Begun::Open);
    let highest = from.snapshot().unwrap().highest().unwrap();
    let there = rows(to);
    for ((table, rows), (_, there)) in rows(from).into_iter().zip(there) {
        let gone = there.iter().map(|row| table.key_of(&row.values)).collect();
        to.change(&table, gone, rows.into_iter().map(|row| row.values).collect()).unwrap();
    }
    to.end_copy("one", &highest).unwrap();
}

fn is_a_copy(from: &Bed, to: &Bed) {
    let (old, new) = (rows(from), rows(to));
    assert_eq!(old, new);
    assert!(new.iter().flat_map(|(_, rows)| rows).all(StoredRow::is_whole));
    assert!(to.contradictions(&[]).unwrap().is_empty() && to.structure(false).unwrap().is_empty());
    for (table, rows) in
        ["names", "removed_objects", "ways_back", "secrets", "holds", "evidence"].map(|name| (name, rows(to)))
    {
        assert!(rows.iter().any(|(of, rows)| of.name == table && !rows.is_empty()), "{table}");
    }
    // It goes on where the other was: no number is given twice, and rows are held to what they name.
    let numbers = |bed: &Bed| bed.snapshot().unwrap().highest().unwrap();
    let before = numbers(from);
    assert_eq!(numbers(to), before);
    let again = to.add_secret(secret("another")).unwrap();
    to.add(new_instance("1.1", "1.2.0", "1.3.9"));
    assert!(before.iter().any(|(name, number)| name == "secrets" && *number < again));
    let instances = |of: Vec<(String, i64)>| of.into_iter().find(|of| of.0 == "instances").unwrap().1;
    assert!(instances(numbers(to)) > instances(before));
    assert_eq!(to.stats().unwrap().instances, from.stats().unwrap().instances + 1);
    assert_eq!(to.removals().unwrap().len(), 1);
}

pub fn all_rows_go(bed: Bed) {
    let other = sqlite();
    fill(&bed);
    copy(&bed, &other);
    is_a_copy(&bed, &other);
}

pub fn all_rows_come(bed: Bed) {
    let other = sqlite();
    fill(&other);
    copy(&other, &bed);
    is_a_copy(&other, &bed);
}

pub fn a_snapshot_is_of_one_moment(bed: Bed) {
    fill(&bed);
    let before = rows(&bed);
    let moment = bed.snapshot().unwrap();
    bed.add(new_instance("1.1", "1.2", "1.3.77"));
    for (table, rows) in before {
        assert_eq!(moment.rows(&table, None, 1000).unwrap(), rows, "{}", table.name);
    }
}

pub fn rows_are_as_they_would_be_kept(bed: Bed) {
    let (long, other) = ("é".repeat(700), sqlite());
    let mut new = new_instance("1.1", "1.2", "1.3");
    new.names = person(dicom::Tag(0x0010, 0x0010), &long);
    new.study.patient_id = format!("a\0{long}");
    for index in [&bed, &other] {
        index.add(new.clone());
    }
    let texts = |rows: Vec<(Table, Vec<StoredRow>)>, kept: &Bed| {
        let of = |(table, rows): (Table, Vec<StoredRow>)| {
            let rows = rows.into_iter().map(|row| kept.as_kept(&table, row.values)).collect::<Vec<Vec<Value>>>();
            (table.name.clone(), rows)
        };
        let texts = rows.into_iter().map(of).filter(|(name, _)| ["names", "studies"].contains(&name.as_str()));
        texts.collect::<Vec<_>>()
    };
    assert_eq!(texts(rows(&other), &bed), texts(rows(&bed), &bed));
}
