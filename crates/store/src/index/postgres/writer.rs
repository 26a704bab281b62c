//! The one writer of this program: work that waits at the same time is committed together.
//!
//! Work that fails takes no other along: a group in which something fails is undone, and each piece is done by itself. A group that other
//! programs were in the way of, or whose connection was lost before its commit, is done again. Where the answer to a commit was lost, the
//! database is asked what became of it. Nobody is answered before the commit is on the storage.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::failing::Class;
use super::pool::{Connection, Connections};
use super::session::Session;
use super::task::{Group, Task, Work};
use super::values::get;
use crate::Error;
use crate::index::commits::Commits;
use crate::index::ticket::Ticket;

/// At most so much work in one transaction.
const MOST: usize = 512;
/// Work that lists what is new goes on beside that of other programs.
const BESIDE: &str = "BEGIN; SELECT pg_advisory_xact_lock_shared(19794994413240324)";
/// Work that takes things out of every list, or decides that their bytes go, has the index for itself: whether an object is needed is
/// not known while others list some.
const ALONE: &str = "BEGIN; SELECT pg_advisory_xact_lock(19794994413240324)";
/// No more work is added to a transaction that is older.
const LONGEST: Duration = Duration::from_millis(100);
/// How often a group that others are in the way of is done again as a group.
const TOGETHER: u32 = 3;
/// How often one piece of work is.
const ONE_BY_ONE: u32 = 20;
/// How long a database that is away is waited for: a restart takes some seconds.
pub(super) const RESTART: Duration = Duration::from_secs(15);
/// Between two tries to reach it.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

type Piece = Box<dyn Work>;

/// Why nothing of a group was committed.
enum Failure {
    /// The database is away.
    Lost(String),
    /// Others were in the way.
    Again(Option<Error>),
    /// A piece of work failed, and knows why.
    Work,
    /// Something else.
    Other(Error),
    /// Or was it? The answer was lost.
    Unknown(String),
}

pub(super) struct Writer {
    work: Option<Sender<Piece>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// One whose work is done beside that of others, many pieces at once.
    pub(super) fn beside(connections: Arc<Connections>, commits: Arc<Commits>) -> std::io::Result<Writer> {
        Writer::start(connections, commits, BESIDE)
    }

    /// One that has the index for itself for each piece of its work.
    pub(super) fn alone(connections: Arc<Connections>, commits: Arc<Commits>) -> std::io::Result<Writer> {
        Writer::start(connections, commits, ALONE)
    }

    fn start(connections: Arc<Connections>, commits: Arc<Commits>, begin: &'static str) -> std::io::Result<Writer> {
        let (sender, receiver) = channel::<Piece>();
        let run = move || {
            let mut hand = Hand { connections: &connections, connection: None, begin };
            while let Ok(first) = receiver.recv() {
                hand.commit(vec![first], Some(&receiver).filter(|_| begin == BESIDE));
                commits.add();
            }
        };
        let thread = thread::Builder::new().name("index-writer".into()).spawn(run)?;
        Ok(Writer { work: Some(sender), thread: Some(thread) })
    }

    pub(super) fn submit<T: Send + 'static>(
        &self,
        work: impl FnMut(&Group<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Ticket<T> {
        let (answer, ticket) = Ticket::new();
        if let Some(sender) = &self.work {
            // A writer that is gone drops the work, and the ticket says so.
            let _ = sender.send(Box::new(Task::new(work, answer)));
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

/// Who writes, with its connection.
struct Hand<'a> {
    connections: &'a Connections,
    connection: Option<Connection>,
    begin: &'static str,
}

impl Hand<'_> {
    /// Commits work, with what waits beside it, and answers all of it.
    fn commit(&mut self, mut works: Vec<Piece>, mut more: Option<&Receiver<Piece>>) {
        let (until, mut tries) = (Instant::now() + RESTART, 0);
        loop {
            let most = if works.len() == 1 { ONE_BY_ONE } else { TOGETHER };
            match self.attempt(&mut works, more.take()) {
                Ok(()) => return answer(works, || None),
                Err(Failure::Lost(_)) if Instant::now() < until => thread::sleep(PAUSE),
                Err(Failure::Lost(why) | Failure::Unknown(why)) => {
                    tracing::error!(error = %why, "the index could not be written");
                    return answer(works, || Some(Error::Unreachable(why.clone())));
                }
                Err(Failure::Again(_)) if tries < most => {
                    tries += 1;
                    thread::sleep(PAUSE / 10 * tries);
                }
                Err(_) if works.len() > 1 => break,
                Err(Failure::Other(error) | Failure::Again(Some(error))) => {
                    tracing::error!(%error, "the index could not be committed");
                    let mut error = Some(error);
                    return answer(works, || error.take());
                }
                Err(Failure::Work | Failure::Again(None)) => return answer(works, || None),
            }
        }
        works.into_iter().for_each(|work| self.commit(vec![work], None));
    }

    /// Does the work, and what waits beside it, in one transaction.
    fn attempt(&mut self, works: &mut Vec<Piece>, more: Option<&Receiver<Piece>>) -> Result<(), Failure> {
        let connection = match self.connection.take().filter(|connection| !connection.is_closed()) {
            Some(connection) => connection,
            None => self.connections.take().map_err(|error| match error {
                Error::Unreachable(why) => Failure::Lost(why),
                other => Failure::Other(other),
            })?,
        };
        let done = self.connections.with(&connection, None, |session| transaction(session, self.begin, works, more));
        match done {
            Ok(()) => {
                self.connection = Some(connection);
                Ok(())
            }
            Err((Failure::Unknown(why), Some(number))) => {
                drop(connection);
                self.find_out(&number, why)
            }
            Err((failure, _)) => {
                let undone = self.connections.with(&connection, None, |session| session.batch("ROLLBACK"));
                self.connection = undone.is_ok().then_some(connection);
                Err(failure)
            }
        }
    }

    /// What became of a transaction, the answer to whose commit was lost?
    fn find_out(&mut self, number: &str, why: String) -> Result<(), Failure> {
        let until = Instant::now() + RESTART;
        while Instant::now() < until {
            thread::sleep(PAUSE);
            let Ok(connection) = self.connections.take() else { continue };
            let sql = "SELECT pg_xact_status($1::text::xid8)";
            let told = self.connections.with(&connection, None, |session| {
                session.one(sql, &[&number]).and_then(|row| get::<Option<String>>(&row, 0))
            });
            match told.as_ref().map(|told| told.as_deref()) {
                Ok(Some("committed")) => {
                    self.connection = Some(connection);
                    return Ok(());
                }
                Ok(Some("aborted")) => return Err(Failure::Lost(why)),
                Ok(Some(_)) | Err(_) => {}
                Ok(None) => break,
            }
        }
        Err(Failure::Unknown(why))
    }
}

/// One transaction. What failed comes with the number of the transaction, where the commit itself failed.
fn transaction(
    session: &Session<'_>,
    begin: &str,
    works: &mut Vec<Piece>,
    more: Option<&Receiver<Piece>>,
) -> Result<(), (Failure, Option<String>)> {
    let undone = |error: Error| {
        let failure = match session.failed() {
            Some(Class::Lost) => Failure::Lost(error.to_string()),
            Some(Class::Again) => Failure::Again(Some(error)),
            _ => Failure::Other(error),
        };
        (failure, None)
    };
    session.batch(begin).map_err(undone)?;
    let group = Group::new(session);
    let failed = |_| {
        let failure = match session.failed() {
            Some(Class::Lost) => Failure::Lost("the connection was lost".into()),
            Some(Class::Again) => Failure::Again(None),
            _ => Failure::Work,
        };
        (failure, None)
    };
    let began = Instant::now();
    for work in works.iter_mut() {
        done(work, &group).map_err(failed)?;
    }
    while let Some(more) = more.filter(|_| works.len() < MOST && began.elapsed() < LONGEST) {
        let Ok(mut work) = more.try_recv() else { break };
        let ended = done(&mut work, &group);
        works.push(work);
        ended.map_err(failed)?;
    }
    let number = group.later().settle(session).map_err(undone)?;
    session.batch("COMMIT").map_err(|error| match session.failed() {
        Some(Class::Lost) => (Failure::Unknown(error.to_string()), number),
        _ => undone(error),
    })
}

/// Work failed, and knows why.
struct Failed;

fn done(work: &mut Piece, group: &Group<'_>) -> Result<(), Failed> {
    if work.attempt(group) { Ok(()) } else { Err(Failed) }
}

fn answer(works: Vec<Piece>, mut otherwise: impl FnMut() -> Option<Error>) {
    works.into_iter().for_each(|work| work.answer(otherwise()));
}
