//! Many connections that want nothing good: silent, slow, half open, or taking nothing of what they asked for.

use crate::made::{self, EXPLICIT};
use crate::sockets::{Client, Running, start_with};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// Long enough for anything that shall happen at once.
const SOON: Duration = Duration::from_secs(20);

/// So many connections that send this and then nothing.
async fn crowd(running: &Running, count: usize, text: &str) -> Vec<TcpStream> {
    let mut crowd = Vec::new();
    for _ in 0..count {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let Ok(mut stream) = socket.connect(running.address).await else { continue };
        // One that was refused may be closed already.
        let _ = stream.write_all(text.as_bytes()).await;
        crowd.push(stream);
    }
    crowd
}

/// What a newcomer is told at this address.
async fn newcomer(running: &Running, target: &str) -> u16 {
    let asked = async { Client::connect(running.address).await.get(target, "Connection: close\r\n").await.0 };
    timeout(SOON, asked).await.expect("a newcomer is answered")
}

/// A figure of /metrics.
async fn figure(running: &Running, name: &str) -> u64 {
    let (_, _, text) = Client::connect(running.address).await.get("/metrics", "").await;
    let text = String::from_utf8(text).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} "))).expect(name);
    line.parse().unwrap()
}

/// An answer larger than what sockets hold.
fn large(sop: &str) -> (Vec<u8>, String) {
    let values: Vec<u16> = (0..3000u32 * 3000).map(|n| n as u16).collect();
    let file = made::Made::new(sop, made::CT, EXPLICIT).grey16(3000, 3000, &[values]).file();
    (file, format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", made::path(sop)))
}

#[tokio::test]
async fn who_says_nothing_is_no_outage() {
    let running = start_with(&[], |config| config.connections = 40).await;
    for text in
        ["", "GET /healthz HT", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        let crowd = crowd(&running, 150, text).await;
        assert_eq!(crowd.len(), 150, "{text:?}");
        for target in ["/healthz", "/readyz", "/dicom-web/studies"] {
            assert_eq!(newcomer(&running, target).await, 200, "{target} beside {text:?}");
        }
        assert!(figure(&running, "firstlight_connections").await <= 40);
    }
    assert!(figure(&running, "firstlight_connections_displaced_total").await >= 400);
}

#[tokio::test]
async fn idle_connections_make_room() {
    let running = start_with(&[], |config| config.connections = 20).await;
    let mut idle = Vec::new();
    for _ in 0..60 {
        let mut client = Client::connect(running.address).await;
        assert_eq!(client.get("/healthz", "").await.0, 200);
        idle.push(client);
    }
    assert_eq!(newcomer(&running, "/dicom-web/studies").await, 200);
    // The last one is still there, the first one is not.
    let mut last = idle.pop().unwrap();
    assert_eq!(last.get("/healthz", "").await.0, 200);
    assert_eq!(timeout(SOON, idle[0].0.read_to_end(&mut Vec::new())).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn a_monitor_is_answered_where_all_others_are_busy() {
    let (file, request) = large("1.8.1");
    let running = start_with(&[file], |config| {
        config.connections = 10;
        config.allowed_origins = vec!["https://viewer.example.org".into()];
    })
    .await;
    let busy = crowd(&running, 10, &request).await;
    while figure_of_reserve(&running).await == 200 {}
    assert_eq!(newcomer(&running, "/healthz").await, 200);
    assert_eq!(newcomer(&running, "/readyz").await, 200);
    assert_eq!(newcomer(&running, "/dicom-web/studies").await, 503);
    // A page of an allowed origin may read that too.
    let mut page = Client::connect(running.address).await;
    let (status, head, _) = page.get("/dicom-web/studies", "Origin: https://viewer.example.org\r\n").await;
    assert_eq!(status, 503);
    for line in ["access-control-allow-origin: https://viewer.example.org", "retry-after: 1"] {
        assert!(head.iter().any(|told| told == line), "{line} in {head:?}");
    }
    drop(busy);
    while newcomer(&running, "/dicom-web/studies").await != 200 {}
}

/// 200 while there is room, 503 when all are busy.
async fn figure_of_reserve(running: &Running) -> u16 {
    newcomer(running, "/dicom-web/studies").await
}

#[tokio::test]
async fn who_takes_nothing_is_closed() {
    let (file, request) = large("1.8.2");
    let running = start_with(&[file], |config| config.write_time = Duration::from_millis(300)).await;
    let mut crowd = crowd(&running, 5, &request).await;
    while figure(&running, "firstlight_connections_late_total").await < 5 {}
    let mut rest = Vec::new();
    let ended = timeout(SOON, crowd[0].read_to_end(&mut rest)).await.unwrap();
    assert!(ended.is_err() || rest.len() < 18 << 20, "not all of it came");
}

#[tokio::test]
async fn a_client_has_its_share() {
    let running = start_with(&[], |config| config.connections_of_client = 5).await;
    let crowd = crowd(&running, 50, "GET /").await;
    assert_eq!(crowd.len(), 50);
    assert_eq!(newcomer(&running, "/dicom-web/studies").await, 200);
    assert!(figure(&running, "firstlight_connections").await <= 5);
}

#[tokio::test]
async fn the_next_head_has_its_time_too() {
    let running = start_with(&[], |config| config.head_time = Duration::from_millis(200)).await;
    let mut client = Client::connect(running.address).await;
    assert_eq!(client.get("/healthz", "").await.0, 200);
    client.send("GET /healthz HTTP/1.1\r\nX: ").await;
    timeout(SOON, client.0.read_to_end(&mut Vec::new())).await.expect("it is closed").unwrap();
    let running = start_with(&[], |config| config.idle_time = Duration::from_millis(200)).await;
    let mut client = Client::connect(running.address).await;
    assert_eq!(client.get("/healthz", "").await.0, 200);
    timeout(SOON, client.0.read_to_end(&mut Vec::new())).await.expect("it is closed").unwrap();
}

/// Other addresses than one on the loopback interface need no setting up on Linux only.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn who_sends_slowly_leaves_turns_to_others() {
    let running = start_with(&[], |config| config.store = true).await;
    let head = "POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/dicom\r\n";
    let mut slow = Vec::new();
    for _ in 0..80 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let mut stream = socket.connect(running.address).await.unwrap();
        stream.write_all(format!("{head}Content-Length: 100000\r\n\r\nbegin").as_bytes()).await.unwrap();
        slow.push(stream);
    }
    while figure(&running, "firstlight_connections").await < 80 {}
    let file = made::three_frames("1.8.3", EXPLICIT).0;
    let stores = async {
        let mut client = Client::connect(running.address).await;
        client.send(&format!("{head}Content-Length: {}\r\n\r\n", file.len())).await;
        client.send_bytes(&file).await;
        client.answer().await.0
    };
    assert_eq!(timeout(SOON, stores).await.expect("there is a turn"), 200);
}
