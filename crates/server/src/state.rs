//! What all requests share.

use crate::cache::Cache;
use crate::config::Config;
use crate::error::{Answered, Problem};
use crate::guard::Guard;
use crate::metrics::Metrics;
use archive::Archive;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

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
    /// As many as there are cores.
    cores: Arc<Semaphore>,
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
            cores: Arc::new(Semaphore::new(cores)),
            config,
        })
    }

    /// Runs what reads files or the index on a thread that may block.
    pub async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&App) -> Answered<T> + Send + 'static,
    ) -> Answered<T> {
        let app = self.clone();
        tokio::task::spawn_blocking(move || work(&app)).await.unwrap_or_else(|error| Err(Problem::internal(error)))
    }

    /// Runs what keeps a core busy: no more at once than there are cores; who waits too long is told so.
    pub async fn compute<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&App) -> Answered<T> + Send + 'static,
    ) -> Answered<T> {
        let core = tokio::time::timeout(Duration::from_secs(20), self.cores.clone().acquire_owned()).await;
        let Ok(Ok(core)) = core else { return Err(Problem::busy()) };
        let app = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _core = core;
            work(&app)
        });
        done.await.unwrap_or_else(|error| Err(Problem::internal(error)))
    }
}
