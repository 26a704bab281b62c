//! What a caller is ready to spend on one codestream. Checked before anything is allocated.

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

impl Default for Limits {
    /// 2^31 pixels, 16384 components, 2 GiB, 2^26 units of work.
    fn default() -> Self {
        Limits {
            max_pixels: 1 << 31,
            max_components: 16384,
            max_memory: 2 << 30,
            max_work: 1 << 26,
        }
    }
}
