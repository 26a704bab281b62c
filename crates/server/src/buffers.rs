//! Buffers for bytes of files, used again: memory that is fresh from the system costs more than what is read into it.

use bytes::Bytes;
use std::sync::{LazyLock, Mutex, PoisonError};

/// Bytes of a buffer, and so of a read.
pub const LENGTH: usize = 256 << 10;
/// Buffers that are kept for the next.
const MOST: usize = 16;

static FREE: LazyLock<Mutex<Vec<Box<[u8]>>>> = LazyLock::new(Mutex::default);

/// A buffer, given back when it is dropped.
pub struct Buffer {
    bytes: Box<[u8]>,
    filled: usize,
}

impl Buffer {
    /// Fills the first `len` bytes of a buffer, at most [`LENGTH`].
    pub fn filled<E>(len: usize, fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Result<Bytes, E> {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut bytes = free.unwrap_or_else(|| vec![0; LENGTH].into());
        let filled = len.min(LENGTH);
        let done = fill(&mut bytes[..filled]);
        let buffer = Buffer { bytes, filled };
        done.map(|()| Bytes::from_owner(buffer))
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < MOST {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_not_filled_again() {
        let fill = |with: u8, len| {
            let filled = Buffer::filled(len, |buffer| {
                buffer.fill(with);
                Ok::<(), ()>(())
            });
            filled.unwrap()
        };
        let held: Vec<Bytes> = (0..40).map(|n| fill(n, 1000 + usize::from(n))).collect();
        for (n, bytes) in held.iter().enumerate() {
            assert!(bytes.len() == 1000 + n && bytes.iter().all(|byte| usize::from(*byte) == n));
        }
        drop(held);
        assert!(FREE.lock().unwrap().len() <= MOST);
        assert_eq!(fill(7, usize::MAX).len(), LENGTH);
        assert_eq!(Buffer::filled(9, |_| Err("no")).unwrap_err(), "no");
    }
}
