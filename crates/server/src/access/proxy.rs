//! Whom the server believes: what a proxy tells of its clients counts only where it comes from one that was named.

use super::{Forwarded, peer};
use crate::error::Problem;
use crate::state::App;
use axum::extract::Request;
use axum::http::HeaderMap;
use std::net::IpAddr;

/// Who asks: the other end of the connection, or whom a proxy names that is believed. Beyond loopback nobody else is answered then:
/// what does not come through the proxy has no TLS.
pub fn of(app: &App, request: &mut Request) -> Result<IpAddr, Problem> {
    let known = known(app, request)?;
    request.extensions_mut().insert(known);
    Ok(known.client)
}

fn known(app: &App, request: &Request) -> Result<Forwarded, Problem> {
    let peer = peer(request).to_canonical();
    let is_ours = |address| app.config.behind_proxy.iter().any(|proxy| proxy.has(address));
    if app.config.behind_proxy.is_empty() {
        return Ok(Forwarded { client: peer, https: app.config.tls.is_some() });
    }
    if is_ours(peer) {
        let (client, https) = told(request.headers(), is_ours);
        return Ok(Forwarded { client: client.unwrap_or(peer), https });
    }
    let health = ["/healthz", "/readyz"].contains(&request.uri().path());
    match peer.is_loopback() || health {
        true => Ok(Forwarded { client: peer, https: false }),
        false => Err(Problem::forbidden("this server is asked through its proxy")),
    }
}

/// The nearest address that is none of our proxies', and whether it was TLS. What stands before it may be anybody's invention.
fn told(headers: &HeaderMap, is_ours: impl Fn(IpAddr) -> bool) -> (Option<IpAddr>, bool) {
    let lines = headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok());
    let hops: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    let client = hops.iter().rev().map_while(|hop| address(hop)).find(|hop| !is_ours(*hop));
    let protocol = headers.get_all("x-forwarded-proto").iter().next_back().and_then(|line| line.to_str().ok());
    let https = protocol.and_then(|line| line.rsplit(',').next()).is_some_and(|last| last.trim() == "https");
    (client, https)
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.split(']').next());
    let plain = text.parse().ok();
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    plain.or_else(with_port).or_else(|| bare?.parse().ok()).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::super::Network;
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn the_nearest_address_that_is_not_ours_counts() {
        let ours: Network = "10.0.0.0/8".parse().unwrap();
        let of = |line: &'static str, protocol: &'static str| {
            let headers = HeaderMap::from_iter([
                ("x-forwarded-for".parse().unwrap(), HeaderValue::from_static(line)),
                ("x-forwarded-proto".parse().unwrap(), HeaderValue::from_static(protocol)),
            ]);
            let (client, https) = told(&headers, |address| ours.has(address));
            (client.map(|client| client.to_string()), https)
        };
        assert_eq!(of("1.1.1.1, 2.2.2.2, 10.0.0.3", "https"), (Some("2.2.2.2".into()), true));
        assert_eq!(of("127.0.0.1, 2.2.2.2:4711", "https, http"), (Some("2.2.2.2".into()), false));
        assert_eq!(of("[2001:db8::1]:99", "HTTPS"), (Some("2001:db8::1".into()), false));
        assert_eq!(
            of("3.3.3.3, nonsense, 10.0.0.3", ""),
            (None, false),
            "behind what can't be read nothing is believed"
        );
        assert_eq!(of("10.0.0.1, 10.0.0.2", "https"), (None, true));
    }
}
