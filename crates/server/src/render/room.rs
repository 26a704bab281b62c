//! Memory for renderings: they share so many bytes, and who finds none waits.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What all renderings may take at once. A larger one takes all of it, and then runs alone.
const BYTES: u64 = 256 << 20;

/// The bytes that are left.
#[derive(Debug)]
pub struct Room {
    left: Mutex<u64>,
    freed: Condvar,
    size: u64,
}

/// Bytes taken; dropping it gives them back.
#[derive(Debug)]
pub struct Held<'a> {
    room: &'a Room,
    bytes: u64,
}

impl Default for Room {
    fn default() -> Room {
        Room::new(BYTES)
    }
}

impl Room {
    /// A room of `size` bytes.
    pub fn new(size: u64) -> Room {
        Room { left: Mutex::new(size), freed: Condvar::new(), size }
    }

    /// Waits until `bytes` are free, and takes them.
    pub fn take(&self, bytes: u64) -> Held<'_> {
        let bytes = bytes.min(self.size);
        let wait = self.freed.wait_while(self.left(), |left| *left < bytes);
        *wait.unwrap_or_else(PoisonError::into_inner) -= bytes;
        Held { room: self, bytes }
    }

    fn left(&self) -> MutexGuard<'_, u64> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        *self.room.left() += self.bytes;
        self.room.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    #[test]
    fn no_more_is_held_than_there_is() {
        let (room, held, most) = (Room::new(100), AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for bytes in [30, 60, 100, 900, 10, 45, 70, 1] {
                let (room, held, most) = (&room, &held, &most);
                scope.spawn(move || {
                    for _ in 0..50 {
                        let _taken = room.take(bytes);
                        most.fetch_max(held.fetch_add(bytes.min(100), SeqCst) + bytes.min(100), SeqCst);
                        std::thread::yield_now();
                        held.fetch_sub(bytes.min(100), SeqCst);
                    }
                });
            }
        });
        assert!(most.load(SeqCst) <= 100);
        assert_eq!(*room.left(), 100, "all is given back");
    }
}
