//! Bytes on the port of DIMSE (PS3.8), and tokens of an identity provider (RFC 7519) that it did not make.

use access::{Fetch, Provider, ProviderSettings};
use archive::{Archive, Options};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Who has not been answered by then has found a thread that hangs.
const PATIENCE: Duration = Duration::from_secs(20);

static DIMSE: LazyLock<Listening> = LazyLock::new(Listening::new);
static PROVIDER: LazyLock<Provider> = LazyLock::new(provider);

struct Listening {
    address: SocketAddr,
    _runtime: Runtime,
    _folder: TempDir,
}

impl Listening {
    fn new() -> Listening {
        let folder = TempDir::new().expect("a folder for the archive");
        let archive = Archive::open(folder.path(), Options::default()).expect("an archive");
        let runtime = Runtime::new().expect("a runtime");
        let address = runtime.block_on(async {
            let server = dimse::Server::bind(([127, 0, 0, 1], 0).into(), config(archive)).await.expect("a port");
            let address = server.address().expect("its address");
            tokio::spawn(server.run(std::future::pending::<()>()));
            address
        });
        Listening { address, _runtime: runtime, _folder: folder }
    }
}

/// Whatever a caller sends and then says no more: the connection is closed.
pub fn association(data: &[u8]) {
    let mut stream = TcpStream::connect(DIMSE.address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    // It may be closed before all is sent.
    let _ = stream.write_all(data).and_then(|()| stream.shutdown(Shutdown::Write));
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert!(error.kind() != std::io::ErrorKind::WouldBlock, "it is not closed");
    }
}

/// Nobody gets in by a token that no key of the provider signed.
pub fn token(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(PROVIDER.identify(text).is_err(), "a forged token");
    }
}

fn config(archive: Archive) -> dimse::Config {
    let title = "FIRSTLIGHT".parse().expect("a title");
    let access = dimse::Access { title, peers: Vec::new(), may_store: true, grants: Vec::new() };
    dimse::Config { archive, access, limits: dimse::Limits::default(), tls: None, calls: None }
}

/// A provider whose keys are those of RFC 7517 A.1 and RFC 8037 A.2.
fn provider() -> Provider {
    let settings = ProviderSettings {
        issuer: ISSUER.into(),
        audience: "firstlight".into(),
        client: None,
        client_secret: None,
        scopes: "openid".into(),
        rules: Vec::new(),
    };
    Provider::new(settings, Box::new(Said))
}

const ISSUER: &str = "https://provider.example.org";
const KEYS: &str = r#"{"keys":[
{"kty":"EC","crv":"P-256","kid":"1","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"},
{"kty":"OKP","crv":"Ed25519","kid":"2","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// What the provider says.
struct Said;

impl Fetch for Said {
    fn get(&self, url: &str) -> Result<Vec<u8>, String> {
        Ok(match url.ends_with("/keys") {
            true => KEYS.into(),
            false => format!(r#"{{"issuer":"{ISSUER}","jwks_uri":"{ISSUER}/keys"}}"#).into_bytes(),
        })
    }

    fn post(&self, _: &str, _: &[(&str, &str)], _: Option<(&str, &str)>) -> Result<Vec<u8>, String> {
        Err("nobody signs in here".into())
    }
}
