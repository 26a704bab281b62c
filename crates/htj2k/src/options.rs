//! How to encode.

use alloc::vec::Vec;

/// The order of packets (T.800 B.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Progression {
    /// Layer, resolution level, component, position.
    Lrcp,
    /// Resolution level, layer, component, position.
    Rlcp,
    /// Resolution level, position, component, layer.
    Rpcl,
    /// Position, component, resolution level, layer.
    Pcrl,
    /// Component, position, resolution level, layer.
    Cprl,
}

/// The wavelet transform and what it does to the samples (T.800 Annexes E and F).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Transform {
    /// The 5/3 transform: what is decoded is what was encoded.
    Reversible,
    /// The 9/7 transform with quantisation.
    Irreversible {
        /// Peak signal-to-noise ratio aimed at, in decibels, 20 to 120.
        quality: f32,
    },
}

/// How a tile is cut into tile-parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TileParts {
    /// One tile-part a tile.
    One,
    /// One tile-part for each resolution level (needs a progression that begins with the resolution level).
    ByResolution,
}

/// Sizes of precincts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precincts {
    /// 2^15 x 2^15, the largest there are.
    Maximal,
    /// Exponents of (width, height), coarsest resolution level first; the last one repeats.
    Sizes(Vec<(u8, u8)>),
}

/// Levels of decomposition that an image can have so that each of them still halves a side: the logarithm of the longer side to the
/// base 2, rounded up. T.800 allows more, but then the last of them has no code-block in any high-pass band, and the OpenJPH of
/// today's viewers (`@cornerstonejs/codec-openjph` 2.4.7) gives up on such a packet.
pub fn most_decompositions(width: u32, height: u32) -> u8 {
    (u32::BITS - width.max(height).max(1).saturating_sub(1).leading_zeros()) as u8
}

/// Settings of the encoder. The default is the stream that viewers can decode from a prefix: one tile, maximal precincts, RPCL,
/// at least 5 decompositions and as many as bring a side of the base to 64 or less (of tiny images
/// [fewer](crate::most_decompositions)), 64 x 64 code-blocks, the reversible
/// transforms, TLM, and one tile-part for each resolution level.
#[derive(Clone, Debug, PartialEq)]
pub struct EncodeOptions {
    /// The order of packets.
    pub progression: Progression,
    /// Levels of decomposition, 0 to 32; by default at least 5, and until the shorter side of the base is 64 or less, but no
    /// more than [`most_decompositions`](crate::most_decompositions).
    pub decompositions: Option<u8>,
    /// Exponents of the code-block's (width, height): each 2 to 10, together at most 12.
    pub block: (u8, u8),
    /// Reversible or not.
    pub transform: Transform,
    /// Whether the first three components are colour, to be decorrelated (T.800 Annex G). Ignored unless there are three.
    pub colour: bool,
    /// How a tile is cut into tile-parts.
    pub tile_parts: TileParts,
    /// Whether to write the lengths of all tile-parts in the main header.
    pub tlm: bool,
    /// Whether to write the lengths of all packets in the tile-part headers.
    pub plt: bool,
    /// Sizes of precincts.
    pub precincts: Precincts,
    /// Width and height of tiles; by default one tile.
    pub tile: Option<(u32, u32)>,
    /// Whether to report a CRC-32 of the samples of each level, as a decoder gives them.
    pub level_crc: bool,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        EncodeOptions {
            progression: Progression::Rpcl,
            decompositions: None,
            block: (6, 6),
            transform: Transform::Reversible,
            colour: true,
            tile_parts: TileParts::ByResolution,
            tlm: true,
            plt: false,
            precincts: Precincts::Maximal,
            tile: None,
            level_crc: false,
        }
    }
}
