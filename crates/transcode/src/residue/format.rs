//! The stored bytes of a residue.
//!
//! Magic `FLRES`, version (1), then as LEB128: encoding of the source's elements, origin of its frames, flags of its pixels,
//! bytes of one sample, bytes of the original, bytes of the object, bytes of the program, number of overlays, group and bit of
//! each; SHA-256 of the original and of the object; the deflated program; CRC-32 (little endian) of all before it.

use super::layout::Layout;
use super::restore::RestoreError;
use dicom::syntax::Encoding;

const MAGIC: &[u8; 5] = b"FLRES";
const VERSION: u8 = 1;
const CRC: usize = 4;
/// Groups 6000 to 60FF, the even ones.
const MAX_OVERLAYS: u64 = 128;

/// Where the bytes of the source's frames come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Decoded samples, laid out as the source had them.
    Samples(Layout),
    /// The JPEG that a JPEG XL stream holds (PS3.5 8.2.15).
    Jpeg,
}

/// What stands before the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) encoding: Encoding,
    pub(crate) origin: Origin,
    pub(crate) original_len: u64,
    pub(crate) converted_len: u64,
    /// Bytes of the program once inflated.
    pub(crate) program_len: u64,
    /// Group and bit of overlays that were in the original's pixels and stand apart in the object.
    pub(crate) overlays: Vec<(u16, u8)>,
    pub(crate) original_sha256: [u8; 32],
    pub(crate) converted_sha256: [u8; 32],
    /// Where the deflated program starts and ends.
    pub(crate) program: (usize, usize),
}

impl Header {
    /// Puts a residue together; `program` of the header is set to where it comes to stand.
    pub(crate) fn seal(&mut self, program: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(program.len() + 96);
        bytes.extend_from_slice(MAGIC);
        bytes.push(VERSION);
        let (origin, layout) = match self.origin {
            Origin::Samples(layout) => (0, layout),
            Origin::Jpeg => (1, Layout::default()),
        };
        let encoding = ENCODINGS.iter().position(|e| *e == self.encoding).unwrap_or(0) as u64;
        for number in [
            encoding,
            origin,
            layout.flags().into(),
            u64::from(layout.size),
            self.original_len,
            self.converted_len,
            self.program_len,
        ] {
            put_number(&mut bytes, number);
        }
        put_number(&mut bytes, self.overlays.len() as u64);
        for (group, bit) in &self.overlays {
            put_number(&mut bytes, u64::from(*group));
            put_number(&mut bytes, u64::from(*bit));
        }
        bytes.extend_from_slice(&self.original_sha256);
        bytes.extend_from_slice(&self.converted_sha256);
        self.program = (bytes.len(), bytes.len() + program.len());
        bytes.extend_from_slice(program);
        bytes.extend_from_slice(&crc(&bytes).to_le_bytes());
        bytes
    }

    /// Reads what [`Header::seal`] wrote.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Header, RestoreError> {
        let Some(rest) = bytes.strip_prefix(MAGIC) else { return Err(RestoreError::NotAResidue) };
        match rest.first() {
            Some(&VERSION) => {}
            Some(other) => return Err(RestoreError::Version(*other)),
            None => return Err(damaged("it is cut short")),
        }
        let (body, told) = bytes.split_last_chunk::<CRC>().ok_or_else(|| damaged("it is cut short"))?;
        if crc(body) != u32::from_le_bytes(*told) {
            return Err(damaged("its checksum is wrong"));
        }
        let mut fields = Fields { bytes: body, at: MAGIC.len() + 1 };
        let encoding = fields.number()?;
        let encoding = ENCODINGS.get(encoding as usize).ok_or_else(|| damaged("an unknown encoding"))?;
        let (origin, flags, size) = (fields.number()?, fields.number()?, fields.number()?);
        let origin = match origin {
            0 => Origin::Samples(Layout::of_flags(flags, size).ok_or_else(|| damaged("an unknown pixel layout"))?),
            1 => Origin::Jpeg,
            _ => return Err(damaged("frames of unknown origin")),
        };
        Ok(Header {
            encoding: *encoding,
            origin,
            original_len: fields.number()?,
            converted_len: fields.number()?,
            program_len: fields.number()?,
            overlays: fields.overlays()?,
            original_sha256: fields.hash()?,
            converted_sha256: fields.hash()?,
            program: (fields.at, body.len()),
        })
    }
}

const ENCODINGS: [Encoding; 3] = [Encoding::ExplicitLittle, Encoding::ImplicitLittle, Encoding::ExplicitBig];

fn damaged(what: &str) -> RestoreError {
    RestoreError::Damaged(what.to_owned())
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Fields<'_> {
    fn number(&mut self) -> Result<u64, RestoreError> {
        let (number, len) =
            take_number(&self.bytes[self.at..]).ok_or_else(|| damaged("a number in it can't be read"))?;
        self.at += len;
        Ok(number)
    }

    fn overlays(&mut self) -> Result<Vec<(u16, u8)>, RestoreError> {
        let count = self.number()?;
        if count > MAX_OVERLAYS {
            return Err(damaged("too many overlays"));
        }
        let overlay = |_| match (u16::try_from(self.number()?), u8::try_from(self.number()?)) {
            (Ok(group), Ok(bit)) if bit < 64 => Ok((group, bit)),
            _ => Err(damaged("an overlay that can't be")),
        };
        (0..count).map(overlay).collect()
    }

    fn hash(&mut self) -> Result<[u8; 32], RestoreError> {
        let hash = self.bytes[self.at..].first_chunk().ok_or_else(|| damaged("it is cut short"))?;
        self.at += hash.len();
        Ok(*hash)
    }
}

/// Appends a number as LEB128.
pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A number at the start of `bytes` and how long it is; `None` when it does not end or does not fit.
fn take_number(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut number = 0u64;
    for (n, byte) in bytes.iter().enumerate().take(10) {
        let part = u64::from(byte & 0x7F);
        number |= part.checked_shl(7 * n as u32).filter(|shifted| shifted >> (7 * n) == part)?;
        if byte & 0x80 == 0 {
            return Some((number, n + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            encoding: Encoding::ImplicitLittle,
            origin: Origin::Samples(Layout { size: 2, planar: true, ..Layout::default() }),
            original_len: 5 << 30,
            converted_len: 1 << 20,
            program_len: 300,
            overlays: vec![(0x6000, 12), (0x6002, 15)],
            original_sha256: [7; 32],
            converted_sha256: [9; 32],
            program: (0, 0),
        }
    }

    #[test]
    fn what_is_sealed_is_read_back() {
        let mut header = header();
        let bytes = header.seal(b"program");
        assert_eq!(Header::parse(&bytes).unwrap(), header);
        assert_eq!(&bytes[header.program.0..header.program.1], b"program");
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_an_error() {
        let bytes = header().seal(b"a program of some length");
        for end in 0..bytes.len() {
            assert!(Header::parse(&bytes[..end]).is_err(), "cut at {end}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::parse(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused() {
        for number in [0, 1, 127, 128, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            assert_eq!(take_number(&bytes), Some((number, bytes.len())));
        }
        assert_eq!(take_number(&[0xFF; 10]), None);
        assert_eq!(take_number(&[0x80; 3]), None);
    }
}
