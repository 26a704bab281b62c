//! Connections: accepted in bounds, timed, and let finish when the server stops.

use crate::config::Config;
use crate::dicomweb;
use crate::error::Error;
use crate::first_head::FirstHead;
use crate::state::App;
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// The wait for the next request of a connection, its head included, takes no longer.
const IDLE_TIME: Duration = Duration::from_secs(60);
/// Time between two questions whether an HTTP/2 client is still there.
const PING: Duration = Duration::from_secs(30);
/// What is being sent when the server stops has so long to end.
const LAST_TIME: Duration = Duration::from_secs(10);

/// A server that listens and does not answer yet.
pub struct Server {
    listener: TcpListener,
    app: Arc<App>,
    router: Router,
    connections: usize,
    head_time: Duration,
}

/// As [`serve`], on a listener that is there already.
pub async fn serve_on(listener: TcpListener, config: Config, shutdown: impl Future) -> Result<(), Error> {
    Server::on(listener, config).run(shutdown).await;
    Ok(())
}

/// Listens and answers until `shutdown` is done.
pub async fn serve(config: Config, shutdown: impl Future) -> Result<(), Error> {
    Server::bind(config).await?.run(shutdown).await;
    Ok(())
}

impl Server {
    /// Listens on the address of the settings; port 0 takes a free one.
    pub async fn bind(config: Config) -> Result<Server, Error> {
        let address = config.address;
        let listener = TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
        Ok(Server::on(listener, config))
    }

    /// Takes a listener that is there already; its address decides which host names are ours.
    pub fn on(listener: TcpListener, mut config: Config) -> Server {
        config.address = listener.local_addr().unwrap_or(config.address);
        let (connections, head_time) = (config.connections, config.head_time);
        if let Some(url) = &config.public_url {
            config.archive.expect_root(&dicomweb::root(url));
        }
        let app = App::new(config);
        Server { listener, router: crate::routes(app.clone()), app, connections, head_time }
    }

    /// The address it listens on.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Answers until `shutdown` is done, then lets what is being sent end.
    pub async fn run(self, shutdown: impl Future) {
        let builder = builder();
        let graceful = GracefulShutdown::new();
        let slots = Arc::new(Semaphore::new(self.connections));
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let accepted = async {
                let slot = slots.clone().acquire_owned().await;
                (slot, self.listener.accept().await)
            };
            let (slot, stream) = tokio::select! {
                (slot, accepted) = accepted => match accepted {
                    Ok((stream, _)) => (slot, stream),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
                _ = &mut shutdown => break,
            };
            let stream = FirstHead::within(self.head_time, prepared(stream));
            let service = TowerToHyperService::new(self.router.clone());
            let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    // A client that goes away in the middle of a frame is normal.
                    tracing::debug!(%error, "connection ended");
                }
                drop(slot);
            });
        }
        drop(self.listener);
        // These would not end by themselves.
        self.app.sessions.close();
        if tokio::time::timeout(LAST_TIME, graceful.shutdown()).await.is_err() {
            tracing::warn!("stopped while answers were still being sent");
        }
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE_TIME).max_buf_size(128 << 10);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(PING).max_concurrent_streams(256);
    builder
}

fn prepared(stream: TcpStream) -> TcpStream {
    // Small answers must not wait for more to send.
    let _ = stream.set_nodelay(true);
    stream
}
