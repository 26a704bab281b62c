//! Addresses of links: `/s/<token>/x` is `x`, asked by whoever has the link. The token goes no further than to the door: what follows
//! sees the address without it, and so does the log.

use super::asker::{BEFORE, LinkPath, Opening};
use super::{Admitted, cookies, record, redirect, sign_in};
use crate::error::Problem;
use crate::state::App;
use ::access::Who;
use ::access::record::Kind;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Method, Response, Uri, header};
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::Service;

/// The page that a link opens.
const PAGE: &str = "/light/";

/// The routes, also by the addresses of links.
pub fn with_links(routes: Router) -> Router {
    Router::new().fallback_service(Links { routes })
}

#[derive(Clone)]
struct Links {
    routes: Router,
}

impl Service<Request> for Links {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        if let Some((link, uri)) = split(request.uri()) {
            *request.uri_mut() = uri;
            request.extensions_mut().insert(link);
        }
        Box::pin(self.routes.clone().call(request))
    }
}

/// The link of an address, and the address without it.
fn split(uri: &Uri) -> Option<(LinkPath, Uri)> {
    let rest = uri.path().strip_prefix(BEFORE)?;
    let (token, below) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let is_root = below.is_empty() || below == "/";
    // A link within a link is none.
    let below = if is_root { PAGE } else { below };
    let target = uri.query().map_or(below.to_owned(), |query| format!("{below}?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target.parse::<PathAndQuery>().ok()?);
    Some((LinkPath { token: token.to_owned(), is_root }, Uri::from_parts(parts).ok()?))
}

/// Opens the page of a link. Where its uses are counted, who follows it says so first: programs that look at links in mails open nothing.
pub async fn open(app: &Arc<App>, link: &LinkPath, client: IpAddr, mut request: Request) -> Result<Admitted, Problem> {
    if !link.is_root {
        return Err(Problem::not_found("resource"));
    }
    let opened = cookies::value(request.headers(), &cookies::opened_name(app, &link.token)).map(str::to_owned);
    let takes = *request.method() == Method::POST;
    if takes && !sign_in::is_ours(app, &request) {
        return Err(Problem::forbidden("a page of another site asks for this"));
    }
    let (token, shown) = (link.token.clone(), opened.clone());
    let found = app.read(move |app| app.door.peek_share(&token, shown.as_deref()).map_err(Problem::internal)).await?;
    let Some(found) = found else { return Err(gone(app, client)) };
    if takes || !found.is_counted {
        let (token, shown) = (link.token.clone(), opened.clone());
        let taken =
            app.read(move |app| app.door.open_share(&token, shown.as_deref()).map_err(Problem::internal)).await?;
        let Some(taken) = taken else { return Err(gone(app, client)) };
        record::signed(app, Who::Link { id: taken.id, name: taken.name.clone() }, client, Kind::SignIn);
        if takes {
            let mut response = redirect(&format!("{}/", link.prefix()));
            let mark = taken.secret.and_then(|mark| cookies::opened(app, &link.token, &mark.text()));
            mark.map(|mark| response.headers_mut().append(header::SET_COOKIE, mark));
            return Ok(Admitted::Answered(response));
        }
    } else if !found.is_opened {
        return Ok(Admitted::Answered(sign_in::ask_to_open(request.method(), request.headers(), found.uses)));
    }
    request.extensions_mut().insert(Opening { name: found.name, studies: found.studies });
    Ok(Admitted::On(request))
}

/// A link that is none, or has ended. Guesses are slowed down.
fn gone(app: &App, client: IpAddr) -> Problem {
    match app.door.pace.unknown(client) {
        Ok(()) => Problem::not_found("link, or it has ended"),
        Err(_) => super::too_often(),
    }
}

/// No cache keeps the page of a link.
pub fn not_kept(response: &mut Response<Body>) {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert("x-robots-tag", HeaderValue::from_static("noindex, nofollow"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_taken_off() {
        let of =
            |uri: &str| split(&uri.parse().unwrap()).map(|(link, uri)| (link.token, link.is_root, uri.to_string()));
        assert_eq!(
            of("/s/abc/dicom-web/studies?limit=1"),
            Some(("abc".into(), false, "/dicom-web/studies?limit=1".into()))
        );
        assert_eq!(of("/s/abc"), Some(("abc".into(), true, "/light/".into())));
        assert_eq!(of("/s/abc/?study=1.2"), Some(("abc".into(), true, "/light/?study=1.2".into())));
        assert_eq!(of("https://h:1/s/abc/session"), Some(("abc".into(), false, "https://h:1/session".into())));
        assert_eq!(of("/s/abc/s/def/status.json").map(|found| found.2), Some("/s/def/status.json".into()));
        assert_eq!((of("/dicom-web/studies"), of("/start.css")), (None, None));
    }
}
