//! Public keys of a provider (RFC 7517, RFC 7518 6), and signatures by them.

use super::jws::{Algorithm, Jws};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;

/// Keys of a set that are kept.
const MOST: usize = 64;

/// A key, and what it may be used for.
#[derive(Debug, Clone)]
pub struct Jwk {
    /// Its name.
    pub kid: Option<String>,
    algorithm: Option<String>,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct Told {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

impl Jwk {
    /// The keys of a set that signatures are checked with; others are passed over.
    pub fn set(text: &[u8]) -> Option<Vec<Jwk>> {
        let set: Set = serde_json::from_slice(text).ok()?;
        Some(set.keys.into_iter().take(MOST).filter_map(|key| Jwk::of(serde_json::from_value(key).ok()?)).collect())
    }

    fn of(told: Told) -> Option<Jwk> {
        if told.purpose.as_deref().is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_ref()?).ok();
        let point = |length: usize| {
            let (x, y) = (bytes(&told.x)?, bytes(&told.y)?);
            // Uncompressed, as SEC 1 2.3.3 writes it.
            (x.len() == length && y.len() == length).then(|| [&[4][..], &x, &y].concat())
        };
        let kind = match (told.kty.as_str(), told.crv.as_deref()) {
            ("RSA", _) => Kind::Rsa { n: bytes(&told.n)?, e: bytes(&told.e)? },
            ("EC", Some("P-256")) => Kind::P256(point(32)?),
            ("EC", Some("P-384")) => Kind::P384(point(48)?),
            ("OKP", Some("Ed25519")) => Kind::Ed25519(bytes(&told.x)?),
            _ => return None,
        };
        Some(Jwk { kid: told.kid, algorithm: told.alg, kind })
    }

    /// Can a token be signed so by this key?
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm::*;
        let by_kind = match self.kind {
            Kind::Rsa { .. } => matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512),
            Kind::P256(_) => algorithm == ES256,
            Kind::P384(_) => algorithm == ES384,
            Kind::Ed25519(_) => algorithm == EdDSA,
        };
        by_kind && self.algorithm.as_ref().is_none_or(|named| *named == format!("{algorithm:?}"))
    }

    /// Did this key sign the token?
    pub fn signed(&self, token: &Jws<'_>) -> bool {
        use Algorithm::*;
        let (message, signature) = (token.signed.as_bytes(), &token.signature[..]);
        let by = |algorithm: &'static dyn signature::VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
        };
        match (&self.kind, token.algorithm) {
            (Kind::Rsa { n, e }, algorithm) => {
                let parameters = match algorithm {
                    RS256 => &signature::RSA_PKCS1_2048_8192_SHA256,
                    RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                    RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                    PS256 => &signature::RSA_PSS_2048_8192_SHA256,
                    PS384 => &signature::RSA_PSS_2048_8192_SHA384,
                    PS512 => &signature::RSA_PSS_2048_8192_SHA512,
                    ES256 | ES384 | EdDSA => return false,
                };
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }
            (Kind::P256(key), ES256) => by(&signature::ECDSA_P256_SHA256_FIXED, key),
            (Kind::P384(key), ES384) => by(&signature::ECDSA_P384_SHA384_FIXED, key),
            (Kind::Ed25519(key), EdDSA) => by(&signature::ED25519, key),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_signed(key: &str, token: &str) -> bool {
        let keys = Jwk::set(format!("{{\"keys\":[{key}]}}").as_bytes()).unwrap();
        let token = Jws::parse(token).unwrap();
        keys.iter().any(|key| key.fits(token.algorithm) && key.signed(&token))
    }

    /// The examples of the standards: RFC 7515 A.2 (RSA), A.3 (P-256), RFC 8037 A.4 (Ed25519).
    const EXAMPLES: [(&str, &str); 3] = [
        (
            r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#,
            "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        ),
        (
            r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
            "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
        (
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ];

    #[test]
    fn the_examples_of_the_standards_are_signed() {
        for (n, (key, token)) in EXAMPLES.iter().enumerate() {
            assert!(is_signed(key, token), "{token}");
            let (head, signature) = token.rsplit_once('.').unwrap();
            let other = if signature.starts_with('A') { 'B' } else { 'A' };
            assert!(!is_signed(key, &format!("{head}.{other}{}", &signature[1..])), "another signature");
            assert!(!is_signed(EXAMPLES[(n + 1) % 3].0, token), "another key");
            assert!(!is_signed(&key.replacen('{', r#"{"use":"enc","#, 1), token), "a key to encrypt");
            assert!(!is_signed(&key.replacen('{', r#"{"alg":"PS512","#, 1), token), "a key for another algorithm");
        }
    }
}
