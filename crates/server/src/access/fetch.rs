//! What an identity provider is asked: in bounds of time and size, over TLS, or on this machine.

use ::access::Fetch;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::time::Duration;
use tokio::runtime::Handle;

/// An answer is there by then.
const LONGEST: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const LARGEST: usize = 1 << 20;

/// A line to providers. It blocks: it is used from threads that may.
pub struct Line {
    client: reqwest::Client,
    runtime: Handle,
}

impl Line {
    /// On this runtime.
    pub fn new(runtime: Handle) -> Result<Line, reqwest::Error> {
        // Whoever was first has set the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(LONGEST).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Line { client, runtime })
    }

    fn answer(&self, request: reqwest::RequestBuilder) -> Result<Vec<u8>, String> {
        self.runtime.block_on(async {
            let mut response = request.send().await.map_err(|e| e.to_string())?;
            if response.status() != reqwest::StatusCode::OK {
                return Err(format!("it answered {}", response.status()));
            }
            let mut body = Vec::new();
            while let Some(piece) = response.chunk().await.map_err(|e| e.to_string())? {
                if body.len() + piece.len() > LARGEST {
                    return Err("its answer is too large".to_owned());
                }
                body.extend_from_slice(&piece);
            }
            Ok(body)
        })
    }
}

impl Fetch for Line {
    fn get(&self, url: &str) -> Result<Vec<u8>, String> {
        self.answer(self.client.get(sound(url)?))
    }

    fn post(&self, url: &str, form: &[(&str, &str)], client: Option<(&str, &str)>) -> Result<Vec<u8>, String> {
        let pairs: Vec<String> = form.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let mut request = self.client.post(sound(url)?).body(pairs.join("&"));
        request =
            request.header("content-type", "application/x-www-form-urlencoded").header("accept", "application/json");
        if let Some((name, secret)) = client {
            // Coded before they are joined (RFC 6749 2.3.1).
            request = request.basic_auth(encoded(name), Some(encoded(secret)));
        }
        self.answer(request)
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// An address that is asked: with TLS, or on this machine.
fn sound(url: &str) -> Result<&str, String> {
    let host = url.strip_prefix("http://").and_then(|rest| rest.split(['/', '?']).next());
    let name = host.map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name));
    let near = matches!(name, Some("localhost" | "127.0.0.1" | "[::1]"));
    match url.starts_with("https://") || near {
        true => Ok(url),
        false => Err(format!("{url} is not asked: it has no TLS")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tls_or_this_machine_is_asked() {
        for url in ["https://id.example.org/x", "http://localhost:9/x", "http://127.0.0.1/x", "http://[::1]:9/x"] {
            assert!(sound(url).is_ok(), "{url}");
        }
        for url in [
            "http://id.example.org/x",
            "http://localhost.evil.example/",
            "file:///etc/passwd",
            "http://localhost@evil.example/",
            "",
        ] {
            assert!(sound(url).is_err(), "{url}");
        }
    }
}
