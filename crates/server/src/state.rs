//! What all requests share.

use crate::cache::Cache;
use crate::config::Config;
use crate::error::{Answered, Problem};
use crate::guard::Guard;
use crate::metrics::Metrics;
use crate::render::room::Room;
use crate::session::Sessions;
use archive::{Archive, Patience};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tracing::Span;

/// Searches that run at once: fewer than the index has readers, so that frames never wait for them.
const SEARCHES: usize = 4;

/// Requests that store at once; each has a thread.
const STORES: usize = 64;

/// The state of the server; shared by all requests.
pub struct App {
    /// What is served.
    pub archive: Archive,
    /// How it is served.
    pub config: Config,
    /// Who may ask.
    pub guard: Guard,
    /// Counters.
    pub metrics: Metrics,
    /// Bytes made once: rendered images, decoded frames, prepared replies. Keys are entity tags.
    pub made: Cache<String, Bytes>,
    /// Consultations.
    pub sessions: Sessions,
    /// Memory for renderings.
    pub room: Room,
    /// As many as there are cores; who keeps one busy holds one.
    pub cores: Arc<Semaphore>,
    /// Searches that run at once.
    searches: Arc<Semaphore>,
    /// Requests that store at once.
    pub stores: Arc<Semaphore>,
}

impl App {
    /// State for these settings.
    pub fn new(config: Config) -> Arc<App> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Arc::new(App {
            archive: config.archive.clone(),
            guard: Guard::new(&config),
            metrics: Metrics::default(),
            made: Cache::new(config.cache_bytes),
            sessions: Sessions::default(),
            room: Room::default(),
            cores: Arc::new(Semaphore::new(cores)),
            searches: Arc::new(Semaphore::new(SEARCHES)),
            stores: Arc::new(Semaphore::new(STORES)),
            config,
        })
    }

    /// Runs what reads files or the index on a thread that may block.
    pub async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&App) -> Answered<T> + Send + 'static,
    ) -> Answered<T> {
        let (app, span) = (self.clone(), Span::current());
        tokio::task::spawn_blocking(move || span.in_scope(|| work(&app)))
            .await
            .unwrap_or_else(|error| Err(Problem::internal(error)))
    }

    /// Runs a search, a few at once. It ends when the time of the settings is over, or when the client goes away and with it the
    /// future that this makes.
    pub async fn search<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&App, &Patience) -> Answered<T> + Send + 'static,
    ) -> Answered<T> {
        let waiting = Waiting(Patience::of(self.config.search_time));
        let turn = tokio::time::timeout(waiting.0.left(), self.searches.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            tracing::warn!("a search was not begun: those before it took too long");
            return Err(Problem::busy());
        };
        let patience = waiting.0.clone();
        self.read(move |app| {
            let _turn = turn;
            work(app, &patience)
        })
        .await
    }

    /// Runs what keeps a core busy: no more at once than there are cores; who waits too long is told so.
    pub async fn compute<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&App) -> Answered<T> + Send + 'static,
    ) -> Answered<T> {
        let core = tokio::time::timeout(Duration::from_secs(20), self.cores.clone().acquire_owned()).await;
        let Ok(Ok(core)) = core else {
            tracing::warn!("no core became free in time");
            return Err(Problem::busy());
        };
        let (app, span) = (self.clone(), Span::current());
        let done = tokio::task::spawn_blocking(move || {
            let _core = core;
            span.in_scope(|| work(&app))
        });
        done.await.unwrap_or_else(|error| Err(Problem::internal(error)))
    }
}

/// Somebody who waits for a search; when it is dropped, nobody does.
struct Waiting(Patience);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[tokio::test]
    async fn a_search_that_nobody_waits_for_is_given_up() {
        let folder = tempfile::TempDir::new().unwrap();
        let archive = Archive::open(folder.path(), archive::Options::default()).unwrap();
        let mut config = Config::new(archive);
        config.search_time = Duration::from_secs(3600);
        let app = App::new(config);
        let (begun, begins) = channel();
        let (ended, ends) = channel();
        let asked = app.clone();
        let client = tokio::spawn(async move {
            asked
                .search(move |_, patience| {
                    begun.send(()).unwrap();
                    while !patience.is_over() {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    ended.send(()).unwrap();
                    Ok(())
                })
                .await
        });
        tokio::task::spawn_blocking(move || begins.recv().unwrap()).await.unwrap();
        client.abort();
        tokio::task::spawn_blocking(move || ends.recv_timeout(Duration::from_secs(60)).unwrap()).await.unwrap();
    }
}
