//! High-Throughput JPEG 2000: codestreams of ITU-T T.800 (ISO/IEC 15444-1) whose code-blocks are coded as
//! ITU-T T.814 (ISO/IEC 15444-15) describes.
//!
//! A codestream holds an image as *resolution levels*. Level 0 is the full image, level `n` is `1/2^n` of it on each
//! side. In the streams written here the coarsest level comes first, so every prefix that ends where a level ends is
//! an image of its own: [`Index`] tells those ends, [`Decoder`] decodes any prefix to any level. Of a finer level [`RegionRanges`]
//! tells which bytes a few rows take, and [`Progressive`] decodes them.
//!
//! ```
//! use htj2k::{Decoder, EncodeOptions, Encoder, Image, Samples, SamplesMut};
//!
//! let pixels: Vec<u16> = (0..100 * 80).map(|n| n as u16).collect();
//! let image = Image { width: 100, height: 80, components: 1, precision: 16, signed: false, stride: 100, samples: Samples::U16(&pixels) };
//! let mut stream = Vec::new();
//! let levels = Encoder::new().encode(&image, &EncodeOptions::default(), &mut stream)?;
//!
//! let coarse = &levels[0];
//! let mut preview = vec![0u16; (coarse.width * coarse.height) as usize];
//! let prefix = &stream[..coarse.end as usize];
//! Decoder::new().decode(prefix, coarse.level, SamplesMut::U16(&mut preview), coarse.width as usize)?;
//! # Ok::<(), htj2k::Error>(())
//! ```
//!
//! The order of the work, and of the modules: `markers` (the headers), `geometry` (what lies where), `packet` (which bytes
//! belong to which code-block), `block` (the code-blocks), `wavelet`, `colour`, and `decode`/`encode`, which join them.

#![no_std]
#![warn(missing_docs)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod bits;
#[allow(dead_code)]
mod block;
mod buffer;
mod codestream;
mod colour;
mod component;
mod crc;
mod decode;
mod encode;
mod error;
mod geometry;
mod header;
mod held;
mod image;
mod index;
mod limits;
mod markers;
mod options;
mod packet;
mod part1;
mod progression;
mod rect;
mod region;
mod simd;
mod tag_tree;
mod threads;
mod wavelet;
mod window;

pub use decode::{Decoded, Decoder, Plane, Progressive};
pub use encode::Encoder;
pub use error::{Error, ErrorKind};
pub use header::{Component, Header};
pub use image::{Image, Samples, SamplesMut};
pub use index::{Index, Level};
pub use limits::Limits;
pub use options::{EncodeOptions, Precincts, Progression, TileParts, Transform, most_decompositions};
pub use region::{Detail, Region, RegionRanges};
pub use simd::{Simd, SimdLevel};
