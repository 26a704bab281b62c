//! Pages where one signs in and out, makes the first administrator, and opens a link whose uses are counted.

use super::{IN_QUERY, cookies, is_of_our_page, record, redirect};
use crate::error::{Answered, Problem};
use crate::pages;
use crate::query::Parameters;
use crate::state::App;
use ::access::record::Kind;
use ::access::{Error, Shown, Who};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, FromRequest, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header};
use axum::routing::{get, post};
use percent_encoding::utf8_percent_encode;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Bytes of a form.
const LARGEST: usize = 8 << 10;

/// The pages.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/sign-in", get(ask).post(take))
        .route("/sign-out", post(sign_out))
        .route("/welcome/{token}", get(welcome).post(accept))
        .route(
            "/sign-in.css",
            get(|method: Method, headers: HeaderMap| async move {
                pages::asset("text/css; charset=utf-8", include_str!("../../assets/sign-in.css"), &method, &headers)
            }),
        )
        .layer(DefaultBodyLimit::max(LARGEST))
}

async fn ask(State(app): State<Arc<App>>, uri: Uri, method: Method, headers: HeaderMap) -> Response<Body> {
    let to = Parameters::parse(uri.query()).get("to").map(str::to_owned);
    form(&app, &method, &headers, to.as_deref(), "")
}

/// Takes name and password; who knows both goes on to where they wanted.
async fn take(State(app): State<Arc<App>>, request: Request) -> Answered<Response<Body>> {
    let (method, headers, client, form_data) = posted(&app, request).await?;
    let value = |name: &str| form_data.get(name).unwrap_or_default().to_owned();
    let (name, password, to) = (value("name").trim().to_owned(), value("password"), value("to"));
    let again = |words: &str, status| {
        let mut response = form(&app, &method, &headers, Some(&to), words);
        *response.status_mut() = status;
        Ok(response)
    };
    if let Err(too_often) = app.door.pace.password(&name, client) {
        let mut response = again("Too many tries. Wait a little, and try again.", StatusCode::TOO_MANY_REQUESTS)?;
        let seconds = too_often.0.as_secs() + 1;
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        return Ok(response);
    }
    let known = name.clone();
    let session = app.compute(move |app| app.door.sign_in(&known, &password).map_err(Problem::internal)).await?;
    let Some(session) = session else {
        tracing::warn!(%client, "a sign-in failed");
        record::signed(&app, Who::User(name), client, Kind::SignInFailed);
        return again("Name or password is wrong.", StatusCode::UNAUTHORIZED);
    };
    tracing::info!(user = %name.escape_debug(), %client, "signed in");
    record::signed(&app, Who::User(name), client, Kind::SignIn);
    Ok(signed_in(&app, &session.text(), &to))
}

/// A new session of this browser; the one it had before ends with its cookie.
fn signed_in(app: &App, session: &str, to: &str) -> Response<Body> {
    let mut response = redirect(local(to));
    cookies::session(app, session).map(|cookie| response.headers_mut().append(header::SET_COOKIE, cookie));
    response
}

async fn sign_out(State(app): State<Arc<App>>, request: Request) -> Answered<Response<Body>> {
    if !is_ours(&app, &request) {
        return Err(Problem::forbidden("a page of another site asks for this"));
    }
    let session = cookies::value(request.headers(), cookies::session_name(&app)).map(str::to_owned);
    let client = record::client(request.extensions()).unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    if let Some(session) = session {
        let signed_out = app.read(move |app| {
            let who = Shown::session(&session).map_or(Ok(None), |shown| app.door.identify(&shown));
            let who = who.map_err(Problem::internal)?.map(|identity| identity.who().clone());
            app.door.sign_out(&session).map_err(Problem::internal)?;
            Ok(who)
        });
        if let Some(who) = signed_out.await? {
            record::signed(&app, who, client, Kind::SignOut);
        }
    }
    let mut response = redirect("/sign-in");
    cookies::no_session(&app).map(|cookie| response.headers_mut().append(header::SET_COOKIE, cookie));
    // What was shown is not to be seen by whoever comes next.
    response.headers_mut().insert("clear-site-data", HeaderValue::from_static("\"cache\""));
    Ok(response)
}

async fn welcome(
    State(app): State<Arc<App>>,
    Path(token): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Answered<Response<Body>> {
    let invited = app.read(move |app| app.door.is_invited(&token).map_err(Problem::internal)).await?;
    match invited {
        true => Ok(first(&method, &headers, "")),
        false => Err(Problem::not_found("link, or it was used")),
    }
}

async fn accept(State(app): State<Arc<App>>, Path(token): Path<String>, request: Request) -> Answered<Response<Body>> {
    let (method, headers, client, form_data) = posted(&app, request).await?;
    app.door.pace.unknown(client).map_err(|_| super::too_often())?;
    let value = |name: &str| form_data.get(name).unwrap_or_default().to_owned();
    let (name, password) = (value("name").trim().to_owned(), value("password"));
    let accepted = app.compute(move |app| Ok(app.door.accept(&token, &name, &password))).await?;
    let words = match accepted {
        Ok(Some(session)) => return Ok(signed_in(&app, &session.text(), "/")),
        Ok(None) => return Err(Problem::not_found("link, or it was used, or the name is taken")),
        Err(Error::Name) => "A name has 1 to 64 letters, digits and . _ @ -",
        Err(Error::Password { .. }) => "A password has at least 10 characters and does not hold the name.",
        Err(other) => return Err(Problem::internal(other)),
    };
    let mut response = first(&method, &headers, words);
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(response)
}

/// A form that a page of ours sent.
async fn posted(app: &App, request: Request) -> Answered<(Method, HeaderMap, IpAddr, Parameters)> {
    if !is_ours(app, &request) {
        return Err(Problem::forbidden("a page of another site asks for this"));
    }
    let client = record::client(request.extensions()).unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    let headers = request.headers().clone();
    let body = Bytes::from_request(request, &()).await.map_err(|_| Problem::too_large())?;
    let text = std::str::from_utf8(&body).map_err(|_| Problem::bad_request("a form is UTF-8"))?;
    Ok((Method::GET, headers, client, Parameters::parse(Some(text))))
}

/// Is it asked for by a page of ours, or by no page?
pub fn is_ours(app: &App, request: &Request) -> bool {
    app.guard.check(request).is_ok_and(|from| is_of_our_page(&from, request.headers()))
}

/// Where to go after signing in: somewhere here.
pub fn local(to: &str) -> &str {
    let inside = to.starts_with('/') && !to.starts_with("//") && !to.contains(['\\', '\r', '\n', '\t']);
    let again = to.starts_with("/sign-") || to.starts_with("/welcome");
    if inside && !again { to } else { "/" }
}

/// The page after signing in elsewhere. A cookie that no other site's page may send is not sent on the way back from one either: so this page
/// leads on, and it is ours.
pub fn signed_in_at_provider(app: &App, session: &str, to: &str, headers: &HeaderMap) -> Response<Body> {
    let page = include_str!("../../assets/signed-in.html").replace("{to}", &escaped(local(to)));
    let mut response = said(&page, "", &Method::GET, headers);
    cookies::session(app, session).map(|cookie| response.headers_mut().append(header::SET_COOKIE, cookie));
    response
}

fn form(app: &App, method: &Method, headers: &HeaderMap, to: Option<&str>, words: &str) -> Response<Body> {
    let to = local(to.unwrap_or("/"));
    let elsewhere = match app.door.provider.as_ref().is_some_and(|provider| provider.takes_browsers()) {
        true => {
            let at = format!("/sign-in/provider?to={}", utf8_percent_encode(to, IN_QUERY));
            format!("<p><a class=\"button\" href=\"{}\">Sign in with your organisation</a></p>", escaped(&at))
        }
        false => String::new(),
    };
    let page =
        include_str!("../../assets/sign-in.html").replace("{to}", &escaped(to)).replace("{elsewhere}", &elsewhere);
    said(&page, words, method, headers)
}

fn first(method: &Method, headers: &HeaderMap, words: &str) -> Response<Body> {
    said(include_str!("../../assets/welcome.html"), words, method, headers)
}

/// Asks whoever follows a link to open it.
pub fn ask_to_open(method: &Method, headers: &HeaderMap, uses: Option<u32>) -> Response<Body> {
    let left = match uses {
        Some(1) => "It can be opened once more.".to_owned(),
        Some(left) => format!("It can be opened {left} more times."),
        None => String::new(),
    };
    said(&include_str!("../../assets/open-link.html").replace("{left}", &left), "", method, headers)
}

fn said(page: &str, words: &str, method: &Method, headers: &HeaderMap) -> Response<Body> {
    let told = if words.is_empty() {
        String::new()
    } else {
        format!("<p class=\"wrong\" role=\"alert\">{}</p>", escaped(words))
    };
    let mut response = pages::made(page.replace("{words}", &told), method, headers);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_goes_on_to_places_here_alone() {
        for to in ["/", "/viewer/viewer?StudyInstanceUIDs=1.2", "/light/?study=1"] {
            assert_eq!(local(to), to);
        }
        for to in [
            "",
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "javascript:x",
            "/sign-out",
            "/a\r\nSet-Cookie: x",
        ] {
            assert_eq!(local(to), "/", "{to}");
        }
    }
}
