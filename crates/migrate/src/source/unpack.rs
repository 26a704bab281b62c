//! Compressed streams: gzip (RFC 1952), xz, Zstandard (RFC 8878) and bzip2, told by their first bytes. Files of several streams or
//! frames, one behind the other, are read to their end; what would take more memory than a decoder should is an error.

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Xz,
    Zstd,
    Bzip2,
}

/// Memory that xz may take, in KiB: what its strongest preset writes takes 65 MiB.
const XZ_MEMORY: u32 = 80 << 10;
/// The largest window of a Zstandard frame: what `--ultra -22` writes; `--long` may go beyond.
const ZSTD_WINDOW: u64 = 128 << 20;
/// Frames that hold no data (RFC 8878 3.1.2).
const SKIPPED: std::ops::RangeInclusive<u32> = 0x184D_2A50..=0x184D_2A5F;

/// How bytes that begin so are compressed.
pub(super) fn packing(bytes: &[u8]) -> Option<Packing> {
    match bytes {
        [0x1F, 0x8B, 8, ..] => Some(Packing::Gzip),
        [0xFD, b'7', b'z', b'X', b'Z', 0, ..] => Some(Packing::Xz),
        [0x28, 0xB5, 0x2F, 0xFD, ..] => Some(Packing::Zstd),
        // A frame to be skipped comes first where pzstd wrote it.
        [low, 0x2A, 0x4D, 0x18, _, _, _, _, ..] if low & 0xF0 == 0x50 => Some(Packing::Zstd),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => Some(Packing::Bzip2),
        _ => None,
    }
}

/// Opens a compressed file: what is read is what it unpacks to.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let mut file = BufReader::with_capacity(1 << 16, File::open(path)?);
    Ok(match packing(file.fill_buf()?) {
        Some(Packing::Gzip) => Box::new(MultiGzDecoder::new(file)),
        Some(Packing::Xz) => Box::new(XzReader::new_mem_limit(file, true, XZ_MEMORY)),
        Some(Packing::Zstd) => Box::new(Zstd::new(file)),
        Some(Packing::Bzip2) => Box::new(MultiBzDecoder::new(file)),
        None => return Err(io::Error::other("it is not compressed any more")),
    })
}

/// Frames of Zstandard one after the other.
struct Zstd<R> {
    from: R,
    decoder: FrameDecoder,
    within: bool,
}

impl<R: BufRead> Zstd<R> {
    fn new(from: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(ZSTD_WINDOW);
        Zstd { from, decoder, within: false }
    }

    /// Goes to the next frame that holds data; false at the end.
    fn next_frame(&mut self) -> io::Result<bool> {
        while !self.from.fill_buf()?.is_empty() {
            let mut magic = [0; 4];
            self.from.read_exact(&mut magic)?;
            if !SKIPPED.contains(&u32::from_le_bytes(magic)) {
                self.decoder.reset(magic.as_slice().chain(&mut self.from)).map_err(io::Error::other)?;
                self.within = true;
                return Ok(true);
            }
            let mut len = [0; 4];
            self.from.read_exact(&mut len)?;
            let len = u64::from(u32::from_le_bytes(len));
            if io::copy(&mut self.from.by_ref().take(len), &mut io::sink())? != len {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(false)
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.within && !self.next_frame()? {
                return Ok(0);
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                self.decoder
                    .decode_blocks(&mut self.from, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(io::Error::other)?;
            }
            let n = self.decoder.read(buf)?;
            if n > 0 || buf.is_empty() {
                return Ok(n);
            }
            if let Some(wanted) = self.decoder.get_checksum_from_data()
                && self.decoder.get_calculated_checksum() != Some(wanted)
            {
                return Err(io::Error::other("its checksum is not that of what it unpacks to"));
            }
            self.within = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// `the first part, ` and `the second part` as two streams each; made by xz, zstd (one frame to be skipped between them), bzip2.
    const XZ: &str = include_str!("two.xz.hex");
    const ZSTD: &str = include_str!("two.zst.hex");
    const BZIP2: &str = include_str!("two.bz2.hex");
    const WHOLE: &[u8] = b"the first part, the second part";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap()).collect()
    }

    fn unpacked(packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(packed).unwrap();
        let mut all = Vec::new();
        open(file.path())?.read_to_end(&mut all).map(|_| all)
    }

    #[test]
    fn every_stream_of_a_file_is_read_and_a_cut_is_an_error() {
        let mut gzip = Vec::new();
        for part in [&WHOLE[..16], &WHOLE[16..]] {
            let mut one = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            one.write_all(part).unwrap();
            gzip.extend(one.finish().unwrap());
        }
        for packed in [gzip, bytes(XZ), bytes(ZSTD), bytes(BZIP2)] {
            let form = packing(&packed).unwrap();
            assert_eq!(unpacked(&packed).unwrap(), WHOLE, "{form:?}");
            assert!(unpacked(&packed[..packed.len() - 3]).is_err(), "{form:?}");
        }
    }

    #[test]
    fn what_would_take_too_much_memory_is_an_error() {
        // A frame of Zstandard with a window of 2 GiB (RFC 8878 3.1.1.1.2: exponent 21).
        let wide = [0x28, 0xB5, 0x2F, 0xFD, 0x00, 21 << 3, 0x01, 0x00, 0x00];
        assert!(unpacked(&wide).unwrap_err().to_string().contains("window"));
    }
}
