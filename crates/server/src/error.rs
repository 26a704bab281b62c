//! Errors of the server: what goes wrong at its start, and what one request is told.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::net::SocketAddr;

/// Why the server could not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address could not be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// There is no certificate to speak TLS with.
    #[error(transparent)]
    Tls(#[from] crate::tls::TlsError),
}

/// What can be done with a resource where nothing is stored.
pub const METHODS_WITHOUT_STORING: &str = "GET, HEAD, OPTIONS";

/// What a failed request is told: a status and one line of plain text.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    message: String,
}

/// What the client is told, beside the response, so that the id of the request can be added to it.
#[derive(Debug, Clone)]
pub struct Told(pub String);

/// The result of a request handler.
pub type Answered<T> = std::result::Result<T, Problem>;

impl Problem {
    /// 400: the request cannot be understood.
    pub fn bad_request(message: impl Into<String>) -> Problem {
        Problem { status: StatusCode::BAD_REQUEST, message: message.into() }
    }

    /// 404: there is no such thing here.
    pub fn not_found(what: &str) -> Problem {
        Problem { status: StatusCode::NOT_FOUND, message: format!("no such {what}") }
    }

    /// 404: what is asked for is not in the file, or not whole, and why.
    pub fn not_there(why: impl std::fmt::Display) -> Problem {
        Problem { status: StatusCode::NOT_FOUND, message: why.to_string() }
    }

    /// 406: none of the media types the client accepts can be given.
    pub fn not_acceptable(message: impl Into<String>) -> Problem {
        Problem { status: StatusCode::NOT_ACCEPTABLE, message: message.into() }
    }

    /// 403: the request comes from where it must not.
    pub fn forbidden(message: impl Into<String>) -> Problem {
        Problem { status: StatusCode::FORBIDDEN, message: message.into() }
    }

    /// 401: nobody knows who asks.
    pub fn sign_in() -> Problem {
        Problem { status: StatusCode::UNAUTHORIZED, message: "sign in first".to_owned() }
    }

    /// 503: too much is being done already.
    pub fn busy() -> Problem {
        Problem { status: StatusCode::SERVICE_UNAVAILABLE, message: "busy, try again".to_owned() }
    }

    /// 503: no more of these at once.
    pub fn full(message: &str) -> Problem {
        Problem { status: StatusCode::SERVICE_UNAVAILABLE, message: message.to_owned() }
    }

    /// 429: this client asks too often.
    pub fn too_often(message: &str) -> Problem {
        Problem { status: StatusCode::TOO_MANY_REQUESTS, message: message.to_owned() }
    }

    /// 503: a search that took longer than it may.
    pub fn search_took_too_long() -> Problem {
        Problem {
            status: StatusCode::SERVICE_UNAVAILABLE,
            message: "the search took too long: ask for less, such as one patient or a range of dates".to_owned(),
        }
    }

    /// 414: the target of the request is too long.
    pub fn too_long() -> Problem {
        Problem { status: StatusCode::URI_TOO_LONG, message: "the address is too long".to_owned() }
    }

    /// 408: the body comes too slowly.
    pub fn too_slow() -> Problem {
        Problem { status: StatusCode::REQUEST_TIMEOUT, message: "the body comes too slowly".to_owned() }
    }

    /// 405: nothing can be stored here.
    pub fn read_only() -> Problem {
        let message = "nothing can be stored or deleted here; that is allowed where the server is started".to_owned();
        Problem { status: StatusCode::METHOD_NOT_ALLOWED, message }
    }

    /// 409: it may not be done now.
    pub fn conflict(message: &str) -> Problem {
        Problem { status: StatusCode::CONFLICT, message: message.to_owned() }
    }

    /// 415: a body of this media type is not understood.
    pub fn unsupported_media_type(message: &str) -> Problem {
        Problem { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, message: message.to_owned() }
    }

    /// 413: the body of the request is too large.
    pub fn too_large() -> Problem {
        Problem { status: StatusCode::PAYLOAD_TOO_LARGE, message: "the body is too large".to_owned() }
    }

    /// 500: our fault; the cause goes to the log, not to the client.
    pub fn internal(cause: impl std::fmt::Display) -> Problem {
        tracing::error!(%cause, "request failed");
        Problem {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            message: "the server failed on this request; its log says why".to_owned(),
        }
    }

    /// Did the server fail, or has it no room now? What was asked for may well be there.
    pub fn is_of_server(&self) -> bool {
        self.status.is_server_error()
    }

    /// Would the same be answered a little later?
    pub fn is_busy(&self) -> bool {
        self.status == StatusCode::SERVICE_UNAVAILABLE
    }

    /// What the client is told.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The status.
    #[cfg(test)]
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<archive::Error> for Problem {
    fn from(error: archive::Error) -> Problem {
        match error {
            archive::Error::Dicom(error) => error.into(),
            archive::Error::Query(message) => Problem::bad_request(message),
            archive::Error::Closed | archive::Error::Unreachable(_) => Problem::busy(),
            archive::Error::TooLong => Problem::search_took_too_long(),
            other => Problem::internal(other),
        }
    }
}

/// What an instance does not have, or has damaged, can't be found in it: that is no failure of the server.
impl From<dicom::Error> for Problem {
    fn from(error: dicom::Error) -> Problem {
        match error {
            dicom::Error::Io(error) => Problem::internal(error),
            error => {
                tracing::warn!(%error, "cannot be read out of the stored object");
                Problem { status: StatusCode::NOT_FOUND, message: error.to_string() }
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, format!("{}\n", self.message)).into_response();
        response.extensions_mut().insert(Told(self.message));
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"Firstlight\""));
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static(METHODS_WITHOUT_STORING));
        }
        if matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
