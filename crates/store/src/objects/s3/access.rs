//! How the store is reached and what opens it: by the environment or a file, never the command line.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, Checksum};
use object_store::{BackoffConfig, ClientConfigKey, RetryConfig};

use super::address::Address;
use super::unusable::Unusable;

/// A file of credentials is some lines; more is something else.
const MOST: u64 = 64 << 10;

/// Endpoint, region and credentials of a store.
#[derive(Clone, Default)]
pub struct Access {
    /// Variables as AWS names them, `AWS_REGION` for one.
    pub variables: Vec<(String, String)>,
    /// A file of credentials as AWS writes it: `aws_access_key_id = ...` in the section of the profile.
    pub credentials: Option<PathBuf>,
}

impl Access {
    /// What the environment says: `AWS_*` as usual, and `FIRSTLIGHT_S3_ENDPOINT`, `FIRSTLIGHT_S3_CREDENTIALS` before them.
    pub fn from_env() -> Access {
        let mut variables: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with("AWS_"))
            .collect();
        if let Ok(endpoint) = std::env::var("FIRSTLIGHT_S3_ENDPOINT") {
            variables
                .retain(|(name, _)| !matches!(&**name, "AWS_ENDPOINT" | "AWS_ENDPOINT_URL" | "AWS_ENDPOINT_URL_S3"));
            variables.push(("AWS_ENDPOINT".to_owned(), endpoint));
        }
        let file = |name| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        let credentials = file("FIRSTLIGHT_S3_CREDENTIALS").or_else(|| file("AWS_SHARED_CREDENTIALS_FILE"));
        Access { variables, credentials }
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// Plain HTTP shows everything to whoever listens: it is let to this machine itself, or where the user says so.
    fn plain(&self) -> bool {
        let endpoint =
            ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"].iter().find_map(|name| self.variable(name));
        let host = endpoint.and_then(|url| url.strip_prefix("http://")).unwrap_or_default();
        let host = host.split('/').next().unwrap_or_default();
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        matches!(host, "127.0.0.1" | "localhost" | "[::1]")
    }

    /// A client of the bucket.
    pub(super) fn client(&self, address: &Address, patience: Patience) -> Result<AmazonS3, Unusable> {
        let wrong = |error: object_store::Error| Unusable::Settings(error.to_string());
        let mut builder = AmazonS3Builder::new();
        for (name, value) in &self.variables {
            if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
                builder = builder.with_config(key, value);
            }
        }
        if let Some(path) = &self.credentials {
            let text = read(path).map_err(|error| Unusable::Credentials(path.clone(), error))?;
            let section = self.variable("AWS_PROFILE").unwrap_or("default");
            for (key, value) in pairs(&text, section) {
                builder = builder.with_config(key, value);
            }
        }
        let allowed = self.variable("AWS_ALLOW_HTTP").is_some_and(|value| matches!(value, "1" | "true"));
        // Set one by one: what the variables say of proxies stays.
        for (key, value) in [
            (ClientConfigKey::AllowHttp, (allowed || self.plain()).to_string()),
            (ClientConfigKey::ConnectTimeout, format!("{}s", patience.connect.as_secs())),
            (ClientConfigKey::ReadTimeout, format!("{}s", patience.read.as_secs())),
            (ClientConfigKey::Timeout, format!("{}s", patience.request.as_secs())),
        ] {
            builder = builder.with_config(AmazonS3ConfigKey::Client(key), value);
        }
        let backoff =
            BackoffConfig { init_backoff: Duration::from_millis(50), max_backoff: Duration::from_secs(5), base: 2.0 };
        builder
            .with_bucket_name(&address.bucket)
            .with_checksum_algorithm(Checksum::SHA256)
            .with_retry(RetryConfig { backoff, max_retries: patience.retries, retry_timeout: patience.request })
            .build()
            .map_err(wrong)
    }
}

/// How long a client waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    connect: Duration,
    read: Duration,
    request: Duration,
    retries: usize,
}

impl Patience {
    /// Of a start: what is wrong is said soon.
    pub(super) const PROBE: Patience = Patience::of(3, 5, 10, 2);
    /// Of reads, which come in small answers.
    pub(super) const READ: Patience = Patience::of(5, 10, 60, 10);
    /// Of writes, whose answer comes only after all bytes went.
    pub(super) const WRITE: Patience = Patience::of(5, 120, 150, 10);

    const fn of(connect: u64, read: u64, request: u64, retries: usize) -> Patience {
        let (connect, read) = (Duration::from_secs(connect), Duration::from_secs(read));
        Patience { connect, read, request: Duration::from_secs(request), retries }
    }
}

fn read(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > MOST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too long for a file of credentials"));
    }
    fs::read_to_string(path)
}

/// What a section of the file says. Lines before the first section count for each.
fn pairs(text: &str, section: &str) -> Vec<(AmazonS3ConfigKey, String)> {
    let (mut within, mut found) = (true, Vec::new());
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            within = name.trim() == section;
        } else if let Some((name, value)) = line.split_once('=').filter(|_| within) {
            let key = match name.trim().to_ascii_lowercase().as_str() {
                "aws_access_key_id" => AmazonS3ConfigKey::AccessKeyId,
                "aws_secret_access_key" => AmazonS3ConfigKey::SecretAccessKey,
                "aws_session_token" => AmazonS3ConfigKey::Token,
                _ => continue,
            };
            found.push((key, value.trim().to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_credentials_is_read_by_profile() {
        let text = "# ours\n[default]\naws_access_key_id = A\naws_secret_access_key=S=\nregion = r\n\n[other]\naws_access_key_id = B\n";
        let of = |section| pairs(text, section).into_iter().map(|(_, value)| value).collect::<Vec<_>>();
        assert_eq!(of("default"), ["A", "S="]);
        assert_eq!(of("other"), ["B"]);
        assert!(of("none").is_empty());
    }

    #[test]
    fn plain_http_is_for_this_machine() {
        let of = |endpoint: &str| {
            Access { variables: vec![("AWS_ENDPOINT".into(), endpoint.into())], credentials: None }.plain()
        };
        assert!(of("http://127.0.0.1:9000") && of("http://localhost:1/") && of("http://[::1]:9000"));
        assert!(!of("http://10.0.0.1:9000") && !of("https://127.0.0.1") && !of("http://127.0.0.1.example.org"));
    }
}
