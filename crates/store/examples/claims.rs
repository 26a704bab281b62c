//! What claiming work costs, and how many workers it serves: jobs of one index leased and ended by 1, 2 and 4 workers, each with connections of
//! its own, which wait instead of converting.
//!
//! `cargo run --release -p store --features contract --example claims INSTANCES MILLISECONDS [ADDRESS...]`: an address is an empty database for
//! each number of workers; without any the index is a file. One line of JSON each. The CPU time is that of the whole process while a worker
//! leases: with one worker, that of leasing.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use store::index::contract::new_instance;
use store::index::postgres::{Access, Postgres};
use store::index::sqlite::Sqlite;
use store::index::{Index, JobEnd};

/// Jobs that a worker leases at once, as the archive does.
const BATCH: u32 = 4;
/// Numbers of workers.
const WORKERS: [usize; 3] = [1, 2, 4];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let instances = arguments.next().and_then(|n| n.parse().ok()).expect("how many instances");
    let wait = arguments.next().and_then(|n| n.parse().ok()).map(Duration::from_millis).expect("how many milliseconds");
    let addresses: Vec<String> = arguments.collect();
    for (n, workers) in WORKERS.into_iter().enumerate() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("index.sqlite");
        let open = || open(&file, addresses.get(n).map(String::as_str));
        fill(&*open(), instances);
        let (claiming, done) = (AtomicU64::new(0), AtomicU64::new(0));
        let indices: Vec<_> = (0..workers).map(|_| open()).collect();
        let began = Instant::now();
        thread::scope(|scope| {
            for (n, index) in indices.iter().enumerate() {
                let (claiming, done) = (&claiming, &done);
                scope.spawn(move || work(&**index, &format!("worker/{n}"), wait, claiming, done));
            }
        });
        let seconds = began.elapsed().as_secs_f64();
        assert_eq!(done.load(Ordering::Relaxed), instances, "each was done, and once");
        let milliseconds = claiming.load(Ordering::Relaxed) as f64 / 1e6 / instances as f64;
        println!("{{\"workers\": {workers}, \"seconds\": {seconds:.3}, \"claiming_cpu_ms\": {milliseconds:.4}}}");
    }
}

fn open(file: &Path, address: Option<&str>) -> Box<dyn Index> {
    match address {
        Some(address) => {
            let access = Access::from_env().expect("what lets in");
            let address = address.parse().expect("an address");
            Box::new(Postgres::open(&address, &access, 2).expect("a database"))
        }
        None => Box::new(Sqlite::open(file, 2).expect("a file")),
    }
}

fn fill(index: &dyn Index, instances: u64) {
    let new = |n: u64| new_instance("1.1", "1.2", &format!("1.3.{n}"));
    let tickets: Vec<_> = (0..instances).map(|n| index.register(new(n))).collect();
    tickets.into_iter().for_each(|ticket| drop(ticket.wait().expect("what is new is listed")));
}

fn work(index: &dyn Index, run: &str, wait: Duration, claiming: &AtomicU64, done: &AtomicU64) {
    loop {
        let before = on_cpu();
        let jobs = index.lease(run, BATCH).expect("a lease");
        claiming.fetch_add(on_cpu() - before, Ordering::Relaxed);
        if jobs.is_empty() {
            return;
        }
        for job in jobs {
            thread::sleep(wait);
            let end = JobEnd::Kept { rule: String::new(), reason: String::new(), levels: None, figures: Vec::new() };
            let ended = index.finish(run, "policy", &job, end).expect("an end");
            done.fetch_add(u64::from(ended), Ordering::Relaxed);
        }
    }
}

/// Nanoseconds that this process has been on a CPU, all of its threads.
fn on_cpu() -> u64 {
    let of = |path: std::path::PathBuf| {
        let told = std::fs::read_to_string(path.join("schedstat")).unwrap_or_default();
        told.split(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0)
    };
    let threads = std::fs::read_dir("/proc/self/task").expect("threads");
    threads.filter_map(|thread| Some(of(thread.ok()?.path()))).sum()
}
