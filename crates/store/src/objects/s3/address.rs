//! Where in S3 an archive keeps its objects: `s3://bucket/prefix`.

use std::fmt;

/// A bucket, and a prefix below which everything lies; written `s3://bucket` or `s3://bucket/prefix`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub(super) bucket: String,
    pub(super) prefix: String,
}

impl Address {
    /// Reads an address; `None` where it is none, or has names that S3 does not allow.
    pub fn parse(text: &str) -> Option<Address> {
        let rest = text.strip_prefix("s3://")?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_end_matches('/');
        let of_bucket = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-';
        let of_prefix = |c: char| c.is_ascii_alphanumeric() || "-_.=/".contains(c);
        let segments = prefix.is_empty() || prefix.split('/').all(|s| !matches!(s, "" | "." | ".."));
        let well = (3..=63).contains(&bucket.len()) && bucket.chars().all(of_bucket);
        (well && segments && prefix.len() <= 512 && prefix.chars().all(of_prefix))
            .then(|| Address { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        if self.prefix.is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_the_same() {
        for text in ["s3://bucket", "s3://a.b-c/one", "s3://bucket/one/two=3"] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Address::parse("s3://bucket/one//").unwrap().to_string(), "s3://bucket/one");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "bucket",
            "s3://",
            "s3:///prefix",
            "s3://ab",
            "s3://Bucket",
            "s3://key:secret@bucket",
            "s3://bucket/../other",
            "s3://bucket/a//b",
            "s3://bucket/a?b",
            "s3://bucket/é",
            "https://bucket/prefix",
        ] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }
}
