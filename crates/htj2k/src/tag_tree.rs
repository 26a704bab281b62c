//! Tag trees (T.800 B.10.2): small numbers of neighbouring code-blocks, told as far as they are needed.

use crate::bits::{BitReader, BitWriter, OutOfBits};
use alloc::vec::Vec;

/// Many trees, their nodes in one table. A tree is the leaves first, row by row, then each level above, up to the root.
#[derive(Debug, Default)]
pub(crate) struct TagTree {
    nodes: Vec<Node>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    /// Encoding: the least value below. Decoding: the value, once it is known.
    value: u8,
    /// The value is at least this.
    low: u8,
    /// Whether the value is `low` for certain (and said so).
    known: bool,
}

/// Levels of a tree over at most 2^32 leaves on a side.
const DEPTH: usize = 33;

impl TagTree {
    pub(crate) const NODE: usize = size_of::<Node>();

    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
    }

    /// Keeps the nodes of a tree, to be restored in the same order.
    pub(crate) fn save(&self, tree: u32, size: (u32, u32), saved: &mut Saved) {
        let nodes = tree as usize..tree as usize + nodes(size);
        saved.nodes.extend_from_slice(&self.nodes[nodes]);
    }

    /// Puts back what `save` kept first of what was not put back yet.
    pub(crate) fn restore(&mut self, tree: u32, size: (u32, u32), saved: &mut Saved) {
        let count = nodes(size);
        if let Some(kept) = saved.nodes.get(saved.restored..saved.restored + count) {
            self.nodes[tree as usize..tree as usize + count].copy_from_slice(kept);
            saved.restored += count;
        }
    }

    /// Adds a tree over `width` x `height` leaves and gives its place.
    pub(crate) fn add(&mut self, width: u32, height: u32) -> u32 {
        let place = self.nodes.len();
        self.nodes.resize(place + nodes((width, height)), Node::default());
        place as u32
    }

    /// The nodes from leaf (`x`, `y`) to the root.
    fn path(tree: u32, width: u32, height: u32, x: u32, y: u32) -> ([u32; DEPTH], usize) {
        let mut path = [0; DEPTH];
        let (mut w, mut h, mut x, mut y, mut start) = (width, height, x, y, tree);
        for (n, place) in path.iter_mut().enumerate() {
            *place = start + y * w + x;
            if w == 1 && h == 1 {
                return (path, n + 1);
            }
            start += w * h;
            (w, h, x, y) = (w.div_ceil(2), h.div_ceil(2), x / 2, y / 2);
        }
        (path, DEPTH)
    }

    /// Reads until it is known whether the leaf's value is below `threshold`; if so, gives the value.
    pub(crate) fn decode(
        &mut self,
        tree: u32,
        (width, height): (u32, u32),
        (x, y): (u32, u32),
        threshold: u32,
        bits: &mut BitReader<'_>,
    ) -> Result<Option<u8>, OutOfBits> {
        let (path, depth) = Self::path(tree, width, height, x, y);
        let mut low = 0;
        for &place in path[..depth].iter().rev() {
            let node = &mut self.nodes[place as usize];
            node.low = node.low.max(low);
            while !node.known && (node.low as u32) < threshold {
                if bits.bit()? {
                    node.known = true;
                } else if node.low == u8::MAX {
                    return Err(OutOfBits);
                } else {
                    node.low += 1;
                }
            }
            low = node.low;
        }
        let leaf = self.nodes[path[0] as usize];
        Ok((leaf.known && (leaf.low as u32) < threshold).then_some(leaf.low))
    }

    /// Sets a leaf's value before encoding; every leaf must be set, then `build` called.
    pub(crate) fn set(&mut self, tree: u32, width: u32, (x, y): (u32, u32), value: u8) {
        self.nodes[(tree + y * width + x) as usize].value = value;
    }

    /// Gives each inner node the least value below it.
    pub(crate) fn build(&mut self, tree: u32, width: u32, height: u32) {
        let (mut w, mut h, mut start) = (width, height, tree);
        while w * h > 1 {
            let above = start + w * h;
            let (aw, ah) = (w.div_ceil(2), h.div_ceil(2));
            for n in 0..aw * ah {
                self.nodes[(above + n) as usize].value = u8::MAX;
            }
            for y in 0..h {
                for x in 0..w {
                    let value = self.nodes[(start + y * w + x) as usize].value;
                    let parent = &mut self.nodes[(above + y / 2 * aw + x / 2) as usize];
                    parent.value = parent.value.min(value);
                }
            }
            (w, h, start) = (aw, ah, above);
        }
    }

    /// Writes what a decoder needs to know whether the leaf's value is below `threshold`.
    pub(crate) fn encode(
        &mut self,
        tree: u32,
        (width, height): (u32, u32),
        (x, y): (u32, u32),
        threshold: u32,
        bits: &mut BitWriter<'_>,
    ) {
        let (path, depth) = Self::path(tree, width, height, x, y);
        let mut low = 0;
        for &place in path[..depth].iter().rev() {
            let node = &mut self.nodes[place as usize];
            node.low = node.low.max(low);
            while !node.known && (node.low as u32) < threshold {
                node.known = node.low >= node.value;
                bits.bit(node.known);
                node.low += !node.known as u8;
            }
            low = node.low;
        }
    }
}

/// Nodes of trees, kept while a packet is read.
#[derive(Debug, Default)]
pub(crate) struct Saved {
    nodes: Vec<Node>,
    restored: usize,
}

impl Saved {
    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
        self.restored = 0;
    }
}

/// Nodes of a tree over `width` x `height` leaves.
fn nodes((width, height): (u32, u32)) -> usize {
    let (mut w, mut h) = (width as usize, height as usize);
    let mut count = 0;
    while w > 0 && h > 0 {
        count += w * h;
        if w == 1 && h == 1 {
            break;
        }
        (w, h) = (w.div_ceil(2), h.div_ceil(2));
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for (w, h) in [(1, 1), (2, 1), (6, 3), (5, 7), (1, 9)] {
            let value = |x: u32, y: u32| ((x * 7 + y * 3) % 11) as u8;
            let mut tree = TagTree::default();
            let t = tree.add(w, h);
            let mut bytes = Vec::new();
            for (x, y) in (0..h).flat_map(|y| (0..w).map(move |x| (x, y))) {
                tree.set(t, w, (x, y), value(x, y));
            }
            tree.build(t, w, h);
            let mut bits = BitWriter::new(&mut bytes);
            for (x, y) in (0..h).flat_map(|y| (0..w).map(move |x| (x, y))) {
                tree.encode(t, (w, h), (x, y), 4, &mut bits);
                tree.encode(t, (w, h), (x, y), 12, &mut bits);
            }
            bits.finish();

            let mut tree = TagTree::default();
            let t = tree.add(w, h);
            let mut bits = BitReader::new(&bytes);
            for (x, y) in (0..h).flat_map(|y| (0..w).map(move |x| (x, y))) {
                let below = tree.decode(t, (w, h), (x, y), 4, &mut bits).unwrap();
                assert_eq!(below, (value(x, y) < 4).then_some(value(x, y)));
                let all = tree.decode(t, (w, h), (x, y), 12, &mut bits).unwrap();
                assert_eq!(all, Some(value(x, y)));
                // What is known already needs no bits, and is below what it is below.
                let same = tree.decode(t, (w, h), (x, y), value(x, y).into(), &mut bits);
                assert_eq!(same, Ok(None));
            }
        }
    }

    #[test]
    fn inner_nodes_are_the_least_below() {
        for (w, h) in [(1, 1), (2, 1), (6, 3), (5, 7), (1, 9), (9, 4)] {
            let value = |x: u32, y: u32| 3 + ((x * 5 + y * 11) % 17) as u8;
            let leaves = || (0..h).flat_map(|y| (0..w).map(move |x| (x, y)));
            let mut tree = TagTree::default();
            tree.add(3, 3);
            let t = tree.add(w, h);
            leaves().for_each(|(x, y)| tree.set(t, w, (x, y), value(x, y)));
            tree.build(t, w, h);
            let mut at = t as usize;
            let mut level = 0;
            loop {
                let (across, down) = (w.div_ceil(1 << level), h.div_ceil(1 << level));
                for (x, y) in (0..down).flat_map(|y| (0..across).map(move |x| (x, y))) {
                    let below = leaves().filter(|(u, v)| (u >> level, v >> level) == (x, y));
                    let least = below.map(|(u, v)| value(u, v)).min().unwrap();
                    assert_eq!(tree.nodes[at].value, least, "{w}x{h}, level {level}, {x} {y}");
                    at += 1;
                }
                if (across, down) == (1, 1) {
                    break;
                }
                level += 1;
            }
            assert_eq!(at, tree.nodes.len());
        }
    }

    #[test]
    fn a_band_without_blocks_has_no_nodes() {
        assert_eq!([(0, 0), (0, 5), (5, 0)].map(nodes), [0; 3]);
        assert_eq!([(1, 1), (4, 1), (3, 2)].map(nodes), [1, 7, 9]);
    }

    #[test]
    fn trees_are_restored_as_they_were_saved_last() {
        let mut trees = TagTree::default();
        let (one, two) = (trees.add(3, 2), trees.add(2, 2));
        let mut saved = Saved::default();
        let lows = |trees: &TagTree| trees.nodes.iter().map(|node| node.low).collect::<Vec<_>>();
        for round in 1..3 {
            // What was kept for a packet that was read whole is of no more use.
            trees.save(one, (3, 2), &mut saved);
            saved.clear();
            trees.nodes.iter_mut().zip(20 * round..).for_each(|(node, low)| node.low = low);
            let before = lows(&trees);
            trees.save(one, (3, 2), &mut saved);
            trees.save(two, (2, 2), &mut saved);
            trees.nodes.iter_mut().for_each(|node| node.low += 7);
            trees.restore(one, (3, 2), &mut saved);
            assert_ne!(lows(&trees), before);
            trees.restore(two, (2, 2), &mut saved);
            assert_eq!(lows(&trees), before);
        }
        trees.clear();
        assert_eq!((trees.add(1, 1), trees.nodes.len()), (0, 1));
    }
}
