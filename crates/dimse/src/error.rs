//! What ends an association before its time, by whose fault.

use std::io;
use std::net::SocketAddr;

/// An error of an association or of the server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The peer cannot be reached.
    #[error("cannot reach {peer}: {source}")]
    Reach {
        /// The peer, as `AE@host:port`.
        peer: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// An object of ours could not be read while it was sent.
    #[error("the object cannot be read: {0}")]
    Source(#[source] io::Error),
    /// The peer closed the connection in the middle of something.
    #[error("the peer closed the connection")]
    Closed,
    /// The peer aborted the association.
    #[error("the peer aborted the association")]
    Aborted,
    /// The peer did not accept the association.
    #[error("the peer refused the association: {0}")]
    Rejected(String),
    /// TLS was not agreed on, or broke.
    #[error("TLS: {0}")]
    Tls(String),
    /// The other side speaks TLS on a line without.
    #[error("the other side speaks TLS, and this line is without (a peer with TLS is written AE@host:port/tls)")]
    IsTls,
    /// Nothing came for too long.
    #[error("nothing came for too long")]
    TimedOut,
    /// The program is being stopped.
    #[error("the program is being stopped")]
    Stopped,
    /// What came is not what PS3.7 and PS3.8 allow at this place.
    #[error("protocol: {0}")]
    Protocol(&'static str),
    /// What came is longer than what is taken.
    #[error("{what} of {len} bytes; {most} are taken")]
    TooLong {
        /// What it is.
        what: &'static str,
        /// Its bytes, as told.
        len: u64,
        /// The most that is taken.
        most: u64,
    },
    /// The peer answered a request with a status that is no success.
    #[error("the peer answered with status {status:04X}{}", comment.as_ref().map(|c| format!(": {c}")).unwrap_or_default())]
    Status {
        /// The status (PS3.7 Annex C).
        status: u16,
        /// The Error Comment (0000,0902), where there is one.
        comment: Option<String>,
    },
    /// The peer takes no presentation context that is needed.
    #[error("the peer does not offer {0}")]
    NotOffered(&'static str),
    /// The archive could not be read.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// An instance could not be read or made.
    #[error(transparent)]
    Dicom(#[from] dicom::Error),
}

impl Error {
    /// May another association succeed where this one did not?
    pub fn may_pass(&self) -> bool {
        match self {
            Error::Reach { .. } | Error::Io(_) | Error::Closed | Error::Aborted | Error::TimedOut => true,
            Error::Rejected(why) => why.starts_with("for now"),
            _ => false,
        }
    }

    /// Is it the association that failed, and not what was to be sent on it?
    pub(crate) fn is_of_association(&self) -> bool {
        !matches!(self, Error::Source(_) | Error::Archive(_) | Error::Dicom(_))
    }
}
