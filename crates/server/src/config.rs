//! What the server is told at its start.

use crate::access::Network;
use crate::access_log::AccessLog;
use crate::tls::Tls;
use archive::Archive;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Settings. Make them with [`Config::new`] and change what differs.
#[derive(Clone)]
pub struct Config {
    /// What is served.
    pub archive: Archive,
    /// The folder of the archive, where it has one: the server is not ready while its disk is full.
    pub data_dir: Option<PathBuf>,
    /// Where to listen. Loopback, port 8042, unless told otherwise.
    pub address: SocketAddr,
    /// Origins of other sites (`https://viewer.example.org`) whose pages may read from here. None by default.
    pub allowed_origins: Vec<String>,
    /// Names besides the loopback ones under which this server may be asked (`pacs.example.org`).
    pub allowed_hosts: Vec<String>,
    /// The unpacked `dist` folder of `@ohif/app`.
    pub viewer_dir: Option<PathBuf>,
    /// Our own files for the viewer: those in its folder `viewer`, then those beside it, come before the viewer's.
    pub web_dir: Option<PathBuf>,
    /// Instances can be stored over HTTP.
    pub store: bool,
    /// Read Accept as the standard is written (406 included) and not as viewers mean it.
    pub strict_accept: bool,
    /// The light page says "Not for diagnosis" unless this is set: whoever sets it answers for its use.
    pub for_diagnosis: bool,
    /// The address clients see (`https://pacs.example.org`), where it is not the Host they ask for.
    pub public_url: Option<String>,
    /// Whom it lets in, and how long is remembered who it was.
    pub door: ::access::Options,
    /// Who vouches for others, where somebody does.
    pub provider: Option<Arc<::access::Provider>>,
    /// Where it is recorded who saw what.
    pub record: Option<Arc<::access::record::Book>>,
    /// Proxies whose word counts for who their clients are (`X-Forwarded-For`, `X-Forwarded-Proto`). Where some are named, beyond this
    /// machine nobody else is answered.
    pub behind_proxy: Vec<Network>,
    /// Speak TLS on the port, and nothing else.
    pub tls: Option<Tls>,
    /// A request that has not been answered by then is given up.
    pub request_timeout: Duration,
    /// The first head of a connection, and any head that has begun, is there by then, or the connection is closed.
    pub head_time: Duration,
    /// The next request of a connection begins by then, or the connection is closed.
    pub idle_time: Duration,
    /// A client that has not taken a byte of what is sent to it for so long is gone.
    pub write_time: Duration,
    /// A search that takes longer is ended.
    pub search_time: Duration,
    /// Where each request gets a line.
    pub access_log: Option<AccessLog>,
    /// Connections at once. Beyond that the least needed is closed for a new one.
    pub connections: usize,
    /// Connections of one client at once (an address, or a /64 network of IPv6); 0: as many as there are, as for a proxy.
    pub connections_of_client: usize,
    /// How long what is deleted over HTTP can be brought back.
    pub delete_grace: Duration,
    /// Bytes of memory for rendered images, decoded frames and prepared replies.
    pub cache_bytes: usize,
}

impl Config {
    /// The default port.
    pub const PORT: u16 = 8042;

    /// Defaults: loopback only, nobody else's origin, viewers' reading of Accept.
    pub fn new(archive: Archive) -> Config {
        Config {
            archive,
            data_dir: None,
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), Self::PORT),
            allowed_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            viewer_dir: None,
            web_dir: None,
            store: true,
            strict_accept: false,
            for_diagnosis: false,
            public_url: None,
            door: ::access::Options::default(),
            provider: None,
            record: None,
            behind_proxy: Vec::new(),
            tls: None,
            request_timeout: Duration::from_secs(60),
            head_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(60),
            write_time: Duration::from_secs(60),
            search_time: Duration::from_secs(10),
            access_log: None,
            connections: 1024,
            connections_of_client: 512,
            delete_grace: archive::GRACE,
            cache_bytes: 96 << 20,
        }
    }
}
