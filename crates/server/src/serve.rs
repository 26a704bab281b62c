//! Connections: accepted in bounds, timed, and let finish when the server stops.

use crate::config::Config;
use crate::connections::{Place, Seated, Wire};
use crate::dicomweb;
use crate::error::Error;
use crate::state::App;
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

/// Time between two questions whether an HTTP/2 client is still there.
const PING: Duration = Duration::from_secs(30);
/// Requests of one HTTP/2 connection at once.
const STREAMS: u32 = 128;
/// What is being sent when the server stops has so long to end.
const LAST_TIME: Duration = Duration::from_secs(10);
/// Wait before the next connection where the system has no room for another.
const NO_ROOM: Duration = Duration::from_millis(20);

/// A server that listens and does not answer yet.
pub struct Server {
    listener: TcpListener,
    app: Arc<App>,
    router: Router,
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
        if let Some(url) = &config.public_url {
            config.archive.expect_root(&dicomweb::root(url));
        }
        let app = App::new(config);
        Server { listener, router: crate::routes(app.clone()), app }
    }

    /// The address it listens on.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Answers until `shutdown` is done, then lets what is being sent end.
    pub async fn run(self, shutdown: impl Future) {
        let (speaker, graceful) = (Arc::new(Speaker::new(self.router)), GracefulShutdown::new());
        let connections = self.app.connections.clone();
        let mut shutdown = std::pin::pin!(shutdown);
        let mut tick = tokio::time::interval(connections.tick());
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, address)) => if let Some(place) = connections.admit(address.ip()) {
                        tokio::spawn(speaker.clone().connection(stream, place, graceful.watcher()));
                    },
                    Err(error) if is_of_one(&error) => {}
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        connections.give_way();
                        tokio::time::sleep(NO_ROOM).await;
                    }
                },
                _ = tick.tick() => connections.close_late(),
                _ = &mut shutdown => break,
            }
        }
        drop(self.listener);
        // These would not end by themselves.
        self.app.sessions.close();
        if tokio::time::timeout(LAST_TIME, graceful.shutdown()).await.is_err() {
            tracing::warn!("stopped while answers were still being sent");
        }
    }
}

/// What is wrong with the one connection that was taken, and with no other.
fn is_of_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Speaks HTTP on connections.
struct Speaker {
    builder: Builder<TokioExecutor>,
    router: Router,
}

impl Speaker {
    fn new(router: Router) -> Speaker {
        let mut builder = Builder::new(TokioExecutor::new());
        // How long anything may take, the table of connections decides.
        builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(128 << 10);
        builder.http2().timer(TokioTimer::new()).keep_alive_interval(PING).max_concurrent_streams(STREAMS);
        Speaker { builder, router }
    }

    /// One connection, from its first byte to its end, or until it has to make room.
    async fn connection(self: Arc<Self>, stream: TcpStream, place: Place, watcher: Watcher) {
        // Small answers must not wait for more to send.
        let _ = stream.set_nodelay(true);
        let stream = Wire::new(stream, &place);
        tokio::select! {
            () = self.speak(stream, &place, watcher) => {}
            () = place.seat.closing() => {}
        }
    }

    async fn speak(&self, stream: impl AsyncRead + AsyncWrite + Unpin + 'static, place: &Place, watcher: Watcher) {
        let service = Seated::new(self.router.clone(), place);
        let connection = self.builder.serve_connection(TokioIo::new(stream), service).into_owned();
        if let Err(error) = watcher.watch(connection).await {
            // A client that goes away in the middle of a frame is normal.
            tracing::debug!(%error, "connection ended");
        }
    }
}
