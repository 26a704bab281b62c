//! The decoder: whole codestreams or any prefix, to any level.

use crate::{Error, Limits, SamplesMut};

/// What a call of [`Decoder::decode`] gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Columns written.
    pub width: u32,
    /// Rows written.
    pub height: u32,
    /// Samples per pixel.
    pub components: u16,
    /// The level asked for.
    pub level: u8,
    /// Whether every byte that the level needs was there.
    pub complete: bool,
    /// Bytes of the codestream that the level needs, where that is known.
    pub need: Option<u64>,
}

/// A decoder, to be reused from frame to frame: it keeps its memory.
#[derive(Debug, Default)]
pub struct Decoder {
    limits: Limits,
}

impl Decoder {
    /// A decoder with the default limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// A decoder with the caller's limits.
    pub fn with_limits(limits: Limits) -> Self {
        Decoder { limits }
    }

    /// Decodes a codestream, or as much of it as is there, to a level, into rows `stride` samples apart.
    ///
    /// Packets that are cut short are ignored: the image is the best one that the prefix holds. It is an error when not
    /// even the main header is there.
    pub fn decode(
        &mut self,
        codestream: &[u8],
        level: u8,
        out: SamplesMut<'_>,
        stride: usize,
    ) -> Result<Decoded, Error> {
        let _ = (codestream, level, out.len(), stride, self.limits);
        Err(Error::unsupported(0, "not yet"))
    }
}
