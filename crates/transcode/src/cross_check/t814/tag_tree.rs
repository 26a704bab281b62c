//! Tag trees (T.800 B.10.2), read once each: there is one layer.

use super::packets::HeaderBits;
use super::{Result, damaged};

const UNKNOWN: u8 = u8::MAX;

/// One value a code-block, and the least of each four above them, up to a single one.
#[derive(Debug)]
pub(super) struct TagTree {
    /// Columns and first node of each level, leaves first.
    levels: Vec<(usize, usize)>,
    nodes: Vec<u8>,
    /// Values are told up to this one, which stands for all that are not less.
    most: u8,
}

impl TagTree {
    pub(super) fn new(columns: usize, rows: usize, most: u8) -> TagTree {
        let (mut columns, mut rows, mut nodes) = (columns, rows, 0);
        let mut levels = Vec::new();
        loop {
            levels.push((columns, nodes));
            nodes += columns * rows;
            if columns * rows <= 1 {
                break;
            }
            (columns, rows) = (columns.div_ceil(2), rows.div_ceil(2));
        }
        TagTree { levels, nodes: vec![UNKNOWN; nodes], most }
    }

    /// The value of a code-block.
    pub(super) fn value(&mut self, column: usize, row: usize, bits: &mut HeaderBits<'_>) -> Result<u8> {
        let mut least = 0;
        for (level, (columns, first)) in self.levels.iter().enumerate().rev() {
            let node = first + (row >> level) * columns + (column >> level);
            let node = self.nodes.get_mut(node).ok_or_else(|| damaged("there is no such code-block"))?;
            if *node == UNKNOWN {
                while least < self.most && !bits.bit()? {
                    least += 1;
                }
                *node = least;
            }
            least = *node;
        }
        Ok(least)
    }
}
