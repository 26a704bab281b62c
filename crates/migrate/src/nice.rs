//! Giving way to other programs.

/// Lowers the priority of this process by `by`; where the system refuses, it stays.
pub fn be_nice(by: u8) {
    let _ = rustix::process::nice(i32::from(by));
}
