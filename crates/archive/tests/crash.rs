//! Power and patience: a process killed at any moment loses nothing it acknowledged.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

use archive::{Archive, Ingested, Options};
use common::*;

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
fn child() {
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
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "\nacknowledged {n}").unwrap();
                    out.flush().unwrap();
                }
            });
        }
    });
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged: Vec<(u32, u32)> = Vec::new();
    // The same moments in every run; on another machine they fall into other work.
    let mut random = 0x9E37_79B9u32;
    for round in 0..ROUNDS {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        let moment = Duration::from_micros(u64::from(20_000 + random % 300_000));
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(SEED, round.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = child.stdout.take().unwrap();
        let lines = thread::spawn(move || {
            let lines = BufReader::new(out).lines().map_while(Result::ok);
            let numbers = lines.filter_map(|line| line.strip_prefix("acknowledged ")?.parse().ok());
            numbers.collect::<Vec<u32>>()
        });
        thread::sleep(moment);
        assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged.extend(lines.join().unwrap().into_iter().map(|n| (round, n)));

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
        let left: Vec<_> = files(&folder.path().join("spool")).into_iter().filter(|f| !f.ends_with("lock")).collect();
        assert!(left.is_empty(), "half-written files are left: {left:?}");
        check_database(folder.path());
    }
    eprintln!("{} instances acknowledged in {ROUNDS} killed runs, all there", acknowledged.len());
    assert!(acknowledged.len() > ROUNDS as usize, "the runs were killed too early to show anything");
}

fn check_database(folder: &std::path::Path) {
    let index = rusqlite::Connection::open(folder.join("index.sqlite")).unwrap();
    let whole: String = index.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
    let dangling: i64 = index.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
    assert_eq!(dangling, 0);
    for (total, count) in [("instances", "SELECT count(*) FROM instances"), ("bytes0", "SELECT total(bytes) FROM objects")] {
        let sql = format!("SELECT value = ({count}) FROM totals WHERE name = ?");
        assert!(index.query_row(&sql, [total], |row| row.get::<_, bool>(0)).unwrap(), "{total}");
    }
    // Every row has its object, whole.
    let mut rows = index.prepare("SELECT lower(hex(key)), bytes FROM objects").unwrap();
    let rows = rows.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u64>(1)?))).unwrap();
    for row in rows {
        let (key, bytes) = row.unwrap();
        let path = folder.join("objects").join(&key[..2]).join(&key[2..]);
        assert_eq!(fs::metadata(path).unwrap().len(), bytes);
    }
}
