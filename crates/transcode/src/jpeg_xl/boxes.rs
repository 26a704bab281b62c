//! Boxes around a JPEG XL codestream (ISO/IEC 18181-2): found, counted and written; what they unpack to is bounded.

use dicom::error::{Error, Result};
use dicom::jpeg_xl::{JxlBox, boxes, is_container};
use jxl_oxide_common::Bundle;
use std::io::Read;

/// The signature box and the file type box every container starts with.
const START: &[u8] = b"\0\0\0\x0CJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl ";
/// The level box: level 10, which samples of more than 14 bits need.
const LEVEL_10: &[u8] = b"\0\0\0\x09jxll\x0A";
/// What the boxes with metadata of a JPEG may unpack to: a JPEG holds little beside its image.
const UNPACKED: u64 = 64 << 20;

/// A container around a codestream that must be read at level 10: all that comes before the codestream, which goes on to
/// the end.
pub(super) fn before_level_10() -> Vec<u8> {
    [START, LEVEL_10, b"\0\0\0\0jxlc"].concat()
}

/// A container of level 10 with a codestream; its size is written, so that padding after it is not part of it.
pub(super) fn at_level_10(codestream: &[u8]) -> Result<Vec<u8>> {
    let size = u32::try_from(codestream.len() as u64 + 8).map_err(|_| Error::Limit("a frame of 4 GiB".into()))?;
    Ok([START, LEVEL_10, &size.to_be_bytes(), b"jxlc", codestream].concat())
}

/// Refuses boxes that would unpack to more than a JPEG's metadata can be. They are unpacked here without being kept.
pub(super) fn bounded(bytes: &[u8]) -> Result<()> {
    for JxlBox { kind, content, .. } in boxes(bytes) {
        let packed = match kind {
            b"jbrd" => after_jbrd_header(content)?,
            b"brob" => content.get(4..).unwrap_or_default(),
            _ => continue,
        };
        let mut unpacked = brotli_decompressor::Decompressor::new(packed, 4096).take(UNPACKED + 1);
        let size = std::io::copy(&mut unpacked, &mut std::io::sink())
            .map_err(|_| Error::malformed(0, "JPEG XL: a box that can't be unpacked"))?;
        if size > UNPACKED {
            return Err(Error::Limit("JPEG XL: a box that unpacks to more than 64 MiB".into()));
        }
    }
    Ok(())
}

/// What follows the header of a box with the data a JPEG is rebuilt from.
fn after_jbrd_header(content: &[u8]) -> Result<&[u8]> {
    let bad = |_| Error::malformed(0, "JPEG XL: reconstruction data with a damaged header");
    let mut bits = jxl_bitstream::Bitstream::new(content);
    jxl_jbr::JpegBitstreamHeader::parse(&mut bits, ()).map_err(bad)?;
    bits.zero_pad_to_byte().map_err(bad)?;
    Ok(content.get(bits.num_read_bits() / 8..).unwrap_or_default())
}

/// A container without what follows its last whole box: the padding of a fragment.
pub(super) fn whole(bytes: &[u8]) -> &[u8] {
    match boxes(bytes).last() {
        Some(last) if is_container(bytes) => &bytes[..last.end],
        _ => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom::jpeg_xl::codestream_of;

    #[test]
    fn a_codestream_comes_back_from_its_container() {
        let whole = at_level_10(&[0xFF, 0x0A, 1, 2, 3]).unwrap();
        assert!(is_container(&whole));
        assert_eq!(*codestream_of(&whole), [0xFF, 0x0A, 1, 2, 3]);
        let padded = [&whole[..], &[0]].concat();
        assert_eq!(*codestream_of(&padded), [0xFF, 0x0A, 1, 2, 3]);
        assert_eq!(super::whole(&padded), whole);
        let open = [&before_level_10()[..], &[0xFF, 0x0A, 9]].concat();
        assert_eq!(*codestream_of(&open), [0xFF, 0x0A, 9]);
        assert_eq!(*codestream_of(&[0xFF, 0x0A]), [0xFF, 0x0A]);
    }

    #[test]
    fn parts_are_joined_and_a_cut_is_borne() {
        let part = |n: u8, content: &[u8]| {
            [&(12 + content.len() as u32).to_be_bytes()[..], b"jxlp", &[0, 0, 0, n], content].concat()
        };
        let whole = [START.to_vec(), part(0, &[0xFF, 0x0A, 7]), part(1, &[8, 9])].concat();
        assert_eq!(*codestream_of(&whole), [0xFF, 0x0A, 7, 8, 9]);
        for len in 0..whole.len() {
            let _ = codestream_of(&whole[..len]);
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        // 65 MiB of zeros, packed by Brotli into 119 bytes.
        let packed = "cbffff3ff82700e2b14020f7fe8fffff7ff04f00c4611180eefd1fffffffe09f0088c30200ddfb3ffeffffc13f0110870500\
            baf77ffcffff837f02200e0b0074effff8ffff07ff04401c1600e8defff1ffff0ffe0980382c00d0bdffe3ffff1ffc130071\
            5800a07bff57ffff8f7f02200e0b0074ef1f00";
        let packed: Vec<u8> =
            (0..packed.len()).step_by(2).map(|n| u8::from_str_radix(&packed[n..n + 2], 16).unwrap()).collect();
        let boxed = |packed: &[u8]| {
            let size = (packed.len() as u32 + 12).to_be_bytes();
            [START, &size, b"brobxml ", packed].concat()
        };
        assert!(matches!(bounded(&boxed(&packed)), Err(Error::Limit(_))));
        assert!(matches!(bounded(&boxed(&packed[..50])), Err(Error::Malformed { .. })));
        assert!(bounded(&boxed(&[6])).is_ok(), "an empty stream");
    }
}
