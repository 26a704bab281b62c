//! Work for the writer: what is done in a transaction with other work, and who waits for it.

use std::any::Any;
use std::cell::{RefCell, RefMut};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::later::Later;
use super::session::Session;
use crate::Error;
use crate::index::ticket::Answer;

/// An open transaction, and what is changed at its end.
pub(super) struct Group<'a> {
    session: &'a Session<'a>,
    later: RefCell<Later>,
}

impl<'a> Group<'a> {
    /// On a connection on which a transaction is open.
    pub(super) fn new(session: &'a Session<'a>) -> Group<'a> {
        Group { session, later: RefCell::default() }
    }

    /// What is changed at the end. Not to be held while something else is asked for.
    pub(super) fn later(&self) -> RefMut<'_, Later> {
        self.later.borrow_mut()
    }
}

impl<'a> Deref for Group<'a> {
    type Target = Session<'a>;

    fn deref(&self) -> &Session<'a> {
        self.session
    }
}

/// Work that waits for a transaction.
pub(super) trait Work: Send {
    /// Does it; false when it fails. It may be done more than once: what it did before was undone.
    fn attempt(&mut self, group: &Group<'_>) -> bool;

    /// Tells whoever waits how it ended, or, `otherwise`, why nothing of it was committed.
    fn answer(self: Box<Self>, otherwise: Option<Error>);
}

/// Work as a function, with what came of it last.
pub(super) struct Task<T, F> {
    work: F,
    ended: Option<Result<T, Error>>,
    answer: Answer<T>,
}

impl<T, F: FnMut(&Group<'_>) -> Result<T, Error>> Task<T, F> {
    pub(super) fn new(work: F, answer: Answer<T>) -> Task<T, F> {
        Task { work, ended: None, answer }
    }
}

impl<T: Send, F: FnMut(&Group<'_>) -> Result<T, Error> + Send> Work for Task<T, F> {
    fn attempt(&mut self, group: &Group<'_>) -> bool {
        let ended = catch_unwind(AssertUnwindSafe(|| (self.work)(group)))
            .unwrap_or_else(|panic| Err(Error::Damaged(format!("writing to the index panicked: {}", text(&*panic)))));
        let well = ended.is_ok();
        self.ended = Some(ended);
        well
    }

    fn answer(self: Box<Self>, otherwise: Option<Error>) {
        let ended = self.ended.unwrap_or(Err(Error::Closed));
        self.answer.give(otherwise.map_or(ended, Err));
    }
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}
