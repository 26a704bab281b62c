//! What `serve --dimse`, `send` and `pull` work with: AE titles, addresses, and who may call.

use super::File;
use crate::args::dimse::{CallFlags, DimseCertificates, DimseFlags, PullFlags, SendFlags, TitleFlag};
use crate::failure::Failure;
use ::access::{Filter, Grants};
use dicom::Uid;
use dimse::{AeTitle, Certificates, Peer};
use serde::Deserialize;
use server::Tls;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// The AE title where none is named.
const TITLE: &str = "FIRSTLIGHT";

/// A port as a settings file may have it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Listen {
    Port(u16),
    Text(String),
}

/// What `send` works with.
#[derive(Debug)]
pub struct Send {
    pub sources: Vec<PathBuf>,
    /// Studies of the archive in this folder.
    pub studies: Option<(PathBuf, Vec<Uid>)>,
    pub peer: Peer,
    pub title: AeTitle,
    pub tls: CallTls,
    pub retries: u32,
}

/// What `pull` works with.
#[derive(Debug)]
pub struct Pull {
    pub peer: Peer,
    pub studies: Vec<Uid>,
    pub data: PathBuf,
    pub title: AeTitle,
    pub tls: CallTls,
}

/// What a peer with TLS is called with.
#[derive(Debug)]
pub struct CallTls {
    /// Who signs the certificates of peers; those of the system, where nobody is named.
    pub authorities: Option<PathBuf>,
    /// Our own certificate.
    pub own: Option<Tls>,
}

/// Completes the flags of `send`.
pub fn send(mut flags: SendFlags, mut file: File) -> Result<Send, Failure> {
    let hint = "firstlight send SRC... AE@host:port";
    let last = flags.what.pop().unwrap_or_default();
    let peer = last.to_string_lossy().parse().map_err(|wrong: String| Failure::new(wrong).hint(hint))?;
    if flags.what.is_empty() && flags.study.is_empty() {
        return Err(Failure::new("nothing to send was named").hint(hint));
    }
    let studies = match uids(&flags.study)? {
        studies if studies.is_empty() => None,
        studies => {
            let data = flags.data.or(file.data.take());
            let data =
                data.ok_or_else(|| Failure::new("--study names studies of an archive").hint("say --data DIR too"))?;
            Some((data, studies))
        }
    };
    let title = title(flags.title, &mut file)?;
    let tls = call(flags.call, &mut file)?;
    Ok(Send { sources: flags.what, studies, peer, title, tls, retries: flags.retries })
}

/// Completes the flags of `pull`.
pub fn pull(flags: PullFlags, mut file: File) -> Result<Pull, Failure> {
    let data = flags.data.or(file.data.take());
    Ok(Pull {
        peer: flags.peer,
        studies: uids(&flags.study)?,
        data: data.ok_or_else(|| {
            Failure::new("pull needs the folder of the archive").hint("say --data DIR; it is made if it is not there")
        })?,
        title: title(flags.title, &mut file)?,
        tls: call(flags.call, &mut file)?,
    })
}

fn call(flags: CallFlags, file: &mut File) -> Result<CallTls, Failure> {
    let own = super::tls(&super::or(flags.tls, std::mem::take(&mut file.tls)))?;
    // Nobody would know one of our own making.
    let own = own.filter(|tls| matches!(tls, Tls::Files { .. }));
    Ok(CallTls { authorities: flags.authorities.dimse_ca.or(file.dimse_ca.take()), own })
}

fn uids(texts: &[String]) -> Result<Vec<Uid>, Failure> {
    let uid = |text: &String| {
        Uid::check(text).map_err(|wrong| Failure::new(format!("--study \"{}\" {wrong}", text.escape_debug())))
    };
    texts.iter().map(uid).collect()
}

/// The DIMSE side of `serve`.
#[derive(Debug)]
pub struct Dimse {
    /// Without TLS.
    pub listen: Option<SocketAddr>,
    /// With TLS.
    pub secured: Option<Secured>,
    /// Who signs the certificates of peers that are called; those of the system, where nobody is named.
    pub authorities: Option<PathBuf>,
    pub title: AeTitle,
    pub peers: Vec<Peer>,
    /// Who may call may store.
    pub store: bool,
    /// What peers of these titles may; others may everything.
    pub grants: Vec<(AeTitle, Grants)>,
    /// It listens beyond this machine, and anyone may call.
    pub exposed: bool,
}

/// DIMSE over TLS.
#[derive(Debug)]
pub struct Secured {
    pub listen: SocketAddr,
    /// Who signs the certificates of callers, and what these have to show; without, nothing.
    pub callers: Option<(PathBuf, Certificates)>,
}

/// Completes the flags; `None` where DIMSE is not asked for.
pub fn dimse(
    flags: DimseFlags,
    file: &mut File,
    http: SocketAddr,
    insecure: bool,
    store: bool,
    has_tls: bool,
) -> Result<Option<Dimse>, Failure> {
    let title = title(flags.title, file)?;
    let peers = peers(super::or(flags.peer, std::mem::take(&mut file.peer)))?;
    let listen = place("dimse", flags.dimse, file.dimse.take(), http.ip())?;
    let authorities = flags.authorities.dimse_ca.or(file.dimse_ca.take());
    let asked = flags.dimse_certificates.or(file.dimse_certificates.take());
    let over_tls = place("dimse-tls", flags.dimse_tls, file.dimse_tls.take(), http.ip())?;
    let secured = over_tls.map(|listen| secured(listen, authorities.clone(), asked, has_tls)).transpose()?;
    if listen.is_none() && secured.is_none() {
        return Ok(None);
    }
    if secured.is_none() && asked.is_some() {
        return Err(Failure::new("dimse_certificates says what callers over TLS show, and nobody can call so")
            .hint("say --dimse-tls PORT too"));
    }
    let signed =
        |secured: &Secured| secured.callers.as_ref().is_some_and(|(_, asked)| *asked != Certificates::Optional);
    let far = |listen: &SocketAddr| !listen.ip().to_canonical().is_loopback();
    let over_tls = secured.as_ref().filter(|secured| !signed(secured)).map(|secured| secured.listen);
    let open = listen.into_iter().chain(over_tls).find(far).filter(|_| peers.is_empty());
    if let Some(listen) = open.filter(|_| !insecure) {
        return Err(Failure::new(format!(
            "on {listen} everyone who reaches the port would store, find and fetch every image: no peer is named"
        ))
        .hint("name who may call with --peer AE@host:port, or say --insecure"));
    }
    let grants = std::mem::take(&mut file.peer_grant).into_iter().map(PeerGrant::grants).collect::<Result<_, _>>()?;
    Ok(Some(Dimse { listen, secured, authorities, title, peers, store, grants, exposed: open.is_some() }))
}

/// A port on the address of HTTP, or an address.
fn place(
    name: &str,
    flag: Option<String>,
    file: Option<Listen>,
    address: IpAddr,
) -> Result<Option<SocketAddr>, Failure> {
    let told = flag.or(file.map(|listen| match listen {
        Listen::Port(port) => port.to_string(),
        Listen::Text(text) => text,
    }));
    let Some(text) = told else { return Ok(None) };
    let port = text.trim().parse().map(|port| SocketAddr::new(address, port));
    let listen = port.or_else(|_| text.trim().parse()).map_err(|_| {
        Failure::new(format!("--{name} {text}: no port and no address"))
            .hint(format!("say --{name} 11112, or --{name} 10.0.0.1:11112"))
    })?;
    Ok(Some(listen))
}

fn secured(
    listen: SocketAddr,
    authorities: Option<PathBuf>,
    asked: Option<DimseCertificates>,
    has_tls: bool,
) -> Result<Secured, Failure> {
    if !has_tls {
        return Err(Failure::new("--dimse-tls needs a certificate").hint("--tls CERT KEY names it and its key"));
    }
    if asked.is_some() && authorities.is_none() {
        return Err(Failure::new("nobody is named who signs the certificates of callers")
            .hint("--dimse-ca FILE names them, in PEM"));
    }
    let asked = match asked {
        None | Some(DimseCertificates::Named) => Certificates::Named,
        Some(DimseCertificates::Signed) => Certificates::Signed,
        Some(DimseCertificates::Optional) => Certificates::Optional,
    };
    Ok(Secured { listen, callers: authorities.map(|path| (path, asked)) })
}

/// What a peer may, as a settings file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerGrant {
    title: String,
    may: String,
    only: Option<Vec<String>>,
}

impl PeerGrant {
    fn grants(self) -> Result<(AeTitle, Grants), Failure> {
        let wrong = |wrong: String| Failure::new(format!("peer_grant: {wrong}"));
        let parts = self.only.map(|only| only.iter().map(|part| part.parse()).collect::<Result<_, _>>());
        let on = parts.transpose().map_err(wrong)?.map_or(Filter::All, Filter::Any);
        Ok((self.title.parse().map_err(wrong)?, Grants::one(self.may.parse().map_err(wrong)?, on)))
    }
}

/// Our own AE title.
pub fn title(flag: TitleFlag, file: &mut File) -> Result<AeTitle, Failure> {
    let title = flag.ae_title.or(file.ae_title.take()).unwrap_or_else(|| TITLE.to_owned());
    title.parse().map_err(|wrong: String| Failure::new(format!("ae_title: {wrong}")))
}

fn peers(texts: Vec<String>) -> Result<Vec<Peer>, Failure> {
    let peer = |text: String| text.trim().parse().map_err(|wrong: String| Failure::new(format!("peer: {wrong}")));
    let peers: Vec<Peer> = texts.into_iter().map(peer).collect::<Result<_, _>>()?;
    match dimse::ambiguous(&peers) {
        Some(title) => Err(Failure::new(format!("peer: two are named {title}"))
            .hint("give each its own AE title: C-MOVE and storage commitment go by it")),
        None => Ok(peers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(dimse: &str, peers: &[&str], http: &str, insecure: bool) -> Result<Option<Dimse>, Failure> {
        let flags = DimseFlags {
            dimse: Some(dimse.to_owned()),
            peer: peers.iter().map(|p| p.to_string()).collect(),
            ..DimseFlags::default()
        };
        super::dimse(flags, &mut File::default(), http.parse().unwrap(), insecure, true, false)
    }

    #[test]
    fn a_port_is_on_the_address_of_http() {
        let listen = |text| ready(text, &["A@h:1"], "10.0.0.7:80", false).unwrap().unwrap().listen.unwrap().to_string();
        assert_eq!(listen("11112"), "10.0.0.7:11112");
        assert_eq!(listen("127.0.0.1:104"), "127.0.0.1:104");
        assert!(ready("dicom", &[], "127.0.0.1:80", false).is_err());
    }

    #[test]
    fn other_machines_are_let_in_by_name_or_when_it_is_said() {
        let open = |text, peers: &[&str], insecure| {
            ready(text, peers, "127.0.0.1:80", insecure).map(|dimse| dimse.unwrap().exposed).ok()
        };
        assert_eq!(open("104", &[], false), Some(false));
        assert_eq!(open("0.0.0.0:104", &[], false), None);
        assert_eq!(open("0.0.0.0:104", &[], true), Some(true));
        assert_eq!(open("0.0.0.0:104", &["CT1@10.0.0.2:104"], false), Some(false));
        assert_eq!(open("104", &["CT1"], false), None, "a peer has an address");
        assert_eq!(open("104", &["CT1@10.0.0.2:104", "CT1@10.0.0.3:104"], false), None, "one of two that are named so");
    }

    #[test]
    fn the_file_says_it_too() {
        let text = "dimse = 11112\nae_title = \"ARCHIVE\"\npeer = [\"CT1@10.0.0.2:104\"]\n";
        let mut file: File = toml::from_str(text).unwrap();
        let ready = dimse_of(&mut file).unwrap().unwrap();
        assert_eq!((ready.title.as_str(), ready.listen.unwrap().port(), ready.peers.len()), ("ARCHIVE", 11112, 1));
        let mut file: File = toml::from_str("dimse = \"127.0.0.1:104\"\n").unwrap();
        assert_eq!(dimse_of(&mut file).unwrap().unwrap().title.as_str(), TITLE);
    }

    #[test]
    fn a_peer_may_what_the_file_says() {
        let text = "dimse = 11112\n[[peer_grant]]\ntitle = \"CT1\"\nmay = \"write\"\nonly = [\"modality=CT\"]\n";
        let ready = dimse_of(&mut toml::from_str(text).unwrap()).unwrap().unwrap();
        assert_eq!(ready.grants.len(), 1);
        for wrong in ["may = \"fly\"", "may = \"read\"\nonly = [\"name=x\"]"] {
            let text = format!("dimse = 1\n[[peer_grant]]\ntitle = \"CT1\"\n{wrong}\n");
            assert!(dimse_of(&mut toml::from_str(&text).unwrap()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn callers_over_tls_show_certificates_where_it_is_known_who_signs_them() {
        let of = |text: &str, http: &str, has_tls| {
            let mut file: File = toml::from_str(&format!("dimse_tls = 2762\n{text}")).unwrap();
            super::dimse(DimseFlags::default(), &mut file, http.parse().unwrap(), false, true, has_tls).ok().flatten()
        };
        let callers = |text: &str| of(text, "127.0.0.1:80", true).and_then(|dimse| dimse.secured).unwrap().callers;
        let ca = |asked| Some((PathBuf::from("ca.pem"), asked));
        assert_eq!(callers(""), None);
        assert_eq!(callers("dimse_ca = \"ca.pem\""), ca(Certificates::Named));
        assert_eq!(callers("dimse_ca = \"ca.pem\"\ndimse_certificates = \"signed\""), ca(Certificates::Signed));
        assert!(of("", "127.0.0.1:80", false).is_none(), "without a certificate of ours");
        assert!(of("dimse_certificates = \"signed\"", "127.0.0.1:80", true).is_none(), "signed by nobody");
        let far = |text: &str| of(text, "10.0.0.7:80", true).is_some();
        assert!(!far("") && !far("dimse_ca = \"c\"\ndimse_certificates = \"optional\""), "everyone may call");
        assert!(far("dimse_ca = \"c\"") && far("peer = [\"CT1@10.0.0.2:104/tls\"]"));
    }

    fn dimse_of(file: &mut File) -> Result<Option<Dimse>, Failure> {
        super::dimse(DimseFlags::default(), file, "127.0.0.1:80".parse().unwrap(), false, true, false)
    }
}
