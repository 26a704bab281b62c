//! Zip files that are cut short: their directory, which stands at the end, is gone. Each entry has a header of its own (APPNOTE
//! 4.3.7), so what lies whole before the cut can be had: one entry after the other is unpacked and compared with its CRC-32.

use super::pack::{LARGEST, is_bomb};
use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

const HEADER: usize = 30;
const ENCRYPTED: u16 = 1;
/// Sizes and CRC-32 stand behind the bytes.
const DESCRIBED: u16 = 8;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// ZIP64 extended information (APPNOTE 4.5.3).
const WIDE: u16 = 1;

/// An entry that is whole.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its path as written.
    pub name: Vec<u8>,
    /// Where its header begins.
    pub at: u64,
    /// Its size unpacked.
    pub size: u64,
}

struct Local {
    name: Vec<u8>,
    flags: u16,
    method: u16,
    crc: u32,
    packed: u64,
    size: u64,
    /// Where its bytes begin.
    data: u64,
}

/// Hands over the entries that are whole, until `each` says that this is enough; why there are no more.
pub(super) fn walk<E>(path: &Path, mut each: impl FnMut(Entry) -> Result<bool, E>) -> io::Result<Result<String, E>> {
    let mut file = BufReader::new(File::open(path)?);
    let mut at = 0;
    loop {
        let local = match local(&mut file, at) {
            Ok(Some(local)) => local,
            Ok(None) if at == 0 => return Ok(Ok("it is no zip file that can be read".into())),
            Ok(None) => return Ok(Ok("its directory is damaged or missing".into())),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(Ok("it is cut short".into())),
            Err(e) => return Err(e),
        };
        let (size, end) = match unpack(&mut file, &local, &mut io::sink()) {
            Ok(done) => done,
            Err(e) => {
                let name = String::from_utf8_lossy(&local.name).into_owned();
                return Ok(Ok(format!("it is cut short or damaged in {name:?} ({})", files::notice::reason(&e))));
            }
        };
        match each(Entry { name: local.name, at, size }) {
            Ok(true) => at = end,
            Ok(false) => return Ok(Ok(String::new())),
            Err(e) => return Ok(Err(e)),
        }
    }
}

/// Writes the entry whose header is `at` to `out`.
pub(super) fn copy(path: &Path, at: u64, out: &mut dyn Write) -> io::Result<u64> {
    let mut file = BufReader::new(File::open(path)?);
    let local = local(&mut file, at)?.ok_or_else(|| io::Error::other("there is no entry any more"))?;
    unpack(&mut file, &local, out).map(|(size, _)| size)
}

/// The header of an entry; none where none is.
fn local(file: &mut BufReader<File>, at: u64) -> io::Result<Option<Local>> {
    file.seek(SeekFrom::Start(at))?;
    let mut head = [0; HEADER];
    file.read_exact(&mut head)?;
    if !head.starts_with(b"PK\x03\x04") {
        return Ok(None);
    }
    let two = |n: usize| u16::from_le_bytes([head[n], head[n + 1]]);
    let four = |n: usize| u32::from_le_bytes([head[n], head[n + 1], head[n + 2], head[n + 3]]);
    let (mut name, mut extra) = (vec![0; two(26).into()], vec![0; two(28).into()]);
    file.read_exact(&mut name)?;
    file.read_exact(&mut extra)?;
    let (mut packed, mut size) = (u64::from(four(18)), u64::from(four(22)));
    let mut wide = field(&extra, WIDE).unwrap_or_default().as_chunks::<8>().0.iter().map(|n| u64::from_le_bytes(*n));
    for (narrow, n) in [(22, &mut size), (18, &mut packed)] {
        if four(narrow) == u32::MAX {
            *n = wide.next().unwrap_or(*n);
        }
    }
    let data = at + (HEADER + name.len() + extra.len()) as u64;
    Ok(Some(Local { name, flags: two(6), method: two(8), crc: four(14), packed, size, data }))
}

/// A field of the extra data.
fn field(mut extra: &[u8], wanted: u16) -> Option<&[u8]> {
    while let Some((head, rest)) = extra.split_first_chunk::<4>() {
        let len = usize::from(u16::from_le_bytes([head[2], head[3]]));
        if u16::from_le_bytes([head[0], head[1]]) == wanted {
            return rest.get(..len);
        }
        extra = rest.get(len..)?;
    }
    None
}

/// Unpacks an entry and compares it with what is said of it: its size, and where the next begins.
fn unpack(file: &mut BufReader<File>, local: &Local, out: &mut dyn Write) -> io::Result<(u64, u64)> {
    if local.flags & ENCRYPTED != 0 {
        return Err(io::Error::other("it is encrypted"));
    }
    file.seek(SeekFrom::Start(local.data))?;
    let described = local.flags & DESCRIBED != 0 && local.packed == 0;
    let room = file.get_ref().metadata()?.len();
    let mut to = Counted { out, crc: Crc::new(), size: 0, room };
    let packed = match local.method {
        STORED if !described => to.take(&mut file.take(local.packed), local.packed)?,
        DEFLATED => {
            let most = if described { LARGEST } else { local.packed };
            let mut inflate = DeflateDecoder::new(file.by_ref().take(most));
            to.take(&mut inflate, u64::MAX)?;
            inflate.total_in()
        }
        _ => return Err(io::Error::other("it is packed in a way that needs the directory")),
    };
    let mut end = local.data + packed;
    let (mut crc, mut size) = (local.crc, local.size);
    if local.flags & DESCRIBED != 0 {
        (crc, size, end) = descriptor(file, end)?;
    }
    // Sizes of a descriptor have 32 bits, or 64: their low ends say enough beside the CRC-32.
    if (to.crc.sum(), to.size as u32) != (crc, size as u32) {
        return Err(io::Error::other("its bytes are not what is said of them"));
    }
    Ok((to.size, end))
}

/// CRC-32 and size that stand behind the bytes, and where the next entry begins (APPNOTE 4.3.9).
fn descriptor(file: &mut BufReader<File>, at: u64) -> io::Result<(u32, u64, u64)> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.take(28).read_to_end(&mut bytes)?;
    let start = if bytes.starts_with(b"PK\x07\x08") { 4 } else { 0 };
    let four = |n: usize| bytes.get(n..n + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let crc = four(start).ok_or_else(cut)?;
    let narrow = start + 12;
    // What follows says how wide the sizes are: the next header begins with PK.
    if bytes.get(narrow..narrow + 2).is_none_or(|next| next == b"PK") {
        return Ok((crc, four(start + 8).ok_or_else(cut)?.into(), at + narrow as u64));
    }
    Ok((crc, four(start + 12).ok_or_else(cut)?.into(), at + start as u64 + 20))
}

/// What goes through, counted.
struct Counted<'a> {
    out: &'a mut dyn Write,
    crc: Crc,
    size: u64,
    /// Bytes that it may have been packed to.
    room: u64,
}

impl Counted<'_> {
    /// Takes all of `from`, which is to have `wanted` bytes where that is known.
    fn take(&mut self, from: &mut dyn Read, wanted: u64) -> io::Result<u64> {
        let (mut buffer, before) = (vec![0; 64 << 10], self.size);
        loop {
            let n = from.read(&mut buffer)?;
            if n == 0 {
                break;
            }
            self.crc.update(&buffer[..n]);
            self.size += n as u64;
            if is_bomb(self.size, self.room) {
                return Err(io::Error::other("it unpacks to too much"));
            }
            self.out.write_all(&buffer[..n])?;
        }
        let taken = self.size - before;
        if wanted != u64::MAX && taken != wanted { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(taken) }
    }
}
