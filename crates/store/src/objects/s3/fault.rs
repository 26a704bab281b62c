//! Errors of a store: which are tried again, and how they are told.

use std::error::Error as _;
use std::future::Future;
use std::io;
use std::time::{Duration, Instant};

use object_store::Error;
use object_store::client::HttpError;

/// How long something that fails on the way is tried again.
const PATIENCE: Duration = Duration::from_secs(60);

/// Does a request until it gets an answer. A reset, a lost answer or a body that breaks off says nothing of the object, and each request
/// here can be done twice.
pub(super) async fn persist<T, F>(mut request: impl FnMut() -> F) -> object_store::Result<T>
where
    F: Future<Output = object_store::Result<T>>,
{
    let (began, mut wait) = (Instant::now(), Duration::from_millis(20));
    loop {
        match request().await {
            Err(error) if is_of_the_way(&error) && began.elapsed() < PATIENCE => {
                tracing::debug!(%error, "tried again");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(Duration::from_secs(5));
            }
            answer => return answer,
        }
    }
}

/// Did the connection fail, rather than the store refuse?
pub(super) fn is_of_the_way(error: &Error) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.is::<HttpError>() {
            return true;
        }
        cause = inner.source();
    }
    false
}

/// The error as readers of objects know it.
pub(super) fn told(error: Error) -> io::Error {
    let kind = match &error {
        Error::NotFound { .. } => return io::ErrorKind::NotFound.into(),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => io::ErrorKind::PermissionDenied,
        error if is_of_the_way(error) => io::ErrorKind::TimedOut,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, reason(&error))
}

/// The last cause, in one short line. S3's own answer is XML: its code says it.
pub(super) fn reason(error: &Error) -> String {
    let whole = error.to_string();
    if let Some(code) = between(&whole, "<Code>", "</Code>") {
        return match between(&whole, "<Message>", "</Message>") {
            Some(message) => format!("{code}: {message}"),
            None => code.to_owned(),
        };
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let line = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(300).collect()
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let rest = text.split_once(from)?.1;
    rest.split_once(to).map(|(inner, _)| inner).filter(|inner| inner.len() <= 300)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_in_xml_is_told_by_its_code() {
        let of = |text: &str| reason(&Error::Generic { store: "S3", source: text.to_owned().into() });
        assert_eq!(of("400: <Error><Code>InvalidX</Code>\n<Message>no</Message></Error>"), "InvalidX: no");
        assert_eq!(of("<Error><Code>SlowDown</Code></Error>"), "SlowDown");
        assert_eq!(of("two\n  lines"), "two lines");
        assert_eq!(of(&"x".repeat(1000)).len(), 300);
    }
}
