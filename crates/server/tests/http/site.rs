//! A server over an archive in a temporary folder, and requests to it.

use archive::{Archive, Options};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::BodyExt;
use server::Config;
use std::path::Path;
use tempfile::TempDir;
use tower::ServiceExt;

/// An archive with instances, and its router.
pub struct Site {
    pub archive: Archive,
    pub router: Router,
    folder: TempDir,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Site {
    /// A site with these DICOM files stored.
    pub fn of(files: &[Vec<u8>]) -> Site {
        Site::with(files, |_| {})
    }

    /// The same, with other settings.
    pub fn with(files: &[Vec<u8>], change: impl FnOnce(&mut Config)) -> Site {
        Site::beside(files, |config, _| change(config))
    }

    /// The same, with a folder that lasts as long as the site.
    pub fn beside(files: &[Vec<u8>], change: impl FnOnce(&mut Config, &Path)) -> Site {
        let folder = TempDir::new().unwrap();
        let archive = Archive::open(&folder.path().join("archive"), Options::default()).unwrap();
        for file in files {
            archive.ingest_bytes(file).unwrap();
        }
        let mut config = Config::new(archive.clone());
        change(&mut config, folder.path());
        Site { router: server::router(config), archive, folder }
    }

    /// The folder of the archive.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sends a request with more headers.
    pub async fn send(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.request(method, target, headers, Body::empty()).await
    }

    async fn request(&self, method: &str, target: &str, headers: &[(&str, &str)], body: Body) -> Answer {
        let mut request = Request::builder().method(method).uri(target);
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request = request.header(header::HOST, "localhost:8042");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// Sends a body.
    pub async fn post(&self, target: &str, headers: &[(&str, &str)], body: Body) -> Answer {
        self.request("POST", target, headers, body).await
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, &[]).await
    }

    pub async fn accept(&self, target: &str, accept: &str) -> Answer {
        self.send("GET", target, &[("accept", accept)]).await
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// The one part of a multipart body: its header line and its content, found as the viewers find them.
    pub fn part(&self) -> (String, Bytes) {
        let parts = self.parts();
        assert_eq!(parts.len(), 1, "parts");
        parts.into_iter().next().unwrap()
    }

    /// The parts of a multipart body.
    pub fn parts(&self) -> Vec<(String, Bytes)> {
        let boundary =
            self.header("content-type").rsplit_once("boundary=").expect("a boundary").1.trim_matches('"').to_owned();
        let delimiter = format!("--{boundary}");
        assert!(self.body.starts_with(delimiter.as_bytes()), "the body starts at once");
        let behind = self.behind(&delimiter);
        assert!(behind.is_empty() || behind.contains(" not in this answer: "), "{behind}");
        let mut found = positions(&self.body, delimiter.as_bytes());
        let last = found.pop().unwrap();
        let ends: Vec<usize> = found.iter().skip(1).copied().chain([last]).collect();
        let part = |(start, end): (&usize, usize)| {
            let part = self.body.slice(start + delimiter.len() + 2..end - 2);
            let head = positions(&part, b"\r\n\r\n")[0];
            (String::from_utf8(part[..head].to_vec()).unwrap(), part.slice(head + 4..))
        };
        found.iter().zip(ends).map(part).collect()
    }
}

impl Answer {
    /// What stands behind the last part of a multipart body.
    fn behind(&self, delimiter: &str) -> String {
        let end = format!("\r\n{delimiter}--\r\n");
        let at = *positions(&self.body, end.as_bytes()).last().expect("an end");
        String::from_utf8(self.body[at + end.len()..].to_vec()).unwrap()
    }
}

fn positions(bytes: &[u8], needle: &[u8]) -> Vec<usize> {
    bytes.windows(needle.len()).enumerate().filter(|(_, window)| *window == needle).map(|(at, _)| at).collect()
}
