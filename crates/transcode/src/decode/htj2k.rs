//! High-Throughput JPEG 2000 (T.814), by the codec of this workspace.

use super::{Codecs, agree, container_bits, place, whole as all_there};
use dicom::error::{Error, Result};
use dicom::facts::Facts;
use dicom::stream::{StreamInfo, codestream_of};
use dicom::syntax::Coding;
use htj2k::{Index, Progressive, SamplesMut};

pub(super) fn frame(facts: &Facts, stored: &[u8], codecs: &mut Codecs, out: &mut Vec<u8>) -> Result<()> {
    let info = agree(facts, stored, Coding::HtJ2k)?;
    let stream = codestream_of(stored);
    let stride = facts.columns as usize * usize::from(facts.samples);
    let count = stride * facts.rows as usize;
    let signed = info.signed == Some(true);
    let bad = |error: htj2k::Error| Error::malformed(error.at, error.to_string());
    let whole = |decoded: htj2k::Decoded| {
        if decoded.complete { Ok(()) } else { Err(Error::malformed(0, "the codestream is cut short")) }
    };
    if info.precision > 16 {
        let mut samples = vec![0i32; count];
        whole(codecs.htj2k.decode(stream, 0, SamplesMut::I32(&mut samples), stride).map_err(bad)?)?;
        return place(facts, info.precision, samples.into_iter(), out);
    }
    if !signed && info.precision <= 8 {
        out.resize(count, 0);
        whole(codecs.htj2k.decode(stream, 0, SamplesMut::U8(out), stride).map_err(bad)?)?;
        if facts.bits_allocated <= 8 && (!facts.signed || info.precision == 8) {
            return Ok(());
        }
        let samples = std::mem::take(out);
        return place(facts, info.precision, samples.iter().map(|v| i32::from(*v)), out);
    }
    if signed {
        codecs.signed_words.resize(count, 0);
        whole(codecs.htj2k.decode(stream, 0, SamplesMut::I16(&mut codecs.signed_words), stride).map_err(bad)?)?;
        place(facts, info.precision, codecs.signed_words.iter().map(|v| i32::from(*v)), out)
    } else {
        codecs.words.resize(count, 0);
        whole(codecs.htj2k.decode(stream, 0, SamplesMut::U16(&mut codecs.words), stride).map_err(bad)?)?;
        place(facts, info.precision, codecs.words.iter().map(|v| i32::from(*v)), out)
    }
}

/// Decodes every level of a frame, each from the one before it: the samples of the full image go to `out` as [`frame`] gives
/// them, and `crcs` gets the CRC-32 of the samples of each level of the index: little endian, in the smallest container of 8, 16 or
/// 32 bits for their precision.
pub(crate) fn levels(
    facts: &Facts,
    codestream: &[u8],
    index: &Index,
    decoder: &mut Progressive,
    out: &mut Vec<u8>,
    crcs: &mut Vec<u32>,
) -> Result<()> {
    let info = agree(facts, codestream, Coding::HtJ2k)?;
    let bad = |error: htj2k::Error| Error::malformed(error.at, error.to_string());
    crcs.clear();
    decoder.restart();
    decoder.push(codestream);
    macro_rules! each_level {
        ($kind:ident, $type:ty) => {{
            if in_place(facts, &info) {
                return levels_in_place(facts, index, out, crcs, |level, bytes, stride| {
                    match bytemuck::try_cast_slice_mut::<u8, $type>(bytes) {
                        Ok(samples) => decoder.decode(level, SamplesMut::$kind(samples), stride),
                        Err(_) => {
                            let mut samples: Vec<$type> = vec![0; bytes.len() / size_of::<$type>()];
                            let decoded = decoder.decode(level, SamplesMut::$kind(&mut samples), stride);
                            bytes.copy_from_slice(bytemuck::cast_slice(&samples));
                            decoded
                        }
                    }
                });
            }
            let mut samples = Vec::<$type>::new();
            for level in &index.levels {
                let stride = level.width as usize * usize::from(facts.samples);
                samples.resize(stride * level.height as usize, 0);
                if samples.is_empty() {
                    crcs.push(0);
                    continue;
                }
                let decoded = decoder.decode(level.level, SamplesMut::$kind(&mut samples), stride).map_err(bad)?;
                if !decoded.complete {
                    return Err(Error::malformed(0, "the codestream is cut short"));
                }
                crcs.push(crc32(samples.as_slice(), |sample| sample.to_le_bytes()));
            }
            out.clear();
            place(facts, info.precision, samples.into_iter().map(|sample| sample as i32), out)
        }};
    }
    match (info.precision, info.signed == Some(true)) {
        (..=8, false) => each_level!(U8, u8),
        (..=8, true) => each_level!(I8, i8),
        (..=16, false) => each_level!(U16, u16),
        (..=16, true) => each_level!(I16, i16),
        _ => each_level!(I32, i32),
    }
}

/// Are the samples that the decoder gives what [`place`] makes of them?
fn in_place(facts: &Facts, info: &StreamInfo) -> bool {
    let container = if info.precision <= 8 { 8 } else { 16 };
    cfg!(target_endian = "little")
        && info.precision <= 16
        && container_bits(facts) == container
        && facts.signed == (info.signed == Some(true))
}

/// As [`levels`]: `decode` puts a level's samples where they will stay. `out` comes with what it had, so that it is not cleared
/// time and again.
fn levels_in_place(
    facts: &Facts,
    index: &Index,
    out: &mut Vec<u8>,
    crcs: &mut Vec<u32>,
    mut decode: impl FnMut(u8, &mut [u8], usize) -> Result<htj2k::Decoded, htj2k::Error>,
) -> Result<()> {
    let mut have = 0;
    for level in &index.levels {
        let stride = level.width as usize * usize::from(facts.samples);
        have = stride * level.height as usize * usize::from(container_bits(facts) / 8);
        if have == 0 {
            crcs.push(0);
            continue;
        }
        out.resize(out.len().max(have), 0);
        let bytes = &mut out[..have];
        let decoded =
            decode(level.level, bytes, stride).map_err(|error| Error::malformed(error.at, error.to_string()))?;
        if !decoded.complete {
            return Err(Error::malformed(0, "the codestream is cut short"));
        }
        crcs.push(crc32fast::hash(bytes));
    }
    out.truncate(have);
    all_there(facts, out)
}

/// CRC-32 (IEEE 802.3) of samples, a block of bytes at a time.
fn crc32<T: Copy, const N: usize>(samples: &[T], bytes: impl Fn(T) -> [u8; N]) -> u32 {
    const BLOCK: usize = 4096;
    let (mut crc, mut block) = (crc32fast::Hasher::new(), Vec::with_capacity(BLOCK * N));
    for some in samples.chunks(BLOCK) {
        block.clear();
        block.extend(some.iter().flat_map(|sample| bytes(*sample)));
        crc.update(&block);
    }
    crc.finalize()
}
