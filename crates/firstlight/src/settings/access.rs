//! What `user`, `key`, `share` and `label` work with, and whom `serve` lets in.

use super::File;
use crate::args::access::{
    ArchiveFlag, DoorFlags, GrantFlags, KeyCommand, KeyFlags, LabelFlags, NewShareFlags, RecordFlags, ShareCommand,
    ShareFlags, UserCommand, UserFlags,
};
use crate::failure::Failure;
use ::access::record::Receiver;
use ::access::{Filter, Grants, Mode, ProviderSettings, Rule};
use dicom::Uid;
use serde::Deserialize;
use server::Network;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Whom `serve` lets in, and what it says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entrance {
    /// Whom it lets in.
    pub mode: Mode,
    /// It listens beyond this machine, and was told that it may with neither sign-in nor TLS.
    pub exposed: bool,
}

/// Where it is recorded who saw what.
#[derive(Debug, Clone)]
pub struct Record {
    pub folder: PathBuf,
    /// Files are removed that are older.
    pub keep: Option<Duration>,
    /// Who receives it too.
    pub receiver: Option<Receiver>,
}

/// Completes the flags of the record; `None`: there is none.
pub fn record(flags: RecordFlags, mode: Mode, data: &Path) -> Result<Option<Record>, Failure> {
    let receiver = flags.access_syslog.zip(flags.access_syslog_ca).map(|(place, authorities)| {
        let wrong = || {
            Failure::new(format!("--access-syslog {}: no name and port", place.escape_debug()))
                .hint("write it as audit.example.org:6514")
        };
        let (host, port) = place.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        Ok::<_, Failure>(Receiver { host: host.to_owned(), port, authorities })
    });
    let receiver = receiver.transpose()?;
    if flags.access_record.is_none() && receiver.is_none() && mode != Mode::SignIn {
        return Ok(None);
    }
    Ok(Some(Record {
        folder: flags.access_record.unwrap_or_else(|| data.join("access-record")),
        keep: flags.access_record_days.map(|days| Duration::from_secs(u64::from(days) * 86_400)),
        receiver,
    }))
}

/// A command on accounts, and the archive that has them.
#[derive(Debug)]
pub struct On<T> {
    pub data: PathBuf,
    pub command: T,
}

/// A link that is to be made, with the address it begins with.
#[derive(Debug)]
pub struct NewShare {
    pub asked: NewShareFlags,
    pub studies: Vec<Uid>,
    pub at: String,
}

/// What `share` does.
#[derive(Debug)]
pub enum Share {
    New(Box<NewShare>),
    Other(ShareCommand),
}

/// An identity provider, as the settings file names it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    issuer: String,
    audience: String,
    client_id: Option<String>,
    client_secret_file: Option<PathBuf>,
    scopes: Option<String>,
    #[serde(default)]
    grant: Vec<OidcGrant>,
}

/// Whose claim holds a value has these rights.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OidcGrant {
    claim: String,
    value: Option<String>,
    may: String,
    only: Option<Vec<String>>,
}

/// Who vouches for others.
pub fn provider(told: Option<Oidc>) -> Result<Option<ProviderSettings>, Failure> {
    let Some(told) = told else { return Ok(None) };
    let near = ["http://localhost", "http://127.0.0.1", "http://[::1]"];
    if !told.issuer.starts_with("https://") && !near.iter().any(|near| told.issuer.starts_with(near)) {
        return Err(Failure::new(format!("oidc: the issuer {} has no TLS", told.issuer))
            .hint("name it as https://..., as it is in tokens"));
    }
    let wrong = |wrong: String| Failure::new(format!("oidc: {wrong}"));
    let rule = |grant: OidcGrant| {
        let parts = grant.only.map(|only| only.iter().map(|part| part.parse()).collect::<Result<Vec<_>, _>>());
        Ok(Rule {
            claim: grant.claim,
            value: grant.value,
            may: grant.may.parse().map_err(wrong)?,
            only: parts.transpose().map_err(wrong)?,
        })
    };
    let secret = told.client_secret_file.map(|path| {
        let text = std::fs::read_to_string(&path).map_err(|e| Failure::io("read", &path, &e))?;
        Ok::<_, Failure>(text.trim().to_owned())
    });
    Ok(Some(ProviderSettings {
        rules: told.grant.into_iter().map(rule).collect::<Result<_, Failure>>()?,
        issuer: told.issuer,
        audience: told.audience,
        client: told.client_id,
        client_secret: secret.transpose()?,
        scopes: told.scopes.unwrap_or_else(|| "openid".to_owned()),
    }))
}

/// Completes the flags of `user`.
pub fn user(flags: UserFlags, file: File) -> Result<On<UserCommand>, Failure> {
    Ok(On { data: data(flags.archive, &file)?, command: flags.command })
}

/// Completes the flags of `key`.
pub fn key(flags: KeyFlags, file: File) -> Result<On<KeyCommand>, Failure> {
    Ok(On { data: data(flags.archive, &file)?, command: flags.command })
}

/// Completes the flags of `label`.
pub fn label(flags: LabelFlags, file: File) -> Result<On<LabelFlags>, Failure> {
    let data = data(ArchiveFlag { data: flags.archive.data.clone() }, &file)?;
    uid(&flags.study)?;
    Ok(On { data, command: flags })
}

/// Completes the flags of `share`.
pub fn share(flags: ShareFlags, file: File) -> Result<On<Share>, Failure> {
    let data = data(flags.archive, &file)?;
    if let Some(command) = flags.command {
        return Ok(On { data, command: Share::Other(command) });
    }
    if flags.new.studies.is_empty() {
        return Err(Failure::new("share needs the study that is shared").hint("firstlight share STUDY... --days 7"));
    }
    let studies = flags.new.studies.iter().map(|text| uid(text)).collect::<Result<_, _>>()?;
    let at = flags.new.public_url.clone().or(file.public_url).unwrap_or_else(|| {
        let listen = file.listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8042)));
        format!("{}://{listen}", if file.tls.is_empty() { "http" } else { "https" })
    });
    let new = NewShare { at: at.trim_end_matches('/').to_owned(), studies, asked: flags.new };
    Ok(On { data, command: Share::New(Box::new(new)) })
}

fn uid(text: &str) -> Result<Uid, Failure> {
    Uid::check(text).map_err(|wrong| Failure::new(format!("study \"{}\" {wrong}", text.escape_debug())))
}

fn data(flag: ArchiveFlag, file: &File) -> Result<PathBuf, Failure> {
    flag.data
        .or(file.data.clone())
        .ok_or_else(|| Failure::new("no archive was named").hint("say --data DIR: the folder given to serve"))
}

/// Rights, and the studies they are for.
pub fn grants(flags: GrantFlags) -> Grants {
    let on = if flags.only.is_empty() { Filter::All } else { Filter::Any(flags.only) };
    Grants::one(flags.may, on)
}

/// Proxies that are believed.
pub fn proxies(flags: &DoorFlags, file: &File) -> Result<Vec<Network>, Failure> {
    if !flags.behind_proxy.is_empty() {
        return Ok(flags.behind_proxy.clone());
    }
    let network = |text: &String| text.parse().map_err(|wrong: String| Failure::new(format!("behind_proxy: {wrong}")));
    file.behind_proxy.iter().map(network).collect()
}

/// Beyond this machine nobody is answered without TLS and sign-in, unless that is said: whoever reaches the port would read everything.
pub fn entrance(
    listen: SocketAddr,
    insecure: bool,
    sign_in: bool,
    tls: bool,
    proxied: bool,
) -> Result<Entrance, Failure> {
    let near = listen.ip().to_canonical().is_loopback();
    let guarded = tls || proxied;
    let mode = match () {
        () if sign_in => Mode::SignIn,
        () if insecure => Mode::OpenUntilAccounts,
        // Behind a proxy who asks is not on this machine.
        () if near && !proxied => Mode::OpenUntilAccounts,
        () => Mode::SignIn,
    };
    match near || guarded || insecure {
        true => Ok(Entrance { mode, exposed: !near && insecure && mode == Mode::OpenUntilAccounts }),
        false => Err(Failure::new(format!(
            "on {listen} names, images and passwords would go over the network in the clear: there is no TLS"
        ))
        .hint(
            "say --tls CERT KEY (--tls self-signed to try); behind a proxy that has TLS, --behind-proxy ITS-ADDRESS; or --insecure, as before: then everyone is let in",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(listen: &str, insecure: bool, sign_in: bool, tls: bool, proxied: bool) -> Option<(bool, bool)> {
        let entrance = entrance(listen.parse().unwrap(), insecure, sign_in, tls, proxied).ok()?;
        Some((entrance.mode == Mode::SignIn, entrance.exposed))
    }

    #[test]
    fn this_machine_is_open_until_it_is_said() {
        for near in ["127.0.0.1:8042", "127.9.9.9:1", "[::1]:8042", "[::ffff:127.0.0.1]:8042"] {
            assert_eq!(of(near, false, false, false, false), Some((false, false)), "{near}");
            assert_eq!(of(near, true, false, false, false), Some((false, false)), "{near}");
            assert_eq!(of(near, false, true, false, false), Some((true, false)), "{near}");
            assert_eq!(
                of(near, false, false, false, true),
                Some((true, false)),
                "{near}: the proxy is asked by others"
            );
            assert_eq!(of(near, true, false, false, true), Some((false, false)), "{near}");
        }
    }

    #[test]
    fn other_machines_are_let_in_by_sign_in_and_tls_or_when_it_is_said() {
        for far in ["0.0.0.0:8042", "[::]:8042", "10.0.0.1:80", "192.168.1.7:8042", "[::ffff:10.0.0.1]:1"] {
            assert_eq!(of(far, false, false, false, false), None, "{far}");
            assert_eq!(of(far, false, true, false, false), None, "{far}: passwords in the clear");
            assert_eq!(of(far, false, false, true, false), Some((true, false)), "{far}");
            assert_eq!(of(far, false, false, false, true), Some((true, false)), "{far}");
            assert_eq!(of(far, true, false, false, false), Some((false, true)), "{far}");
            assert_eq!(of(far, true, true, false, false), Some((true, false)), "{far}");
        }
    }
}
