//! The answer to what was handed in to be committed with others.

use std::sync::mpsc::{Receiver, Sender, channel};

use crate::Error;

/// The answer to what was handed in; it comes once that is committed, together with others, and on the storage.
#[derive(Debug)]
pub struct Ticket<T>(Receiver<Result<T, Error>>);

/// Who gives the answer; dropped without one, the ticket says [`Error::Closed`].
#[derive(Debug)]
pub struct Answer<T>(Sender<Result<T, Error>>);

impl<T> Ticket<T> {
    /// A ticket, and what answers it.
    pub fn new() -> (Answer<T>, Ticket<T>) {
        let (answer, ticket) = channel();
        (Answer(answer), Ticket(ticket))
    }

    /// Waits for the commit.
    pub fn wait(self) -> Result<T, Error> {
        self.0.recv().unwrap_or(Err(Error::Closed))
    }
}

impl<T> Answer<T> {
    /// Answers; whether anybody waits does not matter.
    pub fn give(self, answer: Result<T, Error>) {
        let _ = self.0.send(answer);
    }
}
