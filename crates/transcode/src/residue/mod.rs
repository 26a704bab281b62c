//! A way back: what a converted object does not carry of the file that came in, so small that it can be kept for ever.
//!
//! A [`Residue`] is a program over two inputs, the bytes of the converted object and its frames decoded again (laid out as
//! the source had them), that writes the received file byte for byte. Preamble, header bytes, order and encoding of elements,
//! group lengths, padding, offset tables and trailing bytes are either copied from the object or stand in the program.
//!
//! | module | what |
//! |---|---|
//! | `format` | the stored bytes: magic, version, hashes, lengths, the deflated program, a checksum |
//! | `program` | the steps: literal bytes, runs of the object, elements in another encoding, pixels |
//! | `element` | one element of Explicit VR Little Endian as Implicit VR or Big Endian has it (PS3.5 7.1, 7.3) |
//! | `layout` | decoded samples to native pixel data: planes, byte order, words (PS3.5 8.1.1, 8.2) |
//! | `make` | holds source and object against each other and writes the program |
//! | `restore` | runs it, in bounded memory, and compares the SHA-256 |

mod element;
mod format;
mod layout;
mod make;
mod program;
mod restore;
mod window;

pub(crate) use make::{Proof, make};
pub use restore::RestoreError;

use format::Header;
use std::fmt;

/// What a converted object lacks of the file it was made from. Made and proven by [`convert`](crate::convert).
#[derive(Clone, PartialEq, Eq)]
pub struct Residue {
    bytes: Vec<u8>,
    header: Box<Header>,
}

/// Why an object has no way back to the bytes that came in: those must be kept then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoWayBack {
    /// It was not asked for.
    #[error("no way back was asked for")]
    NotAsked,
    /// The frames were compressed by an encoder that is not known: decoding and coding again gives other bytes.
    #[error("the source is compressed ({0}): its bytes can't be made again from its samples")]
    Compressed(String),
    /// The data set was deflated by an encoder that is not known.
    #[error("the source's data set is deflated: its bytes can't be made again")]
    Deflated,
    /// Samples that the object does not hold: bits that were moved or lost.
    #[error("the object does not hold every bit of the source's pixels: {0}")]
    Pixels(String),
    /// The residue would not be small.
    #[error("the source differs from the object in more than {limit} compressed bytes")]
    TooLarge {
        /// Bytes that are allowed.
        limit: u64,
    },
    /// The restored bytes were not those of the source.
    #[error("restoring was tried and gave other bytes")]
    NotEqual,
    /// Making or trying it failed.
    #[error("making it failed: {0}")]
    Failed(String),
}

impl Residue {
    /// Reads stored bytes; whatever is damaged or of a newer version is an error.
    pub fn parse(bytes: Vec<u8>) -> Result<Residue, RestoreError> {
        let header = Header::parse(&bytes)?;
        Ok(Residue { bytes, header: Box::new(header) })
    }

    /// The bytes to be stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the received file, hexadecimal.
    pub fn original_sha256(&self) -> String {
        dicom::input::hex(&self.header.original_sha256)
    }

    /// Bytes of the received file.
    pub fn original_len(&self) -> u64 {
        self.header.original_len
    }

    /// SHA-256 of the converted object it belongs to, hexadecimal.
    pub fn converted_sha256(&self) -> String {
        dicom::input::hex(&self.header.converted_sha256)
    }
}

impl fmt::Debug for Residue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Residue({} bytes of {})", self.bytes.len(), self.original_sha256())
    }
}
