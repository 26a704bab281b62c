//! Tokens of a provider: those that are good, and a list of attacks that are not.

use access::{Fetch, Grants, Provider, ProviderSettings, Refused, Right, Rule, Who};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

const ISSUER: &str = "https://id.example.org";
const AUDIENCE: &str = "firstlight";
/// Of RFC 7515 A.2: a public key of the provider, that everybody knows.
const RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// What the provider publishes, as others fetch it.
#[derive(Default)]
struct Published {
    pages: Mutex<HashMap<String, String>>,
    answers: Mutex<HashMap<String, String>>,
    posted: Mutex<Vec<HashMap<String, String>>>,
}

struct Line(Arc<Published>);

impl Fetch for Line {
    fn get(&self, url: &str) -> Result<Vec<u8>, String> {
        self.0.pages.lock().unwrap().get(url).map(|page| page.clone().into_bytes()).ok_or_else(|| format!("no {url}"))
    }

    fn post(&self, url: &str, form: &[(&str, &str)], _: Option<(&str, &str)>) -> Result<Vec<u8>, String> {
        let form = form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.0.posted.lock().unwrap().push(form);
        self.0.answers.lock().unwrap().get(url).map(|page| page.clone().into_bytes()).ok_or_else(|| format!("no {url}"))
    }
}

/// A provider that signs with P-256, and publishes an RSA key and an Ed25519 key too.
struct House {
    published: Arc<Published>,
    provider: Provider,
    p256: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
    chance: SystemRandom,
}

fn p256() -> EcdsaKeyPair {
    let chance = SystemRandom::new();
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &chance).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref(), &chance).unwrap()
}

fn ec_jwk(key: &EcdsaKeyPair, kid: &str) -> Value {
    let point = key.public_key().as_ref();
    json!({"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256", "x": encode(&point[1..33]), "y": encode(&point[33..])})
}

fn house() -> House {
    let chance = SystemRandom::new();
    let p256 = p256();
    let ed25519 = Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&chance).unwrap().as_ref()).unwrap();
    let published = Arc::<Published>::default();
    let discovery = json!({"issuer": ISSUER, "jwks_uri": format!("{ISSUER}/keys"),
        "authorization_endpoint": format!("{ISSUER}/auth"), "token_endpoint": format!("{ISSUER}/token")});
    let keys = json!({"keys": [
        ec_jwk(&p256, "ec"),
        {"kty": "RSA", "kid": "rsa", "use": "sig", "n": RSA_N, "e": "AQAB"},
        {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": encode(ed25519.public_key().as_ref())},
        {"kty": "oct", "kid": "shared", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"},
    ]});
    published.pages.lock().unwrap().extend([
        (format!("{ISSUER}/.well-known/openid-configuration"), discovery.to_string()),
        (format!("{ISSUER}/keys"), keys.to_string()),
    ]);
    let rule = Rule {
        claim: "groups".into(),
        value: Some("radiology".into()),
        may: [Right::Read].into_iter().collect(),
        only: None,
    };
    let settings = ProviderSettings {
        issuer: ISSUER.into(),
        audience: AUDIENCE.into(),
        client: Some("web".into()),
        client_secret: None,
        scopes: "openid".into(),
        rules: vec![rule],
    };
    House { provider: Provider::new(settings, Box::new(Line(published.clone()))), published, p256, ed25519, chance }
}

impl House {
    fn sign(&self, header: &str, claims: &str) -> String {
        let text = format!("{}.{}", encode(header), encode(claims));
        let signature = self.p256.sign(&self.chance, text.as_bytes()).unwrap();
        format!("{text}.{}", encode(signature.as_ref()))
    }

    /// A token whose header and claims are good but for what is changed.
    fn token(&self, change: impl FnOnce(&mut Value, &mut Value)) -> String {
        let mut header = json!({"alg": "ES256", "kid": "ec", "typ": "at+jwt"});
        let mut claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "ana", "exp": now() + 300, "iat": now(), "groups": ["radiology"]});
        change(&mut header, &mut claims);
        self.sign(&header.to_string(), &claims.to_string())
    }

    fn header(&self, name: &str, value: Value) -> String {
        self.token(|header, _| header[name] = value)
    }

    fn claim(&self, name: &str, value: Value) -> String {
        self.token(|_, claims| claims[name] = value)
    }

    fn without(&self, name: &str) -> String {
        self.token(|_, claims| drop(claims.as_object_mut().unwrap().remove(name)))
    }
}

#[test]
fn good_tokens_say_who_it_is_and_what_they_may() {
    let house = house();
    for (what, token) in [
        ("as it is", house.token(|_, _| {})),
        ("a type of OpenID", house.header("typ", json!("JWT"))),
        ("one audience of several", house.claim("aud", json!(["other", AUDIENCE]))),
        ("a clock that is a little late", house.claim("exp", json!(now() - 30))),
        ("a clock that is a little early", house.claim("nbf", json!(now() + 30))),
        ("claims that nobody asked for", house.claim("jku", json!("https://evil.example/keys"))),
    ] {
        let identity = house.provider.identify(&token).unwrap_or_else(|why| panic!("{what}: {why}"));
        assert_eq!(identity.who(), &Who::Token { issuer: ISSUER.into(), subject: "ana".into() }, "{what}");
        assert!(identity.has(Right::Read) && !identity.has(Right::Write), "{what}");
    }
    let stranger = house.provider.identify(&house.claim("groups", json!(["kitchen"]))).unwrap();
    assert!(!stranger.has(Right::Read), "known, and nothing is granted");
    let text = format!(
        "{}.{}",
        encode(r#"{"alg":"EdDSA","kid":"ed"}"#),
        encode(json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "bo", "exp": now() + 9}).to_string())
    );
    let signed = format!("{text}.{}", encode(house.ed25519.sign(text.as_bytes()).as_ref()));
    assert!(house.provider.identify(&signed).is_ok());
}

/// HMAC-SHA-256 (RFC 2104), with which a forger signs by a key that everybody knows.
fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut block = [0u8; 64];
    match key.len() > 64 {
        true => block[..32].copy_from_slice(&Sha256::digest(key)),
        false => block[..key.len()].copy_from_slice(key),
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().to_vec()
}

#[test]
fn attacks_are_refused() {
    let house = house();
    let good = house.token(|_, _| {});
    let pieces: Vec<&str> = good.split('.').collect();
    let [header, claims, signature] = pieces[..] else { panic!() };
    let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let with = |header: &str, signature: &[u8]| format!("{}.{claims}.{}", encode(header), encode(signature));
    let forged = |kid: &str, key: &[u8]| {
        let header = json!({"alg": "HS256", "kid": kid, "typ": "JWT"}).to_string();
        with(&header, &hmac(key, &format!("{}.{claims}", encode(&header))))
    };
    let twice = |name: &str, value: &str| {
        let doubled = plain.replacen('{', &format!("{{\"{name}\":{value},"), 1);
        house.sign(&json!({"alg": "ES256", "kid": "ec"}).to_string(), &doubled)
    };
    let stranger = p256();
    let foreign = |header: Value| {
        let text = format!("{}.{claims}", encode(header.to_string()));
        let signature = stranger.sign(&house.chance, text.as_bytes()).unwrap();
        format!("{text}.{}", encode(signature.as_ref()))
    };
    let rsa_pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(URL_SAFE_NO_PAD.decode(RSA_N).unwrap())
    );
    let flipped = if signature.starts_with('A') { 'B' } else { 'A' };
    let attacks: Vec<(&str, String)> = vec![
        ("alg none", with(r#"{"alg":"none"}"#, b"")),
        ("alg None", with(r#"{"alg":"None","kid":"ec"}"#, b"")),
        ("alg NONE with the old signature", format!("{}.{claims}.{signature}", encode(r#"{"alg":"NONE","kid":"ec"}"#))),
        ("alg empty", with(r#"{"alg":"","kid":"ec"}"#, b"")),
        ("alg missing", with(r#"{"kid":"ec"}"#, b"")),
        ("alg null", with(r#"{"alg":null,"kid":"ec"}"#, b"")),
        ("alg a list", with(r#"{"alg":["ES256"],"kid":"ec"}"#, b"")),
        ("HS256 with the RSA key", forged("rsa", &URL_SAFE_NO_PAD.decode(RSA_N).unwrap())),
        ("HS256 with the RSA key in PEM", forged("rsa", rsa_pem.as_bytes())),
        (
            "HS256 with a shared key that was published",
            forged(
                "shared",
                &URL_SAFE_NO_PAD
                    .decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
                    .unwrap(),
            ),
        ),
        ("HS256 with an empty key", forged("ec", b"")),
        ("RS256 by a P-256 signature", format!("{}.{claims}.{signature}", encode(r#"{"alg":"RS256","kid":"rsa"}"#))),
        ("ES256 by the RSA key", format!("{}.{claims}.{signature}", encode(r#"{"alg":"ES256","kid":"rsa"}"#))),
        ("ES384 by a P-256 key", house.header("alg", json!("ES384"))),
        ("ES256K", house.header("alg", json!("ES256K"))),
        ("another key", foreign(json!({"alg": "ES256", "kid": "ec"}))),
        (
            "a key that comes along (jwk)",
            foreign(json!({"alg": "ES256", "kid": "own", "jwk": ec_jwk(&stranger, "own")})),
        ),
        (
            "an address of keys that comes along (jku)",
            foreign(json!({"alg": "ES256", "kid": "own", "jku": "https://evil.example/keys"})),
        ),
        ("certificates that come along (x5c)", foreign(json!({"alg": "ES256", "kid": "ec", "x5c": ["MIIB"]}))),
        ("kid with a path", foreign(json!({"alg": "ES256", "kid": "../../../dev/null"}))),
        ("kid with a query", foreign(json!({"alg": "ES256", "kid": "ec' OR '1'='1"}))),
        ("kid that is huge", house.header("kid", json!("k".repeat(300)))),
        ("kid that is a number", house.header("kid", json!(1))),
        ("no kid where there are several keys", foreign(json!({"alg": "ES256"}))),
        ("an extension that must be understood", house.header("crit", json!(["exp"]))),
        ("a token of logout", house.header("typ", json!("logout+jwt"))),
        ("a signature of zeros", format!("{header}.{claims}.{}", encode([0; 64]))),
        ("no signature", format!("{header}.{claims}.")),
        ("a signature cut short", format!("{header}.{claims}.{}", &signature[..40])),
        ("a signature with one bit changed", format!("{header}.{claims}.{flipped}{}", &signature[1..])),
        ("other claims under the signature", format!("{header}.{}.{signature}", encode(plain.replace("ana", "bob")))),
        ("two pieces", format!("{header}.{claims}")),
        ("four pieces", format!("{good}.{signature}")),
        ("padding", format!("{header}.{claims}.{signature}=")),
        ("white space", format!("{header}.{claims}.{signature} ")),
        ("the standard alphabet", format!("{}+/.{claims}.{signature}", &header[..header.len() - 2])),
        ("claims that are no object", house.sign(r#"{"alg":"ES256","kid":"ec"}"#, "[]")),
        ("claims that are no JSON", house.sign(r#"{"alg":"ES256","kid":"ec"}"#, "sub=ana")),
        ("a huge token", house.claim("groups", json!(["radiology", "x".repeat(20_000)]))),
        (
            "deep claims",
            house.sign(
                r#"{"alg":"ES256","kid":"ec"}"#,
                &plain.replacen('{', &format!("{{\"x\":{}1{},", "[".repeat(5000), "]".repeat(5000)), 1),
            ),
        ),
        ("another issuer", house.claim("iss", json!("https://evil.example"))),
        ("an issuer with a slash more", house.claim("iss", json!(format!("{ISSUER}/")))),
        ("no issuer", house.without("iss")),
        ("another audience", house.claim("aud", json!("another"))),
        ("the audience as a part", house.claim("aud", json!("firstlight-web"))),
        ("no audience", house.without("aud")),
        ("an empty list of audiences", house.claim("aud", json!([]))),
        ("an audience that is an object", house.claim("aud", json!({"firstlight": true}))),
        ("expired", house.claim("exp", json!(now() - 61))),
        ("no end", house.without("exp")),
        ("an end in words", house.claim("exp", json!("tomorrow"))),
        ("an end that overflows", house.claim("exp", json!(1e300))),
        ("not begun", house.claim("nbf", json!(now() + 120))),
        ("issued in the future", house.claim("iat", json!(now() + 3600))),
        ("no subject", house.without("sub")),
        ("an empty subject", house.claim("sub", json!(""))),
        ("a subject with a line break", house.claim("sub", json!("ana\nadmin"))),
        ("a huge subject", house.claim("sub", json!("a".repeat(256)))),
        ("two audiences", twice("aud", "\"firstlight\"")),
        ("two subjects", twice("sub", "\"admin\"")),
        ("two ends", twice("exp", "99999999999")),
        ("two algorithms", house.sign(r#"{"alg":"none","alg":"ES256","kid":"ec"}"#, &plain)),
        ("an ID token", house.claim("nonce", json!("n"))),
        ("an ID token of an implicit flow", house.claim("at_hash", json!("h"))),
        ("nothing", String::new()),
        ("dots", "..".into()),
    ];
    assert!(attacks.len() >= 40, "{}", attacks.len());
    for (what, token) in attacks {
        assert!(house.provider.identify(&token).is_err(), "{what}: {token}");
    }
    assert!(house.provider.identify(&good).is_ok(), "after all that");
}

#[test]
fn keys_are_changed_without_a_failure() {
    let mut house = house();
    assert!(house.provider.identify(&house.token(|_, _| {})).is_ok());
    let next = p256();
    let both = json!({"keys": [ec_jwk(&house.p256, "ec"), ec_jwk(&next, "next")]});
    house.published.pages.lock().unwrap().insert(format!("{ISSUER}/keys"), both.to_string());
    let old = house.token(|_, _| {});
    house.p256 = next;
    let new = house.header("kid", json!("next"));
    // It was looked a moment ago: a provider publishes a key before it uses it, and half a minute is enough.
    assert_eq!(house.provider.identify(&new).unwrap_err(), Refused::Signature);
    assert!(house.provider.identify(&old).is_ok());
    house.published.pages.lock().unwrap().clear();
    assert!(house.provider.identify(&old).is_ok(), "what is known holds while the provider is down");
}

fn query(url: &str) -> HashMap<String, String> {
    let decode = |text: &str| text.replace("%3A", ":").replace("%2F", "/");
    let pairs = url.split_once('?').unwrap().1.split('&').map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), decode(value))).collect()
}

#[test]
fn a_browser_signs_in_with_the_provider_and_comes_back() {
    let house = house();
    let begin = || house.provider.begin("https://pacs.example.org/back", "/light/").unwrap();
    let answer = |nonce: &str, aud: &str| {
        let token = house.token(|_, claims| (claims["nonce"], claims["aud"]) = (json!(nonce), json!(aud)));
        house
            .published
            .answers
            .lock()
            .unwrap()
            .insert(format!("{ISSUER}/token"), json!({"id_token": token}).to_string());
    };
    let begun = begin();
    let asked = query(&begun.url);
    assert!(begun.url.starts_with(&format!("{ISSUER}/auth?response_type=code&client_id=web&")));
    assert_eq!(
        (asked["redirect_uri"].as_str(), asked["code_challenge_method"].as_str()),
        ("https://pacs.example.org/back", "S256")
    );
    answer(&asked["nonce"], "web");
    let (who, to) = house.provider.finish(&asked["state"], "code", &begun.browser.text()).unwrap();
    assert_eq!(
        (who.who(), to.as_str(), who.has(Right::Read)),
        (&Who::Token { issuer: ISSUER.into(), subject: "ana".into() }, "/light/", true)
    );
    let posted = house.published.posted.lock().unwrap().pop().unwrap();
    assert_eq!(
        encode(Sha256::digest(&posted["code_verifier"])),
        asked["code_challenge"],
        "the proof is that of the question"
    );
    assert!(house.provider.finish(&asked["state"], "code", &begun.browser.text()).is_err(), "once");

    for (what, nonce, aud, other_browser, other_state) in [
        ("another answer", Some("old"), "web", false, false),
        ("for another client", None, "other", false, false),
        ("a bearer token", None, AUDIENCE, false, false),
        ("another browser", None, "web", true, false),
        ("another state", None, "web", false, true),
    ] {
        let (begun, stranger) = (begin(), begin());
        let asked = query(&begun.url);
        answer(nonce.unwrap_or(&asked["nonce"]), aud);
        let state = if other_state { encode([7; 32]) } else { asked["state"].clone() };
        let browser = if other_browser { stranger.browser } else { begun.browser };
        assert!(house.provider.finish(&state, "code", &browser.text()).is_err(), "{what}");
    }
}

#[test]
fn a_provider_that_says_another_name_is_none() {
    let house = house();
    let page = json!({"issuer": "https://evil.example", "jwks_uri": format!("{ISSUER}/keys")}).to_string();
    house.published.pages.lock().unwrap().insert(format!("{ISSUER}/.well-known/openid-configuration"), page);
    assert_eq!(house.provider.identify(&house.token(|_, _| {})).unwrap_err(), Refused::Signature);
    assert!(house.provider.begin("https://pacs.example.org/back", "/").is_err());
    assert!(Grants::default().0.is_empty());
}
