//! A line to a server that is cut, once, when a commit goes over it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

/// When it is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The commit does not reach the server.
    BeforeItArrives,
    /// The server commits, and nobody hears of it.
    BeforeItsAnswer,
}

/// A port of this machine behind which the server is.
pub struct Line {
    pub port: u16,
    state: Arc<State>,
}

struct State {
    cut: Cut,
    armed: AtomicBool,
    done: AtomicBool,
}

impl Line {
    pub fn to(socket: &Path, cut: Cut) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State { cut, armed: AtomicBool::new(false), done: AtomicBool::new(false) });
        let (socket, shared) = (socket.to_owned(), state.clone());
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), UnixStream::connect(&socket).unwrap());
                pass(client, server, shared.clone());
            }
        });
        Line { port, state }
    }

    /// From now on the next commit cuts it.
    pub fn arm(&self) {
        self.state.armed.store(true, SeqCst);
    }

    pub fn was_cut(&self) -> bool {
        self.state.done.load(SeqCst)
    }
}

/// Passes one connection on, both ways.
fn pass(client: TcpStream, server: UnixStream, state: Arc<State>) {
    let swallow = Arc::new(AtomicBool::new(false));
    let both = || (client.try_clone().unwrap(), server.try_clone().unwrap());
    let ((mut from, mut to), swallows) = (both(), swallow.clone());
    thread::spawn(move || {
        let mut bytes = [0; 1 << 16];
        while let Ok(n @ 1..) = from.read(&mut bytes) {
            let commits = bytes[..n].windows(7).any(|part| part == b"COMMIT\0");
            if commits && state.armed.load(SeqCst) && !state.done.swap(true, SeqCst) {
                if state.cut == Cut::BeforeItArrives {
                    break;
                }
                swallows.store(true, SeqCst);
            }
            if to.write_all(&bytes[..n]).is_err() {
                break;
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    });
    let (mut to, mut from) = both();
    thread::spawn(move || {
        let mut bytes = [0; 1 << 16];
        while let Ok(n @ 1..) = from.read(&mut bytes) {
            if swallow.load(SeqCst) || to.write_all(&bytes[..n]).is_err() {
                break;
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    });
}
