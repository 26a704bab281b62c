//! Replies held in memory: JSON and small files, compressed where the client takes it (RFC 9110 12.5.3).
//!
//! Pixel data never comes this way: its bytes are never coded again.

use crate::coding::ContentCoding;
use crate::error::{Answered, Problem};
use crate::range;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use bytes::Bytes;
use std::borrow::Cow;
use std::io::{Read, Write};

/// Below this, compression gains nothing.
const SMALL: usize = 1024;

/// A reply with its bytes.
pub struct Reply {
    /// Content-Type.
    pub content_type: Cow<'static, str>,
    /// Opaque name of the content, without quotes; `None`: the reply has no entity tag.
    pub tag: Option<String>,
    /// When the content came to be so, in seconds since 1970, where that is known.
    pub modified: Option<i64>,
    /// Content-Encoding of `bytes`.
    pub encoding: Option<&'static str>,
    /// Cache-Control.
    pub cache: &'static str,
    /// The bytes.
    pub bytes: Bytes,
}

impl Reply {
    /// A reply that is to be asked for again each time.
    pub fn new(content_type: impl Into<Cow<'static, str>>, bytes: impl Into<Bytes>) -> Reply {
        let content_type = content_type.into();
        Reply {
            content_type,
            tag: None,
            modified: None,
            encoding: None,
            cache: "private, no-cache",
            bytes: bytes.into(),
        }
    }

    /// What is kept compressed: given as it is, or in the coding that the client likes better.
    pub fn prepared(content_type: &'static str, gzip: Bytes, headers: &HeaderMap) -> Answered<Reply> {
        if ContentCoding::of(headers) == Some(ContentCoding::Gzip) {
            return Ok(Reply { encoding: Some("gzip"), ..Reply::new(content_type, gzip) });
        }
        Ok(Reply::new(content_type, gunzip(&gzip).map_err(Problem::internal)?).compressed(headers))
    }

    /// With an entity tag.
    pub fn tagged(mut self, tag: impl Into<String>) -> Reply {
        self.tag = Some(tag.into());
        self
    }

    /// With the time since when it is so.
    pub fn modified(mut self, seconds: Option<i64>) -> Reply {
        self.modified = seconds;
        self
    }

    /// Compresses it if the client takes a coding and it is worth it.
    pub fn compressed(mut self, headers: &HeaderMap) -> Reply {
        if self.encoding.is_some() || self.bytes.len() < SMALL {
            return self;
        }
        let Some(coding) = ContentCoding::of(headers) else { return self };
        match coding.encode(&self.bytes) {
            Ok(coded) => (self.bytes, self.encoding) = (coded.into(), Some(coding.name())),
            Err(error) => tracing::error!(%error, coding = coding.name(), "an answer goes out as it is"),
        }
        self
    }

    /// Answers GET and HEAD: 200 or 304.
    pub fn answer(self, method: &Method, headers: &HeaderMap) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        let out = response.headers_mut();
        out.insert(header::CACHE_CONTROL, HeaderValue::from_static(self.cache));
        out.insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
        if let Some(date) = self.modified.and_then(range::last_modified) {
            out.insert(header::LAST_MODIFIED, date);
        }
        if let Some(tag) = &self.tag {
            let etag = match self.encoding {
                Some(encoding) => format!("\"{tag}-{encoding}\""),
                None => format!("\"{tag}\""),
            };
            let known = match headers.contains_key(header::IF_NONE_MATCH) {
                true => range::held(headers, &etag),
                false => range::unmodified(headers, self.modified),
            };
            out.insert(header::ETAG, HeaderValue::try_from(etag).expect("tags are ASCII"));
            if known {
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                return response;
            }
        }
        let content_type = HeaderValue::from_str(&self.content_type);
        let octets = HeaderValue::from_static("application/octet-stream");
        out.insert(header::CONTENT_TYPE, content_type.unwrap_or(octets));
        out.insert(header::CONTENT_LENGTH, self.bytes.len().into());
        if let Some(encoding) = self.encoding {
            out.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        if *method != Method::HEAD {
            *response.body_mut() = Body::from(self.bytes);
        }
        response
    }
}

/// Does the client take this content coding?
pub fn accepts(headers: &HeaderMap, coding: &str) -> bool {
    weight(headers, coding) > 0.0
}

/// How much the client wants this content coding, 0 to 1 (RFC 9110 12.5.3); 0: not at all.
pub fn weight(headers: &HeaderMap, coding: &str) -> f32 {
    let lists = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|v| v.to_str().ok());
    let mut any = 0.0;
    for item in lists.flat_map(|list| list.split(',')) {
        let mut pieces = item.split(';').map(str::trim);
        let name = pieces.next().unwrap_or_default();
        let told = pieces.find_map(|p| p.strip_prefix("q=").or(p.strip_prefix("Q=")));
        let weight = told.map_or(1.0, |q| q.trim().parse().unwrap_or(1.0f32).clamp(0.0, 1.0));
        if name.eq_ignore_ascii_case(coding) {
            return weight;
        }
        if name == "*" {
            any = weight;
        }
    }
    any
}

/// Compresses with gzip, quickly.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::with_capacity(bytes.len() / 4), flate2::Compression::new(4));
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("writing to memory does not fail")
}

/// Undoes gzip, all members.
pub fn gunzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len() * 6);
    flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codings() {
        let takes = |value: &'static str| {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]);
            accepts(&headers, "gzip")
        };
        assert!(takes("gzip, deflate, br") && takes("br;q=1, GZIP;q=0.5") && takes("*"));
        assert!(!takes("br") && !takes("gzip;q=0, *") && !takes("identity") && !takes("*;q=0") && !takes(""));
        let headers =
            HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static("br;q=0.2, gzip, *;q=0.1"))]);
        assert_eq!(["br", "gzip", "zstd"].map(|coding| weight(&headers, coding)), [0.2, 1.0, 0.1]);
    }

    #[test]
    fn each_coding_has_its_own_tag() {
        let reply = || Reply::new("text/plain", vec![b'a'; 5000]).tagged("t");
        let gzip = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"))]);
        let small = reply().compressed(&gzip).answer(&Method::GET, &gzip);
        assert_eq!(small.headers()[header::ETAG], "\"t-gzip\"");
        assert_eq!(small.headers()[header::CONTENT_ENCODING], "gzip");
        let mut held = gzip.clone();
        held.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"t-gzip\""));
        assert_eq!(reply().compressed(&held).answer(&Method::GET, &held).status(), StatusCode::NOT_MODIFIED);
        held.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"t\""));
        assert_eq!(reply().compressed(&held).answer(&Method::GET, &held).status(), StatusCode::OK);
    }
}
