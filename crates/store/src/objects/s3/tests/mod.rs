//! What S3 must do, against a store that runs: `tests/commands/test_s3.py` starts one, and runs these with its address in
//! `FIRSTLIGHT_TEST_S3` (`127.0.0.1:PORT`, with a bucket `firstlight`).

mod proxy;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::objects::contract::{Bed, CASES};
use crate::objects::hash;
use proxy::{Fault, Proxy};

fn store() -> SocketAddr {
    let told =
        std::env::var("FIRSTLIGHT_TEST_S3").expect("tests/commands/test_s3.py starts a store and says where it is");
    told.parse().unwrap()
}

fn access(endpoint: SocketAddr) -> Access {
    let variables = [
        ("AWS_ENDPOINT", format!("http://{endpoint}")),
        ("AWS_ACCESS_KEY_ID", "test".into()),
        ("AWS_SECRET_ACCESS_KEY", "test".into()),
        ("AWS_REGION", "us-east-1".into()),
    ];
    let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Access { variables, credentials: None }
}

/// A place nobody else uses.
fn address() -> Address {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    Address::parse(&format!("s3://firstlight/tests/{}-{next}", std::process::id())).unwrap()
}

/// A bed with the store at `endpoint`, with caches in memory and in a folder.
fn bed_at(endpoint: SocketAddr, address: &Address, memory: u64) -> Bed {
    Bed::new(|folder: &Path| {
        let near = Near { memory, folder: Some(folder.join("cache")), disk: 16 << 20 };
        Box::new(S3::open(address, &access(endpoint), &near).unwrap())
    })
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

#[test]
#[ignore = "needs a store"]
fn contract_of_objects() {
    for (name, case) in CASES {
        println!("{name}");
        case(bed_at(store(), &address(), 64 << 20));
    }
}

#[test]
#[ignore = "needs a store"]
fn large_objects_go_up_in_parts_and_are_read_in_ranges() {
    let proxy = Proxy::start(store(), |_, _| Fault::None);
    let (address, bytes) = (address(), noise((20 << 20) + 12_345));
    let bed = bed_at(proxy.address, &address, 64 << 20);
    let (key, put) = bed.put(&bytes);
    assert_eq!(put, Put::New);
    assert_eq!(proxy.asked.lock().unwrap().iter().filter(|line| line.contains("partNumber=")).count(), 3);
    assert_eq!(bed.put(&bytes), (key, Put::Existed));
    assert_eq!(hash(&*bed.objects, &key, bytes.len() as u64).unwrap(), key);
    let object = bed.objects.open(&key, bytes.len() as u64).unwrap();
    for (offset, len) in [(0, 1), (1 << 20, 1 << 20), ((1 << 20) - 7, 15), (5_000_000, 9_000_000), (bytes.len() - 3, 3)]
    {
        let mut part = vec![0; len];
        object.read_exact_at(offset as u64, &mut part).unwrap();
        assert!(part == bytes[offset..offset + len], "{offset} {len}");
    }
    // What was read once is near.
    let before = proxy.count("GET");
    let mut whole = vec![0; 9_000_000];
    bed.objects.open(&key, bytes.len() as u64).unwrap().read_exact_at(5_000_000, &mut whole).unwrap();
    assert_eq!(proxy.count("GET"), before);
    assert!(whole == bytes[5_000_000..14_000_000]);
    bed.objects.replace(bed.stage(&bytes)).unwrap();
    assert_eq!(hash(&*bed.objects, &key, bytes.len() as u64).unwrap(), key);
}

#[test]
#[ignore = "needs a store"]
fn a_small_object_is_one_request_to_write_and_one_to_read() {
    let proxy = Proxy::start(store(), |_, _| Fault::None);
    let address = address();
    let (writer, reader) = (bed_at(proxy.address, &address, 1 << 20), bed_at(proxy.address, &address, 1 << 20));
    let (began, gets) = (proxy.requests(), proxy.count("GET"));
    let (key, _) = writer.put(b"small");
    assert_eq!(proxy.requests(), began + 1);
    let mut bytes = [0; 5];
    reader.objects.open(&key, 5).unwrap().read_exact_at(0, &mut bytes).unwrap();
    reader.objects.open(&key, 5).unwrap().read_exact_at(0, &mut bytes).unwrap();
    assert_eq!((&bytes, proxy.requests()), (b"small", began + 2));
    // What was written here is near already.
    assert_eq!(writer.get(&key), b"small");
    assert_eq!(proxy.count("GET") - gets, 1, "the reader's: {:?}", proxy.asked.lock().unwrap());
}

#[test]
#[ignore = "needs a store"]
fn a_block_that_many_want_is_fetched_once() {
    let proxy = Proxy::start(store(), |_, line| {
        if line.starts_with("GET") { Fault::Late(Duration::from_millis(300)) } else { Fault::None }
    });
    let address = address();
    let bytes = noise(3 << 20);
    let (key, _) = bed_at(store(), &address, 1 << 20).put(&bytes);
    let reader = bed_at(proxy.address, &address, 16 << 20);
    let before = proxy.count("GET");
    let object = reader.objects.open(&key, bytes.len() as u64).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut part = vec![0; 100];
                object.read_exact_at(2_500_000, &mut part).unwrap();
                assert_eq!(part, bytes[2_500_000..2_500_100]);
            });
        }
    });
    assert_eq!(proxy.count("GET") - before, 2, "one to open, one for the block");
}

#[test]
#[ignore = "needs a store"]
fn refusals_resets_and_lost_answers_reach_nobody() {
    let faults = [Fault::Busy, Fault::Reset, Fault::Lost, Fault::Cut];
    // One request in four comes to grief, each kind in turn; the probe of the start is let through.
    let calm = Arc::new(AtomicBool::new(true));
    let still = calm.clone();
    let proxy = Proxy::start(store(), move |n, _| match n % 4 {
        0 if !still.load(Ordering::Relaxed) => faults[n / 4 % 4],
        _ => Fault::None,
    });
    let address = address();
    let bed = bed_at(proxy.address, &address, 1 << 20);
    calm.store(false, Ordering::Relaxed);
    let contents: Vec<Vec<u8>> = (0..24_u8).map(|n| vec![n; 2000 + usize::from(n)]).collect();
    let staged = contents.iter().map(|bytes| bed.stage(bytes)).collect();
    for put in bed.objects.put(staged) {
        put.unwrap();
    }
    let large = noise(17 << 20);
    let (key, _) = bed.put(&large);
    let reader = bed_at(store(), &address, 1 << 20);
    assert_eq!(hash(&*reader.objects, &key, large.len() as u64).unwrap(), key);
    assert_eq!(hash(&*bed.objects, &key, large.len() as u64).unwrap(), key);
    for bytes in &contents {
        let staged = bed.stage(bytes);
        assert_eq!(hash(&*bed.objects, &staged.key(), bytes.len() as u64).unwrap(), staged.key());
    }
    assert_eq!(bed.objects.list(None, 100).unwrap().len(), 25);
}

#[test]
#[ignore = "needs a store"]
fn a_slow_answer_is_asked_for_twice() {
    let (armed, slow) = (Arc::new(AtomicBool::new(false)), Duration::from_secs(20));
    let now = armed.clone();
    let late = move |_: usize, line: &str| match line.starts_with("GET") && now.swap(false, Ordering::Relaxed) {
        true => Fault::Late(slow),
        false => Fault::None,
    };
    let proxy = Proxy::start(store(), late);
    let address = address();
    let (key, _) = bed_at(store(), &address, 1 << 20).put(b"slow");
    let reader = bed_at(proxy.address, &address, 1 << 20);
    let before = proxy.count("GET");
    armed.store(true, Ordering::Relaxed);
    assert_eq!(reader.objects.open(&key, 4).unwrap().size(), 4);
    assert!(!armed.load(Ordering::Relaxed), "one was held back");
    assert_eq!(proxy.count("GET") - before, 2, "the one held back, and the second");
}

#[test]
#[ignore = "needs a store"]
fn an_upload_that_breaks_off_is_not_acknowledged() {
    let broken = Arc::new(AtomicBool::new(false));
    let refuse = broken.clone();
    // Each part but the first is refused for good, as if the rights were taken away meanwhile.
    let proxy =
        Proxy::start(store(), move |_, line| match line.contains("partNumber=2") || line.contains("partNumber=3") {
            true => {
                refuse.store(true, Ordering::Relaxed);
                Fault::Reset
            }
            false => Fault::None,
        });
    let (address, bytes) = (address(), noise(17 << 20));
    let bed = bed_at(proxy.address, &address, 1 << 20);
    let staged = bed.stage(&bytes);
    let key = staged.key();
    // The program goes away in the middle.
    let objects = bed.objects;
    let going = std::thread::spawn(move || objects.put_one(staged));
    while !broken.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let other = bed_at(store(), &address, 1 << 20);
    assert_eq!(other.objects.size(&key).unwrap(), None);
    assert!(other.objects.list(None, 10).unwrap().is_empty());
    assert!(!going.is_finished(), "nothing was acknowledged");
}

#[test]
#[ignore = "needs a store"]
fn what_cannot_be_used_is_said_in_one_line() {
    let near = Near { memory: 1 << 20, folder: None, disk: 0 };
    let said = |address: &str, access: &Access| {
        let line = S3::open(&Address::parse(address).unwrap(), access, &near).err().unwrap().to_string();
        assert!(line.lines().count() == 1 && line.starts_with(address), "{line}");
        line
    };
    let line = said("s3://nobody-made-this/a", &access(store()));
    assert!(line.contains("no such bucket"), "{line}");
    // A port that nobody listens at.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let line = said("s3://firstlight/a", &access(free));
    assert!(line.contains("cannot be reached"), "{line}");
}

/// Other bytes under the name of an object, past every writer of this program.
fn put_over(address: &Address, key: &Key, bytes: Bytes) {
    let s3 = access(store()).client(address, Patience::READ).unwrap();
    let name = key.to_string();
    let path = far::below(address, &format!("objects/{}/{name}", &name[..2]));
    let put = async move { object_store::ObjectStoreExt::put(&s3, &path, bytes.into()).await };
    Runner::start("objects").unwrap().run(put).unwrap().unwrap();
}

#[test]
#[ignore = "needs a store"]
fn what_another_program_healed_is_not_mixed_with_what_is_near() {
    let (address, whole) = (address(), noise(3 << 20));
    let writer = bed_at(store(), &address, 16 << 20);
    let (key, _) = writer.put(&whole);
    let mut damaged = whole.clone();
    damaged[100] ^= 1;
    damaged[(2 << 20) + 100] ^= 1;
    put_over(&address, &key, damaged.clone().into());
    let reader = bed_at(store(), &address, 16 << 20);
    let read = |object: &dyn ReadAt, offset: u64| {
        let mut part = vec![0; 200];
        object.read_exact_at(offset, &mut part).map(|()| part)
    };
    let before = reader.objects.open(&key, whole.len() as u64).unwrap();
    assert_eq!(read(&*before, 0).unwrap(), damaged[..200]);
    writer.objects.replace(writer.stage(&whole)).unwrap();
    // Who has it open reads on as it was, or is told.
    let error = read(&*before, 2 << 20).unwrap_err();
    assert_eq!(error.to_string(), "the object was replaced while it was read");
    let after = reader.objects.open(&key, whole.len() as u64).unwrap();
    assert_eq!(read(&*after, 0).unwrap(), whole[..200]);
    assert_eq!(read(&*after, 2 << 20).unwrap(), whole[2 << 20..(2 << 20) + 200]);
    assert_eq!(read(&*before, 0).unwrap(), damaged[..200]);
}

#[test]
#[ignore = "needs a store"]
fn who_may_not_list_is_told_so() {
    let proxy = Proxy::start(store(), |_, line| if line.starts_with("HEAD") { Fault::Denied } else { Fault::None });
    let near = Near { memory: 1 << 20, folder: None, disk: 0 };
    let line = S3::open(&address(), &access(proxy.address), &near).err().unwrap().to_string();
    assert!(line.contains("lets these credentials not list") && line.contains("s3:ListBucket"), "{line}");
    let proxy = Proxy::start(store(), |_, line| if line.contains("list-type") { Fault::Denied } else { Fault::None });
    let line = S3::open(&address(), &access(proxy.address), &near).err().unwrap().to_string();
    assert!(line.contains("lets these credentials not list"), "{line}");
}

#[test]
#[ignore = "needs a store"]
fn a_lost_answer_to_the_first_request_of_all_is_no_fault_of_the_store() {
    let proxy = Proxy::start(store(), |n, _| if n == 0 { Fault::Lost } else { Fault::None });
    let near = Near { memory: 1 << 20, folder: None, disk: 0 };
    S3::open(&address(), &access(proxy.address), &near).unwrap();
    assert!(proxy.count("PUT") >= 3, "the first was done again");
}

#[test]
#[ignore = "needs a store"]
fn damage_is_found_behind_the_cache_and_mended() {
    let address = address();
    let bed = bed_at(store(), &address, 1 << 20);
    let (key, _) = bed.put(b"whole");
    assert_eq!(bed.get(&key), b"whole");
    let spoil = |bytes: &'static [u8]| put_over(&address, &key, Bytes::from_static(bytes));
    spoil(b"wrong");
    assert_ne!(hash(&*bed.objects, &key, 5).unwrap(), key);
    bed.objects.replace(bed.stage(b"whole")).unwrap();
    assert_eq!(hash(&*bed.objects, &key, 5).unwrap(), key);
    // Of another length, it is not these bytes.
    spoil(b"who");
    assert_eq!(bed.objects.size(&key).unwrap(), Some(3));
    assert_eq!(bed.put(b"whole"), (key, Put::New));
    assert_eq!(bed.get(&key), b"whole");
    assert_eq!(bed.objects.open_stored(&Key::new([9; 32]), 5).err().unwrap().kind(), ErrorKind::NotFound);
}
