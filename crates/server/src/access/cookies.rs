//! Cookies: a session, and the mark of a link that was opened. No script reads them, no other site's page sends them.

use crate::state::App;
use axum::http::{HeaderMap, HeaderValue, header};
use sha2::{Digest, Sha256};

/// The cookie of a session, where the connection has TLS; a browser takes it from no other host, and not without TLS.
const SECURE: &str = "__Host-firstlight";
/// The same where it has none.
const PLAIN: &str = "firstlight";

/// Name of the cookie of a session.
pub fn session_name(app: &App) -> &'static str {
    if is_secure(app) { SECURE } else { PLAIN }
}

/// Name of the mark of a link.
pub fn opened_name(app: &App, token: &str) -> String {
    let short: String = Sha256::digest(token)[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-link-{short}", session_name(app))
}

/// Is it TLS that browsers speak, with us or with a proxy in front?
fn is_secure(app: &App) -> bool {
    let public = app.config.public_url.as_deref().is_some_and(|url| url.starts_with("https://"));
    app.config.tls.is_some() || !app.config.behind_proxy.is_empty() || public
}

/// The value of a cookie; of two with one name, none: a browser sends one.
pub fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut values = lines.flat_map(|line| line.split(';')).filter_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then_some(value)
    });
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

/// `Set-Cookie` for a session: gone when the browser is closed, and never sent for another site's page.
pub fn session(app: &App, value: &str) -> Option<HeaderValue> {
    set(session_name(app), value, "Strict", is_secure(app))
}

/// `Set-Cookie` for the mark of a link; it is sent when the link is followed from a mail once more.
pub fn opened(app: &App, token: &str, value: &str) -> Option<HeaderValue> {
    set(&opened_name(app, token), value, "Lax", is_secure(app))
}

/// Name of the cookie of a browser that signs in elsewhere.
pub fn away_name(app: &App) -> String {
    format!("{}-away", session_name(app))
}

/// `Set-Cookie` for a browser that signs in elsewhere: it is sent when it comes back from there.
pub fn away(app: &App, value: &str) -> Option<HeaderValue> {
    set(&away_name(app), value, "Lax", is_secure(app))
}

/// `Set-Cookie` that ends a session.
pub fn no_session(app: &App) -> Option<HeaderValue> {
    let secure = if is_secure(app) { "; Secure" } else { "" };
    HeaderValue::try_from(format!("{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict{secure}", session_name(app))).ok()
}

fn set(name: &str, value: &str, same_site: &str, secure: bool) -> Option<HeaderValue> {
    let secure = if secure { "; Secure" } else { "" };
    HeaderValue::try_from(format!("{name}={value}; Path=/; HttpOnly; SameSite={same_site}{secure}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_of_a_name() {
        let of = |line: &'static str| {
            let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(line))]);
            value(&headers, "firstlight").map(str::to_owned)
        };
        assert_eq!(of("a=1; firstlight=x=y; b").as_deref(), Some("x=y"));
        assert_eq!((of("firstlight=1; firstlight=2"), of("xfirstlight=1"), of("firstlight")), (None, None, None));
    }
}
