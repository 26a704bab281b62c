//! The lock of a file that one run at a time may write.

use std::fs::{File, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

/// Locks a file for as long as it is open. One that is held is tried again for a second: a program that was killed while it began
/// another has left that one with the lock, until it is another.
pub fn lock_soon(file: &File) -> Result<(), TryLockError> {
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if began.elapsed() < Duration::from_secs(1) => {
                thread::sleep(Duration::from_millis(20));
            }
            done => return done,
        }
    }
}
