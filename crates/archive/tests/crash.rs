//! Power and patience: a process killed at any moment loses nothing it acknowledged.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use std::{env, fs, thread};

use archive::{Archive, Event, Ingested, InstanceKey, Options, Release, Scope, Scrub};
use common::*;
use transcode::{Decode, Policy};

const FOLDER: &str = "ARCHIVE_CRASH_FOLDER";
const SEED: &str = "ARCHIVE_CRASH_SEED";
const ROUNDS: u32 = 20;

fn file(round: u32, n: u32) -> (String, Vec<u8>) {
    let sop = format!("1.3.{round}.{n}");
    // Sizes from one page to many, so that the kill falls into every part of the work.
    let side = [8, 40, 200, 333][n as usize % 4];
    let made = made(&format!("1.1.{}", n % 3), "1.2", &sop).image(side, side, round * 1000 + n).file();
    (sop, made)
}

/// Not a test by itself: ingests from two threads until it is killed, and prints what was acknowledged.
#[test]
#[ignore = "run by the test below, in a process of its own"]
fn ingesting() {
    let (Some(folder), Ok(round)) = (env::var_os(FOLDER), env::var(SEED)) else { return };
    let round: u32 = round.parse().unwrap();
    let archive = Archive::open(folder.as_ref(), Options::default()).unwrap();
    thread::scope(|scope| {
        for worker in 0..2 {
            let archive = &archive;
            scope.spawn(move || {
                for n in (worker..100_000).step_by(2) {
                    let (_, bytes) = file(round, n);
                    assert!(matches!(archive.ingest_bytes(&bytes).unwrap(), Ingested::Stored(_)));
                    tell(n);
                }
            });
        }
    });
}

/// Not a test by itself: converts until it is killed or done, and prints what was told to be converted.
#[test]
#[ignore = "run by the test below, in a process of its own"]
fn converting() {
    let Some(folder) = env::var_os(FOLDER) else { return };
    let archive = Archive::open(folder.as_ref(), Options::default()).unwrap();
    let told = |event| match event {
        Event::Converted { key, .. } => tell(key.sop.rsplit('.').next().unwrap().parse().unwrap()),
        other => panic!("{other:?}"),
    };
    archive.convert_pending(&policy(), 2, &AtomicBool::new(false), &told).unwrap();
}

/// Not a test by itself: releases what was received until it is killed or done.
#[test]
#[ignore = "run by the test below, in a process of its own"]
fn releasing() {
    let Some(folder) = env::var_os(FOLDER) else { return };
    let archive = Archive::open(folder.as_ref(), Options::default()).unwrap();
    let told = |event| match event {
        Release::Gone { key, .. } => tell(key.sop.rsplit('.').next().unwrap().parse().unwrap()),
        other => panic!("{other:?}"),
    };
    archive.release_received(Duration::ZERO, &AtomicBool::new(false), &told).unwrap();
}

/// Not a test by itself: deletes one instance after the other for good until it is killed or done.
#[test]
#[ignore = "run by the test below, in a process of its own"]
fn purging() {
    let Some(folder) = env::var_os(FOLDER) else { return };
    let archive = Archive::open(folder.as_ref(), Options::default()).unwrap();
    for n in (0..COUNT).filter(|n| n % 4 != 3) {
        let (sop, _) = file(0, n);
        let key = InstanceKey { study: format!("1.1.{}", n % 3), series: "1.2".into(), sop };
        archive.delete(Scope::Instance(&key), Duration::ZERO).unwrap();
        if n % 2 == 0 {
            archive.purge(&AtomicBool::new(false), &mut |_| {}).unwrap();
            tell(n);
        }
    }
}

/// Instances of a run that is killed.
const COUNT: u32 = 120;

fn policy() -> Policy {
    Policy::shipped("htj2k-all").unwrap()
}

fn tell(n: u32) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\ndone {n}").unwrap();
    out.flush().unwrap();
}

/// Runs one of the above, kills it after a while, and returns what it had told; `true` when it was still running.
fn killed_after(moment: Duration, what: &str, folder: &Path, round: u32) -> (Vec<u32>, bool) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", what, "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .env(SEED, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = child.stdout.take().unwrap();
    let lines = thread::spawn(move || {
        let lines = BufReader::new(out).lines().map_while(Result::ok);
        lines.filter_map(|line| line.strip_prefix("done ")?.parse().ok()).collect::<Vec<u32>>()
    });
    thread::sleep(moment);
    let running = match child.try_wait().unwrap() {
        None => true,
        Some(status) => {
            assert!(status.success(), "{what} failed by itself");
            false
        }
    };
    child.kill().unwrap();
    child.wait().unwrap();
    (lines.join().unwrap(), running)
}

/// Moments that are the same in every run; on another machine they fall into other work.
fn moments(from: u64, to: u64) -> impl Iterator<Item = Duration> {
    let mut random = 0x9E37_79B9u32;
    std::iter::repeat_with(move || {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        Duration::from_millis(from + u64::from(random) % (to - from))
    })
}

fn nothing_half_written(folder: &Path) {
    let left: Vec<_> =
        files(&folder.join("spool")).into_iter().filter(|f| !f.ends_with("lock") && !f.ends_with("place")).collect();
    assert!(left.is_empty(), "half-written files are left: {left:?}");
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged: Vec<(u32, u32)> = Vec::new();
    for (round, moment) in (0..ROUNDS).zip(moments(20, 320)) {
        let (done, running) = killed_after(moment, "ingesting", folder.path(), round);
        assert!(running, "it ended by itself");
        acknowledged.extend(done.into_iter().map(|n| (round, n)));

        let archive = Archive::open(folder.path(), Options::default()).unwrap();
        for &(round, n) in &acknowledged {
            let (sop, bytes) = file(round, n);
            let study = format!("1.1.{}", n % 3);
            assert!(stored(&archive, &study, "1.2", &sop) == bytes, "round {round}: {sop} is not as it was");
        }
        let listed = archive.stats().unwrap().instances;
        assert!(listed >= acknowledged.len() as u64);
        // At most what each thread had under way may be there without having been acknowledged.
        assert!(listed <= (acknowledged.len() as u64) + u64::from(round + 1) * 2);
        nothing_half_written(folder.path());
        check_database(folder.path());
    }
    eprintln!("{} instances acknowledged in {ROUNDS} killed runs, all there", acknowledged.len());
    assert!(acknowledged.len() > ROUNDS as usize, "the runs were killed too early to show anything");
}

#[test]
fn a_killed_conversion_goes_on_to_the_same_end() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::open(folder.path(), Options::default()).unwrap();
    for n in 0..COUNT {
        archive.ingest_bytes(&file(0, n).1).unwrap();
    }
    drop(archive);
    let (mut told, mut kills) = (Vec::new(), 0);
    for moment in moments(20, 200).take(ROUNDS as usize) {
        let (done, running) = killed_after(moment, "converting", folder.path(), 0);
        told.extend(done);
        kills += u32::from(running);
        let archive = Archive::open(folder.path(), Options::default()).unwrap();
        let stats = archive.stats().unwrap();
        assert_eq!(stats.converted + stats.pending, u64::from(COUNT), "{stats:?}");
        assert!(stats.converted >= told.len() as u64);
        nothing_half_written(folder.path());
        check_database(folder.path());
    }
    let archive = Archive::open(folder.path(), Options::default()).unwrap();
    archive.convert_pending(&policy(), 2, &AtomicBool::new(false), &|_| {}).unwrap();
    assert_eq!(archive.stats().unwrap().converted, u64::from(COUNT));
    for n in 0..COUNT {
        let (sop, bytes) = file(0, n);
        let instance = archive.instance(&format!("1.1.{}", n % 3), "1.2", &sop).unwrap().unwrap();
        let mut samples = Vec::new();
        archive.source(&instance).unwrap().decode_frame(0, &mut samples).unwrap();
        assert!(samples == bytes[bytes.len() - samples.len()..]);
        // Done once, and what was received is still there.
        let key = InstanceKey { study: instance.study.clone(), series: "1.2".into(), sop };
        let evidence = archive.evidence(&key).unwrap();
        assert_eq!(evidence.len(), 1);
        let received = &evidence[0].proof.source_sha256;
        assert!(fs::read(folder.path().join("objects").join(&received[..2]).join(&received[2..])).unwrap() == bytes);
    }
    eprintln!("{kills} of {ROUNDS} runs were killed at work; {} conversions told by then", told.len());
    assert!(kills > 0);
}

#[test]
fn a_killed_release_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::open(folder.path(), Options::default()).unwrap();
    for n in 0..COUNT {
        archive.ingest_bytes(&file(0, n).1).unwrap();
    }
    archive.convert_pending(&policy(), 2, &AtomicBool::new(false), &|_| {}).unwrap();
    drop(archive);
    let (mut told, mut kills) = (0, 0);
    for (round, moment) in (0..ROUNDS).zip(moments(5, 120)) {
        let (done, running) = killed_after(moment, "releasing", folder.path(), 0);
        told += done.len() as u64;
        kills += u32::from(running);
        let archive = Archive::open(folder.path(), Options::default()).unwrap();
        assert!(archive.stats().unwrap().released >= told);
        let all = if round + 1 == ROUNDS { 0..COUNT } else { round..round + 10 };
        for n in all {
            let (sop, bytes) = file(0, n);
            let key = InstanceKey { study: format!("1.1.{}", n % 3), series: "1.2".into(), sop };
            let mut out = Vec::new();
            archive.restore(&key, &mut out).unwrap();
            assert!(out == bytes, "round {round}: {n} is not as it was");
        }
        nothing_half_written(folder.path());
        check_database(folder.path());
    }
    let archive = Archive::open(folder.path(), Options::default()).unwrap();
    archive.release_received(Duration::ZERO, &AtomicBool::new(false), &|_| {}).unwrap();
    assert_eq!(archive.stats().unwrap().released, u64::from(COUNT));
    assert_eq!(files(&folder.path().join("objects")).len(), COUNT as usize, "only what was converted is left");
    eprintln!("{kills} of {ROUNDS} runs were killed at work; {told} releases told by then");
    assert!(kills > 0);
}

#[test]
fn a_killed_purge_goes_on_to_the_same_end() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::open(folder.path(), Options::default()).unwrap();
    for n in 0..COUNT {
        archive.ingest_bytes(&file(0, n).1).unwrap();
    }
    archive.convert_pending(&policy(), 2, &AtomicBool::new(false), &|_| {}).unwrap();
    drop(archive);
    let (mut gone, mut kills) = (Vec::new(), 0);
    for moment in moments(20, 200).take(ROUNDS as usize) {
        let (done, running) = killed_after(moment, "purging", folder.path(), 0);
        gone.extend(done);
        kills += u32::from(running);
        let archive = Archive::open(folder.path(), Options::default()).unwrap();
        archive.purge(&AtomicBool::new(false), &mut |_| {}).unwrap();
        assert!(archive.deletions().unwrap().is_empty(), "what was begun is ended by whoever is next");
        for n in &gone {
            assert!(archive.named(&file(0, *n).0).unwrap().is_empty());
        }
        // What is listed is there, and nothing else is.
        let listed = archive.stats().unwrap().instances;
        assert_eq!(files(&folder.path().join("objects")).len() as u64, 2 * listed);
        nothing_half_written(folder.path());
        check_database(folder.path());
    }
    let archive = Archive::open(folder.path(), Options::default()).unwrap();
    for n in (0..COUNT).filter(|n| n % 4 == 3) {
        let (sop, bytes) = file(0, n);
        let key = InstanceKey { study: format!("1.1.{}", n % 3), series: "1.2".into(), sop };
        let mut out = Vec::new();
        archive.restore(&key, &mut out).unwrap();
        assert!(out == bytes, "{n} is not as it was");
    }
    let (_, faults) = archive.scrub(Scrub::default(), &AtomicBool::new(false), &mut |_, _| {}).unwrap();
    assert!(faults.is_empty(), "{faults:?}");
    eprintln!("{kills} of {ROUNDS} runs were killed at work; {} purges told by then", gone.len());
    assert!(kills > 0);
}

fn check_database(folder: &Path) {
    let index = rusqlite::Connection::open(folder.join("index.sqlite")).unwrap();
    let whole: String = index.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
    let dangling: i64 = index.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
    assert_eq!(dangling, 0);
    for (total, count) in [
        ("instances", "SELECT count(*) FROM instances"),
        ("bytes0", "SELECT total(bytes) FROM objects WHERE role = 0"),
        ("bytes1", "SELECT total(bytes) FROM objects WHERE role = 1"),
        ("jobs2", "SELECT count(*) FROM jobs WHERE state = 2"),
    ] {
        let sql = format!("SELECT value = ({count}) FROM totals WHERE name = ?");
        assert!(index.query_row(&sql, [total], |row| row.get::<_, bool>(0)).unwrap(), "{total}");
    }
    // Every row has its object, whole, but for those that were released.
    let kept = "SELECT lower(hex(key)), bytes FROM objects WHERE id NOT IN \
         (SELECT original FROM ways_back WHERE released IS NOT NULL)";
    let mut rows = index.prepare(kept).unwrap();
    let rows = rows.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u64>(1)?))).unwrap();
    for row in rows {
        let (key, bytes) = row.unwrap();
        let path = folder.join("objects").join(&key[..2]).join(&key[2..]);
        assert_eq!(fs::metadata(path).unwrap().len(), bytes);
    }
}
