//! Bytes of an instance: read at offsets where they lie, or held in memory.

use crate::error::{Error, Result};
use crate::read_at::{LocalFile, ReadAt};
use crate::rope::Rope;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

/// Bytes at the start that are held in memory: most headers fit.
const HEAD: u64 = 128 * 1024;
/// Files up to this size may be held in memory whole.
const WHOLE: u64 = 32 << 20;
/// Bytes moved at once when a long run is copied or hashed.
const CHUNK: usize = 256 * 1024;

/// Random access to bytes. Every read is checked against the length first, then allocated.
#[derive(Debug)]
pub struct Input {
    head: Vec<u8>,
    rest: Rest,
    len: u64,
}

/// What is not held in the head.
enum Rest {
    None,
    Reader(Arc<dyn ReadAt>),
    Rope(Rope),
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rest::None => "None",
            Rest::Reader(_) => "Reader",
            Rest::Rope(_) => "Rope",
        })
    }
}

impl Input {
    /// A file.
    pub fn open(path: &Path) -> Result<Input> {
        let (file, _) = open(path)?;
        Input::from_file(file)
    }

    /// As [`Input::open`], for a file that will be read from end to end, more than once: all of it is held in memory, in the room
    /// of `spare`, unless it is large.
    pub fn load(path: &Path, mut spare: Vec<u8>) -> Result<Input> {
        let (file, len) = open(path)?;
        if len > WHOLE {
            return Input::from_file(file);
        }
        spare.clear();
        spare.reserve_exact(len as usize);
        if (&file).take(len).read_to_end(&mut spare)? as u64 != len {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(Input::from_bytes(spare))
    }

    /// The bytes from `offset`, if they are in memory.
    pub fn held(&self, offset: u64, len: u64) -> Option<&[u8]> {
        self.head.get(usize::try_from(offset).ok()?..usize::try_from(offset.checked_add(len)?).ok()?)
    }

    /// All bytes, if they are in memory.
    pub fn all(&self) -> Option<&[u8]> {
        self.held(0, self.len)
    }

    /// The room that bytes in memory took.
    pub fn into_room(self) -> Vec<u8> {
        self.head
    }

    /// An open file.
    pub fn from_file(file: File) -> Result<Input> {
        Input::from_reader(Arc::new(LocalFile::new(file)?))
    }

    /// Bytes wherever they lie.
    pub fn from_reader(reader: Arc<dyn ReadAt>) -> Result<Input> {
        let len = reader.size();
        let mut head = vec![0; len.min(HEAD) as usize];
        reader.read_exact_at(0, &mut head)?;
        Ok(Input { head, rest: if len > HEAD { Rest::Reader(reader) } else { Rest::None }, len })
    }

    /// Bytes in memory.
    pub fn from_bytes(bytes: Vec<u8>) -> Input {
        Input { len: bytes.len() as u64, head: bytes, rest: Rest::None }
    }

    /// Bytes put together from others.
    pub fn from_rope(rope: Rope) -> Result<Input> {
        let len = rope.len();
        let mut head = vec![0; len.min(HEAD) as usize];
        rope.read_at(0, &mut head)?;
        Ok(Input { head, rest: if len > HEAD { Rest::Rope(rope) } else { Rest::None }, len })
    }

    /// How many bytes there are.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Fills `buf` from `offset`.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let end = self.check(offset, buf.len() as u64)?;
        match &self.rest {
            Rest::Reader(reader) if end > self.head.len() as u64 => Ok(reader.read_exact_at(offset, buf)?),
            Rest::Rope(rope) if end > self.head.len() as u64 => rope.read_at(offset, buf),
            _ => {
                buf.copy_from_slice(&self.head[offset as usize..end as usize]);
                Ok(())
            }
        }
    }

    /// `len` bytes from `offset`, borrowed when they are in memory.
    pub fn bytes(&self, offset: u64, len: u64) -> Result<Cow<'_, [u8]>> {
        let end = self.check(offset, len)?;
        if end <= self.head.len() as u64 {
            return Ok(Cow::Borrowed(&self.head[offset as usize..end as usize]));
        }
        let mut buf = vec![0; usize::try_from(len).map_err(|_| Error::Limit("a value larger than memory".into()))?];
        self.read_at(offset, &mut buf)?;
        Ok(Cow::Owned(buf))
    }

    /// Calls `each` with the bytes from `offset`, a chunk at a time.
    pub fn chunks(&self, offset: u64, len: u64, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let end = self.check(offset, len)?;
        let mut at = offset;
        while at < end {
            let n = (end - at).min(CHUNK as u64);
            each(&self.bytes(at, n)?)?;
            at += n;
        }
        Ok(())
    }

    /// Copies `len` bytes from `offset`.
    pub fn copy_to(&self, offset: u64, len: u64, out: &mut dyn Write) -> Result<()> {
        self.chunks(offset, len, |bytes| Ok(out.write_all(bytes)?))
    }

    /// SHA-256 of all bytes.
    pub fn sha256(&self) -> Result<[u8; 32]> {
        if let Some(all) = self.all() {
            return Ok(Sha256::digest(all).into());
        }
        let mut hash = Sha256::new();
        self.chunks(0, self.len, |bytes| {
            hash.update(bytes);
            Ok(())
        })?;
        Ok(hash.finalize().into())
    }

    fn check(&self, offset: u64, len: u64) -> Result<u64> {
        match offset.checked_add(len) {
            Some(end) if end <= self.len => Ok(end),
            _ => Err(Error::Truncated {
                what: format!("a value at byte {offset}"),
                have: self.len.saturating_sub(offset),
                need: len,
            }),
        }
    }
}

fn open(path: &Path) -> Result<(File, u64)> {
    let file = File::open(path)?;
    let meta = file.metadata()?;
    if meta.is_file() { Ok((file, meta.len())) } else { Err(Error::NotDicom) }
}

/// Lower case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| char::from(DIGITS[usize::from(n)]);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}
