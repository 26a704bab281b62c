//! What all requests share.

use crate::access::Blank;
use crate::cache::Cache;
use crate::changes::Followers;
use crate::config::Config;
use crate::connections::{Connections, Limits};
use crate::dicomweb::store::Turns;
use crate::error::{Answered, Problem};
use crate::guard::Guard;
use crate::known::Table;
use crate::metrics::Metrics;
use crate::render::room::Room;
use crate::searches::Searches;
use crate::session::Sessions;
use ::access::Door;
use archive::{Archive, Patience};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Span;

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
    /// Who comes in, and to what.
    pub door: Door,
    /// A study that is not there.
    pub blank: Blank,
    /// Who is connected.
    pub connections: Arc<Connections>,
    /// Counters.
    pub metrics: Metrics,
    /// Bytes made once: rendered images, decoded frames, prepared replies. Keys are entity tags.
    pub made: Cache<String, Bytes>,
    /// Where frames are that were asked for before.
    pub known: Table,
    /// Consultations.
    pub sessions: Sessions,
    /// Who listens to the feed of changes.
    pub followers: Followers,
    /// Memory for renderings.
    pub room: Room,
    /// As many as there are cores; who keeps one busy holds one.
    pub cores: Arc<Semaphore>,
    /// Requests that store at once.
    pub stores: Turns,
    /// Threads that search: fewer than the index has readers, so that frames never wait for them.
    pub searches: Searches,
}

impl App {
    /// State for these settings.
    pub fn new(config: Config) -> Arc<App> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Arc::new(App {
            archive: config.archive.clone(),
            guard: Guard::new(&config),
            door: door(&config),
            blank: Blank::default(),
            connections: Connections::new(limits(&config)),
            metrics: Metrics::default(),
            made: Cache::new(config.cache_bytes),
            known: Table::default(),
            sessions: Sessions::default(),
            followers: Followers::default(),
            room: Room::default(),
            cores: Arc::new(Semaphore::new(cores)),
            stores: Turns::new(STORES),
            searches: Searches::new(cores),
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

    /// Runs a search, a few at once, on threads that do nothing else. It ends when the time of the settings is over, or when the client goes
    /// away and with it the future that this makes.
    pub async fn search<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&App, &Patience) -> Answered<T> + Send + 'static,
    ) -> Answered<T> {
        let app = self.clone();
        self.searches.run(Patience::of(self.config.search_time), move |patience| work(&app, patience)).await
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
        self.on_core(core, work).await
    }

    /// The same for an answer that has begun: it waits for a core as long as its client does.
    pub async fn compute_on<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&App) -> Answered<T> + Send + 'static,
    ) -> Answered<T> {
        let core = self.cores.clone().acquire_owned().await.map_err(Problem::internal)?;
        self.on_core(core, work).await
    }

    async fn on_core<T: Send + 'static>(
        self: &Arc<Self>,
        core: OwnedSemaphorePermit,
        work: impl FnOnce(&App) -> Answered<T> + Send + 'static,
    ) -> Answered<T> {
        let (app, span) = (self.clone(), Span::current());
        let done = tokio::task::spawn_blocking(move || {
            let _core = core;
            span.in_scope(|| work(&app))
        });
        done.await.unwrap_or_else(|error| Err(Problem::internal(error)))
    }
}

/// Whom these settings let in.
fn door(config: &Config) -> Door {
    let door = Door::new(config.archive.clone(), config.door);
    match &config.provider {
        Some(provider) => door.with_provider(provider.clone()),
        None => door,
    }
}

fn limits(config: &Config) -> Limits {
    Limits {
        all: config.connections.max(1),
        of_client: config.connections_of_client,
        head: config.head_time,
        idle: config.idle_time,
        write: config.write_time,
    }
}
