//! An object read from its beginning to its end.

use std::io::{self, Read};
use std::sync::Arc;

use dicom::ReadAt;

/// All bytes of an object, one after the other.
pub(crate) struct Stream {
    object: Arc<dyn ReadAt>,
    at: u64,
}

impl Stream {
    pub(crate) fn of(object: Arc<dyn ReadAt>) -> Stream {
        Stream { object, at: 0 }
    }
}

impl Read for Stream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = (self.object.size() - self.at).min(out.len() as u64) as usize;
        self.object.read_exact_at(self.at, &mut out[..n])?;
        self.at += n as u64;
        Ok(n)
    }
}
