//! What can be wrong with a codestream or a request: where, what, and whose fault.

use core::fmt;

/// An error, with the byte of the codestream it was noticed at (0 when it is about the caller's request).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// Offset in the codestream.
    pub at: u64,
    /// What is wrong.
    pub kind: ErrorKind,
}

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The codestream breaks the standard.
    Malformed(&'static str),
    /// The codestream or the request is legal but not served here.
    Unsupported(&'static str),
    /// Serving it would go beyond the [`Limits`](crate::Limits) of the caller.
    Limit(&'static str),
    /// The codestream ends before the main header or the first tile-part does.
    Truncated {
        /// Bytes at hand.
        have: u64,
        /// Bytes needed at least to go on.
        need: u64,
    },
    /// The caller's image or buffer does not fit the request.
    Request(&'static str),
}

#[allow(dead_code)]
impl Error {
    pub(crate) fn malformed(at: usize, what: &'static str) -> Self {
        Error { at: at as u64, kind: ErrorKind::Malformed(what) }
    }

    pub(crate) fn unsupported(at: usize, what: &'static str) -> Self {
        Error { at: at as u64, kind: ErrorKind::Unsupported(what) }
    }

    pub(crate) fn limit(at: usize, what: &'static str) -> Self {
        Error { at: at as u64, kind: ErrorKind::Limit(what) }
    }

    pub(crate) fn request(what: &'static str) -> Self {
        Error { at: 0, kind: ErrorKind::Request(what) }
    }

    pub(crate) fn is_truncated(&self) -> bool {
        matches!(self.kind, ErrorKind::Truncated { .. })
    }

    pub(crate) fn truncated(have: usize, need: usize) -> Self {
        Error { at: have as u64, kind: ErrorKind::Truncated { have: have as u64, need: need as u64 } }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ErrorKind::Malformed(what) => {
                write!(f, "malformed codestream at byte {}: {what}", self.at)
            }
            ErrorKind::Unsupported(what) => write!(f, "unsupported codestream: {what}"),
            ErrorKind::Limit(what) => write!(f, "beyond the limit: {what}"),
            ErrorKind::Truncated { have, need } => {
                write!(f, "codestream ends after {have} bytes, at least {need} are needed")
            }
            ErrorKind::Request(what) => write!(f, "{what}"),
        }
    }
}

impl core::error::Error for Error {}
