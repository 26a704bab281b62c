//! Bytes put together from pieces: some made in memory, some read where they are in another input.

use crate::data_set::swap;
use crate::error::{Error, Result};
use crate::input::Input;
use std::io::{Seek, Write};
use std::sync::Arc;

/// Pieces, one after the other, and where each starts.
#[derive(Debug, Default)]
pub struct Rope {
    pieces: Vec<(u64, Piece)>,
    len: u64,
}

#[derive(Debug)]
enum Piece {
    Bytes(Vec<u8>),
    /// One byte value, again and again.
    Fill(u8),
    Range {
        input: Arc<Input>,
        offset: u64,
        /// Bytes of one number whose byte order is turned around; 1 for none.
        word: u64,
    },
}

impl Rope {
    /// How many bytes there are.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        match self.pieces.last_mut() {
            Some((_, Piece::Bytes(last))) => last.extend_from_slice(bytes),
            _ => self.pieces.push((self.len, Piece::Bytes(bytes.to_vec()))),
        }
        self.len += bytes.len() as u64;
    }

    /// Adds `len` times the same byte.
    pub fn fill(&mut self, byte: u8, len: u64) {
        self.push(Piece::Fill(byte), len);
    }

    /// Adds `len` bytes of another input from `offset`, every word of `word` bytes turned around when it is more than 1.
    pub fn range(&mut self, input: &Arc<Input>, offset: u64, len: u64, word: usize) {
        self.push(Piece::Range { input: Arc::clone(input), offset, word: word.max(1) as u64 }, len);
    }

    fn push(&mut self, piece: Piece, len: u64) {
        if len > 0 {
            self.pieces.push((self.len, piece));
            self.len += len;
        }
    }

    /// Fills `buf` from `offset`; the caller has checked that the bytes are there.
    pub fn read_at(&self, offset: u64, mut buf: &mut [u8]) -> Result<()> {
        let mut at = offset;
        let mut n = self.pieces.partition_point(|(start, _)| *start <= offset).saturating_sub(1);
        while !buf.is_empty() {
            let Some((start, piece)) = self.pieces.get(n) else {
                return Err(Error::Truncated { what: "a value".into(), have: self.len, need: offset });
            };
            let end = self.pieces.get(n + 1).map_or(self.len, |next| next.0);
            let len = (end - at).min(buf.len() as u64);
            let (now, later) = buf.split_at_mut(len as usize);
            piece.read(at - start, end - start, now)?;
            (buf, at, n) = (later, at + len, n + 1);
        }
        Ok(())
    }
}

impl Write for Rope {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Values up to this size are copied into a rope, not remembered.
const SMALL: u64 = 512;

/// Where a written instance goes: bytes that are made, and runs of bytes that are there already.
pub trait Out: Write {
    /// Adds `len` bytes of an input from `offset`, every word of `word` bytes turned around when it is more than 1.
    fn run(&mut self, input: &Arc<Input>, offset: u64, len: u64, word: usize) -> Result<()>;
}

impl<W: Write + Seek> Out for W {
    fn run(&mut self, input: &Arc<Input>, offset: u64, len: u64, word: usize) -> Result<()> {
        if word <= 1 {
            return input.copy_to(offset, len, self);
        }
        input.chunks(offset, len, |bytes| {
            let mut bytes = bytes.to_vec();
            swap(&mut bytes, word);
            Ok(self.write_all(&bytes)?)
        })
    }
}

impl Out for Rope {
    fn run(&mut self, input: &Arc<Input>, offset: u64, len: u64, word: usize) -> Result<()> {
        if len > SMALL {
            self.range(input, offset, len, word);
            return Ok(());
        }
        let mut bytes = input.bytes(offset, len)?.into_owned();
        swap(&mut bytes, word);
        self.bytes(&bytes);
        Ok(())
    }
}

impl Piece {
    /// Fills `buf` from `at` of the `len` bytes of this piece.
    fn read(&self, at: u64, len: u64, buf: &mut [u8]) -> Result<()> {
        match self {
            Piece::Bytes(bytes) => buf.copy_from_slice(&bytes[at as usize..at as usize + buf.len()]),
            Piece::Fill(byte) => buf.fill(*byte),
            Piece::Range { input, offset, word: 1 } => input.read_at(offset + at, buf)?,
            Piece::Range { input, offset, word } => {
                let from = at - at % word;
                let to = (at + buf.len() as u64).next_multiple_of(*word).min(len);
                let mut whole = input.bytes(offset + from, to - from)?.into_owned();
                swap(&mut whole, *word as usize);
                let skip = (at - from) as usize;
                buf.copy_from_slice(&whole[skip..skip + buf.len()]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_part_of_a_rope_reads_as_the_whole_does() {
        let under = Arc::new(Input::from_bytes((0..32).collect()));
        let mut rope = Rope::default();
        rope.bytes(b"ab");
        rope.bytes(b"c");
        rope.range(&under, 4, 7, 2);
        rope.fill(9, 3);
        rope.range(&under, 30, 2, 1);
        let whole = [b'a', b'b', b'c', 5, 4, 7, 6, 9, 8, 10, 9, 9, 9, 30, 31];
        assert_eq!(rope.len(), whole.len() as u64);
        for from in 0..whole.len() {
            for to in from..=whole.len() {
                let mut part = vec![0; to - from];
                rope.read_at(from as u64, &mut part).unwrap();
                assert_eq!(part, whole[from..to], "{from}..{to}");
            }
        }
    }
}
