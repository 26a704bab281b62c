//! What a token vouches for (RFC 7519 4.1, RFC 9068, OpenID Connect Core 2).

use super::provider::Refused;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Clocks of two machines may differ by so many seconds.
pub const SKEW: i64 = 60;
/// Bytes of a subject (OpenID Connect Core 2).
const LONGEST_SUBJECT: usize = 255;

/// The claims of a token.
#[derive(Debug, Clone, Deserialize)]
pub struct Claims {
    iss: String,
    /// Who it is, by the provider's name.
    pub sub: String,
    aud: Audience,
    exp: i64,
    nbf: Option<i64>,
    iat: Option<i64>,
    /// What the browser was to be asked for, in a token that says who signed in.
    pub nonce: Option<String>,
    at_hash: Option<Value>,
    azp: Option<String>,
    /// All others.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose<'a> {
    /// To be let in with.
    Access,
    /// To say who signed in: the answer to this one question, to this client.
    SignIn {
        /// What was asked.
        nonce: &'a str,
    },
}

impl Claims {
    /// Reads them and checks for whom and when they hold.
    pub fn check(
        payload: &[u8],
        issuer: &str,
        audience: &str,
        purpose: Purpose<'_>,
        now: i64,
    ) -> Result<Claims, Refused> {
        let claims: Claims = serde_json::from_slice(payload).map_err(|_| Refused::Claims)?;
        if claims.iss != issuer {
            return Err(Refused::Issuer);
        }
        if !claims.is_for(audience, purpose) {
            return Err(Refused::Audience);
        }
        if claims.sub.is_empty() || claims.sub.len() > LONGEST_SUBJECT || claims.sub.chars().any(char::is_control) {
            return Err(Refused::Claims);
        }
        let begun = |time: Option<i64>| time.is_none_or(|time| time <= now.saturating_add(SKEW));
        if claims.exp.saturating_add(SKEW) <= now || !begun(claims.nbf) || !begun(claims.iat) {
            return Err(Refused::Time);
        }
        match purpose {
            // One that says who signed in was given to a page, and lets nobody in.
            Purpose::Access if claims.nonce.is_some() || claims.at_hash.is_some() => Err(Refused::Claims),
            Purpose::SignIn { nonce } if claims.nonce.as_deref() != Some(nonce) => Err(Refused::Claims),
            _ => Ok(claims),
        }
    }

    fn is_for(&self, audience: &str, purpose: Purpose<'_>) -> bool {
        let others = match &self.aud {
            Audience::One(one) if one == audience => false,
            Audience::Many(all) if all.iter().any(|one| one == audience) => all.len() > 1,
            _ => return false,
        };
        // Of several, the one that asked is named.
        purpose == Purpose::Access || !others || self.azp.as_deref() == Some(audience)
    }
}
