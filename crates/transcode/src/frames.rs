//! Where each frame is: native runs, fragments, and the offset tables that may or may not tell the truth (PS3.5 A.4).

use crate::data_set::{DataSet, Tag};
use crate::error::{Error, Result};
use crate::facts::Facts;
use crate::input::Input;
use crate::syntax::Coding;

const EXTENDED_OFFSETS: Tag = Tag(0x7FE0, 0x0001);
/// Bytes from a fragment to the next: the item header.
const HEADER: u64 = 8;

/// Where the bytes of one frame are in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// `(offset, length)` of each run of bytes, in order; one for native frames.
    pub fragments: Vec<(u64, u64)>,
}

impl Frame {
    /// Offset of the first byte in the file.
    pub fn offset(&self) -> u64 {
        self.fragments.first().map_or(0, |f| f.0)
    }

    /// Bytes of all runs (a pad byte at the end of the last fragment counted).
    pub fn length(&self) -> u64 {
        self.fragments.iter().map(|f| f.1).sum()
    }
}

/// Is native colour stored with half the chrominance (PS3.3 C.7.6.3.1.2)?
pub(crate) fn sub_sampled(facts: &Facts) -> bool {
    facts.samples == 3 && matches!(facts.photometric.as_str(), "YBR_FULL_422" | "YBR_PARTIAL_422")
}

/// Bits of one native frame as it is stored. Sub-sampled colour has two samples a pixel.
pub(crate) fn native_bits(facts: &Facts) -> Option<u64> {
    let samples = if sub_sampled(facts) { 2 } else { u64::from(facts.samples) };
    let pixels = u64::from(facts.rows) * u64::from(facts.columns);
    pixels.checked_mul(samples)?.checked_mul(u64::from(facts.bits_allocated))
}

/// Frames of uncompressed Pixel Data at `offset`: an error when there are fewer bytes than the attributes say.
/// `pairs`: bytes are swapped two by two, so a frame comes with whole pairs.
pub(crate) fn native(facts: &Facts, offset: u64, len: u64, pairs: bool) -> Result<Vec<Frame>> {
    let bits = native_bits(facts)
        .filter(|bits| *bits > 0)
        .ok_or_else(|| Error::unsupported("an image without rows, columns, samples or bits"))?;
    let need = bits.checked_mul(u64::from(facts.frames)).map(|b| b.div_ceil(8));
    match need {
        Some(need) if need <= len => {}
        _ => {
            let need = need.unwrap_or(u64::MAX);
            return Err(Error::Truncated {
                what: format!("pixel data of {} x {} x {} frames", facts.columns, facts.rows, facts.frames),
                have: len,
                need,
            });
        }
    }
    let frame = |n: u64| {
        let (mut from, mut to) = (n * bits / 8, ((n + 1) * bits).div_ceil(8));
        if pairs {
            from -= from % 2;
            to = (to + to % 2).min(len);
        }
        Frame { fragments: vec![(offset + from, to - from)] }
    };
    Ok((0..u64::from(facts.frames)).map(frame).collect())
}

/// Frames of encapsulated Pixel Data. `fragments[0]` is the Basic Offset Table.
pub(crate) fn encapsulated(
    input: &Input,
    set: &DataSet,
    facts: &Facts,
    fragments: &[(u64, u64)],
) -> Result<Vec<Frame>> {
    let Some((table, fragments)) = fragments.split_first() else {
        return Err(Error::unsupported("encapsulated pixel data without an offset table"));
    };
    let frames = facts.frames as usize;
    if fragments.len() < frames {
        return Err(Error::Truncated {
            what: "encapsulated pixel data (fragments)".into(),
            have: fragments.len() as u64,
            need: frames as u64,
        });
    }
    if fragments.len() == frames {
        return Ok(fragments.iter().map(|f| Frame { fragments: vec![*f] }).collect());
    }
    let coding = facts.transfer_syntax.coding();
    if frames == 1 {
        return single(input, fragments, coding);
    }
    let told = basic_offsets(input, *table)?.into_iter().chain(extended_offsets(set)?);
    for starts in told.collect::<Vec<_>>() {
        if let Some(found) = by_offsets(fragments, &starts, frames)
            && starts_look_right(input, &found, coding)?
        {
            return Ok(found);
        }
    }
    by_markers(input, fragments, frames, coding)
}

/// All fragments are one frame, unless the stream says that there are more.
fn single(input: &Input, fragments: &[(u64, u64)], coding: Coding) -> Result<Vec<Frame>> {
    let mut starts = 0;
    for fragment in fragments {
        starts += usize::from(starts_frame(input, *fragment, coding)?);
    }
    let tells = !matches!(coding, Coding::Rle | Coding::Native | Coding::DeflatedFrame | Coding::Unknown);
    if starts > 1 && tells {
        return Err(Error::unsupported(format!("{starts} compressed images where Number of Frames says 1")));
    }
    let fragments = fragments.iter().copied().filter(|f| f.1 > 0).collect();
    Ok(vec![Frame { fragments }])
}

fn basic_offsets(input: &Input, table: (u64, u64)) -> Result<Option<Vec<u64>>> {
    if table.1 == 0 || !table.1.is_multiple_of(4) {
        return Ok(None);
    }
    let raw = input.bytes(table.0, table.1)?;
    Ok(Some(raw.as_chunks::<4>().0.iter().map(|b| u64::from(u32::from_le_bytes(*b))).collect()))
}

fn extended_offsets(set: &DataSet) -> Result<Option<Vec<u64>>> {
    let Some(element) = set.get(EXTENDED_OFFSETS) else { return Ok(None) };
    let raw = set.bytes_le(element)?;
    Ok((!raw.is_empty()).then(|| raw.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect()))
}

/// Divides fragments at offsets that count from the first item header; `None` when an offset is at no fragment.
fn by_offsets(fragments: &[(u64, u64)], starts: &[u64], frames: usize) -> Option<Vec<Frame>> {
    let first = fragments.first()?.0;
    if starts.len() != frames || starts.first() != Some(&0) {
        return None;
    }
    let index = |start: &u64| fragments.binary_search_by_key(&first.checked_add(*start)?, |f| f.0).ok();
    let mut cuts = starts.iter().map(index).collect::<Option<Vec<_>>>()?;
    cuts.push(fragments.len());
    let increasing = cuts.windows(2).all(|w| w[0] < w[1]);
    increasing.then(|| cuts.windows(2).map(|w| Frame { fragments: fragments[w[0]..w[1]].to_vec() }).collect())
}

fn starts_look_right(input: &Input, frames: &[Frame], coding: Coding) -> Result<bool> {
    for frame in frames {
        if !starts_frame(input, frame.fragments[0], coding)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Divides fragments where a compressed image starts.
fn by_markers(input: &Input, fragments: &[(u64, u64)], frames: usize, coding: Coding) -> Result<Vec<Frame>> {
    let mut found: Vec<Frame> = Vec::new();
    for fragment in fragments {
        if found.is_empty() || starts_frame(input, *fragment, coding)? {
            found.push(Frame { fragments: vec![*fragment] });
        } else if let Some(last) = found.last_mut() {
            last.fragments.push(*fragment);
        }
    }
    if found.len() == frames && coding != Coding::Rle {
        return Ok(found);
    }
    Err(Error::unsupported(format!("{} fragments that can't be told apart into {frames} frames", fragments.len())))
}

/// Does a compressed image start with this fragment?
fn starts_frame(input: &Input, fragment: (u64, u64), coding: Coding) -> Result<bool> {
    let len = fragment.1.min(12) as usize;
    let mut head = [0; 12];
    input.read_at(fragment.0, &mut head[..len])?;
    Ok(match coding {
        Coding::Jpeg | Coding::JpegLossless | Coding::JpegLs => head.starts_with(&[0xFF, 0xD8, 0xFF]),
        Coding::Jpeg2000 | Coding::HtJ2k => head.starts_with(&[0xFF, 0x4F, 0xFF, 0x51]) || head[4..8] == *b"jP  ",
        Coding::JpegXl => head.starts_with(&[0xFF, 0x0A]) || head[4..8] == *b"JXL ",
        _ => true,
    })
}

/// Offsets of a Basic Offset Table for fragments of these (padded) lengths; `None` when 32 bits are not enough.
pub(crate) fn offset_table(lengths: &[u64]) -> Option<Vec<u32>> {
    let mut at = 0u64;
    lengths
        .iter()
        .map(|len| {
            let offset = u32::try_from(at).ok();
            at += HEADER + len;
            offset
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offset_tables_are_cumulative_and_end_at_32_bits() {
        assert_eq!(offset_table(&[10, 20, 2]), Some(vec![0, 18, 46]));
        assert_eq!(offset_table(&[u64::from(u32::MAX), 2]), None);
        assert_eq!(offset_table(&[u64::from(u32::MAX) - 8, 2]), Some(vec![0, u32::MAX]));
    }

    #[test]
    fn stale_offsets_are_refused() {
        let fragments = [(8, 10), (26, 10), (44, 10)];
        assert_eq!(by_offsets(&fragments, &[0, 18], 2).map(|f| f.len()), Some(2));
        assert_eq!(by_offsets(&fragments, &[0, 17], 2), None);
        assert_eq!(by_offsets(&fragments, &[0, 0], 2), None);
        assert_eq!(by_offsets(&fragments, &[18, 36], 2), None);
    }
}
