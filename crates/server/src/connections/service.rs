//! The requests of one connection: it is busy while they are answered, and what it holds of their answers is counted.

use super::upload::Upload;
use super::{Connections, Place, Seat};
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
    seat: Arc<Seat>,
    connections: Arc<Connections>,
}

impl Seated {
    /// The routes for the connection of this seat.
    pub fn new(routes: Router, place: &Place) -> Seated {
        Seated { routes, seat: place.seat.clone(), connections: place.connections.clone() }
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
            return Box::pin(std::future::ready(Ok(no_room().map(|body| Answer { body, busy }))));
        }
        let request = request.map(|body| match http_body::Body::is_end_stream(&body) {
            true => Body::empty(),
            false => Body::new(Upload::new(Body::new(body))),
        });
        let answer = self.routes.clone().call(request);
        let reserved = self.seat.reserved;
        Box::pin(async move {
            let mut response = answer.await?;
            if reserved {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response.map(|body| Answer { body, busy }))
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
        seat.begin();
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

/// The body of an answer; its bytes count until they are sent.
pub struct Answer {
    body: Body,
    busy: Busy,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let held = |bytes| Held::new(bytes, &self.busy);
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(held))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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
