//! A proxy before a store that does what networks and busy stores do: it refuses, resets, keeps answers, cuts them off, and waits.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// "Slow down", without asking the store.
    Busy,
    /// "Forbidden", without asking the store.
    Denied,
    /// Closed before the store hears of it.
    Reset,
    /// The store does it, and nobody hears of it.
    Lost,
    /// Half of the answer.
    Cut,
    /// Asked only after a while.
    Late(Duration),
}

type Judge = dyn Fn(usize, &str) -> Fault + Send + Sync;

pub struct Proxy {
    pub address: SocketAddr,
    pub asked: Arc<Mutex<Vec<String>>>,
    gone: Arc<AtomicBool>,
}

impl Proxy {
    /// Stands before `store`; `judge` says by the number of a request and its first line what happens to it.
    pub fn start(store: SocketAddr, judge: impl Fn(usize, &str) -> Fault + Send + Sync + 'static) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, gone) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let (judge, count): (Arc<Judge>, _) = (Arc::new(judge), Arc::<AtomicUsize>::default());
        let (list, closed) = (asked.clone(), gone.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if closed.load(Ordering::Relaxed) {
                    break;
                }
                let (judge, count, list) = (judge.clone(), count.clone(), list.clone());
                std::thread::spawn(move || pass(client, store, &*judge, &count, &list));
            }
        });
        Proxy { address, asked, gone }
    }

    /// How many requests came.
    pub fn requests(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// How many requests began so.
    pub fn count(&self, method: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|line| line.starts_with(method)).count()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

/// One request of a connection, which is closed after it.
fn pass(
    mut client: TcpStream,
    store: SocketAddr,
    judge: &Judge,
    count: &AtomicUsize,
    list: &Mutex<Vec<String>>,
) -> Option<()> {
    let request = read_request(&mut client)?;
    let line = String::from_utf8_lossy(&request[..request.iter().position(|b| *b == b'\r')?]).into_owned();
    let fault = judge(count.fetch_add(1, Ordering::Relaxed), &line);
    list.lock().unwrap().push(line);
    match fault {
        Fault::Busy => {
            client.write_all(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok()?;
            return client.shutdown(Shutdown::Both).ok();
        }
        Fault::Denied => {
            client.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok()?;
            return client.shutdown(Shutdown::Both).ok();
        }
        Fault::Reset => return client.shutdown(Shutdown::Both).ok(),
        Fault::Late(wait) => std::thread::sleep(wait),
        _ => {}
    }
    let answer = ask(store, &request)?;
    let part = match fault {
        Fault::Lost => 0,
        Fault::Cut => answer.len() * 2 / 3,
        _ => answer.len(),
    };
    client.write_all(&answer[..part]).ok()?;
    client.shutdown(Shutdown::Both).ok()
}

fn read_request(client: &mut TcpStream) -> Option<Vec<u8>> {
    let (mut request, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let n = client.read(&mut buffer).ok().filter(|n| *n > 0)?;
        request.extend_from_slice(&buffer[..n]);
        let Some(head) = request.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
        let length = text.lines().find_map(|l| l.strip_prefix("content-length: ")?.trim().parse().ok()).unwrap_or(0);
        if request.len() >= head + 4 + length {
            return Some(request);
        }
    }
}

/// The whole answer of the store, which is told to close after it.
fn ask(store: SocketAddr, request: &[u8]) -> Option<Vec<u8>> {
    let line = request.windows(2).position(|w| w == b"\r\n")? + 2;
    let mut store = TcpStream::connect(store).ok()?;
    store.write_all(&[&request[..line], b"Connection: close\r\n", &request[line..]].concat()).ok()?;
    let mut answer = Vec::new();
    store.read_to_end(&mut answer).ok()?;
    // Whoever asked is told so too.
    let head = answer.windows(4).position(|w| w == b"\r\n\r\n")?;
    let close = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase().contains("connection: close");
    let line = answer.windows(2).position(|w| w == b"\r\n")? + 2;
    Some(if close { answer } else { [&answer[..line], b"Connection: close\r\n", &answer[line..]].concat() })
}
