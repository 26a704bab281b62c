//! Is a file meant to be DICOM? What can't be read is named and kept when it is, and passed over when it is not.

use crate::data_set::Vr;
use std::path::Path;

/// Bytes of a file that [`is_likely_dicom`] looks at.
pub const LIKELY_HEAD: usize = 132;

/// Longest value of the first element of a data set without file meta, in Implicit VR: it is a length, a character set or an image type.
const FIRST_VALUE: u32 = 4096;

/// The first bytes of a file and its name say that it is DICOM: `DICM` behind the preamble (PS3.10 7.1) or without one, a first
/// element of the file meta or of the identifying group (0008, in either byte order, with or without VR), or a name in `.dcm`.
pub fn is_likely_dicom(head: &[u8], name: &Path) -> bool {
    let named = name.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("dcm"));
    named || head.get(128..132) == Some(b"DICM") || head.starts_with(b"DICM") || is_first_element(head)
}

fn is_first_element(head: &[u8]) -> bool {
    let Some(&[a, b, c, d, e, f, g, h]) = head.first_chunk::<8>() else { return false };
    let with_vr = Vr::from_binary([e, f]).is_some();
    let short = |length: u32| length <= FIRST_VALUE;
    match (a, b) {
        (2, 0) => d <= 1 && (with_vr || short(u32::from_le_bytes([e, f, g, h]))),
        (8, 0) => d == 0 && (with_vr || short(u32::from_le_bytes([e, f, g, h]))),
        (0, 8) => c == 0 && (with_vr || short(u32::from_be_bytes([e, f, g, h]))),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_as_dicom_or_is_called_so_is_dicom() {
        let prefixed = [&[0; 128][..], b"DICM"].concat();
        for (head, name) in [
            (&prefixed[..], "x"),
            (b"DICM\x02\0\0\0UL\x04\0", "x"),
            (b"\x02\0\0\0UL\x04\0", "x"),
            (b"\x08\0\x05\0CS\x0a\0", "x"),
            (b"\0\x08\0\x05CS\0\x0a", "x"),
            (b"\x08\0\0\0\x04\0\0\0", "x"),
            (b"\0\x08\0\0\0\0\0\x04", "x"),
            (b"", "a/B.DCM"),
        ] {
            assert!(is_likely_dicom(head, Path::new(name)), "{name} {head:?}");
        }
    }

    #[test]
    fn other_files_are_not() {
        let text = "Nothing but words. ".repeat(20);
        for (head, name) in [
            (text.as_bytes(), "notes.txt"),
            (b"", "empty"),
            (b"\x08\0\x05", "short"),
            (b"\x08\0\x05\0\xff\xff\xff\x7f", "numbers"),
            (b"PK\x03\x04\x14\0\0\0", "a.dcm.zip"),
            (b"\x7fELF\x02\x01\x01\0", "dcm"),
        ] {
            assert!(!is_likely_dicom(head, Path::new(name)), "{name} {head:?}");
        }
    }
}
