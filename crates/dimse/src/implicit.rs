//! A data set of Explicit VR Little Endian, without compressed pixels, as Implicit VR Little Endian (PS3.5 A.1), made while it is read:
//! heads are written anew, values are handed on. Sequences end by delimiters, since their lengths change. Writers mix up explicit and
//! implicit VRs within sequences; each item is read as the rest of the program reads it.

use dicom::data_set::{Tag, Vr, long_header};
use dicom::dictionary;
use std::io::{self, Read};

const UNDEFINED: u32 = 0xFFFF_FFFF;
/// Sequences within sequences.
const DEEPEST: usize = 128;

/// Reads as Implicit VR Little Endian what `inner` has in Explicit VR Little Endian.
pub struct Implicit<R> {
    inner: R,
    /// Bytes of the data set, and how many of them are taken.
    len: u64,
    at: u64,
    /// Bytes that were looked at and are not taken yet.
    ahead: Vec<u8>,
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
    /// Where it ends at the latest: with what it is in.
    latest: u64,
    inside: Inside,
}

/// How what is in a sequence or item is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Explicit,
    /// As in a value of VR UN (PS3.5 6.2.2).
    Implicit,
    /// Items are bytes (PS3.5 A.4).
    Fragments,
}

impl<R: Read> Implicit<R> {
    /// `inner` begins with the first element of the data set, which has `len` bytes.
    pub fn new(inner: R, len: u64) -> Implicit<R> {
        Implicit { inner, len, at: 0, ahead: Vec::new(), open: Vec::new(), heads: Vec::new(), handed: 0, left: 0 }
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
            _ if self.inside() == Inside::Implicit => self.implicit_element(group, element)?,
            _ => self.explicit_element(group, element)?,
        }
        Ok(true)
    }

    fn marker(&mut self, element: u16) -> io::Result<()> {
        let len = self.long()?;
        match element {
            0xE000 if self.inside() == Inside::Fragments => {
                self.put(0xFFFE, element, len);
                self.left = len.into();
                Ok(())
            }
            0xE000 => {
                self.put(0xFFFE, element, UNDEFINED);
                self.enter(false, len, self.inside())?;
                self.sniff()
            }
            _ => {
                self.open.pop().ok_or_else(|| wrong("a delimiter where nothing is open"))?;
                self.put(0xFFFE, element, 0);
                Ok(())
            }
        }
    }

    fn inside(&self) -> Inside {
        self.open.last().map_or(Inside::Explicit, |open| open.inside)
    }

    /// How the first element of the item that was entered is really written, by the rule by which files are read.
    fn sniff(&mut self) -> io::Result<()> {
        let (at, latest) = (self.at, self.latest());
        let Some(room) = latest.checked_sub(at + 8) else { return Ok(()) };
        let head = self.look(8)?;
        let &[g0, g1, e0, e1, v0, v1, l0, l1] = head else { return Ok(()) };
        let len = u32::from_le_bytes([v0, v1, l0, l1]);
        let tag = Tag(u16::from_le_bytes([g0, g1]), u16::from_le_bytes([e0, e1]));
        let (vr, fits) = (Vr::from_binary([v0, v1]), u64::from(len) <= room);
        let Some(open) = self.open.last_mut().filter(|_| tag.0 != 0xFFFE) else { return Ok(()) };
        let letters = v0.is_ascii_uppercase() && v1.is_ascii_uppercase();
        open.inside = match open.inside {
            Inside::Implicit if vr.is_some_and(|vr| !fits || vr == dictionary::vr_of(tag)) => Inside::Explicit,
            Inside::Explicit if vr.is_none() && !letters && (fits || len == UNDEFINED) => Inside::Implicit,
            inside => inside,
        };
        Ok(())
    }

    fn implicit_element(&mut self, group: u16, element: u16) -> io::Result<()> {
        let len = self.long()?;
        if len == UNDEFINED {
            self.put(group, element, UNDEFINED);
            let fragments = (group, element) == (0x7FE0, 0x0010);
            return self.enter(true, len, if fragments { Inside::Fragments } else { Inside::Implicit });
        }
        // Within an item of a known sequence there may be explicit VRs again.
        let is_sequence = dictionary::vr_of(Tag(group, element)) == Vr::SQ;
        if is_sequence && len >= 8 && self.look(4)? == [0xFE, 0xFF, 0x00, 0xE0] {
            self.put(group, element, UNDEFINED);
            return self.enter(true, len, Inside::Implicit);
        }
        self.put(group, element, len);
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
            return self.enter(true, len, inside_of(vr));
        }
        self.put(group, element, len);
        self.left = len.into();
        Ok(())
    }

    fn enter(&mut self, is_sequence: bool, len: u32, inside: Inside) -> io::Result<()> {
        if self.open.len() == DEEPEST {
            return Err(wrong("sequences go too deep"));
        }
        let end = (len != UNDEFINED).then(|| self.at + u64::from(len));
        let latest = end.unwrap_or(u64::MAX).min(self.latest());
        self.open.push(Open { is_sequence, end, latest, inside });
        Ok(())
    }

    /// Where the innermost sequence or item ends at the latest.
    fn latest(&self) -> u64 {
        self.open.last().map_or(self.len, |open| open.latest)
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

    /// The next bytes, which are not taken yet; fewer at the end.
    fn look(&mut self, count: usize) -> io::Result<&[u8]> {
        let missing = count.saturating_sub(self.ahead.len());
        (&mut self.inner).take(missing as u64).read_to_end(&mut self.ahead)?;
        Ok(&self.ahead[..count.min(self.ahead.len())])
    }

    /// Takes bytes as [`Read::read`] does.
    fn pull(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let n = match self.ahead.len().min(bytes.len()) {
            0 => self.inner.read(bytes)?,
            n => {
                bytes[..n].copy_from_slice(&self.ahead[..n]);
                self.ahead.drain(..n);
                n
            }
        };
        self.at += n as u64;
        Ok(n)
    }

    fn take(&mut self, mut bytes: &mut [u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.pull(bytes)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => bytes = &mut bytes[n..],
            }
        }
        Ok(())
    }

    /// As [`take`](Self::take); false when there is nothing at all.
    fn take_or_end(&mut self, bytes: &mut [u8; 4]) -> io::Result<bool> {
        if self.pull(&mut bytes[..1])? == 0 {
            return Ok(false);
        }
        self.take(&mut bytes[1..])?;
        Ok(true)
    }
}

/// How what is in a value of undefined length, or in a sequence, is written.
fn inside_of(vr: Vr) -> Inside {
    match vr {
        Vr::UN => Inside::Implicit,
        Vr::OB | Vr::OW | Vr::OF | Vr::OL | Vr::OD | Vr::OV => Inside::Fragments,
        _ => Inside::Explicit,
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
        let n = self.pull(&mut buf[..most])?;
        if n == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
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
        Implicit::new(bytes, bytes.len() as u64).read_to_end(&mut out).map(|_| out)
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

    /// Items of one element, Patient ID: of a told length or an open one, with its VR or without.
    fn item(told: bool, explicit: bool) -> Vec<u8> {
        let element: &[u8] = if explicit { b"\x10\0\x20\0LO\x02\0ID" } else { b"\x10\0\x20\0\x02\0\0\0ID" };
        match told {
            true => [b"\xfe\xff\0\xe0\x0a\0\0\0", element].concat(),
            false => [b"\xfe\xff\0\xe0\xff\xff\xff\xff", element, b"\xfe\xff\x0d\xe0\0\0\0\0"].concat(),
        }
    }

    #[test]
    fn items_are_read_as_they_are_really_written() {
        let end = b"\xfe\xff\xdd\xe0\0\0\0\0";
        let wanted = [&b"\x08\0\x40\x11\xff\xff\xff\xff"[..], &item(false, false), end].concat();
        for vr in [b"UN", b"SQ"] {
            for (told, explicit) in [(true, true), (true, false), (false, true), (false, false)] {
                let head = [b"\x08\0\x40\x11", &vr[..], b"\0\0\xff\xff\xff\xff"].concat();
                let set = [&head[..], &item(told, explicit), end].concat();
                assert_eq!(read(&set).unwrap(), wanted, "{vr:?} {told} {explicit}");
            }
        }
    }

    #[test]
    fn sequences_within_what_was_unknown() {
        let end = b"\xfe\xff\xdd\xe0\0\0\0\0";
        let outer = [b"\xfe\xff\0\xe0\xff\xff\xff\xff\x08\0\x40\x11", &[18, 0, 0, 0][..], &item(true, true)].concat();
        let set = [&b"\x09\0\x40\x11UN\0\0\xff\xff\xff\xff"[..], &outer, b"\xfe\xff\x0d\xe0\0\0\0\0", end].concat();
        let inner = [&b"\x08\0\x40\x11\xff\xff\xff\xff"[..], &item(false, false), end].concat();
        let head = b"\x09\0\x40\x11\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff";
        assert_eq!(read(&set).unwrap(), [&head[..], &inner, b"\xfe\xff\x0d\xe0\0\0\0\0", end].concat());
    }

    #[test]
    fn fragments_are_bytes() {
        let set = b"\x09\0\x40\x11OB\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\x02\0\0\0LO\xfe\xff\xdd\xe0\0\0\0\0";
        let out = read(set).unwrap();
        assert_eq!(out[..8], *b"\x09\0\x40\x11\xff\xff\xff\xff");
        assert_eq!(out[8..], set[12..]);
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
