//! Files that are packed: zip (APPNOTE 6.3), tar (POSIX ustar and pax, and what was before them), tar within a compressed stream, and
//! one instance that is compressed alone.
//!
//! They come from anywhere. Names are bytes: what is not UTF-8 stays as it is. Names that leave the folder are left out with a line;
//! what unpacks to far more than it was is refused; headers that a packed file grows to fill memory end it; what is packed within is
//! named. Links and devices are never followed or made.

use super::folder::head;
use super::form::{self, Form};
use super::unpack::{self, Packing};
use super::{CHUNK, Scan, ScanEvent, date, hash, or_dash, zip_cut, zip_doubles};
use crate::Error;
use crate::journal::{Found, Kind};
use files::{Advice, Notice, NoticeKind, dicomdir, is_plain, notice::reason, without_panic};
use std::cell::Cell;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
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
const BLOCK: usize = 512;
/// The longest name of a file, in bytes.
const LONGEST_NAME: usize = 255;

/// Adds the entries of a packed file; `base` is its place where the layout mirrors the source.
pub(super) fn walk(scan: &mut Scan, kind: Kind, path: &Path, modified: i64, base: &Path) -> Result<(), Error> {
    let places = Places::default();
    let mut entries = Entries { scan, path, modified, base, found: Vec::new(), taken: 0, places };
    let walked = match kind {
        Kind::Zip => entries.zip(),
        _ => entries.tar(kind),
    };
    if let Some(line) = entries.places.told() {
        (entries.scan.told)(ScanEvent::Note(Notice::new(NoticeKind::Note, path, line)));
    }
    let (rest, taken) = (std::mem::take(&mut entries.found), entries.taken);
    scan.add(rest)?;
    match walked {
        Ok(()) => Ok(()),
        Err(Walk::Pack(e)) => {
            let what = match taken {
                0 => format!("{}; nothing of it could be taken", reason(&e)),
                n => format!("{}; {} before that place taken", reason(&e), were(n)),
            };
            let notice = Notice::new(NoticeKind::CannotRead, path, what).advise(Advice::GetAgain);
            (scan.told)(ScanEvent::Trouble(notice));
            Ok(())
        }
        Err(Walk::Journal(e)) => Err(e),
    }
}

fn were(entries: u64) -> String {
    match entries {
        1 => "1 entry was".to_owned(),
        n => format!("{n} entries were"),
    }
}

struct Entries<'a, 'b> {
    scan: &'a mut Scan<'b>,
    path: &'a Path,
    modified: i64,
    base: &'a Path,
    found: Vec<Found>,
    taken: u64,
    places: Places,
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
        let mut zip = match open_zip(self.path) {
            Ok(zip) => zip,
            Err(e) if e.kind() == io::ErrorKind::InvalidData => return self.cut_zip(),
            Err(e) => return Err(e.into()),
        };
        for part in 0..zip.len() {
            if self.scan.stopped() {
                break;
            }
            let called = zip.name_for_index(part).and_then(Result::ok).unwrap_or_default().into_owned();
            let mut entry = match zip.by_index(part) {
                Ok(entry) => entry,
                Err(e) => {
                    self.trouble(NoticeKind::CannotRead, &format!("{called:?}: {e}"));
                    continue;
                }
            };
            if !entry.is_file() {
                continue;
            }
            let name = entry.name_raw().to_vec();
            let (size, packed) = (entry.size(), entry.compressed_size());
            let mut bytes = Vec::new();
            // A damaged entry is refused when its turn comes.
            let _ = without_panic(|| entry.by_ref().take(form::HEAD).read_to_end(&mut bytes));
            drop(entry);
            if is_bomb(size, packed) {
                self.trouble(
                    NoticeKind::Refused,
                    &format!("{} unpacks from {packed} to {size} bytes: left out", shown(&name)),
                );
                continue;
            }
            self.add(Kind::Zip, part as u64, dos_name(name), size, bytes)?;
        }
        for double in zip_doubles::of(&mut zip, &mut BufReader::new(File::open(self.path)?))? {
            if double.name.ends_with(b"/") || self.scan.stopped() {
                continue;
            }
            if is_bomb(double.size, double.packed) {
                let (name, packed, size) = (shown(&double.name), double.packed, double.size);
                self.trouble(NoticeKind::Refused, &format!("{name} unpacks from {packed} to {size} bytes: left out"));
                continue;
            }
            let mut bytes = Head(Vec::new());
            let _ = zip_cut::copy(self.path, double.at, &mut bytes);
            self.add(Kind::ZipCut, zip_doubles::BEGIN + double.at, dos_name(double.name), double.size, bytes.0)?;
        }
        Ok(())
    }

    /// What lies whole in a zip file without a directory.
    fn cut_zip(&mut self) -> Result<(), Walk> {
        let path = self.path;
        let why = zip_cut::walk(path, |entry| {
            if entry.name.ends_with(b"/") || self.scan.stopped() {
                return Ok(!self.scan.stopped());
            }
            let mut bytes = Head(Vec::new());
            let _ = zip_cut::copy(path, entry.at, &mut bytes);
            let name = dos_name(entry.name);
            if harmless(&name).is_none() {
                self.trouble(NoticeKind::Refused, &format!("names {}, which is not below it: left out", shown(&name)));
                return Ok(true);
            }
            self.add(Kind::ZipCut, entry.at, name, entry.size, bytes.0).map(|()| true)
        })??;
        if why.is_empty() { Ok(()) } else { Err(Walk::Pack(io::Error::other(why))) }
    }

    fn tar(&mut self, kind: Kind) -> Result<(), Walk> {
        let mut tar = Tar::open(self.path, kind)?;
        let (mut number, mut others) = (0, 0);
        let walked = tar.each(&mut others, |entry| {
            if self.scan.stopped() {
                return Ok(false);
            }
            let part = if kind == Kind::Tar { entry.offset } else { number };
            number += 1;
            let mut bytes = Vec::new();
            (&mut *entry.read).take(form::HEAD).read_to_end(&mut bytes)?;
            let size = entry.size.unwrap_or_else(|| self.path.metadata().map_or(0, |meta| meta.len()));
            self.add(kind, part, entry.name, size, bytes)?;
            Ok(true)
        });
        if others > 0 {
            let what = format!("{others} of its entries are links, devices or sparse files: left out");
            (self.scan.told)(ScanEvent::Note(Notice::new(NoticeKind::Note, self.path, what)));
        }
        walked
    }

    fn add(&mut self, kind: Kind, part: u64, name: Vec<u8>, bytes: u64, first: Vec<u8>) -> Result<(), Walk> {
        let Some(place) = harmless(&name) else {
            self.trouble(NoticeKind::Refused, &format!("names {}, which leads out of it: left out", shown(&name)));
            return Ok(());
        };
        if let Some(form) = form::of_bytes(&first) {
            let what = match form {
                Form::Pack(Kind::Zip) => "a zip file",
                Form::Pack(Kind::Tar) => "a tar file",
                Form::Refused(what) => what,
                _ => "a compressed file",
            };
            self.trouble(
                NoticeKind::Refused,
                &format!("{} is {what} within a packed file: unpack this one first", shown(&name)),
            );
            return Ok(());
        }
        let index = dicomdir::begins_one(&first);
        let head = if self.scan.heads && !index { head(first) } else { None };
        let modality = if index { dicomdir::MODALITY } else { head.as_ref().map_or("", |head| &head.modality) };
        self.found.push(Found {
            kind,
            path: self.path.to_owned(),
            part,
            name,
            place: self.scan.mirror.then(|| self.base.join(self.places.own(place))),
            bytes,
            modified: self.modified,
            modality: or_dash(modality),
            syntax: or_dash(head.as_ref().map_or("", |head| head.transfer_syntax.uid())),
            date: head.map_or(0, |head| date(&head.study_date)),
        });
        self.taken += 1;
        if self.found.len() >= CHUNK {
            let found = std::mem::take(&mut self.found);
            self.scan.add(found).map_err(Walk::Journal)?;
        }
        Ok(())
    }

    fn trouble(&mut self, kind: NoticeKind, what: &str) {
        (self.scan.told)(ScanEvent::Trouble(Notice::new(kind, self.path, what)));
    }
}

/// The places of one packed file's entries: it may hold a name more than once (tar appends what is new), and each is an object.
#[derive(Default)]
struct Places {
    /// Their hashes: a packed file may have millions of names.
    taken: HashSet<u64>,
    again: u64,
    /// The first that was there before, and the place that it got.
    example: Option<(PathBuf, PathBuf)>,
}

impl Places {
    /// The place, or the next one with a number where another entry has it.
    fn own(&mut self, place: PathBuf) -> PathBuf {
        if self.taken.insert(hash(&place)) {
            return place;
        }
        let own = (2u64..).map(|n| numbered(&place, n)).find(|own| self.taken.insert(hash(own)));
        let own = own.unwrap_or_else(|| place.clone());
        self.again += 1;
        self.example.get_or_insert_with(|| (place, own.clone()));
        own
    }

    fn told(&self) -> Option<String> {
        let (place, own) = self.example.as_ref()?;
        let what = match self.again {
            1 => "a name is".to_owned(),
            n => format!("{n} names are"),
        };
        Some(format!(
            "{what} there more than once: each entry is taken, the second {} as {}",
            place.display(),
            own.display()
        ))
    }
}

/// `b~2.dcm` of `b.dcm`, no longer than a name may be.
fn numbered(place: &Path, number: u64) -> PathBuf {
    let end = match place.extension() {
        Some(extension) => [b".", extension.as_bytes()].concat(),
        None => Vec::new(),
    };
    let tail = [format!("~{number}").as_bytes(), &end].concat();
    let stem = place.file_stem().unwrap_or_default().as_bytes();
    let stem = &stem[..stem.len().min(LONGEST_NAME.saturating_sub(tail.len()))];
    place.with_file_name(OsStr::from_bytes(&[stem, &tail].concat()))
}

/// The first bytes of what is written; more of it is an error, which ends the writing.
struct Head(Vec<u8>);

impl io::Write for Head {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() as u64 >= form::HEAD {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A name as a line shows it.
fn shown(name: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(name))
}

/// Names of zip files that DOS programs wrote have backslashes between their parts (APPNOTE 4.4.17 wants slashes). A backslash may
/// also be the second byte of a letter (Shift-JIS): only plain letters are read so.
fn dos_name(mut name: Vec<u8>) -> Vec<u8> {
    if name.is_ascii() && !name.contains(&b'/') {
        name.iter_mut().filter(|b| **b == b'\\').for_each(|b| *b = b'/');
    }
    name
}

/// The path of an entry below the packed file; none when it would leave it, here or where a backslash parts names.
fn harmless(name: &[u8]) -> Option<PathBuf> {
    let climbs = name.split(|b| matches!(b, b'/' | b'\\')).any(|part| part == b"..");
    if climbs || name.contains(&0) {
        return None;
    }
    let parts = Path::new(OsStr::from_bytes(name)).components().filter(|part| !matches!(part, Component::CurDir));
    let path: PathBuf = parts.collect();
    (is_plain(&path) && path.file_name().is_some()).then_some(path)
}

pub(super) fn is_bomb(size: u64, packed: u64) -> bool {
    size > LARGEST || (size > MODEST && size / TIMES > packed)
}

/// Does a header of a tar file stand there: the mark of ustar, or the right sum of what is older?
pub(super) fn is_tar(bytes: &[u8]) -> bool {
    let Some(header) = bytes.first_chunk::<BLOCK>() else { return false };
    if header[257..262] == *b"ustar" {
        return true;
    }
    let field: Vec<u8> = header[148..156].iter().copied().filter(|b| !matches!(b, b' ' | 0)).collect();
    let said = str::from_utf8(&field).ok().and_then(|digits| u32::from_str_radix(digits, 8).ok());
    let sum: u32 =
        header.iter().enumerate().map(|(n, b)| if (148..156).contains(&n) { 32 } else { u32::from(*b) }).sum();
    header[0] != 0 && said == Some(sum)
}

/// Opens a zip file whose directory is not too large to be held. One whose directory is not there is
/// [`InvalidData`](io::ErrorKind::InvalidData).
pub(super) fn open_zip(path: &Path) -> io::Result<ZipArchive<BufReader<File>>> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    // The end record is at the end, behind a comment of at most 64 kB; it says how large the directory is.
    let tail = len.min(66_000);
    file.seek(SeekFrom::Start(len - tail))?;
    let mut bytes = Vec::new();
    file.by_ref().take(tail).read_to_end(&mut bytes)?;
    let end = bytes.windows(4).rposition(|four| four == b"PK\x05\x06");
    let two =
        |n: usize| end.and_then(|at| bytes.get(at + n..at + n + 2)).map_or(0, |n| u16::from_le_bytes([n[0], n[1]]));
    if !matches!(two(4), 0 | 0xFFFF) {
        return Err(io::Error::other("the last part of a split zip file: join the parts first (zip -s 0)"));
    }
    let entries = two(10);
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
    ZipArchive::new(BufReader::new(file)).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

/// A tar file, or one instance that is compressed alone; read from its beginning.
pub(super) struct Tar {
    inner: Inner,
    guard: Rc<Budget>,
}

enum Inner {
    Tar(tar::Archive<Guard>),
    One { name: Vec<u8>, read: Guard },
}

/// An entry of a tar file.
pub(super) struct TarEntry<'a> {
    /// Its path as written.
    pub name: Vec<u8>,
    /// Where its bytes begin in the tar file.
    pub offset: u64,
    /// How many they are; of what is compressed alone it is not known.
    pub size: Option<u64>,
    /// Its bytes.
    pub read: &'a mut dyn Read,
}

impl Tar {
    pub fn open(path: &Path, kind: Kind) -> io::Result<Tar> {
        let packed = path.metadata()?.len();
        let mut read: Box<dyn Read> = match kind {
            Kind::Stream => unpack::open(path)?,
            _ => Box::new(BufReader::with_capacity(1 << 16, File::open(path)?)),
        };
        let most = if kind == Kind::Stream { packed.saturating_mul(TIMES).max(MODEST) } else { u64::MAX };
        let guard = Rc::new(Budget { headers: Cell::new(HEADERS), all: Cell::new(most), body: Cell::new(false) });
        let mut first = Vec::new();
        read.by_ref().take(BLOCK as u64).read_to_end(&mut first)?;
        let one = kind == Kind::Stream && !is_tar(&first);
        let read = Guard { read: Box::new(Cursor::new(first).chain(read)), budget: guard.clone() };
        let inner =
            if one { Inner::One { name: unpacked_name(path), read } } else { Inner::Tar(tar::Archive::new(read)) };
        Ok(Tar { inner, guard })
    }

    /// Calls `each` for every file in it, until it says that this is enough. Links, devices and the like are counted.
    pub fn each<E: From<io::Error>>(
        &mut self,
        others: &mut u64,
        mut each: impl FnMut(TarEntry) -> Result<bool, E>,
    ) -> Result<(), E> {
        let tar = match &mut self.inner {
            Inner::Tar(tar) => tar,
            Inner::One { name, read } => {
                self.guard.body.set(true);
                return each(TarEntry { name: std::mem::take(name), offset: 0, size: None, read }).map(drop);
            }
        };
        for entry in tar.entries()? {
            let mut entry = entry?;
            self.guard.headers.set(HEADERS);
            self.guard.body.set(true);
            let what = entry.header().entry_type();
            if what.is_file() || what.is_contiguous() {
                let name = entry.path_bytes().into_owned();
                let (offset, size) = (entry.raw_file_position(), Some(entry.size()));
                if !each(TarEntry { name, offset, size, read: &mut entry })? {
                    return Ok(());
                }
            } else if !what.is_dir() && !what.is_pax_global_extensions() {
                *others += 1;
            }
            io::copy(&mut entry, &mut io::sink())?;
            self.guard.body.set(false);
        }
        Ok(())
    }
}

/// The name of what a compressed file holds.
fn unpacked_name(path: &Path) -> Vec<u8> {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let end = Packing::ENDINGS.iter().find(|end| name.to_ascii_lowercase().ends_with(end.as_bytes()));
    let cut = name.len() - end.map_or(0, |end| end.len());
    name[..if cut == 0 { name.len() } else { cut }].to_vec()
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
        // Whatever panics on what is damaged is an error of the file.
        let n = without_panic(|| self.read.read(buf)).map_err(io::Error::other)?? as u64;
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
        let place = |name: &str| harmless(name.as_bytes()).map(|path| path.to_string_lossy().into_owned());
        assert_eq!(place("a/b.dcm").as_deref(), Some("a/b.dcm"));
        assert_eq!(place("./a//b.dcm").as_deref(), Some("a/b.dcm"));
        for wrong in ["../a", "a/../../b", "/etc/passwd", "a\\..\\b", "", ".", "a\0b"] {
            assert_eq!(place(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_name_that_is_there_again_gets_a_number() {
        let mut places = Places::default();
        let mut own = |place: &str| places.own(place.into()).to_str().unwrap().to_owned();
        assert_eq!(
            ["a/b.dcm", "a/b~2.dcm", "a/b.dcm", "a/b.dcm", "c", "c", "d/b.dcm"].map(&mut own),
            ["a/b.dcm", "a/b~2.dcm", "a/b~3.dcm", "a/b~4.dcm", "c", "c~2", "d/b.dcm"]
        );
        let long = format!("{}.dcm", "n".repeat(251));
        assert_eq!(own(&long), long);
        let second = own(&long);
        assert!(second.len() == 255 && second.ends_with("n~2.dcm"), "{second}");
        assert!(places.told().unwrap().starts_with("4 names are there more than once"));
        assert_eq!(Places::default().told(), None);
    }

    #[test]
    fn names_are_bytes() {
        // Latin-1, and a letter of Shift-JIS whose second byte is a backslash.
        for name in [&b"M\xFCller.dcm"[..], b"\x95\x5C.dcm"] {
            assert_eq!(harmless(&dos_name(name.to_vec())).unwrap().as_os_str().as_bytes(), name);
        }
        assert_eq!(harmless(&dos_name(b"A\\B.DCM".to_vec())).unwrap(), Path::new("A/B.DCM"));
        assert_eq!(unpacked_name(Path::new("/x/a.dcm.GZ")), b"a.dcm");
        assert_eq!(unpacked_name(Path::new("/x/.gz")), b".gz");
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
        let told = Tar::open(&path, Kind::Stream).unwrap().each(&mut 0, |_| Ok::<_, io::Error>(true)).unwrap_err();
        assert!(told.to_string().contains("header of an entry"), "{told}");
    }

    #[test]
    fn a_tar_file_older_than_ustar_is_known_by_its_sum() {
        let mut header = tar::Header::new_old();
        header.set_path("a.dcm").unwrap();
        header.set_size(0);
        header.set_cksum();
        assert!(is_tar(header.as_bytes()));
        let mut wrong = *header.as_bytes();
        wrong[0] ^= 1;
        assert!(!is_tar(&wrong) && !is_tar(&[0; 512]));
    }
}
