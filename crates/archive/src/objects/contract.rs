//! What every back end of [`Objects`] must do; one suite, run on each.

use std::io::ErrorKind;
use std::thread;

use sha2::{Digest, Sha256};

use super::*;

struct Bed {
    objects: Box<dyn Objects>,
    spool: Spool,
    folder: tempfile::TempDir,
}

fn disk() -> Bed {
    let folder = tempfile::tempdir().unwrap();
    let objects = Disk::open(&folder.path().join("objects"), 2).unwrap();
    let spool = Spool::open(&folder.path().join("spool")).unwrap().0;
    Bed { objects: Box::new(objects), spool, folder }
}

fn memory() -> Bed {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(&folder.path().join("spool")).unwrap().0;
    Bed { objects: Box::<Memory>::default(), spool, folder }
}

impl Bed {
    fn put(&self, bytes: &[u8]) -> (Key, Put) {
        let staged = self.spool.stage(&mut &bytes[..]).unwrap();
        let key = staged.key();
        (key, self.objects.put(staged).unwrap())
    }

    fn get(&self, key: &Key) -> Vec<u8> {
        let reader = self.objects.open(key).unwrap();
        let mut bytes = vec![0; reader.size() as usize];
        reader.read_exact_at(0, &mut bytes).unwrap();
        bytes
    }

    /// Where the disk has an object.
    fn file(&self, key: &Key) -> std::path::PathBuf {
        let hex = key.to_string();
        self.folder.path().join("objects").join(&hex[..2]).join(&hex[2..])
    }

    /// Files left in the spool, the lock of the run aside.
    fn left(&self) -> usize {
        let run = self.folder.path().join("spool").join(self.spool.run());
        std::fs::read_dir(run).unwrap().count() - 1
    }
}

macro_rules! contract {
    ($($test:ident),* $(,)?) => {
        mod on_disk { $(#[test] fn $test() { super::$test(super::disk()); })* }
        mod in_memory { $(#[test] fn $test() { super::$test(super::memory()); })* }
    };
}

contract!(
    puts_and_reads,
    names_by_sha256,
    same_bytes_once,
    empty_object,
    missing_object,
    reads_past_the_end_fail,
    many_readers_and_writers,
    more_objects_than_open_files,
    removed_object_is_gone_and_open_readers_read_on,
    dropped_stage_leaves_nothing,
    failing_stream_leaves_nothing,
);

fn puts_and_reads(bed: Bed) {
    let bytes: Vec<u8> = (0..700_000u32).map(|i| (i * 7) as u8).collect();
    let (key, put) = bed.put(&bytes);
    assert_eq!(put, Put::New);
    assert_eq!(bed.get(&key), bytes);
    assert_eq!(bed.objects.size(&key).unwrap(), Some(bytes.len() as u64));
    let mut part = vec![0; 1000];
    bed.objects.open(&key).unwrap().read_exact_at(300_000, &mut part).unwrap();
    assert_eq!(part, bytes[300_000..301_000]);
    assert_eq!(bed.left(), 0);
    assert_eq!(hash(&*bed.objects, &key).unwrap(), key);
}

fn names_by_sha256(bed: Bed) {
    let (key, _) = bed.put(b"abc");
    assert_eq!(key.as_bytes()[..], Sha256::digest(b"abc")[..]);
    assert_eq!(key.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(Key::parse(&key.to_string()), Some(key));
    assert_eq!(Key::parse("../../../etc/passwd"), None);
}

fn same_bytes_once(bed: Bed) {
    let (key, first) = bed.put(b"the same");
    let (again, second) = bed.put(b"the same");
    assert_eq!((first, second), (Put::New, Put::Existed));
    assert_eq!(key, again);
    assert_eq!(bed.get(&key), b"the same");
    assert_eq!(bed.left(), 0);
}

fn empty_object(bed: Bed) {
    let (key, _) = bed.put(b"");
    assert_eq!(bed.objects.size(&key).unwrap(), Some(0));
    assert!(bed.get(&key).is_empty());
}

fn missing_object(bed: Bed) {
    let key = Key::new([7; 32]);
    assert_eq!(bed.objects.size(&key).unwrap(), None);
    assert_eq!(bed.objects.open(&key).err().unwrap().kind(), ErrorKind::NotFound);
}

fn reads_past_the_end_fail(bed: Bed) {
    let (key, _) = bed.put(b"0123456789");
    let reader = bed.objects.open(&key).unwrap();
    for (offset, len) in [(0, 11), (10, 1), (5, 6), (u64::MAX >> 1, 1)] {
        let read = reader.read_exact_at(offset, &mut vec![0; len]);
        assert_eq!(read.unwrap_err().kind(), ErrorKind::UnexpectedEof, "{offset} {len}");
    }
    reader.read_exact_at(10, &mut []).unwrap();
}

fn many_readers_and_writers(bed: Bed) {
    thread::scope(|scope| {
        for worker in 0..4u8 {
            let bed = &bed;
            scope.spawn(move || {
                for n in 0..20u8 {
                    // Every object is put by two workers.
                    let bytes = vec![n ^ (worker & 1); 1000 + usize::from(n)];
                    let (key, _) = bed.put(&bytes);
                    assert_eq!(bed.get(&key), bytes);
                }
            });
        }
    });
    assert_eq!(bed.left(), 0);
}

fn more_objects_than_open_files(bed: Bed) {
    let keys: Vec<_> = (0..10u8).map(|n| bed.put(&[n; 10]).0).collect();
    let held = bed.objects.open(&keys[0]).unwrap();
    for _ in 0..3 {
        for (n, key) in keys.iter().enumerate() {
            assert_eq!(bed.get(key), [n as u8; 10]);
        }
    }
    let mut bytes = [0; 10];
    held.read_exact_at(0, &mut bytes).unwrap();
    assert_eq!(bytes, [0; 10]);
}

fn removed_object_is_gone_and_open_readers_read_on(bed: Bed) {
    let (key, _) = bed.put(b"read on");
    let held = bed.objects.open(&key).unwrap();
    assert!(bed.objects.remove(&key).unwrap());
    assert!(!bed.objects.remove(&key).unwrap());
    assert_eq!(bed.objects.size(&key).unwrap(), None);
    assert_eq!(bed.objects.open(&key).err().unwrap().kind(), ErrorKind::NotFound);
    let mut bytes = [0; 7];
    held.read_exact_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"read on");
    assert_eq!(bed.put(b"read on"), (key, Put::New));
    assert_eq!(bed.get(&key), b"read on");
}

fn dropped_stage_leaves_nothing(bed: Bed) {
    let staged = bed.spool.stage(&mut &b"never put"[..]).unwrap();
    let key = staged.key();
    assert_eq!(bed.left(), 1);
    drop(staged);
    assert_eq!(bed.left(), 0);
    assert_eq!(bed.objects.size(&key).unwrap(), None);
}

fn failing_stream_leaves_nothing(bed: Bed) {
    struct Broken(usize);
    impl io::Read for Broken {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(ErrorKind::ConnectionReset.into());
            }
            self.0 -= 1;
            buf.fill(1);
            Ok(buf.len())
        }
    }
    let staged = bed.spool.stage(&mut Broken(3));
    assert_eq!(staged.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(bed.left(), 0);
}

#[test]
fn damaged_file_is_replaced_by_the_whole_one() {
    let bed = disk();
    let (key, _) = bed.put(b"whole");
    std::fs::write(bed.file(&key), b"who").unwrap();
    assert_eq!(bed.put(b"whole"), (key, Put::New));
    assert_eq!(std::fs::read(bed.file(&key)).unwrap(), b"whole");
}

#[test]
fn what_is_opened_is_what_the_disk_has_now() {
    let bed = disk();
    let (key, _) = bed.put(b"whole");
    let (file, other) = (bed.file(&key), bed.folder.path().join("other"));
    assert_eq!(bed.get(&key), b"whole");
    std::fs::write(&other, b"wrong").unwrap();
    std::fs::rename(&other, &file).unwrap();
    assert_eq!(bed.get(&key), b"wrong");
    assert_ne!(hash(&*bed.objects, &key).unwrap(), key);
    std::fs::write(&file, b"longer than it was").unwrap();
    assert_eq!(bed.get(&key), b"longer than it was");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(bed.objects.open(&key).err().unwrap().kind(), ErrorKind::NotFound);
}

#[test]
fn spool_of_a_dead_run_is_removed_and_that_of_a_living_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (living, dead) = Spool::open(folder.path()).unwrap();
    assert!(dead.is_empty());
    let staged = living.stage(&mut &b"in work"[..]).unwrap();
    // A run that was killed leaves its folder, and its lock free.
    let killed = folder.path().join("killed");
    std::fs::create_dir(&killed).unwrap();
    std::fs::write(killed.join("lock"), b"").unwrap();
    std::fs::write(killed.join("0"), b"half").unwrap();
    // After a power cut the folder may be there without its lock, for neither name was synced.
    let (cut, making) = (folder.path().join("cut"), folder.path().join(".making"));
    std::fs::create_dir(&cut).unwrap();
    std::fs::create_dir(&making).unwrap();
    std::fs::write(folder.path().join("stray"), b"a file").unwrap();
    assert!(!living.is_alive("cut") && !living.is_alive("killed") && !living.is_alive("never"));
    let (second, mut dead) = Spool::open(folder.path()).unwrap();
    dead.sort();
    assert_eq!(dead, ["cut", "killed"]);
    assert!(!killed.exists() && !cut.exists());
    assert!(making.exists() && staged.path().exists());
    assert!(second.is_alive(living.run()) && second.is_alive(second.run()));
}
