//! Who may ask: Host and Origin of every request, CORS, and the headers that keep browsers safe.
//!
//! A page of another site can make a browser send requests here, and by DNS rebinding it can even make them look as if
//! they were for its own name. So the name that is asked for must be one of ours, and so must the page that asks.

use crate::config::Config;
use crate::error::Problem;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use std::net::IpAddr;

/// Headers that a script of an allowed origin may read.
const EXPOSED: &str =
    "Content-Range, Content-Length, Accept-Ranges, ETag, Retry-After, Warning, X-Reason, X-Request-Id, X-Total-Count";
/// Headers that it may send.
const ALLOWED: &str = "Accept, Authorization, Content-Type, If-None-Match, If-Range, Range, Session-Participant";
/// How long a browser may remember a preflight, in seconds.
const MAX_AGE: &str = "86400";

/// The names and origins that are let in.
pub struct Guard {
    hosts: Vec<String>,
    origins: Vec<String>,
    /// Whose pages may show in a frame what comes from here.
    frames: HeaderValue,
    /// Any IP address as Host: the server listens on more than loopback. A rebound name is never an address.
    any_address: bool,
}

/// Where a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// No page, or one of our own.
    Here,
    /// A page of an allowed origin.
    Allowed(HeaderValue),
}

impl Guard {
    /// A guard for these settings.
    pub fn new(config: &Config) -> Guard {
        let mut hosts: Vec<String> = config.allowed_hosts.iter().map(|h| host_name(h).to_ascii_lowercase()).collect();
        hosts.extend(config.public_url.as_deref().and_then(authority).map(|a| host_name(a).to_ascii_lowercase()));
        let origins: Vec<String> =
            config.allowed_origins.iter().map(|o| o.trim_end_matches('/').to_ascii_lowercase()).collect();
        Guard { hosts, frames: frames(&origins), origins, any_address: !config.address.ip().is_loopback() }
    }

    /// Checks Host and Origin.
    pub fn check<B>(&self, request: &Request<B>) -> Result<From, Problem> {
        let host = asked_host(request).ok_or_else(|| Problem::bad_request("one Host is needed"))?;
        if !self.is_ours(host_name(host)) {
            return Err(Problem::forbidden(
                "this server does not answer to that host name; allowed names are set where it is started",
            ));
        }
        let mut origins = request.headers().get_all(header::ORIGIN).iter();
        let (origin, another) = (origins.next(), origins.next());
        match (origin, another) {
            (None, _) => Ok(From::Here),
            // A form of a page of ours that tells no referrer: its origin is `null`, and who sent it the browser says, which no page can.
            (Some(origin), None) if origin.as_bytes() == b"null" && is_same_origin(request.headers()) => Ok(From::Here),
            (Some(origin), None) => self.check_origin(origin, host),
            _ => Err(Problem::bad_request("more than one Origin")),
        }
    }

    fn check_origin(&self, origin: &HeaderValue, host: &str) -> Result<From, Problem> {
        let text = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        if authority(&text).is_some_and(|a| a.eq_ignore_ascii_case(host)) {
            return Ok(From::Here);
        }
        if self.origins.contains(&text) {
            return Ok(From::Allowed(origin.clone()));
        }
        Err(Problem::forbidden(
            "pages of that origin may not read from here; allowed origins are set where the server is started",
        ))
    }

    fn is_ours(&self, name: &str) -> bool {
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            Ok(address) => self.any_address || address.is_loopback() || self.hosts.iter().any(|h| h == name),
            Err(_) => {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                name == "localhost" || self.hosts.contains(&name)
            }
        }
    }

    /// Adds what a browser must know to every response.
    pub fn finish<B>(&self, from: &From, response: &mut Response<B>) {
        // What is held has its policy, and must not get another.
        let is_held = response.status() == StatusCode::NOT_MODIFIED;
        let headers = response.headers_mut();
        set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        set(headers, header::REFERRER_POLICY, "no-referrer");
        set(
            headers,
            HeaderName::from_static("cross-origin-resource-policy"),
            if *from == From::Here { "same-origin" } else { "cross-origin" },
        );
        if !headers.contains_key(header::CONTENT_SECURITY_POLICY) && !is_held {
            let page = HeaderValue::from_static("default-src 'none'; style-src 'self'; frame-ancestors 'self'");
            let policy = if is_page(headers) { page } else { self.frames.clone() };
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        if !self.origins.is_empty() {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        if let From::Allowed(origin) = from {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            set(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }
}

/// What is no page of ours can be shown in a frame by our own pages and by those that may read it, such as a document.
fn frames(origins: &[String]) -> HeaderValue {
    let policy = ["frame-ancestors 'self'"].into_iter().chain(origins.iter().map(String::as_str)).collect::<Vec<_>>();
    let told = HeaderValue::try_from(policy.join(" "));
    told.unwrap_or_else(|_| HeaderValue::from_static("frame-ancestors 'self'"))
}

/// The answer to a CORS preflight, if that is what the request is.
pub fn preflight<B>(request: &Request<B>, from: &From) -> Option<Response<axum::body::Body>> {
    let asks = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if request.method() != Method::OPTIONS || !asks || *from == From::Here {
        return None;
    }
    let mut response = Response::new(axum::body::Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    set(headers, header::ACCESS_CONTROL_ALLOW_METHODS, "DELETE, GET, HEAD, OPTIONS, POST");
    set(headers, header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED);
    set(headers, header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    if request.headers().contains_key("access-control-request-private-network") {
        set(headers, HeaderName::from_static("access-control-allow-private-network"), "true");
    }
    Some(response)
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

/// Is this something that a browser would run scripts in?
fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    kind.starts_with("text/html") || kind.starts_with("image/svg")
}

/// The authority asked for: of the target where it has one (HTTP/2), else the one Host header.
fn asked_host<B>(request: &Request<B>) -> Option<&str> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.as_str());
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok().filter(|h| !h.is_empty()),
        _ => None,
    }
}

/// `host:port` of `scheme://host:port`.
fn authority(origin: &str) -> Option<&str> {
    let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))?;
    rest.split('/').next().filter(|a| !a.is_empty())
}

/// The name without its port.
fn host_name(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|b| b.is_ascii_digit()) && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        _ => authority,
    }
}

fn is_same_origin(headers: &axum::http::HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site.as_bytes() == b"same-origin")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(any_address: bool) -> Guard {
        Guard {
            hosts: vec!["pacs.example.org".into()],
            origins: vec!["https://viewer.example.org".into()],
            frames: frames(&["https://viewer.example.org".into()]),
            any_address,
        }
    }

    fn ask(guard: &Guard, headers: &[(&str, &str)]) -> Result<From, StatusCode> {
        let mut request = Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        guard.check(&request.body(()).unwrap()).map_err(|p| p.status())
    }

    #[test]
    fn only_our_names() {
        let guard = guard(false);
        for host in [
            "localhost",
            "LOCALHOST:8042",
            "localhost.",
            "127.0.0.1",
            "127.9.9.9:1",
            "[::1]:8042",
            "[::1]",
            "pacs.example.org:80",
            "Pacs.Example.Org",
        ] {
            assert_eq!(ask(&guard, &[("host", host)]), Ok(From::Here), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "evil.example:8042",
            "[fe80::1]",
            "notlocalhost",
        ] {
            assert_eq!(ask(&guard, &[("host", host)]), Err(StatusCode::FORBIDDEN), "{host}");
        }
        assert_eq!(ask(&guard, &[]), Err(StatusCode::BAD_REQUEST));
        assert_eq!(ask(&guard, &[("host", "localhost"), ("host", "evil.example")]), Err(StatusCode::BAD_REQUEST));
    }

    #[test]
    fn addresses_when_listening_wider() {
        assert_eq!(ask(&guard(true), &[("host", "10.0.0.1:8042")]), Ok(From::Here));
        assert_eq!(ask(&guard(true), &[("host", "evil.example")]), Err(StatusCode::FORBIDDEN));
    }

    #[test]
    fn only_our_pages_and_allowed_ones() {
        let guard = guard(false);
        let from = |origin: &str| ask(&guard, &[("host", "localhost:8042"), ("origin", origin)]);
        assert_eq!(from("http://localhost:8042"), Ok(From::Here));
        assert_eq!(
            from("https://viewer.example.org"),
            Ok(From::Allowed(HeaderValue::from_static("https://viewer.example.org")))
        );
        for origin in [
            "http://localhost:5173",
            "http://127.0.0.1:8042",
            "null",
            "http://evil.example",
            "http://viewer.example.org",
            "file://",
            "",
        ] {
            assert_eq!(from(origin), Err(StatusCode::FORBIDDEN), "{origin}");
        }
    }
}
