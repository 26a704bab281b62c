//! The tables of the entropy coders in the forms the block coder looks them up in (T.814 7.3.3, 7.3.5, 7.3.6).
//!
//! All are computed at compile time from the codewords of the standard.

use super::codewords::{FIRST_ROW, OTHER_ROWS};

/// Exponents of the MEL coder's run lengths by state (T.814 table 2).
pub(super) const MEL_EXPONENT: [u8; 13] = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5];

/// One row of the standard's codeword tables.
#[derive(Clone, Copy)]
struct Codeword {
    context: u32,
    rho: u32,
    u_off: u32,
    known: u32,
    ones: u32,
    len: u32,
    bits: u32,
}

impl Codeword {
    const fn of(row: u32) -> Self {
        Codeword {
            context: row >> 28,
            rho: (row >> 24) & 15,
            u_off: (row >> 20) & 15,
            known: (row >> 16) & 15,
            ones: (row >> 12) & 15,
            len: (row >> 8) & 15,
            bits: row & 0xff,
        }
    }
}

/// What a VLC codeword says of a quad, packed so that the decoder's chain is short.
///
/// | bits | |
/// |---|---|
/// | 0-2 | length of the codeword; bits 3 to 5 are zero so that the whole word is a shift count modulo 64 |
/// | 6 | `u_off` |
/// | 7-9 | what the quad adds to the context of its right neighbour, in place for the table's index |
/// | 10-12 | number of bits set in `EMB^k` |
/// | 13-15 | number of bits set in `rho` |
/// | 16-19 | `rho` |
/// | 20-23 | `EMB^k` |
/// | 24-27 | `EMB^1` |
/// | 28 | more than one bit set in `rho` (gamma_q) |
/// | 30-31 | significance of the two bottom samples |
pub(super) type QuadWord = u32;

/// A decoder's table: index `context << 7 | next seven bits`.
///
/// In the first row the context is the standard's. In the others its bits are in another order: 0 is the north-west,
/// 1 the north-east, 2 the west, so that the two bits known from the row above lie side by side.
pub(super) type QuadTable = [QuadWord; 8 * 128];

/// Quads of the first row.
pub(super) static FIRST_QUADS: QuadTable = quad_table(&FIRST_ROW, true);
/// Quads of the other rows.
pub(super) static OTHER_QUADS: QuadTable = quad_table(&OTHER_ROWS, false);

const fn quad_table(rows: &[u32], first: bool) -> QuadTable {
    let mut table = [0; 8 * 128];
    let mut row = 0;
    while row < rows.len() {
        let word = Codeword::of(rows[row]);
        let context =
            if first { word.context } else { word.context & 1 | word.context >> 1 & 2 | word.context << 1 & 4 };
        let mut next = word.bits;
        while next < 128 {
            table[(context << 7 | next) as usize] = quad_word(word, first);
            next += 1 << word.len;
        }
        row += 1;
    }
    table
}

const fn quad_word(word: Codeword, first: bool) -> QuadWord {
    let rho = word.rho;
    let right = if first { ((rho | rho >> 1) & 1) | (rho >> 1 & 6) } else { ((rho >> 2 | rho >> 3) & 1) << 2 };
    word.len
        | word.u_off << 6
        | right << 7
        | word.known.count_ones() << 10
        | rho.count_ones() << 13
        | rho << 16
        | word.known << 20
        | word.ones << 24
        | ((rho.count_ones() > 1) as u32) << 28
        | (rho >> 1 & 1) << 30
        | (rho >> 3 & 1) << 31
}

/// What the U-VLC prefixes of a pair of quads say. `u` of a quad is a number of its own and the bits of its suffix.
///
/// | bits | |
/// |---|---|
/// | 0-4 | length of prefixes and suffixes; bit 5 is zero so that the word is a shift count modulo 64 |
/// | 8-11 | where the first quad's suffix starts |
/// | 12-15 | where the second quad's suffix starts |
/// | 16-18 | length of the first quad's suffix |
/// | 20-22 | length of the second quad's suffix |
/// | 24-27 | `u` of the first quad without its suffix |
/// | 28-31 | `u` of the second |
pub(super) type PairWord = u32;

/// Pairs of the first row: index `mode << 6 | next six bits`; mode is `u_off` of the first quad, twice that of the
/// second, and 4 when both are set and the MEL event says that both are above 2.
pub(super) static FIRST_PAIRS: [PairWord; 5 * 64] = pair_table(true);
/// Pairs of the other rows, where there is no such event.
pub(super) static OTHER_PAIRS: [PairWord; 4 * 64] = pair_table(false);

const fn pair_table<const N: usize>(first: bool) -> [PairWord; N] {
    let mut table = [0; N];
    let mut index = 0;
    while index < N {
        table[index] = pair_word(index >> 6, index as u32 & 63, first);
        index += 1;
    }
    table
}

const fn pair_word(mode: usize, bits: u32, first: bool) -> PairWord {
    let none = Prefix { len: 0, value: 0, suffix_len: 0 };
    let one = if mode != 0 && mode != 2 { Prefix::of(bits) } else { none };
    let rest = bits >> one.len;
    let mut two = if mode >= 2 { Prefix::of(rest) } else { none };
    if first && mode == 3 && one.len == 3 {
        two = Prefix { len: 1, value: 1 + (rest & 1), suffix_len: 0 };
    }
    let more = if mode == 4 { 2 } else { 0 };
    let first = one.len + two.len;
    let second = first + one.suffix_len;
    (second + two.suffix_len)
        | first << 8
        | second << 12
        | one.suffix_len << 16
        | two.suffix_len << 20
        | (one.value + more) << 24
        | (two.value + more) << 28
}

/// A U-VLC prefix (T.814 table 3).
#[derive(Clone, Copy)]
pub(super) struct Prefix {
    /// Bits of the prefix.
    pub len: u32,
    /// `u_pfx`.
    pub value: u32,
    /// Bits of the suffix that follows.
    pub suffix_len: u32,
}

impl Prefix {
    /// The prefix at the low end of `bits`.
    pub(super) const fn of(bits: u32) -> Self {
        match bits & 7 {
            0 => Prefix { len: 3, value: 5, suffix_len: 5 },
            4 => Prefix { len: 3, value: 3, suffix_len: 1 },
            2 | 6 => Prefix { len: 2, value: 2, suffix_len: 0 },
            _ => Prefix { len: 1, value: 1, suffix_len: 0 },
        }
    }
}

/// A codeword to write: bits 0-5 its length, so that the word is a shift count modulo 64, 8-11 `EMB^k`, from 16 the
/// codeword, its first bit lowest.
pub(super) type QuadCode = u32;

/// An encoder's table: index `context << 8 | rho << 4 | eps`, `eps` the samples whose exponent is the quad's largest,
/// zero when `u_off` is zero.
pub(super) type QuadCodes = [QuadCode; 2048];

/// Quads of the first row.
pub(super) static FIRST_CODES: QuadCodes = quad_codes(&FIRST_ROW);
/// Quads of the other rows.
pub(super) static OTHER_CODES: QuadCodes = quad_codes(&OTHER_ROWS);

/// Of the codewords that fit the exponents, the one that costs the fewest bits: its own less the magnitude bits it saves.
const fn quad_codes(rows: &[u32]) -> QuadCodes {
    let mut codes = [0; 2048];
    let mut costs = [i32::MAX; 2048];
    let mut row = 0;
    while row < rows.len() {
        let word = Codeword::of(rows[row]);
        let cost = word.len as i32 - word.known.count_ones() as i32;
        let mut eps = 0;
        while eps < 16 {
            let fits = eps & !word.rho == 0 && (eps != 0) == (word.u_off != 0) && eps & word.known == word.ones;
            let index = (word.context << 8 | word.rho << 4 | eps) as usize;
            if fits && cost < costs[index] {
                costs[index] = cost;
                codes[index] = word.len | word.known << 8 | word.bits << 16;
            }
            eps += 1;
        }
        row += 1;
    }
    codes
}

/// The U-VLC code of one `u` (T.814 table 3): prefix, suffix and extension with their lengths.
#[derive(Clone, Copy)]
pub(super) struct UCode {
    /// Prefix and its length.
    pub prefix: (u32, u32),
    /// Suffix and its length.
    pub suffix: (u32, u32),
    /// Extension and its length.
    pub extension: (u32, u32),
}

impl UCode {
    /// The code of `u`, up to 72.
    pub(super) const fn of(u: u32) -> Self {
        let (prefix, suffix, extension) = match u {
            0 => ((0, 0), (0, 0), (0, 0)),
            1 => ((1, 1), (0, 0), (0, 0)),
            2 => ((2, 2), (0, 0), (0, 0)),
            3 | 4 => ((4, 3), (u - 3, 1), (0, 0)),
            5..=32 => ((0, 3), (u - 5, 5), (0, 0)),
            _ => ((0, 3), (28 + (u - 33) % 4, 5), ((u - 33) / 4, 4)),
        };
        UCode { prefix, suffix, extension }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every codeword table is a complete prefix code: each context's seven bits always mean something.
    #[test]
    fn every_context_is_complete() {
        for rows in [&FIRST_ROW[..], &OTHER_ROWS[..]] {
            for context in 0..8 {
                let words = rows.iter().map(|&row| Codeword::of(row)).filter(|word| word.context == context);
                assert_eq!(words.map(|word| 128 >> word.len).sum::<u32>(), 128);
            }
        }
    }

    /// What the encoder writes for a quad the decoder reads as the same quad.
    #[test]
    fn codes_and_words_agree() {
        for (codes, words) in [(&FIRST_CODES, &FIRST_QUADS), (&OTHER_CODES, &OTHER_QUADS)] {
            for (index, &code) in codes.iter().enumerate() {
                let (context, rho, eps) = (index >> 8, index >> 4 & 15, index & 15);
                if eps & !rho != 0 || context == 0 && rho == 0 {
                    continue;
                }
                let first = core::ptr::eq(words, &FIRST_QUADS);
                let context = if first { context } else { context & 1 | context >> 1 & 2 | context << 1 & 4 };
                let word = words[context << 7 | (code >> 16) as usize] as usize;
                assert_eq!(word & 7, (code & 63) as usize);
                assert_eq!(word >> 6 & 1, usize::from(eps != 0));
                assert_eq!(word >> 16 & 15, rho);
                assert_eq!(word >> 20 & 15, (code >> 8 & 15) as usize);
                assert_eq!(word >> 24 & 15, eps & (code >> 8 & 15) as usize);
            }
        }
    }

    #[test]
    fn prefixes_are_those_of_the_codes() {
        for u in 1..=32 {
            let code = UCode::of(u);
            let prefix = Prefix::of(code.prefix.0 | 0xf8);
            assert_eq!((prefix.len, prefix.suffix_len), (code.prefix.1, code.suffix.1));
            assert_eq!(prefix.value + code.suffix.0, u);
        }
    }
}
