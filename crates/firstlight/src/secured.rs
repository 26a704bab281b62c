//! TLS to peers that are called over DIMSE.

use crate::failure::Failure;
use crate::settings::dimse::CallTls;
use dimse::{Peer, Requester, TlsError};
use server::Certificate;
use std::path::Path;

/// What this peer is called with; `None` where it speaks no TLS.
pub fn call(peer: &Peer, tls: CallTls) -> Result<Option<Requester>, Failure> {
    if !peer.tls {
        return Ok(None);
    }
    let own = tls.own.map(Certificate::new).transpose();
    let own = own.map_err(|error| Failure::new(error.to_string()).hint("--tls CERT,KEY names two PEM files"))?;
    requester(tls.authorities.as_deref(), own.as_ref()).map(Some)
}

/// What peers with TLS are called with.
pub fn requester(authorities: Option<&Path>, own: Option<&Certificate>) -> Result<Requester, Failure> {
    Requester::new(authorities, own.map(Certificate::when_calling)).map_err(|error| failed(&error))
}

/// Why there is none.
pub fn failed(error: &TlsError) -> Failure {
    Failure::new(format!("DIMSE over TLS: {error}")).hint("--dimse-ca names a file of certificates in PEM")
}
