//! Random access to bytes that lie elsewhere: a file, or an object of a store.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes that never change, read at offsets from many threads.
pub trait ReadAt: Send + Sync {
    /// Bytes that there are.
    fn size(&self) -> u64;
    /// Fills `buf` with the bytes from `offset` on; `UnexpectedEof` when they end before.
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;
    /// The file of the local file system that has the very bytes at the very offsets, where there is one: a system can send from it.
    fn local(&self) -> Option<&File> {
        None
    }
}

/// A file of the local file system, of the size that it had when it was opened.
#[derive(Debug)]
pub struct LocalFile {
    file: File,
    size: u64,
}

impl LocalFile {
    /// Reads from an open file.
    pub fn new(file: File) -> io::Result<LocalFile> {
        let size = file.metadata()?.len();
        Ok(LocalFile { file, size })
    }

    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl ReadAt for LocalFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        match offset.checked_add(buf.len() as u64) {
            Some(end) if end <= self.size => self.file.read_exact_at(buf, offset),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn local(&self) -> Option<&File> {
        Some(&self.file)
    }
}
