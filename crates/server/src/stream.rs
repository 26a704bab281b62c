//! Bodies whose pieces are made one after another, each when the one before was taken: an answer of any length holds one piece, and ends
//! with its client.

use crate::error::{Answered, Problem};
use crate::state::App;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Response, header};
use bytes::Bytes;
use futures_util::stream;
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// Does a step of the work, where a core may be kept busy.
type Work<T, R> = dyn Fn(&App, &T) -> Answered<R> + Send + Sync;

/// Parts to be made: their types and contents.
pub struct Parts<G, T> {
    app: Arc<App>,
    groups: std::vec::IntoIter<G>,
    items: VecDeque<T>,
    look_up: Arc<Work<G, Vec<T>>>,
    make: Arc<Work<T, (String, Bytes)>>,
}

impl<T: Send + Sync + 'static> Parts<(), T> {
    /// A part of each item; one that can't be made is left out.
    pub fn new(
        app: Arc<App>,
        items: Vec<T>,
        make: impl Fn(&App, &T) -> Answered<(String, Bytes)> + Send + Sync + 'static,
    ) -> Parts<(), T> {
        let look_up = Arc::new(|_: &App, (): &()| Ok(Vec::new()));
        Parts { app, groups: Vec::new().into_iter(), items: items.into(), look_up, make: Arc::new(make) }
    }
}

impl<G: Send + Sync + 'static, T: Send + Sync + 'static> Parts<G, T> {
    /// A part of each item of each group; the items of a group are looked up when they are due.
    pub fn nested(
        app: Arc<App>,
        groups: Vec<G>,
        look_up: impl Fn(&App, &G) -> Answered<Vec<T>> + Send + Sync + 'static,
        make: impl Fn(&App, &T) -> Answered<(String, Bytes)> + Send + Sync + 'static,
    ) -> Parts<G, T> {
        let (groups, items) = (groups.into_iter(), VecDeque::new());
        Parts { app, groups, items, look_up: Arc::new(look_up), make: Arc::new(make) }
    }

    /// The next part that can be made; `Err` of the first that can't, where there is none.
    async fn next(&mut self) -> Answered<(String, Bytes)> {
        let mut reason = None;
        loop {
            let made = if let Some(item) = self.items.pop_front() {
                let make = self.make.clone();
                self.app.compute(move |app| make(app, &item)).await.map(Some)
            } else if let Some(group) = self.groups.next() {
                let look_up = self.look_up.clone();
                let found = self.app.read(move |app| look_up(app, &group)).await;
                found.map(|found| {
                    self.items.extend(found);
                    None
                })
            } else {
                return Err(reason.unwrap_or_else(|| Problem::not_found("such thing in it")));
            };
            match made {
                Ok(Some(part)) => return Ok(part),
                Ok(None) => {}
                Err(problem) => {
                    tracing::debug!(cause = problem.message(), "left out of the answer");
                    reason.get_or_insert(problem);
                }
            }
        }
    }

    /// `multipart/related` of all of them. The first is made before the answer begins: where none can be, its reason is the answer.
    /// `name` tells this answer from others; its hash is the boundary.
    pub async fn multipart(mut self, name: &str, method: &Method) -> Answered<Response<Body>> {
        let (kind, content) = self.next().await?;
        let boundary: String = Sha256::digest(name.as_bytes())[..24].iter().map(|byte| format!("{byte:02x}")).collect();
        let essence = kind.split([';', '\r']).next().unwrap_or_default();
        let told = format!("multipart/related; type=\"{essence}\"; boundary={boundary}");
        let first = part(&boundary, &kind, &content, true);
        let state = Some((self, boundary));
        let rest = stream::unfold(state, |state| async move {
            let (mut parts, boundary) = state?;
            match parts.next().await {
                Ok((kind, content)) => {
                    let piece = part(&boundary, &kind, &content, false);
                    Some((Ok::<_, io::Error>(piece), Some((parts, boundary))))
                }
                Err(_) => Some((Ok(Bytes::from(format!("\r\n--{boundary}--\r\n"))), None)),
            }
        });
        let body = match *method {
            Method::HEAD => Body::empty(),
            _ => Body::from_stream(stream::StreamExt::chain(stream::iter([Ok(first)]), rest)),
        };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(&told).map_err(Problem::internal)?);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        headers.insert(header::VARY, HeaderValue::from_static("Accept"));
        Ok(response)
    }
}

/// A part with its head. `kind` is its Content-Type, and more lines of its head perhaps.
fn part(boundary: &str, kind: &str, content: &[u8], first: bool) -> Bytes {
    let line_end = if first { "" } else { "\r\n" };
    let mut out = format!("{line_end}--{boundary}\r\nContent-Type: {kind}\r\n\r\n").into_bytes();
    out.extend_from_slice(content);
    out.into()
}
