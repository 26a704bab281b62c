//! Frames of an opened instance, decoded.

use super::{Codecs, Layout};
use crate::decode;
use crate::jpeg_xl;
use dicom::error::{Error, Result};
use dicom::stream;
use dicom::syntax::Coding;
use dicom::{Source, TransferSyntax, Vr, facts};

/// What codecs make of an instance.
pub trait Decode {
    /// The samples of frame `n` (from 0): little endian, interleaved by pixel, in the container of Bits Allocated (one
    /// byte for Bits Allocated 1), bits above Bits Stored cleared or filled with the sign, no colour conversion. `out` is
    /// cleared first.
    fn decode_frame(&self, n: u32, out: &mut Vec<u8>) -> Result<()>;

    /// The JPEG stream that frame `n` (from 0) of JPEG XL JPEG Recompression was made of, byte for byte, with what padding it had.
    fn jpeg_frame(&self, n: u32) -> Result<Vec<u8>>;

    /// What the samples of [`Decode::decode_frame`] are, where they are colour: the stream decides, not the attribute.
    fn is_ybr(&self) -> bool;
}

/// As [`Decode`], for who has codecs and asks more.
pub(crate) trait DecodeWith {
    /// As [`Decode::decode_frame`], with all bits as they are stored.
    fn decode_with(&self, n: u32, codecs: &mut Codecs, out: &mut Vec<u8>) -> Result<()>;

    /// The samples of frame `n`, as [`DecodeWith::decode_with`] gives them, where they are in memory as they are.
    fn held_samples(&self, n: u32) -> Option<&[u8]>;

    /// Of native pixel data: are numbers big endian, and do bytes stand in swapped pairs?
    fn byte_order(&self) -> (bool, bool);
}

impl Decode for Source {
    fn decode_frame(&self, n: u32, out: &mut Vec<u8>) -> Result<()> {
        self.decode_with(n, &mut Codecs::default(), out)?;
        decode::settle_high_bits(self.facts(), out);
        Ok(())
    }

    fn jpeg_frame(&self, n: u32) -> Result<Vec<u8>> {
        let mut stored = Vec::new();
        self.read_frame(n, &mut stored)?;
        let frame = |error: Error| Error::Frame { frame: n.saturating_add(1), what: error.to_string() };
        match self.facts().transfer_syntax.uid() {
            TransferSyntax::JPEG_XL_RECOMPRESSION => jpeg_xl::rebuild_jpeg(&stored).map_err(frame),
            _ => Err(Error::unsupported("only JPEG XL JPEG Recompression holds JPEG streams")),
        }
    }

    fn is_ybr(&self) -> bool {
        let facts = self.facts();
        if facts.transfer_syntax.uid() == TransferSyntax::JPEG_XL_RECOMPRESSION && facts.samples == 3 {
            let jpeg = self.jpeg_frame(0).and_then(|stream| stream::probe(&stream, Coding::Jpeg));
            return decode::is_ybr(facts, Coding::Jpeg, jpeg.ok().flatten().as_ref());
        }
        decode::is_ybr(facts, facts.coding(), self.stream())
    }
}

impl DecodeWith for Source {
    fn decode_with(&self, n: u32, codecs: &mut Codecs, out: &mut Vec<u8>) -> Result<()> {
        let done = match self.held_frame(n) {
            Some(stored) => decode::frame(&layout(self), n, stored, codecs, out),
            None => {
                let mut stored = std::mem::take(&mut codecs.stored);
                let read = self.read_frame(n, &mut stored);
                let done = read.and_then(|()| decode::frame(&layout(self), n, &stored, codecs, out));
                codecs.stored = stored;
                done
            }
        };
        done.map_err(|error| match error {
            Error::Io(_) | Error::Frame { .. } => error,
            other => Error::Frame { frame: n.saturating_add(1), what: other.to_string() },
        })
    }

    fn held_samples(&self, n: u32) -> Option<&[u8]> {
        decode::as_they_are(&layout(self), self.held_frame(n)?)
    }

    fn byte_order(&self) -> (bool, bool) {
        let layout = layout(self);
        (layout.big_endian, layout.swapped_words())
    }
}

fn layout(source: &Source) -> Layout<'_> {
    let element = facts::pixel_element(source.data_set());
    Layout {
        facts: source.facts(),
        big_endian: element.is_some_and(|e| e.big_endian),
        words: element.is_some_and(|e| e.vr == Vr::OW),
    }
}
