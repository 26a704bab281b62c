//! The provider's keys as they are now. A token with a key that is not known makes us look, but not more often than every half minute; as
//! long as the provider does not answer, what is known holds.

use super::jwk::Jwk;
use super::jws::Jws;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time between two looks for a key that is not known.
const AGAIN: Duration = Duration::from_secs(30);
/// Keys are looked at again after this, whoever asks.
const OLD: Duration = Duration::from_secs(3600);

/// Fetches what a provider says. It may block.
pub trait Fetch: Send + Sync {
    /// The body of a GET that was answered with 200.
    fn get(&self, url: &str) -> Result<Vec<u8>, String>;

    /// The body of a POST of a form that was answered with 200. `client`: name and secret of who asks.
    fn post(&self, url: &str, form: &[(&str, &str)], client: Option<(&str, &str)>) -> Result<Vec<u8>, String>;
}

/// The keys.
#[derive(Default)]
pub struct Keyring {
    state: Mutex<State>,
    /// One looks, the others wait for what is found.
    looking: Mutex<()>,
}

#[derive(Default)]
struct State {
    keys: Arc<Vec<Jwk>>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
}

impl State {
    fn just_tried(&self, now: Instant) -> bool {
        self.tried.is_some_and(|then| now.saturating_duration_since(then) < AGAIN)
    }

    fn is_old(&self, now: Instant) -> bool {
        self.fetched.is_none_or(|then| now.saturating_duration_since(then) >= OLD)
    }
}

impl Keyring {
    /// Did one of the keys sign the token? `fetch` gets the set anew, where that is needed.
    pub fn signed(&self, token: &Jws<'_>, fetch: impl Fn() -> Result<Vec<u8>, String>) -> bool {
        self.signed_at(token, fetch, Instant::now())
    }

    fn signed_at(&self, token: &Jws<'_>, fetch: impl Fn() -> Result<Vec<u8>, String>, now: Instant) -> bool {
        let mut keys = self.known();
        if self.state().is_old(now) || candidates(&keys, token).is_empty() {
            keys = self.look(&fetch, now);
        }
        match &candidates(&keys, token)[..] {
            [] => false,
            // Which one, the token has to say.
            [_, _, ..] if token.kid.is_none() => false,
            some => some.iter().any(|key| key.signed(token)),
        }
    }

    /// The keys, fetched anew unless that was just tried.
    fn look(&self, fetch: impl Fn() -> Result<Vec<u8>, String>, now: Instant) -> Arc<Vec<Jwk>> {
        let _one = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        if self.state().just_tried(now) {
            return self.known();
        }
        self.state().tried = Some(now);
        match fetch().and_then(|text| Jwk::set(&text).ok_or_else(|| "it is no set of keys".to_owned())) {
            Ok(fresh) => {
                let mut state = self.state();
                (state.keys, state.fetched) = (Arc::new(fresh), Some(now));
            }
            Err(error) => {
                tracing::warn!(%error, "the keys of the identity provider could not be fetched: those that are known hold");
            }
        }
        self.known()
    }

    fn known(&self) -> Arc<Vec<Jwk>> {
        self.state().keys.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keys that may have signed the token.
fn candidates<'a>(keys: &'a [Jwk], token: &Jws<'_>) -> Vec<&'a Jwk> {
    let named = |key: &&Jwk| token.kid.is_none() || key.kid == token.kid;
    keys.iter().filter(named).filter(|key| key.fits(token.algorithm)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// RFC 8037 A.2 and A.4.
    const KEY: &str =
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    const NONE: &str = r#"{"keys":[]}"#;

    /// A token of RFC 8037 A.4, with the name of a key in its header that its signature does not cover: only whether it is looked for counts.
    fn token(kid: &str) -> String {
        use base64::Engine;
        let header = format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#);
        format!("{}.e30.AAAA", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(header))
    }

    #[test]
    fn keys_are_looked_for_when_one_is_not_known_and_not_too_often() {
        let (ring, asked) = (Keyring::default(), RefCell::new(0));
        let begin = Instant::now();
        let at = |seconds: u64, kid: &str, answer: Result<&str, &str>| {
            let token = token(kid);
            let fetch = || {
                *asked.borrow_mut() += 1;
                answer.map(|text| text.as_bytes().to_vec()).map_err(str::to_owned)
            };
            ring.signed_at(&Jws::parse(&token).unwrap(), fetch, begin + Duration::from_secs(seconds));
            (*asked.borrow(), ring.known().len())
        };
        assert_eq!(at(0, "1", Err("down")), (1, 0));
        assert_eq!(at(29, "1", Ok(KEY)), (1, 0), "it was just tried");
        assert_eq!(at(31, "1", Ok(KEY)), (2, 1));
        assert_eq!(at(40, "1", Ok(NONE)), (2, 1), "it is known");
        assert_eq!(at(50, "2", Ok(NONE)), (2, 1), "not known, and just tried");
        assert_eq!(at(70, "2", Err("down")), (3, 1), "what is known holds");
        assert_eq!(at(4000, "1", Ok("{}")), (4, 1), "old, and the answer is none");
        assert_eq!(at(4031, "1", Ok(KEY)), (5, 1));
    }
}
