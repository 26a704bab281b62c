//! Signing in at an identity provider: the browser goes there and comes back (OpenID Connect Core 3.1).

use super::sign_in::{local, signed_in_at_provider};
use super::{Forwarded, cookies, record, redirect};
use crate::error::{Answered, Problem};
use crate::query::Parameters;
use crate::state::App;
use ::access::Refused;
use ::access::record::Kind;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, header};
use axum::routing::get;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// Where it comes back to.
const BACK: &str = "/sign-in/provider/back";

/// The ways there and back.
pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/sign-in/provider", get(go)).route(BACK, get(come_back))
}

async fn go(State(app): State<Arc<App>>, request: Request) -> Answered<Response<Body>> {
    let to = Parameters::parse(request.uri().query()).get("to").unwrap_or("/").to_owned();
    let back = format!("{}{BACK}", place(&app, &request));
    let begun = app
        .read(move |app| {
            let provider = app.door.provider.as_ref().ok_or_else(|| Problem::not_found("resource"))?;
            provider.begin(&back, local(&to)).map_err(|why| refused(&why))
        })
        .await?;
    let mut response = redirect(&begun.url);
    let cookie = cookies::away(&app, &begun.browser.text());
    cookie.map(|cookie| response.headers_mut().append(header::SET_COOKIE, cookie));
    Ok(response)
}

async fn come_back(State(app): State<Arc<App>>, request: Request) -> Answered<Response<Body>> {
    let query = Parameters::parse(request.uri().query());
    let value = |name: &str| query.get(name).unwrap_or_default().to_owned();
    let (state, code) = (value("state"), value("code"));
    let browser = cookies::value(request.headers(), &cookies::away_name(&app)).unwrap_or_default().to_owned();
    let client = record::client(request.extensions()).unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    let (session, to) = app
        .read(move |app| {
            let provider = app.door.provider.as_ref().ok_or_else(|| Problem::not_found("resource"))?;
            let (identity, to) = provider.finish(&state, &code, &browser).map_err(|why| refused(&why))?;
            let session = app.door.begin_session(identity.who(), Some(identity.grants())).map_err(Problem::internal)?;
            tracing::info!(who = %identity.who(), "signed in");
            record::signed(app, identity.who().clone(), client, Kind::SignIn);
            Ok((session.text(), to))
        })
        .await?;
    Ok(signed_in_at_provider(&app, &session, &to, request.headers()))
}

/// Why somebody is not signed in goes to the log.
fn refused(why: &Refused) -> Problem {
    tracing::warn!(%why, "a sign-in at the identity provider failed");
    match why {
        Refused::Provider => Problem::full("the identity provider does not answer: try again later"),
        _ => Problem::forbidden("signing in failed: begin again at /sign-in"),
    }
}

/// Scheme and authority by which the browser knows us.
fn place(app: &App, request: &Request) -> String {
    if let Some(url) = &app.config.public_url {
        return url.trim_end_matches('/').to_owned();
    }
    let https = app.config.tls.is_some() || request.extensions().get::<Forwarded>().is_some_and(|known| known.https);
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = request.uri().authority().map(|authority| authority.as_str()).or(host).unwrap_or("localhost");
    format!("{}://{host}", if https { "https" } else { "http" })
}
