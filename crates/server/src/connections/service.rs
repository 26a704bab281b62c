//! The requests of one connection: it is busy while they are answered, and what it holds of their answers is counted.

use super::busy::Busy;
use super::files::{Files, Piece, Sending};
use super::upload::Upload;
use super::{Client, Connections, Peer, Place, Seat};
use crate::access_log::Entry;
use crate::guard::From;
use crate::known;
use crate::runs::Runs;
use crate::state::App;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, Version, header};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use tower::Service;

/// What a connection of the reserve may ask for.
const HEALTH: [&str; 2] = ["/healthz", "/readyz"];

/// The routes, for one connection.
#[derive(Clone)]
pub struct Seated {
    routes: Router,
    app: Arc<App>,
    seat: Arc<Seat>,
    connections: Arc<Connections>,
    peer: Peer,
    /// Where files are sent by the system, on a connection without TLS.
    files: Option<Arc<Files>>,
}

impl Seated {
    /// The routes for the connection of this seat.
    pub fn new(routes: Router, app: Arc<App>, place: &Place) -> Seated {
        let files = app.config.tls.is_none().then(|| place.files.clone());
        let (seat, connections) = (place.seat.clone(), place.connections.clone());
        Seated { routes, app, seat, connections, peer: Peer(place.address), files }
    }
}

/// The answer now, where no thread has to wait for it, or later.
#[expect(clippy::large_enum_variant, reason = "a box would cost each answer more than its bytes cost one that waits")]
pub enum Answering {
    /// It is here.
    Now(Option<Response<Answer>>),
    /// Whoever makes it.
    Later(Pin<Box<dyn Future<Output = Response<Answer>> + Send>>),
}

impl Future for Answering {
    type Output = Result<Response<Answer>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Answering::Now(response) => response.take().map_or(Poll::Pending, |response| Poll::Ready(Ok(response))),
            Answering::Later(answer) => answer.as_mut().poll(context).map(Ok),
        }
    }
}

impl hyper::service::Service<Request<Incoming>> for Seated {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let mut busy = Busy::new(self.seat.clone(), self.connections.clone());
        let log = self.app.config.access_log.as_ref();
        busy.entry = log.map(|log| Entry::new(log, self.seat.client, request.method()));
        if request.version() == Version::HTTP_2 {
            self.seat.multiplex();
        }
        // HTTP/2 has frames of its own around what is sent.
        let files = self.files.clone().filter(|_| request.version() != Version::HTTP_2);
        let is_health = HEALTH.contains(&request.uri().path());
        if !is_health && (self.seat.reserved || !self.connections.has_memory()) {
            let mut response = no_room();
            let from = self.app.guard.check(&request).unwrap_or(From::Here);
            self.app.guard.finish(&from, &mut response);
            return Answering::Now(Some(Answer::of(response, busy, None)));
        }
        if let Some(response) = known::answer(&self.app, &request).filter(|_| !self.seat.reserved) {
            return Answering::Now(Some(Answer::of(response, busy, files.as_ref())));
        }
        let mut request = request.map(|body| match http_body::Body::is_end_stream(&body) {
            true => Body::empty(),
            false => Body::new(Upload::new(Body::new(body))),
        });
        request.extensions_mut().insert(Client(self.seat.client));
        request.extensions_mut().insert(self.peer);
        let answer = self.routes.clone().call(request);
        let reserved = self.seat.reserved;
        Answering::Later(Box::pin(async move {
            let mut response = answer.await.unwrap_or_else(|never| match never {});
            if reserved {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Answer::of(response, busy, files.as_ref())
        }))
    }
}

fn no_room() -> Response<Body> {
    let mut response = Response::new(Body::from("busy, try again\n"));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The body of an answer, handed out in pieces; their bytes count until they are sent.
pub struct Answer {
    body: Body,
    /// What the system sends in place of the body, and by what.
    runs: Option<(Runs, Arc<Files>)>,
    /// What the body has given and is not handed out.
    rest: Bytes,
    /// `None` once it is that of what is sent.
    busy: Option<Busy>,
}

impl Answer {
    /// Bytes that are handed out at once: what a client has not taken of an answer is little, however large that is.
    const PIECE: usize = 256 << 10;

    /// A response whose files the system sends, where there are such and the connection has `files`.
    fn of(mut response: Response<Body>, mut busy: Busy, files: Option<&Arc<Files>>) -> Response<Answer> {
        if let Some(entry) = &mut busy.entry {
            entry.answered(response.status().as_u16(), response.extensions_mut().remove());
        }
        let runs = response.extensions_mut().remove::<Runs>();
        // They are the body's very bytes, or whoever changed the one knew nothing of the other.
        let exact = http_body::Body::size_hint(response.body()).exact();
        let runs = runs.filter(|runs| runs.len() > 0 && exact == Some(runs.len()));
        let runs = runs.zip(files.cloned());
        response.map(|body| Answer { body, runs, rest: Bytes::new(), busy: Some(busy) })
    }

    fn piece(&mut self) -> Bytes {
        let piece = self.rest.split_to(self.rest.len().min(Answer::PIECE));
        match &mut self.busy {
            Some(busy) => {
                busy.gave(piece.len());
                Held::new(piece, busy)
            }
            None => piece,
        }
    }
}

impl http_body::Body for Answer {
    type Data = Piece;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, axum::Error>>> {
        let this = &mut *self;
        if let Some((runs, files)) = this.runs.take() {
            this.body = Body::empty();
            let sending = Sending::new(runs, files, this.busy.take());
            return Poll::Ready(Some(Ok(Frame::data(Piece::Sending(sending)))));
        }
        if this.rest.is_empty() {
            let Some(frame) = ready!(Pin::new(&mut this.body).poll_frame(context)) else { return Poll::Ready(None) };
            match frame.map(Frame::into_data) {
                Ok(Ok(bytes)) => this.rest = bytes,
                Ok(Err(other)) => return Poll::Ready(Some(Ok(other.map_data(Piece::Memory)))),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
        Poll::Ready(Some(Ok(Frame::data(Piece::Memory(this.piece())))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // Of runs the body has as many bytes.
        let mut hint = self.body.size_hint();
        let rest = self.rest.len() as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

/// Bytes that wait to be sent, counted until they are dropped.
struct Held {
    bytes: Bytes,
    seat: Arc<Seat>,
    connections: Arc<Connections>,
}

impl Held {
    /// Small ones are not worth the counting.
    const SMALL: usize = 1 << 10;

    /// The bytes, counted.
    #[expect(clippy::new_ret_no_self, reason = "bytes stay bytes")]
    fn new(bytes: Bytes, busy: &Busy) -> Bytes {
        if bytes.len() < Held::SMALL {
            return bytes;
        }
        let (seat, connections) = (busy.seat.clone(), busy.connections.clone());
        seat.hold(bytes.len() as u64, connections.now());
        connections.held.fetch_add(bytes.len() as u64, Relaxed);
        Bytes::from_owner(Held { bytes, seat, connections })
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let counted = self.seat.release(self.bytes.len() as u64, self.connections.now());
        self.connections.held.fetch_sub(counted, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use archive::{Archive, Options};
    use http_body::Body as _;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn a_large_answer_is_handed_out_in_pieces() {
        let folder = tempfile::TempDir::new().unwrap();
        let app = App::new(Config::new(Archive::open(folder.path(), Options::default()).unwrap()));
        let place = app.connections.admit([127, 0, 0, 1].into()).unwrap();
        let whole: Vec<u8> = (0..3_000_001u32).map(|n| n as u8).collect();
        let busy = Busy::new(place.seat.clone(), app.connections.clone());
        let mut answer = Answer::of(Response::new(Body::from(whole.clone())), busy, None).into_body();
        let mut got = Vec::new();
        while !answer.is_end_stream() {
            assert_eq!(answer.size_hint().exact(), Some((whole.len() - got.len()) as u64));
            let Ok(Piece::Memory(piece)) = answer.frame().await.unwrap().unwrap().into_data() else {
                panic!("no memory")
            };
            assert!(piece.len() <= Answer::PIECE && app.connections.held() == piece.len() as u64);
            got.extend_from_slice(&piece);
        }
        assert!(got == whole && answer.frame().await.is_none() && app.connections.held() == 0);
    }
}
