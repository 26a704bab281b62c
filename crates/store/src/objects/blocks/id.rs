//! What a block is known by: the object, which bytes of it, and the number of the block.

use std::fmt;

use crate::objects::Key;

/// Which bytes lie under a key. An object never changes, but damage to it does, and its repair: blocks of the one are none of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(in crate::objects) struct Version {
    /// A short hash of the ETag.
    tag: u32,
    /// When they were written, in seconds since 1970; 0 where only whoever wrote them knows.
    modified: u32,
}

impl Version {
    /// By what the store says: the ETag, and when the object was last written, in seconds since 1970.
    pub(in crate::objects) fn of(tag: &str, modified: i64) -> Version {
        // Never 0: that is what is not told.
        let modified = u32::try_from(modified.rem_euclid(1 << 32)).unwrap_or_default().max(1);
        Version { tag: crc32fast::hash(tag.as_bytes()), modified }
    }

    /// The same where the time is not told: of what was just written here.
    pub(in crate::objects) fn written(self) -> Version {
        Version { modified: 0, ..self }
    }

    /// Can these be the same bytes, as far as is known?
    pub(in crate::objects) fn fits(self, other: Version) -> bool {
        self == other || (self.tag == other.tag && (self.modified == 0 || other.modified == 0))
    }
}

/// A block of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::objects) struct Id {
    pub(in crate::objects) key: Key,
    pub(in crate::objects) version: Version,
    pub(in crate::objects) block: u64,
}

impl Id {
    /// Reads a name as it is written.
    pub(super) fn parse(name: &str) -> Option<Id> {
        let mut parts = name.splitn(3, '-');
        let (key, version, block) = (parts.next()?, parts.next()?, parts.next()?);
        let (tag, modified) = version.split_at_checked(8).filter(|(_, modified)| modified.len() == 8)?;
        let half = |hex: &str| u32::from_str_radix(hex, 16).ok();
        let version = Version { tag: half(tag)?, modified: half(modified)? };
        let id = Id { key: Key::parse(key)?, version, block: block.parse().ok()? };
        (id.to_string() == name).then_some(id)
    }

    /// A checksum of the block under this name: bytes under another name don't fit it.
    pub(super) fn sum(&self, block: &[u8]) -> [u8; 4] {
        let mut sum = crc32fast::Hasher::new();
        sum.update(self.to_string().as_bytes());
        sum.update(block);
        sum.finalize().to_le_bytes()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Id { key, version: Version { tag, modified }, block } = self;
        write!(f, "{key}-{tag:08x}{modified:08x}-{block}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let id = Id { key: Key::new([7; 32]), version: Version::of("\"tag\"", 1_700_000_000), block: 12 };
        let name = id.to_string();
        assert_eq!(Id::parse(&name), Some(id));
        let key = id.key;
        for other in
            [format!("{key}-12"), format!("{name}x"), format!("{key}-+0000000{}", &name[73..]), key.to_string()]
        {
            assert_eq!(Id::parse(&other), None, "{other}");
        }
    }

    #[test]
    fn what_was_written_here_fits_what_the_store_says_of_it() {
        let (first, healed, other) = (Version::of("a", 5), Version::of("a", 6), Version::of("b", 5));
        assert!(first.fits(first) && !first.fits(healed) && !first.fits(other));
        assert!(first.written().fits(healed) && healed.fits(first.written()) && !first.written().fits(other));
        assert_eq!(first.written(), healed.written());
    }
}
