//! Who may do what over HTTP: one decision before every handler.
//!
//! ```text
//! asker    what a request carries of who asks
//! link     addresses of links, before the routes: /s/<token>/x is x, asked by the link
//! proxy    who really asks, where a proxy stands in front
//! needs    what a resource asks of whoever asks for it, by its route; what is not known asks for an administrator
//! decide   who it is, and whether they may
//! blank    a study that may not be seen is asked for again under a name that no study has
//! sign_in  pages: signing in and out, the first administrator; provider: signing in elsewhere
//! ```
//!
//! So "not allowed" and "not there" are one: the same handler looks for what is not there. Searches are kept to what may be seen by the
//! index itself, so that pages and counts are right.

mod asker;
mod blank;
mod cookies;
mod decide;
mod fetch;
mod link;
mod needs;
mod network;
mod provider;
mod proxy;
mod record;
mod sign_in;

pub use asker::{For, Forwarded, LinkPath, Opening};
pub use blank::Blank;
pub use fetch::Line;
pub use link::{not_kept, with_links};
pub use network::Network;
pub use record::{changed as record_changed, client, stored as record_stored};

use crate::connections::Peer;
use crate::error::Problem;
use crate::guard::From;
use crate::state::App;
use ::access::{Identity, Shown, Who};
use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use axum::response::IntoResponse;
use decide::{Asked, Decision};
use needs::Needs;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// What a query may hold without being taken for another part of the address.
const IN_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'&').add(b'+').add(b'<').add(b'>');

/// What becomes of a request.
pub enum Admitted {
    /// Its handler answers.
    On(Request),
    /// It goes through the routes once more, for it names another study now.
    Anew(Request),
    /// It is answered.
    Answered(Response<Body>),
}

/// Decides on a request that passed the guard.
pub async fn admit(app: &Arc<App>, from: &From, request: Request) -> Admitted {
    match admitted(app, from, request).await {
        Ok(admitted) => admitted,
        Err(problem) => Admitted::Answered(problem.into_response()),
    }
}

async fn admitted(app: &Arc<App>, from: &From, mut request: Request) -> Result<Admitted, Problem> {
    let client = proxy::of(app, &mut request)?;
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let link = request.extensions().get::<LinkPath>().cloned();
    let needs = Needs::of(request.method(), route.as_deref(), request.uri().path());
    if needs == Needs::Nothing {
        return Ok(Admitted::On(request));
    }
    let asked = asked(app, needs, link.as_ref(), client, &mut request).await;
    if let Some(link) = link.filter(|_| needs == Needs::Page) {
        return link::open(app, &link, client, request).await;
    }
    let decision = match decide::quickly(&app.door, &asked) {
        Some(decision) => decision,
        None => {
            let asked = asked.clone();
            app.read(move |app| decide::decide(&app.door, &asked).map_err(Problem::internal)).await?
        }
    };
    match decision {
        Decision::Pass(identity) => {
            check_origin(&asked, from, request.method(), request.headers())?;
            check_pace(app, &identity)?;
            record::admitted(app, &asked, &identity, client).await;
            request.extensions_mut().insert(For(identity));
            Ok(Admitted::On(request))
        }
        Decision::Hidden(identity) => {
            check_pace(app, &identity)?;
            let mut request = app.blank.instead(request);
            request.extensions_mut().insert(For(identity));
            Ok(Admitted::Anew(request))
        }
        Decision::Forbidden => Err(Problem::forbidden("you may not do that here")),
        Decision::NoLink => {
            app.door.pace.unknown(client).map_err(|_| too_often())?;
            Err(Problem::not_found("link, or it has ended"))
        }
        Decision::SignIn { wrong } => {
            if wrong {
                app.door.pace.unknown(client).map_err(|_| too_often())?;
            }
            Ok(Admitted::Answered(sign_in(needs, &request)))
        }
    }
}

async fn asked(app: &App, needs: Needs, link: Option<&LinkPath>, client: IpAddr, request: &mut Request) -> Asked {
    let headers = request.headers();
    let by_cookie = link.is_none() && !headers.contains_key(header::AUTHORIZATION);
    let forwarded = ["forwarded", "x-forwarded-for", "via"].iter().any(|name| headers.contains_key(*name));
    let near = client.to_canonical().is_loopback() && !forwarded;
    let shown = shown(app, link, headers);
    let right = needs::right(request.method());
    let studies = match needs {
        Needs::Studies => studies_of_path(request).await,
        Needs::Named => blank::named(request.uri()),
        _ => Vec::new(),
    };
    Asked { needs, right, shown, is_link: link.is_some(), by_cookie, near, studies }
}

/// What is shown: a link's address before a header, a header before a cookie.
fn shown(app: &App, link: Option<&LinkPath>, headers: &HeaderMap) -> decide::Showing {
    use decide::Showing;
    if let Some(link) = link {
        let opened = cookies::value(headers, &cookies::opened_name(app, &link.token));
        return Shown::link(&link.token, opened).map_or(Showing::Wrong, Showing::This);
    }
    let mut authorizations = headers.get_all(header::AUTHORIZATION).iter();
    match (authorizations.next(), authorizations.next()) {
        (None, _) => {}
        (Some(value), None) => {
            let bearer = value.to_str().ok().and_then(|text| {
                let (scheme, token) = text.split_once(' ')?;
                scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
            });
            let signed = |text: &str| app.door.provider.is_some().then(|| Shown::token(text));
            return bearer
                .and_then(|text| Shown::key(text).or_else(|| signed(text)))
                .map_or(Showing::Wrong, Showing::This);
        }
        _ => return Showing::Wrong,
    }
    match cookies::value(headers, cookies::session_name(app)) {
        None => Showing::Nothing,
        // Of an old session: whoever has it signs in again.
        Some(text) => Shown::session(text).map_or(Showing::Nothing, Showing::This),
    }
}

/// The studies that a path names, as its handler will read them.
async fn studies_of_path(request: &mut Request) -> Vec<String> {
    let (mut parts, body) = std::mem::take(request).into_parts();
    let named = RawPathParams::from_request_parts(&mut parts, &()).await;
    let study = named.ok().and_then(|named| Some(named.iter().find(|(name, _)| *name == "study")?.1.to_owned()));
    *request = Request::from_parts(parts, body);
    // What is no UID names nothing, and is told so.
    study.into_iter().filter(|text| dicom::Uid::parse(text).is_some_and(|uid| uid.as_str() == text)).collect()
}

/// A cookie is sent along by a browser whoever asks it to, and it may stand on the machine itself: what changes something by that is asked for by a
/// page of ours (CSRF).
fn check_origin(asked: &Asked, from: &From, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    let safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let by_itself = asked.by_cookie && asked.is_shown() || asked.needs == Needs::Keeper;
    if safe || !by_itself || is_of_our_page(from, headers) {
        return Ok(());
    }
    Err(Problem::forbidden("a page of another site asks for this"))
}

/// Was this asked for by a page of ours, or by no page at all?
fn is_of_our_page(from: &From, headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(|value| value.as_bytes());
    *from == From::Here && site.is_none_or(|site| site == b"same-origin" || site == b"none")
}

fn check_pace(app: &App, identity: &Identity) -> Result<(), Problem> {
    if let Who::Link { id, .. } = identity.who() {
        app.door.pace.link(*id).map_err(|_| too_often())?;
    }
    app.door.pace.known(identity.who()).map_err(|_| Problem::too_often("too many requests a second: wait a little"))
}

fn too_often() -> Problem {
    Problem::too_often("too many tries: wait a little")
}

/// A person is led to the page where one signs in and back; a program is told.
fn sign_in(needs: Needs, request: &Request) -> Response<Body> {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if matches!(needs, Needs::Page | Needs::Operator | Needs::Keeper)
        && *request.method() == Method::GET
        && accept.contains("text/html")
    {
        let to = request.uri().path_and_query().map_or("/", |to| to.as_str());
        let at = format!("/sign-in?to={}", utf8_percent_encode(to, IN_QUERY));
        return redirect(&at);
    }
    Problem::sign_in().into_response()
}

/// 303: a GET of another address.
fn redirect(to: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, HeaderValue::try_from(to).unwrap_or(HeaderValue::from_static("/")));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The other end of the connection; without one (in tests), a documentation address.
fn peer(request: &Request) -> IpAddr {
    request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), |Peer(address)| *address)
}

/// The pages where one signs in.
pub fn routes() -> Router<Arc<App>> {
    sign_in::routes().merge(provider::routes())
}
