//! A connection is busy while one of its requests is answered.

use super::{Connections, Seat};
use crate::access_log::Entry;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Makes a connection busy while it is there.
pub struct Busy {
    pub(super) seat: Arc<Seat>,
    pub(super) connections: Arc<Connections>,
    /// Its line in the access log.
    pub(super) entry: Option<Entry>,
}

impl Busy {
    pub(super) fn new(seat: Arc<Seat>, connections: Arc<Connections>) -> Busy {
        seat.begin(connections.now());
        connections.answers.fetch_add(1, Relaxed);
        Busy { seat, connections, entry: None }
    }

    /// So many bytes of the body were given to the connection.
    pub fn gave(&mut self, bytes: usize) {
        if let Some(entry) = &mut self.entry {
            entry.bytes += bytes as u64;
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.seat.end(self.connections.now());
        self.connections.answers.fetch_sub(1, Relaxed);
    }
}
