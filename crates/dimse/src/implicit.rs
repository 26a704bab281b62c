//! A data set of Explicit VR Little Endian, without compressed pixels, as Implicit VR Little Endian (PS3.5 A.1), made while it is read:
//! heads are written anew, values are handed on. Sequences end by delimiters, since their lengths change.

use dicom::data_set::{Vr, long_header};
use std::io::{self, Read};

const UNDEFINED: u32 = 0xFFFF_FFFF;
/// Sequences within sequences.
const DEEPEST: usize = 128;

/// Reads as Implicit VR Little Endian what `inner` has in Explicit VR Little Endian.
pub struct Implicit<R> {
    inner: R,
    /// Bytes taken from `inner`.
    at: u64,
    open: Vec<Open>,
    /// What is handed out before anything else.
    heads: Vec<u8>,
    handed: usize,
    /// Bytes of the value at hand.
    left: u64,
}

/// A sequence or item that has begun.
struct Open {
    is_sequence: bool,
    /// Where it ends; by a delimiter where there is none.
    end: Option<u64>,
    /// What is in it is implicit already: it was in a value of VR UN (PS3.5 6.2.2).
    implicit: bool,
}

impl<R: Read> Implicit<R> {
    /// `inner` begins with the first element of the data set.
    pub fn new(inner: R) -> Implicit<R> {
        Implicit { inner, at: 0, open: Vec::new(), heads: Vec::new(), handed: 0, left: 0 }
    }

    /// Makes the next heads; false at the end of the data set.
    fn advance(&mut self) -> io::Result<bool> {
        self.heads.clear();
        self.handed = 0;
        while let Some(open) = self.open.pop_if(|open| open.end.is_some_and(|end| end <= self.at)) {
            self.put(0xFFFE, if open.is_sequence { 0xE0DD } else { 0xE00D }, 0);
        }
        if !self.heads.is_empty() {
            return Ok(true);
        }
        let mut tag = [0; 4];
        if !self.take_or_end(&mut tag)? {
            return Ok(false);
        }
        let [g0, g1, e0, e1] = tag;
        let (group, element) = (u16::from_le_bytes([g0, g1]), u16::from_le_bytes([e0, e1]));
        match group {
            0xFFFE => self.marker(element)?,
            _ if self.open.last().is_some_and(|open| open.implicit) => self.implicit_element(group, element)?,
            _ => self.explicit_element(group, element)?,
        }
        Ok(true)
    }

    fn marker(&mut self, element: u16) -> io::Result<()> {
        let len = self.long()?;
        let implicit = self.open.last().is_some_and(|open| open.implicit);
        match element {
            0xE000 if implicit && len != UNDEFINED => {
                self.put(0xFFFE, element, len);
                self.left = len.into();
                Ok(())
            }
            0xE000 => {
                self.put(0xFFFE, element, UNDEFINED);
                self.enter(false, len, implicit)
            }
            _ => {
                self.open.pop().ok_or_else(|| wrong("a delimiter where nothing is open"))?;
                self.put(0xFFFE, element, 0);
                Ok(())
            }
        }
    }

    fn implicit_element(&mut self, group: u16, element: u16) -> io::Result<()> {
        let len = self.long()?;
        self.put(group, element, len);
        if len == UNDEFINED {
            return self.enter(true, len, true);
        }
        self.left = len.into();
        Ok(())
    }

    fn explicit_element(&mut self, group: u16, element: u16) -> io::Result<()> {
        let mut head = [0; 4];
        self.take(&mut head)?;
        let [v0, v1, l0, l1] = head;
        let vr = Vr::from_binary([v0, v1]).ok_or_else(|| wrong("an element without a VR"))?;
        let len = if long_header(vr) { self.long()? } else { u16::from_le_bytes([l0, l1]).into() };
        if vr == Vr::SQ || len == UNDEFINED {
            self.put(group, element, UNDEFINED);
            return self.enter(true, len, vr != Vr::SQ);
        }
        self.put(group, element, len);
        self.left = len.into();
        Ok(())
    }

    fn enter(&mut self, is_sequence: bool, len: u32, implicit: bool) -> io::Result<()> {
        if self.open.len() == DEEPEST {
            return Err(wrong("sequences go too deep"));
        }
        let end = (len != UNDEFINED).then(|| self.at + u64::from(len));
        self.open.push(Open { is_sequence, end, implicit });
        Ok(())
    }

    fn put(&mut self, group: u16, element: u16, len: u32) {
        self.heads.extend_from_slice(&group.to_le_bytes());
        self.heads.extend_from_slice(&element.to_le_bytes());
        self.heads.extend_from_slice(&len.to_le_bytes());
    }

    fn long(&mut self) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.take(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn take(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.inner.read_exact(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// As [`take`](Self::take); false when there is nothing at all.
    fn take_or_end(&mut self, bytes: &mut [u8; 4]) -> io::Result<bool> {
        if self.inner.read(&mut bytes[..1])? == 0 {
            return Ok(false);
        }
        self.at += 1;
        self.take(&mut bytes[1..])?;
        Ok(true)
    }
}

impl<R: Read> Read for Implicit<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.handed == self.heads.len() && self.left == 0 {
            if !self.advance()? {
                return Ok(0);
            }
        }
        if self.handed < self.heads.len() {
            let n = buf.len().min(self.heads.len() - self.handed);
            buf[..n].copy_from_slice(&self.heads[self.handed..self.handed + n]);
            self.handed += n;
            return Ok(n);
        }
        let most = buf.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let n = self.inner.read(&mut buf[..most])?;
        if n == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += n as u64;
        self.left -= n as u64;
        Ok(n)
    }
}

fn wrong(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Implicit::new(bytes).read_to_end(&mut out).map(|_| out)
    }

    #[test]
    fn heads_change_and_values_do_not() {
        let explicit = b"\x10\0\x20\0LO\x04\0ID01\x28\0\x10\0US\x02\0\x07\0\xe0\x7f\x10\0OW\0\0\x04\0\0\0abcd";
        let implicit = b"\x10\0\x20\0\x04\0\0\0ID01\x28\0\x10\0\x02\0\0\0\x07\0\xe0\x7f\x10\0\x04\0\0\0abcd";
        assert_eq!(read(explicit).unwrap(), implicit);
    }

    #[test]
    fn sequences_of_any_length_end_by_delimiters() {
        let item = b"\xfe\xff\0\xe0\x0a\0\0\0\x10\0\x20\0LO\x02\0ID";
        let told = [&b"\x08\0\x40\x11SQ\0\0\x12\0\0\0"[..], item, b"\x10\0\x30\0DA\0\0"].concat();
        let open = [
            &b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff"[..],
            &item[8..],
            b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0\x10\0\x30\0DA\0\0",
        ]
        .concat();
        let implicit = [
            &b"\x08\0\x40\x11\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff\x10\0\x20\0\x02\0\0\0ID"[..],
            b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0\x10\0\x30\0\0\0\0\0",
        ]
        .concat();
        assert_eq!(read(&told).unwrap(), implicit);
        assert_eq!(read(&open).unwrap(), implicit);
    }

    #[test]
    fn what_was_unknown_is_implicit_already() {
        let inside =
            b"\xfe\xff\0\xe0\xff\xff\xff\xff\x10\0\x20\0\x02\0\0\0ID\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0";
        let explicit = [&b"\x09\0\x40\x11UN\0\0\xff\xff\xff\xff"[..], inside].concat();
        let implicit = [&b"\x09\0\x40\x11\xff\xff\xff\xff"[..], inside].concat();
        assert_eq!(read(&explicit).unwrap(), implicit);
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(out) = read(&bytes) {
                prop_assert!(out.len() <= 4 * bytes.len());
            }
        }
    }
}
