//! One identity provider: what it says of itself, whom it vouches for, and the way of a browser to it and back (RFC 6749 4.1, RFC 7636).

use super::claims::{Claims, Purpose};
use super::jws::Jws;
use super::keyring::{Fetch, Keyring};
use super::rules::Rule;
use crate::identity::{Identity, Who};
use crate::secret::Secret;
use crate::time::now;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Who went to sign in is back by then.
const BACK: Duration = Duration::from_secs(600);
/// Browsers that are away to sign in.
const AWAY: usize = 10_000;
/// What the provider says of itself is asked again after this.
const OLD: Duration = Duration::from_secs(3600);

/// Why a token lets nobody in. For the log: a client is told nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Refused {
    #[error("it is no signed token")]
    Form,
    #[error("its header asks for what is not done")]
    Header,
    #[error("no key of the provider signed it")]
    Signature,
    #[error("its claims cannot be read, or are those of another kind of token")]
    Claims,
    #[error("another provider issued it")]
    Issuer,
    #[error("it is for somebody else")]
    Audience,
    #[error("it has ended, or has not begun")]
    Time,
    #[error("the provider does not answer")]
    Provider,
}

/// How a provider is asked.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    /// Its name, exactly as it is in tokens.
    pub issuer: String,
    /// Whom tokens have to be for.
    pub audience: String,
    /// Our name at the provider, where browsers sign in there.
    pub client: Option<String>,
    /// The secret that goes with it, where there is one.
    pub client_secret: Option<String>,
    /// What is asked for.
    pub scopes: String,
    /// What those whom it vouches for may.
    pub rules: Vec<Rule>,
}

/// What a provider says of itself (OpenID Connect Discovery 3).
#[derive(Debug, Clone, Deserialize)]
struct Discovered {
    issuer: String,
    jwks_uri: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    id_token: String,
}

/// An identity provider.
pub struct Provider {
    settings: ProviderSettings,
    fetch: Box<dyn Fetch>,
    keys: Keyring,
    discovered: Mutex<Option<(Instant, Arc<Discovered>)>>,
    away: Mutex<HashMap<[u8; 32], Away>>,
}

/// A browser that is at the provider.
struct Away {
    since: Instant,
    nonce: String,
    verifier: String,
    browser: [u8; 32],
    back: String,
    to: String,
}

/// The way to the provider.
pub struct Begun {
    /// Where the browser goes.
    pub url: String,
    /// What it shows when it is back, so that nobody else comes back in its place.
    pub browser: Secret,
}

impl Provider {
    /// A provider; nothing is asked of it yet.
    pub fn new(settings: ProviderSettings, fetch: Box<dyn Fetch>) -> Provider {
        Provider { settings, fetch, keys: Keyring::default(), discovered: Mutex::default(), away: Mutex::default() }
    }

    /// Do browsers sign in there?
    pub fn takes_browsers(&self) -> bool {
        self.settings.client.is_some()
    }

    /// Whom a token vouches for.
    pub fn identify(&self, token: &str) -> Result<Identity, Refused> {
        let claims = self.claims(token, &self.settings.audience, Purpose::Access)?;
        Ok(self.identity(&claims))
    }

    fn identity(&self, claims: &Claims) -> Identity {
        let grants = Rule::grants(&self.settings.rules, &claims.sub, &claims.others);
        Identity::new(Who::Token { issuer: self.settings.issuer.clone(), subject: claims.sub.clone() }, grants)
    }

    fn claims(&self, token: &str, audience: &str, purpose: Purpose<'_>) -> Result<Claims, Refused> {
        let token = Jws::parse(token)?;
        let keys = || self.discover().and_then(|provider| self.fetch.get(&provider.jwks_uri));
        if !self.keys.signed(&token, keys) {
            return Err(Refused::Signature);
        }
        Claims::check(token.payload(), &self.settings.issuer, audience, purpose, now())
    }

    /// What it says of itself, kept for a while.
    fn discover(&self) -> Result<Arc<Discovered>, String> {
        let mut known = self.discovered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, found)) = known.as_ref().filter(|(since, _)| since.elapsed() < OLD) {
            return Ok(found.clone());
        }
        let url = format!("{}/.well-known/openid-configuration", self.settings.issuer.trim_end_matches('/'));
        let found = self.fetch.get(&url).and_then(|text| {
            let found: Discovered = serde_json::from_slice(&text).map_err(|e| format!("{url}: {e}"))?;
            match found.issuer == self.settings.issuer {
                true => Ok(Arc::new(found)),
                false => Err(format!("{url} speaks for another issuer")),
            }
        });
        match (found, known.as_ref()) {
            (Ok(found), _) => {
                *known = Some((Instant::now(), found.clone()));
                Ok(found)
            }
            (Err(_), Some((_, stale))) => Ok(stale.clone()),
            (Err(error), None) => Err(error),
        }
    }

    /// Sends a browser to the provider. `back`: the address that it comes back to; `to`: where it wanted to go.
    pub fn begin(&self, back: &str, to: &str) -> Result<Begun, Refused> {
        let provider = self.discover().map_err(|error| self.silent(&error))?;
        let (Some(client), Some(endpoint)) = (&self.settings.client, &provider.authorization_endpoint) else {
            return Err(Refused::Provider);
        };
        let secret = || Secret::new().map_err(|_| Refused::Provider);
        let (state, nonce, verifier, browser) = (secret()?, secret()?.text(), secret()?.text(), secret()?);
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
        let query = [
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", back),
            ("scope", &self.settings.scopes),
            ("state", &state.text()),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let query = query.map(|(name, value)| format!("{name}={}", encoded(value))).join("&");
        let joint = if endpoint.contains('?') { '&' } else { '?' };
        let away = Away {
            since: Instant::now(),
            nonce,
            verifier,
            browser: browser.hash(),
            back: back.to_owned(),
            to: to.to_owned(),
        };
        let mut all = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, away| away.since.elapsed() < BACK);
        if all.len() >= AWAY {
            return Err(Refused::Provider);
        }
        all.insert(state.hash(), away);
        Ok(Begun { url: format!("{endpoint}{joint}{query}"), browser })
    }

    /// A browser is back with a code: who signed in, and where they wanted to go.
    pub fn finish(&self, state: &str, code: &str, browser: &str) -> Result<(Identity, String), Refused> {
        let state = Secret::parse(state).ok_or(Refused::Form)?;
        let away = self.away.lock().unwrap_or_else(PoisonError::into_inner).remove(&state.hash());
        let away = away.filter(|away| away.since.elapsed() < BACK).ok_or(Refused::Time)?;
        if !Secret::parse(browser).is_some_and(|browser| browser.is(&away.browser)) {
            return Err(Refused::Form);
        }
        let provider = self.discover().map_err(|error| self.silent(&error))?;
        let (Some(client), Some(endpoint)) = (&self.settings.client, &provider.token_endpoint) else {
            return Err(Refused::Provider);
        };
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &away.back),
            ("client_id", client),
            ("code_verifier", &away.verifier),
        ];
        let secret = self.settings.client_secret.as_deref().map(|secret| (client.as_str(), secret));
        let answer = self.fetch.post(endpoint, &form, secret).map_err(|error| self.silent(&error))?;
        let answer: Answer = serde_json::from_slice(&answer).map_err(|_| Refused::Provider)?;
        let claims = self.claims(&answer.id_token, client, Purpose::SignIn { nonce: &away.nonce })?;
        Ok((self.identity(&claims), away.to))
    }

    fn silent(&self, error: &str) -> Refused {
        tracing::warn!(issuer = %self.settings.issuer, %error, "the identity provider does not answer");
        Refused::Provider
    }
}

/// A value of a query (RFC 3986 2.3).
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if plain(byte) {
            out.push(byte.into())
        } else {
            out.push_str(&format!("%{byte:02X}"))
        }
        out
    })
}
