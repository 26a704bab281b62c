//! Where the database of an index is: `postgres://user@host:port/database`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::unusable::Unusable;

/// The address of a database, without a password.
///
/// It is written as libpq writes it, with these of its parameters: `host` (a folder of sockets), `sslmode` (`disable`, `prefer`,
/// `require`, `verify-full`), `sslrootcert`, `connect_timeout`, `target_session_attrs`. Without `sslmode`, a database on another machine
/// is reached by TLS, and its certificate is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    text: String,
    pub(super) config: Config,
    /// The certificates that are trusted, instead of the system's.
    pub(super) roots: Option<PathBuf>,
    /// The connection is encrypted, or may be.
    pub(super) tls: bool,
}

/// Parameters that the driver takes as they are.
const TAKEN: [&str; 3] = ["host", "connect_timeout", "target_session_attrs"];

impl FromStr for Address {
    type Err = Unusable;

    fn from_str(text: &str) -> Result<Address, Unusable> {
        let of_us = text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://"));
        let wrong = || Unusable::Address(without_password(text).chars().take(200).collect());
        let rest = of_us.ok_or_else(wrong)?;
        if has_password(rest) {
            return Err(Unusable::Password);
        }
        let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (mut taken, mut mode, mut roots) = (Vec::new(), None, None);
        for pair in parameters.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').ok_or_else(wrong)? {
                ("sslmode", value) => mode = Some(ssl_mode(value).ok_or_else(wrong)?),
                ("sslrootcert", value) => roots = Some(PathBuf::from(decoded(value).ok_or_else(wrong)?)),
                (name, _) if TAKEN.contains(&name) => taken.push(pair),
                _ => return Err(wrong()),
            }
        }
        let driver = format!("postgres://{place}?{}", taken.join("&"));
        let mut config: Config = driver.parse().map_err(|_| wrong())?;
        if config.get_hosts().is_empty() || config.get_user().is_none() || config.get_dbname().is_none() {
            return Err(wrong());
        }
        let mode = mode.unwrap_or(if is_near(&config) { SslMode::Disable } else { SslMode::Require });
        config.ssl_mode(mode);
        Ok(Address { text: format!("postgres://{rest}"), config, roots, tls: mode != SslMode::Disable })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Are all of its hosts this very machine?
fn is_near(config: &Config) -> bool {
    config.get_hosts().iter().all(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => matches!(&**name, "localhost" | "127.0.0.1" | "::1"),
    })
}

fn ssl_mode(text: &str) -> Option<SslMode> {
    Some(match text {
        "disable" => SslMode::Disable,
        "prefer" => SslMode::Prefer,
        "require" | "verify-ca" | "verify-full" => SslMode::Require,
        _ => return None,
    })
}

fn has_password(rest: &str) -> bool {
    let of_user = rest.split_once('@').is_some_and(|(user, _)| user.contains(':'));
    of_user || rest.split(['?', '&']).any(|pair| pair.starts_with("password="))
}

/// The address as it may be shown: what may be a password is none of it.
fn without_password(text: &str) -> String {
    if has_password(text.split_once("://").map_or(text, |(_, rest)| rest)) {
        "postgres://...".into()
    } else {
        text.into()
    }
}

/// Undoes `%2F` and the like.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_are_read_and_written_the_same() {
        for text in [
            "postgres://ann@db.example/archive",
            "postgres://ann@db.example:6432/archive?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem",
            "postgres://ann@a,b:5433/archive?target_session_attrs=read-write",
            "postgres://ann@%2Frun%2Fpostgresql/archive",
            "postgres://ann@/archive?host=/run/postgresql",
        ] {
            assert_eq!(of(text).to_string(), text);
        }
        assert_eq!(of("postgresql://ann@h/archive"), of("postgres://ann@h/archive"));
        assert_eq!(of("postgres://ann@h/a?sslrootcert=/etc/a%20b").roots, Some(PathBuf::from("/etc/a b")));
    }

    #[test]
    fn other_machines_are_reached_by_tls() {
        let mode = |text: &str| of(text).config.get_ssl_mode();
        assert_eq!(mode("postgres://ann@db.example/a"), SslMode::Require);
        assert_eq!(mode("postgres://ann@localhost,db.example/a"), SslMode::Require);
        assert_eq!(mode("postgres://ann@127.0.0.1/a"), SslMode::Disable);
        assert_eq!(mode("postgres://ann@[::1]/a"), SslMode::Disable);
        assert_eq!(mode("postgres://ann@%2Frun/a"), SslMode::Disable);
        assert_eq!(mode("postgres://ann@db.example/a?sslmode=disable"), SslMode::Disable);
        assert_eq!(mode("postgres://ann@localhost/a?sslmode=require"), SslMode::Require);
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        for text in ["postgres://ann:secret@h/a", "postgres://ann@h/a?password=secret", "postgres://ann:secret@"] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(matches!(error, Unusable::Password), "{text}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let error = "mysql://ann:secret@h/a".parse::<Address>().unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "h/a",
            "postgres:/ann@h/a",
            "postgres://h/a",
            "postgres://ann@h",
            "postgres://ann@/a",
            "postgres://ann@h:port/a",
            "postgres://ann@h/a?sslmode=maybe",
            "postgres://ann@h/a?options=-c%20fsync=off",
            "postgres://ann@h/a?sslrootcert=%zz",
        ] {
            assert!(matches!(text.parse::<Address>(), Err(Unusable::Address(_))), "{text}");
        }
    }
}
