//! What opens the database: by the environment or a file, never the command line.

use std::path::PathBuf;
use std::sync::Arc;
use std::{env, fs};

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::Address;
use super::unusable::Unusable;

/// A password is a line; more is something else.
const MOST: u64 = 4 << 10;

/// What opens the database.
#[derive(Clone, Default)]
pub struct Access {
    /// The password, where one is asked for.
    pub password: Option<String>,
}

impl Access {
    /// What the environment says: `FIRSTLIGHT_INDEX_PASSWORD`, the file that `FIRSTLIGHT_INDEX_PASSWORD_FILE` names, or `PGPASSWORD`.
    pub fn from_env() -> Result<Access, Unusable> {
        let told = |name| env::var(name).ok().filter(|text| !text.is_empty());
        if let Some(password) = told("FIRSTLIGHT_INDEX_PASSWORD") {
            return Ok(Access { password: Some(password) });
        }
        let file = env::var_os("FIRSTLIGHT_INDEX_PASSWORD_FILE").filter(|path| !path.is_empty());
        Ok(Access { password: file.map_or_else(|| Ok(told("PGPASSWORD")), |path| read(path.into()).map(Some))? })
    }
}

/// The first line of a file.
fn read(path: PathBuf) -> Result<String, Unusable> {
    let text = fs::metadata(&path).and_then(|facts| match facts.len() > MOST {
        true => Err(std::io::Error::other("it is too long for a password")),
        false => fs::read_to_string(&path),
    });
    let text = text.map_err(|error| Unusable::PasswordFile(path, error))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// TLS as the address wants it. Certificates are checked; where the connection is not encrypted, none are needed.
pub(super) fn tls(address: &Address) -> Result<MakeRustlsConnect, Unusable> {
    let wrong = |error: &dyn std::fmt::Display| Unusable::Certificates(error.to_string());
    let mut roots = RootCertStore::empty();
    match &address.roots {
        _ if !address.tls => {}
        Some(path) => {
            let named = |error: &dyn std::fmt::Display| Unusable::Certificates(format!("{}: {error}", path.display()));
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| named(&error))? {
                roots.add(certificate.map_err(|error| named(&error))?).map_err(|error| named(&error))?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    if address.tls && roots.is_empty() {
        return Err(wrong(&"no certificate of an authority is known; name a file with sslrootcert="));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(|error| wrong(&error))?;
    Ok(MakeRustlsConnect::new(config.with_root_certificates(roots).with_no_client_auth()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_first_line_of_a_file_is_the_password() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"se cret\nmore\n").unwrap();
        assert_eq!(read(file.path().into()).unwrap(), "se cret");
        file.write_all(&[b'x'; 5000]).unwrap();
        assert!(read(file.path().into()).unwrap_err().to_string().contains("too long"));
        assert!(read("/nowhere".into()).is_err());
    }
}
