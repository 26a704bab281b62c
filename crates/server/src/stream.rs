//! Bodies whose pieces are made one after another, each when the one before was taken: an answer of any length holds one piece, and ends
//! with its client.
//!
//! What can't be made leaves a hole, which hides nothing else. What is known of before the answer begins is told in its head (206 and a
//! Warning); what comes up later, behind the last part, where readers of multipart pass over it (RFC 2046 5.1.1), and as a trailer
//! (RFC 9110 6.5).

use crate::error::{Answered, Problem};
use crate::holes::Holes;
use crate::state::App;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Response, header};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http_body::Frame;
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Does a step of the work, where a core may be kept busy.
type Work<T, R> = dyn Fn(&App, &T) -> Answered<R> + Send + Sync;

/// Parts to be made: their types and contents.
pub struct Parts<G, T> {
    app: Arc<App>,
    groups: std::vec::IntoIter<G>,
    items: VecDeque<T>,
    look_up: Arc<Work<G, Vec<T>>>,
    make: Arc<Work<T, (String, Bytes)>>,
    /// The status is sent.
    has_begun: bool,
    holes: Holes,
    /// So many things were asked for, where that is known; then what the server fails to make may be lacking too.
    of: Option<usize>,
}

impl<T: Send + Sync + 'static> Parts<(), T> {
    /// A part of each item; one of which there is nothing to be had is left out.
    pub fn new(
        app: Arc<App>,
        items: Vec<T>,
        make: impl Fn(&App, &T) -> Answered<(String, Bytes)> + Send + Sync + 'static,
    ) -> Parts<(), T> {
        let mut parts = Parts::nested(app, Vec::new(), |_, (): &()| Ok(Vec::new()), make);
        parts.items = items.into();
        parts
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
        let (look_up, make) = (Arc::new(look_up), Arc::new(make));
        Parts { app, groups, items, look_up, make, has_begun: false, holes: Holes::of_parts(), of: None }
    }

    /// These are known to be lacking, of how many is not known: the answer tells that.
    pub fn known(self, holes: Holes) -> Parts<G, T> {
        Parts { holes, ..self }
    }

    /// Of so many things these are known to be lacking: the answer tells that, and what else is before it begins.
    pub fn lacking(mut self, holes: Holes, of: usize) -> Parts<G, T> {
        (self.holes, self.of) = (holes, Some(of));
        self
    }

    /// The next part that there is. `Err` where the server fails to make one: without it the rest would only look whole.
    async fn next(&mut self) -> Answered<Option<(String, Bytes)>> {
        loop {
            let made = if let Some(item) = self.items.pop_front() {
                let make = self.make.clone();
                let work = move |app: &App| make(app, &item);
                let made = if self.has_begun { self.app.compute_on(work).await } else { self.app.compute(work).await };
                made.map(Some)
            } else if let Some(group) = self.groups.next() {
                let look_up = self.look_up.clone();
                let found = self.app.read(move |app| look_up(app, &group)).await;
                found.map(|found| {
                    self.items.extend(found);
                    None
                })
            } else {
                return Ok(None);
            };
            match made {
                Ok(Some(part)) => return Ok(Some(part)),
                Ok(None) => {}
                Err(problem) if self.ends_with(&problem) => return Err(problem),
                Err(problem) => {
                    tracing::debug!(cause = problem.message(), "left out of the answer");
                    self.holes.add(problem);
                }
            }
        }
    }

    /// What the server fails to make may be left out only where that can still be told.
    fn ends_with(&self, problem: &Problem) -> bool {
        let can_tell = self.of.is_some() && !self.has_begun;
        problem.is_busy() || (problem.is_of_server() && !can_tell)
    }

    /// `multipart/related` of all of them. The first is made before the answer begins: where none can be, its reason is the answer.
    /// `name` tells this answer from others; its hash is the boundary.
    pub async fn multipart(mut self, name: &str, method: &Method) -> Answered<Response<Body>> {
        let Some((kind, content)) = self.next().await? else {
            return Err(self.holes.first.unwrap_or_else(|| Problem::not_found("such thing in it")));
        };
        self.has_begun = true;
        let (of, told) = (self.of, self.holes.count);
        let mut response = Response::new(Body::empty());
        self.holes.tell(of, &mut response);
        let boundary: String = Sha256::digest(name.as_bytes())[..24].iter().map(|byte| format!("{byte:02x}")).collect();
        let essence = kind.split([';', '\r']).next().unwrap_or_default();
        let content_type = format!("multipart/related; type=\"{essence}\"; boundary={boundary}");
        let first = data([part_head(&boundary, &kind, true), content]);
        let state = Some((self, boundary));
        let rest = stream::unfold(state, move |state| async move {
            let (mut parts, boundary) = state?;
            Some(match parts.next().await {
                Ok(Some((kind, content))) => {
                    (data([part_head(&boundary, &kind, false), content]), Some((parts, boundary)))
                }
                Ok(None) => (parts.end(&boundary, told), None),
                // The body breaks off: the client sees that it is not whole.
                Err(problem) => {
                    tracing::warn!(cause = problem.message(), "an answer breaks off");
                    (vec![Err(io::Error::other(problem.message().to_owned()))], None)
                }
            })
        });
        if *method != Method::HEAD {
            let frames = stream::iter([first]).chain(rest).flat_map(stream::iter);
            *response.body_mut() = Body::new(Frames(Box::pin(frames)));
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(&content_type).map_err(Problem::internal)?);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        headers.insert(header::VARY, HeaderValue::from_static("Accept"));
        headers.insert(header::TRAILER, HeaderValue::from_static("Warning"));
        Ok(response)
    }

    /// What closes the body, with what is lacking beside what was `told` in the head.
    fn end(&self, boundary: &str, told: usize) -> Vec<io::Result<Frame<Bytes>>> {
        let mut end = format!("\r\n--{boundary}--\r\n");
        let lacking = self.holes.text(self.of).zip(self.holes.warning(self.of)).filter(|_| self.holes.count > told);
        let Some((text, warning)) = lacking else { return data([end.into()]) };
        tracing::warn!(%text, "told at the end of an answer");
        end.push_str(&format!("{text}\r\n"));
        let mut frames = data([end.into()]);
        frames.push(Ok(Frame::trailers(HeaderMap::from_iter([(header::WARNING, warning)]))));
        frames
    }
}

fn data<const N: usize>(pieces: [Bytes; N]) -> Vec<io::Result<Frame<Bytes>>> {
    pieces.into_iter().map(|bytes| Ok(Frame::data(bytes))).collect()
}

/// A body of frames: data, and trailers at the end perhaps.
struct Frames(Pin<Box<dyn Stream<Item = io::Result<Frame<Bytes>>> + Send>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.as_mut().poll_next(context)
    }
}

/// What comes before the content of a part. `kind` is its Content-Type, and more lines of its head perhaps.
fn part_head(boundary: &str, kind: &str, first: bool) -> Bytes {
    let line_end = if first { "" } else { "\r\n" };
    format!("{line_end}--{boundary}\r\nContent-Type: {kind}\r\n\r\n").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use archive::{Archive, Options};
    use axum::http::StatusCode;
    use http_body_util::BodyExt;
    use std::time::Duration;

    type Made = Answered<(String, Bytes)>;

    fn app(folder: &tempfile::TempDir) -> Arc<App> {
        App::new(Config::new(Archive::open(folder.path(), Options::default()).unwrap()))
    }

    fn part(text: &'static str) -> Made {
        Ok(("text/plain".into(), Bytes::from_static(text.as_bytes())))
    }

    /// The status of an answer of such parts, whether it warns in its head, and its body where that comes whole, with the warning behind it.
    async fn ask(of: Option<usize>, parts: Vec<fn() -> Made>) -> (StatusCode, bool, Option<(String, Option<String>)>) {
        let folder = tempfile::TempDir::new().unwrap();
        let mut parts = Parts::new(app(&folder), parts, |_, make| make());
        parts.of = of;
        let answer = match parts.multipart("name", &Method::GET).await {
            Ok(answer) => answer,
            Err(problem) => return (problem.status(), false, None),
        };
        let (status, warns) = (answer.status(), answer.headers().contains_key(header::WARNING));
        let body = answer.into_body().collect().await.ok().map(|body| {
            let trailer = body.trailers().and_then(|trailers| trailers.get(header::WARNING)).cloned();
            let trailer = trailer.map(|warning| warning.to_str().unwrap().to_owned());
            (String::from_utf8(body.to_bytes().to_vec()).unwrap(), trailer)
        });
        (status, warns, body)
    }

    #[tokio::test]
    async fn what_lacks_a_part_never_looks_whole() {
        let failures: [fn() -> Made; 2] = [|| Err(Problem::busy()), || Err(Problem::internal("no room on disk"))];
        for fails in failures {
            let (status, _, body) = ask(Some(3), vec![|| part("one"), fails, || part("three")]).await;
            assert_eq!((status, body), (StatusCode::OK, None), "it breaks off");
        }
        let (status, ..) = ask(None, vec![failures[0], || part("two")]).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        let (status, ..) = ask(None, vec![failures[1], || part("two")]).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        let (status, warns, body) = ask(Some(2), vec![failures[1], || part("two")]).await;
        assert_eq!((status, warns, body.is_some()), (StatusCode::PARTIAL_CONTENT, true, true), "a hole that is told");
    }

    #[tokio::test]
    async fn what_is_not_there_hides_nothing_and_is_told() {
        let missing: fn() -> Made = || Err(Problem::not_found("image"));
        let (status, warns, body) = ask(None, vec![missing, || part("two"), missing, || part("four")]).await;
        let (body, trailer) = body.unwrap();
        assert_eq!((status, warns), (StatusCode::PARTIAL_CONTENT, true), "known before it begins");
        assert!(body.contains("two\r\n--") && body.contains("four\r\n--"), "{body}");
        assert_eq!(trailer.as_deref(), Some("299 firstlight \"2 parts are not in this answer: no such image\""));
        assert!(body.ends_with("--\r\n2 parts are not in this answer: no such image\r\n"), "{body}");
        let (status, warns, body) = ask(Some(2), vec![|| part("one"), missing]).await;
        let (body, trailer) = body.unwrap();
        assert_eq!((status, warns), (StatusCode::OK, false), "known too late");
        assert!(body.ends_with("--\r\n1 of 2 parts are not in this answer: no such image\r\n"), "{body}");
        assert!(trailer.is_some());
        let (_, _, body) = ask(None, vec![|| part("one"), || part("two")]).await;
        let (body, trailer) = body.unwrap();
        assert!(body.ends_with("--\r\n") && trailer.is_none(), "{body}");
        assert_eq!(ask(None, vec![missing]).await.0, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn an_answer_that_has_begun_waits_for_a_core() {
        let folder = tempfile::TempDir::new().unwrap();
        let app = app(&folder);
        let parts = Parts::new(app.clone(), vec!["one", "two"], |_, text: &&'static str| part(text));
        let answer = parts.multipart("name", &Method::GET).await.unwrap();
        let all = app.cores.available_permits() as u32;
        let cores = app.cores.clone().acquire_many_owned(all).await.unwrap();
        let body = tokio::spawn(answer.into_body().collect());
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!body.is_finished());
        drop(cores);
        let body = body.await.unwrap().unwrap().to_bytes();
        assert!(body.windows(3).any(|three| three == b"two"));
    }
}
