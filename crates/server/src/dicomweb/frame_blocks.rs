//! The frames of an instance, a block at a time: what an object says of their number may be far more than it has.

use archive::Instance;
use std::ops::Range;

/// Frames of a block.
const BLOCK: u32 = 1024;

/// Blocks of the frames (from 0) that may be there, in their order.
pub fn blocks(instance: &Instance) -> impl Iterator<Item = Range<u32>> + use<> {
    split(most(instance))
}

/// Those of a block that are there, as far as that is known without decoding.
pub fn present(instance: &Instance, block: Range<u32>) -> impl Iterator<Item = u32> {
    block.filter(|n| instance.frames.is_empty() || instance.frame(*n).is_some())
}

/// How many of the frames that an object tells of are not there, as far as that is known without decoding, and how many it tells of.
pub fn absent(instance: &Instance) -> (usize, usize) {
    let told = instance.facts.frames as usize;
    let here = || (0..instance.frames.len() as u32).filter(|n| instance.frame(*n).is_some()).count();
    (if instance.frames.is_empty() { 0 } else { told.saturating_sub(here()) }, told)
}

/// No more frames than these are there: after the last one that was found there is none, and one takes a bit at least.
fn most(instance: &Instance) -> u32 {
    let told = instance.facts.frames;
    let found = match instance.frames.len() {
        0 => instance.size.saturating_mul(8),
        found => found as u64,
    };
    u32::try_from(found).map_or(told, |found| told.min(found))
}

fn split(count: u32) -> impl Iterator<Item = Range<u32>> {
    (0..count).step_by(BLOCK as usize).map(move |from| from..count.min(from.saturating_add(BLOCK)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_every_frame_once() {
        for count in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 10 * BLOCK + 7] {
            let all: Vec<u32> = split(count).flatten().collect();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
            assert!(split(count).all(|block| block.len() <= BLOCK as usize && !block.is_empty()));
        }
        assert_eq!(split(u32::MAX).last().map(|block| block.end), Some(u32::MAX));
    }
}
