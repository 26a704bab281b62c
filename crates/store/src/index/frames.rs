//! The frame table of an object as a compact blob.
//!
//! Numbers are LEB128. A table is: version (1), number of frames, then each frame: gap from the end of the one before
//! to its first byte, length, number of fragments (0: one run) with gap and length of each, number of levels with level, width,
//! height, end (as the difference to the one before) and a CRC-32 (0: none, else the CRC plus one) of each.

const VERSION: u64 = 1;

/// Where the bytes of one frame are in the stored object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FrameEntry {
    /// Byte offset of the frame's first byte in the object.
    pub offset: u64,
    /// Bytes of the frame, all fragments together, no item headers.
    pub len: u64,
    /// Offset and length of each fragment; empty when the frame is the one run `offset..offset + len`.
    pub fragments: Vec<(u64, u64)>,
    /// Resolution levels, coarsest first; empty where there are none or their ends are not known.
    pub levels: Vec<LevelEntry>,
}

/// One resolution level of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelEntry {
    /// 0 is the full image, n is 1/2^n of each side.
    pub level: u8,
    /// Pixels a row at this level.
    pub width: u32,
    /// Rows at this level.
    pub height: u32,
    /// Bytes of the frame's codestream that this level needs.
    pub end: u64,
    /// CRC-32 of the decoded samples of this level.
    pub crc32: Option<u32>,
}

/// The blob of a frame table.
pub fn encode_frames(frames: &[FrameEntry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + frames.len() * 8);
    put(&mut out, VERSION);
    put(&mut out, frames.len() as u64);
    let mut at = 0;
    for frame in frames {
        put(&mut out, frame.offset.wrapping_sub(at));
        put(&mut out, frame.len);
        put(&mut out, frame.fragments.len() as u64);
        at = frame.offset;
        for &(offset, len) in &frame.fragments {
            put(&mut out, offset.wrapping_sub(at));
            put(&mut out, len);
            at = offset.wrapping_add(len);
        }
        if frame.fragments.is_empty() {
            at = at.wrapping_add(frame.len);
        }
        put(&mut out, frame.levels.len() as u64);
        let mut end = 0;
        for level in &frame.levels {
            put(&mut out, u64::from(level.level));
            put(&mut out, u64::from(level.width));
            put(&mut out, u64::from(level.height));
            put(&mut out, level.end.wrapping_sub(end));
            put(&mut out, level.crc32.map_or(0, |crc| u64::from(crc) + 1));
            end = level.end;
        }
    }
    out
}

/// The frame table of a blob; `None` when it is not one.
pub fn decode_frames(blob: &[u8]) -> Option<Vec<FrameEntry>> {
    let mut input = blob;
    if get(&mut input)? != VERSION {
        return None;
    }
    let count = count(&mut input)?;
    let mut frames = Vec::with_capacity(count);
    let mut at = 0u64;
    for _ in 0..count {
        let offset = at.wrapping_add(get(&mut input)?);
        let len = get(&mut input)?;
        let fragments = self::count(&mut input)?;
        let mut frame = FrameEntry { offset, len, fragments: Vec::with_capacity(fragments), levels: Vec::new() };
        at = offset;
        for _ in 0..fragments {
            let offset = at.wrapping_add(get(&mut input)?);
            let len = get(&mut input)?;
            frame.fragments.push((offset, len));
            at = offset.wrapping_add(len);
        }
        if fragments == 0 {
            at = at.wrapping_add(len);
        }
        frame.levels = levels(&mut input)?;
        frames.push(frame);
    }
    input.is_empty().then_some(frames)
}

fn levels(input: &mut &[u8]) -> Option<Vec<LevelEntry>> {
    let count = count(input)?;
    let mut levels = Vec::with_capacity(count);
    let mut end = 0u64;
    for _ in 0..count {
        let level = u8::try_from(get(input)?).ok()?;
        let width = u32::try_from(get(input)?).ok()?;
        let height = u32::try_from(get(input)?).ok()?;
        end = end.wrapping_add(get(input)?);
        let crc32 = match get(input)? {
            0 => None,
            crc => Some(u32::try_from(crc - 1).ok()?),
        };
        levels.push(LevelEntry { level, width, height, end, crc32 });
    }
    Some(levels)
}

/// A number of things that follow; each takes a byte at least.
fn count(input: &mut &[u8]) -> Option<usize> {
    let count = usize::try_from(get(input)?).ok()?;
    (count <= input.len()).then_some(count)
}

fn put(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn get(input: &mut &[u8]) -> Option<u64> {
    let mut n = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = input.split_first()?;
        *input = rest;
        n |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(n);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn level() -> impl Strategy<Value = LevelEntry> {
        (any::<u8>(), any::<u32>(), any::<u32>(), any::<u64>(), any::<Option<u32>>())
            .prop_map(|(level, width, height, end, crc32)| LevelEntry { level, width, height, end, crc32 })
    }

    fn frame() -> impl Strategy<Value = FrameEntry> {
        let fragments = proptest::collection::vec(any::<(u64, u64)>(), 0..4);
        (any::<u64>(), any::<u64>(), fragments, proptest::collection::vec(level(), 0..8))
            .prop_map(|(offset, len, fragments, levels)| FrameEntry { offset, len, fragments, levels })
    }

    proptest! {
        #[test]
        fn decodes_what_was_encoded(frames in proptest::collection::vec(frame(), 0..20)) {
            prop_assert_eq!(decode_frames(&encode_frames(&frames)), Some(frames));
        }

        #[test]
        fn never_panics(blob in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_frames(&blob);
        }

        #[test]
        fn damage_in_length_is_seen(frames in proptest::collection::vec(frame(), 1..5), cut in 1usize..9) {
            let blob = encode_frames(&frames);
            prop_assert_eq!(decode_frames(&blob[..blob.len().saturating_sub(cut)]), None);
        }
    }

    #[test]
    fn a_thousand_frames_are_small() {
        let frames: Vec<_> = (0..1000)
            .map(|n| FrameEntry { offset: 2000 + n * 200_008, len: 200_000, ..FrameEntry::default() })
            .collect();
        let blob = encode_frames(&frames);
        assert!(blob.len() < 8000, "{}", blob.len());
        assert_eq!(decode_frames(&blob), Some(frames));
    }
}
