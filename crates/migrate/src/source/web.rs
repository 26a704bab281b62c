//! Other DICOMweb servers: QIDO-RS for what is there (PS3.18 10.6), WADO-RS for each instance as it is stored (10.4).

use super::retry::{Fault, retry};
use super::{CHUNK, Scan, ScanEvent, date, or_dash};
use crate::error::{Error, Usage};
use crate::journal::{Found, Kind};
use dicom::Uid;
use files::{Notice, NoticeKind};
use serde_json::Value;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use ureq::http::Response;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

/// Results asked for at once.
const PAGE: usize = 200;
/// A page of results.
const LARGEST_PAGE: u64 = 64 << 20;
/// Headers of a part.
const PART_HEADERS: u64 = 64 << 10;
/// As it is stored, whatever that is.
const AS_STORED: &str = "multipart/related; type=\"application/dicom\"; transfer-syntax=*";

/// A server and the way to talk to it.
#[derive(Clone)]
pub struct Server {
    root: String,
    headers: Vec<(String, String)>,
    agent: Agent,
}

impl Server {
    /// `root` is the address of its DICOMweb service; `headers` go with every request.
    pub fn new(root: &str, headers: &[(String, String)]) -> Server {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .user_agent(concat!("firstlight/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(Duration::from_secs(30)))
            .timeout_recv_response(Some(Duration::from_secs(300)))
            .timeout_per_read(Some(Duration::from_secs(120)))
            .tls_config(tls)
            .build();
        Server { root: root.trim_end_matches('/').to_owned(), headers: headers.to_vec(), agent: config.into() }
    }

    /// Its address.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Writes an instance to `to` as the server stores it; how many bytes it has.
    pub(super) fn instance(&self, path: &str, to: &Path, stop: &AtomicBool) -> Result<u64, Fault> {
        retry(stop, || {
            let response = self.get(path, AS_STORED)?;
            receive(response, to)
        })
    }

    /// A page of results, empty at the end.
    fn page(&self, path: &str, offset: usize, stop: &AtomicBool) -> Result<Vec<Value>, Fault> {
        let mark = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{mark}limit={PAGE}&offset={offset}");
        retry(stop, || {
            let response = self.get(&path, "application/dicom+json")?;
            if response.status() == 204 {
                return Ok(Vec::new());
            }
            let mut body = Vec::new();
            let read = response.into_body().into_reader().take(LARGEST_PAGE + 1).read_to_end(&mut body);
            read.map_err(|e| Fault::Again(e.to_string(), None))?;
            serde_json::from_slice(&body).map_err(|e| Fault::Never(format!("its answer is not DICOM JSON: {e}")))
        })
    }

    fn get(&self, path: &str, accept: &str) -> Result<Response<Body>, Fault> {
        let mut request = self.agent.get(format!("{}/{path}", self.root)).header("Accept", accept);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response = request.call().map_err(|e| match e {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::Tls(_) => Fault::Never(e.to_string()),
            e => Fault::Again(e.to_string(), None),
        })?;
        let status = response.status().as_u16();
        let after = response.headers().get("retry-after").and_then(|v| v.to_str().ok()?.parse().ok());
        match status {
            200 | 204 | 206 => Ok(response),
            408 | 425 | 429 | 500 | 502..=504 => {
                Err(Fault::Again(format!("the server answers {status}"), after.map(Duration::from_secs)))
            }
            401 | 403 => {
                Err(Fault::Never(format!("the server answers {status}: it wants --header \"Authorization: ...\"")))
            }
            _ => Err(Fault::Never(format!("the server answers {status}"))),
        }
    }
}

/// Lists every study, then every instance of each; studies listed to their end are not asked about again.
pub(super) fn walk(scan: &mut Scan, server: &Server) -> Result<(), Error> {
    let stop = scan.stop;
    let mut trouble = None;
    let mut pages = Pages::new("studies?includefield=0020000D".into());
    while let Some(studies) = pages.next(server, stop, &mut trouble) {
        let studies: Vec<_> = studies.iter().filter_map(|study| uid(study, "0020000D")).collect();
        let folders: Vec<_> = studies
            .iter()
            .map(|study| (PathBuf::from(format!("studies/{study}")), PathBuf::new(), study.as_bytes().to_vec()))
            .collect();
        scan.journal.add_folders(scan.source, &folders)?;
    }
    end(server, trouble)?;
    while let Some(study) = scan.journal.next_folder(scan.source)? {
        match list_study(scan, server, &study.path.to_string_lossy())? {
            None if scan.stopped() => return Ok(()),
            None => {}
            Some(why) => {
                let address = PathBuf::from(format!("{}/{}", server.root, study.path.display()));
                (scan.told)(ScanEvent::Trouble(Notice::new(NoticeKind::CannotRead, &address, why)));
            }
        }
        scan.journal.entered(study.id)?;
    }
    Ok(())
}

/// What went wrong, if something did.
fn list_study(scan: &mut Scan, server: &Server, study: &str) -> Result<Option<String>, Error> {
    let (stop, mut trouble) = (scan.stop, None);
    let mut all_series = Pages::new(format!("{study}/series?includefield=00080060"));
    while let Some(page) = all_series.next(server, stop, &mut trouble) {
        for series in &page {
            let Some(series_uid) = uid(series, "0020000E") else { continue };
            let (modality, date) = (text(series, "00080060"), date(&text(series, "00080020")));
            let path = format!("{study}/series/{series_uid}/instances");
            let address = format!("{}/{path}", server.root);
            let mut instances = Pages::new(format!("{path}?includefield=00083002"));
            while let Some(page) = instances.next(server, stop, &mut trouble) {
                for some in page.chunks(CHUNK) {
                    let found = some.iter().filter_map(|instance| found(instance, &address, &modality, date)).collect();
                    scan.add(found)?;
                }
            }
        }
    }
    Ok(trouble.map(|fault| match fault {
        Fault::Again(why, _) | Fault::Never(why) => why,
    }))
}

fn found(instance: &Value, path: &str, modality: &str, date: i64) -> Option<Found> {
    let sop = uid(instance, "00080018")?;
    let number = |tag: &str| instance[tag]["Value"][0].as_f64().or_else(|| text(instance, tag).parse().ok());
    let bits = number("00280100").unwrap_or(8.0) / 8.0 * number("00280002").unwrap_or(1.0);
    let size = number("00280010").unwrap_or(0.0) * number("00280011").unwrap_or(0.0) * bits;
    Some(Found {
        kind: Kind::Web,
        path: format!("{path}/{sop}").into(),
        part: 0,
        name: Vec::new(),
        place: None,
        // Not told by a server: what its pixels would be, uncompressed.
        bytes: (size * number("00280008").unwrap_or(1.0)) as u64,
        modified: 0,
        modality: or_dash(modality),
        syntax: or_dash(&text(instance, "00083002")),
        date,
    })
}

fn end(server: &Server, trouble: Option<Fault>) -> Result<(), Error> {
    let Some(Fault::Again(why, _) | Fault::Never(why)) = trouble else { return Ok(()) };
    Err(Usage::CannotList { server: server.root.clone(), why }.into())
}

/// Results page by page. A server that knows no paging repeats its first page: that ends it too.
struct Pages {
    path: String,
    offset: usize,
    first: Option<Value>,
}

impl Pages {
    fn new(path: String) -> Pages {
        Pages { path, offset: 0, first: None }
    }

    fn next(&mut self, server: &Server, stop: &AtomicBool, trouble: &mut Option<Fault>) -> Option<Vec<Value>> {
        if trouble.is_some() || stop.load(std::sync::atomic::Ordering::Relaxed) {
            return None;
        }
        let page = server.page(&self.path, self.offset, stop).map_err(|fault| *trouble = Some(fault)).ok()?;
        let first = page.first()?;
        if self.first.as_ref() == Some(first) {
            return None;
        }
        self.first.get_or_insert_with(|| first.clone());
        self.offset += page.len();
        Some(page)
    }
}

fn text(object: &Value, tag: &str) -> String {
    object[tag]["Value"][0].as_str().unwrap_or_default().to_owned()
}

/// A UID that may be put into an address.
fn uid(object: &Value, tag: &str) -> Option<String> {
    Uid::parse(&text(object, tag)).map(String::from)
}

/// Writes the one part of a multipart answer, or an answer that is the instance itself. Cut short, it is tried again.
fn receive(response: Response<Body>, to: &Path) -> Result<u64, Fault> {
    let kind = response.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let mut body = BufReader::with_capacity(1 << 16, response.into_body().into_reader());
    let mut file = File::options().read(true).write(true).create(true).truncate(true).open(to).map_err(cannot_write)?;
    let Some(boundary) = boundary(&kind) else {
        if kind.starts_with("application/dicom") {
            return copy(&mut body, &mut file);
        }
        return Err(Fault::Never(format!("the server answers with {kind:?}")));
    };
    part_begins(&mut body)?;
    let len = copy(&mut body, &mut file)?;
    let end = part_ends(&mut file, len, &boundary).map_err(|e| Fault::Again(e.to_string(), None))?;
    let end = end.ok_or_else(|| Fault::Again("the answer is cut short".into(), None))?;
    file.set_len(end).map_err(cannot_write)?;
    Ok(end)
}

fn cannot_write(error: io::Error) -> Fault {
    Fault::Never(format!("cannot write the destination: {error}"))
}

fn copy(from: &mut impl Read, to: &mut File) -> Result<u64, Fault> {
    let (mut total, mut buffer) = (0u64, vec![0; 256 << 10]);
    loop {
        let n = from.read(&mut buffer).map_err(|e| Fault::Again(e.to_string(), None))?;
        if n == 0 {
            return Ok(total);
        }
        to.write_all(&buffer[..n]).map_err(cannot_write)?;
        total += n as u64;
        if total > super::pack::LARGEST {
            return Err(Fault::Never("the instance is larger than 64 GiB".into()));
        }
    }
}

fn boundary(kind: &str) -> Option<String> {
    let rest = kind.strip_prefix("multipart/")?;
    let at = rest.to_ascii_lowercase().find("boundary=")?;
    let value = &rest[at + "boundary=".len()..];
    let value = match value.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => value.split([';', ' ']).next()?,
    };
    (!value.is_empty() && value.len() <= 70).then(|| value.to_owned())
}

/// Reads up to the empty line before the bytes of the part.
fn part_begins(body: &mut impl BufRead) -> Result<(), Fault> {
    let mut headers = body.take(PART_HEADERS);
    let (mut line, mut any) = (Vec::new(), false);
    loop {
        line.clear();
        let n = headers.read_until(b'\n', &mut line).map_err(|e| Fault::Again(e.to_string(), None))?;
        if n == 0 {
            return Err(Fault::Again("the answer is cut short".into(), None));
        }
        // Empty lines may come before the first boundary.
        let empty = line.iter().all(|b| matches!(b, b'\r' | b'\n'));
        if empty && any {
            return Ok(());
        }
        any |= !empty;
    }
}

/// Where the last part ends, if the answer was whole.
fn part_ends(file: &mut File, len: u64, boundary: &str) -> io::Result<Option<u64>> {
    let tail = len.min(boundary.len() as u64 + 1024);
    file.seek(SeekFrom::Start(len - tail))?;
    let mut bytes = Vec::new();
    file.take(tail).read_to_end(&mut bytes)?;
    let mark = format!("\r\n--{boundary}--");
    let at = bytes.windows(mark.len()).rposition(|window| window == mark.as_bytes());
    Ok(at.map(|at| len - tail + at as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries() {
        let kind = "multipart/related; type=\"application/dicom\"; boundary=abc";
        assert_eq!(boundary(kind).as_deref(), Some("abc"));
        assert_eq!(boundary("multipart/related;boundary=\"a b\";x=1").as_deref(), Some("a b"));
        assert_eq!(boundary("application/dicom"), None);
    }

    #[test]
    fn a_part_is_whole_or_not() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"bytes\r\n--abc--\r\n").unwrap();
        assert_eq!(part_ends(&mut file, 16, "abc").unwrap(), Some(5));
        assert_eq!(part_ends(&mut file, 10, "abc").unwrap(), None);
    }
}
