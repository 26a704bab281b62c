//! The server over real sockets: keep-alive, ranges, shutdown, slow and broken clients.

use crate::made::{self, EXPLICIT};
use crate::site::Site;
use archive::{Archive, Options};
use server::{Config, Server};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A server that listens.
pub struct Running {
    pub address: SocketAddr,
    pub stop: oneshot::Sender<()>,
    pub server: JoinHandle<()>,
    folder: tempfile::TempDir,
}

pub async fn start(files: &[Vec<u8>]) -> Running {
    start_with(files, |_| {}).await
}

pub async fn start_with(files: &[Vec<u8>], change: impl FnOnce(&mut Config)) -> Running {
    let folder = tempfile::TempDir::new().unwrap();
    let archive = Archive::open(folder.path(), Options::default()).unwrap();
    for file in files {
        archive.ingest_bytes(file).unwrap();
    }
    let mut config = Config::new(archive);
    config.address = "127.0.0.1:0".parse().unwrap();
    change(&mut config);
    let server = Server::bind(config).await.unwrap();
    let address = server.address().unwrap();
    let (stop, stopped) = oneshot::channel();
    Running { address, stop, server: tokio::spawn(server.run(stopped)), folder }
}

impl Running {
    /// The folder of its archive.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}

/// A connection to it.
pub struct Client(pub BufReader<TcpStream>);

impl Client {
    pub async fn connect(address: SocketAddr) -> Client {
        Client(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    pub async fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).await.unwrap();
    }

    pub async fn get(&mut self, target: &str, headers: &str) -> (u16, Vec<String>, Vec<u8>) {
        self.send(&format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")).await;
        self.answer().await
    }

    /// Status, header lines in lower case, body by Content-Length.
    pub async fn answer(&mut self) -> (u16, Vec<String>, Vec<u8>) {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await.unwrap();
            match line.trim_end() {
                "" => break,
                text => lines.push(text.to_ascii_lowercase()),
            }
        }
        let status = lines[0].split(' ').nth(1).unwrap().parse().unwrap();
        let length = lines.iter().find_map(|l| l.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
        let mut body = vec![0; if status == 304 { 0 } else { length }];
        self.0.read_exact(&mut body).await.unwrap();
        (status, lines, body)
    }
}

#[tokio::test]
async fn splits_over_one_connection() {
    let (file, frames) = made::three_frames("1.7.1", EXPLICIT);
    let running = start(&[file]).await;
    let target = format!("{}/frames/1", made::path("1.7.1"));
    let mut client = Client::connect(running.address).await;
    let (status, head, whole) = client.get(&target, "").await;
    assert_eq!(status, 200);
    assert!(head.iter().any(|l| l == &format!("content-length: {}", whole.len())));
    assert!(!head.iter().any(|l| l.starts_with("transfer-encoding") || l.starts_with("content-encoding")));
    assert!(whole.windows(frames[0].len()).any(|w| w == frames[0]));
    for cut in [1, 100, 2000, whole.len() - 1] {
        let (first, _, mut joined) = client.get(&target, &format!("Range: bytes=0-{}\r\n", cut - 1)).await;
        let (second, _, rest) = client.get(&target, &format!("Range: bytes={cut}-\r\n")).await;
        joined.extend(rest);
        assert_eq!((first, second), (206, 206));
        assert!(joined == whole, "cut at {cut}");
    }
    let (status, head, body) = client.get(&target, "Range: bytes=99999999-\r\n").await;
    assert_eq!((status, body.len()), (416, 0));
    assert!(head.contains(&format!("content-range: bytes */{}", whole.len())));
    let (status, ..) = client.get("/healthz", "").await;
    assert_eq!(status, 200, "the connection lives on");
}

#[tokio::test]
async fn a_large_frame_streams_whole() {
    let values: Vec<u16> = (0..1400u32 * 1400).map(|n| (n.wrapping_mul(2_654_435_761) >> 16) as u16).collect();
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let file = made::Made::new("1.7.2", made::CT, EXPLICIT).grey16(1400, 1400, &[values]).file();
    let running = start(&[file]).await;
    let target = format!("{}/frames/1?accept=application/octet-stream", made::path("1.7.2"));
    let mut client = Client::connect(running.address).await;
    let (status, _, body) = client.get(&target, "").await;
    assert_eq!(status, 200);
    assert!(body == bytes);
    let (status, _, part) = client.get(&target, "Range: bytes=100000-3000000\r\n").await;
    assert_eq!(status, 206);
    assert!(part == bytes[100_000..=3_000_000]);
}

#[tokio::test]
async fn no_host_two_hosts_another_host() {
    let running = start(&[]).await;
    for (head, expected) in [
        ("", 400),
        ("Host: localhost\r\nHost: localhost\r\n", 400),
        ("Host: evil.example\r\n", 403),
        ("Host: localhost\r\n", 200),
    ] {
        let mut client = Client::connect(running.address).await;
        client.send(&format!("GET /healthz HTTP/1.1\r\n{head}Connection: close\r\n\r\n")).await;
        assert_eq!(client.answer().await.0, expected, "{head:?}");
    }
}

#[tokio::test]
async fn shutdown_lets_an_answer_end() {
    let values: Vec<u16> = (0..2048u32 * 2048).map(|n| n as u16).collect();
    let length = values.len() * 2;
    let file = made::Made::new("1.7.3", made::CT, EXPLICIT).grey16(2048, 2048, &[values]).file();
    let running = start(&[file]).await;
    let mut client = Client::connect(running.address).await;
    let target = format!("{}/frames/1?accept=application/octet-stream", made::path("1.7.3"));
    client.send(&format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
    let mut line = String::new();
    client.0.read_line(&mut line).await.unwrap();
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    running.stop.send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut rest = Vec::new();
    client.0.read_to_end(&mut rest).await.unwrap();
    assert!(rest.len() > length, "all {length} bytes came although the server stops");
    tokio::time::timeout(Duration::from_secs(5), running.server).await.expect("the server ends").unwrap();
    assert!(TcpStream::connect(running.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_client_that_goes_away_harms_nobody() {
    let (file, _) = made::three_frames("1.7.4", EXPLICIT);
    let running = start(&[file]).await;
    for _ in 0..20 {
        let mut client = Client::connect(running.address).await;
        client.send(&format!("GET {}/frames/1 HTTP/1.1\r\nHost: localhost\r\n\r\n", made::path("1.7.4"))).await;
    }
    let mut client = Client::connect(running.address).await;
    client.send("nonsense\r\n\r\n").await;
    assert_eq!(client.answer().await.0, 400);
    assert_eq!(Client::connect(running.address).await.get("/healthz", "").await.0, 200);
}

#[tokio::test]
async fn the_router_serves_without_sockets_too() {
    assert_eq!(Site::of(&[]).get("/healthz").await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_connection_that_says_nothing_whole_is_closed() {
    let running = start_with(&[], |config| config.head_time = Duration::from_millis(200)).await;
    let mut patient = Client::connect(running.address).await;
    assert_eq!(patient.get("/healthz", "").await.0, 200);
    for start in ["", "G", "PRI * HT", "\r\n\r\n", "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: y"] {
        let mut client = Client::connect(running.address).await;
        client.send(start).await;
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(20), client.0.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "{start:?} is still open");
        assert!(
            rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"),
            "{start:?}: {:?}",
            String::from_utf8_lossy(&rest)
        );
    }
    // One that has asked may think longer about its next question.
    assert_eq!(patient.get("/healthz", "").await.0, 200);
}

#[tokio::test]
async fn a_slow_answer_is_no_silence_of_the_client() {
    let values: Vec<u16> = (0..1024u32 * 1024).map(|n| n as u16).collect();
    let file = made::Made::new("1.7.5", made::CT, EXPLICIT).grey16(1024, 1024, &[values]).file();
    let running = start_with(&[file], |config| config.head_time = Duration::from_millis(100)).await;
    let mut client = Client::connect(running.address).await;
    let target = format!("{}/frames/1?accept=application/octet-stream", made::path("1.7.5"));
    client.send(&format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    let (status, _, body) = client.answer().await;
    assert_eq!((status, body.len()), (200, 2 << 20));
}

#[tokio::test]
async fn a_body_is_chunked_once_or_not_at_all() {
    let running = start(&[]).await;
    for (coding, expected) in [
        ("Transfer-Encoding: chunked, chunked", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: gzip, chunked", 400),
        ("Transfer-Encoding: chunked", 200),
    ] {
        let mut client = Client::connect(running.address).await;
        client
            .send(&format!(
                "GET /healthz HTTP/1.1\r\nHost: localhost\r\n{coding}\r\nConnection: close\r\n\r\n0\r\n\r\n"
            ))
            .await;
        assert_eq!(client.answer().await.0, expected, "{coding}");
    }
}
