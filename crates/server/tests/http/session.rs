//! A consultation over real sockets: who joins hears the others, and nothing but events passes.

use crate::sockets::{Client, Running, start};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt};

/// Long enough for a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(30);

/// Somebody in a session.
struct Participant {
    stream: Client,
    number: u64,
    key: String,
}

async fn post(running: &Running, target: &str, key: &str, body: &str) -> (u16, String) {
    let mut client = Client::connect(running.address).await;
    let length = body.len();
    client
        .send(&format!(
            "POST {target} HTTP/1.1\r\nHost: localhost\r\nSession-Participant: {key}\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
        .await;
    let (status, _, body) = client.answer().await;
    (status, String::from_utf8(body).unwrap())
}

async fn create(running: &Running) -> String {
    let (status, body) = post(running, "/session", "", "").await;
    assert_eq!(status, 201);
    let id = serde_json::from_str::<Value>(&body).unwrap()["session"].as_str().unwrap().to_owned();
    assert!(id.len() == 22 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{id}");
    format!("/session/{id}/events")
}

async fn join(running: &Running, target: &str) -> Participant {
    let mut stream = Client::connect(running.address).await;
    stream.send(&format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")).await;
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        stream.0.read_line(&mut head).await.unwrap();
    }
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-type: text/event-stream"), "{head}");
    let mut participant = Participant { stream, number: 0, key: String::new() };
    let hello = participant.hears("hello").await;
    participant.number = hello["participant"].as_u64().unwrap();
    participant.key = hello["key"].as_str().unwrap().to_owned();
    assert!(hello["participants"].as_array().unwrap().contains(&hello["participant"]), "{hello}");
    participant
}

impl Participant {
    /// The next event, and that it is of this name.
    async fn hears(&mut self, name: &str) -> Value {
        let (mut heard, mut line) = (String::new(), String::new());
        loop {
            line.clear();
            let read = tokio::time::timeout(PATIENCE, self.stream.0.read_line(&mut line)).await.expect(name).unwrap();
            assert!(read > 0, "the stream ended before {name}");
            match line.trim_end().split_once(':') {
                Some(("event", event)) => heard = event.to_owned(),
                Some(("data", data)) => {
                    assert_eq!(heard, name, "{data}");
                    return serde_json::from_str(data).unwrap();
                }
                _ => {}
            }
        }
    }

    async fn tells(&self, running: &Running, target: &str, event: Value) -> (u16, String) {
        post(running, target, &self.key, &event.to_string()).await
    }
}

fn pointer(x: f64) -> Value {
    json!({"event": "pointer", "data": {"instance": "1.2.3", "frame": 1, "at": [x, 7.5]}})
}

fn view(zoom: f64) -> Value {
    json!({"event": "view", "data": {"study": "1.2", "series": "1.3", "instance": "1.2.3", "frame": 4, "zoom": zoom,
        "pan": [0.0, 1.5], "window": [40.0, 400.0], "inverted": true}})
}

#[tokio::test]
async fn participants_follow_each_other() {
    let running = start(&[]).await;
    let target = create(&running).await;
    let mut one = join(&running, &target).await;
    let mut two = join(&running, &target).await;
    assert_eq!(one.hears("participants").await, json!({"participants": [1, 2], "presenter": null}));
    assert_eq!((one.tells(&running, &target, view(2.0)).await.0, one.number), (204, 1));
    for participant in [&mut one, &mut two] {
        let mut expected = view(2.0)["data"].clone();
        expected["from"] = 1.into();
        assert_eq!(participant.hears("view").await, expected);
    }
    two.tells(&running, &target, pointer(3.5)).await;
    assert_eq!(one.hears("pointer").await, json!({"instance": "1.2.3", "frame": 1, "at": [3.5, 7.5], "from": 2}));
    // Who leads is the only one whose view is followed; the other's marks are seen all the same.
    two.tells(&running, &target, json!({"event": "presenter", "data": {"presenter": 2}})).await;
    assert_eq!(one.hears("presenter").await, json!({"presenter": 2, "from": 2}));
    assert_eq!(one.tells(&running, &target, view(9.0)).await.0, 204);
    let mark = json!({"event": "mark", "data": {"id": "m1", "instance": "1.2.3", "frame": 1, "kind": "line", "points": [[1, 2], [3, 4]]}});
    one.tells(&running, &target, mark).await;
    for event in ["pointer", "presenter", "mark"] {
        two.hears(event).await;
    }
    // A late joiner gets what is there now.
    let mut three = join(&running, &target).await;
    assert_eq!(three.hears("view").await["zoom"], 2.0);
    assert_eq!(three.hears("mark").await["id"], "m1");
    one.hears("mark").await;
    one.hears("participants").await;
    drop(two);
    assert_eq!(one.hears("participants").await, json!({"participants": [1, 3], "presenter": null}));
}

#[tokio::test]
async fn what_is_not_of_the_shape_is_refused_with_a_sentence() {
    let running = start(&[]).await;
    let target = create(&running).await;
    let mut one = join(&running, &target).await;
    for (event, sentence) in [
        (
            json!({"event": "chat", "data": {"text": "Dawn^Aurora"}}),
            "an event is a view, pointer, mark, unmark or presenter",
        ),
        (
            json!({"event": "pointer", "data": {"instance": "Dawn^Aurora", "frame": 1, "at": null}}),
            "study, series and instance are UIDs",
        ),
        (
            json!({"event": "pointer", "data": {"instance": "1.2", "frame": 1, "at": null, "name": "Dawn"}}),
            "the data of a pointer is not of its shape",
        ),
        (json!([1, 2]), "an event is an object in JSON"),
        (json!({"event": "unmark", "data": {"id": "x".repeat(5000)}}), "an event has 4096 bytes at most"),
    ] {
        let (status, said) = one.tells(&running, &target, event).await;
        assert!(status == 400 && said.starts_with(sentence) && !said.contains("Dawn"), "{status} {said}");
    }
    assert_eq!(
        one.tells(&running, &target, json!({"event": "unmark", "data": {"id": "x".repeat(50_000)}})).await.0,
        413
    );
    one.tells(&running, &target, pointer(1.0)).await;
    assert_eq!(one.hears("pointer").await["from"], 1, "nothing of it was heard");
}

#[tokio::test]
async fn strangers_are_refused() {
    let running = start(&[]).await;
    let target = create(&running).await;
    let one = join(&running, &target).await;
    let body = pointer(1.0).to_string();
    assert_eq!(post(&running, &target, "", &body).await.0, 403);
    assert_eq!(post(&running, &target, &"A".repeat(22), &body).await.0, 403);
    let other = create(&running).await;
    assert_eq!(post(&running, &other, &one.key, &body).await.0, 403, "a key is of one session");
    let (status, said) = post(&running, "/session/AAAAAAAAAAAAAAAAAAAAAA/events", &one.key, &body).await;
    assert!(status == 404 && said.starts_with("no such session"), "{status} {said}");
    let mut client = Client::connect(running.address).await;
    assert_eq!(client.get("/session/AAAAAAAAAAAAAAAAAAAAAA/events", "").await.0, 404);
    let mut elsewhere = Client::connect(running.address).await;
    elsewhere
        .send("POST /session HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\nContent-Length: 0\r\n\r\n")
        .await;
    assert_eq!(elsewhere.answer().await.0, 403, "another site's page begins none");
}

#[tokio::test]
async fn too_many_events_are_refused() {
    let running = start(&[]).await;
    let target = create(&running).await;
    let one = join(&running, &target).await;
    let mut client = Client::connect(running.address).await;
    let body = pointer(1.0).to_string();
    let request = format!(
        "POST {target} HTTP/1.1\r\nHost: localhost\r\nSession-Participant: {}\r\nContent-Length: {}\r\n\r\n{body}",
        one.key,
        body.len()
    );
    client.send(&request.repeat(400)).await;
    let mut statuses = Vec::new();
    for _ in 0..400 {
        statuses.push(client.answer().await.0);
    }
    assert!(statuses[..40].iter().all(|status| *status == 204) && statuses.contains(&429), "{statuses:?}");
}

#[tokio::test]
async fn compressed_it_is_the_same() {
    let running = start(&[]).await;
    let target = create(&running).await;
    let one = join(&running, &target).await;
    let mut client = Client::connect(running.address).await;
    client.send(&format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip, br\r\n\r\n")).await;
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        client.0.read_line(&mut head).await.unwrap();
    }
    assert!(head.contains("content-encoding: gzip") && head.contains("transfer-encoding: chunked"), "{head}");
    // Every chunk is decoded as far as it goes: no event waits for the next one.
    let (mut inflate, mut text, mut sizes) = (flate2::Decompress::new(false), String::new(), Vec::new());
    for n in 0..21 {
        if n > 0 {
            one.tells(&running, &target, pointer(f64::from(n) * 13.37)).await;
        }
        let mut line = String::new();
        tokio::time::timeout(PATIENCE, client.0.read_line(&mut line)).await.unwrap().unwrap();
        let mut chunk = vec![0; usize::from_str_radix(line.trim(), 16).unwrap() + 2];
        client.0.read_exact(&mut chunk).await.unwrap();
        let deflate = if n == 0 { &chunk[10..chunk.len() - 2] } else { &chunk[..chunk.len() - 2] };
        let mut out = Vec::with_capacity(1 << 16);
        inflate.decompress_vec(deflate, &mut out, flate2::FlushDecompress::Sync).unwrap();
        text += std::str::from_utf8(&out).unwrap();
        assert!(text.ends_with("\n\n"), "{text}");
        sizes.push(chunk.len() + line.len());
    }
    assert_eq!(text.matches("event:pointer\ndata:{").count(), 20);
    let each = sizes[2..].iter().sum::<usize>() / (sizes.len() - 2);
    assert!(each * 20 <= 2000, "a pointer that moves 20 times a second takes {} bytes a second", each * 20);
}

#[tokio::test]
async fn the_server_stops_although_somebody_listens() {
    let running = start(&[]).await;
    let target = create(&running).await;
    let mut one = join(&running, &target).await;
    running.stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(8), running.server).await.expect("it waits for nobody").unwrap();
    let mut rest = Vec::new();
    one.stream.0.read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "the stream ended as it should");
}
