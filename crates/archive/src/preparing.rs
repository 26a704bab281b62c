//! Many who ask for the metadata of a series at once make it once.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, PoisonError};

/// The series that are being prepared now.
#[derive(Default)]
pub(crate) struct Preparing {
    series: Mutex<HashSet<i64>>,
    done: Condvar,
}

impl Preparing {
    /// Waits until nobody prepares this series; it is the caller's until the guard is dropped.
    pub(crate) fn begin(&self, series: i64) -> impl Drop + '_ {
        struct Mine<'a>(&'a Preparing, i64);
        impl Drop for Mine<'_> {
            fn drop(&mut self) {
                self.0.series.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
                self.0.done.notify_all();
            }
        }
        let all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let free = self.done.wait_while(all, |all| all.contains(&series));
        free.unwrap_or_else(PoisonError::into_inner).insert(series);
        Mine(self, series)
    }
}
