//! TLS: the certificate of the settings, read anew when its files change; or one of our own making, to try.
//!
//! TLS 1.2 and 1.3 with HTTP/2 and HTTP/1.1 by ALPN (RFC 7301). A certificate that cannot be read later leaves the one before in place.

use rustls::client::ResolvesClientCert;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SignatureScheme};
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use tokio_rustls::TlsAcceptor;

/// Time between two looks at the files.
pub const LOOK: Duration = Duration::from_secs(5);

/// Where the certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// Files in PEM: the certificate with those that vouch for it, and its key.
    Files {
        /// The chain, the server's own first.
        certificate: PathBuf,
        /// The private key.
        key: PathBuf,
    },
    /// Made at the start for these names and addresses, and trusted by nobody: to try.
    SelfSigned(Vec<String>),
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM.
    #[error("cannot read {what} in {path}: {source}")]
    File {
        /// Certificate or key.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// There is no certificate in the file.
    #[error("there is no certificate in {0}")]
    Empty(PathBuf),
    /// Certificate and key do not go together, or are of a kind that is not known.
    #[error("the certificate and its key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    /// No certificate could be made.
    #[error("cannot make a certificate: {0}")]
    Made(#[from] rcgen::Error),
}

/// A certificate, ready for connections: of ours, and of whoever else speaks TLS for the archive.
pub struct Certificate {
    from: Tls,
    current: Arc<Current>,
    acceptor: TlsAcceptor,
    /// When the files were last changed, as far as is known.
    seen: Mutex<Option<Seen>>,
}

/// When a certificate and its key were changed.
type Seen = (SystemTime, SystemTime);

impl Certificate {
    /// Reads or makes the certificate.
    pub fn new(from: Tls) -> Result<Certificate, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let seen = Mutex::new(changed(&from));
        let key = load(&from, &provider)?;
        let current = Arc::new(Current(RwLock::new(Arc::new(key))));
        let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = versions.with_no_client_auth().with_cert_resolver(current.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Certificate { from, current, acceptor: TlsAcceptor::from(Arc::new(config)), seen })
    }

    /// The certificate as it is at the time, for others who are called by the same name.
    pub fn when_called(&self) -> Arc<dyn ResolvesServerCert> {
        self.current.clone()
    }

    /// The same, for showing it to others who are called.
    pub fn when_calling(&self) -> Arc<dyn ResolvesClientCert> {
        self.current.clone()
    }

    /// Takes connections.
    pub(crate) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// Reads the files anew if they have changed. Call it where that may block.
    pub fn look(&self) {
        let now = changed(&self.from);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if now.is_none() || *seen == now {
            return;
        }
        match load(&self.from, &ring::default_provider()) {
            Ok(key) => {
                self.current.set(key);
                *seen = now;
                tracing::info!("the certificate was read anew");
            }
            // Its two files may be changed one after the other: it is tried again.
            Err(error) => tracing::error!(%error, "the certificate that was read before is kept"),
        }
    }

    /// SHA-256 of the server's own certificate, as browsers show it.
    pub fn fingerprint(&self) -> String {
        let key = self.current.get();
        let digest = Sha256::digest(key.cert.first().map_or(&[][..], |certificate| certificate));
        digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    }
}

/// The certificate that new connections get.
struct Current(RwLock<Arc<CertifiedKey>>);

impl Current {
    fn get(&self) -> Arc<CertifiedKey> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, key: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.get())
    }
}

impl ResolvesClientCert for Current {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.get())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}

fn load(from: &Tls, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let (chain, key) = match from {
        Tls::Files { certificate, key } => (read_chain(certificate)?, read_key(key)?),
        Tls::SelfSigned(names) => {
            let made = rcgen::generate_simple_self_signed(names.clone())?;
            let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
            (vec![made.cert.der().clone()], PrivateKeyDer::Pkcs8(key))
        }
    };
    Ok(CertifiedKey::from_der(chain, key, provider)?)
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let error = |source| TlsError::File { what: "the certificate", path: path.to_owned(), source };
    let chain = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(error)?;
    if chain.is_empty() { Err(TlsError::Empty(path.to_owned())) } else { Ok(chain) }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|source| TlsError::File {
        what: "the key",
        path: path.to_owned(),
        source,
    })
}

/// When the files were changed; `None` where there are none.
fn changed(from: &Tls) -> Option<Seen> {
    let Tls::Files { certificate, key } = from else { return None };
    let time = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    Some((time(certificate)?, time(key)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str) -> rcgen::CertifiedKey<rcgen::KeyPair> {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
        fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        made
    }

    fn files(folder: &Path) -> Tls {
        Tls::Files { certificate: folder.join("cert.pem"), key: folder.join("key.pem") }
    }

    #[test]
    fn a_changed_certificate_is_read_anew_and_a_broken_one_is_not() {
        let folder = tempfile::TempDir::new().unwrap();
        write(folder.path(), "a.example");
        let certificate = Certificate::new(files(folder.path())).unwrap();
        let first = certificate.fingerprint();
        certificate.look();
        assert_eq!(certificate.fingerprint(), first);
        write(folder.path(), "b.example");
        *certificate.seen.lock().unwrap() = Some((SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH));
        certificate.look();
        let second = certificate.fingerprint();
        assert_ne!(second, first);
        fs::write(folder.path().join("key.pem"), "no key").unwrap();
        *certificate.seen.lock().unwrap() = Some((SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH));
        certificate.look();
        assert_eq!(certificate.fingerprint(), second);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let folder = tempfile::TempDir::new().unwrap();
        let told =
            |folder: &Path| Certificate::new(files(folder)).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(told(folder.path()).contains("cannot read the certificate in"));
        write(folder.path(), "a.example");
        let other = rcgen::generate_simple_self_signed(["b.example".to_owned()]).unwrap();
        fs::write(folder.path().join("key.pem"), other.signing_key.serialize_pem()).unwrap();
        assert!(told(folder.path()).contains("cannot be used"), "{}", told(folder.path()));
        fs::write(folder.path().join("cert.pem"), "").unwrap();
        assert!(told(folder.path()).contains("no certificate"));
    }
}
