//! RLE Lossless (PS3.5 Annex G): byte planes, most significant first, each packed on its own.

use dicom::error::{Error, Result};
use dicom::facts::Facts;

const HEADER: usize = 64;

pub(super) fn frame(facts: &Facts, stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    if !matches!(facts.bits_allocated, 8 | 16 | 32) {
        return Err(Error::unsupported(format!("RLE with {} bits allocated", facts.bits_allocated)));
    }
    let size = usize::from(facts.bits_allocated / 8);
    let samples = usize::from(facts.samples);
    let starts = segment_starts(stored, samples * size)?;
    let pixels = (facts.rows * facts.columns) as usize;
    out.resize(pixels * samples * size, 0);
    let mut plane = Vec::with_capacity(pixels);
    for (n, start) in starts.iter().enumerate() {
        let end = starts.get(n + 1).copied().unwrap_or(stored.len());
        let segment = stored.get(*start..end).ok_or_else(|| bad("a segment ends before it starts"))?;
        unpack(segment, pixels, &mut plane)?;
        let first = n / size * size + (size - 1 - n % size);
        for (byte, value) in out[first..].iter_mut().step_by(samples * size).zip(&plane) {
            *byte = *value;
        }
    }
    Ok(())
}

/// The offsets of the segments from the 64-byte header.
fn segment_starts(stored: &[u8], expected: usize) -> Result<Vec<usize>> {
    let header = stored.get(..HEADER).ok_or(Error::Truncated {
        what: "an RLE header".into(),
        have: stored.len() as u64,
        need: HEADER as u64,
    })?;
    let mut words = header.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b) as usize);
    let count = words.next().unwrap_or(0);
    if count != expected {
        return Err(bad(&format!("{count} segments where {expected} are needed")));
    }
    let starts: Vec<usize> = words.take(count).collect();
    if starts.len() == count && starts.iter().all(|s| (HEADER..=stored.len()).contains(s)) {
        Ok(starts)
    } else {
        Err(bad("a segment outside of the frame"))
    }
}

fn unpack(mut segment: &[u8], len: usize, plane: &mut Vec<u8>) -> Result<()> {
    plane.clear();
    while plane.len() < len {
        let (&control, rest) = segment.split_first().ok_or_else(|| short(plane.len(), len))?;
        segment = rest;
        let left = len - plane.len();
        match control {
            0..=127 => {
                let count = usize::from(control) + 1;
                let run = segment.get(..count.min(left)).ok_or_else(|| short(plane.len(), len))?;
                plane.extend_from_slice(run);
                segment = segment.get(count..).unwrap_or_default();
            }
            128 => {}
            _ => {
                let (&value, rest) = segment.split_first().ok_or_else(|| short(plane.len(), len))?;
                segment = rest;
                plane.resize(plane.len() + (257 - usize::from(control)).min(left), value);
            }
        }
    }
    Ok(())
}

fn short(have: usize, need: usize) -> Error {
    Error::Truncated { what: "an RLE segment".into(), have: have as u64, need: need as u64 }
}

fn bad(what: &str) -> Error {
    Error::malformed(0, format!("RLE frame: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_runs() {
        // The example of the PackBits description.
        let packed = [0xFE, 0xAA, 0x02, 0x80, 0x00, 0x2A, 0xFD, 0xAA, 0x03, 0x80, 0x00, 0x2A, 0x22, 0xF7, 0xAA];
        let plain = [
            0xAA, 0xAA, 0xAA, 0x80, 0x00, 0x2A, 0xAA, 0xAA, 0xAA, 0xAA, 0x80, 0x00, 0x2A, 0x22, 0xAA, 0xAA, 0xAA, 0xAA,
            0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA,
        ];
        let mut plane = Vec::new();
        unpack(&packed, plain.len(), &mut plane).unwrap();
        assert_eq!(plane, plain);
        assert!(unpack(&packed, plain.len() + 1, &mut plane).is_err());
    }
}
