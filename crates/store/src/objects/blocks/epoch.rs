//! When objects were replaced or removed: what was asked for before is not kept after.

use std::sync::atomic::{AtomicU64, Ordering};

/// A time between two replacements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::objects) struct Epoch(u64);

/// Counts replacements.
#[derive(Debug, Default)]
pub(in crate::objects) struct Epochs(AtomicU64);

impl Epochs {
    /// The time now.
    pub(in crate::objects) fn now(&self) -> Epoch {
        Epoch(self.0.load(Ordering::SeqCst))
    }

    /// An object is another one now.
    pub(super) fn next(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// Is it still that time?
    pub(super) fn is(&self, since: Epoch) -> bool {
        self.now() == since
    }
}
