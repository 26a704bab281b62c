//! Bits of coded data (T.87 9.1), and the Golomb codes of limited length in them (A.5.3).

use super::Result;

/// Reads from the highest bit on, up to the next marker. After a byte of FF comes one of 7 bits.
///
/// It is small and goes from hand to hand, so that it stays in registers.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, highest first. Behind those that count there may be some of the following byte already.
    next: u64,
    count: u32,
    after_ff: bool,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Bits<'a> {
        Bits { data, at: 0, next: 0, count: 0, after_ff: false }
    }

    /// Where the marker is that ends the coded data, whatever is left of that.
    pub(super) fn end(self) -> usize {
        let marker = self.data[self.at..].windows(2).position(|pair| pair[0] == 0xFF && pair[1] >= 0x80);
        marker.map_or(self.data.len(), |n| self.at + n)
    }

    /// Fills up, unless 32 bits are at hand.
    #[inline(always)]
    fn fill(self) -> Bits<'a> {
        if self.count >= 32 {
            return self;
        }
        if let Some(bytes) = self.data.get(self.at..).and_then(|rest| rest.first_chunk()) {
            let word = u64::from_be_bytes(*bytes);
            if !self.after_ff && !has_ff(word) {
                let whole = (63 - self.count) / 8;
                let (next, count) = (self.next | word >> self.count, self.count + 8 * whole);
                return Bits { next, count, at: self.at + whole as usize, ..self };
            }
        }
        self.fill_by_bytes()
    }

    #[cold]
    #[inline(never)]
    fn fill_by_bytes(mut self) -> Bits<'a> {
        while self.count <= 55 {
            let Some(&byte) = self.data.get(self.at) else { break };
            let following = self.data.get(self.at + 1).copied().unwrap_or(0xFF);
            if byte == 0xFF && following >= 0x80 {
                break;
            }
            let bits = if self.after_ff { 7 } else { 8 };
            self.next |= u64::from(byte) << (64 - bits) >> self.count;
            self.count += bits;
            self.after_ff = byte == 0xFF;
            self.at += 1;
        }
        self
    }

    /// Up to 32 bits.
    #[inline(always)]
    pub(super) fn take(self, bits: u32) -> Result<(Bits<'a>, u32)> {
        let full = self.fill();
        if full.count < bits {
            return Err(cut_short());
        }
        let value = full.next >> 1 >> (63 - bits);
        Ok((full.pass(bits), value as u32))
    }

    /// Fewer than 64 bits, which are there.
    #[inline(always)]
    fn pass(self, bits: u32) -> Bits<'a> {
        Bits { next: self.next << bits, count: self.count - bits, ..self }
    }

    /// A.5.3: zeros, a one, and `k` bits; after as many zeros as may be, `qbpp` bits.
    #[inline(always)]
    pub(super) fn golomb(self, k: u32, limit: u32, qbpp: u32) -> Result<(Bits<'a>, u64)> {
        let full = self.fill();
        let zeros = full.next.leading_zeros();
        let length = zeros + 1 + k;
        if length <= full.count && zeros < limit - qbpp - 1 {
            let below = (full.next << (zeros + 1)) >> 1 >> (63 - k);
            return Ok((full.pass(length), u64::from(zeros) << k | below));
        }
        full.long_golomb(k, limit, qbpp)
    }

    #[cold]
    #[inline(never)]
    fn long_golomb(self, k: u32, limit: u32, qbpp: u32) -> Result<(Bits<'a>, u64)> {
        let (mut bits, mut zeros) = (self.fill(), 0);
        let most = limit - qbpp - 1;
        loop {
            let run = bits.next.leading_zeros().min(bits.count);
            zeros += run;
            if zeros > most {
                return Err("a code that is longer than any".into());
            }
            if run < bits.count {
                bits = bits.pass(run + 1);
                break;
            }
            bits = bits.pass(run).fill();
            if bits.count == 0 {
                return Err(cut_short());
            }
        }
        let (bits, below) = bits.take(if zeros == most { qbpp } else { k })?;
        Ok((bits, if zeros == most { u64::from(below) + 1 } else { u64::from(zeros) << k | u64::from(below) }))
    }
}

#[cold]
fn cut_short() -> String {
    "the coded data are cut short".into()
}

/// Is one of the bytes FF?
#[inline(always)]
fn has_ff(word: u64) -> bool {
    const LOW: u64 = 0x0101_0101_0101_0101;
    (!word).wrapping_sub(LOW) & word & (LOW << 7) != 0
}
