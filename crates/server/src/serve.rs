//! Connections: accepted in bounds, timed, and let finish when the server stops.

use crate::config::Config;
use crate::connections::{Place, Seated, Wire};
use crate::dicomweb;
use crate::error::Error;
use crate::state::App;
use crate::tls::{self, Certificate};
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Time between two questions whether an HTTP/2 client is still there.
const PING: Duration = Duration::from_secs(30);
/// Requests of one HTTP/2 connection at once.
const STREAMS: u32 = 128;
/// Connections that wait to be accepted, as far as the system allows (`net.core.somaxconn`).
const WAITING: u32 = 4096;
/// What is being sent when the server stops has so long to end.
const LAST_TIME: Duration = Duration::from_secs(10);
/// Wait before the next connection where the system has no room for another.
const NO_ROOM: Duration = Duration::from_millis(20);

/// A server that listens and does not answer yet.
pub struct Server {
    listener: TcpListener,
    app: Arc<App>,
    router: Router,
    tls: Option<Arc<Certificate>>,
}

/// As [`serve`], on a listener that is there already.
pub async fn serve_on(listener: TcpListener, config: Config, shutdown: impl Future) -> Result<(), Error> {
    Server::on(listener, config)?.run(shutdown).await;
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
        let listener = listen(address).map_err(|source| Error::Listen { address, source })?;
        Server::on(listener, config)
    }

    /// Takes a listener that is there already; its address decides which host names are ours.
    pub fn on(listener: TcpListener, mut config: Config) -> Result<Server, Error> {
        config.address = listener.local_addr().unwrap_or(config.address);
        if let Some(url) = &config.public_url {
            config.archive.expect_root(&dicomweb::root(url));
        }
        let tls = config.tls.clone().map(Certificate::new).transpose()?.map(Arc::new);
        let app = App::new(config);
        Ok(Server { listener, router: crate::routes(app.clone()), app, tls })
    }

    /// The address it listens on.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// SHA-256 of the certificate, as browsers show it, where it speaks TLS.
    pub fn fingerprint(&self) -> Option<String> {
        self.tls.as_ref().map(|certificate| certificate.fingerprint())
    }

    /// The certificate, where it speaks TLS. It is read anew as long as the server runs.
    pub fn certificate(&self) -> Option<Arc<Certificate>> {
        self.tls.clone()
    }

    /// Answers until `shutdown` is done, then lets what is being sent end.
    pub async fn run(self, shutdown: impl Future) {
        let (speaker, graceful) =
            (Arc::new(Speaker::new(self.router, self.app.clone(), self.tls.clone())), GracefulShutdown::new());
        let connections = self.app.connections.clone();
        let mut shutdown = std::pin::pin!(shutdown);
        let forgetting = tokio::spawn(crate::forget::purged(self.app.clone()));
        let looking = self.tls.map(|certificate| tokio::spawn(look_after(certificate)));
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
        looking.inspect(|task| task.abort());
        forgetting.abort();
        // These would not end by themselves.
        self.app.sessions.close();
        self.app.followers.close();
        if tokio::time::timeout(LAST_TIME, graceful.shutdown()).await.is_err() {
            tracing::warn!("stopped while answers were still being sent");
        }
    }
}

/// Listens, with room for many who come at once: whoever finds none waits a second before the system tries again.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING)
}

/// Reads a changed certificate anew.
async fn look_after(certificate: Arc<Certificate>) {
    loop {
        tokio::time::sleep(tls::LOOK).await;
        let certificate = certificate.clone();
        let _ = tokio::task::spawn_blocking(move || certificate.look()).await;
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
    app: Arc<App>,
    tls: Option<Arc<Certificate>>,
}

impl Speaker {
    fn new(router: Router, app: Arc<App>, tls: Option<Arc<Certificate>>) -> Speaker {
        let mut builder = Builder::new(TokioExecutor::new());
        // How long anything may take, the table of connections decides.
        builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(128 << 10);
        builder.http2().timer(TokioTimer::new()).keep_alive_interval(PING).max_concurrent_streams(STREAMS);
        Speaker { builder, router, app, tls }
    }

    /// One connection, from its first byte to its end, or until it has to make room.
    async fn connection(self: Arc<Self>, stream: TcpStream, place: Place, watcher: Watcher) {
        // Small answers must not wait for more to send.
        let _ = stream.set_nodelay(true);
        let stream = Wire::new(stream, &place);
        tokio::select! {
            () = self.greet(stream, &place, watcher) => {}
            () = place.seat.closing() => {}
        }
    }

    /// Speaks TLS first, where that is to be.
    async fn greet(&self, stream: Wire, place: &Place, watcher: Watcher) {
        let Some(tls) = &self.tls else { return self.speak(stream, place, watcher).await };
        match tls.acceptor().accept(stream).await {
            Ok(stream) => self.speak(stream, place, watcher).await,
            Err(error) => tracing::debug!(%error, "no TLS"),
        }
    }

    async fn speak(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        place: &Place,
        watcher: Watcher,
    ) {
        let service = Seated::new(self.router.clone(), self.app.clone(), place);
        let connection = self.builder.serve_connection(TokioIo::new(stream), service).into_owned();
        if let Err(error) = watcher.watch(connection).await {
            // A client that goes away in the middle of a frame is normal.
            tracing::debug!(%error, "connection ended");
        }
    }
}
