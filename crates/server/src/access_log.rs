//! A line for each request, written when its answer has ended: for who has to tell afterwards what was read.
//!
//! `TIME REQUEST CLIENT METHOD PATH STATUS BYTES MILLISECONDS`, apart by spaces. The path has words of ours and UIDs, nothing of a query and
//! nothing that a client made up, so that no line has a name, a value that was searched for, or a token.

use crate::request_id::RequestId;
use axum::http::Method;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Lines that wait to be written; more are lost, and counted.
const WAITING: usize = 16 << 10;
/// Time between two looks whether the file was moved away.
const LOOK: Duration = Duration::from_secs(1);

/// Where lines go. Clones share it.
#[derive(Clone)]
pub struct AccessLog(Arc<Lines>);

struct Lines {
    waiting: SyncSender<String>,
    lost: Arc<AtomicU64>,
}

impl AccessLog {
    /// A file that lines are added to, made for its owner alone where it is not there, and made anew when it was moved away; `-`: standard
    /// output.
    pub fn open(path: &Path) -> io::Result<AccessLog> {
        let out = Out::open(path)?;
        let (waiting, lines) = sync_channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = lost.clone();
        thread::Builder::new().name("access-log".into()).spawn(move || write(out, &lines, &counted))?;
        Ok(AccessLog(Arc::new(Lines { waiting, lost })))
    }

    fn add(&self, line: String) {
        if self.0.waiting.try_send(line).is_err() {
            self.0.lost.fetch_add(1, Relaxed);
        }
    }
}

/// How the log speaks of a request: part of its response until that is sent.
#[derive(Debug, Clone)]
pub struct Named {
    /// Its id.
    pub id: RequestId,
    /// Its path, as the log may have it.
    pub path: String,
}

/// The line of a request in the making; it is written when this is dropped.
pub struct Entry {
    log: AccessLog,
    began: Instant,
    client: IpAddr,
    method: Method,
    named: Option<Named>,
    status: u16,
    /// Bytes of the body that were given to the connection.
    pub bytes: u64,
}

impl Entry {
    /// A request that has come.
    pub fn new(log: &AccessLog, client: IpAddr, method: &Method) -> Entry {
        let (log, method) = (log.clone(), method.clone());
        Entry { log, began: Instant::now(), client, method, named: None, status: 0, bytes: 0 }
    }

    /// What it is answered.
    pub fn answered(&mut self, status: u16, named: Option<Named>) {
        (self.status, self.named) = (status, named);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let id = self.named.as_ref().map_or("-", |named| named.id.as_str());
        // What has no route has no path of ours.
        let path = self.named.as_ref().map(|named| named.path.as_str()).filter(|path| path.starts_with('/'));
        let path = path.unwrap_or("-");
        let status = if self.status == 0 { "-".to_owned() } else { self.status.to_string() };
        let (time, ms) = (jiff::Timestamp::now(), self.began.elapsed().as_secs_f64() * 1e3);
        let (client, method, bytes) = (self.client, method(&self.method), self.bytes);
        self.log.add(format!("{time:.3} {id} {client} {method} {path} {status} {bytes} {ms:.2}\n"));
    }
}

/// A method of HTTP; a client may make up another, and say anything with it.
fn method(method: &Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH") => known,
        _ => "OTHER",
    }
}

/// The life of the thread that writes.
fn write(mut out: Out, lines: &Receiver<String>, lost: &AtomicU64) {
    while let Ok(first) = lines.recv() {
        let all = std::iter::once(first).chain(lines.try_iter());
        let written =
            out.look().and_then(|()| all.into_iter().try_for_each(|line| out.file.write_all(line.as_bytes())));
        if let Err(error) = written.and_then(|()| out.file.flush()) {
            tracing::error!(%error, "lines of the access log are lost");
        }
        let lost = lost.swap(0, Relaxed);
        if lost > 0 {
            tracing::warn!(lost, "the access log was not written fast enough: lines are lost");
        }
    }
}

struct Out {
    /// `None`: standard output.
    path: Option<PathBuf>,
    file: BufWriter<Box<dyn Write + Send>>,
    is: Option<(u64, u64)>,
    looked: Instant,
}

impl Out {
    fn open(path: &Path) -> io::Result<Out> {
        if path.as_os_str() == "-" {
            let file = BufWriter::new(Box::new(io::stdout()) as Box<dyn Write + Send>);
            return Ok(Out { path: None, file, is: None, looked: Instant::now() });
        }
        let file: File = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        let is = Some(identity(&file.metadata()?));
        let file = BufWriter::new(Box::new(file) as Box<dyn Write + Send>);
        Ok(Out { path: Some(path.to_owned()), file, is, looked: Instant::now() })
    }

    /// Opens the file anew where its name has another one now, or none.
    fn look(&mut self) -> io::Result<()> {
        let Some(path) = self.path.as_ref().filter(|_| self.looked.elapsed() >= LOOK) else { return Ok(()) };
        if fs::metadata(path).ok().map(|now| identity(&now)) == self.is {
            self.looked = Instant::now();
            return Ok(());
        }
        *self = Out::open(path)?;
        Ok(())
    }
}

fn identity(file: &fs::Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(log: &AccessLog, path: &str) {
        let mut entry = Entry::new(log, [192, 0, 2, 1].into(), &Method::GET);
        entry.answered(206, Some(Named { id: RequestId::next(), path: path.into() }));
        entry.bytes = 77;
    }

    /// The lines of a file, once there are so many.
    fn lines(path: &Path, count: usize) -> Vec<String> {
        loop {
            let text = fs::read_to_string(path).unwrap_or_default();
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            if lines.len() >= count && text.ends_with('\n') {
                return lines;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_line_each_in_order() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("access.log");
        let log = AccessLog::open(&path).unwrap();
        (0..50).for_each(|n| entry(&log, &format!("/{n}")));
        drop(Entry::new(&log, [192, 0, 2, 1].into(), &Method::from_bytes(b"DOE-JANE").unwrap()));
        let lines = lines(&path, 51);
        for (n, line) in lines[..50].iter().enumerate() {
            let words: Vec<_> = line.split(' ').collect();
            let [time, id, client, method, path, status, bytes, ms] = words[..] else { panic!("{line}") };
            assert!(time.ends_with('Z') && time.len() == 24 && id.len() == 16 && ms.parse::<f64>().is_ok(), "{line}");
            let told = format!("{client} {method} {path} {status} {bytes}");
            assert_eq!(told, format!("192.0.2.1 GET /{n} 206 77"));
        }
        assert!(lines[50].contains(" - 192.0.2.1 OTHER - - 0 "), "{}", lines[50]);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_was_moved_is_made_anew() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("access.log");
        let log = AccessLog::open(&path).unwrap();
        entry(&log, "/first");
        lines(&path, 1);
        fs::rename(&path, folder.path().join("access.log.1")).unwrap();
        thread::sleep(LOOK);
        entry(&log, "/second");
        let after = lines(&path, 1);
        assert!(after.len() == 1 && after[0].contains("/second"));
    }
}
