//! One element of Explicit VR Little Endian as another encoding has it (PS3.5 7.1, 7.3, 7.5).
//!
//! Only bytes are looked at: the head of an element, of an item or a delimiter. A sequence is its head alone, so that what
//! is in it follows as steps of its own; lengths are carried as they are.

use super::window::Window;
use dicom::data_set::{Vr, long_header, swap, word};
use dicom::error::{Error, Result};
use dicom::syntax::Encoding;
use std::ops::Range;

const UNDEFINED: u32 = 0xFFFF_FFFF;
const DELIMITERS: u16 = 0xFFFE;

/// A head in the other encoding, and the value that follows it.
pub(crate) struct Step {
    head: [u8; 12],
    head_len: usize,
    /// Where the value is in the object.
    pub(crate) value: Range<u64>,
    /// Bytes of one number of the value when its byte order is turned around, else 1.
    pub(crate) word: usize,
}

impl Step {
    pub(crate) fn head(&self) -> &[u8] {
        &self.head[..self.head_len]
    }

    /// Bytes it makes.
    pub(crate) fn len(&self) -> u64 {
        self.head_len as u64 + (self.value.end - self.value.start)
    }

    /// The value, a chunk of whole words at a time.
    pub(crate) fn each(&self, window: &Window<'_>, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        window.input.chunks(self.value.start, self.value.end - self.value.start, |bytes| {
            if self.word == 1 {
                return each(bytes);
            }
            let mut bytes = bytes.to_vec();
            swap(&mut bytes, self.word);
            each(&bytes)
        })
    }
}

/// Reads the element at `at` of an object and writes its head anew.
pub(crate) fn step(window: &mut Window<'_>, at: u64, encoding: Encoding) -> Result<Step> {
    let raw: [u8; 8] = window.take(at)?;
    let (group, element) = (u16::from_le_bytes([raw[0], raw[1]]), u16::from_le_bytes([raw[2], raw[3]]));
    if group == DELIMITERS {
        let len = u32::from_le_bytes([raw[4], raw[5], raw[6], raw[7]]);
        let mut head = Head::of(encoding).tag(group, element);
        head.u32(len);
        return Ok(head.step(at + 8..at + 8, 1));
    }
    let vr = Vr::from_binary([raw[4], raw[5]]).ok_or_else(|| Error::malformed(at, "no VR where one should be"))?;
    let (len, value) = if long_header(vr) {
        (u32::from_le_bytes(window.take(at + 8)?), at + 12)
    } else {
        (u32::from(u16::from_le_bytes([raw[6], raw[7]])), at + 8)
    };
    let mut head = Head::of(encoding).tag(group, element);
    if encoding == Encoding::ImplicitLittle {
        head.u32(len);
    } else {
        head.bytes(&vr.to_bytes());
        if long_header(vr) {
            head.u16(0);
            head.u32(len);
        } else {
            head.u16(len as u16);
        }
    }
    let inside = if vr == Vr::SQ || len == UNDEFINED { 0 } else { u64::from(len) };
    let word = if encoding == Encoding::ExplicitBig { word(vr) } else { 1 };
    Ok(head.step(value..value + inside, word))
}

struct Head {
    bytes: [u8; 12],
    len: usize,
    big: bool,
}

impl Head {
    fn of(encoding: Encoding) -> Head {
        Head { bytes: [0; 12], len: 0, big: encoding == Encoding::ExplicitBig }
    }

    fn tag(mut self, group: u16, element: u16) -> Head {
        self.u16(group);
        self.u16(element);
        self
    }

    fn u16(&mut self, v: u16) {
        self.bytes(&if self.big { v.to_be_bytes() } else { v.to_le_bytes() });
    }

    fn u32(&mut self, v: u32) {
        self.bytes(&if self.big { v.to_be_bytes() } else { v.to_le_bytes() });
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn step(self, value: Range<u64>, word: usize) -> Step {
        Step { head: self.bytes, head_len: self.len, value, word }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom::input::Input;

    fn made(explicit: &[u8], encoding: Encoding) -> Vec<u8> {
        let input = Input::from_bytes(explicit.to_vec());
        let mut window = Window::new(&input);
        let step = step(&mut window, 0, encoding).unwrap();
        let mut out = step.head().to_vec();
        step.each(&window, |bytes| {
            out.extend_from_slice(bytes);
            Ok(())
        })
        .unwrap();
        assert_eq!(out.len() as u64, step.len());
        out
    }

    #[test]
    fn heads_of_all_kinds() {
        let us = b"\x28\0\x10\0US\x02\0\x34\x12";
        assert_eq!(made(us, Encoding::ImplicitLittle), b"\x28\0\x10\0\x02\0\0\0\x34\x12");
        assert_eq!(made(us, Encoding::ExplicitBig), b"\0\x28\0\x10US\0\x02\x12\x34");
        let of = b"\x28\0\x10\0OF\0\0\x04\0\0\0\x01\x02\x03\x04";
        assert_eq!(made(of, Encoding::ImplicitLittle), b"\x28\0\x10\0\x04\0\0\0\x01\x02\x03\x04");
        assert_eq!(made(of, Encoding::ExplicitBig), b"\0\x28\0\x10OF\0\0\0\0\0\x04\x04\x03\x02\x01");
        let sq = b"\x08\0\x40\x11SQ\0\0\xFF\xFF\xFF\xFFrest";
        assert_eq!(made(sq, Encoding::ImplicitLittle), b"\x08\0\x40\x11\xFF\xFF\xFF\xFF");
        let item = b"\xFE\xFF\0\xE0\x10\0\0\0rest";
        assert_eq!(made(item, Encoding::ImplicitLittle), &item[..8]);
        assert_eq!(made(item, Encoding::ExplicitBig), b"\xFF\xFE\xE0\0\0\0\0\x10");
    }
}
