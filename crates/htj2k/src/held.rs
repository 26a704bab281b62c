//! The bytes of a codestream that are at hand: all of them, a prefix, or pieces with gaps between.

use alloc::vec::Vec;
use core::ops::Range;

/// A view of what is at hand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held<'a> {
    /// From the first byte of the codestream to the last one at hand. Those in gaps mean nothing.
    pub(crate) bytes: &'a [u8],
    /// Sorted, apart from one another, none empty.
    gaps: &'a [Range<usize>],
    /// Where the codestream ends, or the most there can be.
    pub(crate) length: usize,
}

impl<'a> Held<'a> {
    /// A codestream that ends where its bytes do.
    pub(crate) fn all(bytes: &'a [u8]) -> Self {
        Held { bytes, gaps: &[], length: bytes.len() }
    }

    /// The beginning of a codestream of so many bytes.
    pub(crate) fn prefix(bytes: &'a [u8], length: usize) -> Self {
        Held { bytes: &bytes[..bytes.len().min(length)], gaps: &[], length }
    }

    /// Whether there may be bytes that are not at hand.
    pub(crate) fn is_sparse(&self) -> bool {
        !self.gaps.is_empty() || self.length > self.bytes.len()
    }

    /// The codestream up to the first byte that is not at hand, from a place on. If that byte is not, what is given ends before it.
    #[inline(never)]
    pub(crate) fn until_gap(&self, at: usize) -> &'a [u8] {
        let gap = self.gaps.iter().find(|gap| gap.end > at);
        gap.map_or(self.bytes, |gap| &self.bytes[..gap.start])
    }

    /// Whether all of a range is at hand.
    pub(crate) fn has(&self, range: Range<usize>) -> bool {
        let mut all = true;
        self.missing(range, &mut |_| all = false);
        all
    }

    /// Tells each part of a range that is not at hand, in order.
    pub(crate) fn missing(&self, range: Range<usize>, tell: &mut dyn FnMut(Range<usize>)) {
        let beyond = self.bytes.len()..usize::MAX;
        for gap in self.gaps.iter().chain([&beyond]) {
            let part = gap.start.max(range.start)..gap.end.min(range.end);
            if !part.is_empty() {
                tell(part);
            }
        }
    }
}

/// What stands in gaps: nothing that a header or a code-block can begin with.
const GAP: u8 = 0xFF;

/// Bytes of a codestream that come in any order. What came first at a place stays.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    bytes: Vec<u8>,
    gaps: Vec<Range<usize>>,
    /// Where the next byte in order goes.
    next: usize,
}

impl Pieces {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.gaps.clear();
        self.next = 0;
    }

    /// Takes the next bytes in order.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.put(self.next, bytes);
        self.next += bytes.len();
    }

    /// Takes bytes from a place on.
    pub(crate) fn put(&mut self, at: usize, bytes: &[u8]) {
        let (old, end) = (self.bytes.len(), at + bytes.len());
        if bytes.is_empty() {
            return;
        }
        if at > old {
            self.gaps.push(old..at);
            self.bytes.resize(at, GAP);
        }
        if end > self.bytes.len() {
            self.bytes.extend_from_slice(&bytes[self.bytes.len() - at..]);
        }
        for gap in core::mem::take(&mut self.gaps) {
            let filled = gap.start.max(at)..gap.end.min(end);
            if filled.is_empty() {
                self.gaps.push(gap);
                continue;
            }
            self.bytes[filled.clone()].copy_from_slice(&bytes[filled.start - at..filled.end - at]);
            for left in [gap.start..filled.start, filled.end..gap.end] {
                if !left.is_empty() {
                    self.gaps.push(left);
                }
            }
        }
    }

    /// The bytes before the first gap.
    pub(crate) fn prefix(&self) -> &[u8] {
        self.held(self.bytes.len()).until_gap(0)
    }

    /// All that is there, of a codestream of so many bytes.
    pub(crate) fn held(&self, length: usize) -> Held<'_> {
        Held { bytes: &self.bytes, gaps: &self.gaps, length: length.max(self.bytes.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against a list that tells of each byte whether it came, and which.
    #[test]
    fn pieces_are_what_came_first() {
        let mut seed = 1u32;
        let mut random = |most: usize| {
            seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
            (seed >> 8) as usize % most
        };
        for _ in 0..200 {
            let (mut pieces, mut model, mut next) = (Pieces::default(), [None; 160], 0);
            for n in 0..random(12) as u8 {
                let new = [n; 60];
                let count = random(60);
                let at = if random(3) == 0 && next + count <= 100 {
                    next += count;
                    pieces.push(&new[..count]);
                    next - count
                } else {
                    let at = random(100);
                    pieces.put(at, &new[..count]);
                    at
                };
                model[at..at + count].iter_mut().for_each(|byte| *byte = byte.or(Some(n)));
                let held = pieces.held(160);
                for at in 0..160 {
                    let run = model[at..].iter().position(Option::is_none).map_or(160, |n| at + n);
                    let found = held.until_gap(at);
                    assert!(if run > at { found.len() == run } else { found.len() <= at });
                    (at..run).for_each(|n| assert_eq!(Some(found[n]), model[n]));
                    let end = at + random(161 - at);
                    let mut missing = Vec::new();
                    held.missing(at..end, &mut |part| missing.extend(part));
                    assert_eq!(missing, (at..end).filter(|n| model[*n].is_none()).collect::<Vec<_>>());
                }
                assert_eq!(pieces.prefix().len(), model.iter().position(Option::is_none).unwrap());
            }
        }
    }
}
