//! JPEG XL (ISO/IEC 18181; PS3.5 8.2.15, A.4.12): lossless frames, and JPEG streams that are stored smaller and given back bit for bit.
//!
//! Written by `jixel`, read by `jxl`; a JPEG is rebuilt by `jxl-oxide`. None of them is ours: each runs behind
//! [`guarded`](crate::decode::guarded), so that a panic in it is an error of the frame. What they are given is bounded first: the size that the
//! header of the codestream tells ([`dicom::jpeg_xl::Header`]), and what the boxes around it unpack to ([`boxes`]).
//!
//! JPEG XL has no signed samples, and the standard names no mapping. Under .110 samples go as the two's complement of
//! Bits Stored, as other writers do: a reader that extends the sign from Bits Stored gets them right. Under .112, where
//! that would tear the values apart, signed samples are neither written nor read.

mod boxes;
mod decode;
mod lossless;
mod lossy;
mod recompress;

pub(crate) use decode::decode;
pub(crate) use lossless::encode_lossless;
pub(crate) use lossy::{distances, encode_lossy};
pub(crate) use recompress::{rebuild_jpeg, recompress};

/// What writes, and its version.
pub(crate) const WRITER: &str = "jixel 0.5.3";
/// What decodes samples to verify them.
pub(crate) const READER: &str = "jxl 0.8.0";
/// What rebuilds a JPEG to verify it.
pub(crate) const REBUILDER: &str = "jxl-oxide 0.12.6";

#[cfg(test)]
mod tests {
    /// The versions that evidence names are those that are built in.
    #[test]
    fn versions() {
        let lock = include_str!("../../../../Cargo.lock");
        for told in [super::WRITER, super::READER, super::REBUILDER] {
            let (name, version) = told.split_once(' ').unwrap();
            let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
            assert!(lock.contains(&entry), "{told} is not what Cargo.lock names");
        }
    }
}
