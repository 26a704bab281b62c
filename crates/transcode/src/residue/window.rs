//! Small reads of an input in rising order, through a window.

use dicom::error::Result;
use dicom::input::Input;

const WINDOW: usize = 16 * 1024;

/// An input that is read a few bytes at a time.
pub(crate) struct Window<'a> {
    pub(crate) input: &'a Input,
    bytes: Vec<u8>,
    start: u64,
}

impl<'a> Window<'a> {
    pub(crate) fn new(input: &'a Input) -> Self {
        Window { input, bytes: Vec::new(), start: 0 }
    }

    /// The `N` bytes at `at`.
    pub(crate) fn take<const N: usize>(&mut self, at: u64) -> Result<[u8; N]> {
        let inside = at >= self.start && at - self.start + N as u64 <= self.bytes.len() as u64;
        if !inside {
            let len = self.input.len().saturating_sub(at).clamp(N as u64, WINDOW as u64);
            self.bytes.clear();
            self.bytes.resize(len as usize, 0);
            self.start = at;
            if let Err(error) = self.input.read_at(at, &mut self.bytes) {
                self.bytes.clear();
                return Err(error);
            }
        }
        let from = (at - self.start) as usize;
        let mut out = [0; N];
        out.copy_from_slice(&self.bytes[from..from + N]);
        Ok(out)
    }
}
