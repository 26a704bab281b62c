//! Files that are packed: zip (APPNOTE 6.3), tar (POSIX ustar and pax), and tar compressed by gzip (RFC 1952).
//!
//! They come from anywhere. Names that leave the folder are left out with a line; what unpacks to far more than it was is
//! refused; headers that a packed file grows to fill memory end it.

use super::folder::head;
use super::{CHUNK, Census, Walked, date, or_dash};
use crate::Error;
use crate::journal::{Found, Kind};
use crate::place::is_plain;
use crate::trouble::{file_line, reason};
use flate2::read::MultiGzDecoder;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use zip::ZipArchive;

/// The largest entry.
pub(super) const LARGEST: u64 = 64 << 30;
/// What unpacks to more than this and to more than [`TIMES`] of what it was is a bomb.
const MODEST: u64 = 1 << 30;
const TIMES: u64 = 200;
/// The directory of a zip file is held in memory: about so many bytes of it.
const DIRECTORY: u64 = 32 << 20;
/// Headers between two entries of a tar file.
const HEADERS: u64 = 1 << 20;
const HEAD: u64 = 32 << 10;

/// What kind of packed file it is, if one.
pub(super) fn kind(path: &Path, bytes: &[u8]) -> Option<Kind> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    if bytes.get(128..132) == Some(b"DICM") {
        None
    } else if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        Some(Kind::Zip)
    } else if bytes.get(257..262) == Some(b"ustar") {
        Some(Kind::Tar)
    } else if bytes.starts_with(&[0x1f, 0x8b]) && (name.ends_with(".tar.gz") || name.ends_with(".tgz")) {
        Some(Kind::TarGz)
    } else {
        None
    }
}

/// Adds the entries of a packed file; `base` is its place where the layout mirrors the source.
pub(super) fn walk(census: &mut Census, kind: Kind, path: &Path, modified: i64, base: &Path) -> Result<(), Error> {
    let mut entries = Entries { census, path, modified, base, found: Vec::new() };
    let walked = match kind {
        Kind::Zip => entries.zip(),
        _ => entries.tar(kind),
    };
    let rest = std::mem::take(&mut entries.found);
    census.add(rest)?;
    match walked {
        Ok(()) => Ok(()),
        Err(Walk::Pack(e)) => {
            let hint = Some("what is before that place was taken; unpack it by hand to see more");
            (census.told)(Walked::Trouble(file_line("cannot read", path, &reason(&e), hint)));
            Ok(())
        }
        Err(Walk::Journal(e)) => Err(e),
    }
}

struct Entries<'a, 'b> {
    census: &'a mut Census<'b>,
    path: &'a Path,
    modified: i64,
    base: &'a Path,
    found: Vec<Found>,
}

/// The packed file is damaged, or the journal can't be written.
enum Walk {
    Pack(io::Error),
    Journal(Error),
}

impl From<io::Error> for Walk {
    fn from(error: io::Error) -> Walk {
        Walk::Pack(error)
    }
}

impl Entries<'_, '_> {
    fn zip(&mut self) -> Result<(), Walk> {
        let mut zip = open_zip(self.path)?;
        for part in 0..zip.len() {
            if self.census.stopped() {
                break;
            }
            let mut entry = match zip.by_index(part) {
                Ok(entry) => entry,
                Err(e) => {
                    let what = format!("entry {}: {e}", part + 1);
                    (self.census.told)(Walked::Trouble(file_line("cannot read", self.path, &what, None)));
                    continue;
                }
            };
            if !entry.is_file() {
                continue;
            }
            let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
            let (size, packed) = (entry.size(), entry.compressed_size());
            let mut bytes = Vec::new();
            // A damaged entry is refused when its turn comes.
            let _ = entry.by_ref().take(HEAD).read_to_end(&mut bytes);
            drop(entry);
            if is_bomb(size, packed) {
                let what = format!("{name:?} unpacks from {packed} to {size} bytes: left out");
                (self.census.told)(Walked::Trouble(file_line("refused", self.path, &what, None)));
                continue;
            }
            self.add(Kind::Zip, part as u64, name, size, bytes)?;
        }
        Ok(())
    }

    fn tar(&mut self, kind: Kind) -> Result<(), Walk> {
        let mut tar = Tar::open(self.path, kind)?;
        let mut number = 0;
        tar.each(|entry| {
            if self.census.stopped() {
                return Ok(false);
            }
            let part = if kind == Kind::Tar { entry.offset } else { number };
            number += 1;
            let mut bytes = Vec::new();
            (&mut *entry.read).take(HEAD).read_to_end(&mut bytes)?;
            self.add(kind, part, entry.name, entry.size, bytes)?;
            Ok(true)
        })
    }

    fn add(&mut self, kind: Kind, part: u64, name: String, bytes: u64, first: Vec<u8>) -> Result<(), Walk> {
        let Some(place) = harmless(&name) else {
            let what = format!("names {name:?}, which leads out of it: left out");
            (self.census.told)(Walked::Trouble(file_line("refused", self.path, &what, None)));
            return Ok(());
        };
        let head = head(first);
        self.found.push(Found {
            kind,
            path: self.path.to_owned(),
            part,
            name,
            place: self.census.mirror.then(|| self.base.join(place)),
            bytes,
            modified: self.modified,
            modality: or_dash(head.as_ref().map_or("", |head| &head.modality)),
            syntax: or_dash(head.as_ref().map_or("", |head| head.transfer_syntax.uid())),
            date: head.map_or(0, |head| date(&head.study_date)),
        });
        if self.found.len() >= CHUNK {
            let found = std::mem::take(&mut self.found);
            self.census.add(found).map_err(Walk::Journal)?;
        }
        Ok(())
    }
}

/// The path of an entry below the packed file; none when it would leave it.
fn harmless(name: &str) -> Option<PathBuf> {
    if name.contains(['\\', '\0']) {
        return None;
    }
    let parts = Path::new(name).components().filter(|part| !matches!(part, Component::CurDir));
    let path: PathBuf = parts.collect();
    (is_plain(&path) && path.file_name().is_some()).then_some(path)
}

fn is_bomb(size: u64, packed: u64) -> bool {
    size > LARGEST || (size > MODEST && size / TIMES > packed)
}

/// Opens a zip file whose directory is not too large to be held.
pub(super) fn open_zip(path: &Path) -> io::Result<ZipArchive<BufReader<File>>> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    // The end record is at the end, behind a comment of at most 64 kB; it says how large the directory is.
    let tail = len.min(66_000);
    file.seek(SeekFrom::Start(len - tail))?;
    let mut bytes = Vec::new();
    file.by_ref().take(tail).read_to_end(&mut bytes)?;
    let end = bytes.windows(4).rposition(|four| four == b"PK\x05\x06");
    let entries =
        end.and_then(|at| bytes.get(at + 10..at + 12)).map_or(0, |n| u64::from(u16::from_le_bytes([n[0], n[1]])));
    let size = end.and_then(|at| bytes.get(at + 12..at + 16));
    let mut size = size.map_or(0, |n| u64::from(u32::from_le_bytes([n[0], n[1], n[2], n[3]])));
    if entries == 0xFFFF || size == 0xFFFF_FFFF {
        let wide = bytes.windows(4).rposition(|four| four == b"PK\x06\x06").and_then(|at| bytes.get(at + 40..at + 48));
        size = wide.and_then(|n| n.try_into().ok()).map_or(u64::MAX, u64::from_le_bytes);
    }
    if size > DIRECTORY {
        return Err(io::Error::other("a zip file with too many entries to be read here: unpack it first"));
    }
    file.rewind()?;
    ZipArchive::new(BufReader::new(file)).map_err(io::Error::other)
}

/// A tar file, read from its beginning.
pub(super) struct Tar {
    tar: tar::Archive<Guard>,
    guard: Rc<Budget>,
}

/// An entry of a tar file.
pub(super) struct TarEntry<'a> {
    /// Its path as written.
    pub name: String,
    /// Where its bytes begin in the tar file.
    pub offset: u64,
    /// How many they are.
    pub size: u64,
    /// Its bytes.
    pub read: &'a mut dyn Read,
}

impl Tar {
    pub fn open(path: &Path, kind: Kind) -> io::Result<Tar> {
        let file = File::open(path)?;
        let packed = file.metadata()?.len();
        let read: Box<dyn Read> = match kind {
            Kind::TarGz => Box::new(MultiGzDecoder::new(BufReader::with_capacity(1 << 16, file))),
            _ => Box::new(BufReader::with_capacity(1 << 16, file)),
        };
        let most = if kind == Kind::TarGz { packed.saturating_mul(TIMES).max(MODEST) } else { u64::MAX };
        let guard = Rc::new(Budget { headers: Cell::new(HEADERS), all: Cell::new(most), body: Cell::new(false) });
        Ok(Tar { tar: tar::Archive::new(Guard { read, budget: guard.clone() }), guard })
    }

    /// Calls `each` for every file in it, until it says that this is enough.
    pub fn each<E: From<io::Error>>(&mut self, mut each: impl FnMut(TarEntry) -> Result<bool, E>) -> Result<(), E> {
        for entry in self.tar.entries()? {
            let mut entry = entry?;
            self.guard.headers.set(HEADERS);
            self.guard.body.set(true);
            if entry.header().entry_type().is_file() {
                let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                let (offset, size) = (entry.raw_file_position(), entry.size());
                if !each(TarEntry { name, offset, size, read: &mut entry })? {
                    return Ok(());
                }
            }
            io::copy(&mut entry, &mut io::sink())?;
            self.guard.body.set(false);
        }
        Ok(())
    }
}

/// How much may still be read.
struct Budget {
    /// Between two entries: a header that names itself endless would fill memory.
    headers: Cell<u64>,
    all: Cell<u64>,
    /// Within an entry.
    body: Cell<bool>,
}

struct Guard {
    read: Box<dyn Read>,
    budget: Rc<Budget>,
}

impl Read for Guard {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.read.read(buf)? as u64;
        let left = |cell: &Cell<u64>, what: &str| match cell.get().checked_sub(n) {
            Some(left) => {
                cell.set(left);
                Ok(())
            }
            None => Err(io::Error::other(what)),
        };
        left(&self.budget.all, "it unpacks to more than 200 times its size")?;
        if !self.budget.body.get() {
            left(&self.budget.headers, "the header of an entry is too large")?;
        }
        Ok(n as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below() {
        let place = |name| harmless(name).map(|path| path.to_string_lossy().into_owned());
        assert_eq!(place("a/b.dcm").as_deref(), Some("a/b.dcm"));
        assert_eq!(place("./a//b.dcm").as_deref(), Some("a/b.dcm"));
        for wrong in ["../a", "a/../../b", "/etc/passwd", "a\\..\\b", "", ".", "a\0b"] {
            assert_eq!(place(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_header_without_end_is_refused() {
        // A GNU long name that claims 1 GB, packed well.
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::GNULongName);
        header.set_size(1 << 30);
        header.set_cksum();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.tar.gz");
        let mut out = flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
        io::Write::write_all(&mut out, header.as_bytes()).unwrap();
        io::copy(&mut io::repeat(b'a').take(1 << 26), &mut out).unwrap();
        out.finish().unwrap();
        let told = Tar::open(&path, Kind::TarGz).unwrap().each(|_| Ok::<_, io::Error>(true)).unwrap_err();
        assert!(told.to_string().contains("header of an entry"), "{told}");
    }
}
