//! Unique identifiers (PS3.5 9.1), read leniently: one rule for what comes in, what is listed, and what an address may name.

use std::fmt;

/// The most characters. The standard has 64; a few archives hold longer ones.
const LONGEST: usize = 128;

/// A UID: digits and dots, at least one digit, at most 128 characters. So it is safe in addresses and paths.
///
/// Padding around it (NUL, space) is taken off. Leading zeros, empty components and a dot at its end are let through as they are:
/// they occur in the field, and who asks for such an instance must find it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(String);

impl Uid {
    /// Takes a UID; `None` when it is none.
    pub fn parse(text: &str) -> Option<Uid> {
        Uid::check(text).ok()
    }

    /// As [`Uid::parse`], or what is wrong with it: the rest of a sentence that names it.
    pub fn check(text: &str) -> Result<Uid, &'static str> {
        let text = text.trim_matches(['\0', ' ']);
        if text.is_empty() {
            return Err("is empty");
        }
        if text.len() > LONGEST {
            return Err("has more than 128 characters");
        }
        if !text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return Err("has characters other than digits and dots");
        }
        // `.` and `..` mean something else in an address.
        if text.bytes().all(|b| b == b'.') {
            return Err("has no digit");
        }
        Ok(Uid(text.to_owned()))
    }

    /// The UID as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Uid> for String {
    fn from(uid: Uid) -> String {
        uid.0
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_archives_hold_is_taken() {
        for (text, uid) in [
            ("1.2.840.10008.1.2", "1.2.840.10008.1.2"),
            ("1.2.3.", "1.2.3."),
            ("1.2.3\0", "1.2.3"),
            (" 1.2.3  ", "1.2.3"),
            ("1.02.003", "1.02.003"),
            ("1..2", "1..2"),
            (".1", ".1"),
            ("0", "0"),
        ] {
            assert_eq!(Uid::parse(text).as_ref().map(Uid::as_str), Some(uid), "{text:?}");
        }
        assert!(Uid::parse(&"9".repeat(128)).is_some());
    }

    #[test]
    fn hostile_ones_are_none() {
        for text in [
            "", " ", "\0", ".", "..", "...", "1.2/3", "1.2%2f3", "1 2", "1.2\n", "1'--", "%", "1*", "a.b", "１.２",
            "-1",
        ] {
            assert_eq!(Uid::parse(text), None, "{text:?}");
        }
        assert_eq!(Uid::check(&"1".repeat(129)), Err("has more than 128 characters"));
    }
}
