//! UIDs that come in paths: taken only if they are what DICOM calls a UID (PS3.5 9.1), read leniently.

use std::fmt;

/// A UID from a request: 1 to 64 characters, digits and dots, a digit first and last.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Uid(String);

impl Uid {
    /// Takes a UID; leading zeros in components and empty components are let through, since stored objects have them.
    pub fn parse(text: &str) -> Option<Uid> {
        let shape = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let ends = text.starts_with(|c: char| c.is_ascii_digit()) && text.ends_with(|c: char| c.is_ascii_digit());
        (shape && ends).then(|| Uid(text.to_owned()))
    }

    /// The UID as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Frame numbers of a path, `1` or `1,3,2`: counted from 1, in the order asked for. At most 4096 of them.
pub fn parse_frame_list(text: &str) -> Option<Vec<u32>> {
    let list: Vec<u32> = text.split(',').map(|n| n.trim().parse().ok().filter(|n| *n >= 1)).collect::<Option<_>>()?;
    (list.len() <= 4096).then_some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_uids_are_no_uids() {
        for text in [
            "",
            ".",
            "..",
            "1.",
            ".1",
            "1.2/3",
            "1.2%2f3",
            "1 2",
            "1.2\n",
            "1'--",
            "%",
            "1*",
            "a.b",
            "１.２",
            &"1".repeat(65),
        ] {
            assert_eq!(Uid::parse(text), None, "{text:?}");
        }
        for text in ["1", "1.2.840.10008.1.2", "2.25.0", "1.02.3", &"9".repeat(64)] {
            assert!(Uid::parse(text).is_some(), "{text:?}");
        }
    }

    #[test]
    fn frame_lists() {
        assert_eq!(parse_frame_list("1"), Some(vec![1]));
        assert_eq!(parse_frame_list("3,1,2"), Some(vec![3, 1, 2]));
        for text in ["", "0", "1,", "-1", "1-3", "x", "99999999999"] {
            assert_eq!(parse_frame_list(text), None, "{text:?}");
        }
    }
}
