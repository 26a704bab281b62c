//! The id of a request: told to the client as `X-Request-Id`, and part of every line that the log has of it.

use axum::http::{HeaderName, HeaderValue};
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The header.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Sixteen hexadecimal digits: where this process began to count, and the count. What a client sends is never taken over, as it could
/// say anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// The next id.
    pub fn next() -> RequestId {
        static BEGAN: LazyLock<u32> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()) as u32);
        static COUNT: AtomicU64 = AtomicU64::new(0);
        RequestId(format!("{:08x}{:08x}", *BEGAN, COUNT.fetch_add(1, Relaxed) as u32))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As the value of the header.
    pub fn value(&self) -> HeaderValue {
        HeaderValue::try_from(&self.0).expect("digits")
    }
}
