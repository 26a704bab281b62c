//! The key: what makes new UIDs, pseudonyms and date shifts the same wherever it is used, and nobody else can undo.
//!
//! All are HMAC-SHA-256 (RFC 2104) under the key, each kind with its own label.

use dicom::input::hex;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Bytes of a key.
const BYTES: usize = 32;
/// Days that dates are moved back at most.
const DAYS: u64 = 3650;

/// A secret of 32 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; BYTES]);

/// Why a key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It can't be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Not 64 hexadecimal digits.
    #[error("a key is one line of 64 hexadecimal digits")]
    Malformed,
    /// Others may read it.
    #[error("others than its owner may read the key")]
    Open,
    /// The system has no random numbers.
    #[error("no random numbers: {0}")]
    Random(String),
}

impl Key {
    /// Takes the bytes of a key.
    pub fn new(bytes: [u8; BYTES]) -> Key {
        Key(bytes)
    }

    /// Reads a key file, which none but its owner may read.
    pub fn load(path: &Path) -> Result<Key, KeyError> {
        let meta = fs::metadata(path)?;
        #[cfg(unix)]
        if std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o077 != 0 {
            return Err(KeyError::Open);
        }
        if meta.len() > 1024 {
            return Err(KeyError::Malformed);
        }
        parse(fs::read_to_string(path)?.trim()).ok_or(KeyError::Malformed)
    }

    /// Makes a key file with a new random key, readable by its owner alone. A file that is there is never replaced.
    pub fn create(path: &Path) -> Result<Key, KeyError> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).map_err(|error| KeyError::Random(error.to_string()))?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        file.write_all(format!("{}\n", hex(&bytes)).as_bytes())?;
        file.sync_all()?;
        Ok(Key(bytes))
    }

    /// 32 hexadecimal digits that stand for `bytes`, of their own for each `label`.
    pub fn token(&self, label: &str, bytes: &[u8]) -> String {
        hex(&self.mac(label, bytes)[..16])
    }

    /// The new UID for a UID: 2.25 and a UUID of version 8 (PS3.5 B.2; RFC 9562 5.8).
    pub fn uid(&self, old: &str) -> String {
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&self.mac("uid", old.as_bytes())[..16]);
        uuid[6] = uuid[6] & 0x0F | 0x80;
        uuid[8] = uuid[8] & 0x3F | 0x80;
        format!("2.25.{}", u128::from_be_bytes(uuid))
    }

    /// Days that the dates of a patient are moved back: 1 to 3650.
    pub(crate) fn days(&self, patient: &[u8]) -> i64 {
        let mut number = [0; 8];
        number.copy_from_slice(&self.mac("days", patient)[..8]);
        (u64::from_be_bytes(number) % DAYS) as i64 + 1
    }

    fn mac(&self, label: &str, bytes: &[u8]) -> [u8; 32] {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(label.as_bytes());
        mac.update(&[0]);
        mac.update(bytes);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

fn parse(text: &str) -> Option<Key> {
    let mut bytes = [0; BYTES];
    if text.len() != 2 * BYTES || !text.is_ascii() {
        return None;
    }
    for (n, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * n..2 * n + 2)?, 16).ok()?;
    }
    Some(Key(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_gives_one_uid_and_another_key_another() {
        let (a, b) = (Key::new([1; 32]), Key::new([2; 32]));
        assert_eq!(a.uid("1.2.3"), a.uid("1.2.3"));
        assert_ne!(a.uid("1.2.3"), b.uid("1.2.3"));
        assert_ne!(a.uid("1.2.3"), a.uid("1.2.4"));
        let number: u128 = a.uid("1.2.3").strip_prefix("2.25.").unwrap().parse().unwrap();
        assert_eq!((number >> 76 & 0xF, number >> 62 & 3), (8, 2));
        assert!(a.uid("1.2.3").len() <= 44);
        assert!((1..=3650).contains(&a.days(b"p")));
    }

    // The figure is by Python's hmac module.
    #[test]
    fn tokens_are_hmac_sha_256() {
        let key = Key::new(std::array::from_fn(|n| n as u8));
        assert_eq!(key.token("uid", b"1.2.3"), "f327c820c0f135c32ff671c51d701a74");
    }

    #[test]
    fn a_key_file_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let key = Key::create(&path).unwrap();
        assert!(Key::load(&path).unwrap() == key);
        assert!(matches!(Key::create(&path), Err(KeyError::Io(e)) if e.kind() == io::ErrorKind::AlreadyExists));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            assert!(matches!(Key::load(&path), Err(KeyError::Open)));
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        fs::write(&path, "00").unwrap();
        assert!(matches!(Key::load(&path), Err(KeyError::Malformed)));
        assert_eq!(format!("{key:?}"), "Key(..)");
    }
}
