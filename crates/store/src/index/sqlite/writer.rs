//! The one writer of the index: work that waits at the same time is committed together.
//!
//! Each piece of work runs in a savepoint of its own, so that one that fails undoes itself alone. Nobody is
//! answered before the commit of the whole group is on the storage.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use crate::Error;
use crate::index::commits::Commits;
use crate::index::ticket::Ticket;

/// At most so much work in one transaction.
const MOST: usize = 512;
/// No more work is added to a transaction that is older.
const LONGEST: Duration = Duration::from_millis(100);

/// Given the open transaction, or why there is none.
type Work = Box<dyn FnOnce(Result<&Connection, &CommitError>) -> Done + Send>;
/// Told whether the commit succeeded; sends the answer.
type Done = Box<dyn FnOnce(Result<(), &CommitError>)>;

#[derive(Debug)]
struct CommitError {
    full: bool,
    text: String,
}

pub(super) struct Writer {
    work: Option<Sender<Work>>,
    thread: Option<JoinHandle<()>>,
    commits: Arc<Commits>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> Result<Writer, Error> {
        let (sender, receiver) = channel();
        let commits = Arc::<Commits>::default();
        let counted = commits.clone();
        let thread = thread::Builder::new()
            .name("index-writer".into())
            .spawn(move || run(&connection, &receiver, &counted))
            .map_err(Error::io("starting the writer"))?;
        Ok(Writer { work: Some(sender), thread: Some(thread), commits })
    }

    pub(super) fn commits(&self) -> &Commits {
        &self.commits
    }

    pub(super) fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Ticket<T> {
        let (answer, ticket) = Ticket::new();
        let work: Work = Box::new(move |transaction| {
            let result = match transaction {
                Ok(connection) => in_savepoint(connection, work),
                Err(e) => Err(e.into()),
            };
            Box::new(move |committed| {
                answer.give(match committed {
                    Ok(()) => result,
                    Err(e) => result.and(Err(e.into())),
                });
            })
        });
        if let Some(sender) = &self.work {
            // A writer that is gone drops the work, and the ticket says so.
            let _ = sender.send(work);
        }
        ticket
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(connection: &Connection, waiting: &Receiver<Work>, commits: &Commits) {
    while let Ok(first) = waiting.recv() {
        let began = Instant::now();
        if let Err(e) = connection.execute_batch("BEGIN IMMEDIATE") {
            first(Err(&CommitError::from(&e)))(Ok(()));
            continue;
        }
        let mut done = vec![first(Ok(connection))];
        while done.len() < MOST && began.elapsed() < LONGEST && !connection.is_autocommit() {
            let Ok(next) = waiting.try_recv() else { break };
            done.push(next(Ok(connection)));
        }
        let committed = commit(connection);
        // Counted first: who is answered and asks again sees what it did.
        commits.add();
        for answer in done {
            answer(committed.as_ref().copied());
        }
    }
}

fn commit(connection: &Connection) -> Result<(), CommitError> {
    connection.execute_batch("COMMIT").map_err(|e| {
        if !connection.is_autocommit() {
            let undone = connection.execute_batch("ROLLBACK");
            let _ = undone.inspect_err(|error| tracing::error!(%error, "the index could not be rolled back"));
        }
        tracing::error!(error = %e, "the index could not be committed");
        CommitError::from(&e)
    })
}

fn in_savepoint<T>(connection: &Connection, work: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
    connection.execute_batch("SAVEPOINT work")?;
    let result = catch_unwind(AssertUnwindSafe(|| work(connection)))
        .unwrap_or_else(|panic| Err(Error::Damaged(format!("writing to the index panicked: {}", text(&*panic)))));
    match &result {
        Ok(_) => connection.execute_batch("RELEASE work")?,
        Err(_) if connection.is_autocommit() => {}
        Err(_) => connection.execute_batch("ROLLBACK TO work; RELEASE work")?,
    }
    result
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

impl From<&rusqlite::Error> for CommitError {
    fn from(e: &rusqlite::Error) -> CommitError {
        CommitError { full: e.sqlite_error_code() == Some(ErrorCode::DiskFull), text: e.to_string() }
    }
}

impl From<&CommitError> for Error {
    fn from(e: &CommitError) -> Error {
        if e.full { Error::Full } else { Error::Damaged(format!("the index could not be committed: {}", e.text)) }
    }
}
