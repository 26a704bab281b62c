//! A component of the image, as SIZ has it.

/// One component of the image (T.800 A.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component {
    /// Bits per sample.
    pub precision: u8,
    /// Whether samples are two's complement.
    pub signed: bool,
    /// Columns of the reference grid from sample to sample.
    pub dx: u8,
    /// Rows of the reference grid from sample to sample.
    pub dy: u8,
}
