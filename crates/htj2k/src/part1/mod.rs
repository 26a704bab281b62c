//! Code-blocks of Part 1 (T.800 Annexes C and D), which mixed HTJ2K codestreams hold beside HT ones. Plain code: these blocks are rare.

mod mq;

use crate::geometry::BandKind;
use crate::markers::BlockStyle;
use crate::packet::part1_segment;
use alloc::vec::Vec;
use mq::{Contexts, MqDecoder, RawBits};

/// Decodes blocks; keeps its memory between calls.
#[derive(Debug, Default)]
pub(crate) struct Part1Decoder {
    /// Twice the magnitude, with the half of the last decoded bit-plane: `3 * 2^p` for a coefficient found at plane `p`.
    doubled: Vec<u64>,
    /// Flags of the samples, with a border of one sample.
    flags: Vec<u8>,
    data: Vec<u8>,
}

/// What the decoding of a block needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) kind: BandKind,
    pub(crate) style: BlockStyle,
    /// Bit-planes that the block has, zero ones apart.
    pub(crate) planes: u32,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

const SIGNIFICANT: u8 = 1;
const NEGATIVE: u8 = 2;
/// Coded in this bit-plane's significance propagation pass.
const VISITED: u8 = 4;
const REFINED: u8 = 8;

/// The uniform and the run-length context (Table D.7).
const UNIFORM: usize = 18;
const RUN_LENGTH: usize = 17;

impl Part1Decoder {
    /// Decodes a block from its chunks, each the bytes of some passes. Gives false if there are more passes than bit-planes.
    pub(crate) fn decode<'a>(&mut self, job: &Job, chunks: impl Iterator<Item = (&'a [u8], u8)>) -> bool {
        self.doubled.clear();
        self.doubled.resize(job.width * job.height, 0);
        self.flags.clear();
        self.flags.resize((job.width + 2) * (job.height + 2), 0);
        let mut contexts = Contexts::new();
        let mut chunks = chunks.peekable();
        let mut done = 0;
        while chunks.peek().is_some() {
            let most = part1_segment(done, 255 - done, job.style);
            let mut passes = 0;
            self.data.clear();
            while let Some((bytes, count)) = chunks.next_if(|c| passes + c.1 <= most) {
                self.data.extend_from_slice(bytes);
                passes += count;
            }
            if passes == 0 || !self.segment(job, &mut contexts, done, passes) {
                return false;
            }
            done += passes;
        }
        true
    }

    /// Twice the magnitude of a sample, and its sign.
    pub(crate) fn sample(&self, job: &Job, x: usize, y: usize) -> (u64, bool) {
        let negative = self.flags[(y + 1) * (job.width + 2) + x + 1] & NEGATIVE != 0;
        (self.doubled[y * job.width + x], negative)
    }

    /// Decodes the passes of one codeword segment.
    fn segment(&mut self, job: &Job, contexts: &mut Contexts, first: u8, passes: u8) -> bool {
        let raw = job.style.bypass() && first >= 10 && (first - 10) % 3 < 2;
        let data = core::mem::take(&mut self.data);
        let bits = if raw { Bits::Raw(RawBits::new(&data)) } else { Bits::Mq(MqDecoder::new(&data)) };
        let mut coder =
            Passes { job: *job, doubled: &mut self.doubled, flags: &mut self.flags, contexts, bits, plane: 0 };
        let mut fine = true;
        for pass in first..first + passes {
            // The cleanup pass of the first bit-plane, then three passes for each.
            let Some(plane) = job.planes.checked_sub(1 + (pass as u32).div_ceil(3)) else {
                fine = false;
                break;
            };
            coder.plane = plane;
            match pass % 3 {
                0 => coder.cleanup(),
                1 => coder.significance(),
                _ => coder.refinement(),
            }
            if job.style.reset() {
                *coder.contexts = Contexts::new();
            }
        }
        self.data = data;
        fine
    }
}

/// The bits of a segment: arithmetic coded, or raw in bypass mode.
enum Bits<'a> {
    Mq(MqDecoder<'a>),
    Raw(RawBits<'a>),
}

struct Passes<'a, 'b> {
    job: Job,
    doubled: &'b mut [u64],
    flags: &'b mut [u8],
    contexts: &'b mut Contexts,
    bits: Bits<'a>,
    plane: u32,
}

/// What the eight neighbours are: significant ones horizontally, vertically, diagonally.
struct Neighbours {
    horizontal: u8,
    vertical: u8,
    diagonal: u8,
}

impl Passes<'_, '_> {
    fn bit(&mut self, context: usize) -> bool {
        match &mut self.bits {
            Bits::Mq(mq) => mq.decode(self.contexts, context),
            Bits::Raw(raw) => raw.bit(),
        }
    }

    fn at(&self, x: usize, y: usize) -> usize {
        (y + 1) * (self.job.width + 2) + x + 1
    }

    /// Whether the row below is in the next stripe and so out of sight (D.7).
    fn blind_below(&self, y: usize) -> bool {
        self.job.style.vertically_causal() && y % 4 == 3
    }

    fn neighbours(&self, x: usize, y: usize) -> Neighbours {
        let (at, row) = (self.at(x, y), self.job.width + 2);
        let f = |i: usize| self.flags[i] & SIGNIFICANT;
        let below = |i: usize| if self.blind_below(y) { 0 } else { f(i) };
        Neighbours {
            horizontal: f(at - 1) + f(at + 1),
            vertical: f(at - row) + below(at + row),
            diagonal: f(at - row - 1) + f(at - row + 1) + below(at + row - 1) + below(at + row + 1),
        }
    }

    /// Visits the samples in stripes of four rows, column by column (D.1).
    fn scan(&mut self, mut visit: impl FnMut(&mut Self, usize, usize)) {
        for top in (0..self.job.height).step_by(4) {
            for x in 0..self.job.width {
                for y in top..(top + 4).min(self.job.height) {
                    visit(self, x, y);
                }
            }
        }
    }

    fn significance(&mut self) {
        self.scan(|s, x, y| {
            let at = s.at(x, y);
            let n = s.neighbours(x, y);
            if s.flags[at] & SIGNIFICANT == 0 && n.horizontal + n.vertical + n.diagonal > 0 {
                if s.bit(zero_context(s.job.kind, &n)) {
                    s.found(x, y);
                }
                s.flags[at] |= VISITED;
            }
        });
    }

    fn refinement(&mut self) {
        self.scan(|s, x, y| {
            let at = s.at(x, y);
            if s.flags[at] & (SIGNIFICANT | VISITED) == SIGNIFICANT {
                let n = s.neighbours(x, y);
                let context = match s.flags[at] & REFINED {
                    0 => 14 + (n.horizontal + n.vertical + n.diagonal > 0) as usize,
                    _ => 16,
                };
                let bit = s.bit(context) as u64;
                let value = &mut s.doubled[y * s.job.width + x];
                *value = *value & !(2 << s.plane) | bit << (s.plane + 1) | 1 << s.plane;
                s.flags[at] |= REFINED;
            }
        });
    }

    fn cleanup(&mut self) {
        for top in (0..self.job.height).step_by(4) {
            for x in 0..self.job.width {
                self.cleanup_column(x, top);
            }
        }
        if self.job.style.segmentation_symbols() {
            (0..4).for_each(|_| {
                self.bit(UNIFORM);
            });
        }
        self.flags.iter_mut().for_each(|f| *f &= !VISITED);
    }

    fn cleanup_column(&mut self, x: usize, top: usize) {
        let end = (top + 4).min(self.job.height);
        let mut y = top;
        let quiet = |s: &Self, y: usize| {
            let n = s.neighbours(x, y);
            s.flags[s.at(x, y)] & (SIGNIFICANT | VISITED) == 0 && n.horizontal + n.vertical + n.diagonal == 0
        };
        if end - top == 4 && (top..end).all(|y| quiet(self, y)) {
            if !self.bit(RUN_LENGTH) {
                return;
            }
            y += (self.bit(UNIFORM) as usize) << 1;
            y += self.bit(UNIFORM) as usize;
            self.found(x, y);
            y += 1;
        }
        for y in y..end {
            if self.flags[self.at(x, y)] & (SIGNIFICANT | VISITED) == 0 {
                let n = self.neighbours(x, y);
                if self.bit(zero_context(self.job.kind, &n)) {
                    self.found(x, y);
                }
            }
        }
    }

    /// A coefficient becomes significant: its sign follows (D.3.2).
    fn found(&mut self, x: usize, y: usize) {
        let (at, row) = (self.at(x, y), self.job.width + 2);
        let sign = |f: u8| match f & (SIGNIFICANT | NEGATIVE) {
            SIGNIFICANT => 1,
            0 | NEGATIVE => 0,
            _ => -1i32,
        };
        let below = if self.blind_below(y) { 0 } else { sign(self.flags[at + row]) };
        let horizontal = (sign(self.flags[at - 1]) + sign(self.flags[at + 1])).clamp(-1, 1);
        let vertical = (sign(self.flags[at - row]) + below).clamp(-1, 1);
        let negative = match self.bits {
            Bits::Raw(_) => self.bit(0),
            Bits::Mq(_) => {
                let (context, flip) = sign_context(horizontal, vertical);
                self.bit(context) ^ flip
            }
        };
        self.flags[at] |= SIGNIFICANT | if negative { NEGATIVE } else { 0 };
        self.doubled[y * self.job.width + x] = 3 << self.plane;
    }
}

/// Table D.1.
fn zero_context(kind: BandKind, n: &Neighbours) -> usize {
    let (h, v) = match kind {
        BandKind::Hl => (n.vertical, n.horizontal),
        _ => (n.horizontal, n.vertical),
    };
    let d = n.diagonal;
    if kind == BandKind::Hh {
        return match (d, h + v) {
            (3.., _) => 8,
            (2, 1..) => 7,
            (2, 0) => 6,
            (1, 2..) => 5,
            (1, n) => 3 + n as usize,
            (0, n) => n.min(2) as usize,
        };
    }
    match (h, v, d) {
        (2.., _, _) => 8,
        (1, 1.., _) => 7,
        (1, 0, 1..) => 6,
        (1, 0, 0) => 5,
        (0, 2.., _) => 4,
        (0, 1, _) => 3,
        (0, 0, d) => d.min(2) as usize,
    }
}

/// Table D.3: the context, and whether the bit is inverted.
fn sign_context(horizontal: i32, vertical: i32) -> (usize, bool) {
    match (horizontal, vertical) {
        (1, 1) => (13, false),
        (1, 0) => (12, false),
        (1, _) => (11, false),
        (0, 1) => (10, false),
        (0, 0) => (9, false),
        (0, _) => (10, true),
        (_, 1) => (11, true),
        (_, 0) => (12, true),
        _ => (13, true),
    }
}
