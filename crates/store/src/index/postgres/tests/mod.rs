//! The suite of every index, and what only a database on a network meets.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::*;
use crate::Error;
use crate::index::contract::{Bed, instance_key, new_instance};
use crate::index::search::Search;
use crate::index::{
    Index, Ingested, Instances, IsPicture, Jobs, Patience, Query, QueryLevel, Register, Scope, Scrubbing, attributes,
};

mod line;

use line::{Cut, Line};

crate::index_contract!(bed);

/// A server, and a database of it.
struct Place {
    server: testkit::Postgres,
    at: String,
}

impl Place {
    fn new() -> Option<Place> {
        let server = testkit::postgres()?;
        Some(Place { at: server.database(), server })
    }

    fn open(&self) -> Postgres {
        Postgres::open(&self.at.parse().unwrap(), &Access::default(), 4).unwrap()
    }

    fn run(&self, sql: &str) -> String {
        self.server.run_in(&self.at, sql)
    }

    /// Cuts every connection to the database.
    fn cut(&self) {
        let others = "datname = current_database() AND pid <> pg_backend_pid()";
        self.run(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"));
    }
}

fn bed() -> Option<Bed> {
    let place = Place::new()?;
    Some(Bed { index: Box::new(place.open()), holds: Box::new(place) })
}

#[test]
fn many_who_open_it_first_make_it_once() {
    let Some(place) = Place::new() else { return };
    thread::scope(|scope| {
        for n in 0..4 {
            let place = &place;
            scope.spawn(move || place.open().register(new_instance("1.1", "1.2", &format!("1.3.{n}"))).wait().unwrap());
        }
    });
    assert_eq!(place.open().stats().unwrap().instances, 4);
    assert_eq!(place.run("SELECT count(*) FROM firstlight.about WHERE name = 'schema'"), "1");
}

#[test]
fn a_newer_one_is_left_alone() {
    let Some(place) = Place::new() else { return };
    drop(place.open());
    place.run("UPDATE firstlight.about SET value = '99' WHERE name = 'schema'");
    let error = Postgres::open(&place.at.parse().unwrap(), &Access::default(), 1).err().unwrap();
    assert!(matches!(error, Unusable::Index(Error::Newer { found: 99, .. })), "{error}");
}

#[test]
fn what_is_wrong_with_the_database_is_said() {
    let Some(place) = Place::new() else { return };
    let refused = |at: &str| Postgres::open(&at.parse().unwrap(), &Access::default(), 1).err().unwrap();
    assert!(matches!(refused(&format!("{}_none", place.at)), Unusable::NoDatabase(_)));
    assert!(matches!(refused("postgres://ann@127.0.0.1:1/a"), Unusable::Unreachable(..)));
    let role = format!("weak_{}", std::process::id());
    place.run(&format!("CREATE ROLE {role} LOGIN"));
    let weak = place.at.replace("firstlight@", &format!("{role}@"));
    assert!(matches!(refused(&weak), Unusable::Rights(..)));
    let stranger = place.at.replace("firstlight@", "stranger@");
    assert!(matches!(refused(&stranger), Unusable::Refused(..)));
}

#[test]
fn connections_that_were_cut_are_made_anew() {
    let Some(place) = Place::new() else { return };
    let index = place.open();
    for n in 0..5 {
        let key = instance_key("1.1", "1.2", &format!("1.3.{n}"));
        assert_eq!(index.register(new_instance("1.1", "1.2", &key.sop)).wait().unwrap(), Ingested::Stored(key.clone()));
        place.cut();
        assert_eq!(index.instances(Scope::Instance(&key), &mut |_| false).unwrap().len(), 1);
        place.cut();
    }
    assert_eq!(index.stats().unwrap().instances, 5);
    assert!(index.contradictions(&[]).unwrap().is_empty());
}

#[test]
fn what_is_written_while_connections_are_cut_is_whole() {
    let Some(place) = Place::new() else { return };
    let index = place.open();
    thread::scope(|scope| {
        let (stop, stopped) = channel::<()>();
        let cutting = scope.spawn({
            let place = &place;
            move || {
                while stopped.recv_timeout(Duration::from_millis(30)).is_err() {
                    place.cut();
                }
            }
        });
        let tickets: Vec<_> =
            (0..300).map(|n| index.register(new_instance("1.1", "1.2", &format!("1.3.{n}")))).collect();
        for ticket in tickets {
            assert!(matches!(ticket.wait(), Ok(Ingested::Stored(_))));
        }
        stop.send(()).unwrap();
        cutting.join().unwrap();
    });
    let stats = index.stats().unwrap();
    assert_eq!((stats.instances, stats.pending, stats.received_bytes), (300, 300, 300_000));
    assert!(index.contradictions(&[]).unwrap().is_empty());
}

#[test]
fn what_became_of_a_commit_whose_answer_was_lost_is_asked() {
    let Some(place) = Place::new() else { return };
    let name = place.at.rsplit('/').next().unwrap();
    for (n, cut) in [Cut::BeforeItArrives, Cut::BeforeItsAnswer].into_iter().enumerate() {
        let line = Line::to(&place.server.socket(), cut);
        let at = format!("postgres://firstlight@127.0.0.1:{}/{name}", line.port);
        let index = Postgres::open(&at.parse().unwrap(), &Access::default(), 2).unwrap();
        line.arm();
        let key = instance_key("1.1", "1.2", &format!("1.3.{n}"));
        assert_eq!(index.register(new_instance("1.1", "1.2", &key.sop)).wait().unwrap(), Ingested::Stored(key));
        assert!(line.was_cut());
        assert_eq!(index.stats().unwrap().instances, n as u64 + 1);
        assert!(index.contradictions(&[]).unwrap().is_empty());
    }
}

#[test]
fn one_that_fails_takes_no_other_along() {
    let Some(place) = Place::new() else { return };
    let index = place.open();
    let good = |n: u32| new_instance("1.1", "1.2", &format!("1.3.{n}"));
    // Of all that is kept of an instance only its UIDs have an index that takes no text of any length.
    let mut bad = new_instance("1.1", "1.2", "1.3.9");
    let mut state = 1_u32;
    let mut digit = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'0' + (state >> 16) as u8 % 10)
    };
    bad.key.sop = (0..9000).map(&mut digit).collect();
    let tickets = [good(1), bad, good(2)].map(|new| index.register(new));
    let [first, failed, second] = tickets.map(|ticket| ticket.wait().is_ok());
    assert_eq!((first, failed, second), (true, false, true));
    assert_eq!(index.stats().unwrap().instances, 2);
    assert!(index.contradictions(&[]).unwrap().is_empty());
}

#[test]
fn texts_of_any_length_with_anything_in_them_are_kept() {
    let Some(place) = Place::new() else { return };
    let index = place.open();
    let mut new = new_instance("1.1", "1.2", "1.3");
    let long: String = (0..9000).map(|n: u32| char::from_u32(0x4E00 + n * 7919 % 20_000).unwrap()).collect();
    (new.study.description, new.study.patient_id) = (long.clone(), "a\0b".into());
    new.names = vec![crate::index::PersonName { tag: attributes::PATIENT_NAME, place: 0, text: long }];
    index.register(new).wait().unwrap();
    assert_eq!(place.run("SELECT length(description), patient_id FROM firstlight.studies"), "600|a\u{FFFD}b");
    assert!(index.damaged_rows("studies", 0).unwrap().rows.is_empty());
}

#[test]
fn a_row_that_was_changed_behind_the_triggers_is_damaged() {
    let Some(place) = Place::new() else { return };
    let index = place.open();
    index.register(new_instance("1.1", "1.2", "1.3")).wait().unwrap();
    let damaged = |table| index.damaged_rows(table, 0).unwrap().rows;
    place.run("UPDATE firstlight.studies SET patient_id = 'another'");
    assert!(damaged("studies").is_empty(), "a trigger keeps the sum of what is changed in the open");
    let quietly = "SET session_replication_role = replica; UPDATE firstlight.studies SET patient_id = 'x'; \
         UPDATE firstlight.objects SET bytes = bytes + 1; UPDATE firstlight.totals SET value = 7 WHERE name = 'studies'";
    place.run(quietly);
    assert_eq!((damaged("studies"), damaged("objects")), (vec!["1".to_owned()], vec!["1".to_owned()]));
    assert_eq!(damaged("totals"), ["studies"]);
    assert!(!index.objects_after(0, 9).unwrap()[0].whole);
    let contradictions = index.contradictions(&[]).unwrap();
    assert!(contradictions.iter().any(|one| one.name == "totals studies"), "{contradictions:?}");
}

#[test]
fn commits_of_other_programs_are_heard() {
    let Some(place) = Place::new() else { return };
    let (here, there) = (place.open(), place.open());
    let mut heard = false;
    // Whoever listens begins to a moment after it is opened.
    for n in 0..200 {
        let seen = here.commits();
        there.register(new_instance("1.1", "1.2", &format!("1.3.{n}"))).wait().unwrap();
        here.wait_for_commit(seen, Duration::from_millis(100));
        heard |= here.commits() > seen;
        if heard && n > 20 {
            break;
        }
    }
    assert!(heard);
}

#[test]
fn two_programs_lease_each_job_once() {
    let Some(place) = Place::new() else { return };
    let both = [place.open(), place.open()];
    for n in 0..100 {
        drop(both[0].register(new_instance("1.1", "1.2", &format!("1.3.{n}"))));
    }
    both[0].register(new_instance("1.1", "1.2", "1.4")).wait().unwrap();
    let mut leased: Vec<String> = thread::scope(|scope| {
        let lease = |name: &'static str, index: &Postgres| {
            let mut mine = Vec::new();
            loop {
                let jobs = index.lease(name, 7).unwrap();
                if jobs.is_empty() {
                    return mine;
                }
                mine.extend(jobs.into_iter().map(|job| job.key.sop));
            }
        };
        let going: Vec<_> =
            both.iter().zip(["a/1", "b/1"]).map(|(index, name)| scope.spawn(move || lease(name, index))).collect();
        going.into_iter().flat_map(|one| one.join().unwrap()).collect()
    });
    leased.sort();
    leased.dedup();
    assert_eq!(leased.len(), 101);
    let stats = both[0].stats().unwrap();
    assert_eq!((stats.instances, stats.pending), (101, 101));
    assert!(both[1].contradictions(&[]).unwrap().is_empty());
}

#[test]
fn an_index_knows_where_its_objects_are() {
    let Some(place) = Place::new() else { return };
    let index = place.open();
    assert_eq!(index.objects_at().unwrap(), None);
    index.settle_objects("s3://one/a").unwrap();
    index.settle_objects("s3://one/a").unwrap();
    let error = place.open().settle_objects("s3://two/a").unwrap_err().to_string();
    assert_eq!(error, "the objects of this index are at s3://one/a, not at s3://two/a");
    assert_eq!(index.objects_at().unwrap().as_deref(), Some("s3://one/a"));
}

/// Numbers that look like chance, the same each time.
struct Chance(u32);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as usize % most
    }

    /// A text of what engines may take in their own way.
    fn text(&mut self, of: &[&str], most: usize) -> String {
        let pieces = self.below(most + 1);
        (0..pieces).map(|_| of[self.below(of.len())]).collect()
    }
}

const PIECES: [&str; 16] = ["a", "A", "b", "ä", "ß", "山", "_", "%", "\\", "'", "-", ".", " ", "1", "é", "$1"];
const PATTERN: [&str; 20] =
    ["a", "A", "b", "ä", "ß", "山", "_", "%", "\\", "'", "-", ".", " ", "1", "é", "$1", "*", "?", "*", "*"];

/// Fills both engines with the same instances.
fn fill(chance: &mut Chance, engines: &[&dyn Index]) {
    for n in 0..150 {
        let (study, series) = (chance.below(30), chance.below(3));
        let mut new = new_instance(&format!("1.{study}"), &format!("2.{study}.{series}"), &format!("3.{n}"));
        let number = |chance: &mut Chance| Some(chance.below(4) as i64).filter(|n| *n > 0);
        (new.series_number, new.instance_number) = (number(chance), number(chance));
        new.modality = ["CT", "MR", "", "ct"][chance.below(4)].into();
        new.study.date = ["", "20200101", "20210203", "20201231"][chance.below(4)].into();
        new.study.time = ["", "10", "101500", "235959.5"][chance.below(4)].into();
        (new.study.patient_id, new.study.accession) = (chance.text(&PIECES, 4), chance.text(&PIECES, 3));
        new.study.description = crate::index::fold(&chance.text(&PIECES, 6));
        new.series.description = crate::index::fold(&chance.text(&PIECES, 6));
        let name = format!("{}^{}={}", chance.text(&PIECES, 4), chance.text(&PIECES, 4), chance.text(&PIECES, 2));
        new.names = crate::index::contract::person(attributes::PATIENT_NAME, &name);
        for (shown, what) in [
            (&mut new.study_shown.common, &new.key.study),
            (&mut new.series_shown.common, &new.key.series),
            (&mut new.instance_shown.common, &new.key.sop),
        ] {
            *shown = format!("{{\"00200010\":{{\"vr\":\"SH\",\"Value\":[\"{what}\"]}}}}");
        }
        for engine in engines {
            engine.register(new.clone()).wait().unwrap();
        }
    }
}

#[test]
fn both_engines_answer_the_same_in_the_same_order() {
    let Some(place) = Place::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let other = crate::index::sqlite::Sqlite::open(&folder.path().join("index.sqlite"), 2).unwrap();
    let (index, mut chance) = (place.open(), Chance(7));
    fill(&mut chance, &[&index, &other]);
    use attributes::*;
    let tags = [
        PATIENT_ID,
        ACCESSION_NUMBER,
        STUDY_DESCRIPTION,
        SERIES_DESCRIPTION,
        PATIENT_NAME,
        PATIENT_NAME,
        STUDY_DATE,
        STUDY_TIME,
        MODALITY,
        MODALITIES_IN_STUDY,
        SERIES_NUMBER,
        INSTANCE_NUMBER,
        STUDY_INSTANCES,
        STUDY_INSTANCE_UID,
        SOP_INSTANCE_UID,
    ];
    let mut rows = 0;
    for n in 0..1500 {
        let level = [QueryLevel::Study, QueryLevel::Series, QueryLevel::Instance][chance.below(3)];
        let value = |chance: &mut Chance, tag| match tag {
            STUDY_DATE => ["2020*", "20200101-", "-20201231", "20210203", "2020????"][chance.below(5)].to_owned(),
            STUDY_TIME => ["10-11", "-23", "1*", "235959.5", "10"][chance.below(5)].to_owned(),
            MODALITY | MODALITIES_IN_STUDY => ["CT", "C*", "ct", "MR\\CT", "?R"][chance.below(5)].to_owned(),
            SERIES_NUMBER | INSTANCE_NUMBER | STUDY_INSTANCES => chance.below(9).to_string(),
            STUDY_INSTANCE_UID => format!("1.{}\\1.{}", chance.below(30), chance.below(30)),
            SOP_INSTANCE_UID => format!("3.{}", chance.below(150)),
            _ => chance.text(&PATTERN, 5),
        };
        let asked = (0..1 + chance.below(2)).map(|_| {
            let tag = tags[chance.below(tags.len())];
            (tag, value(&mut chance, tag))
        });
        let query = Query {
            matches: asked.collect(),
            fuzzy: n % 5 == 0,
            limit: (n % 7 == 0).then_some(3),
            offset: if n % 7 == 0 { 2 } else { 0 },
            ..Query::default()
        };
        let answer = |index: &dyn Index| index.find(&Patience::of(Duration::MAX), level, &query).unwrap();
        let (ours, theirs) = (answer(&index), answer(&other));
        assert_eq!(ours.rows, theirs.rows, "{level:?} {query:?}");
        assert_eq!((ours.more, ours.ignored), (theirs.more, theirs.ignored), "{level:?} {query:?}");
        rows += ours.rows.len();
    }
    assert!(rows > 3000, "{rows}");
    let listed = |index: &dyn Index, study: &str| {
        let all = index.instances(Scope::Study(study), &mut |_| false).unwrap();
        let sops = all.into_iter().map(|current| current.row.unwrap().key.sop);
        let is_picture = IsPicture { modality: &|modality| modality != "MR", instance: &|_, _| true };
        (sops.collect::<Vec<_>>(), index.pictures(study, is_picture).unwrap(), index.named(study).unwrap())
    };
    for n in 0..31 {
        let study = format!("1.{n}");
        assert_eq!(listed(&index, &study), listed(&other, &study));
    }
    assert_eq!(index.stats().unwrap(), other.stats().unwrap());
}

#[test]
fn without_trigrams_texts_are_found_all_the_same() {
    let Some(place) = Place::new() else { return };
    // Who may make tables, and no extension.
    let role = format!("tables_{}", std::process::id());
    place.run(&format!("CREATE ROLE {role} LOGIN; CREATE SCHEMA firstlight AUTHORIZATION {role}"));
    let at = place.at.replace("firstlight@", &format!("{role}@"));
    let made = || place.run("SELECT count(*) FROM pg_indexes WHERE indexdef LIKE '%gin_trgm_ops%'");
    let index = Postgres::open(&at.parse().unwrap(), &Access::default(), 2).unwrap();
    let mut new = new_instance("1.1", "1.2", "1.3");
    new.study.patient_id = "within".into();
    index.register(new).wait().unwrap();
    let query = Query { matches: vec![(attributes::PATIENT_ID, "*ithi*".into())], ..Query::default() };
    let found =
        |index: &Postgres| index.find(&Patience::of(Duration::MAX), QueryLevel::Study, &query).unwrap().rows.len();
    assert_eq!((found(&index), made().as_str()), (1, "0"));
    drop(index);
    // Where they can be made later, they are.
    assert_eq!((found(&place.open()), made().as_str()), (1, "6"));
}
