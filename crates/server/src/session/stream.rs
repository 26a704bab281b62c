//! The events of a session on their way to one participant.
//!
//! Events repeat UIDs: compressed, with what went before as the dictionary, one takes a third of its bytes on the line.

use super::room::Seat;
use crate::event_stream::{self, KEEP_ALIVE};
use crate::reply;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Response, header};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, Write};

/// A comment, which clients pass over.
const NOTHING: &str = ":\n\n";

/// The answer that does not end while the participant stays.
pub fn answer(seat: Seat, headers: &HeaderMap) -> Response<Body> {
    let gzip = reply::accepts(headers, "gzip").then(|| GzEncoder::new(Vec::new(), Compression::fast()));
    let line = Line { seat, gzip };
    let mut response = event_stream::answer(Body::from_stream(futures_util::stream::unfold(line, Line::send)));
    let out = response.headers_mut();
    if reply::accepts(headers, "gzip") {
        out.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    out.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}

struct Line {
    seat: Seat,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

impl Line {
    /// Asked for whenever the line has room for more.
    async fn send(mut self) -> Option<(io::Result<Bytes>, Line)> {
        self.seat.is_heard();
        let text = match tokio::time::timeout(KEEP_ALIVE, self.seat.next()).await {
            Ok(text) => text?,
            Err(_) => NOTHING.to_owned(),
        };
        let bytes = self.coded(text);
        Some((bytes, self))
    }

    fn coded(&mut self, text: String) -> io::Result<Bytes> {
        let Some(gzip) = &mut self.gzip else { return Ok(text.into()) };
        gzip.write_all(text.as_bytes())?;
        gzip.flush()?;
        Ok(std::mem::take(gzip.get_mut()).into())
    }
}
