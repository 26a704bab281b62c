//! How long somebody waits for an answer of the index.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A time limit that can be given up before; clones share it.
#[derive(Debug, Clone)]
pub struct Patience {
    until: Option<Instant>,
    given_up: Arc<AtomicBool>,
}

impl Patience {
    /// Waits so long.
    pub fn of(longest: Duration) -> Patience {
        Patience { until: Instant::now().checked_add(longest), given_up: Arc::default() }
    }

    /// Nobody waits any more.
    pub fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// Is there nobody who waits?
    pub fn is_over(&self) -> bool {
        self.given_up.load(Ordering::Relaxed) || self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// What is left of it.
    pub fn left(&self) -> Duration {
        match self.until {
            _ if self.given_up.load(Ordering::Relaxed) => Duration::ZERO,
            Some(until) => until.saturating_duration_since(Instant::now()),
            None => Duration::MAX,
        }
    }
}
