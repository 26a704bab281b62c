//! What was asked for before: answered at once, and the very same, until something is handed out otherwise.

use crate::made::{self, CT, EXPLICIT, Made};
use crate::sockets::{Client, Running, start_with};
use archive::Archive;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use tokio::io::AsyncWriteExt;
use transcode::Policy;

const TARGET: &str = "Accept: multipart/related; type=application/octet-stream; transfer-syntax=*\r\n";

/// Samples of an image of so many columns and rows.
fn samples(columns: u32, rows: u32) -> Vec<u16> {
    (0..columns * rows).map(|n| (n.wrapping_mul(2_654_435_761) >> 16) as u16).collect()
}

async fn server(file: Vec<u8>) -> (Running, Archive) {
    let mut archive = None;
    let running = start_with(&[file], |config| archive = Some(config.archive.clone())).await;
    (running, archive.unwrap())
}

/// How often the metrics say that something was ready made.
async fn hits(client: &mut Client) -> u64 {
    let (_, _, text) = client.get("/metrics", "").await;
    let text = String::from_utf8(text).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("firstlight_cache_hits_total ")).unwrap();
    line.parse().unwrap()
}

/// The lines of a head but for those that differ from request to request.
fn steady(head: &[String]) -> Vec<String> {
    let mut lines: Vec<_> =
        head.iter().filter(|line| !line.starts_with("date:") && !line.starts_with("x-request-id:")).cloned().collect();
    lines.sort();
    lines
}

fn header<'a>(head: &'a [String], name: &str) -> &'a str {
    head.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
}

#[tokio::test]
async fn the_second_answer_is_the_first() {
    for (columns, rows) in [(8, 8), (100, 100), (310, 311), (1400, 1300)] {
        let values = samples(columns.into(), rows.into());
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let (running, _) = server(Made::new("1.8.1", CT, EXPLICIT).grey16(columns, rows, &[values]).file()).await;
        let target = format!("{}/frames/1", made::path("1.8.1"));
        let mut client = Client::connect(running.address).await;
        let (status, head, whole) = client.get(&target, TARGET).await;
        assert_eq!(status, 200);
        assert!(whole.windows(bytes.len()).any(|window| window == bytes));
        let before = hits(&mut client).await;
        for _ in 0..3 {
            let (again, same, body) = client.get(&target, TARGET).await;
            assert_eq!((again, steady(&same)), (200, steady(&head)));
            assert!(body == whole, "{columns} x {rows}");
        }
        assert_eq!(hits(&mut client).await, before + 3, "it is known");
        let len = whole.len();
        for range in [0..1, 0..len, 40..len - 3, len / 2..len / 2 + 40, len - 1..len, len / 3..len / 3 + len / 2] {
            let asked = format!("{TARGET}Range: bytes={}-{}\r\n", range.start, range.end - 1);
            let (status, _, part) = client.get(&target, &asked).await;
            assert!(status == 206 && part == whole[range.clone()], "{range:?} of {columns} x {rows}");
        }
        let etag = header(&head, "etag").to_owned();
        let modified = format!("{TARGET}If-Modified-Since: {}\r\n", upper(header(&head, "last-modified")));
        for condition in [format!("{TARGET}If-None-Match: {etag}\r\n"), modified] {
            let (status, told, _) = client.get(&target, &condition).await;
            assert_eq!((status, header(&told, "etag")), (304, etag.as_str()));
        }
        let (status, ..) = client.get(&target, &format!("{TARGET}If-Match: \"other\"\r\n")).await;
        assert_eq!(status, 412);
        let (status, told, _) = client.get(&target, &format!("{TARGET}Range: bytes={len}-\r\n")).await;
        assert_eq!((status, header(&told, "content-range").to_owned()), (416, format!("bytes */{len}")));
    }
}

/// A date as it was sent, before its head was put into lower case.
fn upper(date: &str) -> String {
    let mut words: Vec<String> = date.split(' ').map(str::to_owned).collect();
    for at in [0, 2] {
        words[at][..1].make_ascii_uppercase();
    }
    words[5].make_ascii_uppercase();
    words.join(" ")
}

#[tokio::test]
async fn many_ask_at_once_and_one_after_another() {
    let values = samples(700, 700);
    let (running, _) = server(Made::new("1.8.2", CT, EXPLICIT).grey16(700, 700, &[values]).file()).await;
    let target = format!("{}/frames/1", made::path("1.8.2"));
    let (_, _, whole) = Client::connect(running.address).await.get(&target, TARGET).await;
    let clients: Vec<_> = (0..8)
        .map(|n| {
            let (target, whole, address) = (target.clone(), whole.clone(), running.address);
            tokio::spawn(async move {
                let mut client = Client::connect(address).await;
                let one = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{TARGET}\r\n");
                let part =
                    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{TARGET}Range: bytes={n}-99999\r\n\r\n");
                // Ten requests before the first answer is read.
                client.send(&[one.as_str(), &part].concat().repeat(5)).await;
                for _ in 0..5 {
                    assert!(client.answer().await.2 == whole);
                    assert!(client.answer().await.2 == whole[n..100_000]);
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn what_is_converted_is_another_at_once() {
    let (file, _) = made::three_frames("1.8.3", EXPLICIT);
    let (running, archive) = server(file).await;
    let (frame, picture) = (format!("{}/frames/1", made::path("1.8.3")), format!("{}/rendered", made::path("1.8.3")));
    let mut client = Client::connect(running.address).await;
    let mut before = Vec::new();
    for target in [&frame, &picture] {
        client.get(target, TARGET).await;
        let (status, head, _) = client.get(target, "").await;
        assert_eq!(status, 200);
        before.push(header(&head, "etag").to_owned());
    }
    let convert = move || archive.convert_pending(&Policy::default(), 1, &AtomicBool::new(false), &|_| ());
    tokio::task::spawn_blocking(convert).await.unwrap().unwrap();
    for (target, before) in [&frame, &picture].into_iter().zip(&before) {
        let (status, head, body) = client.get(target, &format!("If-None-Match: {before}\r\n")).await;
        assert_eq!((status, body.is_empty()), (200, false), "{target}");
        assert_ne!(header(&head, "etag"), before);
    }
    let (_, _, body) = client.get(&frame, TARGET).await;
    assert!(body.starts_with(b"--") && body.windows(9).any(|w| w == b"image/jls"));
}

/// The one object of an archive.
fn object(folder: &Path) -> PathBuf {
    let folders = std::fs::read_dir(folder.join("objects")).unwrap();
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
    files.map(|file| file.unwrap().path()).next().unwrap()
}

#[tokio::test]
async fn a_file_that_is_gone_is_not_served() {
    let (file, _) = made::three_frames("1.8.4", EXPLICIT);
    let (running, _) = server(file).await;
    let target = format!("{}/frames/2", made::path("1.8.4"));
    let mut client = Client::connect(running.address).await;
    let (_, _, whole) = client.get(&target, TARGET).await;
    assert!(client.get(&target, TARGET).await.2 == whole);
    std::fs::remove_file(object(running.folder())).unwrap();
    let (status, ..) = client.get(&target, TARGET).await;
    assert_eq!(status, 500);
}

#[tokio::test]
async fn who_may_not_ask_is_not_told_what_is_known() {
    let (file, _) = made::three_frames("1.8.5", EXPLICIT);
    let (running, _) = server(file).await;
    let target = format!("{}/frames/1", made::path("1.8.5"));
    let mut client = Client::connect(running.address).await;
    for _ in 0..2 {
        assert_eq!(client.get(&target, TARGET).await.0, 200);
    }
    assert_eq!(client.get(&target, &format!("{TARGET}Origin: https://other.example\r\n")).await.0, 403);
    let mut client = Client::connect(running.address).await;
    client.send(&format!("GET {target} HTTP/1.1\r\nHost: rebound.example\r\n{TARGET}\r\n")).await;
    assert_eq!(client.answer().await.0, 403);
}

#[tokio::test]
async fn clients_that_go_in_the_middle_leave_others_alone() {
    let values = samples(2000, 2000);
    let (running, _) = server(Made::new("1.8.6", CT, EXPLICIT).grey16(2000, 2000, &[values]).file()).await;
    let target = format!("{}/frames/1", made::path("1.8.6"));
    let (_, _, whole) = Client::connect(running.address).await.get(&target, TARGET).await;
    for _ in 0..10 {
        let mut client = Client::connect(running.address).await;
        client.send(&format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{TARGET}\r\n")).await;
        let mut first = [0; 1000];
        tokio::io::AsyncReadExt::read_exact(&mut client.0, &mut first).await.unwrap();
        client.0.get_mut().shutdown().await.unwrap();
    }
    let mut client = Client::connect(running.address).await;
    assert!(client.get(&target, TARGET).await.2 == whole);
    assert_eq!(client.get("/healthz", "").await.0, 200);
}

#[tokio::test]
async fn each_request_has_a_line() {
    let (file, _) = made::three_frames("1.8.7", EXPLICIT);
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("access.log");
    let log = server::AccessLog::open(&path).unwrap();
    let running = start_with(&[file], |config| config.access_log = Some(log)).await;
    let target = format!("{}/frames/1", made::path("1.8.7"));
    let mut client = Client::connect(running.address).await;
    let mut told = Vec::new();
    for _ in 0..3 {
        let (status, head, body) = client.get(&target, TARGET).await;
        told.push((status, header(&head, "x-request-id").to_owned(), target.clone(), body.len()));
    }
    for target in ["/dicom-web/studies?PatientName=Dawn*&limit=1", "/dicom-web/studies/Dawn%5EAurora", "/nothing/Dawn"]
    {
        let (status, head, body) = client.get(target, "").await;
        let path = if target.contains('?') { "/dicom-web/studies" } else { "" };
        told.push((status, header(&head, "x-request-id").to_owned(), path.to_owned(), body.len()));
    }
    drop(client);
    let lines = loop {
        let text = std::fs::read_to_string(&path).unwrap();
        if text.lines().count() >= told.len() {
            break text;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    };
    assert!(!lines.contains("Dawn") && !lines.contains("Aurora"), "{lines}");
    for (line, (status, id, path, bytes)) in lines.lines().zip(told) {
        let words: Vec<_> = line.split(' ').collect();
        assert_eq!((words[1], words[2], words[3]), (id.as_str(), "127.0.0.1", "GET"), "{line}");
        assert!(path.is_empty() || words[4] == path, "{line}");
        assert_eq!((words[5], words[6]), (status.to_string().as_str(), bytes.to_string().as_str()), "{line}");
    }
}
