//! Counts commits, and wakes who waits for one.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Counts commits, for those who wait until something has changed.
#[derive(Default)]
pub(in crate::index) struct Commits {
    count: Mutex<u64>,
    more: Condvar,
}

impl Commits {
    pub(in crate::index) fn count(&self) -> u64 {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::index) fn wait(&self, seen: u64, longest: Duration) {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.more.wait_timeout_while(count, longest, |count| *count <= seen));
    }

    pub(in crate::index) fn add(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.more.notify_all();
    }
}
