//! The feed of changes: page by page, and as it happens.

use crate::made::{CT, EXPLICIT, Made, SERIES, STUDY};
use crate::site::{Answer, Site};
use crate::sockets::{Client, Running, start, start_with};
use access::{Door, Filter, Grants, Mode, NewKey, Options, Part, Right};
use archive::{Archive, Scope};
use axum::http::StatusCode;
use dicom_core::VR;
use serde_json::Value;
use std::time::Duration;
use tokio::io::AsyncBufReadExt;

/// Long enough for a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(30);

fn small(sop: &str) -> Vec<u8> {
    Made::new(sop, CT, EXPLICIT).grey16(8, 8, &[vec![7; 64]]).file()
}

fn of_other(sop: &str) -> Vec<u8> {
    let other = Made::new(sop, CT, EXPLICIT).elsewhere("Dawn^Aurora", "1.2.3.9", "1.2.3.9.5");
    other.with(0x0010_0020, VR::LO, "P-2").grey16(8, 8, &[vec![1; 64]]).file()
}

/// Kinds and what they are of, a line each.
fn lines(page: &Value) -> Vec<String> {
    page["changes"].as_array().unwrap().iter().map(line).collect()
}

fn line(change: &Value) -> String {
    let text = |name: &str| change[name].as_str().unwrap_or("-").to_owned();
    format!("{} {} {} {}", text("kind"), text("study"), text("series"), text("instance"))
}

#[tokio::test]
async fn changes_are_told_in_order_and_page_by_page() {
    let site = Site::of(&[small("1.9.1"), small("1.9.2"), of_other("1.9.3")]);
    let all = site.get("/changes").await;
    assert_eq!((all.status, all.header("cache-control")), (StatusCode::OK, "no-store"));
    let text = all.text();
    assert!(!text.contains("Dawn") && !text.contains("P-2"), "no name of a patient: {text}");
    let all = all.json();
    let stored = |sop: &str| format!("stored {STUDY} {SERIES} {sop}");
    assert_eq!(lines(&all), [stored("1.9.1"), stored("1.9.2"), "stored 1.2.3.9 1.2.3.9.5 1.9.3".to_owned()]);
    assert_eq!(all["more"], false);

    let first = site.get("/changes?limit=2").await.json();
    assert_eq!((lines(&first).len(), &first["more"]), (2, &Value::Bool(true)));
    let next = &first["next"];
    for name in ["after", "since"] {
        let rest = site.get(&format!("/changes?{name}={next}&limit=2")).await.json();
        assert_eq!((lines(&rest), &rest["more"]), (lines(&all)[2..].to_vec(), &Value::Bool(false)), "{name}");
    }
    let now = site.get("/changes?limit=0").await.json();
    assert_eq!((&now["next"], lines(&now).len()), (&all["next"], 0), "who begins now");
    for wrong in ["/changes?after=x", "/changes?after=-1", "/changes?limit=many", "/events?after=x"] {
        assert_eq!(site.get(wrong).await.status, StatusCode::BAD_REQUEST, "{wrong}");
    }

    site.archive.delete(Scope::Study(STUDY), Duration::from_secs(60)).unwrap();
    let removal = site.archive.deletions().unwrap()[0].id;
    let after = format!("/changes?after={}", all["next"]);
    assert_eq!(lines(&site.get(&after).await.json()), [format!("deleted {STUDY} - -")]);
    assert_eq!(lines(&site.get("/changes").await.json()).len(), 2, "what is gone is not told as if it were there");
    site.archive.undelete(removal).unwrap().unwrap();
    assert_eq!(lines(&site.get(&after).await.json())[1..], [format!("restored {STUDY} - -")]);
}

#[tokio::test]
async fn one_is_told_of_what_one_may_see() {
    let files = [small("1.9.1"), of_other("1.9.2"), small("1.9.3")];
    let site = Site::with(&files, |config| config.door.mode = Mode::SignIn);
    let door = Door::new(site.archive.clone(), Options { mode: Mode::SignIn, ..Options::default() });
    let key = |may: Right, on: Filter| {
        let new = NewKey { name: "test".into(), grants: Grants::one([may].into_iter().collect(), on), lasts: None };
        format!("Bearer {}", door.add_key(new).unwrap().1.key_text())
    };
    let ask = async |key: &str| -> Answer { site.send("GET", "/changes", &[("authorization", key)]).await };
    let part = Filter::Any(vec!["patient=P-2".parse::<Part>().unwrap()]);
    let seen = ask(&key(Right::Read, part)).await.json();
    assert_eq!(lines(&seen), ["stored 1.2.3.9 1.2.3.9.5 1.9.2"]);
    assert_eq!(lines(&ask(&key(Right::Read, Filter::All)).await.json()).len(), 3);
    assert_eq!(lines(&ask(&key(Right::Write, Filter::All)).await.json()).len(), 0, "storing is not seeing");
    for target in ["/changes", "/events"] {
        assert_eq!(site.get(target).await.status, StatusCode::UNAUTHORIZED, "{target}");
    }
}

/// Somebody who listens.
struct Listener(Client);

impl Listener {
    async fn to(running: &Running, target: &str, headers: &str) -> Listener {
        let mut client = Client::connect(running.address).await;
        client.send(&format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")).await;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            client.0.read_line(&mut head).await.unwrap();
        }
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-type: text/event-stream"), "{head}");
        Listener(client)
    }

    /// The next change, with its id; `None` where the stream ends.
    async fn hears(&mut self) -> Option<(i64, Value)> {
        let (mut id, mut line) = (0, String::new());
        loop {
            line.clear();
            let read = tokio::time::timeout(PATIENCE, self.0.0.read_line(&mut line)).await.expect("an event");
            if read.unwrap_or(0) == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("id", number)) => id = number.parse().unwrap(),
                Some(("data", data)) => return Some((id, serde_json::from_str(data).unwrap())),
                _ => {}
            }
        }
    }
}

/// The archive of a server, as another program opens it.
fn archive(running: &Running) -> Archive {
    Archive::open(running.folder(), archive::Options::default()).unwrap()
}

#[tokio::test]
async fn what_happens_is_heard_and_gone_on_from() {
    let running = start(&[small("1.9.1")]).await;
    let mut now = Listener::to(&running, "/events", "").await;
    let mut all = Listener::to(&running, "/events?after=0", "").await;
    assert_eq!(line(&all.hears().await.unwrap().1), format!("stored {STUDY} {SERIES} 1.9.1"));
    // Another program stores: this one hears of it all the same.
    let other = archive(&running);
    other.ingest_bytes(&small("1.9.2")).unwrap();
    let (id, heard) = now.hears().await.unwrap();
    assert_eq!((line(&heard), heard["number"].as_i64()), (format!("stored {STUDY} {SERIES} 1.9.2"), Some(id)));
    assert_eq!(all.hears().await.unwrap(), (id, heard));
    drop(now);
    other.ingest_bytes(&small("1.9.3")).unwrap();
    let mut again = Listener::to(&running, "/events", &format!("Last-Event-ID: {id}\r\n")).await;
    assert_eq!(line(&again.hears().await.unwrap().1), format!("stored {STUDY} {SERIES} 1.9.3"));
    // The server stops, and takes nobody along.
    all.hears().await.unwrap();
    running.stop.send(()).unwrap();
    assert_eq!((all.hears().await, again.hears().await), (None, None));
    tokio::time::timeout(PATIENCE, running.server).await.unwrap().unwrap();
}

#[tokio::test]
async fn numbers_go_on_after_a_restart() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut before = 0;
    for n in 0..3 {
        let archive = Archive::open(folder.path(), archive::Options::default()).unwrap();
        archive.ingest_bytes(&small(&format!("1.9.{n}"))).unwrap();
        let changes = archive.changes(before, 10).unwrap();
        assert_eq!(changes.len(), 1, "{n}");
        assert!(changes[0].number > before && archive.last_change().unwrap() == changes[0].number);
        before = changes[0].number;
    }
}

#[tokio::test]
async fn who_is_slow_gets_all_of_it_and_holds_nobody_up() {
    let running = start_with(&[], |_| {}).await;
    let mut slow = Listener::to(&running, "/events", "").await;
    let mut quick = Listener::to(&running, "/events", "").await;
    let archive = archive(&running);
    let many = 1_000;
    let stored = tokio::task::spawn_blocking(move || {
        std::thread::scope(|scope| {
            for first in 0..10 {
                let archive = &archive;
                scope.spawn(move || {
                    (first..many)
                        .step_by(10)
                        .for_each(|n| drop(archive.ingest_bytes(&small(&format!("1.9.{n}"))).unwrap()));
                });
            }
        });
    });
    let mut heard = Vec::new();
    for _ in 0..many {
        heard.push(quick.hears().await.unwrap());
    }
    stored.await.unwrap();
    // The other read nothing meanwhile; what it has not read is read for it when it does.
    for expected in heard {
        assert_eq!(slow.hears().await.unwrap(), expected);
    }
}
