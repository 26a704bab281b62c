//! How long a peer may take (PS3.8 9.1.5).

use std::time::Duration;

/// How long is waited, and for what.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// For the first PDU of a connection, or the last (the ARTIM timer of PS3.8 9.1.5).
    pub negotiation: Duration,
    /// For the next message of an association.
    pub idle: Duration,
    /// For the rest of a PDU that has begun, and for the peer to take what is written.
    pub pdu: Duration,
}

impl Default for Times {
    fn default() -> Times {
        Times { negotiation: Duration::from_secs(30), idle: Duration::from_secs(300), pdu: Duration::from_secs(60) }
    }
}
