//! What a file is, by its first bytes: an instance, a packed file that is read here, or one that is not and is named.
//!
//! Names are asked only where the bytes say nothing: the parts of a split archive after the first have no mark of their own.

use super::pack::{is_tar, open_zip};
use super::unpack::{self, Packing};
use crate::journal::Kind;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Bytes that say what a file is.
pub(super) const HEAD: u64 = 32 << 10;

/// What a file is.
#[derive(Debug)]
pub(super) enum Form {
    /// An instance, or no DICOM at all: whoever opens it finds out.
    File(Vec<u8>),
    /// A packed file that is read here.
    Pack(Kind),
    /// A packed file that is not, called so.
    Refused(&'static str),
}

/// Forms that are known by their first bytes and not read here.
const MARKS: [(usize, &[u8], &str); 16] = [
    (0, b"7z\xBC\xAF\x27\x1C", "a 7z archive"),
    (0, b"Rar!\x1A\x07", "a rar archive"),
    (0, b"PK\x07\x08PK", "a part of a split zip file"),
    (0, b"PK00PK\x03\x04", "a part of a split zip file"),
    (0, b"MSCF\0\0\0\0", "a cabinet file (cab)"),
    (0, b"LZIP\x01", "a file compressed by lzip"),
    (0, b"\x04\x22\x4D\x18", "a file compressed by lz4"),
    (0, b"\x89LZO\0\r\n\x1A\n", "a file compressed by lzop"),
    (0, b"070701", "a cpio archive"),
    (0, b"070702", "a cpio archive"),
    (0, b"070707", "a cpio archive"),
    (0, b"xar!\0", "a xar archive"),
    (7, b"**ACE**", "an ace archive"),
    (2, b"-lh5-", "an lzh archive"),
    (0, b"SIT!", "a StuffIt archive"),
    (0, b"StuffIt (c)", "a StuffIt archive"),
];

/// Forms whose bytes say too little alone: beginning, end of the name in lower case.
const NAMED: [(&[u8], &str, &str); 6] = [
    (b"\x1F\x9D", ".z", "a file compressed by compress (.Z)"),
    (b"\x60\xEA", ".arj", "an arj archive"),
    (b"\x5D\0\0", ".lzma", "a file compressed as lzma"),
    (b"\x5D\0\0", ".tlz", "a file compressed as lzma"),
    (b"", ".dmg", "a disk image (dmg)"),
    (b"", ".mdf", "an image of a disc (mdf)"),
];

/// Looks into a file.
pub(super) fn look(path: &Path) -> io::Result<Form> {
    let mut file = File::open(path)?;
    let mut bytes = Vec::new();
    file.by_ref().take(HEAD).read_to_end(&mut bytes)?;
    if let Some(form) = of_bytes(&bytes) {
        return match form {
            Form::Pack(Kind::Stream) => within(path, bytes),
            form => Ok(form),
        };
    }
    if is_instance(&bytes) {
        return Ok(Form::File(bytes));
    }
    let name = path.file_name().unwrap_or_default().as_bytes().to_ascii_lowercase();
    if let Some((.., what)) =
        NAMED.iter().find(|(mark, end, _)| bytes.starts_with(mark) && name.ends_with(end.as_bytes()))
    {
        return Ok(Form::Refused(what));
    }
    if at(&mut file, 0x8001, b"CD001")? {
        return Ok(Form::Refused("an image of a disc (ISO 9660)"));
    }
    if is_later_part(&name) {
        return Ok(Form::Refused("a part of a split archive"));
    }
    // A zip file may have a program before it, or be the last part of a split one.
    if name.ends_with(b".zip") && open_zip(path).is_ok() {
        return Ok(Form::Pack(Kind::Zip));
    }
    Ok(Form::File(bytes))
}

/// Is it an instance, or something that may hold some?
pub(crate) fn looks_like_dicom(path: &Path) -> bool {
    match look(path) {
        Ok(Form::File(bytes)) => is_instance(&bytes),
        Ok(_) => true,
        Err(_) => false,
    }
}

/// A packed form that the first bytes say, whatever holds them.
pub(super) fn of_bytes(bytes: &[u8]) -> Option<Form> {
    if bytes.get(128..132) == Some(b"DICM") {
        return None;
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return Some(Form::Pack(Kind::Zip));
    }
    if is_tar(bytes) {
        return Some(Form::Pack(Kind::Tar));
    }
    if unpack::packing(bytes).is_some() {
        return Some(Form::Pack(Kind::Stream));
    }
    let mark = MARKS.iter().find(|(at, mark, _)| bytes.get(*at..).is_some_and(|rest| rest.starts_with(mark)));
    mark.map(|(.., what)| Form::Refused(what))
}

/// What a compressed file holds: a tar file, or one instance. A log that was compressed is no instance, and is skipped as it is.
fn within(path: &Path, packed: Vec<u8>) -> io::Result<Form> {
    let mut bytes = Vec::new();
    // What is damaged further on is told when it is walked.
    let read = unpack::open(path).and_then(|packed| packed.take(HEAD).read_to_end(&mut bytes));
    if bytes.is_empty() {
        read?;
    }
    Ok(match of_bytes(&bytes) {
        Some(Form::Pack(Kind::Tar)) => Form::Pack(Kind::Stream),
        Some(Form::Pack(Kind::Zip)) => Form::Refused("a zip file that is compressed once more"),
        Some(Form::Pack(_)) => Form::Refused("a file that is compressed twice"),
        Some(form) => form,
        None if is_instance(&bytes) => Form::Pack(Kind::Stream),
        None => Form::File(packed),
    })
}

/// Do they begin an instance, with or without preamble?
fn is_instance(bytes: &[u8]) -> bool {
    bytes.get(128..132) == Some(b"DICM") || super::folder::head(bytes.to_vec()).is_some()
}

fn at(file: &mut File, place: u64, mark: &[u8]) -> io::Result<bool> {
    file.seek(SeekFrom::Start(place))?;
    let mut bytes = Vec::new();
    file.take(mark.len() as u64).read_to_end(&mut bytes)?;
    Ok(bytes == mark)
}

/// Is it called as a part of a split archive: `x.zip.002`, `x.z01`, `x.r07`, `x.tar.gz.ab`?
fn is_later_part(name: &[u8]) -> bool {
    let Some(dot) = name.iter().rposition(|b| *b == b'.') else { return false };
    let (before, end) = (&name[..dot], &name[dot + 1..]);
    let digits = |bytes: &[u8]| !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    let packed = [&b".zip"[..], b".7z", b".tar", b".gz", b".tgz", b".xz", b".zst", b".bz2", b".rar"];
    let of_packed = packed.iter().any(|form| before.ends_with(form));
    match end {
        [b'z' | b'r', digits_ @ ..] if digits_.len() == 2 => digits(digits_),
        [b'a'..=b'z', b'a'..=b'z'] => of_packed,
        end => of_packed && end.len() >= 2 && digits(end),
    }
}

impl Packing {
    /// Endings of names that say how a file is compressed.
    pub(super) const ENDINGS: [&'static str; 6] = [".gz", ".xz", ".zst", ".zstd", ".bz2", ".bz"];
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn forms_are_known_by_their_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let look_at = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            match look(&path) {
                Ok(Form::File(_)) => "file".to_owned(),
                Ok(Form::Pack(kind)) => format!("{kind:?}"),
                Ok(Form::Refused(what)) => what.to_owned(),
                Err(e) => e.to_string(),
            }
        };
        assert_eq!(look_at("a", b"7z\xBC\xAF\x27\x1C and more"), "a 7z archive");
        assert_eq!(look_at("b.dcm", b"Rar!\x1A\x07\x01\0 and more"), "a rar archive");
        assert_eq!(look_at("c", b"PK\x07\x08PK\x03\x04"), "a part of a split zip file");
        assert_eq!(look_at("d.tar.gz.ab", b"anything"), "a part of a split archive");
        assert_eq!(look_at("e.z01", b"anything"), "a part of a split archive");
        assert_eq!(look_at("f.zip.002", b"anything"), "a part of a split archive");
        for name in ["notes.txt", "x.001", "1.2.840.10", "image.aa", "z.zip"] {
            assert_eq!(look_at(name, b"anything"), "file", "{name}");
        }
        let mut disc = vec![0; 0x8001];
        disc.extend(b"CD001\x01");
        assert_eq!(look_at("cd", &disc), "an image of a disc (ISO 9660)");
        let mut instance = vec![0; 128];
        instance[..6].copy_from_slice(b"7z\xBC\xAF\x27\x1C");
        instance.extend(b"DICM");
        assert_eq!(look_at("polyglot", &instance), "file");
    }
}
