//! TLS by BCP 195 (PS3.15 B.9 and those after it): versions 1.2 and 1.3, keys that are forgotten, no renegotiation, in both roles. A
//! caller may have to show a certificate too, signed by an authority that is named, and made out for the machine where the list of
//! peers says that its AE is.

use rustls::client::{ResolvesClientCert, verify_server_name};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{ParsedCertificate, ResolvesServerCert, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What callers have to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Certificates {
    /// A certificate that is signed, and made out for the machine of the peer.
    #[default]
    Named,
    /// A certificate that is signed, for whomever.
    Signed,
    /// None; one that is shown is signed.
    Optional,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file with certificates can't be read.
    #[error("cannot read certificates in {path}: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// There is nobody who could have signed a certificate.
    #[error("no authority is known that signs certificates")]
    NoAuthority,
    /// What was read can't be used.
    #[error("TLS can't be set up: {0}")]
    Unusable(#[from] rustls::Error),
    /// Those who sign the certificates of callers can't be used.
    #[error("TLS can't be set up: {0}")]
    Verifier(#[from] VerifierBuilderError),
}

/// TLS as who is called speaks it.
#[derive(Clone)]
pub struct Acceptor {
    config: Arc<ServerConfig>,
    /// Callers have to be where their certificate says.
    named: bool,
}

impl Acceptor {
    /// With this certificate of ours. `callers`: those who sign the certificates of callers, in PEM, and what is asked of these; without
    /// it none are asked for.
    pub fn new(own: Arc<dyn ResolvesServerCert>, callers: Option<(&Path, Certificates)>) -> Result<Acceptor, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let versions = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let config = match callers {
            None => versions.with_no_client_auth(),
            Some((path, certificates)) => {
                let roots = Arc::new(authorities(path)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                let verifier = match certificates {
                    Certificates::Optional => verifier.allow_unauthenticated(),
                    Certificates::Named | Certificates::Signed => verifier,
                };
                versions.with_client_cert_verifier(verifier.build()?)
            }
        };
        let named = callers.is_some_and(|(_, certificates)| certificates == Certificates::Named);
        Ok(Acceptor { config: Arc::new(config.with_cert_resolver(own)), named })
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }

    /// The certificate of a caller where it counts for whom it is made out.
    pub(crate) fn named(&self, shown: Option<&CertificateDer<'static>>) -> Option<CertificateDer<'static>> {
        shown.filter(|_| self.named).cloned()
    }
}

/// TLS as who calls speaks it.
#[derive(Clone)]
pub struct Requester(Arc<ClientConfig>);

impl std::fmt::Debug for Requester {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Requester")
    }
}

impl Requester {
    /// `signed_by`: those who sign the certificates of peers, in PEM; without it, those whom the system trusts. `own`: what is shown to a
    /// peer that asks for it.
    pub fn new(signed_by: Option<&Path>, own: Option<Arc<dyn ResolvesClientCert>>) -> Result<Requester, TlsError> {
        let roots = match signed_by {
            Some(path) => authorities(path)?,
            None => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                roots
            }
        };
        if roots.is_empty() {
            return Err(TlsError::NoAuthority);
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions()?.with_root_certificates(roots);
        Ok(Requester(Arc::new(match own {
            Some(own) => builder.with_client_cert_resolver(own),
            None => builder.with_no_client_auth(),
        })))
    }

    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        self.0.clone()
    }
}

fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let wrong = |why: String| TlsError::File { path: path.to_owned(), why };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))? {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() { Err(wrong("there is none".into())) } else { Ok(roots) }
}

/// Is the certificate made out for this machine, by name or by address?
pub fn is_for(certificate: &CertificateDer<'_>, host: &str) -> bool {
    let parsed = ParsedCertificate::try_from(certificate).ok();
    parsed.zip(ServerName::try_from(host).ok()).is_some_and(|(parsed, name)| verify_server_name(&parsed, &name).is_ok())
}
