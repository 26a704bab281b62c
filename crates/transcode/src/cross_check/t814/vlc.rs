//! The codes of a quad's significance, and of how far its exponents exceed what is predicted (T.814 7.3.5, 7.3.6 and Annex C), as tables
//! that take the next bits.

use std::sync::LazyLock;

/// Annex C as it is printed.
const PRINTED: &str = include_str!("vlc.txt");

/// What one codeword tells of a quad. From the lowest bit on: the significance of its samples (4), the patterns e_k (4) and e_1 (4), u_off (1),
/// the length of the codeword (3); from bit [`Quad::LEFT`] on what it is to the context of the quad on its right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Quad(pub(super) u32);

impl Quad {
    const LEFT: u32 = 16;

    #[inline(always)]
    pub(super) fn significance(self) -> u32 {
        self.0 & 15
    }

    #[inline(always)]
    pub(super) fn known(self) -> u32 {
        self.0 >> 4 & 15
    }

    #[inline(always)]
    pub(super) fn ones(self) -> u32 {
        self.0 >> 8 & 15
    }

    /// u_off.
    #[inline(always)]
    pub(super) fn exceeds(self) -> u32 {
        self.0 >> 12 & 1
    }

    #[inline(always)]
    pub(super) fn length(self) -> u32 {
        self.0 >> 13 & 7
    }

    /// To be added to the context of the next quad (7.3.5).
    #[inline(always)]
    pub(super) fn left(self) -> usize {
        (self.0 >> Quad::LEFT) as usize
    }
}

/// By context and the next seven bits; of the first row of quads, and of the others.
static QUADS: LazyLock<[Box<[Quad; 1024]>; 2]> = LazyLock::new(|| {
    let mut tables = [Box::new([Quad::default(); 1024]), Box::new([Quad::default(); 1024])];
    for (row, context, significance, code) in codes() {
        let (word, patterns) = code.split_once('=').unwrap_or((code, ""));
        let pattern = |n: usize| patterns.get(n..n + 1).map_or(0, |digit| u32::from_str_radix(digit, 16).unwrap_or(0));
        let s = |n: u32| significance >> n & 1;
        let left = if row == 0 { (s(0) | s(1)) + 2 * s(2) + 4 * s(3) } else { 2 * (s(2) | s(3)) };
        let quad = significance
            | pattern(0) << 4
            | pattern(1) << 8
            | u32::from(!patterns.is_empty()) << 12
            | (word.len() as u32) << 13
            | left << Quad::LEFT;
        let bits = word.bytes().rev().fold(0, |bits, bit| bits << 1 | usize::from(bit == b'1'));
        (bits..128).step_by(1 << word.len()).for_each(|n| tables[row][context * 128 + n] = Quad(quad));
    }
    tables
});

/// Table, context, significance and codeword, one after the other.
fn codes() -> impl Iterator<Item = (usize, usize, u32, &'static str)> {
    let lines = PRINTED.lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(|line| {
        let mut words = line.split(' ');
        let mut number = || words.next().and_then(|word| u32::from_str_radix(word, 16).ok()).unwrap_or(0);
        let (row, context, significance) = (number() as usize, number() as usize, number());
        words.map(move |code| (row, context, significance, code))
    })
}

/// The table of the first row of quads, or of the others.
pub(super) fn quads(first_row: bool) -> &'static [Quad; 1024] {
    &QUADS[usize::from(!first_row)]
}

/// Which quads of a pair have a code for how far they exceed.
pub(super) mod pair {
    pub(in super::super) const BOTH: u32 = 3;
    /// Both, in the first row: one that is long leaves a single bit to the other.
    pub(in super::super) const BOTH_FIRST: u32 = 4;
    /// Both, in the first row, and both by more than 2.
    pub(in super::super) const BOTH_MORE: u32 = 5;
}

/// How far the quads of a pair exceed: the prefixes of both, and what follows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Excess {
    /// Bits of the prefixes.
    pub(super) length: u8,
    /// What the prefix tells.
    pub(super) base: [u8; 2],
    /// Bits of the suffix, to be added.
    pub(super) suffix: [u8; 2],
}

/// By the kind of the pair (0: none, 1: the first quad, 2: the second, then those of [`pair`]) and the next six bits (7.3.6).
pub(super) static EXCESS: [[Excess; 64]; 6] = excesses();

const fn excesses() -> [[Excess; 64]; 6] {
    let mut tables = [[Excess { length: 0, base: [0; 2], suffix: [0; 2] }; 64]; 6];
    let mut kind = 1;
    while kind < 6 {
        let mut bits = 0;
        while bits < 64 {
            let mut excess = Excess { length: 0, base: [0; 2], suffix: [0; 2] };
            let mut quad = 0;
            while quad < 2 {
                if kind > 2 || kind == quad + 1 {
                    let next = bits >> excess.length;
                    let alone = kind == pair::BOTH_FIRST as usize && quad == 1 && excess.base[0] > 2;
                    let (length, base, suffix) = match next & 7 {
                        n if alone => (1, 1 + (n & 1) as u8, 0),
                        1 | 3 | 5 | 7 => (1, 1, 0),
                        2 | 6 => (2, 2, 0),
                        4 => (3, 3, 1),
                        _ => (3, 5, 5),
                    };
                    excess.length += length;
                    excess.base[quad] = base;
                    excess.suffix[quad] = suffix;
                }
                quad += 1;
            }
            if kind == pair::BOTH_MORE as usize {
                excess.base = [excess.base[0] + 2, excess.base[1] + 2];
            }
            tables[kind][bits] = excess;
            bits += 1;
        }
        kind += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Annex C has so many rows; every seven bits begin with one codeword, and only one; patterns lie within the significance.
    #[test]
    fn the_codes_are_complete_and_free_of_prefixes() {
        let mut seen = vec![[0u8; 128]; 16];
        let mut rows = [0; 2];
        for (row, context, significance, code) in codes() {
            rows[row] += 1;
            let word = code.split('=').next().unwrap();
            let bits = word.bytes().rev().fold(0, |bits, bit| bits << 1 | usize::from(bit == b'1'));
            (bits..128).step_by(1 << word.len()).for_each(|n| seen[row * 8 + context][n] += 1);
            let quad = quads(row == 0)[context * 128 + bits];
            assert_eq!((quad.significance(), quad.length() as usize), (significance, word.len()));
            assert_eq!(quad.exceeds() == 1, code.contains('='));
            assert_eq!(quad.known() & !significance | quad.ones() & !quad.known(), 0, "{row} {context} {code}");
        }
        assert_eq!(rows, [444, 358]);
        assert!(seen.iter().flatten().all(|times| *times == 1));
    }
}
