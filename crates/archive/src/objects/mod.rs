//! Objects: immutable runs of bytes under keys that are ours.
use std::io;

/// Random access to one object.
pub trait ReadAt: Send + Sync {
    /// Bytes of the object.
    fn size(&self) -> u64;
    /// Fills `buf` with the bytes from `offset` on.
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;
}
