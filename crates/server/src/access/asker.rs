//! What a request carries of who asks: put on it by the decision, read by handlers.

use ::access::{Grants, Identity, Reach, Right, Who};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

/// Where addresses of links begin.
pub const BEFORE: &str = "/s/";

/// Who asks, on the request: whatever is looked up is looked up for them.
#[derive(Debug, Clone)]
pub struct For(pub Arc<Identity>);

impl For {
    /// How far reading reaches.
    pub fn reach(&self) -> Reach {
        self.0.reach(Right::Read)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for For {
    type Rejection = Infallible;

    /// A request that no decision was made on is nobody's.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<For, Infallible> {
        let nobody = || For(Arc::new(Identity::new(Who::User(String::new()), Grants::default())));
        Ok(parts.extensions.get::<For>().cloned().unwrap_or_else(nobody))
    }
}

/// What is known of the client of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forwarded {
    /// Where it is.
    pub client: IpAddr,
    /// It speaks TLS, with the proxy.
    pub https: bool,
}

/// The link by whose address something is asked.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkPath {
    /// The secret in the address.
    pub token: String,
    /// It is the link itself, and nothing below it.
    pub is_root: bool,
}

impl LinkPath {
    /// What addresses begin with that are asked by this link.
    pub fn prefix(&self) -> String {
        format!("{BEFORE}{}", self.token)
    }
}

/// A link that is being opened: what its page is told.
#[derive(Clone)]
pub struct Opening {
    /// What the link is called.
    pub name: String,
    /// The studies it shares.
    pub studies: Vec<String>,
}

impl Opening {
    /// The page with what it is told of its link: the name stands on the images.
    pub fn tell(&self, page: &str) -> String {
        let escaped =
            |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        let study = match &self.studies[..] {
            [one] => format!(" data-study=\"{}\"", escaped(one)),
            _ => String::new(),
        };
        let told = format!("<head><meta name=\"firstlight-link\" content=\"{}\"{study}>", escaped(&self.name));
        page.replacen("<head>", &told, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_not_break_out_of_the_page() {
        let opening = Opening { name: "\"><script>x</script>&".into(), studies: vec!["1.2".into()] };
        let page = opening.tell("<html><head><title>");
        let expected = "<html><head><meta name=\"firstlight-link\" content=\"&quot;&gt;&lt;script&gt;x&lt;/script&gt;&amp;\" data-study=\"1.2\"><title>";
        assert_eq!(page, expected);
    }
}
