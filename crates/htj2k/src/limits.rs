//! What a caller is ready to spend on one codestream. Checked before anything is allocated.

use crate::Error;

/// Bounds for parsing and decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Pixels of the image area (width x height of the reference grid).
    pub max_pixels: u64,
    /// Components.
    pub max_components: u32,
    /// Bytes of working memory, the caller's buffers apart.
    pub max_memory: u64,
    /// Precincts, code-blocks and resolution levels visited in one call, all tiles together.
    pub max_work: u64,
}

/// What a call has spent so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spending {
    limits: Limits,
    work: u64,
    memory: u64,
}

impl Spending {
    pub(crate) fn new(limits: Limits) -> Self {
        Spending { limits, work: 0, memory: 0 }
    }

    /// For the encoder, whose caller has the image in memory already.
    pub(crate) fn unlimited() -> Self {
        Self::new(Limits { max_pixels: u64::MAX, max_work: u64::MAX, max_memory: u64::MAX, ..Limits::default() })
    }

    /// Counts units of work before they are done.
    pub(crate) fn work(&mut self, at: usize, units: u64) -> Result<(), Error> {
        self.work = self.work.saturating_add(units);
        if self.work > self.limits.max_work {
            Err(Error::limit(at, "precincts, code-blocks and packets"))
        } else {
            Ok(())
        }
    }

    /// Counts memory before it is allocated.
    pub(crate) fn memory(&mut self, at: usize, bytes: u64) -> Result<(), Error> {
        self.memory = self.memory.saturating_add(bytes);
        if self.memory > self.limits.max_memory { Err(Error::limit(at, "working memory")) } else { Ok(()) }
    }

    /// The memory counted so far, to be given to `release`.
    pub(crate) fn mark(&self) -> u64 {
        self.memory
    }

    /// What was counted since the mark will be used again.
    pub(crate) fn release(&mut self, mark: u64) {
        self.memory = mark;
    }
}

impl Default for Limits {
    /// 2^31 pixels, 16384 components, 2 GiB, 2^24 units of work.
    fn default() -> Self {
        Limits { max_pixels: 1 << 31, max_components: 16384, max_memory: 2 << 30, max_work: 1 << 24 }
    }
}
