//! What the archive costs: CPU and wall time of each operation.
//!
//! `cargo run --release -p archive --example figures [FOLDER]` (the folder is on the disk to be measured; default: a
//! temporary one). With `FIRSTLIGHT_INDEX` the index is there: an empty database.

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use archive::{Archive, Fields, Options, Query, QueryLevel};
use common::*;

fn main() {
    let folder = match std::env::args_os().nth(1) {
        Some(folder) => tempfile::tempdir_in(folder).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let index = archive::IndexKeeping { at: std::env::var("FIRSTLIGHT_INDEX").ok() };
    let archive = Archive::open(&folder.path().join("archive"), Options { index, ..Options::default() }).unwrap();
    println!("{:44} {:>10} {:>10}", "operation", "CPU-ms", "ms");

    let small: Vec<_> = (0..400).map(|n| slice("1.1", "1.1.1", n, 139)).collect();
    measure("ingest 39 KB, one at a time", small.len(), |n| drop(archive.ingest_bytes(&small[n]).unwrap()));
    let large: Vec<_> = (0..200).map(|n| slice("1.2", "1.2.1", n, 512)).collect();
    measure("ingest 526 KB, one at a time", large.len(), |n| drop(archive.ingest_bytes(&large[n]).unwrap()));
    let paths: Vec<PathBuf> = (0..400)
        .map(|n| {
            let path = folder.path().join(n.to_string());
            std::fs::write(&path, slice("1.3", "1.3.1", n, 512)).unwrap();
            path
        })
        .collect();
    let count = paths.len();
    let (cpu, began) = (cpu_time(), Instant::now());
    archive.ingest_all(paths.into_iter(), 4, &AtomicBool::new(false), &mut |_, result| drop(result.unwrap()));
    print("ingest 526 KB, files, four threads", count, cpu_time() - cpu, began.elapsed());

    let (cpu, began) = (cpu_time(), Instant::now());
    archive.series_metadata("1.3", "1.3.1", "").unwrap().unwrap();
    print("prepare metadata, an instance of 400", 400, cpu_time() - cpu, began.elapsed());
    measure("series metadata, 400 instances, prepared", 500, |_| {
        drop(archive.series_metadata("1.3", "1.3.1", "").unwrap())
    });
    measure("look an instance up, again", 20_000, |n| {
        drop(archive.instance("1.3", "1.3.1", &format!("1.3.1.{}", n % 400)).unwrap())
    });
    measure("look up and read a frame of 512 KB", 4000, |n| {
        let instance = archive.instance("1.3", "1.3.1", &format!("1.3.1.{}", n % 200)).unwrap().unwrap();
        drop(archive.object(&instance).unwrap().read_frame(&instance.frames[0]).unwrap());
    });
    measure("look up and read 64 KB of a frame", 10_000, |n| {
        let instance = archive.instance("1.3", "1.3.1", &format!("1.3.1.{}", n % 200)).unwrap().unwrap();
        archive.object(&instance).unwrap().read_frame_at(&instance.frames[0], 4096, &mut [0; 64 << 10]).unwrap();
    });
    let tiny: Vec<_> = (0..101).map(|n| slice(&format!("1.9.{n}"), "1.9", n, 8)).collect();
    tiny.iter().for_each(|file| drop(archive.ingest_bytes(file).unwrap()));
    let page = Query { limit: Some(101), include: Fields::Some(vec![tag(0x0008_1030)]), ..Query::default() };
    measure("find 101 studies", 300, |_| drop(archive.find(QueryLevel::Study, &page).unwrap()));
    let one = Query { matches: vec![(tag(0x0020_000D), "1.9.7".into())], ..page };
    measure("find one study", 5000, |_| drop(archive.find(QueryLevel::Study, &one).unwrap()));
    measure("stats", 5000, |_| {
        archive.stats().unwrap();
    });
}

fn slice(study: &str, series: &str, n: u32, side: u16) -> Vec<u8> {
    let mut file = made(study, series, &format!("{series}.{n}"));
    file.set(0x0008_0060, "CS", "CT").set(0x0020_0013, "IS", &n.to_string()).set(0x0010_0010, "PN", "Name^Given");
    file.set(0x0010_0020, "LO", "ID").set(0x0008_0020, "DA", "20200101").set(0x0008_1030, "LO", "Description");
    file.set(0x0020_0032, "DS", "-1.5\\2\\3").set(0x0028_0030, "DS", "0.7\\0.7").image(side, side, n).file()
}

fn measure(what: &str, times: usize, mut each: impl FnMut(usize)) {
    let (cpu, began) = (cpu_time(), Instant::now());
    (0..times).for_each(&mut each);
    print(what, times, cpu_time() - cpu, began.elapsed());
}

fn print(what: &str, times: usize, cpu: Duration, wall: Duration) {
    let each = |time: Duration| time.as_secs_f64() * 1e3 / times as f64;
    println!("{what:44} {:>10.3} {:>10.3}", each(cpu), each(wall));
}

/// CPU time of the whole process, ended threads and the system's share included (in steps of 10 ms).
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).map(|n| n.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
