//! Searches have threads of their own: a few, that yield to who hands out frames, and a queue of bounded length.
//!
//! A search may keep a core and a reader of the index busy for seconds. Where it shared threads with frames, those would wait for it.

use crate::error::{Answered, Problem};
use archive::Patience;
use rustix::process::setpriority_process;
use rustix::thread::gettid;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use tokio::sync::oneshot;
use tracing::Span;

/// Searches that wait for a thread; one more is told to come again.
const MOST_WAITING: usize = 64;
/// How far they stand back behind other threads of the process, as `nice` counts it.
const NICE: i32 = 4;

/// The threads and their queue. Threads are started with the first search, and end when this is dropped.
pub struct Searches {
    queue: Arc<Queue>,
    threads: usize,
    started: OnceLock<()>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    more: Condvar,
    /// Searches that were not begun: the queue was full, or their time was over before.
    refused: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    closed: bool,
}

struct Job {
    patience: Patience,
    run: Box<dyn FnOnce() + Send>,
}

impl Searches {
    /// No more threads than half of the cores, two at least, so that a quick search need not wait for a long one.
    pub fn new(cores: usize) -> Searches {
        Searches { queue: Arc::default(), threads: (cores / 2).clamp(2, 4), started: OnceLock::new() }
    }

    /// Runs `work` on a thread of searches. It ends when its time is over, or when whoever waits for the answer goes away, and with it the
    /// future that this makes.
    pub async fn run<T: Send + 'static>(
        &self,
        patience: Patience,
        work: impl FnOnce(&Patience) -> Answered<T> + Send + 'static,
    ) -> Answered<T> {
        let client = Client(patience.clone());
        let (answer, answered) = oneshot::channel();
        let span = Span::current();
        let searched = client.0.clone();
        let run = Box::new(move || {
            let _ = answer.send(span.in_scope(|| work(&searched)));
        });
        self.start()?;
        self.queue.add(Job { patience, run })?;
        // Without an answer it was not begun in time.
        answered.await.unwrap_or_else(|_| Err(Problem::busy()))
    }

    /// Searches that wait for a thread.
    pub fn waiting(&self) -> usize {
        self.queue.waiting().jobs.len()
    }

    /// Searches that were not begun.
    pub fn refused(&self) -> u64 {
        self.queue.refused.load(Relaxed)
    }

    fn start(&self) -> Answered<()> {
        let mut failed = None;
        self.started.get_or_init(|| {
            for _ in 0..self.threads {
                let queue = self.queue.clone();
                let thread = thread::Builder::new().name("search".into()).spawn(move || queue.work());
                failed = thread.err().or(failed.take());
            }
        });
        failed.map_or(Ok(()), |error| Err(Problem::internal(error)))
    }
}

impl Drop for Searches {
    fn drop(&mut self) {
        self.queue.waiting().closed = true;
        self.queue.more.notify_all();
    }
}

impl Queue {
    fn add(&self, job: Job) -> Answered<()> {
        let mut waiting = self.waiting();
        if waiting.jobs.len() >= MOST_WAITING {
            // Those whose clients went away make room.
            waiting.jobs.retain(|job| !job.patience.is_over());
        }
        if waiting.jobs.len() >= MOST_WAITING {
            self.refused.fetch_add(1, Relaxed);
            tracing::warn!("a search was refused: {MOST_WAITING} wait already");
            return Err(Problem::busy());
        }
        waiting.jobs.push_back(job);
        drop(waiting);
        self.more.notify_one();
        Ok(())
    }

    /// The life of a thread.
    fn work(&self) {
        if let Err(error) = setpriority_process(Some(gettid()), NICE) {
            tracing::debug!(%error, "searches have the priority of all others");
        }
        while let Some(job) = self.next() {
            if job.patience.is_over() {
                self.refused.fetch_add(1, Relaxed);
                tracing::warn!("a search was not begun: those before it took too long, or its client went away");
                continue;
            }
            // What panics in one search is that search's alone.
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job.run)).is_err() {
                tracing::error!("a search panicked");
            }
        }
    }

    /// The next one; `None` at the end.
    fn next(&self) -> Option<Job> {
        let waiting = self.more.wait_while(self.waiting(), |waiting| waiting.jobs.is_empty() && !waiting.closed);
        waiting.unwrap_or_else(PoisonError::into_inner).jobs.pop_front()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits for a search; when it is dropped, nobody does.
struct Client(Patience);

impl Drop for Client {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    fn patience() -> Patience {
        Patience::of(Duration::from_secs(3600))
    }

    #[tokio::test]
    async fn a_search_that_nobody_waits_for_is_given_up() {
        let searches = Arc::new(Searches::new(1));
        let (begun, begins) = channel();
        let (ended, ends) = channel();
        let asked = searches.clone();
        let client = tokio::spawn(async move {
            let search = asked.run(patience(), move |patience| {
                begun.send(()).unwrap();
                while !patience.is_over() {
                    thread::sleep(Duration::from_millis(1));
                }
                ended.send(()).unwrap();
                Ok(())
            });
            search.await
        });
        tokio::task::spawn_blocking(move || begins.recv().unwrap()).await.unwrap();
        client.abort();
        tokio::task::spawn_blocking(move || ends.recv_timeout(Duration::from_secs(60)).unwrap()).await.unwrap();
    }

    #[tokio::test]
    async fn the_queue_is_bounded_and_moves_on() {
        let searches = Arc::new(Searches::new(1));
        let (go, wait) = channel::<()>();
        let (wait, begun) = (Arc::new(Mutex::new(wait)), Arc::new(AtomicU64::new(0)));
        let ask = |n: usize| {
            let (searches, wait, begun) = (searches.clone(), wait.clone(), begun.clone());
            tokio::spawn(async move {
                let search = searches.run(patience(), move |_| {
                    begun.fetch_add(1, Relaxed);
                    wait.lock().unwrap().recv().unwrap();
                    Ok(n)
                });
                search.await
            })
        };
        let mut asked: Vec<_> = (0..2).map(&ask).collect();
        // The threads have taken theirs, then the queue is filled.
        while begun.load(Relaxed) < 2 {
            tokio::task::yield_now().await;
        }
        asked.extend((2..2 + MOST_WAITING).map(&ask));
        while searches.waiting() < MOST_WAITING {
            tokio::task::yield_now().await;
        }
        let refused = ask(0).await.unwrap();
        assert!(refused.is_err());
        assert_eq!(searches.refused(), 1);
        (0..asked.len()).for_each(|_| go.send(()).unwrap());
        for (n, search) in asked.into_iter().enumerate() {
            assert_eq!(search.await.unwrap().unwrap(), n);
        }
    }

    #[tokio::test]
    async fn a_panic_ends_one_search() {
        let searches = Searches::new(1);
        for _ in 0..5 {
            assert!(searches.run::<()>(patience(), |_| panic!("on purpose")).await.is_err());
        }
        assert_eq!(searches.run(patience(), |_| Ok(1)).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn one_whose_time_is_over_is_not_begun() {
        let searches = Searches::new(1);
        let over = Patience::of(Duration::ZERO);
        assert!(searches.run(over, |_| -> Answered<()> { unreachable!("its time is over") }).await.is_err());
    }
}
