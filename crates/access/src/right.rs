//! What may be done with a study.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One thing that may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// To list, search and look.
    Read,
    /// To store.
    Write,
    /// To take away.
    Delete,
    /// To make links for others.
    Share,
    /// To manage who may what, and to see how the server does.
    Administer,
}

impl Right {
    /// All of them.
    pub const ALL: [Right; 5] = [Right::Read, Right::Write, Right::Delete, Right::Share, Right::Administer];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Right::Read => "read",
            Right::Write => "write",
            Right::Delete => "delete",
            Right::Share => "share",
            Right::Administer => "administer",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of rights.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<Right>", into = "Vec<Right>")]
pub struct Rights(u8);

impl Rights {
    /// Every right.
    pub fn all() -> Rights {
        Right::ALL.into_iter().collect()
    }

    /// Is this one of them?
    pub fn has(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }

    /// Those that are in both.
    pub fn and(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Rights {
        Rights(rights.into_iter().fold(0, |all, right| all | right.bit()))
    }
}

impl From<Vec<Right>> for Rights {
    fn from(rights: Vec<Right>) -> Rights {
        rights.into_iter().collect()
    }
}

impl From<Rights> for Vec<Right> {
    fn from(rights: Rights) -> Vec<Right> {
        Right::ALL.into_iter().filter(|right| rights.has(*right)).collect()
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Vec::from(*self).into_iter().map(Right::name).collect();
        f.write_str(&names.join(","))
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

impl FromStr for Rights {
    type Err = String;

    /// Names with commas between, or `all`.
    fn from_str(text: &str) -> Result<Rights, String> {
        if text == "all" {
            return Ok(Rights::all());
        }
        let right = |name: &str| {
            let found = Right::ALL.into_iter().find(|right| right.name() == name.trim());
            found.ok_or_else(|| {
                format!("\"{}\" is no right: read, write, delete, share, administer or all", name.trim().escape_debug())
            })
        };
        text.split(',').map(right).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_as_they_are_written() {
        let of = |text: &str| text.parse::<Rights>().map(|rights| rights.to_string()).ok();
        assert_eq!(of("write, read").as_deref(), Some("read,write"));
        assert_eq!(of("all").as_deref(), Some("read,write,delete,share,administer"));
        for wrong in ["", "Read", "read;write", "admin", "read,,write"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_not_known_is_no_right() {
        assert_eq!(serde_json::to_string(&Rights::all()).unwrap(), r#"["read","write","delete","share","administer"]"#);
        assert!(serde_json::from_str::<Rights>(r#"["read","fly"]"#).is_err());
    }
}
