//! Who may call and where they are: AE titles (PS3.8 9.3.2) and addresses.

use std::fmt;
use std::net::{IpAddr, ToSocketAddrs};
use std::str::FromStr;

/// What is behind the port of a peer that speaks TLS.
const TLS: &str = "/tls";

/// An Application Entity: its title, and where it listens. Written `AE@host:port`, with TLS `AE@host:port/tls`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its AE title.
    pub title: AeTitle,
    /// Name or address of its machine.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// It speaks TLS: called, and when it calls.
    pub tls: bool,
}

/// An AE title: 1 to 16 characters of ASCII without backslash, blanks around it left out (PS3.5 6.2).
#[derive(Debug, Clone)]
pub struct AeTitle(String);

impl AeTitle {
    /// The title.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Is it this one? Blanks around it and the case of letters make no difference: peers get both wrong.
    pub fn is(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other.trim())
    }
}

impl PartialEq for AeTitle {
    fn eq(&self, other: &AeTitle) -> bool {
        self.is(&other.0)
    }
}

impl Eq for AeTitle {}

impl fmt::Display for AeTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for AeTitle {
    type Err = String;

    fn from_str(text: &str) -> Result<AeTitle, String> {
        let title = text.trim();
        let plain = title.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'\\');
        if title.is_empty() || title.len() > 16 || !plain {
            return Err(format!("\"{}\" is no AE title: 1 to 16 plain characters", title.escape_debug()));
        }
        Ok(AeTitle(title.to_owned()))
    }
}

/// The peer of this title: the one that is written so, else one that differs in the case of letters only.
pub fn named<'a>(peers: impl Iterator<Item = &'a Peer> + Clone, title: &str) -> Option<&'a Peer> {
    let exactly = peers.clone().find(|peer| peer.title.as_str() == title.trim());
    exactly.or_else(|| peers.clone().find(|peer| peer.title.is(title)))
}

/// A title that two peers in different places have: C-MOVE could not tell which is meant.
pub fn ambiguous(peers: &[Peer]) -> Option<&AeTitle> {
    let other = |one: &Peer, two: &Peer| {
        one.title.as_str() == two.title.as_str() && (&one.host, one.port, one.tls) != (&two.host, two.port, two.tls)
    };
    let found = peers.iter().enumerate().find(|(n, one)| peers[..*n].iter().any(|two| other(one, two)));
    found.map(|(_, peer)| &peer.title)
}

impl Peer {
    /// Is this one of the addresses that its name stands for now?
    pub fn is_at(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let addresses = (self.host.as_str(), self.port).to_socket_addrs();
        addresses.is_ok_and(|mut found| found.any(|a| a.ip().to_canonical() == address))
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let brackets = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        let tls = if self.tls { TLS } else { "" };
        write!(f, "{}@{}{}{}:{}{tls}", self.title, brackets.0, self.host, brackets.1, self.port)
    }
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Peer, String> {
        let wrong = || format!("\"{}\" is no peer: write AE@host:port, with TLS AE@host:port/tls", text.escape_debug());
        let (place, tls) = text.strip_suffix(TLS).map_or((text, false), |place| (place, true));
        let (title, address) = place.rsplit_once('@').ok_or_else(wrong)?;
        let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
        if host.is_empty() || host.contains([' ', '/']) {
            return Err(wrong());
        }
        Ok(Peer { title: title.parse()?, host: host.to_owned(), port, tls })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_as_they_are_written() {
        for text in ["CT1@10.0.0.7:104", "MY PACS@pacs.example.org:11112", "A@[::1]:4242", "A@[::1]:2762/tls"] {
            assert_eq!(text.parse::<Peer>().map(|peer| peer.to_string()).as_deref(), Ok(text));
        }
        for wrong in [
            "",
            "CT1",
            "CT1@host",
            "@host:104",
            "CT1@:104",
            "CT1@host:0",
            "CT1@host:70000",
            "A\\B@h:1",
            "A@h:1/ssl",
            "A@h/tls",
        ] {
            assert!(wrong.parse::<Peer>().is_err(), "{wrong}");
        }
        assert!("SEVENTEENLETTERS7@h:1".parse::<Peer>().is_err());
    }

    #[test]
    fn titles_by_letters_not_by_case() {
        let title: AeTitle = " Store1 ".parse().unwrap();
        assert!(title.is("STORE1  ") && !title.is("STORE2"));
    }

    #[test]
    fn titles_that_differ_in_case_are_two_peers() {
        let peers = ["ct@h:1", "CT@h:2", "MR@h:3"].map(|text| text.parse::<Peer>().unwrap());
        let port = |title| named(peers.iter(), title).map(|peer| peer.port);
        assert_eq!([port("CT "), port("ct"), port("mr"), port("US")], [Some(2), Some(1), Some(3), None]);
        assert_eq!(ambiguous(&peers), None);
        let twice = ["CT@h:1", "MR@h:1", "CT@h:1"].map(|text| text.parse::<Peer>().unwrap());
        assert_eq!(ambiguous(&twice), None, "the same one is said twice");
        let two = ["CT@h:1", "MR@h:1", "CT@i:1"].map(|text| text.parse::<Peer>().unwrap());
        assert_eq!(ambiguous(&two).map(AeTitle::as_str), Some("CT"));
    }

    #[test]
    fn a_peer_is_where_its_name_says() {
        let peer: Peer = "A@127.0.0.1:104".parse().unwrap();
        assert!(peer.is_at("127.0.0.1".parse().unwrap()) && peer.is_at("::ffff:127.0.0.1".parse().unwrap()));
        assert!(!peer.is_at("127.0.0.2".parse().unwrap()));
    }
}
