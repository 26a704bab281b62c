//! Decode, encode, write, read back, compare: the only way to a [`Verified`].

use crate::error::{Error, Result};
use crate::policy::Policy;
use crate::source::Source;
use crate::syntax::TransferSyntax;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Buffers and codecs that are reused from instance to instance; one per thread.
#[derive(Debug, Default)]
pub struct Context {
    _private: (),
}

/// What became of an instance.
#[derive(Debug)]
pub enum Outcome {
    /// A new file was written at the destination and proven equal.
    Converted(Verified),
    /// Nothing was written: the instance stays as received.
    Kept {
        /// Why.
        reason: String,
        /// The rule that fired.
        rule: String,
    },
}

/// End of one resolution level in a codestream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelEnd {
    /// 0 is full size, n is 1/2^n.
    pub level: u8,
    /// Columns at this level.
    pub width: u32,
    /// Rows at this level.
    pub height: u32,
    /// Codestream bytes that hold this level and all coarser ones.
    pub end: u64,
    /// CRC-32 of the decoded samples of the level, where it was asked for.
    pub crc32: Option<u32>,
}

/// Proof for one frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameEvidence {
    /// SHA-256 of the samples the source decodes to.
    pub sha256_before: String,
    /// SHA-256 of the samples the written file decodes to.
    pub sha256_after: String,
    /// Offset of the codestream in the written file.
    pub offset: u64,
    /// Bytes of the codestream (pad byte not counted).
    pub length: u64,
    /// Ends of the levels, coarsest first; empty where there are none.
    pub levels: Vec<LevelEnd>,
}

/// A written file that was read back and whose every sample and element was compared with the source.
#[derive(Debug)]
pub struct Verified {
    /// Name of the rule that asked for the conversion.
    pub rule: String,
    /// Syntax of the source.
    pub source_syntax: TransferSyntax,
    /// Syntax of the written file.
    pub target_syntax: TransferSyntax,
    /// Bytes of the source file.
    pub bytes_in: u64,
    /// Bytes of the written file.
    pub bytes_out: u64,
    /// SHA-256 over the samples of all frames.
    pub samples_sha256: String,
    /// SHA-256 of the written file.
    pub file_sha256: String,
    /// Name and version of the codec that wrote the frames.
    pub codec: String,
    frames: Vec<FrameEvidence>,
    path: PathBuf,
}

/// A verified file in its place, durable.
#[derive(Debug)]
pub struct Persisted {
    /// Where it is.
    pub path: PathBuf,
}

impl Verified {
    /// Proof of each frame.
    pub fn frames(&self) -> &[FrameEvidence] {
        &self.frames
    }

    /// Where the written file is now.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Syncs the file, moves it to `to` (same file system) and syncs the folder.
    pub fn persist(self, _to: &Path) -> Result<Persisted> {
        Err(Error::unsupported("nothing is written yet"))
    }
}

/// Converts as the policy says. `destination` is a new file in the folder where the result will live; it is there after
/// [`Outcome::Converted`] and removed in every other case.
pub fn convert(_source: &Source, _policy: &Policy, _context: &mut Context, _destination: &Path) -> Result<Outcome> {
    Err(Error::unsupported("nothing is converted yet"))
}
