//! Paths in text: what is not UTF-8 is shown to people with marks in its place, and kept in full beside that.

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The path for people.
pub fn shown(path: &Path) -> Cow<'_, str> {
    path.to_string_lossy()
}

/// All bytes of a path that is not UTF-8: letters, digits and `/._-` as they are, each other byte as `%XX`; none of any other path.
pub fn bytes_of(path: &Path) -> Option<String> {
    if path.to_str().is_some() {
        return None;
    }
    let mut text = String::new();
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    Some(text)
}

/// The path that [`bytes_of`] wrote.
pub fn path_of(text: &str) -> Option<PathBuf> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((&byte, more)) = rest.split_first() {
        rest = more;
        if byte == b'%' {
            let digits = rest.get(..2)?;
            let digit = |at: usize| char::from(digits[at]).to_digit(16);
            bytes.push(u8::try_from(digit(0)? << 4 | digit(1)?).ok()?);
            rest = &rest[2..];
        } else {
            bytes.push(byte);
        }
    }
    Some(OsString::from_vec(bytes).into())
}

/// The path of a record: its bytes where they were needed, the text otherwise.
pub(crate) fn either(text: PathBuf, bytes: Option<&str>) -> PathBuf {
    bytes.and_then(path_of).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_comes_back() {
        assert_eq!(bytes_of(Path::new("a/M\u{fc}ller %41.dcm")), None);
        let path = PathBuf::from(OsString::from_vec(b"/in/M\xfcller %41 \xff\n.dcm".to_vec()));
        assert_eq!(bytes_of(&path).as_deref(), Some("/in/M%FCller%20%2541%20%FF%0A.dcm"));
        assert_eq!(path_of(&bytes_of(&path).unwrap()).as_deref(), Some(&*path));
        for bad in ["%", "%4", "%4g"] {
            assert_eq!(path_of(bad), None);
        }
        assert_eq!(either("lossy".into(), Some("M%FC")), PathBuf::from(OsString::from_vec(b"M\xfc".to_vec())));
    }
}
