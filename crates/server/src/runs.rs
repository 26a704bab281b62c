//! The bytes of an answer as runs of memory and of local files, for connections whose system sends files.

use archive::ObjectReader;
use bytes::Bytes;

/// A run of bytes of an answer.
#[derive(Clone)]
pub enum Run {
    /// In memory.
    Memory(Bytes),
    /// In a local file.
    File {
        /// Has a file.
        object: ObjectReader,
        /// First byte.
        offset: u64,
        /// Bytes; never none.
        len: u64,
    },
}

impl Run {
    /// Bytes of it.
    pub fn len(&self) -> u64 {
        match self {
            Run::Memory(bytes) => bytes.len() as u64,
            Run::File { len, .. } => *len,
        }
    }

    /// Is it one of a file?
    pub fn is_file(&self) -> bool {
        matches!(self, Run::File { .. })
    }
}

/// All bytes of an answer, for a connection that can send files: an extension of a response whose body has the very same bytes.
#[derive(Clone)]
pub struct Runs(pub Vec<Run>);

impl Runs {
    /// Bytes of all of them.
    pub fn len(&self) -> u64 {
        self.0.iter().map(Run::len).sum()
    }
}
