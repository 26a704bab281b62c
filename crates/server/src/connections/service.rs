//! The requests of one connection: it is busy while they are answered, and what it holds of their answers is counted.

use super::upload::Upload;
use super::{Client, Connections, Peer, Place, Seat};
use crate::guard::From;
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
}

impl Seated {
    /// The routes for the connection of this seat.
    pub fn new(routes: Router, app: Arc<App>, place: &Place) -> Seated {
        Seated {
            routes,
            app,
            seat: place.seat.clone(),
            connections: place.connections.clone(),
            peer: Peer(place.address),
        }
    }
}

impl hyper::service::Service<Request<Incoming>> for Seated {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answer>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let busy = Busy::new(self.seat.clone(), self.connections.clone());
        if request.version() == Version::HTTP_2 {
            self.seat.multiplex();
        }
        let is_health = HEALTH.contains(&request.uri().path());
        if !is_health && (self.seat.reserved || !self.connections.has_memory()) {
            let mut response = no_room();
            let from = self.app.guard.check(&request).unwrap_or(From::Here);
            self.app.guard.finish(&from, &mut response);
            return Box::pin(std::future::ready(Ok(response.map(|body| Answer::new(body, busy)))));
        }
        let mut request = request.map(|body| match http_body::Body::is_end_stream(&body) {
            true => Body::empty(),
            false => Body::new(Upload::new(Body::new(body))),
        });
        request.extensions_mut().insert(Client(self.seat.client));
        request.extensions_mut().insert(self.peer);
        let answer = self.routes.clone().call(request);
        let reserved = self.seat.reserved;
        Box::pin(async move {
            let mut response = answer.await?;
            if reserved {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response.map(|body| Answer::new(body, busy)))
        })
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

/// Makes a connection busy while it is there.
struct Busy {
    seat: Arc<Seat>,
    connections: Arc<Connections>,
}

impl Busy {
    fn new(seat: Arc<Seat>, connections: Arc<Connections>) -> Busy {
        seat.begin(connections.now());
        connections.answers.fetch_add(1, Relaxed);
        Busy { seat, connections }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.seat.end(self.connections.now());
        self.connections.answers.fetch_sub(1, Relaxed);
    }
}

/// The body of an answer, handed out in pieces; their bytes count until they are sent.
pub struct Answer {
    body: Body,
    /// What the body has given and is not handed out.
    rest: Bytes,
    busy: Busy,
}

impl Answer {
    /// Bytes that are handed out at once: what a client has not taken of an answer is little, however large that is.
    const PIECE: usize = 256 << 10;

    fn new(body: Body, busy: Busy) -> Answer {
        Answer { body, rest: Bytes::new(), busy }
    }

    fn piece(&mut self) -> Bytes {
        let piece = self.rest.split_to(self.rest.len().min(Answer::PIECE));
        Held::new(piece, &self.busy)
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        if this.rest.is_empty() {
            let Some(frame) = ready!(Pin::new(&mut this.body).poll_frame(context)) else { return Poll::Ready(None) };
            match frame.map(Frame::into_data) {
                Ok(Ok(bytes)) => this.rest = bytes,
                Ok(Err(other)) => return Poll::Ready(Some(Ok(other))),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
        Poll::Ready(Some(Ok(Frame::data(this.piece()))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (mut hint, rest) = (self.body.size_hint(), self.rest.len() as u64);
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
        let mut answer = Answer::new(Body::from(whole.clone()), busy);
        let mut got = Vec::new();
        while !answer.is_end_stream() {
            assert_eq!(answer.size_hint().exact(), Some((whole.len() - got.len()) as u64));
            let piece = answer.frame().await.unwrap().unwrap().into_data().unwrap();
            assert!(piece.len() <= Answer::PIECE && app.connections.held() == piece.len() as u64);
            got.extend_from_slice(&piece);
        }
        assert!(got == whole && answer.frame().await.is_none() && app.connections.held() == 0);
    }
}
