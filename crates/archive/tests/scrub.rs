//! The scrubber: a hundred seeded faults are found and named, and a healthy archive has none.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use archive::{Archive, FaultKind, Options, Scrub};
use common::made;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use transcode::Policy;

const INSTANCES: u32 = 60;

/// An archive of converted and kept instances in a few studies.
fn filled(folder: &Path) -> Archive {
    let archive = Archive::open(folder, Options::default()).unwrap();
    for n in 0..INSTANCES {
        let (study, series) = (format!("1.2.{}", n / 20), format!("1.2.{}.{}", n / 20, n / 5));
        let mut instance = made(&study, &series, &format!("{series}.{n}"));
        instance.set(0x0010_0010, "PN", &format!("Name^{}", n / 20)).set(0x0010_0020, "LO", &format!("P{}", n / 20));
        // Without pixels it is kept; some are converted to JPEG-LS, some to HTJ2K.
        match n % 6 {
            0 => {}
            1 => drop(instance.image(70, 1010, n)),
            _ => drop(instance.image(30, 40, n)),
        }
        archive.ingest_bytes(&instance.file()).unwrap();
    }
    let policy = Policy::default();
    archive.convert_pending(&policy, 2, &AtomicBool::new(false), &|_| {}).unwrap();
    let stats = archive.stats().unwrap();
    assert_eq!((stats.converted, stats.kept), (50, 10));
    archive
}

/// Kind and name of every fault of a whole pass.
fn scrub(archive: &Archive) -> BTreeSet<(FaultKind, String)> {
    let how = Scrub { days: None, restart: true };
    let (pass, found) = archive.scrub(how, &AtomicBool::new(false), &mut |_, _| {}).unwrap();
    assert!(pass.ended.is_some());
    let known: BTreeSet<_> = archive.faults().unwrap().into_iter().map(|f| (f.kind, f.name)).collect();
    assert_eq!(known, found.iter().map(|f| (f.kind, f.name.clone())).collect(), "what is kept is what was found");
    known
}

fn object(folder: &Path, key: &str) -> PathBuf {
    folder.join("objects").join(&key[..2]).join(&key[2..])
}

/// A generator of numbers, the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    fn flip(&mut self, bytes: &mut [u8]) {
        let at = self.roll(bytes.len());
        bytes[at] ^= 1 << self.roll(8);
    }
}

/// The index without its triggers, as damage finds it.
fn raw(folder: &Path) -> Connection {
    let index = Connection::open(folder.join("index.sqlite")).unwrap();
    index.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).unwrap();
    index.pragma_update(None, "foreign_keys", "OFF").unwrap();
    index
}

/// Number and key of each object.
fn objects(index: &Connection) -> Vec<(i64, String)> {
    let mut keys = index.prepare("SELECT id, lower(hex(key)) FROM objects ORDER BY id").unwrap();
    let keys = keys.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    keys.collect::<Result<_, _>>().unwrap()
}

/// Flips a bit of a blob or a text in one row, past every writer of the program.
fn flip_value(index: &Connection, dice: &mut Dice, table: &str, column: &str, row: i64) {
    let select = format!("SELECT CAST({column} AS BLOB), typeof({column}) FROM {table} WHERE rowid = ?");
    let (mut value, kind): (Vec<u8>, String) =
        index.query_row(&select, [row], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    dice.flip(&mut value);
    // Text that is no UTF-8 any more is what a flipped bit makes of it.
    let update = match kind.as_str() {
        "text" => format!("UPDATE {table} SET {column} = CAST(?1 AS TEXT) WHERE rowid = ?2"),
        "integer" => {
            let n = String::from_utf8(value.clone()).ok().and_then(|t| t.parse::<i64>().ok()).unwrap_or(-1);
            let update = format!("UPDATE {table} SET {column} = ?1 WHERE rowid = ?2");
            assert_eq!(index.execute(&update, rusqlite::params![n, row]).unwrap(), 1);
            return;
        }
        _ => format!("UPDATE {table} SET {column} = ?1 WHERE rowid = ?2"),
    };
    assert_eq!(index.execute(&update, rusqlite::params![value, row]).unwrap(), 1);
}

/// Flips a bit in the very file of the index, within bytes of one row alone; pages may hold stale copies of it, which are flipped too.
fn flip_in_file(folder: &Path, dice: &mut Dice, value: &[u8]) {
    let path = folder.join("index.sqlite");
    let mut file = fs::read(&path).unwrap();
    let places: Vec<usize> =
        file.windows(value.len()).enumerate().filter(|(_, w)| *w == value).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "the bytes are in the file");
    let mut flipped = value.to_vec();
    dice.flip(&mut flipped);
    for at in places {
        file[at..at + value.len()].copy_from_slice(&flipped);
    }
    fs::write(path, file).unwrap();
}

#[test]
fn a_hundred_seeded_faults_are_all_named_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let archive = filled(folder);
    assert_eq!(scrub(&archive), BTreeSet::new(), "a healthy archive");
    drop(archive);
    assert_eq!(
        scrub(&Archive::open(folder, Options::default()).unwrap()),
        BTreeSet::new(),
        "after it was opened again"
    );

    let index = raw(folder);
    let keys = objects(&index);
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let mut seeded = BTreeSet::new();

    // 50 objects, received and converted ones: flipped bits in 30, 8 cut short, 12 missing.
    let chosen = keys.iter().filter(|(id, _)| *id <= 25 || *id > 85);
    for (n, (_, key)) in chosen.enumerate() {
        let path = object(folder, key);
        match n % 25 {
            0..15 => {
                let mut bytes = fs::read(&path).unwrap();
                dice.flip(&mut bytes);
                fs::write(&path, bytes).unwrap();
                seeded.insert((FaultKind::Object, key.clone()));
            }
            15..19 => {
                let bytes = fs::read(&path).unwrap();
                fs::write(&path, &bytes[..dice.roll(bytes.len())]).unwrap();
                seeded.insert((FaultKind::Object, key.clone()));
            }
            _ => {
                fs::remove_file(&path).unwrap();
                seeded.insert((FaultKind::Missing, key.clone()));
            }
        }
    }
    // 20 rows of evidence, of objects that are whole and of objects that are not.
    for (n, column) in (1..=20).zip(["frames", "samples_sha256", "codec", "host", "made"].iter().cycle()) {
        if *column != "frames" {
            flip_value(&index, &mut dice, "evidence", column, n);
            seeded.insert((FaultKind::Evidence, format!("evidence {n}")));
        }
    }
    // 30 rows of the index.
    for (table, columns, rows) in [
        ("objects", &["facts", "frames", "bytes", "syntax"][..], 60..72),
        ("instances", &["common", "more", "class"], 1..9),
        ("jobs", &["reason", "rule", "policy", "rule"], 55..59),
        ("series", &["common", "more"], 1..4),
        ("studies", &["common", "patient_id"], 1..4),
    ] {
        for (row, column) in rows.zip(columns.iter().cycle()) {
            flip_value(&index, &mut dice, table, column, row);
            seeded.insert((FaultKind::Index, format!("{table} {row}")));
        }
    }
    // Four more rows of evidence are flipped in the file itself, where a bit of the sum is as good as any.
    let sum = |n: i64| -> Vec<u8> {
        index.query_row("SELECT sum FROM evidence WHERE id = ?", [n], |row| row.get(0)).unwrap()
    };
    let sums: Vec<(i64, Vec<u8>)> = (1..=20).step_by(5).map(|n| (n, sum(n))).collect();
    drop(index);
    for (n, sum) in sums {
        flip_in_file(folder, &mut dice, &sum);
        seeded.insert((FaultKind::Evidence, format!("evidence {n}")));
    }
    assert_eq!(seeded.len(), 100);

    let archive = Archive::open(folder, Options::default()).unwrap();
    let found = scrub(&archive);
    let missed: Vec<_> = seeded.difference(&found).collect();
    let false_alarms: Vec<_> = found.difference(&seeded).collect();
    assert!(missed.is_empty() && false_alarms.is_empty(), "missed {missed:?}\nfalse alarms {false_alarms:?}");
    eprintln!("100 seeded faults: {} found, {} missed, {} false alarms", found.len(), missed.len(), false_alarms.len());
}

#[test]
fn evidence_that_is_gone_is_told_and_what_is_healed_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let archive = filled(folder.path());
    let index = raw(folder.path());
    let (id, key): (i64, String) = index
        .query_row(
            "SELECT v.id, lower(hex(o.key)) FROM evidence v JOIN objects o ON o.id = v.to_object LIMIT 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    index.execute_batch(&format!("CREATE TEMP TABLE kept AS SELECT * FROM evidence WHERE id = {id}")).unwrap();
    index.execute("DELETE FROM evidence WHERE id = ?", [id]).unwrap();
    assert_eq!(scrub(&archive), BTreeSet::from([(FaultKind::Evidence, format!("object {key}"))]));
    index.execute("INSERT INTO evidence SELECT * FROM kept", []).unwrap();
    assert_eq!(scrub(&archive), BTreeSet::new());
}

#[test]
fn a_stopped_pass_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let archive = filled(folder.path());
    let stop = AtomicBool::new(false);
    // Slow enough to be stopped: a pass of a day.
    let how = Scrub { days: Some(1.0), restart: false };
    let (first, _) = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(1500));
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        archive.scrub(how, &stop, &mut |_, _| {}).unwrap()
    });
    assert!(first.ended.is_none() && first.objects > 0 && first.objects < first.of_objects, "{first:?}");
    let paused = archive.scrub_pass().unwrap().unwrap();
    assert_eq!((paused.objects, paused.ended), (first.objects, None));
    let rest = Scrub { days: None, restart: false };
    let (second, faults) = archive.scrub(rest, &AtomicBool::new(false), &mut |_, _| {}).unwrap();
    assert_eq!((second.objects, second.began, faults.len()), (second.of_objects, first.began, 0));
}
