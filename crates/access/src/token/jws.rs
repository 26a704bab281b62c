//! A signed token in its compact form (RFC 7515 7.1), taken apart.

use super::provider::Refused;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// Bytes of a token.
const LONGEST: usize = 16 << 10;
/// Bytes of the name of a key.
const LONGEST_KID: usize = 256;

/// How a token may be signed. None of it is a shared secret: what is known to all can't be the key of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// What is read of the header; nothing else of it counts, least of all a key.
#[derive(Debug, Deserialize)]
struct Header {
    alg: Algorithm,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<serde_json::Value>,
}

/// A token, not yet believed.
#[derive(Debug)]
pub struct Jws<'a> {
    /// How it says it is signed.
    pub algorithm: Algorithm,
    /// The key that it says it is signed with.
    pub kid: Option<String>,
    /// What is signed.
    pub signed: &'a str,
    /// The signature.
    pub signature: Vec<u8>,
    payload: Vec<u8>,
}

impl<'a> Jws<'a> {
    /// Takes a token apart.
    pub fn parse(token: &'a str) -> Result<Jws<'a>, Refused> {
        if token.len() > LONGEST {
            return Err(Refused::Form);
        }
        let mut pieces = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (pieces.next(), pieces.next(), pieces.next(), pieces.next())
        else {
            return Err(Refused::Form);
        };
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| Refused::Form);
        let told: Header = serde_json::from_slice(&decode(header)?).map_err(|_| Refused::Header)?;
        // An extension that must be understood is one that we do not.
        if told.crit.is_some() || !told.typ.as_deref().is_none_or(is_token) {
            return Err(Refused::Header);
        }
        if told.kid.as_ref().is_some_and(|kid| kid.len() > LONGEST_KID) {
            return Err(Refused::Header);
        }
        Ok(Jws {
            algorithm: told.alg,
            kid: told.kid,
            signed: &token[..header.len() + 1 + payload.len()],
            signature: decode(signature)?,
            payload: decode(payload)?,
        })
    }

    /// What it holds. To be called once the signature was found to be good.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

/// Media types of a token (RFC 8725 3.11): not those of a logout or of anything else that is signed.
fn is_token(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "at+jwt")
}
