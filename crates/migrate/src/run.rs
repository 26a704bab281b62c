//! The run: work goes out to the threads, results come back, and what came back is recorded in the log, then in the
//! journal, then counted.

use crate::control::Control;
use crate::error::{Error, Usage};
use crate::item_worker::{self, Shared};
use crate::journal::{Counts, Ended, Journal, Kind, Row, Way};
use crate::log::Log;
use crate::queue::Queue;
use crate::throttle::{Hold, Limits, Throttle};
use files::{Done, Notice, Outcome, Publisher, Record, StagedOutput};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Items read from the journal at once.
const AHEAD: usize = 256;
/// Entries of one packed stream that are done in one pass over it.
const STREAM: usize = 4096;
/// Results recorded together: at most so many, or those of so long.
const TOGETHER: usize = 256;
const WAIT: Duration = Duration::from_millis(100);
/// How often news is told, and what the user said is heard.
const LOOK: Duration = Duration::from_millis(250);
const RENEW: Duration = Duration::from_secs(15);
/// After so many failures in a row it is asked whether the source is still there.
const FAILURES: usize = 20;

/// What is to be run.
pub(crate) struct Settings<'a> {
    pub sources: Vec<i64>,
    /// Folders and files that must be there.
    pub roots: Vec<PathBuf>,
    pub name: &'static str,
    pub limits: Limits,
    pub shared: Shared<'a>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Nothing waits any more.
    Finished,
    /// It was stopped; the same command goes on.
    Stopped,
}

/// News of a run.
#[derive(Debug)]
pub enum News<'a> {
    /// What a user should be told of one item.
    Notice(&'a Notice),
    /// What became of an item, now that it is recorded.
    Record(&'a Record),
    /// How it stands; told a few times a second.
    Look(&'a Snapshot),
}

/// How a run stands.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// What is recorded.
    pub counts: Counts,
    /// Items that this run did.
    pub done: u64,
    /// Items a second, over the last minute.
    pub items_rate: f64,
    /// Bytes a second, over the last minute.
    pub bytes_rate: f64,
    /// Time left at that rate.
    pub left: Option<Duration>,
    /// How long this run runs.
    pub elapsed: Duration,
    /// What it may take.
    pub limits: Limits,
    /// Why nothing new is begun.
    pub hold: Option<Hold>,
}

/// A result with what the item waited with: to be placed, then done.
struct ItemResult<T = StagedOutput> {
    id: i64,
    bytes: u64,
    result: T,
}

pub(crate) fn run(journal: &mut Journal, set: Settings, told: &mut dyn FnMut(News)) -> Result<Ending, Error> {
    let root = set.shared.root;
    let throttle = Throttle::new(Control::read(root).over(set.limits));
    let queue = Queue::default();
    let log = Log::open(root, set.name, journal)?;
    let counts = journal.counts(&set.sources)?;
    let cores = thread::available_parallelism().map_or(1, |n| n.get());
    let threads = set.limits.jobs.max(2 * cores).max(8);
    thread::scope(|scope| {
        let (results, inbox) = sync_channel::<ItemResult>(TOGETHER);
        // However it ends, the threads hear of it; the inbox goes before they are waited for.
        let _end = End { queue: &queue, throttle: &throttle };
        for name in 0..threads {
            let (results, queue, throttle, shared) = (results.clone(), &queue, &throttle, set.shared);
            scope.spawn(move || {
                let mut permit = None;
                let next = || {
                    drop(permit.take());
                    let leave = throttle.admit()?;
                    let rows = queue.take()?;
                    leave.spend(rows.iter().map(|row| row.bytes).sum());
                    permit = Some(leave);
                    Some(rows)
                };
                item_worker::worker_loop(shared, name, next, |row, result| {
                    // Nobody listens only when the run has ended with an error.
                    let _ = results.send(ItemResult { id: row.id, bytes: row.bytes, result });
                });
            });
        }
        drop(results);
        let mut run = Run {
            journal,
            log,
            set: &set,
            throttle: &throttle,
            queue: &queue,
            publisher: Publisher::new(root, set.shared.residues, set.shared.proofs),
            ahead: VecDeque::new(),
            after: (i64::MIN, 0),
            exhausted: false,
            out: 0,
            failures: 0,
            view: View::new(counts),
        };
        let ending = run.go(&inbox, told);
        drop(inbox);
        ending
    })
}

struct End<'a> {
    queue: &'a Queue,
    throttle: &'a Throttle,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.queue.clear();
        self.queue.close();
        self.throttle.close();
    }
}

struct Run<'a, 'b> {
    journal: &'a mut Journal,
    log: Log,
    set: &'a Settings<'b>,
    throttle: &'a Throttle,
    queue: &'a Queue,
    publisher: Publisher<'a>,
    ahead: VecDeque<Row>,
    after: (i64, i64),
    exhausted: bool,
    /// Items handed out and not come back.
    out: usize,
    failures: usize,
    view: View,
}

impl Run<'_, '_> {
    fn go(&mut self, inbox: &Receiver<ItemResult>, told: &mut dyn FnMut(News)) -> Result<Ending, Error> {
        let (mut looked, mut renewed) = (Instant::now(), Instant::now());
        let mut ended = None;
        self.look(told);
        loop {
            if ended.is_none() && self.set.shared.stop.load(Ordering::Relaxed) {
                ended = Some(self.wind_down(Ok(Ending::Stopped)));
            }
            if ended.is_none() {
                self.feed()?;
            }
            if self.out == 0 && (ended.is_some() || self.exhausted) {
                self.look(told);
                return ended.unwrap_or(Ok(Ending::Finished));
            }
            let results = self.gather(inbox, ended.is_none())?;
            if let Some(error) = self.record(results, told)? {
                ended.get_or_insert_with(|| self.wind_down(Err(error)));
            }
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                self.throttle.set(Control::read(self.set.shared.root).over(self.set.limits));
                self.look(told);
            }
            if renewed.elapsed() >= RENEW {
                renewed = Instant::now();
                // What could not be renewed now is renewed next time.
                let renewed = self.set.shared.converter.map_or(Ok(()), |converter| converter.renew());
                let _ = renewed.inspect_err(|error| tracing::warn!(%error, "leases were not renewed"));
            }
        }
    }

    /// Nothing more is begun; what is under way comes to its end.
    fn wind_down(&mut self, ending: Result<Ending, Error>) -> Result<Ending, Error> {
        self.out -= self.queue.clear();
        self.throttle.close();
        self.queue.close();
        // A thread may have taken work between the two: it does it and hands it in.
        ending
    }

    /// Hands out enough that the threads have work while what came back is put in its place.
    fn feed(&mut self) -> Result<(), Error> {
        let enough = 4 * self.throttle.limits().jobs.max(1);
        while !self.exhausted && (self.queue.len() < enough || self.out < 2 * TOGETHER) {
            // What names others comes when those have their places.
            if self.out > 0 && self.peek()?.is_some_and(Row::is_index) {
                return Ok(());
            }
            let Some(rows) = self.next()? else {
                self.exhausted = true;
                return Ok(());
            };
            self.out += rows.len();
            self.queue.put(rows);
        }
        Ok(())
    }

    /// The next item, or the next entries of one packed stream.
    fn next(&mut self) -> Result<Option<Vec<Row>>, Error> {
        if self.ahead.is_empty() {
            self.read_on()?;
        }
        let Some(first) = self.ahead.pop_front() else { return Ok(None) };
        let mut rows = vec![first];
        while rows[0].kind == Kind::Stream && rows.len() < STREAM {
            if self.ahead.is_empty() {
                self.read_on()?;
            }
            match self.ahead.pop_front_if(|row| row.kind == Kind::Stream && row.path == rows[0].path) {
                Some(row) => rows.push(row),
                None => break,
            }
        }
        Ok(Some(rows))
    }

    fn peek(&mut self) -> Result<Option<&Row>, Error> {
        if self.ahead.is_empty() {
            self.read_on()?;
        }
        Ok(self.ahead.front())
    }

    fn read_on(&mut self) -> Result<(), Error> {
        let rows = self.journal.next(&self.set.sources, self.after, AHEAD)?;
        if let Some(last) = rows.last() {
            self.after = (last.rank, last.id);
        }
        self.ahead.extend(rows);
        Ok(())
    }

    /// What comes back within a while, or all that is out; `more`: for each that comes another goes out.
    fn gather(&mut self, inbox: &Receiver<ItemResult>, more: bool) -> Result<Vec<ItemResult>, Error> {
        let began = Instant::now();
        let mut results = Vec::new();
        while results.len() < TOGETHER.min(self.out) {
            match inbox.recv_timeout(WAIT.saturating_sub(began.elapsed())) {
                Ok(result) => results.push(result),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => {
                    thread::sleep(Duration::from_millis(5));
                    break;
                }
            }
            if more {
                self.feed()?;
            }
        }
        Ok(results)
    }

    /// Records what came back; an error that is to end the run is returned once the rest is recorded.
    fn record(&mut self, results: Vec<ItemResult>, told: &mut dyn FnMut(News)) -> Result<Option<Error>, Error> {
        self.out -= results.len();
        let mut error = None;
        let mut kept = Vec::with_capacity(results.len());
        for result in self.place(results) {
            if let Some(notice) = &result.result.notice {
                told(News::Notice(notice));
            }
            // What found no room waits on.
            if result.result.full {
                error = Some(Error::Full);
                continue;
            }
            self.failures = if result.result.record.outcome == Outcome::Failed { self.failures + 1 } else { 0 };
            if self.failures >= FAILURES {
                error = error.or_else(|| self.gone(result.result.record.reason.as_deref().unwrap_or_default()));
            }
            kept.push(result);
        }
        if kept.is_empty() {
            return Ok(error);
        }
        self.log.follow(self.set.shared.root, self.set.name, self.journal)?;
        let log = self.log.add(kept.iter().map(|result| &result.result.record))?;
        let ended: Vec<Ended> = kept.iter().map(Ended::of).collect();
        self.journal.end(&ended, &log)?;
        for (ended, result) in ended.iter().zip(&kept) {
            self.view.add(ended, result.bytes);
            told(News::Record(&result.result.record));
        }
        Ok(error)
    }

    /// Puts everything in its place, on the storage.
    fn place(&mut self, results: Vec<ItemResult>) -> impl Iterator<Item = ItemResult<Done>> + use<> {
        let (waited, made): (Vec<_>, Vec<_>) = results.into_iter().map(|r| ((r.id, r.bytes), r.result)).unzip();
        let done = self.publisher.publish(made);
        waited.into_iter().zip(done).map(|((id, bytes), result)| ItemResult { id, bytes, result })
    }

    /// Is a source gone as a whole?
    fn gone(&mut self, reason: &str) -> Option<Error> {
        self.failures = 0;
        let lost = self.set.roots.iter().find(|root| !root.exists());
        match lost {
            Some(root) => Some(Usage::SourceGone(root.clone()).into()),
            None if !self.set.shared.servers.is_empty() => {
                Some(Usage::SourceFails { items: FAILURES, reason: reason.to_owned() }.into())
            }
            None => None,
        }
    }

    fn look(&mut self, told: &mut dyn FnMut(News)) {
        told(News::Look(self.view.snapshot(self.throttle)));
    }
}

impl<'a> Ended<'a> {
    fn of(result: &'a ItemResult<Done>) -> Ended<'a> {
        let record = &result.result.record;
        let written = matches!(record.outcome, Outcome::Converted | Outcome::Kept);
        let out = record.bytes_out.filter(|_| written).unwrap_or(record.bytes_in);
        Ended {
            id: result.id,
            outcome: record.outcome,
            became: record.destination.as_ref(),
            reason: record.reason.as_deref(),
            bytes: record.bytes_in,
            saved: record.bytes_in as i64 - out as i64,
            seconds: record.seconds,
            way: match (record.residue_bytes, &record.no_way_back) {
                (Some(bytes), _) => Way::Residue(bytes),
                (None, Some(_)) => Way::Never,
                (None, None) => Way::None,
            },
        }
    }
}

/// Counts and rates.
struct View {
    snapshot: Snapshot,
    started: Instant,
    bytes: u64,
    marks: VecDeque<(Instant, u64, u64)>,
}

impl View {
    const WINDOW: Duration = Duration::from_secs(60);

    fn new(counts: Counts) -> View {
        let snapshot = Snapshot { counts, ..Snapshot::default() };
        View { snapshot, started: Instant::now(), bytes: 0, marks: VecDeque::new() }
    }

    fn add(&mut self, ended: &Ended, waited: u64) {
        self.snapshot.counts.add(ended, waited);
        self.snapshot.done += 1;
        self.bytes += ended.bytes;
    }

    fn snapshot(&mut self, throttle: &Throttle) -> &Snapshot {
        let now = Instant::now();
        if self.marks.back().is_none_or(|(at, ..)| now - *at >= Duration::from_secs(1)) {
            self.marks.push_back((now, self.snapshot.done, self.bytes));
        }
        while self.marks.len() > 2 && now - self.marks[0].0 > View::WINDOW {
            self.marks.pop_front();
        }
        let (at, done, bytes) = self.marks.front().copied().unwrap_or((self.started, 0, 0));
        let time = (now - at).as_secs_f64().max(1e-3);
        let snapshot = &mut self.snapshot;
        snapshot.items_rate = (snapshot.done - done) as f64 / time;
        snapshot.bytes_rate = (self.bytes - bytes) as f64 / time;
        snapshot.elapsed = now - self.started;
        snapshot.limits = throttle.limits();
        snapshot.hold = throttle.hold();
        // Small items cost by their number, large ones by their bytes: the longer of the two.
        let (items, bytes) = snapshot.counts.waiting;
        let left = (items as f64 / snapshot.items_rate).max(bytes as f64 / snapshot.bytes_rate.max(1.0));
        snapshot.left = (time > 2.0 && snapshot.items_rate > 0.0 && left < 1e10).then(|| Duration::from_secs_f64(left));
        snapshot
    }
}
