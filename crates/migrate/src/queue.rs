//! Work handed from the one who knows the journal to those who do it.

use crate::journal::Row;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};

/// Items that are to be done next; those of one packed stream come together.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Vec<Row>>,
    closed: bool,
}

impl Queue {
    /// Adds work.
    pub fn put(&self, rows: Vec<Row>) {
        self.state().waiting.push_back(rows);
        self.changed.notify_one();
    }

    /// Waits for work; `None` when there will be none.
    pub fn take(&self) -> Option<Vec<Row>> {
        let mut state = self.state();
        loop {
            if let Some(rows) = state.waiting.pop_front() {
                return Some(rows);
            }
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(|e| e.into_inner());
        }
    }

    /// How many pieces of work wait.
    pub fn len(&self) -> usize {
        self.state().waiting.len()
    }

    /// Takes back what nobody has begun: how many items that is.
    pub fn clear(&self) -> usize {
        self.state().waiting.drain(..).map(|rows| rows.len()).sum()
    }

    /// There will be no more.
    pub fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}
