//! What every back end of [`Objects`] must do: one suite, run on each by [`objects_contract!`](crate::objects_contract).
//!
//! Everything here fails by a panic, as tests do.
#![allow(missing_docs)]

use std::io::{self, ErrorKind};
use std::path::Path;
use std::thread;

use sha2::{Digest, Sha256};

use super::{Key, Objects, Put, hash};
use crate::spool::{Spool, Staged};

/// A store to be tested, and a spool before it, in a folder that is removed afterwards.
pub struct Bed {
    pub objects: Box<dyn Objects>,
    pub spool: Spool,
    pub folder: tempfile::TempDir,
}

/// Makes a test of each case, in the module where it stands. The argument is a function that makes a [`Bed`] with an empty store.
///
/// ```ignore
/// fn memory() -> Bed { Bed::new(|_| Box::<Memory>::default()) }
/// store::objects_contract!(memory);
/// ```
#[macro_export]
macro_rules! objects_contract {
    ($bed:path) => { $crate::objects_cases!(objects_contract_tests $bed); };
}

#[doc(hidden)]
#[macro_export]
macro_rules! objects_contract_tests {
    ($bed:path: $($case:ident),*) => { $(#[test] fn $case() { $crate::objects::contract::$case($bed()) })* };
}

#[doc(hidden)]
#[macro_export]
macro_rules! objects_cases {
    ($then:ident $($bed:path)?) => {
        $crate::$then!($($bed)?: puts_and_reads, names_by_sha256, same_bytes_once, many_at_once, the_same_twice_at_once,
            damaged_bytes_are_replaced, empty_object, missing_object, reads_past_the_end_fail,
            many_readers_and_writers, more_objects_than_open_files, removed_object_is_gone_and_open_readers_read_on,
            listed_in_order_page_by_page, dropped_stage_leaves_nothing, failing_stream_leaves_nothing);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! objects_contract_list {
    (: $($case:ident),*) => {
        /// All cases by name, for a back end whose store is started once for all of them.
        pub const CASES: &[(&str, fn(Bed))] = &[$((stringify!($case), $case)),*];
    };
}

crate::objects_cases!(objects_contract_list);

impl Bed {
    /// A bed with the store that `objects` makes; it may use a folder `objects` in the folder it is given.
    pub fn new(objects: impl FnOnce(&Path) -> Box<dyn Objects>) -> Bed {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(&folder.path().join("spool")).unwrap().0;
        Bed { objects: objects(folder.path()), spool, folder }
    }

    pub fn stage(&self, bytes: &[u8]) -> Staged {
        self.spool.stage(&mut &bytes[..]).unwrap()
    }

    pub fn put(&self, bytes: &[u8]) -> (Key, Put) {
        let staged = self.stage(bytes);
        let key = staged.key();
        (key, self.objects.put_one(staged).unwrap())
    }

    /// All bytes of an object.
    pub fn get(&self, key: &Key) -> Vec<u8> {
        let reader = self.objects.open(key, self.objects.size(key).unwrap().unwrap_or(0)).unwrap();
        let mut bytes = vec![0; reader.size() as usize];
        reader.read_exact_at(0, &mut bytes).unwrap();
        bytes
    }

    /// Files left in the spool, the lock of the run aside.
    pub fn left(&self) -> usize {
        let run = self.folder.path().join("spool").join(self.spool.run());
        std::fs::read_dir(run).unwrap().count() - 1
    }
}

pub fn puts_and_reads(bed: Bed) {
    let bytes: Vec<u8> = (0..700_000u32).map(|i| (i * 7) as u8).collect();
    let (key, put) = bed.put(&bytes);
    assert_eq!(put, Put::New);
    assert_eq!(bed.get(&key), bytes);
    assert_eq!(bed.objects.size(&key).unwrap(), Some(bytes.len() as u64));
    let mut part = vec![0; 1000];
    bed.objects.open(&key, 700_000).unwrap().read_exact_at(300_000, &mut part).unwrap();
    assert_eq!(part, bytes[300_000..301_000]);
    assert_eq!(bed.left(), 0);
    assert_eq!(hash(&*bed.objects, &key, 700_000).unwrap(), key);
}

pub fn names_by_sha256(bed: Bed) {
    let (key, _) = bed.put(b"abc");
    assert_eq!(key.as_bytes()[..], Sha256::digest(b"abc")[..]);
    assert_eq!(key.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(Key::parse(&key.to_string()), Some(key));
    assert_eq!(Key::parse("../../../etc/passwd"), None);
}

pub fn same_bytes_once(bed: Bed) {
    let (key, first) = bed.put(b"the same");
    let (again, second) = bed.put(b"the same");
    assert_eq!((first, second), (Put::New, Put::Existed));
    assert_eq!(key, again);
    assert_eq!(bed.get(&key), b"the same");
    assert_eq!(bed.left(), 0);
}

pub fn empty_object(bed: Bed) {
    let (key, _) = bed.put(b"");
    assert_eq!(bed.objects.size(&key).unwrap(), Some(0));
    assert!(bed.get(&key).is_empty());
}

pub fn missing_object(bed: Bed) {
    let key = Key::new([7; 32]);
    assert_eq!(bed.objects.size(&key).unwrap(), None);
    assert_eq!(bed.objects.open(&key, 7).err().unwrap().kind(), ErrorKind::NotFound);
}

pub fn reads_past_the_end_fail(bed: Bed) {
    let (key, _) = bed.put(b"0123456789");
    let reader = bed.objects.open(&key, 10).unwrap();
    for (offset, len) in [(0, 11), (10, 1), (5, 6), (u64::MAX >> 1, 1)] {
        let read = reader.read_exact_at(offset, &mut vec![0; len]);
        assert_eq!(read.unwrap_err().kind(), ErrorKind::UnexpectedEof, "{offset} {len}");
    }
    reader.read_exact_at(10, &mut []).unwrap();
}

pub fn many_readers_and_writers(bed: Bed) {
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

pub fn more_objects_than_open_files(bed: Bed) {
    let keys: Vec<_> = (0..10u8).map(|n| bed.put(&[n; 10]).0).collect();
    let held = bed.objects.open(&keys[0], 10).unwrap();
    for _ in 0..3 {
        for (n, key) in keys.iter().enumerate() {
            assert_eq!(bed.get(key), [n as u8; 10]);
        }
    }
    let mut bytes = [0; 10];
    held.read_exact_at(0, &mut bytes).unwrap();
    assert_eq!(bytes, [0; 10]);
}

pub fn removed_object_is_gone_and_open_readers_read_on(bed: Bed) {
    let (key, _) = bed.put(b"read on");
    let held = bed.objects.open(&key, 7).unwrap();
    assert!(bed.objects.remove(&key).unwrap());
    assert!(!bed.objects.remove(&key).unwrap());
    assert_eq!(bed.objects.size(&key).unwrap(), None);
    assert_eq!(bed.objects.open(&key, 7).err().unwrap().kind(), ErrorKind::NotFound);
    let mut bytes = [0; 7];
    held.read_exact_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"read on");
    assert_eq!(bed.put(b"read on"), (key, Put::New));
    assert_eq!(bed.get(&key), b"read on");
}

pub fn many_at_once(bed: Bed) {
    let contents: Vec<Vec<u8>> = (0..100u8).map(|n| vec![n; usize::from(n) * 50]).collect();
    bed.put(&contents[7]);
    let staged: Vec<Staged> = contents.iter().map(|bytes| bed.stage(bytes)).collect();
    let keys: Vec<Key> = staged.iter().map(Staged::key).collect();
    let put = bed.objects.put(staged);
    assert_eq!(put.len(), contents.len());
    for (n, put) in put.into_iter().enumerate() {
        assert_eq!(put.unwrap(), if n == 7 { Put::Existed } else { Put::New }, "{n}");
        assert_eq!(bed.get(&keys[n]), contents[n]);
    }
    assert!(bed.objects.put(Vec::new()).is_empty());
    assert_eq!(bed.left(), 0);
}

pub fn the_same_twice_at_once(bed: Bed) {
    let staged = vec![bed.stage(b"twice"), bed.stage(b"twice"), bed.stage(b"once")];
    let key = staged[0].key();
    let put: Vec<Put> = bed.objects.put(staged).into_iter().map(Result::unwrap).collect();
    assert_eq!(put[2], Put::New);
    assert!(put[..2].contains(&Put::New));
    assert_eq!(bed.get(&key), b"twice");
    assert_eq!(bed.left(), 0);
}

pub fn damaged_bytes_are_replaced(bed: Bed) {
    let (key, _) = bed.put(b"whole");
    assert_eq!(bed.objects.put_one(bed.stage(b"whole")).unwrap(), Put::Existed);
    bed.objects.replace(bed.stage(b"whole")).unwrap();
    assert_eq!(bed.get(&key), b"whole");
    assert_eq!(bed.left(), 0);
}

pub fn listed_in_order_page_by_page(bed: Bed) {
    assert!(bed.objects.list(None, 10).unwrap().is_empty());
    let mut expected: Vec<(Key, u64)> =
        (0..60u8).map(|n| (bed.put(&vec![n; usize::from(n)]).0, u64::from(n))).collect();
    expected.sort_unstable();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = bed.objects.list(after, 7).unwrap();
        after = page.last().map(|(key, _)| *key);
        found.extend_from_slice(&page);
        if page.len() < 7 {
            break;
        }
    }
    assert_eq!(found, expected);
    assert_eq!(bed.objects.list(None, 1000).unwrap(), expected);
    assert!(bed.objects.list(None, 0).unwrap().is_empty());
    bed.objects.remove(&expected[3].0).unwrap();
    assert_eq!(bed.objects.list(Some(expected[2].0), 1).unwrap(), expected[4..5]);
}

pub fn dropped_stage_leaves_nothing(bed: Bed) {
    let staged = bed.spool.stage(&mut &b"never put"[..]).unwrap();
    let key = staged.key();
    assert_eq!(bed.left(), 1);
    drop(staged);
    assert_eq!(bed.left(), 0);
    assert_eq!(bed.objects.size(&key).unwrap(), None);
}

pub fn failing_stream_leaves_nothing(bed: Bed) {
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
