//! The MQ arithmetic decoder (T.800 Annex C), and the raw bits of bypass mode (D.6).

/// Probability estimation: Qe, next state after an MPS, after an LPS, and whether the MPS flips (Table C.2).
const STATES: [(u16, u8, u8, bool); 47] = [
    (0x5601, 1, 1, true),
    (0x3401, 2, 6, false),
    (0x1801, 3, 9, false),
    (0x0AC1, 4, 12, false),
    (0x0521, 5, 29, false),
    (0x0221, 38, 33, false),
    (0x5601, 7, 6, true),
    (0x5401, 8, 14, false),
    (0x4801, 9, 14, false),
    (0x3801, 10, 14, false),
    (0x3001, 11, 17, false),
    (0x2401, 12, 18, false),
    (0x1C01, 13, 20, false),
    (0x1601, 29, 21, false),
    (0x5601, 15, 14, true),
    (0x5401, 16, 14, false),
    (0x5101, 17, 15, false),
    (0x4801, 18, 16, false),
    (0x3801, 19, 17, false),
    (0x3401, 20, 18, false),
    (0x3001, 21, 19, false),
    (0x2801, 22, 19, false),
    (0x2401, 23, 20, false),
    (0x2201, 24, 21, false),
    (0x1C01, 25, 22, false),
    (0x1801, 26, 23, false),
    (0x1601, 27, 24, false),
    (0x1401, 28, 25, false),
    (0x1201, 29, 26, false),
    (0x1101, 30, 27, false),
    (0x0AC1, 31, 28, false),
    (0x09C1, 32, 29, false),
    (0x08A1, 33, 30, false),
    (0x0521, 34, 31, false),
    (0x0441, 35, 32, false),
    (0x02A1, 36, 33, false),
    (0x0221, 37, 34, false),
    (0x0141, 38, 35, false),
    (0x0111, 39, 36, false),
    (0x0085, 40, 37, false),
    (0x0049, 41, 38, false),
    (0x0025, 42, 39, false),
    (0x0015, 43, 40, false),
    (0x0009, 44, 41, false),
    (0x0005, 45, 42, false),
    (0x0001, 45, 43, false),
    (0x5601, 46, 46, false),
];

/// The states of the 19 contexts, and what each takes for more probable.
#[derive(Clone, Debug)]
pub(crate) struct Contexts {
    state: [u8; 19],
    likely: [bool; 19],
}

impl Contexts {
    /// Table D.7.
    pub(crate) fn new() -> Self {
        let mut state = [0; 19];
        (state[0], state[17], state[18]) = (4, 3, 46);
        Contexts { state, likely: [false; 19] }
    }
}

/// The decoder of C.3, its registers named as there.
pub(crate) struct MqDecoder<'a> {
    bytes: &'a [u8],
    at: usize,
    c: u32,
    a: u32,
    ct: u32,
}

impl<'a> MqDecoder<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let mut mq = MqDecoder { bytes, at: 0, c: 0, a: 0x8000, ct: 0 };
        mq.c = (mq.byte(0) as u32) << 16;
        mq.byte_in();
        mq.c <<= 7;
        mq.ct -= 7;
        mq
    }

    /// Beyond the end the segment goes on with bytes FF (D.4.1).
    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0xFF)
    }

    fn byte_in(&mut self) {
        let next = self.byte(self.at + 1);
        if self.byte(self.at) != 0xFF {
            self.at += 1;
            self.c += (next as u32) << 8;
            self.ct = 8;
        } else if next > 0x8F {
            self.c += 0xFF00;
            self.ct = 8;
        } else {
            self.at += 1;
            self.c += (next as u32) << 9;
            self.ct = 7;
        }
    }

    pub(crate) fn decode(&mut self, contexts: &mut Contexts, context: usize) -> bool {
        let (qe, after_mps, after_lps, flip) = STATES[contexts.state[context] as usize];
        let qe = qe as u32;
        let likely = contexts.likely[context];
        self.a -= qe;
        let inside = self.c >> 16 >= qe;
        if inside {
            self.c -= qe << 16;
            if self.a & 0x8000 != 0 {
                return likely;
            }
        }
        // Below, the smaller interval is the less probable symbol's unless they changed places.
        let mps = inside == (self.a >= qe);
        if !inside {
            self.a = qe;
        }
        if mps {
            contexts.state[context] = after_mps;
        } else {
            contexts.state[context] = after_lps;
            contexts.likely[context] ^= flip;
        }
        self.renormalise();
        likely == mps
    }

    fn renormalise(&mut self) {
        loop {
            if self.ct == 0 {
                self.byte_in();
            }
            self.a <<= 1;
            self.c <<= 1;
            self.ct -= 1;
            if self.a & 0x8000 != 0 {
                return;
            }
        }
    }
}

/// Raw bits, most significant first; after a byte FF only seven.
pub(crate) struct RawBits<'a> {
    bytes: &'a [u8],
    at: usize,
    buffer: u8,
    left: u8,
}

impl<'a> RawBits<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        RawBits { bytes, at: 0, buffer: 0, left: 0 }
    }

    pub(crate) fn bit(&mut self) -> bool {
        if self.left == 0 {
            self.left = if self.buffer == 0xFF { 7 } else { 8 };
            self.buffer = self.bytes.get(self.at).copied().unwrap_or(0xFF);
            self.at += 1;
        }
        self.left -= 1;
        self.buffer >> self.left & 1 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test sequence of T.88 H.2, which T.800 shares the coder with: 256 bits in one context of state 0.
    #[test]
    fn the_standards_sequence() {
        let coded = [
            0x84, 0xC7, 0x3B, 0xFC, 0xE1, 0xA1, 0x43, 0x04, 0x02, 0x20, 0x00, 0x00, 0x41, 0x0D, 0xBB, 0x86, 0xF4, 0x31,
            0x7F, 0xFF, 0x88, 0xFF, 0x37, 0x47, 0x1A, 0xDB, 0x6A, 0xDF, 0xFF, 0xAC,
        ];
        let plain = [
            0x00, 0x02, 0x00, 0x51, 0x00, 0x00, 0x00, 0xC0, 0x03, 0x52, 0x87, 0x2A, 0xAA, 0xAA, 0xAA, 0xAA, 0x82, 0xC0,
            0x20, 0x00, 0xFC, 0xD7, 0x9E, 0xF6, 0xBF, 0x7F, 0xED, 0x90, 0x4F, 0x46, 0xA3, 0xBF,
        ];
        let mut contexts = Contexts::new();
        let mut mq = MqDecoder::new(&coded);
        for byte in plain {
            let got = (0..8).fold(0u8, |v, _| v << 1 | mq.decode(&mut contexts, 1) as u8);
            assert_eq!(got, byte);
        }
    }
}
